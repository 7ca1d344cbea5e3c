"""The legacy database, of which nothing is ever changed: its address and its rows by domain.

Belongs here: counting what there is to be migrated. Not here: who migrates it (``legacy``).
"""

from __future__ import annotations

import psycopg

from kajovo_dr.errors import LegacyFailed, SettingError
from kajovo_dr.hotel import LegacyDomain
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.settings import PREFIX, Settings


def address(settings: Settings, restored: Server) -> Server:
    """The legacy database; raises `SettingError` when it is the restored one itself."""
    source = Server.from_url(
        settings.need("legacy_url"),
        setting=PREFIX + "LEGACY_URL",
        connect_timeout=settings.connect_timeout_s,
    )
    if _identity(source) == _identity(restored):
        raise SettingError(
            f"KAJOVO_DR_LEGACY_URL names the restored database itself: {restored.shown}",
            hint="it must name the database of the old system; unset it when there is none.",
        )
    return source


def _identity(server: Server) -> str:
    with databases.connect(server) as connection:
        return databases.identity(connection, server)


def rows(settings: Settings, source: Server) -> dict[str, int]:
    """Domain -> rows that there are to be migrated; raises `LegacyFailed` naming the query."""
    with databases.connect(source, autocommit=False) as connection:
        connection.read_only = True
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        limit = f"{int(settings.legacy_timeout_s) + 1}s"
        connection.execute("SELECT set_config('statement_timeout', %s, true)", [limit])
        return {each.name: _count(connection, each) for each in settings.legacy_domains}


def _count(connection: databases.Connection, domain: LegacyDomain) -> int:
    try:
        row = connection.execute(domain.count_sql.encode()).fetchone()
    except psycopg.Error as failure:
        if connection.broken:
            raise
        why = str(failure).strip().partition("\n")[0]
        raise _misfit(domain, f"failed: {why}") from None
    if row is None or len(row) != 1 or type(row[0]) is not int:
        raise _misfit(domain, "does not return one number")
    return row[0]


def _misfit(domain: LegacyDomain, what: str) -> LegacyFailed:
    return LegacyFailed(
        f"the query of the legacy domain {domain.name} {what}",
        hint="look whether KAJOVO_DR_LEGACY_URL names the right database, and mend the query in "
        "KAJOVO_DR_LEGACY_DOMAINS.",
    )
