"""How things stand, on one screen: the recovery point, the last drill, the store, what comes next.

Belongs here: the facts, as a record that a terminal, a script and Dagster can show. Not here:
looking for what is wrong (the sources), and telling people (``look``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from kajovo_dr.alerts import channels
from kajovo_dr.alerts import ledger as book
from kajovo_dr.alerts.condition import Level, rank
from kajovo_dr.alerts.transitions import Standing
from kajovo_dr.backups.catalog import Entry
from kajovo_dr.backups.recovery_point import RecoveryPoint, point_of
from kajovo_dr.errors import DrError, NotProtected
from kajovo_dr.recovery import drill_history
from kajovo_dr.recovery.drill_record import DrillRecord
from kajovo_dr.settings import Settings
from kajovo_dr.watch.disk_forecast import DiskForecast, forecast
from kajovo_dr.watch.look import peek
from kajovo_dr.watch.next_runs import NextRun, next_runs
from kajovo_dr.watch.scene import Scene

T = TypeVar("T")


@dataclass(frozen=True)
class Status:
    """Everything on the screen. What nobody knows is None; why, is among what is wrong.

    daemon_at and watchdog_at: when they looked last. waiting: messages that have not arrived.
    next: the command to type now; empty when there is nothing to do.
    """

    now: datetime
    database: str
    point: RecoveryPoint | None
    backups: dict[str, int]
    newest: str
    drill: DrillRecord | None
    disk: DiskForecast | None
    folder: str
    runs: tuple[NextRun, ...]
    daemon_at: datetime | None
    watchdog_at: datetime | None
    channels: int
    waiting: int
    wrong: tuple[Standing, ...]

    @property
    def level(self) -> Level:
        """The worst of it."""
        return max((each.level for each in self.wrong), key=rank, default="ok")

    @property
    def next(self) -> str:
        """What to do about the worst."""
        return next((each.next for each in self.wrong if each.next), "")

    @property
    def is_bad(self) -> bool:
        """Whether something is worse than a warning."""
        return rank(self.level) > rank("warning")

    def require_protected(self) -> None:
        """Raise `NotProtected` when something is worse than a warning."""
        if not self.is_bad:
            return
        worst = self.wrong[0]
        hint = f"begin with: {self.next}." if self.next else ""
        raise NotProtected(f"{worst.level}: {worst.what}", hint=hint)


def status(settings: Settings, now: datetime) -> Status:
    """Look at everything as the watchdog does; nothing is written down and nobody is told."""
    return beside(settings, now, peek(settings, "watchdog", now))


def beside(settings: Settings, now: datetime, wrong: Sequence[Standing]) -> Status:
    """The facts beside what a look has found wrong."""
    scene = Scene(settings, now, book.read(settings.state), "watchdog")
    known, server = scene.known, _or_none(lambda: scene.server)
    looks = {name: seen.at for name, seen in known.looks.items()}
    history = _or_none(lambda: drill_history.read(settings.state).drills) or ()
    entries = _or_none(lambda: scene.entries) or []
    return Status(
        now=now,
        database=server.dbname if server is not None else "",
        point=_or_none(lambda: point_of(settings, scene.ours, now)),
        backups=_counted(entries),
        newest=entries[-1].path.name if entries else "",
        drill=history[-1] if history else None,
        disk=_or_none(lambda: forecast(scene.store, now)),
        folder=str(settings.store_dir),
        runs=tuple(next_runs(settings, now)),
        daemon_at=looks.get("daemon"),
        watchdog_at=looks.get("watchdog"),
        channels=len(channels.readable(settings)[0]),
        waiting=len(known.waiting),
        wrong=tuple(wrong),
    )


def _or_none(fact: Callable[[], T]) -> T | None:
    """A fact that cannot be had is missing here; why, is among what is wrong."""
    try:
        return fact()
    except (DrError, OSError):
        return None


def _counted(entries: Sequence[Entry]) -> dict[str, int]:
    """Backups by state; those that cannot be read are *unreadable*."""
    states = [each.state for each in entries]
    return {state: states.count(state) for state in sorted(set(states))}
