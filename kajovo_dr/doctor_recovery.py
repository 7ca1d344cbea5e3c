"""What the doctor says of recoveries: those that have not ended, and what the next one needs.

Belongs here: the application and the commands that stop, start and migrate it, legacy data, drills
and the incident log. Not here: servers and the store (``doctor``), and doing any of it: commands
are looked for, none is run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from kajovo_dr import process
from kajovo_dr.doctor_settings import program
from kajovo_dr.errors import (
    CommandMissing,
    DrError,
    LogBroken,
    NotConfigured,
    NotReady,
    ServerError,
    UrlError,
)
from kajovo_dr.finding import Finding, asked, failure
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.server import Server, source
from kajovo_dr.recovery import control, drill_history, legacy, legacy_source, second_instance
from kajovo_dr.recovery.drill_record import DrillRecord
from kajovo_dr.recovery.incident_log import IncidentLog
from kajovo_dr.recovery.journal import unfinished
from kajovo_dr.recovery.readiness import wait_until_ready
from kajovo_dr.recovery.record import RecoveryRecord
from kajovo_dr.recovery.report import human_duration
from kajovo_dr.recovery.resume import Standing, standings
from kajovo_dr.settings import PREFIX, Settings
from kajovo_dr.watch.recovery_sources import is_carried_out


@dataclass(frozen=True)
class Unended:
    """A recovery that has not ended, or not well."""

    record: RecoveryRecord
    finding: Finding

    @property
    def keeps_down(self) -> bool:
        """Whether the application is stopped for it; a stop that was cut off may have done it."""
        skipped = [phase.skipped for phase in self.record.phases if phase.name == "stop"]
        return bool(skipped) and not skipped[-1] and not self.record.done("start")


def unended(settings: Settings, *, asleep: bool) -> list[Unended]:
    """Recoveries that have not ended. asleep: the server that knows how they stand does not run.

    Raises `LogUnwritable` when the incident log cannot be read.
    """
    judge = _asleep if asleep else _awake
    return [Unended(each.record, judge(settings, each)) for each in standings(settings)]


def _asleep(_: Settings, standing: Standing) -> Finding:
    record = standing.record
    return Finding(
        "recovery",
        "warn",
        f"{_named(record)} has not ended; the sandbox hotel does not run, so nobody can say what"
        " is in place",
        f"kajovo-dr recover --resume --id {record.short} starts it and goes on; kajovo-dr up"
        " starts it alone.",
    )


def _awake(settings: Settings, standing: Standing) -> Finding:
    record = standing.record
    if _runs(settings, record):
        begun = [phase.name for phase in record.phases if phase.ok is None]
        where = f"in phase {begun[-1]}" if begun else "between two phases"
        return Finding("recovery", "ok", f"{_named(record)} runs now, {where}")
    return Finding("recovery", "warn", standing.said, standing.hint)


def _named(record: RecoveryRecord) -> str:
    return f"{record.kind} {record.short} of {record.database} by {record.who}"


def _runs(settings: Settings, record: RecoveryRecord) -> bool:
    """Whether somebody carries it out this moment, by the lock that is held meanwhile."""
    if record.id not in {each.id for each in unfinished(settings.state)}:
        return False  # it failed, and the lock is another one's
    return is_carried_out(settings, record)


def application(settings: Settings, open_ones: Sequence[Unended]) -> Iterator[Finding]:
    """What is missing of the application's settings, its commands, and whether it is ready."""
    for name in ("app_base_url", "migrate_dir"):
        if not getattr(settings, name):
            said = f"{PREFIX}{name.upper()} is not set: a recovery would stop there"
            meaning = type(settings).model_fields[name].description
            yield Finding("application", "warn", said, f"set it: {meaning}.")
    if settings.app_login_path and not (settings.app_email and settings.app_password):
        hint = f"set {PREFIX}APP_EMAIL and {PREFIX}APP_PASSWORD."
        yield Finding("application", "warn", "no login: the smoke test would stop there", hint)
    yield _control(settings)
    if settings.migrate_dir:
        yield asked("Alembic", lambda: _migration(settings))
    if legacy.configured(settings):
        yield asked("legacy database", lambda: _legacy(settings))
    if settings.app_base_url:
        yield _readiness(settings, open_ones)


def _control(settings: Settings) -> Finding:
    name = "application's control"
    ways = {"STOP": control.how_to_stop(settings), "START": control.how_to_start(settings)}
    missing = [f"{PREFIX}APP_{verb}_COMMAND" for verb, way in ways.items() if not way]
    if missing:
        said = f"{' and '.join(missing)} not set: a recovery leaves the application running, and"
        said += " what is written until the swap stays in the old database"
        hint = "set each (or the URL of a hook), or stop the application by hand before a recovery."
        return Finding(name, "warn", said, hint)

    def can() -> str:
        for verb in ways:  # a hook cannot be looked for: asking it would do it
            if words := getattr(settings, f"app_{verb.lower()}_command"):
                _found(f"APP_{verb}_COMMAND", words)
        return f"stopped by {ways['STOP']}, started by {ways['START']}"

    return asked(name, can)


