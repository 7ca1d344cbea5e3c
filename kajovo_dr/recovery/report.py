"""Recoveries as Markdown: one incident, one smoke test, the page of the whole log.

Belongs here: words, tables and units for people. Not here: files and Dagster. Every text that
somebody else wrote goes through `cell`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from kajovo_dr.errors import SettingError
from kajovo_dr.recovery.record import IncidentEntry, Phase
from kajovo_dr.recovery.smoke import EndpointResult, SmokeReport

_NOTHING = "–"


def page(entries: Sequence[IncidentEntry], timezone: str, unreadable: Sequence[int] = ()) -> str:
    """The incident log, newest first: an overview, then every incident."""
    newest = list(reversed(entries))
    rows = [
        (
            cell(entry.id),
            moment(entry.incident_at or entry.started_at, timezone),
            _outcome(entry),
            human_duration(entry.duration_s),
            entry.rto_verdict,
            human_duration(entry.data_lost_s),
            cell(entry.backup or _NOTHING),
            cell(entry.who),
        )
        for entry in newest
    ]
    titles = ("id", "incident", "result", "duration", "RTO", "data lost", "backup", "who")
    parts = ["# Incident log", _table(titles, rows) if rows else "No recovery was logged yet."]
    if unreadable:
        numbers = ", ".join(map(str, unreadable))
        parts.append(f"Lines of incidents.jsonl that cannot be read and were kept: {numbers}.")
    return "\n\n".join([*parts, *(incident(entry, timezone) for entry in newest)]) + "\n"


def incident(entry: IncidentEntry, timezone: str) -> str:
    """One incident: what, phases with times, RTO verdict, smoke test."""
    facts = (
        ("incident", moment(entry.incident_at, timezone)),
        ("recovery started", moment(entry.started_at, timezone)),
        ("recovery ended", moment(entry.finished_at, timezone)),
        ("result", _outcome(entry)),
        ("duration", human_duration(entry.duration_s)),
        ("RTO verdict", f"**{entry.rto_verdict}**"),
        ("since the incident", human_duration(entry.since_incident_s)),
        ("database", cell(f"{entry.database} on {entry.server}")),
        ("backup used", cell(entry.backup or _NOTHING)),
        ("backup's snapshot", moment(entry.snapshot_at, timezone)),
        ("data lost", human_duration(entry.data_lost_s)),
        ("smoke test", _smoke_summary(entry.smoke)),
        ("who", cell(entry.who)),
        ("note", cell(entry.note or _NOTHING)),
    )
    parts = [f"## Incident {cell(entry.id)}", _table(("what", "value"), facts)]
    if entry.phases:
        parts.append(phases(entry.phases))
    if entry.smoke:
        parts.append(smoke(entry.smoke))
    return "\n\n".join(parts)


def phases(done: Iterable[Phase]) -> str:
    """A table of phases with their times."""
    rows = [
        (cell(phase.name), human_duration(phase.seconds), _mark(phase.ok), cell(phase.detail))
        for phase in done
    ]
    return _table(("phase", "duration", "result", "detail"), rows)


def smoke(report: SmokeReport) -> str:
    """A table of endpoints."""
    rows = [
        (
            cell(result.name),
            _verdict(result),
            _number(result.status),
            _number(result.count),
            _number(result.expected),
            human_duration(result.seconds),
            cell(result.detail),
        )
        for result in report.results
    ]
    titles = ("endpoint", "result", "status", "count", "in the database", "duration", "detail")
    return _table(titles, rows)


def cell(text: str) -> str:
    """Text that cannot leave its table cell: one line, no bar, no HTML."""
    line = " ".join(text.split())
    return line.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def moment(at: datetime | None, timezone: str) -> str:
    """``2026-11-23 07:41:05 CET``."""
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError):
        raise SettingError(
            f"KAJOVO_DR_TIMEZONE: {timezone!r} is not a time zone",
            hint="write it as Europe/Prague.",
        ) from None
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}" if at else _NOTHING


def human_duration(seconds: float | None) -> str:
    """``0.4 s``, ``42 s``, ``3 min 05 s``, ``2 h 07 min``, ``3 d 04 h``."""
    if seconds is None:
        return _NOTHING
    if seconds < 0:
        return f"-{human_duration(-seconds)}"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, large, small, name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min")):
        if whole >= size:
            return f"{whole // size} {large} {whole % size // small:02d} {name}"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"


def _outcome(entry: IncidentEntry) -> str:
    if entry.succeeded:
        return "recovered"
    return f"**failed** in {cell(entry.failed_phase or 'an unknown phase')}"


def _smoke_summary(report: SmokeReport | None) -> str:
    if report is None:
        return "not run"
    passed = sum(result.ok for result in report.results)
    named = ", ".join(cell(result.name) for result in (*report.failures, *report.warnings))
    return f"{passed} of {len(report.results)} passed" + (f"; not: {named}" if named else "")


def _verdict(result: EndpointResult) -> str:
    if result.skipped:
        return "skipped"
    return _mark(result.ok) if result.ok or result.required else "warning"


def _mark(ok: bool) -> str:
    return "ok" if ok else "**failed**"


def _number(value: int | None) -> str:
    return _NOTHING if value is None else str(value)


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = (titles, ["---"] * len(titles), *rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
