"""What a database holds, in a few hundred bytes a table: rows, content hashes, sequences, schema.

Two databases with equal fingerprints hold the same. Everything is computed by the server in one
session, so on an exported snapshot it describes exactly what pg_dump reads there. Row contents
never leave the server.

Belongs here: taking a fingerprint. Not here: the schema's objects (``schema_objects``), comparing
(``backups.compare``).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from psycopg import errors as pg
from psycopg import sql
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from kajovo_dr.postgres import schema_objects
from kajovo_dr.postgres.databases import Connection
from kajovo_dr.progress import Progress, silent

#: Settings that change how values and definitions are written as text, pinned while we read.
_PINNED = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "search_path": "",
    "row_security": "off",
    "xmloption": "content",
    "quote_all_identifiers": "off",
    "standard_conforming_strings": "on",
}
#: Types whose own hash sees every difference that their text shows. Others count some values as
#: equal that are not the same (-0 and 0, 1.0 and 1.00, '1 mon' and '30 days', citext), or hash an
#: oid that a restore changes (enum): they are hashed as text.
_HASHED_AS_THEY_ARE = (
    *("bool", "int2", "int4", "int8", "char", "bytea", "uuid"),
    *("date", "time", "timestamp", "timestamptz"),
)
_HASHED_BY_COLLATION = ("text", "varchar", "name")
#: A table without a key is sampled by these columns of its.
_CHEAP = ("int2", "int4", "int8", "uuid", "date", "time", "timestamp", "timestamptz")
#: A sampled table hashes one row in this many; all rows are counted.
SAMPLE = 64
#: A record's hash is a linear sum of its columns' hashes (times powers of 31): without this step
#: the sum over all rows would stay the same when two rows exchange the values of a column.
_MIXED = 'hashtextextended(({})::text COLLATE "C", 0)'
#: Bytes of a large object that are hashed at a time.
_PIECE = 8 << 20

_COLUMNS = """
WITH RECURSIVE based(type, base) AS (
    SELECT oid, oid FROM pg_type WHERE typtype <> 'd'
    UNION ALL
    SELECT d.oid, b.base FROM pg_type d JOIN based b ON d.typbasetype = b.type WHERE d.typtype = 'd'
)
SELECT a.attname, t.typname, t.typnamespace = 'pg_catalog'::regnamespace, a.attnum = ANY(k.indkey)
FROM pg_attribute a
JOIN based b ON b.type = a.atttypid
JOIN pg_type t ON t.oid = b.base
LEFT JOIN pg_index k ON k.indrelid = a.attrelid AND k.indisprimary
WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attname COLLATE "C"
"""
#: Rows of a partition by hash of an enum move on a restore: an enum's hash is that of its oid.
_TABLES = """
SELECT c.oid, n.nspname, c.relname, coalesce((
    SELECT rn.nspname || '.' || rc.relname
    FROM pg_class rc JOIN pg_namespace rn ON rn.oid = rc.relnamespace
    WHERE c.relispartition AND rc.oid = pg_partition_root(c.oid) AND EXISTS (
        SELECT FROM pg_partition_ancestors(c.oid) part
        JOIN pg_partitioned_table p ON p.partrelid = part.relid AND p.partstrat = 'h'
        JOIN pg_opclass o ON o.oid = ANY (p.partclass) AND o.opcintype = 'anyenum'::regtype)), '')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_'
