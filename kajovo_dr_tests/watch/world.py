"""A month in the life of a hotel, drawn by chance: backups, damage, drills, outages of who watches.

Belongs here: what happens when, and what is true at a moment, told without the code under test. Not
here: files, looks and messages (``month``).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from kajovo_dr.alerts.ledger import Observer

BEGIN = datetime(2026, 10, 20, tzinfo=UTC)  # clocks change in it
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
#: What the settings under test say.
WARN, LIMIT = 20 * HOUR, 24 * HOUR
DAEMON_SILENT, WATCHDOG_SILENT = 15 * MINUTE, 60 * MINUTE
#: How often each looks.
DAEMON_EVERY, WATCHDOG_EVERY = 10 * MINUTE, 15 * MINUTE
PROOF_TAKES = 7 * MINUTE
Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class Made:
    """A backup: when its snapshot is, and when it is known to be proven or damaged (None: never).

    removed_at: when somebody deletes a damaged one.
    """

    snapshot: datetime
    proven_at: datetime | None = None
    damaged_at: datetime | None = None
    removed_at: datetime | None = None


@dataclass(frozen=True)
class Drilled:
    """A drill that ended."""

    at: datetime
    ok: bool


@dataclass
class World:
    """All of it, fixed by the seed."""

    seed: int
    days: int
    daemon_down: list[Span] = field(init=False)
    watchdog_down: list[Span] = field(init=False)
    receiver_down: list[Span] = field(init=False)
    backups: list[Made] = field(init=False)
    drills: list[Drilled] = field(init=False)

    def __post_init__(self) -> None:
        chance = random.Random(self.seed)
        machine = list(self._spans(chance, every=100 * HOUR, mean=20 * HOUR))
        self.daemon_down = [*machine, *self._spans(chance, every=60 * HOUR, mean=9 * HOUR)]
        self.watchdog_down = [*machine, *self._spans(chance, every=80 * HOUR, mean=4 * HOUR)]
        self.receiver_down = list(self._spans(chance, every=30 * HOUR, mean=1 * HOUR))
        bad = list(self._spans(chance, every=90 * HOUR, mean=20 * HOUR))
        self.backups = list(self._backups(chance, [*self.daemon_down, *bad]))
        self.drills = [
            Drilled(BEGIN + chance.uniform(1, 3) * 24 * HOUR, ok=True),
            Drilled(BEGIN + chance.uniform(8, 12) * 24 * HOUR, ok=False),
            Drilled(BEGIN + chance.uniform(13, 15) * 24 * HOUR, ok=True),
        ]

    @property
    def end(self) -> datetime:
        return BEGIN + self.days * 24 * HOUR

    def looks(self) -> Iterator[tuple[datetime, Observer]]:
        """When somebody looks, and who. Never both at once."""
        who: tuple[tuple[Observer, timedelta, timedelta, list[Span]], ...] = (
            ("daemon", DAEMON_EVERY, 0 * MINUTE, self.daemon_down),
            ("watchdog", WATCHDOG_EVERY, 2 * MINUTE, self.watchdog_down),
        )
        for name, every, shift, down in who:
            at = BEGIN + shift
            while at < self.end:
                if not within(at, down):
                    yield at, name
                at += every

    def rpo(self, at: datetime) -> str:
        """The level of the recovery point at a moment."""
        return self._rpo_level(self.newest_proven(at), at)

    def newest_proven(self, at: datetime) -> datetime | None:
        proven = [each.snapshot for each in self.backups if each.proven_at and each.proven_at <= at]
        return max(proven, default=None)

    def worst_rpo(self, after: datetime, until: datetime) -> str:
        """The worst level that the recovery point had between two moments, just before each proof
        that made it young again.
        """
        moments = [
            each.proven_at
            for each in self.backups
            if each.proven_at and after < each.proven_at <= until
        ]
        instant = timedelta(microseconds=1)
        levels = [self.rpo(each - instant) for each in moments]
        return max([*levels, "ok"], key=RANKS.__getitem__)

    def drill(self, at: datetime) -> str:
        """The level of the drills at a moment; each failure is another cause."""
        done = [each for each in self.drills if each.at <= at]
        if not done:
            return "warning"
        return "ok" if done[-1].ok else "critical"

    def _rpo_level(self, snapshot: datetime | None, at: datetime) -> str:
        if snapshot is None:
            return "critical"
        age = at - snapshot
        return "critical" if age > LIMIT else "warning" if age > WARN else "ok"

    def _spans(self, chance: random.Random, *, every: timedelta, mean: timedelta) -> Iterator[Span]:
        at = BEGIN + chance.expovariate(1) * every
        while at < self.end - 24 * HOUR:  # the last day is quiet, so that everything arrives
            until = at + chance.expovariate(1) * mean
            yield at, min(until, self.end - 24 * HOUR)
            at = until + chance.expovariate(1) * every

    def _backups(self, chance: random.Random, down: list[Span]) -> Iterator[Made]:
        at = BEGIN + 6 * HOUR
        while at < self.end:
            snapshot, fate = at + timedelta(seconds=chance.randint(1, 50)), chance.random()
            known = snapshot + PROOF_TAKES
            if within(at, down):
                if fate < 0.2:  # a person's, from another machine
                    yield Made(snapshot, proven_at=known)
            elif fate < 0.85:
                yield Made(snapshot, proven_at=known)
            elif fate < 0.93:
                gone = known + chance.uniform(1, 40) * HOUR
                yield Made(snapshot, damaged_at=known, removed_at=gone)
            else:
                yield Made(snapshot)
            at += 6 * HOUR


RANKS = {"ok": 0, "warning": 1, "unknown": 2, "critical": 3}


def within(at: datetime, spans: list[Span]) -> bool:
    return any(begin <= at < end for begin, end in spans)


@dataclass(frozen=True)
class Expected:
    """A message that must arrive, once: at which look, of what, and the level it tells of."""

    at: datetime
    key: str
    level: str


def expected(world: World, looks: list[tuple[datetime, Observer]]) -> list[Expected]:
    """What people must be told, from the truth alone: at each look, what is no longer as they know
    it; and a recovery point that was worse and is no more, which no look has seen.
    """
    told: dict[str, str] = {}
    last: dict[str, datetime] = {}
    found = []
    for at, who in looks:
        levels = {"rpo": world.rpo(at), "drill": world.drill(at)}
        levels |= _damage(world, at)
        levels |= _of_watchers(who, at, last)
        for key, level in levels.items():
            missed = _missed(world, last, at) if key == "rpo" else "ok"
            hidden = RANKS[missed] > max(RANKS[level], RANKS[told.get(key, "ok")])
            if level != told.get(key, "ok") or hidden:
                found.append(Expected(at, key, level))
                told[key] = level
        last[who] = at
    return found


def _missed(world: World, last: dict[str, datetime], at: datetime) -> str:
    return world.worst_rpo(max(last.values()), at) if last else "ok"


def _damage(world: World, at: datetime) -> dict[str, str]:
    """Damaged backups: critical until a newer one is proven."""
    levels = {}
    for each in world.backups:
        if each.damaged_at is None or each.removed_at is None:
            continue
        key = f"damaged:{each.snapshot:%Y%m%d-%H%M%S}"
        if each.damaged_at <= at < each.removed_at:
            newest = world.newest_proven(at)
            old = newest is not None and newest > each.snapshot
            levels[key] = "warning" if old else "critical"
        else:
            levels[key] = "ok"
    return levels


def _of_watchers(who: str, at: datetime, last: dict[str, datetime]) -> dict[str, str]:
    """Each sees that the other is silent, and that it is not so itself."""
    if who == "daemon":
        silent = "watchdog" in last and at - last["watchdog"] > WATCHDOG_SILENT
        return {"daemon": "ok", "watchdog": "warning" if silent else "ok"}
    if "daemon" not in last:
        return {"daemon": "unknown", "watchdog": "ok"}
    silent = at - last["daemon"] > DAEMON_SILENT
    return {"daemon": "critical" if silent else "ok", "watchdog": "ok"}
