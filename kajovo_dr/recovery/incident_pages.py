"""What is told of a recovery and of the whole log, in which order.

Belongs here: every fact of an entry as blocks of a page. Not here: how it ended
(``incident_outcome``), words (``report_words``) and markup (``page_blocks``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from kajovo_dr.recovery import incident_outcome
from kajovo_dr.recovery.chain import Break
from kajovo_dr.recovery.incident_attempts import short_id, undone_by
from kajovo_dr.recovery.page_blocks import Block, Cell, Heading, Line, Table
from kajovo_dr.recovery.record import IncidentEntry, Phase
from kajovo_dr.recovery.report_words import NOTHING, Words
from kajovo_dr.recovery.smoke import EndpointResult, SmokeReport

#: Phases that are no work, only an end.
_ENDS = {"interrupted": "cut off", "abandoned": "given up"}


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
    return blocks + incidents(list(reversed(entries)), words, entries)


def incidents(
    chosen: Sequence[IncidentEntry], words: Words, entries: Sequence[IncidentEntry]
) -> list[Block]:
    """Several incidents in their order. entries: the log's."""
    return [block for entry in chosen for block in incident(entry, words, entries)]


def incident(
    entry: IncidentEntry, words: Words, entries: Sequence[IncidentEntry] = ()
) -> list[Block]:
    """One recovery or undo. entries: the log's, among which may be what came of it."""
    facts = [
        (words(fact), value)
        for fact, value in _facts(entry, words, entries)
        if value is not None and (entry.kind == "recovery" or value != NOTHING)
    ]
    blocks: list[Block] = [
        Heading(2, title(entry, words), entry.id),
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


def phases(done: Iterable[Phase], words: Words) -> Table:
    """A table of phases with their times."""
    listed = list(done)
    details = [words.detail(phase.name, phase.detail) for phase in listed]
    rows = [
        (
            words.phase(phase.name),
            words.moment(phase.began_at),
            words.moment(phase.ended_at),
            Cell(_phase_duration(phase, words), unbroken=True),
            _phase_result(phase, words),
            detail,
        )
        for phase, (detail, _) in zip(listed, details, strict=True)
    ]
    titles = ("phase", "begin", "end", "duration", "result", _detail_title(details))
    return Table([words(title) for title in titles], rows)


def smoke(report: SmokeReport, words: Words) -> Table:
    """A table of endpoints."""
    details = [words.detail("smoke", result.detail) for result in report.results]
    rows = [
        (
            result.name,
            _endpoint_result(result, words),
            NOTHING if result.status is None else str(result.status),
            _number(result.count, words),
            _number(result.expected, words),
            Cell(NOTHING if result.skipped else words.short(result.seconds), unbroken=True),
            detail,
        )
        for result, (detail, _) in zip(report.results, details, strict=True)
    ]
    titles = ("endpoint", "result", "status", "count", "in the database", "duration")
    return Table([words(title) for title in (*titles, _detail_title(details))], rows)


def _detail_title(details: Sequence[tuple[str, bool]]) -> str:
    return "detail" if all(known for _, known in details) else "detail (errors in English)"


def _overview(entries: Sequence[IncidentEntry], words: Words) -> Table:
    rows = [_overview_row(entry, words, entries) for entry in reversed(entries)]
    titles = ("id", "kind", "incident", "result", "undone by", "duration", "RTO", "outage")
    return Table([words(title) for title in (*titles, "data lost", "backup", "who")], rows)


def _overview_row(
    entry: IncidentEntry, words: Words, entries: Sequence[IncidentEntry]
) -> tuple[Cell | str, ...]:
    undone = undone_by(entry, entries)
    return (
        _linked(entry, entries),
        words(entry.kind),
        words.moment(entry.incident_at or entry.started_at),
        incident_outcome.result(entry, words, entries),
        _linked(undone, entries) if undone else NOTHING,
        Cell(words.duration(entry.duration_s), unbroken=True),
        incident_outcome.verdict(entry, words, entries),
        incident_outcome.outage(entry, words, entries),
        Cell(words.duration(entry.data_lost_s), unbroken=True),
        entry.backup or NOTHING,
        entry.who,
    )


def _linked(entry: IncidentEntry, entries: Sequence[IncidentEntry]) -> Cell:
    return Cell(short_id(entry, entries), unbroken=True, link=entry.id)


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
    entry: IncidentEntry, words: Words, entries: Sequence[IncidentEntry]
) -> list[tuple[str, Cell | str | None]]:
    return [*_course(entry, words, entries), *_data(entry, words), *_aftermath(entry, words)]


def _course(
    entry: IncidentEntry, words: Words, entries: Sequence[IncidentEntry]
) -> list[tuple[str, Cell | str | None]]:
    """When, how long, how it ended. None: a line that does not apply."""
    undone = undone_by(entry, entries)
    return [
        ("kind", words(entry.kind)),
        ("undoes the recovery", entry.undoes),
        ("incident", words.moment(entry.incident_at)),
        ("incident detected", words.moment(entry.detected_at)),
        ("started", words.moment(entry.started_at)),
        ("ended", words.moment(entry.finished_at)),
        ("result", incident_outcome.result(entry, words, entries)),
        ("undone by", Cell(undone.id, "warn") if undone else None),
        ("duration", words.duration(entry.duration_s)),
        ("RTO verdict", incident_outcome.verdict(entry, words, entries, limits=words.rto)),
        ("since the incident", words.duration(entry.since_incident_s)),
        ("outage", incident_outcome.outage_in_full(entry, words, entries)),
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
        ("safety backup", words.detail("safety", entry.safety)[0] or NOTHING),
        ("databases swapped", words.moment(entry.swapped_at)),
        ("replaced database kept as", entry.replaced or NOTHING),
        ("accounts with an older password again", _number(entry.accounts_reverted, words)),
        ("smoke test", _smoke_summary(entry.smoke, words)),
        ("who", entry.who),
        ("reason", entry.note or NOTHING),
    ]


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
        return Cell(words("skipped"), unbroken=True)
    if result.ok:
        return Cell(words("ok"), "good", unbroken=True)
    how = Cell(words("failed"), "bad") if result.required else Cell(words("warning"), "warn")
    return replace(how, unbroken=True)


def _phase_duration(phase: Phase, words: Words) -> str:
    return NOTHING if phase.ok is None or phase.skipped else words.short(phase.seconds)


def _phase_result(phase: Phase, words: Words) -> Cell:
    if phase.skipped:
        return Cell(words("skipped"), unbroken=True)
    if phase.name in _ENDS:
        return Cell(words(_ENDS[phase.name]), "warn", unbroken=True)
    if phase.ok is None:
        return Cell(words("not ended"), "bad", unbroken=True)
    how = Cell(words("ok"), "good") if phase.ok else Cell(words("failed"), "bad")
    return replace(how, unbroken=True)


def _number(value: int | None, words: Words) -> str:
    return NOTHING if value is None else words.number(value)
