"""How a recovery ended, in a few words: its result, its RTO verdict, its outage.

Belongs here: judging an entry together with what came after it. A recovery that was given up, or
gone on with later, has no verdict of its own, and its outage did not last for ever. Not here: which
entries belong together (``incident_attempts``), pages (``incident_pages``).
"""

from __future__ import annotations

from collections.abc import Sequence

from kajovo_dr.recovery import incident_attempts
from kajovo_dr.recovery.page_blocks import Cell, Tone
from kajovo_dr.recovery.record import IncidentEntry, Outage
from kajovo_dr.recovery.report_words import NOTHING, Words

_TONES: dict[str, Tone] = {"pass": "good", "warn": "warn", "fail": "bad"}


def result(entry: IncidentEntry, words: Words, entries: Sequence[IncidentEntry] = ()) -> Cell:
    """How it ended. entries: the log's, among which may be what came of it."""
    if entry.succeeded:
        return Cell(words("recovered" if entry.kind == "recovery" else "put back"), "good")
    if incident_attempts.given_up(entry):
        return Cell(words("given up"), "warn")
    how, later = _failure(entry, words), incident_attempts.next_attempt(entry, entries)
    if later is None:
        return Cell(how, "bad")
    if incident_attempts.given_up(later):
        return Cell(words("{how}, then given up", how=how), "warn")
    again = incident_attempts.short_id(later, entries)
    return Cell(words("{how}, gone on with as {id}", how=how, id=again), "warn")


def verdict(
    entry: IncidentEntry,
    words: Words,
    entries: Sequence[IncidentEntry] = (),
    limits: tuple[float, float] | None = None,
) -> Cell:
    """The RTO verdict, none of what was given up or gone on with; limits: said beside it."""
    later = incident_attempts.next_attempt(entry, entries)
    if not entry.succeeded and (later or incident_attempts.given_up(entry)):
        return Cell(NOTHING)
    said = words(entry.rto_verdict)
    if limits:
        warn, fail = map(words.number, limits)
        text = "{verdict} (warn above {warn} min, fail above {fail} min)"
        said = words(text, verdict=said, warn=warn, fail=fail)
    return Cell(said, _TONES[entry.rto_verdict])


def outage(entry: IncidentEntry, words: Words, entries: Sequence[IncidentEntry] = ()) -> Cell:
    """How long nobody was answered."""
    seen = entry.outage
    if seen is None:
        watched = entry.format > 1 and not entry.database_only
        return Cell(words("none seen") if watched else NOTHING)
    if seen.until_at is not None:
        return Cell(words.short(seen.seconds), unbroken=True)
    if later := incident_attempts.next_attempt(entry, entries):
        again = incident_attempts.short_id(later, entries)
        return Cell(words("see {id}", id=again), unbroken=True)
    if incident_attempts.given_up(entry):
        return Cell(words("end not seen"), "warn")
    return Cell(words("still down"), "bad")


def outage_in_full(
    entry: IncidentEntry, words: Words, entries: Sequence[IncidentEntry] = ()
) -> Cell:
    """The same with its moments, and how it was watched."""
    told, seen = outage(entry, words, entries), entry.outage
    if seen is None:
        return told
    requests = words.counted(seen.asked, "request")
    watched = words(
        "{requests}, one every {interval}", requests=requests, interval=words.short(seen.interval_s)
    )
    return Cell(f"{told.text}, {_moments(seen, words)} ({watched})", told.tone)


def _moments(seen: Outage, words: Words) -> str:
    start = words.instant(seen.from_at)
    if seen.until_at is not None:
        several = (seen.until_at - seen.from_at).total_seconds() - (seen.seconds or 0)
        said = "in several gaps between {start} and {end}"
        said = said if several > seen.interval_s else "from {start} until {end}"
        return words(said, start=start, end=words.instant(seen.until_at))
    if seen.gap_at is None or not seen.seconds:
        return words("since {start}", start=start)
    return words(
        "since {gap}, and {duration} before that, from {start} on",
        gap=words.instant(seen.gap_at),
        duration=words.short(seen.seconds),
        start=start,
    )


def _failure(entry: IncidentEntry, words: Words) -> str:
    if entry.failed_phase is None:
        return words("failed")
    if entry.failed_phase != "interrupted":
        return words("failed in {phase}", phase=words.phase(entry.failed_phase))
    begun = [phase.name for phase in entry.phases if phase.ok is None]
    return words("cut off in {phase}", phase=words.phase(begun[-1])) if begun else words("cut off")
