"""Sessions and whole databases: connect, look, create, drop, and the mutex of a target.

Belongs here: SQL about databases, and the translation of psycopg's errors into ours. Not here: what
a backup or a restore does with it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors as pg
from psycopg import sql

from kajovo_dr.errors import (
    DatabaseMissing,
    DrError,
    ServerError,
    ServerLost,
    TargetBusy,
    TargetNotEmpty,
    Unreachable,
    WrongCredentials,
)
from kajovo_dr.postgres.ownership import NAMED
from kajovo_dr.postgres.server import Server

Connection = psycopg.Connection[tuple[Any, ...]]

#: Schemas of PostgreSQL itself; ``pg_toast``, ``pg_temp_*`` and the like match the pattern.
_USER_SCHEMAS = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
#: Limits that would end a backup or a restore in the middle; not every version has all of them.
_LIMITS = (
    "statement_timeout",
    "lock_timeout",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "transaction_timeout",
)
_LOCALE_OPTIONS = (
    "ENCODING",
    "LC_COLLATE",
    "LC_CTYPE",
    "LOCALE_PROVIDER",
    "ICU_LOCALE",
    "BUILTIN_LOCALE",
)
#: How servers refuse a locale: unknown, wrong kind, an older version, a build without ICU.
_LOCALE_REFUSED = (
    pg.FeatureNotSupported,
    pg.InvalidObjectDefinition,
    pg.InvalidParameterValue,
    pg.SyntaxError,
    pg.UndefinedObject,
    pg.WrongObjectType,
)


@dataclass(frozen=True)
class DatabaseFacts:
    """What a manifest records of a database."""

    server_version: str
    server_major: int
    bytes_on_disk: int
    locale: Mapping[str, str]  # options of CREATE DATABASE -> values


@contextmanager
def connect(server: Server, *, autocommit: bool = True) -> Iterator[Connection]:
    """A session without time limits of its role or database, which are for the application.

    Every psycopg error that leaves the block becomes one of ours.
    """
    connected = False
    try:
        with psycopg.connect(
            server.conninfo(), autocommit=True, client_encoding="UTF8"
        ) as connection:
            connected = True
            connection.execute(
                "SELECT set_config(name, '0', false) FROM pg_settings WHERE name = ANY(%s)",
                [list(_LIMITS)],
            )
            connection.autocommit = autocommit
            yield connection
    except psycopg.Error as failure:
        raise _translated(failure, server, connected=connected) from None


def _translated(failure: psycopg.Error, server: Server, *, connected: bool) -> DrError:
    """Our error for psycopg's, by SQLSTATE where there is one, else by libpq's words."""
    # its detail may quote a row; what did not come from the server has no primary message
    text = " ".join((failure.diag.message_primary or str(failure)).split())
    if isinstance(failure, pg.InvalidCatalogName) or f'database "{server.dbname}" does not' in text:
        return DatabaseMissing(f"database {server.dbname!r} does not exist: {server.shown}")
    if isinstance(failure, pg.InvalidAuthorizationSpecification) or any(
        words in text for words in ("authentication failed", "no password supplied")
    ):
        return WrongCredentials(f"the server refused user {server.user!r}: {server.shown}")
    if isinstance(failure, pg.AdminShutdown | pg.CrashShutdown):
        return ServerLost(f"the connection to {server.shown} broke: {text}")
    if isinstance(failure, pg.CannotConnectNow):
        return Unreachable(f"the server is starting or stopping: {server.shown}")
    if isinstance(failure, pg.LockNotAvailable):
        return ServerError(
            f"a table of {server.shown} stayed locked: {text}",
            hint="let the schema change or the bulk load end, and run this again.",
        )
    if failure.sqlstate is None and isinstance(failure, psycopg.OperationalError):
        if connected:
            return ServerLost(f"the connection to {server.shown} broke: {text}")
        return Unreachable(f"no answer from {server.shown}: {text}")
    return ServerError(f"{server.shown}: {text}")


def export_snapshot(connection: Connection, *, lock_timeout_s: int) -> str:
    """Begin a read-only transaction whose snapshot others (pg_dump) may read; its id.

    It must stay open for as long as they read. Row-level security is off, so that a role that may
    not see all rows fails instead of counting fewer.
    """
    connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
    connection.execute("SET LOCAL row_security = off")
    connection.execute(f"SET LOCAL lock_timeout = '{lock_timeout_s}s'".encode())
    row = connection.execute("SELECT pg_export_snapshot()").fetchone()
    assert row is not None
    return str(row[0])


def facts(connection: Connection) -> DatabaseFacts:
    """Version, size and locale of the database that the session is in."""
    row = connection.execute(
        "SELECT current_setting('server_version'), current_setting('server_version_num')::int,"
        " pg_database_size(oid), pg_encoding_to_char(encoding), to_jsonb(d)"
        " FROM pg_database d WHERE datname = current_database()"
    ).fetchone()
    assert row is not None
    version, number, size, encoding, raw = row
    locale = {"ENCODING": encoding, "LC_COLLATE": raw["datcollate"], "LC_CTYPE": raw["datctype"]}
    if raw.get("datlocprovider") == "i":  # the column with the locale was renamed in 17
        locale |= {"LOCALE_PROVIDER": "icu"}
        locale |= {"ICU_LOCALE": raw.get("datlocale") or raw.get("daticulocale") or "und"}
    elif raw.get("datlocprovider") == "b":
        locale |= {"LOCALE_PROVIDER": "builtin", "BUILTIN_LOCALE": raw["datlocale"]}
    return DatabaseFacts(version, number // 10000, size, locale)


def counted_tables(connection: Connection) -> list[tuple[str, str]]:
    """(schema, name) of every table whose rows a manifest counts: ordinary tables and partitions,
    not tables of extensions.
    """
    return connection.execute(
        "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        f" WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND {_USER_SCHEMAS} AND NOT EXISTS ("
        " SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid"
        " AND d.deptype = 'e') ORDER BY 1, 2"
    ).fetchall()


def row_counts(connection: Connection) -> dict[tuple[str, str], int]:
    """Exact rows of every table whose data a dump holds: (schema, name) -> rows.

    Each table is counted for itself (``ONLY``).
    """
    counts = {}
    for schema, name in counted_tables(connection):
        query = sql.SQL("SELECT count(*) FROM ONLY {}").format(sql.Identifier(schema, name))
        row = connection.execute(query).fetchone()
        assert row is not None
        counts[schema, name] = int(row[0])
    return counts


def roles_needed(connection: Connection) -> list[str]:
    """Roles that a dump of this database names: owners and holders of privileges."""
    named = connection.execute(
        f"SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' AND oid IN ({NAMED}) ORDER BY 1"
    ).fetchall()
    return [name for (name,) in named]


def missing_roles(connection: Connection, roles: list[str]) -> list[str]:
    """Those of the roles that this server does not have."""
    found = connection.execute("SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", [roles])
    return sorted(set(roles) - {name for (name,) in found})


def exists(connection: Connection, name: str) -> bool:
    """Whether the server has a database of this name."""
    found = connection.execute("SELECT FROM pg_database WHERE datname = %s", [name])
    return found.fetchone() is not None


def content(connection: Connection) -> list[str]:
    """Names of user objects in this database, at most ten: empty means nothing to lose."""
    found = connection.execute(
        "SELECT n.nspname || '.' || c.relname FROM pg_class c"
        f" JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {_USER_SCHEMAS}"
        " UNION ALL SELECT n.nspname || '.' || p.proname || '()' FROM pg_proc p"
        f" JOIN pg_namespace n ON n.oid = p.pronamespace WHERE {_USER_SCHEMAS}"
        " UNION ALL SELECT n.nspname || '.' || t.typname FROM pg_type t"
        f" JOIN pg_namespace n ON n.oid = t.typnamespace WHERE {_USER_SCHEMAS}"
        " AND t.typrelid = 0 AND t.typelem = 0"
        " UNION ALL SELECT 'schema ' || n.nspname FROM pg_namespace n"
        f" WHERE {_USER_SCHEMAS} AND n.nspname <> 'public'"
        " UNION ALL SELECT 'large object ' || oid::text FROM pg_largeobject_metadata LIMIT 10"
    ).fetchall()
    return [name for (name,) in found]


def refuse_reserved(connection: Connection, name: str) -> None:
    """Raise for a template or for the database of this session: neither is for an application."""
    found = connection.execute(
        "SELECT FROM pg_database WHERE datname = %s AND (datistemplate"
        " OR datname = current_database())",
        [name],
    )
    if found.fetchone() is not None:
        raise TargetNotEmpty(
            f"{name!r} belongs to the server: new databases are made from it, or it administers",
            hint="choose another name.",
        )


def identity(connection: Connection, server: Server) -> str:
    """A key of server and database that does not change with the address it is reached by."""
    try:
        row = connection.execute("SELECT system_identifier FROM pg_control_system()").fetchone()
        place = str(row[0]) if row else server.address
    except pg.InsufficientPrivilege:
        place = server.address
    return hashlib.sha256(f"{place}/{server.dbname}".encode()).hexdigest()[:16]


def rename(connection: Connection, old: str, new: str) -> None:
    """ALTER DATABASE ... RENAME; nobody may be connected to it."""
    connection.execute(
        sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(old), sql.Identifier(new))
    )


def comment(connection: Connection, name: str, text: str | None) -> None:
    """COMMENT ON DATABASE; None removes it."""
    words = sql.SQL("NULL") if text is None else sql.Literal(text)
    connection.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(name), words))


def commented(connection: Connection, name: str) -> str | None:
    """The comment of a database; None without one."""
    row = connection.execute(
        "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s", [name]
    ).fetchone()
    return row[0] if row else None


def create(
    connection: Connection, name: str, locale: Mapping[str, str], *, tablespace: str = ""
) -> None:
    """CREATE DATABASE from template0 with a source's locale (`DatabaseFacts.locale`)."""
    options = [
        sql.SQL(option) + sql.SQL(" ") + sql.Literal(value)
        for option, value in locale.items()
        if option in _LOCALE_OPTIONS
    ]
    if tablespace:
        options.append(sql.SQL("TABLESPACE {}").format(sql.Identifier(tablespace)))
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE template0 ").format(sql.Identifier(name))
    try:
        connection.execute(statement + sql.SQL(" ").join(options))
    except pg.DuplicateDatabase:
        raise TargetNotEmpty(f"database {name!r} was created by somebody else meanwhile") from None
    except pg.InsufficientPrivilege:
        raise ServerError(
            f"user {connection.info.user!r} may not create databases",
            hint="let an administrator create it empty, or grant CREATEDB, and run this again.",
        ) from None
    except _LOCALE_REFUSED as refused:
        said = " ".join(str(refused).split())
        raise ServerError(
            f"this server cannot create {name!r} with the backup's locale: {said}",
            hint="create the database empty, with a locale this server has, and run this again.",
        ) from None