AND n.nspname <> 'information_schema' AND NOT EXISTS (
    SELECT FROM pg_depend d
    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 2, 3
"""
_SEQUENCES = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'S' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_'
AND n.nspname <> 'information_schema' AND NOT EXISTS (
    SELECT FROM pg_depend d
    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1, 2
"""
_EXTENSIONS = """
SELECT extname, extversion, extnamespace::regnamespace::text FROM pg_extension
WHERE extname <> 'plpgsql' ORDER BY 1
"""
#: Piece by piece, because an object may have terabytes and a value of bytea at most one gigabyte.
_LARGE_OBJECTS = f"""
WITH RECURSIVE piece(oid, number, hash, more) AS (
    SELECT m.oid, 0::bigint, sha256(p.bytes), octet_length(p.bytes) = {_PIECE}
    FROM pg_largeobject_metadata m, LATERAL (SELECT lo_get(m.oid, 0, {_PIECE}) AS bytes OFFSET 0) p
    UNION ALL
    SELECT b.oid, b.number + 1, sha256(p.bytes), octet_length(p.bytes) = {_PIECE}
    FROM piece b, LATERAL
        (SELECT lo_get(b.oid, (b.number + 1) * {_PIECE}, {_PIECE}) AS bytes OFFSET 0) p
    WHERE b.more
)
SELECT count(*) FILTER (WHERE number = 0),
    coalesce(sum({_MIXED.format("hash_record_extended(ROW(oid::bigint, number, hash), 0)")}),
        0)::text
FROM piece
"""


class Table(BaseModel):
    """One table at the snapshot.

    hash: sum of a 64-bit hash of every row, so the order of rows does not matter and duplicates
    count. newest: the latest moment in its timestamp columns that was not in the future. root: the
    partitioned table among whose partitions a restore may spread the rows anew; else empty.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_: str = Field(alias="schema")
    name: str
    rows: int = Field(ge=0)
    hash: str | None = None
    sampled: bool = False
    newest: AwareDatetime | None = None
    root: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """(schema, name)."""
        return self.schema_, self.name

    @property
    def place(self) -> tuple[str, ...]:
        """Whose figures its own count for: the root's, where a restore may spread the rows anew.

        Not a dotted name: those of a."b.c" and "a.b".c are the same.
        """
        return (self.root,) if self.root else self.key


class Sequence(BaseModel):
    """A sequence while the dump ran: no snapshot holds it still.

    until: its value at the end. called: whether it had given its value; None: that changed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_: str = Field(alias="schema")
    name: str
    value: int
    called: bool | None
    until: int

    @property
    def key(self) -> tuple[str, str]:
        """(schema, name)."""
        return self.schema_, self.name


class LargeObjects(BaseModel):
    """Their number and the sum of hashes of their pieces."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: int = Field(ge=0)
    hash: str


class Fingerprint(BaseModel):
    """Everything but the tables. objects, wording: see `schema_objects`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = Field(1, description="of the way of hashing")
    sequences: tuple[Sequence, ...]
    large_objects: LargeObjects
    materialized_views: dict[str, int | None] = Field(
        description="rows; null: not populated; never compared: a restore refreshes them"
    )
    schema_sha256: str = Field(description="of all objects")
    objects: dict[str, str]
    wording: dict[str, str]
    extensions: dict[str, str] = Field(description="name to version")
    alembic_head: str | None = None
    seconds: float = Field(0, ge=0, description="to take it")


def pin(connection: Connection) -> None:
    """Make this transaction write values as every other server does; no row is ever hidden."""
    for name, value in _PINNED.items():
        connection.execute("SELECT set_config(%s, %s, true)", [name, value])


def lock_tables(connection: Connection) -> int:
    """Keep schema changes out until the transaction ends, as pg_dump does; the number of tables."""
    tables = connection.execute(_TABLES).fetchall()
    names = [sql.Identifier(schema, name) for _, schema, name, _ in tables]
    for at in range(0, len(names), 100):
        connection.execute(
            sql.SQL("LOCK TABLE ONLY {} IN ACCESS SHARE MODE").format(
                sql.SQL(", ONLY ").join(names[at : at + 100])
            )
        )
    return len(names)


def tables(
    connection: Connection,
    *,
    table_timeout_s: float | None = None,
    sampled: frozenset[tuple[str, str]] = frozenset(),
    progress: Progress = silent,
) -> tuple[Table, ...]:
    """Rows and content hash of every table whose data a dump holds, in a pinned transaction.

    sampled: tables to sample, because the fingerprint to compare with did. table_timeout_s: a table
    that takes longer is sampled instead.
    """
    found = connection.execute(_TABLES).fetchall()
    taken = []
    for number, (oid, schema, name, root) in enumerate(found):
        progress("fingerprint", number, len(found))
        columns = connection.execute(_COLUMNS, [oid]).fetchall()
        sample = (schema, name) in sampled
        row = None
        if not sample:
            # rows that a restore may spread anew are compared together, all or by a sample
            limit = None if root else table_timeout_s
            row = _read(connection, _query(schema, name, columns, sample=False), limit)
        if row is None:
            sample = True
            row = _read(connection, _query(schema, name, columns, sample=True), None)
        assert row is not None
        taken.append(
            Table(
                schema=schema,
                name=name,
                rows=row[0],
                hash=row[1],
                sampled=sample,
                newest=_moment(row[2]),
                root=root,
            )
        )
    progress("fingerprint", len(found), len(found))
    return tuple(taken)


def definitions(connection: Connection, version_table: str) -> Fingerprint:
    """What no snapshot holds still: sequences and schema, with extensions and Alembic head.

    Of a source it is read right before the dump begins. The rest is added by `contents`.
    """
    objects = schema_objects.read(connection)
    extensions = connection.execute(_EXTENSIONS.encode()).fetchall()
    places = {f"extension {name} in schema {schema}": "" for name, _, schema in extensions}
    return Fingerprint(
        sequences=tuple(
            Sequence(schema=schema, name=name, value=value, called=called, until=value)
            for (schema, name), (value, called) in _sequences(connection).items()
        ),
        large_objects=LargeObjects(count=0, hash="0"),
        materialized_views={},
        schema_sha256=objects.sha256,
        objects=objects.facts | places,
        wording=objects.wording,
        extensions={name: version for name, version, _ in extensions},
        alembic_head=_alembic_head(connection, version_table),
    )


def contents(connection: Connection, known: Fingerprint) -> Fingerprint:
    """The fingerprint with large objects and materialized views, in a pinned transaction."""
    count, hashed = _one(connection, _LARGE_OBJECTS)
    return known.model_copy(
        update={
            "large_objects": LargeObjects(count=count, hash=hashed),
            "materialized_views": _materialized_views(connection),
        }
    )


def finished(connection: Connection, fingerprint: Fingerprint, seconds: float) -> Fingerprint:
    """The fingerprint with the sequences' values of now, when the dump has ended."""
    now = _sequences(connection)
    sequences = []
    for each in fingerprint.sequences:
        until, called = now.get(each.key, (each.value, each.called))
        called = each.called if called == each.called else None
        sequences.append(each.model_copy(update={"until": until, "called": called}))
    return fingerprint.model_copy(update={"sequences": tuple(sequences), "seconds": seconds})


def _query(schema: str, name: str, columns: list[tuple[Any, ...]], *, sample: bool) -> sql.Composed:
    """One pass over the table: rows, hash, newest moment."""
    row = sql.SQL("ROW({})").format(sql.SQL(", ").join(_hashable(*each[:3]) for each in columns))
    hashed = sql.SQL(_MIXED).format(sql.SQL("hash_record_extended({}, 0)").format(row))
    chosen: sql.Composable = sql.SQL("")
    if sample:
        cheap = [each for each in columns if each[2] and each[1] in _CHEAP]
        keys = [each for each in columns if each[3]] or cheap or columns
        key = sql.SQL("ROW({})").format(sql.SQL(", ").join(_hashable(*each[:3]) for each in keys))
        chosen = sql.SQL(" FILTER (WHERE hash_record_extended({}, 1) & {} = 0)").format(
            key, sql.Literal(SAMPLE - 1)
        )
    moments = [
        sql.SQL(
            "(max(r.{0}) FILTER (WHERE isfinite(r.{0}) AND r.{0} <= now()))::timestamptz"
        ).format(sql.Identifier(column))
        for column, type_, builtin, _ in columns
        if builtin and type_ in ("timestamp", "timestamptz")
    ]
    newest = sql.SQL("greatest({})") if moments else sql.SQL("NULL")
    return sql.SQL(
        "SELECT count(*), coalesce(sum({}){}, 0)::text, ({})::text FROM ONLY {} AS r"
    ).format(
        hashed, chosen, newest.format(sql.SQL(", ").join(moments)), sql.Identifier(schema, name)
    )


def _hashable(column: str, base: str, builtin: bool) -> sql.Composed:
    """The column as something whose hash changes with every change of its text.

    By the collation C, because others may count different texts as equal.
    """
    name = sql.Identifier("r", column)
    if not builtin:  # its cast to text may be a function of the application's
        return sql.SQL('ROW({})::text COLLATE "C"').format(name)
    if base == "bpchar":  # a cast to text would cut its blanks off
        return sql.SQL('textin(bpcharout({})) COLLATE "C"').format(name)
    if base in _HASHED_BY_COLLATION:
        return sql.SQL('{} COLLATE "C"').format(name)
    if base in _HASHED_AS_THEY_ARE:
        return sql.Composed([name])
    return sql.SQL('{}::text COLLATE "C"').format(name)


def _read(
    connection: Connection, query: sql.Composed, timeout_s: float | None
) -> tuple[Any, ...] | None:
    """The row of the query; None when it took longer than it may."""
    if timeout_s is None:
        return connection.execute(query).fetchone()
    try:
        with connection.transaction():  # a savepoint: the snapshot stays
            connection.execute(
                f"SET LOCAL statement_timeout = {max(1, int(timeout_s * 1000))}".encode()
            )
            row = connection.execute(query).fetchone()
            connection.execute("SET LOCAL statement_timeout = 0")
            return row
    except pg.QueryCanceled as cancelled:
        if "statement timeout" not in str(cancelled):
            raise
        return None


def _one(connection: Connection, query: str) -> tuple[Any, ...]:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row


def _moment(text: str | None) -> datetime | None:
    """Years beyond 9999 or before 1 are no moments that Python knows, and say nothing here."""
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None


def _sequences(connection: Connection) -> Mapping[tuple[str, str], tuple[int, bool]]:
    found = {}
    for schema, name in connection.execute(_SEQUENCES).fetchall():
        row = connection.execute(
            sql.SQL("SELECT last_value, is_called FROM {}").format(sql.Identifier(schema, name))
        ).fetchone()
        assert row is not None
        found[schema, name] = (int(row[0]), bool(row[1]))
    return found


def _materialized_views(connection: Connection) -> dict[str, int | None]:
    found: dict[str, int | None] = {}
    for schema, name, populated in connection.execute(
        "SELECT n.nspname, c.relname, c.relispopulated FROM pg_class c"
        " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'm'"
        " AND n.nspname !~ '^pg_' ORDER BY 1, 2"
    ).fetchall():
        counted = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(schema, name))
        row = connection.execute(counted).fetchone() if populated else None
        found[f"{schema}.{name}"] = int(row[0]) if row else None
    return found


def _alembic_head(connection: Connection, version_table: str) -> str | None:
    schema, _, name = version_table.rpartition(".")
    table = sql.Identifier(schema or "public", name)
    there = connection.execute(
        "SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = %s AND c.relname = %s AND c.relkind = 'r'",
        [schema or "public", name],
    ).fetchone()
    if there is None:
        return None
    heads = connection.execute(sql.SQL("SELECT version_num FROM {}").format(table)).fetchall()
    return ", ".join(sorted(str(head) for (head,) in heads)) or None


def restored(
    connection: Connection,
    *,
    sampled: frozenset[tuple[str, str]],
    version_table: str,
    progress: Progress = silent,
) -> tuple[tuple[Table, ...], Fingerprint]:
    """The whole fingerprint of a restored database, in a transaction of its own."""
    with connection.transaction():
        pin(connection)
        found = tables(connection, sampled=sampled, progress=progress)
        return found, contents(connection, definitions(connection, version_table))