def _found(
    setting: str,
    words: Sequence[str],
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> str:
    """The program of a command as it may be shown; raises `CommandMissing` when there is none."""
    if not words:
        raise CommandMissing(f"{PREFIX}{setting} is empty")
    if not process.is_program(words[0], folder=folder, path=(environment or {}).get("PATH")):
        raise CommandMissing(f"{PREFIX}{setting}: {program(words)} is not found, or no program")
    return program(words)


def _in_folder(setting: str, folder: Path | None) -> str:
    if folder is not None and not folder.is_dir():
        raise CommandMissing(f"{PREFIX}{setting}: {folder} is not a folder")
    return str(folder or "the current folder")


def _migration(settings: Settings) -> str:
    folder, words = settings.migrate_dir, settings.migrate_command
    where = _in_folder("MIGRATE_DIR", folder)
    return f"{_found('MIGRATE_COMMAND', words, folder, settings.migrate_env)} in {where}"


def _legacy(settings: Settings) -> str:
    server = Server.from_url(
        settings.need("legacy_url"),
        setting=f"{PREFIX}LEGACY_URL",
        connect_timeout=settings.connect_timeout_s,
    )
    with databases.connect(server):
        pass
    with suppress(NotConfigured, UrlError, ServerError):  # findings of their own
        legacy_source.address(settings, source(settings))
    where = _in_folder("LEGACY_DIR", settings.legacy_dir)
    words = settings.legacy_command
    command = _found("LEGACY_COMMAND", words, settings.legacy_dir, settings.legacy_env)
    return f"{server.shown} answers; migrated by {command} in {where}"


def _readiness(settings: Settings, open_ones: Sequence[Unended]) -> Finding:
    once = settings.with_overrides(app_ready_attempts=1)
    try:
        return Finding("readiness", "ok", f"{wait_until_ready(once).url} answers that it is ready")
    except NotReady as error:
        holding = [each.record for each in open_ones if each.keeps_down]
        if not holding:
            return failure("readiness", error)
        said = f"stopped by {holding[-1].kind} {holding[-1].short}, see above"
        return Finding("readiness", "warn", said, "leave it so: that one starts it at its end.")
    except DrError as error:
        return failure("readiness", error)


def drill(settings: Settings) -> Finding:
    """How the last rehearsal of a recovery went, and when."""
    try:
        history = drill_history.read(settings.state)
    except DrError as error:
        return failure("drill", error)
    if not history.drills:
        return Finding("drill", "warn", "none was run yet", "rehearse a recovery: kajovo-dr drill.")
    return _judged(history.drills[-1], settings.drill_overdue_days)


def _judged(last: DrillRecord, overdue_days: float) -> Finding:
    age_s = (datetime.now(UTC) - last.started_at).total_seconds()
    when = f"the last one, {last.id[:8]}, {human_duration(age_s)} ago,"
    if not last.ok:
        hint = "kajovo-dr drill --history lists them; mend it, then: kajovo-dr drill."
        return Finding("drill", "warn", f"{when} failed: {last.failed_phase}", hint)
    if age_s > overdue_days * 86_400:
        said = f"{when} is more than {overdue_days:g} days old"
        return Finding("drill", "warn", said, "rehearse a recovery again: kajovo-dr drill.")
    return Finding("drill", "ok", f"{when} passed")


def drills_application(settings: Settings) -> Iterator[Finding]:
    """Whether a drill could start an application of its own."""
    if not settings.drill_application:
        return
    try:
        second_instance.require_command(settings)
    except NotConfigured as missing:
        yield Finding("drill's application", "warn", str(missing), missing.hint)
    except DrError as error:
        yield failure("drill's application", error)
    else:
        said = f"{PREFIX}DRILL_APP_COMMAND ({program(settings.drill_app_command)})"
        yield Finding("drill's application", "ok", said)


def incident_log(settings: Settings) -> Finding:
    """Whether the incident log is as it was written."""
    try:
        found = IncidentLog.of(settings).require_intact()
    except LogBroken as broken:
        hint = f"kajovo-dr incidents --verify names the lines; {broken.hint}"
        return Finding("incident log", "fail", str(broken), hint)
    except DrError as error:
        return failure("incident log", error)
    said = f"entries: {found.entries}, as they were written"
    if found.unreadable:
        said += f"; lines that cannot be read: {', '.join(map(str, found.unreadable))}"
    return Finding("incident log", "ok", said)
