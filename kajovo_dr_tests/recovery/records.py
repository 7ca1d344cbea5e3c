"""Builders of records and entries for the tests of journal, log and report."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from kajovo_dr.recovery.record import IncidentEntry, Outage, Phase, RecoveryRecord, entry_from
from kajovo_dr.recovery.smoke import EndpointResult, SmokeReport
from kajovo_dr.settings import Settings

#: 06:30 in Prague.
INCIDENT = datetime(2026, 11, 23, 5, 30, tzinfo=UTC)
STARTED = INCIDENT + timedelta(minutes=10)


def record(**changes: Any) -> RecoveryRecord:
    """A recovery after an incident at 6:30, with a backup of two hours before."""
    given = {
        "id": "run-1",
        "incident_at": INCIDENT,
        "started_at": STARTED,
        "who": "Řehoř",
        "note": "disk failed",
        "database": "kajovo_hotel",
        "server": "kajovo@127.0.0.1:5432/kajovo_hotel",
        "backup": "kajovo-postgres-20261123-033000",
        "snapshot_at": INCIDENT - timedelta(hours=2),
    }
    return RecoveryRecord.model_validate(given | changes)


def entry(*, minutes: float = 5, **changes: Any) -> IncidentEntry:
    """The log's entry of a recovery that took so long."""
    return entry_from(record(**changes), Settings.load(), STARTED + timedelta(minutes=minutes))


def smoke_report(*, ok: bool = True) -> SmokeReport:
    """One module that passed and one that passed or not."""
    results = (
        EndpointResult(
            name="issues", module=True, required=True, ok=True, status=200, count=60, expected=60
        ),
        EndpointResult(
            name="reports",
            module=True,
            required=True,
            ok=ok,
            status=500,
            detail="" if ok else "500",
        ),
    )
    return SmokeReport(results=results, seconds=0.5)


def phase(name: str, *, ok: bool = True, detail: str = "") -> Phase:
    """A phase of two seconds."""
    return Phase(name=name, seconds=2, ok=ok, detail=detail)


def outage(*, milliseconds: int | None = 84) -> Outage:
    """An outage from the start on; None: without an end."""
    if milliseconds is None:
        return Outage(from_at=STARTED, until_at=None, seconds=None, asked=1, interval_s=0.1)
    until = STARTED + timedelta(milliseconds=milliseconds)
    seconds = milliseconds / 1000
    return Outage(from_at=STARTED, until_at=until, seconds=seconds, asked=1234, interval_s=0.005)


def full(**changes: Any) -> IncidentEntry:
    """The entry of a recovery of which everything is known."""
    end = STARTED + timedelta(seconds=40)
    given: dict[str, Any] = {
        "detected_at": INCIDENT + timedelta(minutes=6),
        "sha256": "a" * 64,
        "manifest_sha256": "b" * 64,
        "lost_rows": {"reports": 5, "orders": 12345, "users": 0, "issues": 1, "cards": -3},
        "safety": "kajovo-postgres-20261123-064100",
        "replaced": "kajovo_hotel__before_run1",
        "live_oid": 16400,
        "swapped_at": STARTED + timedelta(seconds=40.1),
        "accounts_reverted": 2,
        "outage": outage(),
        "phases": (
            Phase(name="restore", began_at=STARTED, ended_at=end, seconds=40, ok=True, detail="24"),
            Phase(name="legacy", began_at=end, ended_at=end, ok=True, skipped=True, detail="unset"),
            Phase(name="swap", began_at=end, seconds=0, ok=None),
            Phase(name="swap", began_at=end, ended_at=end, seconds=0.04, ok=True),
        ),
        "smoke": smoke_report(),
    }
    return entry(**(given | changes))


def undo(of: str, **changes: Any) -> IncidentEntry:
    """The entry of an undo."""
    nothing = dict.fromkeys(("incident_at", "backup", "snapshot_at"))
    given: dict[str, Any] = {"id": "undo-1", "kind": "undo", "undoes": of, **nothing}
    return entry(**(given | changes))
