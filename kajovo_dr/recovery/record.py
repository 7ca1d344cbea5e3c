"""What is written down about one recovery: while it runs (`RecoveryRecord`) and for good
(`IncidentEntry`).

Belongs here: the two models and the step from one to the other. Not here: files (``journal``,
``incident_log``) and pages (``report``).
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from kajovo_dr.recovery.smoke import SmokeReport
from kajovo_dr.settings import Settings

#: An id becomes a file name.
ID_PATTERN = r"^[A-Za-z0-9-]{1,64}$"


class Phase(BaseModel):
    """One step of a recovery. seconds: by a monotonic clock. detail: the error when it failed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    seconds: float
    ok: bool
    detail: str = ""


class RecoveryRecord(BaseModel):
    """A recovery under way. server: as it may be shown, without a password. runs: of Dagster, which
    can begin one anew where it failed; each is an attempt with an entry of its own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=ID_PATTERN)
    incident_at: AwareDatetime | None = None
    started_at: AwareDatetime
    who: str
    note: str = ""
    database: str
    server: str
    backup: str | None = None
    snapshot_at: AwareDatetime | None = None
    runs: tuple[str, ...] = ()
    phases: tuple[Phase, ...] = ()
    smoke: SmokeReport | None = None

    @property
    def entry_id(self) -> str:
        """The id in the incident log: from the second attempt on with its number."""
        return self.id if len(self.runs) < 2 else f"{self.id[:60]}-{len(self.runs)}"

    @property
    def failed_phase(self) -> str | None:
        """The first phase whose last attempt failed; ``smoke`` when only its report is bad."""
        outcomes = {phase.name: phase.ok for phase in self.phases}
        failed = [name for name, ok in outcomes.items() if not ok]
        if failed:
            return failed[0]
        return "smoke" if self.smoke and not self.smoke.ok else None


class IncidentEntry(BaseModel):
    """A recovery that has ended: one line of the incident log.

    data_lost_s: from the backup's snapshot to the incident. duration_s: from start to end of the
    recovery, which the RTO verdict judges; a recovery that failed is a failed verdict however
    short it was.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    id: str = Field(pattern=ID_PATTERN)
    incident_at: AwareDatetime | None
    started_at: AwareDatetime
    finished_at: AwareDatetime
    who: str
    note: str
    database: str
    server: str
    backup: str | None
    snapshot_at: AwareDatetime | None
    data_lost_s: float | None
    phases: tuple[Phase, ...]
    duration_s: float
    since_incident_s: float | None
    rto_verdict: Literal["pass", "warn", "fail"]
    succeeded: bool
    smoke: SmokeReport | None
    failed_phase: str | None


#: Fields that an entry takes over as they are.
_COMMON = (RecoveryRecord.model_fields.keys() & IncidentEntry.model_fields.keys()) - {"id"}


def entry_from(record: RecoveryRecord, settings: Settings, finished_at: datetime) -> IncidentEntry:
    """The log's entry for a recovery that ended at this time."""
    incident = record.incident_at
    duration = (finished_at - record.started_at).total_seconds()
    return IncidentEntry(
        **{name: getattr(record, name) for name in RecoveryRecord.model_fields if name in _COMMON},
        id=record.entry_id,
        finished_at=finished_at,
        data_lost_s=_seconds(record.snapshot_at, incident),
        duration_s=duration,
        since_incident_s=_seconds(incident, finished_at),
        rto_verdict="fail" if record.failed_phase else _verdict(duration / 60, settings),
        succeeded=record.failed_phase is None,
        failed_phase=record.failed_phase,
    )


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    return (end - start).total_seconds() if start and end else None


def _verdict(minutes: float, settings: Settings) -> Literal["pass", "warn", "fail"]:
    if minutes > settings.rto_minutes:
        return "fail"
    return "warn" if minutes > settings.rto_warn_minutes else "pass"
