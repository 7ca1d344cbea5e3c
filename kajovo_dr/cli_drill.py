"""``kajovo-dr drill``: the whole recovery rehearsed, its history, and the zoo alone.

Belongs here: the command, its options and what it prints. Not here: the drill (``recovery.drill``),
the zoo (``backups.zoo``) and looks of the report (``recovery.drill_report``). Works without
Dagster.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from kajovo_dr import files, terminal
from kajovo_dr.cli_options import json_option, login_name, with_settings
from kajovo_dr.errors import DrError, DrillFailed, FileRefused, ProofFailed, SettingError
from kajovo_dr.progress import Progress
from kajovo_dr.settings import Settings

if TYPE_CHECKING:
    from kajovo_dr.backups.zoo.exercise import Outcome
    from kajovo_dr.recovery.drill import DrillReport
    from kajovo_dr.recovery.drill_record import DrillPhase
    from kajovo_dr.recovery.drill_words import Words

_COLOURS = {
    **{"passed": "green", "failed": "red"},
    **{"pass": "green", "warn": "yellow", "fail": "red"},
}
#: Letters of a cell that tells something; --json has all of them.
_SHOWN = 90


@click.command()
@click.argument("backup", required=False, metavar="[NAME]")
@click.option("--mutants", is_flag=True, help="Only the zoo: damaged copies of one backup.")
@click.option("--history", "only_history", is_flag=True, help="List all drills instead.")
@click.option("--report", metavar="FILE", help="Copy the report, one HTML file, to here, too.")
@click.option("--who", help="Who runs it, for the record; default: the system's user.")
@click.option("--lang", type=click.Choice(["en", "cs"]), help="Language of the report.")
@json_option
@with_settings
def drill(
    settings: Settings,
    backup: str | None,
    mutants: bool,
    only_history: bool,
    report: str | None,
    who: str | None,
    lang: Literal["en", "cs"] | None,
    as_json: bool,
) -> None:
    """Rehearse a whole recovery beside production, timed; nothing of it stays but its backup.

    With --mutants only the proof is tested, on one backup (default: the newest proven one).
    """
    if mutants + only_history > 1 or ((mutants or only_history) and report is not None):
        raise click.UsageError("--mutants, --history and --report exclude each other")
    if backup is not None and not mutants:
        raise click.UsageError("a NAME goes with --mutants: a drill takes a backup of its own")
    if lang is not None:
        settings = settings.with_overrides(language=lang)
    if mutants:
        _exercise(settings, backup, as_json=as_json)
    elif only_history:
        _show_history(settings, as_json=as_json)
    else:
        _drill(settings, login_name(who), report, as_json=as_json)


def _drill(settings: Settings, who: str, copy: str | None, *, as_json: bool) -> None:
    if copy is not None and not Path(copy).absolute().parent.is_dir():
        raise FileRefused(f"--report {copy}: there is no such folder")
    with terminal.progress() as progress:
        done = _run(settings, who, progress)
    if copy is not None:
        files.replace_atomically(Path(copy), done.path.read_bytes())
    if as_json:
        document = done.record.model_dump(mode="json")
        terminal.show_json({**document, "report": str(done.path)})
        if not done.record.ok:
            sys.exit(DrillFailed.exit_code)
        return
    _show(settings, done)
    done.require_ok()


def _run(settings: Settings, who: str, progress: Progress) -> DrillReport:
    """A drill that cannot even begin has its record, too."""
    from kajovo_dr.postgres.server import source
    from kajovo_dr.recovery import drill as room

    with ExitStack() as opened:
        try:
            complete = opened.enter_context(_complete(settings))
            protected = source(complete)
        except DrError as failure:
            return room.impossible(settings, who=who, failure=failure)
        return room.run(complete, who=who, source=protected, progress=progress)


@contextmanager
def _complete(settings: Settings) -> Iterator[Settings]:
    """The settings with a database, and an application, to rehearse the recovery of."""
    from kajovo_dr.sandbox import stack
    from kajovo_dr.sandbox.drill_instance import with_second_instance

    sandbox = stack.uses_sandbox(settings)
    with stack.protected_database(settings) as complete:
        if sandbox:
            complete = stack.with_legacy(complete)
            media_root = stack.folder(complete) / "media"
            complete = with_second_instance(complete, media_root=media_root)
        yield complete


def _show(settings: Settings, done: DrillReport) -> None:
    from kajovo_dr.recovery.drill_advice import advice
    from kajovo_dr.recovery.drill_report import foreseen
    from kajovo_dr.recovery.drill_tables import made_of, verdicts
    from kajovo_dr.recovery.drill_words import Words

    record, words = done.record, Words(settings.language, settings.timezone)
    terminal.table(
        [words(key).upper() for key in ("phase", "duration", "result", "detail")],
        [_phase_cells(phase, words) for phase in record.phases],
    )
    if sum_of := made_of(record, words):
        terminal.say(f"   {sum_of}")
    for name, value, verdict, more in verdicts(record, words):
        terminal.say(f"   {name}: {value}, {_judged(verdict, words)} ({more})")
    for left in record.removed:
        terminal.say(f"   {words('removed')}: {words.left(left)}")
    seen = foreseen(settings, record, done.history)
    terminal.say(f"   {words('forecast')}: {words.forecast(seen)}")
    if record.ok:  # of a failed one the error below says what is wrong
        for each in advice(record, done.history, seen, words):
            terminal.say(f"   {words('next')}: {each.text} {'; '.join(each.commands)}".rstrip())
    terminal.say(f"   {words('report')}: {done.path}")


def _phase_cells(phase: DrillPhase, words: Words) -> list[str]:
    taken = words.duration(phase.seconds) if phase.began_at else ""
    judged = _judged(phase.verdict, words)
    return [words.phase(phase.name), taken, judged, _short(words.did(phase))]


def _judged(verdict: str, words: Words) -> str:
    """The verdict in the report's language, in its colour."""
    return click.style(words(verdict), fg=_COLOURS.get(verdict))