def drop(connection: Connection, name: str) -> None:
    """DROP DATABASE, ending its sessions; a missing one is no error."""
    connection.execute(
        sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
    )


@contextmanager
def mutex(server: Server, maintenance_database: str, *, purpose: str = "") -> Iterator[Connection]:
    """Hold the one lock of a target database while the block runs; raises `TargetBusy` at once.

    purpose: another lock of the same database, for what may go on beside its backups.

    An advisory lock belongs to the database in which it is taken, so it is taken in the maintenance
    database: the target itself may not exist yet, or be about to vanish. It dies with the session,
    that is with the process that held it. Yields that session; a statement on it proves that the
    lock is still held.
    """
    key = _key(server, purpose)
    with connect(server.database(maintenance_database)) as connection:
        row = connection.execute("SELECT pg_try_advisory_lock(%s)", [key]).fetchone()
        if row != (True,):
            what = purpose or "backup or recovery"
            raise TargetBusy(f"another {what} of {server.shown} is running")
        try:
            yield connection
        finally:
            # a server notices the end of a session only some time after it: whoever asks next (the
            # next phase of this very recovery) must not find the lock still held
            with suppress(psycopg.Error):
                connection.execute("SELECT pg_advisory_unlock(%s)", [key])


def is_held(server: Server, maintenance_database: str, *, purpose: str = "") -> bool:
    """Whether somebody holds that lock now. It is looked for and not tried: whoever tries it takes
    it for an instant from the one that is about to.
    """
    with connect(server.database(maintenance_database)) as connection:
        row = connection.execute(
            "SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            " AND (classid::bigint << 32) | objid::bigint = %s",
            [_key(server, purpose)],
        ).fetchone()
    return row is not None


def _key(server: Server, purpose: str) -> int:
    of = f"{server.dbname}\0{purpose}" if purpose else server.dbname
    return int.from_bytes(hashlib.sha256(of.encode()).digest()[:8], "big", signed=True)


def size(connection: Connection, name: str) -> int:
    """Bytes that a database of this server takes on its disk."""
    row = connection.execute("SELECT pg_database_size(%s)", [name]).fetchone()
    assert row is not None
    return int(row[0])
