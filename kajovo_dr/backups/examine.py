"""Examining one dump file of another tool: its content, its sidecars, its moment, its database.

Not here: the words for what was found (``worth``) and what follows from it (``adopt``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from kajovo_dr.backups.dump_facts import DumpFacts, archive_database, read_facts
from kajovo_dr.backups.foreign import Candidate
from kajovo_dr.backups.inspect import Inspection, inspect
from kajovo_dr.backups.old_sidecars import OldSidecars, moment_of, read_sidecars
from kajovo_dr.backups.sql_scan import Finding
from kajovo_dr.postgres.server import Server
from kajovo_dr.postgres.transport import Transport
from kajovo_dr.progress import Progress
from kajovo_dr.settings import Settings


@dataclass(frozen=True)
class Examined:
    """All that a file, and what lies beside it, tells. notes: what makes it worth no less."""

    candidate: Candidate
    found: Inspection
    facts: DumpFacts
    sidecars: OldSidecars
    moment: datetime
    database: str
    notes: tuple[str, ...]


def examine(
    settings: Settings, transport: Transport, candidate: Candidate, progress: Progress
) -> Examined:
    """Read a file to its end, a whole one twice; raises OSError when it cannot be read."""
    path, kind, limit = candidate.path, candidate.kind, settings.restore_timeout_s
    found = inspect(
        path, kind, manifest=None, transport=transport, timeout=limit, progress=progress
    )
    sidecars = read_sidecars(path, found.size_bytes, found.sha256)
    facts = DumpFacts()
    if found.ok:
        facts = read_facts(path, kind, transport, limit, progress)
    findings = [*found.findings, *sidecars.findings]
    if found.ok:
        findings += _told_by(facts, found)
    database, doubt = _database(settings, candidate, found, sidecars, transport)
    return Examined(
        candidate,
        replace(found, findings=tuple(findings)),
        facts,
        sidecars,
        moment_of(path, sidecars, settings.timezone),
        database,
        (*sidecars.notes, *_odd_letters(facts), *([] if findings else doubt)),
    )


def _told_by(facts: DumpFacts, found: Inspection) -> Iterator[Finding]:
    """What is wrong with a file that a client tool would restore without a complaint."""
    if facts.refused:
        yield Finding("commands", *facts.refused)
    letters = facts.letters
    if letters.throughout:
        by = (
            "a code page that lost them"
            if letters.lost
            else f"a console code page ({letters.page})"
        )
        what = f"Czech letters were broken by {by} in {letters.broken:,} places"
        yield Finding("letters", what, f"the first in {letters.first}")
    if facts.inserts:
        yield Finding("rows", "its rows are INSERT statements, which nobody can count: use psql")
    elif not found.counts:
        yield Finding("rows", "has no table's rows, only definitions")


def _odd_letters(facts: DumpFacts) -> Iterator[str]:
    letters = facts.letters
    if letters.broken and not letters.throughout:
        places = f"{letters.broken:,} of them, the first in {letters.first}"
        yield f"texts that look broken, in the source already: {places}"


def _database(
    settings: Settings,
    candidate: Candidate,
    found: Inspection,
    sidecars: OldSidecars,
    transport: Transport,
) -> tuple[str, list[str]]:
    """The name of the database, and a note when it is a guess: plain dumps do not tell it."""
    if told := sidecars.text("database"):
        return told, []
    if found.ok and candidate.kind == "custom":
        return archive_database(candidate.path, transport), []
    guess = "unknown"
    if settings.database_url is not None:
        guess = Server.from_url(settings.database_url.get_secret_value()).dbname
    return guess, [f"nothing tells its database: taken for {guess}"]
