"""A fingerprint changes with every byte of a table's content, and with nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg
import pytest

from kajovo_dr.backups.take import take
from kajovo_dr.errors import DrError
from kajovo_dr.postgres import databases, fingerprint
from kajovo_dr.postgres.databases import Connection
from kajovo_dr.postgres.server import Server
from kajovo_dr.settings import Settings

#: Settings of a role or database that write values otherwise than ours.
CONTRARY = {
    "TimeZone": "Asia/Kolkata",
    "DateStyle": "SQL, DMY",
    "IntervalStyle": "sql_standard",
    "extra_float_digits": "-15",
    "bytea_output": "escape",
    "search_path": "public",
    "row_security": "on",
    "xmloption": "document",
    "quote_all_identifiers": "on",
    "standard_conforming_strings": "off",
}


@dataclass(frozen=True)
class Case:
    """rows: statements that may run in any order. change: what must be found, in `where` alone."""

    create: str
    rows: tuple[str, ...]
    change: str
    where: str = "t"


def everything(session: Connection) -> fingerprint.Fingerprint:
    return fingerprint.contents(session, fingerprint.definitions(session, "v"))


def of_type(type_: str, before: str, after: str, *, create: str = "") -> Case:
    """A table with two rows, one of which gets another value."""
    return Case(
        f"{create}; CREATE TABLE t (id int, v {type_})",
        (f"INSERT INTO t VALUES (1, {before})", "INSERT INTO t VALUES (2, NULL)"),
        f"UPDATE t SET v = {after} WHERE id = 1",
    )


CASES = {
    "text, one letter": of_type("text", "'Řehoř'", "'Rehoř'"),
    "NULL and empty text": of_type("text", "NULL", "''"),
    "varchar": of_type("varchar(9)", "'a'", "'a '"),
    "a character of one byte": of_type('"char"', "'a'", "'b'"),
    "blanks at the end of char without a length": of_type("bpchar", "'x '", "'x'"),
    "char with a length": of_type("char(5)", "'x'", "'y'"),
    "name": of_type("name", "'x'", "'X'"),
    "bytea, one byte": of_type("bytea", r"'\x00ff'", r"'\x01ff'"),
    "numeric of another scale": of_type("numeric", "1.0", "1.00"),
    "numeric NaN": of_type("numeric", "'NaN'", "'Infinity'"),
    "minus zero": of_type("float8", "'-0'", "'0'"),
    "NaN": of_type("float4", "'NaN'", "'0'"),
    "the last digit of a float": of_type("float8", "0.1", "0.10000000000000002"),
    "minus zero in an array": of_type("float8[]", "'{NaN,-0}'", "'{NaN,0}'"),
    "bounds of an array": of_type("int[]", "'{1,2}'", "'[0:1]={1,2}'"),
    "NULL in an array": of_type("text[]", "'{NULL}'", "'{\"NULL\"}'"),
    "interval that is equal but not the same": of_type("interval", "'1 mon'", "'30 days'"),
    "timestamp": of_type("timestamp", "'2026-11-23'", "'2026-11-23 00:00:00.000001'"),
    "time with time zone": of_type("timetz", "'12:00+00'", "'13:00+01'"),
    "infinite date": of_type("date", "'infinity'", "'-infinity'"),
    "money": of_type("money", "'1.00'", "'1.01'"),
    "jsonb of another scale": of_type("jsonb", """'{"a": 1.0}'""", """'{"a": 1.00}'"""),
    "json of other blanks": of_type("json", """'{"a": 1}'""", """'{"a":1}'"""),
    "xml": of_type("xml", "'<a/>'", "'<a></a>'"),
    "xml that is no document": of_type("xml", "'a<b/>'", "'a<c/>'"),
    "uuid": of_type(
        "uuid",
        "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'",
        "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12'",
    ),
    "network": of_type("inet", "'10.0.0.1'", "'10.0.0.1/24'"),
    "bits": of_type("bit varying", "B'10'", "B'010'"),
    "geometry": of_type("point", "'(0,1)'", "'(-0,1)'"),
    "words": of_type("tsvector", "'a:1'", "'a:2'"),
    "reference to a table": of_type("regclass", "'t'", "'pg_class'"),
    "domain": of_type("d", "1.0", "1.00", create="CREATE DOMAIN d AS numeric CHECK (VALUE > 0)"),
    "domain over a domain": of_type(
        "e", "'x '", "'x'", create="CREATE DOMAIN d AS bpchar; CREATE DOMAIN e AS d"
    ),
    "enum": of_type("m", "'sad'", "'ok'", create="CREATE TYPE m AS ENUM ('sad', 'ok')"),
    "enum with a cast to text that hides it": of_type(
        "m",
        "'sad'",
        "'ok'",
        create="CREATE TYPE m AS ENUM ('sad', 'ok');"
        " CREATE FUNCTION f(m) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'x' $$;"
        " CREATE CAST (m AS text) WITH FUNCTION f(m)",
    ),
    "array of enum": of_type(
        "m[]", "'{sad,ok}'", "'{ok,sad}'", create="CREATE TYPE m AS ENUM ('sad', 'ok')"
    ),
    "composite": of_type("p", "(1, NULL)", "(1, '')", create="CREATE TYPE p AS (a int, b text)"),
    "range": of_type("int4range", "'[1,5)'", "'[1,6)'"),
    "range of numeric": of_type("numrange", "'[1.0,2)'", "'[1.00,2)'"),
    "multirange": of_type("int4multirange", "'{[1,2)}'", "'{}'"),
    "citext": of_type("citext", "'Abc'", "'ABC'"),
    "a collation to which upper and lower case are equal": of_type(
        "text COLLATE blind",
        "'Abc'",
        "'ABC'",
        create="CREATE COLLATION blind"
        " (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
    ),
    "hostile names": Case(
        """CREATE TABLE "t""; DROP TABLE %s {} 'ž'" ("ROW(" text, "%s {} 'ž'" int, r text)""",
        (
            """INSERT INTO "t""; DROP TABLE %s {} 'ž'" VALUES ('a', 1, '')""",
            """INSERT INTO "t""; DROP TABLE %s {} 'ž'" VALUES ('', 1, 'b')""",
        ),
        """UPDATE "t""; DROP TABLE %s {} 'ž'" SET "ROW(" = 'b', r = '' WHERE r = 'b'""",
        where="t\"; DROP TABLE %s {} 'ž'",
    ),
    "a value that moved to the column beside": Case(
        "CREATE TABLE t (a text, b text)",
        ("INSERT INTO t VALUES ('x', '')", "INSERT INTO t VALUES ('y', '')"),
        "UPDATE t SET a = b, b = a WHERE a = 'x'",
    ),
    "values that moved to the row beside": Case(
        "CREATE TABLE t (a int, b text)",
        ("INSERT INTO t VALUES (1, 'x')", "INSERT INTO t VALUES (2, 'y')"),
        "UPDATE t SET b = CASE b WHEN 'x' THEN 'y' ELSE 'x' END",
    ),
    "which of two rows there is twice": Case(
        "CREATE TABLE t (a text)",
        ("INSERT INTO t VALUES ('x')", "INSERT INTO t VALUES ('x')", "INSERT INTO t VALUES ('y')"),
        "DELETE FROM t; INSERT INTO t VALUES ('x'), ('y'), ('y')",
    ),
    "generated column": Case(
        "CREATE TABLE t (a int, b int GENERATED ALWAYS AS (a * 0) STORED)",
        ("INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)"),
        "ALTER TABLE t ALTER b SET EXPRESSION AS (a * 0 + 1)",
    ),
    "row-level security that hides all rows, of the owner too": Case(
        "CREATE TABLE t (a int); ALTER TABLE t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;"
        "CREATE POLICY none ON t USING (false)",
        ("INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)"),
        "UPDATE t SET a = 3 WHERE a = 1",
    ),
    "a child whose columns stand in another order": Case(
        "CREATE TABLE parent (a int, b text); CREATE TABLE t (b text, a int);"
        "ALTER TABLE t INHERIT parent",
        ("INSERT INTO parent VALUES (1, 'x')", "INSERT INTO t VALUES ('x', 1)"),
        "UPDATE t SET b = 'y'",
    ),
    "partition by range": Case(
        "CREATE TABLE p (a int) PARTITION BY RANGE (a);"
        "CREATE TABLE t PARTITION OF p FOR VALUES FROM (0) TO (10);"
        "CREATE TABLE u PARTITION OF p DEFAULT",
        ("INSERT INTO p VALUES (1)", "INSERT INTO p VALUES (11)"),
        "UPDATE p SET a = 2 WHERE a = 1",
    ),
    "partition by list, of a partition": Case(
        "CREATE TABLE p (a int, b text) PARTITION BY LIST (b);"
        "CREATE TABLE q PARTITION OF p FOR VALUES IN ('x') PARTITION BY RANGE (a);"
        "CREATE TABLE t PARTITION OF q DEFAULT; CREATE TABLE u PARTITION OF p DEFAULT",
        ("INSERT INTO p VALUES (1, 'x')", "INSERT INTO p VALUES (1, 'y')"),
        "UPDATE p SET a = 2 WHERE b = 'x'",
    ),
    "partition by hash": Case(
        "CREATE TABLE p (a int, b text) PARTITION BY HASH (a);"
        "CREATE TABLE t PARTITION OF p FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
        ("INSERT INTO p VALUES (1, 'x')", "INSERT INTO p VALUES (2, 'y')"),
        "UPDATE p SET b = 'z' WHERE a = 1",
    ),
    "unlogged": Case(
        "CREATE UNLOGGED TABLE t (a int)",
        ("INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (2)"),
        "UPDATE t SET a = 3 WHERE a = 1",
    ),
    "a table without columns": Case(
        "CREATE TABLE t ()",
        ("INSERT INTO t DEFAULT VALUES", "INSERT INTO t DEFAULT VALUES"),
        "DELETE FROM t WHERE ctid = (SELECT max(ctid) FROM t)",
    ),
    "1600 columns": Case(
        f"CREATE TABLE t ({', '.join(f'c{i} numeric' for i in range(1600))})",
        ("INSERT INTO t (c0, c1599) VALUES (1, 2)", "INSERT INTO t (c1) VALUES (1)"),
        "UPDATE t SET c1599 = 2.0 WHERE c0 = 1",
    ),
    "1600 moments": Case(
        f"CREATE TABLE t ({', '.join(f'c{i} timestamp' for i in range(1600))})",
        ("INSERT INTO t (c0) VALUES ('2026-11-23')", "INSERT INTO t (c1599) VALUES ('2026-11-22')"),
        "UPDATE t SET c1 = '2026-11-21' WHERE c0 IS NULL",
    ),
    "a dropped column": Case(
        "CREATE TABLE t (a int, b text, c int); ALTER TABLE t DROP b",
        ("INSERT INTO t VALUES (1, 2)", "INSERT INTO t VALUES (3, 4)"),
        "UPDATE t SET c = 5 WHERE a = 1",
    ),
}


@pytest.fixture(scope="module")
def place(server: Server) -> Iterator[Server]:
    """A database for the whole module; every test rolls its work back."""
    name = "otisky"
    with databases.connect(server) as admin:
        databases.create(admin, name, {})
        with databases.connect(server.database(name)) as session:
            session.execute("CREATE EXTENSION citext")
        yield server.database(name)
        databases.drop(admin, name)


@pytest.fixture
def session(place: Server) -> Iterator[Connection]:
    """A transaction that is rolled back."""
    with databases.connect(place, autocommit=False) as connection:
        yield connection
        connection.rollback()


def content(session: Connection) -> dict[str, tuple[int, str | None]]:
    """Rows and hash of every table, as any session would find them."""
    with session.transaction():
        fingerprint.pin(session)
        found = {each.name: (each.rows, each.hash) for each in fingerprint.tables(session)}
        restore_defaults(session)
    return found


def restore_defaults(session: Connection) -> None:
    for name in (*CONTRARY, "lc_monetary"):
        session.execute(f"SET LOCAL {name} TO DEFAULT".encode())


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_only_a_change_of_content_changes_a_fingerprint(session: Connection, case: Case) -> None:
    def filled(rows: tuple[str, ...]) -> dict[str, tuple[int, str | None]]:
        session.execute(case.create)
        for row in rows:
            session.execute(row.encode())
        return content(session)

    try:
        with session.transaction():
            before = filled(case.rows)
            raise psycopg.Rollback
    except psycopg.errors.FeatureNotSupported as lacking:
        pytest.skip(f"this build of the server cannot do it: {lacking}")
    assert filled(case.rows[::-1]) == before
    for name, value in CONTRARY.items():
        session.execute("SELECT set_config(%s, %s, true)", [name, value])
    assert content(session) == before
    session.execute(case.change.encode())
    after = content(session)
    assert {name for name in before if before[name] != after[name]} == {case.where}


def test_settings_of_the_role_and_of_the_database_change_nothing(
    place: Server, new_database: Callable[[str], Server]
) -> None:
    def found(database: Server) -> object:
        with databases.connect(database) as session:
            return fingerprint.restored(session, sampled=frozenset(), version_table="v")[0]

    database = new_database("svérázná")
    with databases.connect(database) as session:
        session.execute(
            "CREATE TABLE t AS SELECT now() AS at, '1 mon 2 days'::interval AS i,"
            " '{0.1}'::float8[] AS f, ARRAY['\\x00ff'::bytea] AS b, ARRAY[now()] AS moments"
        )
    before = found(database)
    with databases.connect(database) as session:
        for name, value in CONTRARY.items():
            session.execute(f"ALTER DATABASE svérázná SET {name} = '{value}'".encode())
    with databases.connect(database) as session:
        row = session.execute("SHOW DateStyle").fetchone()
        assert row == ("SQL, DMY",)
    assert found(database) == before


def test_only_partitions_whose_rows_a_restore_spreads_anew_are_compared_as_one(
    session: Connection,
) -> None:
    session.execute(
        "CREATE TYPE m AS ENUM ('a'); CREATE DOMAIN d AS m;"
        "CREATE TABLE by_enum (v m) PARTITION BY HASH (v);"
        "CREATE TABLE by_enum1 PARTITION OF by_enum FOR VALUES WITH (MODULUS 1, REMAINDER 0);"
        "CREATE TABLE by_domain (v d) PARTITION BY HASH (v);"
        "CREATE TABLE by_domain1 PARTITION OF by_domain FOR VALUES WITH (MODULUS 1, REMAINDER 0);"
        "CREATE TABLE by_words (v m) PARTITION BY HASH ((coalesce(v, 'a')));"
        "CREATE TABLE by_words1 PARTITION OF by_words FOR VALUES WITH (MODULUS 1, REMAINDER 0)"
        " PARTITION BY LIST (v); CREATE TABLE by_words2 PARTITION OF by_words1 DEFAULT;"
        "CREATE TABLE by_number (v int, e m) PARTITION BY HASH (v);"
        "CREATE TABLE by_number1 PARTITION OF by_number FOR VALUES WITH (MODULUS 1, REMAINDER 0);"
        "CREATE TABLE by_list (v m) PARTITION BY LIST (v);"
        "CREATE TABLE by_list1 PARTITION OF by_list DEFAULT"
    )
    fingerprint.pin(session)
    assert {each.name: each.root for each in fingerprint.tables(session)} == {
        "by_enum1": "public.by_enum",
        "by_domain1": "public.by_domain",
        "by_words2": "public.by_words",
        "by_number1": "",
        "by_list1": "",
    }


def test_every_byte_of_a_large_object_counts_beyond_its_first_piece_too(
    session: Connection,
) -> None:
    def found() -> fingerprint.LargeObjects:
        return everything(session).large_objects

    piece = 8 << 20
    assert found().count == 0
    session.execute(
        f"SELECT lo_from_bytea(70001, ''), lo_from_bytea(70002, 'x'),"
        f" lo_from_bytea(70003, decode(repeat('00', {piece}), 'hex')),"
        f" lo_from_bytea(70004, decode(repeat('00', {piece} + 1), 'hex'))".encode()
    )
    seen = [found()]
    for change in (
        "lo_put(70002, 0, 'y')",
        "lo_put(70001, 0, 'x')",
        f"lo_put(70003, {piece - 1}, 'x')",
        f"lo_put(70004, {piece}, 'x')",
        "lo_put(70002, 0, 'x'), lo_put(70001, 0, 'y')",
    ):
        session.execute(f"SELECT {change}".encode())
        seen.append(found())
    assert len({each.hash for each in seen}) == len(seen)
    assert {each.count for each in seen} == {4}


def test_the_newest_moment_is_the_last_that_is_not_in_the_future(session: Connection) -> None:
    session.execute(
        "CREATE TABLE t (a timestamptz, b timestamp);"
        "INSERT INTO t VALUES ('2026-01-01 12:00+01', '2025-01-01'), ('infinity', '9999-01-01');"
        "CREATE TABLE old (a timestamptz); INSERT INTO old VALUES ('4713-01-01 BC');"
        "CREATE TABLE none (a date); INSERT INTO none VALUES ('2026-01-01')"
    )
    fingerprint.pin(session)
    assert {each.name: each.newest for each in fingerprint.tables(session)} == {
        "t": datetime(2026, 1, 1, 11, tzinfo=UTC),
        "old": None,
        "none": None,
    }


def test_tables_of_others_are_not_read(session: Connection) -> None:
    session.execute(
        "CREATE TEMP TABLE mine (a int); CREATE VIEW v AS SELECT 1 AS a;"
        "CREATE MATERIALIZED VIEW m AS SELECT 1 AS a; CREATE TABLE of_extension ();"
        "ALTER EXTENSION citext ADD TABLE of_extension; CREATE TABLE t ()"
    )
    fingerprint.pin(session)
    assert [each.name for each in fingerprint.tables(session)] == ["t"]
    assert everything(session).materialized_views == {"public.m": 1}


def test_a_sequence_that_moved_is_recorded_with_its_range(session: Connection) -> None:
    session.execute("CREATE SEQUENCE still; CREATE SEQUENCE begun; CREATE SEQUENCE moved")
    session.execute("SELECT nextval('moved')")
    fingerprint.pin(session)
    first = fingerprint.definitions(session, "v")
    session.execute("SELECT nextval('public.begun'), nextval('public.moved')")
    ended = fingerprint.finished(session, first, 1.0)
    assert {each.name: (each.value, each.until, each.called) for each in ended.sequences} == {
        "still": (1, 1, False),
        "begun": (1, 1, None),
        "moved": (1, 2, True),
    }


def test_alembic_heads_are_read_where_the_setting_says(session: Connection) -> None:
    session.execute(
        'CREATE SCHEMA "Jiné"; CREATE TABLE "Jiné".v (version_num text);'
        "INSERT INTO \"Jiné\".v VALUES ('b'), ('a'); CREATE TABLE empty (version_num text)"
    )
    heads = [
        fingerprint.definitions(session, table).alembic_head for table in ("Jiné.v", "v", "empty")
    ]
    assert heads == ["a, b", None, None]


SAMPLED = "CREATE TABLE t AS SELECT i, repeat('x', 9) AS v FROM generate_series(1, 300000) AS i"


def test_a_table_over_its_time_is_sampled_and_the_sample_is_the_same_again(
    session: Connection,
) -> None:
    session.execute(SAMPLED)
    fingerprint.pin(session)
    session.execute("CREATE TABLE public.quick (a int)")

    def found(timeout_s: float | None = 0.001) -> fingerprint.Table:
        sampled = frozenset({("public", "t")} if timeout_s is None else ())
        small, whole = fingerprint.tables(session, table_timeout_s=timeout_s, sampled=sampled)
        assert (small.name, small.sampled) == ("quick", False)
        return whole

    before = found()
    assert (before.sampled, before.rows) == (True, 300_000)
    assert found(None) == before
    changed = []
    for number in range(1, 1 + 10 * fingerprint.SAMPLE):
        session.execute("SAVEPOINT one")
        session.execute("UPDATE public.t SET v = 'y' WHERE i = %s", [number])
        changed.append(found(None).hash != before.hash)
        session.execute("ROLLBACK TO one")
        if {True, False} <= set(changed):
            return
    pytest.fail("the sample has either none or all of the rows")


def test_a_table_without_a_key_is_sampled_by_more_than_its_first_column(
    session: Connection,
) -> None:
    session.execute(
        "CREATE TABLE t AS SELECT true AS a, 1 AS b, i AS n FROM generate_series(1, 1000) AS i"
    )
    fingerprint.pin(session)
    key = frozenset({("public", "t")})
    (before,) = fingerprint.tables(session, sampled=key)
    session.execute("UPDATE public.t SET a = false WHERE n % 2 = 0")
    (after,) = fingerprint.tables(session, sampled=key)
    assert before.hash not in ("0", after.hash)


def test_a_role_that_may_not_see_all_rows_takes_no_thinner_backup(
    settings: Settings, small: Server
) -> None:
    with databases.connect(small) as admin:
        admin.execute(
            "CREATE TABLE tajné (a int); INSERT INTO tajné VALUES (1);"
            "ALTER TABLE tajné ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;"
            "CREATE POLICY nic ON tajné USING (false);"
            "CREATE ROLE polovidomý LOGIN PASSWORD 'p'; GRANT pg_read_all_data TO polovidomý;"
            "GRANT SELECT ON pg_authid TO polovidomý"
        )
        thin = Server({**small.params, "user": "polovidomý", "password": "p"})
        try:
            with pytest.raises(DrError, match="row-level security"):
                take(settings, thin, reason="test")
            with databases.connect(thin, autocommit=False) as session:
                fingerprint.pin(session)
                with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level"):
                    fingerprint.tables(session)
                session.rollback()
        finally:
            admin.execute("DROP OWNED BY polovidomý; DROP ROLE polovidomý")
    assert list(settings.store_dir.glob("*.sql")) == []


def test_values_that_two_rows_exchanged_are_found_whatever_they_are(session: Connection) -> None:
    """A record's hash is linear in those of its columns, and so would a bare sum of them be."""
    session.execute("CREATE TABLE t (a int, b int)")
    fingerprint.pin(session)
    for number in range(50):
        swapped = []
        for pairs in ([(1, number), (2, -number - 1)], [(1, -number - 1), (2, number)]):
            session.execute("TRUNCATE public.t")
            session.cursor().executemany("INSERT INTO public.t VALUES (%s, %s)", pairs)
            swapped.append(fingerprint.tables(session)[0].hash)
        assert swapped[0] != swapped[1]