def _show_history(settings: Settings, *, as_json: bool) -> None:
    from kajovo_dr.recovery import drill as room
    from kajovo_dr.recovery import drill_history
    from kajovo_dr.recovery.drill_tables import history_rows, history_titles
    from kajovo_dr.recovery.drill_words import Words

    room.log_killed(settings)
    history, words = drill_history.read(settings.state), Words(settings.language, settings.timezone)
    if as_json:
        drills = [drill.model_dump(mode="json") for drill in history.drills]
        terminal.show_json({"drills": drills, "unreadable": list(history.unreadable)})
        return
    if history.drills:
        titles = [title.upper() for title in history_titles(words)]
        terminal.table(titles, history_rows(history, words))
    else:
        terminal.say(words("no_drills"))
    if history.unreadable:
        terminal.tell(words("unreadable", lines=", ".join(map(str, history.unreadable))))


def _exercise(settings: Settings, name: str | None, *, as_json: bool) -> None:
    from kajovo_dr.backups.zoo.exercise import exercise

    if name is not None and not name.strip():
        raise SettingError("NAME is empty", hint="leave it out for the newest proven backup.")
    with terminal.progress() as progress:
        done = exercise(settings, name or "", progress=progress)
    if as_json:
        mutants = [_mutant_json(outcome) for outcome in done.outcomes]
        terminal.show_json({"backup": done.backup, "ok": done.ok, "mutants": mutants})
        if not done.ok:
            sys.exit(ProofFailed.exit_code)
        return
    terminal.table(
        ["MUTANT", "FORMAT", "CAUGHT BY", "PLACE", "RESULT"],
        [_mutant_cells(outcome) for outcome in done.outcomes],
    )
    terminal.say(done.summary)
    done.require_all()


def _mutant_cells(outcome: Outcome) -> list[str]:
    caught = outcome.caught
    rung, place = (caught.rung, caught.place) if caught else ("", outcome.lacks)
    return [outcome.mutant, outcome.kind, rung, _short(place), outcome.result]


def _mutant_json(outcome: Outcome) -> dict[str, Any]:
    from dataclasses import asdict

    return {**asdict(outcome), "result": outcome.result}


def _short(text: str) -> str:
    if len(text) > _SHOWN:
        text = text[: _SHOWN - 1] + "…"
    return " ".join(text.split())
