"""What is written down about one recovery: while it runs (`RecoveryRecord`) and for good
(`IncidentEntry`).

Belongs here: the models and the step from one to the other. Not here: files (``journal``,
``incident_log``) and pages (``report``). Neither holds a secret, or whose data it was.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from kajovo_dr.recovery.smoke import SmokeReport
from kajovo_dr.settings import Settings

#: An id becomes a file name.
ID_PATTERN = r"^[A-Za-z0-9-]{1,64}$"
#: Digits of a recovery's id in the names of its databases: enough to tell two recoveries apart,
#: few enough to be typed at 3 a.m.
SHORT = 8


class Phase(BaseModel):
    """One step of a recovery.

    ok: None while it runs, or when its process died in it. seconds: by a monotonic clock. detail:
    what came of it, or the error when it failed. skipped: there was nothing to do, detail says why.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    began_at: AwareDatetime | None = None
    ended_at: AwareDatetime | None = None
    seconds: float = 0
    ok: bool | None = None
    skipped: bool = False
    detail: str = ""


class Outage(BaseModel):
    """How long the application did not answer, as seen by asking it again and again.

    from_at: the first request that failed after a good one (or the recovery's start, when it was
    down then). until_at: the last good one that ended a gap; None: it was still down when the
    recovery ended. seconds: of all gaps together. gap_at: when the present gap began. asked:
    requests sent, one every interval_s seconds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    from_at: AwareDatetime
    until_at: AwareDatetime | None
    seconds: float | None
    asked: int
    interval_s: float
    gap_at: AwareDatetime | None = None


class RecoveryRecord(BaseModel):
    """A recovery under way, or the undo of one.

    database: the name that the application uses. room: the database that is restored beside it and
    takes its name. replaced: the name that the old one gets. Their oids tell, whatever the names
    are after a crash, which of them holds the name. server: as it may be shown, without a
    password. identity: of server and name, whatever the address is now. runs: of Dagster, which can
    begin one anew where it failed; each is an attempt with an entry of its own. logged: the ids of
    those entries, should the log itself be lost. lost_rows: table to
    rows that the live database had and the backup has not (negative: the other way round); None:
    nobody could count.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["recovery", "undo"] = "recovery"
    id: str = Field(pattern=ID_PATTERN)
    incident_at: AwareDatetime | None = None
    detected_at: AwareDatetime | None = None
    started_at: AwareDatetime
    who: str
    note: str = ""
    database: str
    server: str
    identity: str = ""
    database_only: bool = False
    named: bool = False
    create_roles: bool = False
    backup: str | None = None
    snapshot_at: AwareDatetime | None = None
    sha256: str | None = None
    manifest_sha256: str | None = None
    lost_rows: dict[str, int] | None = None
    safety: str = ""
    room: str = ""
    replaced: str = ""
    room_oid: int | None = None
    live_oid: int | None = None
    swapped_at: AwareDatetime | None = None
    abandoned: bool = False
    accounts_reverted: int | None = None
    outage: Outage | None = None
    undoes: str | None = None
    runs: tuple[str, ...] = ()
    logged: tuple[str, ...] = ()
    phases: tuple[Phase, ...] = ()
    smoke: SmokeReport | None = None

    @property
    def short(self) -> str:
        """The id as it stands in the names of databases, and as people type it."""
        return self.id.replace("-", "")[:SHORT]

    @property
    def entry_id(self) -> str:
        """The id in the incident log: from the second attempt on with its number."""
        return self.id if len(self.runs) < 2 else f"{self.id[:60]}-{len(self.runs)}"

    @property
    def failed_phase(self) -> str | None:
        """The first phase whose last attempt failed, else the first that has not ended; ``smoke``
        when only its report is bad.

        An undo is judged by its phases alone: the former database may be broken, and is wanted.
        """
        outcomes = {phase.name: phase.ok for phase in self.phases}
        failed = [name for name, ok in outcomes.items() if ok is False]
        begun = [name for name, ok in outcomes.items() if ok is None]
        if failed or begun:
            return (failed or begun)[0]
        bad = self.kind == "recovery" and self.smoke and not self.smoke.ok
        return "smoke" if bad else None

    def done(self, phase: str) -> bool:
        """Whether the last attempt at a phase ended well."""
        outcomes = [each.ok for each in self.phases if each.name == phase]
        return bool(outcomes and outcomes[-1])


class IncidentEntry(BaseModel):
    """A recovery, or an undo, that has ended: one line of the incident log.

    previous: sha256 of the line before it, empty for the first. replaced: the name that the former
    database has now; empty when there was none, or it was not replaced. data_lost_s: from the
    backup's snapshot to the incident. duration_s: from start to end of the recovery, which the RTO
    verdict judges; a recovery that failed is a failed verdict however short it was. Format 1 had
    neither chain nor the fields with a default here.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1, 2] = 2
    previous: str = ""
    kind: Literal["recovery", "undo"] = "recovery"
    id: str = Field(pattern=ID_PATTERN)
    incident_at: AwareDatetime | None
    detected_at: AwareDatetime | None = None
    started_at: AwareDatetime
    finished_at: AwareDatetime
    who: str
    note: str
    database: str
    server: str
    database_only: bool = False
    backup: str | None
    snapshot_at: AwareDatetime | None
    sha256: str | None = None
    manifest_sha256: str | None = None
    data_lost_s: float | None
    lost_rows: dict[str, int] | None = None
    safety: str = ""
    replaced: str = ""
    swapped_at: AwareDatetime | None = None
    accounts_reverted: int | None = None
    outage: Outage | None = None
    undoes: str | None = None
    phases: tuple[Phase, ...]
    duration_s: float
    since_incident_s: float | None
    rto_verdict: Literal["pass", "warn", "fail"]
    succeeded: bool
    smoke: SmokeReport | None
    failed_phase: str | None


#: Fields that an entry takes over as they are.
_COMMON = (RecoveryRecord.model_fields.keys() & IncidentEntry.model_fields.keys()) - {
    *("id", "replaced")
}


def entry_from(record: RecoveryRecord, settings: Settings, finished_at: datetime) -> IncidentEntry:
    """The log's entry for a recovery that ended at this time."""
    incident = record.incident_at
    duration = (finished_at - record.started_at).total_seconds()
    return IncidentEntry(
        **{name: getattr(record, name) for name in RecoveryRecord.model_fields if name in _COMMON},
        id=record.entry_id,
        replaced=record.replaced if record.swapped_at and record.live_oid is not None else "",
        finished_at=finished_at,
        data_lost_s=_lost(record.snapshot_at, incident),
        duration_s=duration,
        since_incident_s=_seconds(incident, finished_at),
        rto_verdict="fail" if record.failed_phase else _verdict(duration / 60, settings),
        succeeded=record.failed_phase is None,
        failed_phase=record.failed_phase,
    )


def _lost(snapshot: datetime | None, incident: datetime | None) -> float | None:
    """A backup that was named may be younger than the incident: then nothing is lost by it."""
    seconds = _seconds(snapshot, incident)
    return None if seconds is None else max(0.0, seconds)


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    return (end - start).total_seconds() if start and end else None


def _verdict(minutes: float, settings: Settings) -> Literal["pass", "warn", "fail"]:
    if minutes > settings.rto_minutes:
        return "fail"
    return "warn" if minutes > settings.rto_warn_minutes else "pass"
