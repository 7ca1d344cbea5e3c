"""``kajovo-dr status | watchdog | alert | metrics``: how things stand, and telling people.

Belongs here: the commands, their options and what they print. Not here: looking (``watch``) and
sending (``alerts``). They work without Dagster and its database.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from kajovo_dr import terminal
from kajovo_dr.cli_options import json_option, login_name, with_settings
from kajovo_dr.errors import AlertFailed, DrError, NotProtected
from kajovo_dr.progress import human_bytes
from kajovo_dr.settings import Settings

if TYPE_CHECKING:
    from kajovo_dr.alerts.ledger import Ledger
    from kajovo_dr.alerts.transitions import Standing
    from kajovo_dr.watch.status import Status

#: Exit code of a watchdog that could not look: UNKNOWN, as monitoring plugins say it.
_UNKNOWN = 3
_COLOURS = {"ok": "green", "warning": "yellow", "unknown": "red", "critical": "red"}


@click.command()
@json_option
@with_settings
def status(settings: Settings, as_json: bool) -> None:
    """How things stand, on one screen; an error when something is critical."""
    from kajovo_dr.watch.status import status as look

    found = look(settings, datetime.now(UTC))
    if as_json:
        terminal.show_json(_document(found))
        if found.is_bad:
            sys.exit(NotProtected.exit_code)
        return
    _show(settings, found)
    found.require_protected()


@click.command()
@click.option(
    "--install-help", "explain", is_flag=True, help="Print unit files and how to install them."
)
@json_option
def watchdog(explain: bool, as_json: bool) -> None:
    """Look once at everything, from outside Dagster, and tell people what is new.

    For cron, systemd or a task scheduler, every five minutes. It ends as monitoring plugins do:
    0 ok, 1 warning, 2 critical, 3 unknown.
    """
    try:
        settings = Settings.load()
        if explain:
            _explain(settings)
            return
        from kajovo_dr.watch.watchdog import watch

        report = watch(settings, datetime.now(UTC))
    except Exception as failure:  # noqa: BLE001 - whatever it is, monitoring must read a line of it
        _cannot_look(failure, cry=not explain)
    if as_json:
        terminal.show_json(
            {
                "level": report.level,
                "wrong": [_wrong(each) for each in report.looked.active],
                "written": [each.title for each in report.looked.written],
                "sent": [asdict(each.delivery) for each in report.looked.sent],
            }
        )
    else:
        terminal.say(report.line)
    for each in report.looked.sent:
        if not each.delivery.arrived:
            terminal.tell(f"channel {each.delivery.channel}: {each.delivery.said}")
    sys.exit(report.exit_code)


@click.command()
@click.option("--test", "try_it", is_flag=True, help="Send a test message through every channel.")
@click.option("--who", help="Who tries it, for the message; default: the system's user.")
@json_option
@with_settings
def alert(settings: Settings, try_it: bool, who: str | None, as_json: bool) -> None:
    """Show what people were told and what waits; with --test, try every channel."""
    if try_it:
        _try(settings, login_name(who), as_json=as_json)
    else:
        _show_ledger(settings, as_json=as_json)


@click.command()
@click.option("--output", metavar="FILE", help="Write it to this file, which every user can read.")
@with_settings
def metrics(settings: Settings, output: str | None) -> None:
    """Print figures as OpenMetrics text, for Prometheus and others."""
    from kajovo_dr.watch import metrics as figures
    from kajovo_dr.watch.look import see

    now = datetime.now(UTC)
    text = figures.metrics(settings, now, see(settings, "watchdog", now))
    if output is None:
        terminal.say(text.rstrip("\n"))
    else:
        figures.write(Path(output).absolute(), text)


def _cannot_look(failure: Exception, *, cry: bool) -> NoReturn:
    from kajovo_dr.watch import last_resort

    said, hint = f"unexpected {type(failure).__name__}", "this is a bug: see what doctor says."
    if isinstance(failure, DrError):
        said, hint = " ".join(str(failure).split()), failure.hint
    if cry:
        last_resort.cry(said, switch=True)
    terminal.say(f"KAJOVO_DR UNKNOWN - {said}")
    if hint:
        terminal.tell(f"hint: {hint}")
    sys.exit(_UNKNOWN)


def _explain(settings: Settings) -> None:
    from kajovo_dr.watch.install_help import install_help

    program = shutil.which("kajovo-dr", path=str(Path(sys.executable).parent)) or sys.argv[0]
    terminal.say(install_help(settings, Path(program).absolute()))


def _try(settings: Settings, who: str, *, as_json: bool) -> None:
    from kajovo_dr.alerts.trial import require_arrived, try_channels

    deliveries = try_channels(settings, why=f"kajovo-dr alert --test, {who}")
    if as_json:
        terminal.show_json([asdict(each) for each in deliveries])
        if deliveries and not all(each.arrived for each in deliveries):
            sys.exit(AlertFailed.exit_code)
    else:
        for each in deliveries:
            terminal.say(f"{terminal.mark(ok=each.arrived)} {each.channel}: {each.said}")
    require_arrived(deliveries)


def _show_ledger(settings: Settings, *, as_json: bool) -> None:
    from kajovo_dr.alerts import ledger as book
    from kajovo_dr.alerts.channels import readable

    ledger = book.read(settings.state)
    known, problems = readable(settings)
    if as_json:
        terminal.show_json(
            {
                "channels": [
                    {"name": each.name, "severities": sorted(each.severities)} for each in known
                ],
                "ledger": ledger.model_dump(mode="json"),
            }
        )
        return
    terminal.table(
        ["CHANNEL", "GETS", "STATE"],
        [
            [
                each.name,
                ", ".join(sorted(each.severities)),
                ledger.troubles[each.name].said if each.name in ledger.troubles else "ok",
            ]
            for each in known
        ],
    )
    for problem in problems:
        terminal.say(f"{terminal.mark(ok=False)} {problem}")
    if not known:
        terminal.say("no channel: set KAJOVO_DR_ALERT_URLS")
    for line in _told(ledger):
        terminal.say(line)


def _told(ledger: Ledger) -> Iterator[str]:
    """What people know, and what is still on its way to them."""
    for standing in ledger.active:
        told = f"told as {standing.told}" if standing.told != "ok" else "not told yet"
        yield f"{_mark(standing.level)} {standing.key}: {standing.what} ({told})"
    for waiting in ledger.waiting:
        for name, attempt in waiting.channels.items():
            said = f", {attempt.tries} attempts: {attempt.said}" if attempt.tries else ""
            yield f"waits for {name}: {waiting.message.title}{said}"
    if ledger.lost:
        yield f"given up after a week: {ledger.lost} messages"
    if not ledger.looks:
        yield "nobody has looked yet: kajovo-dr watchdog"
    elif not ledger.active and not ledger.waiting:
        yield "nothing is wrong, and nothing waits"


def _show(settings: Settings, found: Status) -> None:
    zone, daemon = settings.timezone, not any(each.key == "daemon" for each in found.wrong)
    rows = [
        ["recovery point", *_point(settings, found)],
        ["backups", *_backups(found)],
        ["last drill", *_drill(settings, found)],
        ["store", *_store(found)],
        ["alerts", *_alerts(found)],
        ["watched by", *_watched(settings, found)],
        *([f"next {run.name}", _due(run.at, zone, daemon), ""] for run in found.runs),
    ]
    terminal.table(["", "NOW", "LIMIT"], rows)
    for each in found.wrong:
        measured = f" ({each.measured})" if each.measured else ""
        terminal.say(f"{_mark(each.level)} {each.what}{measured}")
        if each.next:
            terminal.say(f"     next: {each.next}")
    if not found.wrong:
        terminal.say(f"{_mark('ok')} nothing is wrong")


def _due(at: datetime, timezone: str, daemon: bool) -> str:
    due = terminal.local_time(at, timezone)
    return due if daemon else f"{due} if Dagster's daemon runs then"


def _point(settings: Settings, found: Status) -> tuple[str, str]:
    from kajovo_dr.watch.scene import Words

    limit = f"{settings.rpo_hours:g} h"
    if found.point is None or found.point.age_s is None:
        return ("no backup is proven" if found.database else "not known: no database"), limit
    age = Words("en", settings.timezone).duration(found.point.age_s)
    return f"{age} old, {found.point.backup} of {found.database}", limit


def _backups(found: Status) -> tuple[str, str]:
    counted = ", ".join(f"{number} {state}" for state, number in found.backups.items())
    return counted or "none", ""


def _drill(settings: Settings, found: Status) -> tuple[str, str]:
    from kajovo_dr.recovery.report import human_duration

    limit = f"{settings.rto_warn_minutes:g} to {settings.rto_minutes:g} min"
    if found.drill is None:
        return "none", limit
    when = terminal.local_time(found.drill.finished_at, settings.timezone)
    said = "passed" if found.drill.ok else f"failed: {found.drill.failed_phase}"
    rto = f", RTO {human_duration(found.drill.rto_s)}" if found.drill.rto_s is not None else ""
    return f"{said}{rto}, {when}", limit


def _store(found: Status) -> tuple[str, str]:
    if found.disk is None:
        return f"{found.folder} cannot be read", ""
    days = found.disk.days_left
    left = f", {days:.0f} days left" if days is not None else ""
    return f"{human_bytes(found.disk.free_bytes)} free{left}, {found.folder}", ""


def _alerts(found: Status) -> tuple[str, str]:
    return f"channels: {found.channels}, messages that wait: {found.waiting}", ""


def _watched(settings: Settings, found: Status) -> tuple[str, str]:
    looked = {"Dagster's daemon": found.daemon_at, "watchdog": found.watchdog_at}
    said = [
        f"{name} {terminal.local_time(at, settings.timezone)}"
        for name, at in looked.items()
        if at is not None
    ]
    return ", ".join(said) or "nobody", ""


def _mark(level: str) -> str:
    gap = " " * (8 - len(level))
    return click.style(level, fg=_COLOURS[level]) + gap


def _document(found: Status) -> dict[str, Any]:
    from pydantic_core import to_jsonable_python

    document: dict[str, Any] = to_jsonable_python(found)
    wrong = [_wrong(each) for each in found.wrong]
    return {**document, "wrong": wrong, "level": found.level, "next": found.next}


def _wrong(standing: Standing) -> dict[str, Any]:
    names = {"key", "level", "what", "figure", "limit", "since", "next", "link"}
    return standing.model_dump(mode="json", include=names)
