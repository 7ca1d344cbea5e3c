"""A backup of a schedule's tick: one, and in its turn, however many processes try.

Belongs here: whether a tick is served, and waiting while somebody else works at the database. Not
here: schedules (``defs.schedules``), and how a backup is taken (``take``). The files are the truth:
two daemons that launch a run each, or one run that is launched twice, know nothing of each other.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from kajovo_dr.backups import catalog
from kajovo_dr.backups.candidates import identities_of
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.recovery_point import SKEW_S
from kajovo_dr.backups.store import open_store
from kajovo_dr.backups.take import Taken, take
from kajovo_dr.errors import TargetBusy
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.progress import Progress, silent
from kajovo_dr.settings import Settings

#: Why such a backup was taken, as its manifest says.
REASON = "scheduled"
#: Seconds between two tries.
_PAUSE_S = 2.0


def take_for(
    settings: Settings,
    server: Server,
    tick: datetime,
    *,
    accept_shrink: bool = False,
    progress: Progress = silent,
) -> Taken | Backup:
    """Take the tick's backup; the one that serves it already, when there is one.

    Waits for others at work on the database, as long as a dump may take; raises `TargetBusy` after
    that, and whatever `take` raises.
    """

    def once() -> Taken | Backup:
        # looking and taking are one: a backup that ends between the two would not be seen
        with databases.mutex(server, settings.maintenance_database, purpose="scheduled backup"):
            return served(settings, server, tick) or take(
                settings, server, reason=REASON, accept_shrink=accept_shrink, progress=progress
            )

    return _in_turn(once, patience_s=settings.dump_timeout_s, progress=progress)


def served(settings: Settings, server: Server, tick: datetime) -> Backup | None:
    """The backup of a schedule that holds what the database held at the tick, or later; not one
    that was judged and is not proven: a run that is begun again after that takes another.
    """
    store = open_store(settings)
    identities = identities_of(settings, store, server)
    latest = datetime.now(UTC) + timedelta(
        seconds=SKEW_S
    )  # one of the future is of a clock that was wrong
    for each in catalog.backups(store, server.dbname, identities):
        of_schedule = each.manifest.reason == REASON and each.state in ("taken", "proven")
        if of_schedule and tick <= each.manifest.created_at <= latest:
            return each
    return None


def _in_turn(
    work: Callable[[], Taken | Backup], *, patience_s: float, progress: Progress
) -> Taken | Backup:
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return work()
        except TargetBusy as busy:
            if time.monotonic() > deadline:
                raise
            progress(f"waiting: {busy}", 0, None)
        time.sleep(_PAUSE_S)
