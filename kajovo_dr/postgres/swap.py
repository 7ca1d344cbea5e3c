"""One database takes another's name: atomically, in milliseconds, with nothing to heal afterwards.

Belongs here: the exchange of names and who must be disconnected for it. Not here: what the new
database must have before (``carry_over``), and why it is done.

The whole exchange is one statement, and so one transaction, that locks the catalog of databases:
whoever connects meanwhile waits and then finds the new database under the name, without an error.
Only sessions that are in the database, or just entering it, are ended, which a rename cannot do
without. Whether this process or the server dies in it, or the connection breaks: the server has
done all of it or none. Measured under 200 requests per second (docs/outage.md): 20 ms [17-24]
without an answer for 8 clients, 40 ms [36-58] for 32. Closing the database first
(ALLOW_CONNECTIONS false) takes as long, and a crash leaves it closed.
"""

from __future__ import annotations

import secrets
import threading
import time
from contextlib import suppress
from dataclasses import dataclass

from psycopg import errors as pg
from psycopg import sql

from kajovo_dr.errors import DrError, SwapFailed
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.databases import Connection
from kajovo_dr.postgres.server import Server

#: Milliseconds to wait for the catalog's lock: new sessions of the whole server wait with us.
_LOCK_MS = 250
#: Attempts to get it. Who holds it in another database is not ours to end: then without the lock.
_ATTEMPTS = 3
#: Milliseconds for the exchange itself: a session that does not end in that time is stuck.
_EXCHANGE_MS = 2000
#: Sessions in these databases, and those that are just entering one: they hold its lock already,
#: and are not yet counted among the sessions.
_INSIDE = """
    SELECT pid FROM pg_stat_get_activity(NULL) WHERE datid = ANY (%(oids)s)
    AND pid <> pg_backend_pid()
    UNION SELECT pid FROM pg_locks WHERE locktype = 'object' AND pid <> pg_backend_pid()
    AND classid = 'pg_catalog.pg_database'::regclass AND objid = ANY (%(oids)s)
"""
_STUCK = (
    "a session there cannot be ended: end it by hand (pg_stat_activity) or as a superuser, then:"
    " kajovo-dr recover --resume."
)
#: Seconds between two rounds of ending sessions.
_PAUSE_S = 0.005
_EXCHANGE = """
DO {tag}
DECLARE
    inside integer[];
    oids oid[] := {oids};
BEGIN
    LOCK TABLE pg_catalog.pg_database IN ACCESS EXCLUSIVE MODE;
    {checks}
    LOOP
        PERFORM pg_stat_clear_snapshot();
        SELECT array_agg(pid) INTO inside FROM ({inside}) s;
        EXIT WHEN inside IS NULL;
        PERFORM pg_terminate_backend(pid) FROM unnest(inside) pid;
        PERFORM pg_sleep(0.001);
    END LOOP;
    {renames}
END
{tag}
"""
_CHECK = """
    IF (SELECT oid FROM pg_database WHERE datname = {name}) IS DISTINCT FROM {oid} THEN
        RAISE EXCEPTION USING MESSAGE = {message};
    END IF;
"""


@dataclass(frozen=True)
class Renaming:
    """A database that gets another name. oid: which it is, whatever its name."""

    oid: int
    old: str
    new: str


@dataclass(frozen=True)
class Exchange:
    """What is renamed, in this order, and whose comment changes with it (name to comment)."""

    renamings: tuple[Renaming, ...]
    comments: tuple[tuple[str, str | None], ...] = ()


def oid_of(connection: Connection, name: str) -> int | None:
    """Which database has the name now; None when none has."""
    row = connection.execute("SELECT oid FROM pg_database WHERE datname = %s", [name]).fetchone()
    return int(row[0]) if row else None


def name_of(connection: Connection, oid: int) -> str | None:
    """The name that a database has now; None when it is gone."""
    row = connection.execute("SELECT datname FROM pg_database WHERE oid = %s", [oid]).fetchone()
    return str(row[0]) if row else None


def obstacles(connection: Connection, names: list[str]) -> list[str]:
    """What would keep a database from being renamed and cannot be ended: prepared transactions."""
    found = connection.execute(
        "SELECT database, gid FROM pg_prepared_xacts WHERE database = ANY (%s) ORDER BY 1, 2",
        [names],
    ).fetchall()
    return [f"prepared transaction {gid!r} in {database}" for database, gid in found]


