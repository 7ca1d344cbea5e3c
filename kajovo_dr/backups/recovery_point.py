"""The recovery point: how old the newest proven backup is, judged against the objective (RPO).

Belongs here: the verdict, from the store's files alone. Not here: reporting it (``defs``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from kajovo_dr.backups import catalog
from kajovo_dr.backups.store import Store
from kajovo_dr.settings import Settings


@dataclass(frozen=True)
class RecoveryPoint:
    """What would be lost now. verdict none: there is no proven backup, so all of it.

    backup: its name; age_s: seconds since its snapshot.
    """

    verdict: Literal["pass", "warn", "fail", "none"]
    backup: str = ""
    snapshot: datetime | None = None
    age_s: float | None = None


def recovery_point(settings: Settings, store: Store, database: str, now: datetime) -> RecoveryPoint:
    """Judge the age of the newest proven backup of a database at a moment."""
    newest = catalog.newest_proven(store, database)
    if newest is None:
        return RecoveryPoint("none")
    age_s = newest.age_s(now)
    verdict: Literal["pass", "warn", "fail"] = "pass"
    if age_s > settings.rpo_hours * 3600:
        verdict = "fail"
    elif age_s > settings.rpo_warn_hours * 3600:
        verdict = "warn"
    return RecoveryPoint(verdict, newest.name, newest.manifest.created_at, age_s)
