"""Builders of records and entries for the tests of journal, log and report."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from kajovo_dr.recovery.record import IncidentEntry, Phase, RecoveryRecord, entry_from
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
