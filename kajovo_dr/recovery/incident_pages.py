"""What is told of a recovery and of the whole log, in which order.

Belongs here: every fact of an entry as blocks of a page. Not here: words (``report_words``) and
markup (``page_blocks``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from kajovo_dr.recovery.chain import Break
from kajovo_dr.recovery.page_blocks import Block, Cell, Heading, Line, Table, Tone
from kajovo_dr.recovery.record import IncidentEntry, Outage, Phase
from kajovo_dr.recovery.report_words import NOTHING, Words
from kajovo_dr.recovery.smoke import EndpointResult, SmokeReport

_TONES: dict[str, Tone] = {"pass": "good", "warn": "warn", "fail": "bad"}


def log(
    entries: Sequence[IncidentEntry],
    words: Words,
    unreadable: Sequence[int] = (),
    breaks: Sequence[Break] = (),
) -> list[Block]:
    """The log, newest first: an overview, what is wrong with it, then every incident."""
    blocks: list[Block] = [Heading(1, words("Incident log"))]
    if entries:
        blocks.append(_overview(entries, words))
    else:
        blocks.append(Line(words("No recovery was logged yet.")))
    if breaks:
        blocks += _broken(breaks, words)
    if unreadable:
        said = "Lines of incidents.jsonl that cannot be read and were kept: {lines}."
        blocks.append(Line(words(said, lines=", ".join(map(str, unreadable)))))
    for entry in reversed(entries):
        blocks += incident(entry, words, undone_by(entry, entries))
    return blocks


def incident(entry: IncidentEntry, words: Words, undone: str | None = None) -> list[Block]:
    """One recovery or undo. undone: the id of the entry that undid it."""
    facts = [
        (words(fact), value)
        for fact, value in _facts(entry, words, undone)
        if value is not None and (entry.kind == "recovery" or value != NOTHING)
    ]
    blocks: list[Block] = [
        Heading(2, title(entry, words)),
        Table((words("what"), words("value")), facts),
    ]
    if entry.phases:
        blocks += [Heading(3, words("Phases")), phases(entry.phases, words)]
    if any((entry.lost_rows or {}).values()):
        blocks += [Heading(3, words("Rows lost")), _lost(entry.lost_rows or {}, words)]
    if entry.smoke:
        blocks += [Heading(3, words("Smoke test")), smoke(entry.smoke, words)]
    return blocks


def title(entry: IncidentEntry, words: Words) -> str:
    """What an entry is called."""
    return words("Incident {id}" if entry.kind == "recovery" else "Undo {id}", id=entry.id)


def undone_by(entry: IncidentEntry, entries: Sequence[IncidentEntry]) -> str | None:
    """The id of the entry that undid this one: of the attempts at a recovery that which swapped."""
    undos = [each for each in entries if each.kind == "undo" and each.succeeded and each.undoes]
    for undo in reversed(undos):
        attempts = [each for each in entries if _attempt(each.id, undo.undoes or "")]
        if entry in ([each for each in attempts if each.swapped_at] or attempts):
            return undo.id
    return None


def outcome(entry: IncidentEntry, words: Words) -> Cell:
    """How it ended, in a few words."""
    if entry.succeeded:
        return Cell(words("recovered" if entry.kind == "recovery" else "undone"), "good")
    if entry.failed_phase is None:
        return Cell(words("failed"), "bad")
    return Cell(words("failed in {phase}", phase=words.phase(entry.failed_phase)), "bad")


def phases(done: Iterable[Phase], words: Words) -> Table:
    """A table of phases with their times."""
    rows = [
        (
            words.phase(phase.name),
            words.moment(phase.began_at),
            words.moment(phase.ended_at),
            NOTHING if phase.ok is None or phase.skipped else words.short(phase.seconds),
            _phase_result(phase, words),
            phase.detail,
        )
        for phase in done
    ]
    titles = ("phase", "begin", "end", "duration", "result", "detail")
    return Table([words(title) for title in titles], rows)


def smoke(report: SmokeReport, words: Words) -> Table:
    """A table of endpoints."""
    rows = [
        (
            result.name,
            _endpoint_result(result, words),
            NOTHING if result.status is None else str(result.status),
            _number(result.count, words),
            _number(result.expected, words),
            NOTHING if result.skipped else words.short(result.seconds),
            result.detail,
        )
        for result in report.results
    ]
    titles = ("endpoint", "result", "status", "count", "in the database", "duration", "detail")
    return Table([words(title) for title in titles], rows)


def outage_of(entry: IncidentEntry, words: Words) -> str:
    """How long nobody was answered, in a few words."""
    if entry.outage is None:
        watched = entry.format > 1 and not entry.database_only
        return words("none seen") if watched else NOTHING
    down = entry.outage.until_at is None
    return words("still down") if down else words.short(entry.outage.seconds)


def _overview(entries: Sequence[IncidentEntry], words: Words) -> Table:
    rows = [
        (
            entry.id,
            words(entry.kind),
            words.moment(entry.incident_at or entry.started_at),
            outcome(entry, words),
            undone_by(entry, entries) or NOTHING,
            words.duration(entry.duration_s),
            _verdict(entry, words),
            outage_of(entry, words),
            words.duration(entry.data_lost_s),
            entry.backup or NOTHING,
            entry.who,
        )
        for entry in reversed(entries)
    ]
    titles = ("id", "kind", "incident", "result", "undone by", "duration", "RTO", "outage")
    return Table([words(title) for title in (*titles, "data lost", "backup", "who")], rows)


def _broken(breaks: Sequence[Break], words: Words) -> list[Block]:
    rows = [
        (
            words("line {line}", line=str(each.line)) if each.line else "incidents.head",
            Cell(words(each.what), "bad"),
        )
        for each in breaks
    ]
    titles = (words("place"), words("what is wrong"))
    return [Line(words("The log is not as it was written:")), Table(titles, rows)]


def _facts(
    entry: IncidentEntry, words: Words, undone: str | None
) -> list[tuple[str, Cell | str | None]]:
    return [*_course(entry, words, undone), *_data(entry, words), *_aftermath(entry, words)]


def _course(
    entry: IncidentEntry, words: Words, undone: str | None
) -> list[tuple[str, Cell | str | None]]:
    """When, how long, how it ended. None: a line that does not apply."""
    return [
        ("kind", words(entry.kind)),
        ("undoes the recovery", entry.undoes),
        ("incident", words.moment(entry.incident_at)),
        ("incident detected", words.moment(entry.detected_at)),
        ("started", words.moment(entry.started_at)),
        ("ended", words.moment(entry.finished_at)),
        ("result", outcome(entry, words)),
        ("undone by", Cell(undone, "warn") if undone else None),
        ("duration", words.duration(entry.duration_s)),
        ("RTO verdict", _verdict(entry, words, limits=words.rto)),
        ("since the incident", words.duration(entry.since_incident_s)),
        ("outage", _outage(entry.outage, words) or outage_of(entry, words)),
    ]


def _data(entry: IncidentEntry, words: Words) -> list[tuple[str, Cell | str | None]]:
    """What was restored from what, and what is lost."""
    extent = "database only" if entry.database_only else "database and application"
    place = "{database} on {server}"
    return [
        ("database", words(place, database=entry.database, server=entry.server)),
        ("extent", words(extent) if entry.format > 1 else NOTHING),
        ("backup used", entry.backup or NOTHING),
        ("backup's snapshot", words.moment(entry.snapshot_at)),
        ("sha256 of the dump file", entry.sha256 or NOTHING),
        ("sha256 of the manifest", entry.manifest_sha256 or NOTHING),
        ("data lost", words.duration(entry.data_lost_s)),
        ("rows lost", _lost_summary(entry, words)),
    ]


def _aftermath(entry: IncidentEntry, words: Words) -> list[tuple[str, Cell | str | None]]:
    """What was kept, what works again, and whose recovery it was."""
    return [
        ("safety backup", entry.safety or NOTHING),
        ("databases swapped", words.moment(entry.swapped_at)),
        ("replaced database kept as", entry.replaced or NOTHING),
        ("accounts with an older password again", _number(entry.accounts_reverted, words)),
        ("smoke test", _smoke_summary(entry.smoke, words)),
        ("who", entry.who),
        ("reason", entry.note or NOTHING),
    ]


def _verdict(entry: IncidentEntry, words: Words, limits: tuple[float, float] | None = None) -> Cell:
    verdict = words(entry.rto_verdict)
    if limits:
        warn, fail = map(words.number, limits)
        said = "{verdict} (warn above {warn} min, fail above {fail} min)"
        verdict = words(said, verdict=verdict, warn=warn, fail=fail)
    return Cell(verdict, _TONES[entry.rto_verdict])


def _outage(outage: Outage | None, words: Words) -> Cell | str | None:
    if outage is None:
        return None
    values = {
        "start": words.instant(outage.from_at),
        "requests": words.counted(outage.asked, "request"),
        "interval": words.short(outage.interval_s),
    }
    if outage.until_at is None:
        said = "still down at the end, since {start} ({requests}, one every {interval})"
        return Cell(words(said, **values), "bad")
    values |= {"duration": words.short(outage.seconds), "end": words.instant(outage.until_at)}
    return words(
        "{duration}, from {start} until {end} ({requests}, one every {interval})", **values
    )


def _lost_summary(entry: IncidentEntry, words: Words) -> str:
    if entry.lost_rows is None:
        return words("not counted") if entry.kind == "recovery" else NOTHING
    lost = [rows for rows in entry.lost_rows.values() if rows > 0]
    if not lost:
        return words("none")
    rows, tables = words.counted(sum(lost), "row"), words.counted(len(lost), "table")
    return words("{rows} ({tables})", rows=rows, tables=tables)


def _lost(rows: dict[str, int], words: Words) -> Table:
    """By table, biggest loss first; the backup may also have rows that the database had not."""
    ordered = sorted(rows.items(), key=lambda item: (-item[1], item[0]))
    cells = [(table, _difference(count, words)) for table, count in ordered if count]
    return Table((words("table"), words("rows")), cells)


def _difference(count: int, words: Words) -> str:
    if count > 0:
        return words.number(count)
    return words("{rows} more than before", rows=words.number(-count))


def _smoke_summary(report: SmokeReport | None, words: Words) -> str:
    if report is None:
        return words("not run")
    passed = sum(result.ok for result in report.results)
    values = {"passed": str(passed), "all": str(len(report.results))}
    if not (bad := [result.name for result in (*report.failures, *report.warnings)]):
        return words("{passed}/{all} passed", **values)
    return words("{passed}/{all} passed; not: {names}", **values, names=", ".join(bad))


def _endpoint_result(result: EndpointResult, words: Words) -> Cell:
    if result.skipped:
        return Cell(words("skipped"))
    if result.ok:
        return Cell(words("ok"), "good")
    return Cell(words("failed"), "bad") if result.required else Cell(words("warning"), "warn")


def _phase_result(phase: Phase, words: Words) -> Cell:
    if phase.skipped:
        return Cell(words("skipped"))
    if phase.ok is None:
        return Cell(words("not ended"), "bad")
    return Cell(words("ok"), "good") if phase.ok else Cell(words("failed"), "bad")


def _number(value: int | None, words: Words) -> str:
    return NOTHING if value is None else words.number(value)


def _attempt(entry_id: str, recovery: str) -> bool:
    """Whether an entry is of that recovery: its id, or that with the attempt's number."""
    return bool(re.fullmatch(rf"{re.escape(recovery)}|{re.escape(recovery[:60])}-\d+", entry_id))
