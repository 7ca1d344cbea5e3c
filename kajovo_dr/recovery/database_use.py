"""Whether the application really works on the database that is tested, and not on another one.

After a restore beside a living database the application still reads the old one; if the backup is
fresh even the counts agree, and a smoke test would prove nothing. So somebody else's session must
be seen in the tested database while the application answers.

Not here: what the application answers (``smoke``).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from kajovo_dr import process
from kajovo_dr.errors import ServerError
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.server import Server

#: Seconds between two looks: a pool keeps its sessions, so few looks are needed.
_PAUSE_S = 0.05
#: Seconds for our earlier sessions to be gone, and for a session that ended to be counted, which
#: it is before it ends.
_SETTLE_S = 2
#: Sessions in this database that are not ours; what they do is hidden from ordinary users.
_OTHERS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND pid <> pg_backend_pid() AND application_name {} 'kajovo_dr'"
    " AND coalesce(backend_type, 'client backend') = 'client backend'"
)
_BEGUN = "SELECT sessions FROM pg_stat_database WHERE datname = current_database()"


class DatabaseUse:
    """What was seen of the application's sessions; read `seen` after the block."""

    def __init__(self) -> None:
        self.seen = False


@contextmanager
def watched(server: Server) -> Iterator[DatabaseUse]:
    """Watch a database while the block makes the application use its own."""
    use, ended = DatabaseUse(), threading.Event()
    with databases.connect(server) as session:
        begun = _sessions_begun(session)

        def look() -> None:
            while not use.seen and not ended.wait(_PAUSE_S):
                try:
                    use.seen = _number(session, _OTHERS.format("<>")) > 0
                except Exception:  # noqa: BLE001 - a lost server shows in every endpoint
                    return

        watcher = threading.Thread(target=look, daemon=True)
        watcher.start()
        try:
            yield use
        finally:
            ended.set()
            watcher.join()
        if not use.seen and begun is not None:
            # an application without a pool connects for each request: no look may have met it
            use.seen = process.wait_until(
                lambda: _number(session, _BEGUN) > begun, timeout=_SETTLE_S
            )


def _sessions_begun(session: databases.Connection) -> int | None:
    """The counter of sessions, when ours can be told apart from the application's (since 15)."""
    if session.info.server_version < 150_000:
        return None
    process.wait_until(lambda: _number(session, _OTHERS.format("=")) == 0, timeout=_SETTLE_S)
    session.execute("SELECT pg_stat_force_next_flush()")  # our own session is counted now
    return _number(session, _BEGUN)


def _number(session: databases.Connection, query: str) -> int:
    row = session.execute(query.encode()).fetchone()
    if row is None:
        raise ServerError("the server keeps no statistics of this database")
    return int(row[0])