def exchange(admin: Connection, server: Server, wanted: Exchange) -> float:
    """Rename the databases, ending their sessions; the seconds it took. All of it, or none.

    admin: a session in the maintenance database of the server. Raises `SwapFailed` when the server
    refuses, and `ServerLost` when the connection broke: then it is either done or not, and
    `oid_of` tells.
    """
    if found := obstacles(admin, [each.old for each in wanted.renamings]):
        raise SwapFailed(
            f"{server.address}: {'; '.join(found)} would not let go",
            hint="COMMIT PREPARED or ROLLBACK PREPARED it there, then: kajovo-dr recover --resume.",
        )
    began = time.monotonic()
    try:
        if not _with_the_lock(admin, wanted):
            _without_the_lock(admin, server, wanted)
    except pg.Error as failure:
        if admin.broken:
            raise
        stuck = isinstance(failure, pg.QueryCanceled | pg.ObjectInUse)
        raise SwapFailed(
            f"{server.address}: {_said(failure)}", hint=_STUCK if stuck else ""
        ) from None
    return time.monotonic() - began


def _with_the_lock(admin: Connection, wanted: Exchange) -> bool:
    """Whether it could be done under the catalog's lock, which is for superusers."""
    for _ in range(_ATTEMPTS):
        try:
            _under_the_catalogs_lock(admin, wanted)
        except pg.InsufficientPrivilege:
            return False
        except (pg.LockNotAvailable, pg.DeadlockDetected):
            # perhaps a long transaction in these very databases, which must end anyway
            _end_sessions(admin, wanted)
        else:
            return True
    return False


def _end_sessions(session: Connection, wanted: Exchange, *, but: int = 0) -> None:
    """One by one: the server refuses to end some, such as its own workers, which end themselves."""
    oids = [each.oid for each in wanted.renamings]
    for (pid,) in session.execute(_INSIDE.encode(), {"oids": oids}).fetchall():
        if pid != but:
            with suppress(pg.InsufficientPrivilege):
                session.execute("SELECT pg_terminate_backend(%s)", [pid])


def _said(failure: Exception) -> str:
    return str(failure).splitlines()[0]


def _under_the_catalogs_lock(admin: Connection, wanted: Exchange) -> None:
    oids = sql.SQL("ARRAY[{}]::oid[]").format(
        sql.SQL(", ").join(sql.Literal(each.oid) for each in wanted.renamings)
    )
    tag = f"$kajovo_dr_{secrets.token_hex(8)}$"  # no comment can hold it
    statement = sql.SQL(_EXCHANGE).format(
        tag=sql.SQL(tag),
        oids=oids,
        checks=sql.SQL("").join(_check(each) for each in wanted.renamings),
        inside=sql.SQL(_INSIDE.replace("%(oids)s", "oids")),
        renames=sql.SQL("").join(part + sql.SQL(";") for part in _renames(wanted)),
    )
    try:
        admin.execute(f"SET lock_timeout = {_LOCK_MS}".encode())
        admin.execute(f"SET statement_timeout = {_EXCHANGE_MS}".encode())
        admin.execute(statement)
    finally:
        with suppress(pg.Error):
            admin.execute("SET lock_timeout = 0")
            admin.execute("SET statement_timeout = 0")


def _check(renaming: Renaming) -> sql.Composed:
    """Somebody else may have renamed or replaced a database since it was looked at."""
    return sql.SQL(_CHECK).format(
        name=sql.Literal(renaming.old),
        oid=sql.Literal(renaming.oid),
        message=sql.Literal(f"{renaming.old!r} is no longer the database that it was"),
    )


def _renames(wanted: Exchange) -> list[sql.Composed]:
    renames = [
        sql.SQL("ALTER DATABASE {} RENAME TO {}").format(
            sql.Identifier(each.old), sql.Identifier(each.new)
        )
        for each in wanted.renamings
    ]
    comments = [
        sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(name), sql.Literal(text))
        for name, text in wanted.comments
    ]
    return renames + comments


def _without_the_lock(admin: Connection, server: Server, wanted: Exchange) -> None:
    """The same for a role that is no superuser: one transaction, too.

    A rename locks its database, then looks every 100 ms whether it is empty; a second session ends
    those that are in it. About 120 ms.
    """
    ended = threading.Event()

    def end_sessions() -> None:
        maintenance = server.database(admin.info.dbname)
        with suppress(DrError), databases.connect(maintenance) as second:
            while not ended.wait(_PAUSE_S):
                _end_sessions(second, wanted, but=admin.info.backend_pid)

    helper = threading.Thread(target=end_sessions, daemon=True)
    helper.start()
    try:
        with admin.transaction():
            for statement in _renames(wanted):
                admin.execute(statement)
            for each in wanted.renamings:
                if oid_of(admin, each.new) != each.oid:
                    raise SwapFailed(f"{each.old!r} is no longer the database that it was")
    finally:
        ended.set()
        helper.join()
