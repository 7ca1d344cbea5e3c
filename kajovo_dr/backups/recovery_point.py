"""The recovery point: how old the newest proven backup is, judged against the objective (RPO).

Belongs here: the verdict, from the store's files alone. Not here: reporting it (``defs``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from kajovo_dr.backups import catalog
from kajovo_dr.backups.candidates import identities_of
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.store import Store
from kajovo_dr.postgres.server import Server
from kajovo_dr.settings import Settings

#: Clocks of two machines may differ by this much; a snapshot further ahead is of a wrong one.
SKEW_S = 300.0


@dataclass(frozen=True)
class RecoveryPoint:
    """What would be lost now. verdict none: there is no proven backup, so all of it.

    backup: its name; age_s: seconds since its snapshot. problem: why the verdict is fail whatever
    the age is.
    """

    verdict: Literal["pass", "warn", "fail", "none"]
    backup: str = ""
    snapshot: datetime | None = None
    age_s: float | None = None
    problem: str = ""


def recovery_point(
    settings: Settings, store: Store, protected: Server, now: datetime
) -> RecoveryPoint:
    """Judge the age of the newest proven backup of a database at a moment."""
    identities = identities_of(settings, store, protected)
    return point_of(settings, catalog.backups(store, protected.dbname, identities), now)


def point_of(settings: Settings, found: Sequence[Backup], now: datetime) -> RecoveryPoint:
    """The same, of the database's backups, oldest snapshot first.

    One from the future does not count: it would look young long after the backups have stopped.
    """
    proven = [each for each in found if each.state == "proven" and not each.manifest.of_incident]
    ahead = [backup for backup in proven if backup.age_s(now) < -SKEW_S]
    problem = _from_the_future(ahead[-1], now) if ahead else ""
    past = [backup for backup in proven if backup not in ahead]
    if not past:
        return RecoveryPoint("fail" if ahead else "none", problem=problem)
    newest = past[-1]
    age_s = max(newest.age_s(now), 0.0)
    verdict = "fail" if ahead else judge_age(settings, age_s)
    return RecoveryPoint(verdict, newest.name, newest.manifest.created_at, age_s, problem)


def judge_age(settings: Settings, age_s: float) -> Literal["pass", "warn", "fail"]:
    """The verdict on seconds since the snapshot of the newest proven backup."""
    if age_s > settings.rpo_hours * 3600:
        return "fail"
    return "warn" if age_s > settings.rpo_warn_hours * 3600 else "pass"


def _from_the_future(backup: Backup, now: datetime) -> str:
    hours = -backup.age_s(now) / 3600
    return (
        f"the snapshot of {backup.name} lies {hours:.1f} hours in the future: the clock or its"
        " manifest is wrong, and it does not count"
    )
