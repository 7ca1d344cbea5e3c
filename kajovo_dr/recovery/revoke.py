"""Ending what a restore would bring back to life: sessions, tokens, challenges, locks.

Belongs here: running the statements of the settings, all or none. Not here: the statements
(``hotel``) and the accounts that went back in time (``losses``).
"""

from __future__ import annotations

from psycopg import Error as PsycopgError
from psycopg.pq import TransactionStatus

from kajovo_dr.errors import SettingError
from kajovo_dr.hotel import Statement
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.settings import Settings


def revoke(settings: Settings, server: Server) -> dict[str, int]:
    """Run the statements on the database in one transaction; name to rows changed.

    One whose table is missing is left out. Raises `SettingError` naming the one that failed;
    nothing was changed then.
    """
    with databases.connect(server, autocommit=False) as connection:
        done = {each.name: _revoked(connection, each) for each in settings.revocations}
    return {name: rows for name, rows in done.items() if rows is not None}


def _revoked(connection: databases.Connection, statement: Statement) -> int | None:
    """Rows that it changed; None when its table is missing."""
    try:
        if statement.table and _missing(connection, statement.table):
            return None
        # prepared, it cannot be several
        done = connection.execute(statement.sql.encode(), prepare=True)
    except PsycopgError as failure:
        if connection.broken:  # the server's end says nothing of the statement
            raise
        said = failure.diag.message_primary or type(failure).__name__  # its detail quotes rows
        raise _refused(statement, said, "nothing was revoked") from None
    if connection.info.transaction_status != TransactionStatus.INTRANS:
        raise _refused(statement, "it ends the transaction", "what came before it was done")
    return max(0, done.rowcount)


def _missing(connection: databases.Connection, table: str) -> bool:
    return connection.execute("SELECT to_regclass(%s)", [table]).fetchone() == (None,)


def _refused(statement: Statement, why: str, so_far: str) -> SettingError:
    return SettingError(
        f"KAJOVO_DR_REVOCATIONS.{statement.name}: {why}",
        hint=f"mend the statement, or name the table without which it is left out; {so_far}.",
    )
