"""``kajovo-dr incidents``: what the incident log says, and whether it is as it was written.

Belongs here: the command, its options, and the files that it renders. Not here: the log and its
chain (``recovery.incident_log``) and looks (``recovery.report``). Works without Dagster.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from kajovo_dr import files, terminal
from kajovo_dr.cli_options import json_option, with_settings
from kajovo_dr.errors import FileRefused, LogBroken
from kajovo_dr.settings import Settings

if TYPE_CHECKING:
    from kajovo_dr.recovery.chain import Chain
    from kajovo_dr.recovery.incident_log import IncidentLog
    from kajovo_dr.recovery.page_blocks import Cell
    from kajovo_dr.recovery.record import IncidentEntry
    from kajovo_dr.recovery.report_words import Words

#: Stands for standard output where a file is named.
_OUTPUT = "-"
_COLOURS = {"good": "green", "warn": "yellow", "bad": "red"}


@click.command()
@click.option(
    "--show",
    "wanted",
    metavar="ID",
    help="Print one with all its attempts; the beginning of its id suffices.",
)
@click.option("--verify", "only_verify", is_flag=True, help="Check that no line was tampered with.")
@click.option("--markdown", metavar="FILE", help="Write the log, or that of --show; - prints.")
@click.option("--html", metavar="FILE", help="The same as one self-contained HTML page.")
@click.option("--lang", type=click.Choice(["en", "cs"]), help="Language of what is written.")
@json_option
@with_settings
def incidents(
    settings: Settings,
    wanted: str | None,
    only_verify: bool,
    markdown: str | None,
    html: str | None,
    lang: Literal["en", "cs"] | None,
    as_json: bool,
) -> None:
    """Show the incident log, verify it, or render it for people."""
    from kajovo_dr.recovery import incident_attempts
    from kajovo_dr.recovery.incident_log import IncidentLog

    _require_sense(wanted, only_verify, markdown, html, as_json=as_json)
    if lang is not None:
        settings = settings.with_overrides(language=lang)
    log = IncidentLog.of(settings)
    if only_verify:
        _verify(log, as_json=as_json)
        return
    entries = log.read()
    chosen = None if wanted is None else incident_attempts.chosen(entries, wanted)
    if markdown is None and html is None:
        _show(entries, chosen, settings, as_json=as_json)
    for kind, file in (("markdown", markdown), ("html", html)):
        if file is not None:
            _write(file, _rendered(kind, log, entries, chosen, settings), log)
    _warn_of_breaks(log)


def _require_sense(
    wanted: str | None,
    only_verify: bool,
    markdown: str | None,
    html: str | None,
    *,
    as_json: bool,
) -> None:
    page = markdown is not None or html is not None
    if only_verify and (page or wanted is not None):
        raise click.UsageError("--verify goes with --json alone")
    if as_json and page:
        raise click.UsageError("give --json or a page, not both")
    if markdown == html == _OUTPUT:
        raise click.UsageError("only one page can be printed: name a file for the other")


def _verify(log: IncidentLog, *, as_json: bool) -> None:
    found = log.verify()
    if as_json:
        terminal.show_json(_chain_json(found))
        if not found.ok:
            sys.exit(LogBroken.exit_code)
        return
    log.require_intact()
    terminal.say(f"{terminal.mark(ok=True)} {log.lines} is as it was written")
    terminal.say(f"   entries: {found.entries}; lines that cannot be read: {len(found.unreadable)}")
    terminal.say(f"   sha256 of the last line, to be noted elsewhere: {found.last or 'none'}")


def _chain_json(found: Chain) -> dict[str, Any]:
    from dataclasses import asdict

    return {"ok": found.ok, **asdict(found)}


def _show(
    entries: Sequence[IncidentEntry],
    chosen: Sequence[IncidentEntry] | None,
    settings: Settings,
    *,
    as_json: bool,
) -> None:
    if as_json:
        shown = entries if chosen is None else chosen
        terminal.show_json([entry.model_dump(mode="json") for entry in shown])
    elif chosen is not None:
        _tell(chosen, entries, settings)
    elif not entries:
        terminal.say(f"no recovery was logged yet in {settings.state}")
    else:
        _table(entries, settings)


def _tell(
    chosen: Sequence[IncidentEntry], entries: Sequence[IncidentEntry], settings: Settings
) -> None:
    """All that is known of some incidents, in aligned columns."""
    from kajovo_dr.recovery.incident_pages import incidents as told
    from kajovo_dr.recovery.page_blocks import Heading, Table, visible
    from kajovo_dr.recovery.report_words import Words

    for number, block in enumerate(told(chosen, Words.of(settings), entries)):
        if isinstance(block, Table):
            rows = [[_coloured(cell) for cell in row] for row in block.rows]
            terminal.table(block.titles, rows)
        else:
            if number:
                terminal.say()
            heading = isinstance(block, Heading)
            terminal.say(click.style(visible(block.text), bold=True) if heading else block.text)


def _coloured(cell: Cell | str) -> str:
    from kajovo_dr.recovery.page_blocks import visible

    if isinstance(cell, str):
        return visible(cell)
    colour = _COLOURS.get(cell.tone)
    return click.style(visible(cell.text), fg=colour) if colour else visible(cell.text)


def _table(entries: Sequence[IncidentEntry], settings: Settings) -> None:
    from kajovo_dr.recovery.report_words import Words

    words = Words(settings.timezone)
    terminal.table(
        [
            *("ID", "KIND", "STARTED", "RESULT", "DURATION", "RTO"),
            *("OUTAGE", "DATA LOST", "BACKUP", "WHO"),
        ],
        [_cells(entry, words, entries) for entry in entries],
    )


def _cells(entry: IncidentEntry, words: Words, entries: Sequence[IncidentEntry]) -> list[str]:
    from kajovo_dr.recovery import incident_outcome as outcome
    from kajovo_dr.recovery.incident_attempts import short_id, undone_by

    result, undone = outcome.result(entry, words, entries).text, undone_by(entry, entries)
    return [
        short_id(entry, entries),
        entry.kind,
        words.moment(entry.started_at),
        f"{result}, undone by {short_id(undone, entries)}" if undone else result,
        words.duration(entry.duration_s),
        outcome.verdict(entry, words, entries).text,
        outcome.outage(entry, words, entries).text,
        words.duration(entry.data_lost_s),
        entry.backup or "",
        entry.who,
    ]


def _rendered(
    kind: str,
    log: IncidentLog,
    entries: Sequence[IncidentEntry],
    chosen: Sequence[IncidentEntry] | None,
    settings: Settings,
) -> str:
    from kajovo_dr.recovery import report
    from kajovo_dr.recovery.report_words import Words

    if chosen is not None:
        return _some(kind, entries, chosen, settings)
    words, found = Words.of(settings), log.verify()
    render = report.page if kind == "markdown" else report.page_html
    return render(
        entries,
        words.timezone,
        found.unreadable,
        language=words.language,
        rto=words.rto,
        breaks=found.breaks,
    )


def _some(
    kind: str,
    entries: Sequence[IncidentEntry],
    chosen: Sequence[IncidentEntry],
    settings: Settings,
) -> str:
    from kajovo_dr.recovery import report
    from kajovo_dr.recovery.report_words import Words

    words = Words.of(settings)
    render = report.incidents if kind == "markdown" else report.incidents_html
    page = render(chosen, words.timezone, language=words.language, rto=words.rto, entries=entries)
    return page.rstrip("\n") + "\n"


def _write(name: str, text: str, log: IncidentLog) -> None:
    """Replace the file whole, or print the text; the log's own files are never replaced."""
    if name == _OUTPUT:
        terminal.say(text.rstrip("\n"))
        return
    path = Path(name)
    try:
        path = path.resolve()  # a link is kept, and what it leads to replaced
        if path.exists() and not path.is_file():
            raise FileRefused(f"{name} is no regular file", hint="name a new file.")
        own = [each for each in (log.lines, log.head, log.page) if each.exists()]
        if path.exists() and any(path.samefile(each) for each in own):
            raise FileRefused(f"{name} is the log's own file", hint="name a new file.")
        files.replace_atomically(path, text.encode())
    except (OSError, ValueError, RuntimeError) as failure:
        why = str(getattr(failure, "strerror", None) or failure).lower()
        raise FileRefused(
            f"{name} cannot be written: {why}", hint="name a file in a folder that you may write."
        ) from None
    terminal.say(f"{terminal.mark(ok=True)} {path}")


def _warn_of_breaks(log: IncidentLog) -> None:
    """Beside the output: what is shown may not be what was written."""
    found = log.verify()
    if not found.ok:
        terminal.tell(
            f"{terminal.mark(ok=False, warning=True)} {log.lines} is not as it was written:"
            " kajovo-dr incidents --verify"
        )
    if found.unreadable:
        numbers = ", ".join(map(str, found.unreadable))
        terminal.tell(
            f"{terminal.mark(ok=False, warning=True)} lines of {log.lines} that cannot be read and"
            f" were kept: {numbers}"
        )
