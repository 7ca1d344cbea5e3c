"""What a recovery takes away, told before and after: rows by table, accounts that go back in time.

Belongs here: comparing the live database with a backup and with what was restored, reading only.
Not here: choosing the backup (``choose``), ending sessions (``revoke``). Password hashes never
leave this module.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from psycopg import Error as PsycopgError
from psycopg import errors as pg
from psycopg import sql

from kajovo_dr.backups.catalog import Backup
from kajovo_dr.errors import SettingError
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.settings import Settings

#: Seconds for all counts together, and to wait for one locked table.
_COUNTED_WITHIN_S = 60.0
_LOCKED_S = 2.0
_ACCOUNTS_S = 10.0


@dataclass(frozen=True)
class Account:
    """An account that a recovery changes.

    password: it has the old one again. deleted: it was made after the backup. returns: it was
    deleted after the backup.
    """

    who: str
    what: Literal["password", "deleted", "returns"]


def lost_rows(live: Server, backup: Backup) -> dict[str, int]:
    """``schema.table`` to rows that the live database has and the backup has not (negative: the
    other way round), where they differ.

    Counted exactly, in a minute at most; a table that could not be counted is left out. Raises the
    server's errors when it does not answer.
    """
    promised = backup.manifest.counts
    with databases.connect(live) as session:
        session.execute("SET default_transaction_read_only = on")
        session.execute("SET row_security = off")  # an error instead of fewer rows
        session.execute(f"SET lock_timeout = '{_LOCKED_S:g}s'".encode())
        tables = databases.counted_tables(session)
        deadline = time.monotonic() + _COUNTED_WITHIN_S
        counts = {table: _count(session, table, deadline) for table in tables}
    found = {
        table: rows - promised.get(table, 0) for table, rows in counts.items() if rows is not None
    }
    found |= {table: -rows for table, rows in promised.items() if table not in counts}
    return {".".join(table): rows for table, rows in sorted(found.items()) if rows}


def _count(session: databases.Connection, table: tuple[str, str], deadline: float) -> int | None:
    """Exact rows; None: locked, forbidden, dropped meanwhile, or out of time."""
    left = deadline - time.monotonic()
    if left <= 0:
        return None
    query = sql.SQL("SELECT count(*) FROM ONLY {}").format(sql.Identifier(*table))
    try:
        session.execute(f"SET statement_timeout = {max(1, int(left * 1000))}".encode())
        row = session.execute(query).fetchone()
    except PsycopgError:
        if session.broken:
            raise
        return None
    assert row is not None
    return int(row[0])


def accounts_taken_back(settings: Settings, live: Server, restored: Server) -> list[Account]:
    """The accounts whose password hash differs between both databases, or that one of them lacks.

    Empty when the settings ask for none, or a database has no such tables. Raises `SettingError`
    for a query that fails otherwise.
    """
    if not settings.password_hashes_sql:
        return []
    now = _hashes(settings.password_hashes_sql, live)
    then = _hashes(settings.password_hashes_sql, restored)
    if now is None or then is None:
        return []
    return [
        Account(who, _judged(who, now, then))
        for who in sorted(now.keys() | then.keys())
        if now.get(who) != then.get(who)
    ]


_Hashes = Mapping[str, frozenset[str | None]]


def _judged(who: str, now: _Hashes, then: _Hashes) -> Literal["password", "deleted", "returns"]:
    if who not in then:
        return "deleted"
    return "password" if who in now else "returns"


def _hashes(query: str, server: Server) -> _Hashes | None:
    """Whose -> hashes; None when a table is missing."""
    found: defaultdict[str, frozenset[str | None]] = defaultdict(frozenset)
    with databases.connect(server, autocommit=False) as connection:
        connection.read_only = True
        connection.execute(f"SET LOCAL statement_timeout = '{_ACCOUNTS_S:g}s'".encode())
        connection.execute(f"SET LOCAL lock_timeout = '{_LOCKED_S:g}s'".encode())
        try:
            answer = connection.execute(query.encode(), prepare=True)
            width = len(answer.description or ())
            rows = answer.fetchall() if width else []
        except pg.UndefinedTable:
            return None
        except PsycopgError as failure:
            if connection.broken:
                raise
            raise _refused(_said(failure)) from None
    if width != 2:
        raise _refused(f"it returns {width} columns, not two: whose, and the hash")
    for who, hashed in rows:
        found[str(who)] |= {None if hashed is None else str(hashed)}
    return found


def _said(failure: PsycopgError) -> str:
    """The server's words where they are about the query's own text; others may quote a hash."""
    of_names = (failure.sqlstate or "").startswith("42")
    return (failure.diag.message_primary if of_names else None) or type(failure).__name__


def _refused(why: str) -> SettingError:
    return SettingError(
        f"KAJOVO_DR_PASSWORD_HASHES_SQL: {why}", hint="mend the query, or set it to none."
    )
