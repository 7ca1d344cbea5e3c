"""``kajovo-dr recover``, ``undo`` and ``cleanup``: bringing a system back, and back again.

Belongs here: options, the plan as a person reads it, the confirmation. Not here: the work
(``recovery``). None of them needs Dagster.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from kajovo_dr import terminal
from kajovo_dr.cli_options import json_option, login_name, with_settings
from kajovo_dr.errors import DrError, NotConfirmed, SettingError
from kajovo_dr.settings import Settings

#: Tables that a plan names; the log has all of them.
_NAMED = 8
#: A recovery that began longer ago is gone on with only when it is confirmed again.
_YOUNG = timedelta(hours=1)
_CONFIRM = click.option("--confirm", metavar="DATABASE", help="Its name again, instead of asking.")
_WHO = click.option("--who", metavar="NAME", help="For the incident log; default: the login name.")
#: Parameters of `recover` that say what a new recovery is to be.
_OF_A_NEW_ONE = (
    *("backup", "database", "before", "detected", "who", "reason"),
    *("database_only", "create_roles"),
)
_REASON = click.option("--reason", default="", metavar="TEXT", help="What happened, for the log.")


@click.command()
@click.argument("backup", required=False, metavar="[BACKUP]")
@click.option("--database", metavar="NAME", help="Name to recover under [default: production's].")
@click.option(
    "--before", metavar="TIME", help="When it happened, like '2026-11-23 03:10'; default: now."
)
@click.option("--detected", metavar="TIME", help="When somebody noticed it, likewise.")
@_CONFIRM
@_WHO
@_REASON
@click.option("--database-only", is_flag=True, help="Leave the application alone.")
@click.option("--create-roles", is_flag=True, help="Create roles that the server lacks.")
@click.option("--plan", "only_plan", is_flag=True, help="Say what would be done; touch nothing.")
@click.option("--resume", "resumed", is_flag=True, help="Go on with the one that has not ended.")
@click.option("--abandon", "abandoned", is_flag=True, help="Give the one up that has not ended.")
@click.option("--id", "which", default="", metavar="ID", help="Which one: the beginning of its id.")
@json_option
@with_settings
def recover(settings: Settings, **options: Any) -> None:
    """Bring the system back: restore beside, compare, migrate, swap, start, test, log.

    Without BACKUP it is the newest proven one before the incident. The live database is untouched
    until its replacement is whole; it is kept, and kajovo-dr undo puts it back.
    """
    _require_consistent(options)
    from kajovo_dr.sandbox.stack import protected_system

    with protected_system(settings) as complete, terminal.progress() as progress:
        if options["abandoned"]:
            _abandon(complete, options)
        elif options["resumed"]:
            _resume(complete, options, progress)
        else:
            _recover(complete, options, progress)


def _require_consistent(options: dict[str, Any]) -> None:
    modes = [name for name in ("only_plan", "resumed", "abandoned") if options[name]]
    if len(modes) > 1:
        raise click.UsageError("--plan, --resume and --abandon exclude each other")
    going_on = modes in (["resumed"], ["abandoned"])
    if options["which"] and not going_on:
        raise click.UsageError("--id goes with --resume or --abandon")
    if going_on and any(options[name] not in (None, "", False) for name in _OF_A_NEW_ONE):
        raise click.UsageError(
            "--resume and --abandon are about a recovery as it was begun: besides them there may be"
            " --id, --confirm and --json only"
        )


def _recover(settings: Settings, options: dict[str, Any], progress: Any) -> None:
    from kajovo_dr.recovery.conduct import run
    from kajovo_dr.recovery.preflight import plan
    from kajovo_dr.recovery.recover import Recovery
    from kajovo_dr.recovery.request import require_confirmed

    request = _request(settings, options)
    as_json, recording = options["as_json"], not options["only_plan"]
    looked = plan(settings, request, recording=recording, tell=_warn, progress=progress)
    if options["only_plan"]:
        _show_plan(settings, looked, as_json=as_json)
        looked.require()
        return
    if not as_json:
        _show_plan(settings, looked, as_json=False)
    looked.require()
    if request.confirm is None:
        require_confirmed(request.database, _typed(request.database))
    recovery = Recovery.begin(settings, looked, progress=progress)
    _conducted(settings, recovery, run, progress, as_json=as_json)


def _conducted(
    settings: Settings, recovery: Any, run: Any, progress: Any, *, as_json: bool
) -> None:
    """Run the phases, each with a line of output as soon as it has ended."""
    short = recovery.record.short
    terminal.tell(f"{recovery.record.kind} {short}; should it be cut off: --resume goes on with it")

    def told(phase: Any) -> None:
        if not as_json:
            _show_phase(phase)

    try:
        entry = run(settings, recovery, told=told, progress=progress)
    except DrError:
        if not as_json:
            _show_failure(recovery.record)
        raise
    if as_json:
        terminal.show_json(entry.model_dump(mode="json"))
    else:
        _show_entry(settings, entry)


def _request(settings: Settings, options: dict[str, Any]) -> Any:
    from kajovo_dr.postgres.server import source
    from kajovo_dr.recovery.request import Request, past_moment

    database = options["database"]
    if database is None:
        database = source(settings).dbname
    backup = options["backup"]
    if backup is not None and not backup.strip():
        raise SettingError("BACKUP is empty", hint="leave it out for the newest proven one.")
    return Request(
        database=database,
        confirm=options["confirm"],
        who=login_name(options["who"]),
        note=options["reason"],
        incident_at=past_moment(options["before"] or "", "--before", settings.timezone),
        detected_at=past_moment(options["detected"] or "", "--detected", settings.timezone),
        backup=backup or "",
        database_only=options["database_only"],
        create_roles=options["create_roles"],
    )


def _typed(database: str) -> str:
    """The name as a person types it; nobody is asked where nobody can answer."""
    if not sys.stdin.isatty():
        raise NotConfirmed(
            f"replacing {database!r} must be confirmed; nothing was changed",
            hint=f"add --confirm {database} where nobody can be asked.",
        )
    return str(click.prompt(f"Type the name of the database to replace ({database})", err=True))


def _show_plan(settings: Settings, looked: Any, *, as_json: bool) -> None:
    if as_json:
        findings = [
            {"name": each.name, "verdict": each.verdict, "said": each.said, "hint": each.hint}
            for each in looked.findings
        ]
        backup = looked.read.backup.name if looked.read else None
        facts = {"backup": backup, "live": looked.live, "lost_rows": looked.lost_rows}
        terminal.show_json({"database": looked.target.dbname, **facts, "findings": findings})
        return
    for each in looked.findings:
        terminal.finding(each, hint=each.verdict != "ok")
    _show_losses(looked)
    terminal.say(_what_next(settings, looked))


def _show_losses(looked: Any) -> None:
    if looked.lost_rows is None:
        return
    lost = {table: rows for table, rows in looked.lost_rows.items() if rows > 0}
    back = {table: -rows for table, rows in looked.lost_rows.items() if rows < 0}
    none = "no table has more rows now than in the backup"
    terminal.say(f"what would be lost, in rows: {_most(lost) or none}")
    if back:
        terminal.say(f"what would come back, in rows: {_most(back)}")


def _most(rows: dict[str, int]) -> str:
    """The tables with the most of them."""
    most = sorted(rows.items(), key=lambda item: -item[1])
    named = ", ".join(f"{table} {number}" for table, number in most[:_NAMED])
    more = f" and {len(most) - _NAMED} more tables" if len(most) > _NAMED else ""
    return named + more


def _what_next(settings: Settings, looked: Any) -> str:
    name = looked.target.dbname
    if any(finding.verdict == "fail" for finding in looked.findings):
        return "would do nothing: first mend what FAIL stands before"
    if looked.database_only:
        first = "" if looked.live == "missing" else f"back up {name}, "
        return f"would: {first}restore beside it, compare, revoke sessions, swap"
    legacy = ", migrate legacy data" if settings.legacy_url else ""
    return (
        f"would: back up {name}, stop the application, restore beside it, compare, migrate{legacy},"
        " revoke sessions, swap, start the application, test it, log it"
    )


def _show_failure(record: Any) -> None:
    """The line of the phase that failed; what is wrong with it follows as the error."""
    failed = [phase for phase in record.phases if phase.ok is False]
    if failed:
        _show_phase(failed[-1].model_copy(update={"detail": "failed, as said below"}))


def _show_phase(phase: Any) -> None:
    mark = "skip" if phase.skipped else terminal.mark(ok=bool(phase.ok))
    terminal.say(f"{mark} {phase.seconds:7.1f} s  {phase.name}: {phase.detail}")


def _show_entry(settings: Settings, entry: Any) -> None:
    from kajovo_dr.recovery.incident_log import IncidentLog
    from kajovo_dr.recovery.report import human_duration

    done = "recovered" if entry.kind == "recovery" else "put back"
    took = human_duration(entry.duration_s)
    terminal.say(f"{terminal.mark(ok=entry.succeeded)} {entry.database} is {done} in {took}")
    terminal.say(f"   RTO: {entry.rto_verdict} ({settings.rto_minutes:g} min at most)")
    if entry.kind == "recovery":
        terminal.say(
            f"   data lost: the last {human_duration(entry.data_lost_s)} before the incident"
        )
    if entry.outage is not None:
        seconds = entry.outage.seconds
        terminal.say(f"   outage as seen from here: {human_duration(seconds)}")
    terminal.say(f"   incident log: {IncidentLog.of(settings).page}")
    if entry.replaced:
        which, again = (
            ("former", "undo")
            if entry.kind == "recovery"
            else ("recovered", f"undo {entry.id[:8]}")
        )
        terminal.say(f"   the {which} database is kept as {entry.replaced}: kajovo-dr {again}")


def _resume(settings: Settings, options: dict[str, Any], progress: Any) -> None:
    from kajovo_dr.recovery.conduct import run
    from kajovo_dr.recovery.request import require_confirmed
    from kajovo_dr.recovery.resume import find, resume

    record = find(settings, options["which"])
    old = datetime.now(UTC) - record.started_at > _YOUNG
    if old and not record.done("swap"):  # it was confirmed for what the database was then
        begun = terminal.local_time(record.started_at, settings.timezone)
        terminal.tell(f"recovery {record.short} was begun {begun}; what was written since is lost")
        typed = options["confirm"]
        require_confirmed(record.database, _typed(record.database) if typed is None else typed)
    recovery = resume(settings, record, progress=progress)
    _conducted(settings, recovery, run, progress, as_json=options["as_json"])


def _abandon(settings: Settings, options: dict[str, Any]) -> None:
    from kajovo_dr.recovery.resume import abandon, find

    entry = abandon(settings, find(settings, options["which"]))
    if options["as_json"]:
        terminal.show_json(entry.model_dump(mode="json"))
    else:
        terminal.say(f"{terminal.mark(ok=True)} {entry.kind} {entry.id[:8]} was given up")


@click.command()
@click.argument("recovery", required=False, metavar="[ID]", default="")
@click.option("--database", metavar="NAME", help="Whose last recovery [default: production's].")
@_CONFIRM
@_WHO
@_REASON
@json_option
@with_settings
def undo(
    settings: Settings,
    recovery: str,
    database: str | None,
    confirm: str | None,
    who: str | None,
    reason: str,
    as_json: bool,
) -> None:
    """Put the database back that the last recovery (or that of ID) replaced."""
    from kajovo_dr.postgres.server import source
    from kajovo_dr.recovery.conduct import run
    from kajovo_dr.recovery.undo import begin_undo, last_swapped, require_possible
    from kajovo_dr.sandbox.stack import protected_system

    with protected_system(settings) as complete, terminal.progress() as progress:
        name = database if database is not None or recovery else source(complete).dbname
        of = last_swapped(complete, recovery, database=name or "")
        require_possible(complete, of)
        if confirm is None and not as_json:
            begun = terminal.local_time(of.started_at, complete.timezone)
            terminal.say(
                f"{of.kind} {of.short} of {begun} by {of.who} would be undone: {of.replaced!r}"
                f" becomes {of.database!r} again; what was written since is kept beside it"
            )
        typed = _typed(of.database) if confirm is None else confirm
        begun_undo = begin_undo(
            complete, of, who=login_name(who), confirm=typed, note=reason, progress=progress
        )
        _conducted(complete, begun_undo, run, progress, as_json=as_json)


@click.command()
@click.option("--plan", "only_plan", is_flag=True, help="Say what would be dropped; touch nothing.")
@json_option
@with_settings
def cleanup(settings: Settings, only_plan: bool, as_json: bool) -> None:
    """Drop the databases that recoveries replaced, when they are no longer needed for an undo."""
    from kajovo_dr.postgres import databases
    from kajovo_dr.postgres.server import restore_target
    from kajovo_dr.progress import human_bytes
    from kajovo_dr.recovery import leftovers
    from kajovo_dr.sandbox.stack import server_of_restores

    with server_of_restores(settings) as complete:
        if only_plan:
            server = restore_target(complete, complete.maintenance_database)
            with databases.connect(server) as admin:
                found = leftovers.kept(complete, admin, server)
            dropped = [each for each in found if not each.why]
            stay = [each for each in found if each.why]
        else:
            dropped, stay = leftovers.cleanup(complete)
    if as_json:
        listed = {"dropped": [each.name for each in dropped], "planned": only_plan}
        terminal.show_json({**listed, "kept": {each.name: each.why for each in stay}})
        return
    done = "would be dropped" if only_plan else "dropped"
    for each in dropped:
        terminal.say(f"{done}: {each.name}, {human_bytes(each.bytes_on_disk)}")
    for each in stay:
        terminal.say(f"kept: {each.name}, {human_bytes(each.bytes_on_disk)}: {each.why}")
    if not (dropped or stay):
        terminal.say("no replaced database is left on the server")


def _warn(text: str) -> None:
    terminal.tell(f"{terminal.mark(ok=False, warning=True)} {text}")
