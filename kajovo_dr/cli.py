"""``kajovo-dr``: the command line.

Belongs here: words, options and exit codes. Not here: the work (every command calls one room), or
Dagster: `list`, `verify`, `restore`, `backup` and `doctor` run when it is among the casualties.
"""

from __future__ import annotations

import logging
import signal
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from kajovo_dr import __version__, terminal
from kajovo_dr.cli_drill import drill
from kajovo_dr.cli_incidents import incidents
from kajovo_dr.cli_options import json_option, with_settings
from kajovo_dr.cli_recover import cleanup, recover, undo
from kajovo_dr.cli_watch import alert, metrics, status, watchdog
from kajovo_dr.errors import DrError, DumpDamaged, FileRefused, SettingError
from kajovo_dr.postgres.server import forget_libpq_variables
from kajovo_dr.settings import Settings

#: Exit code of a bug; the codes of errors are in ``errors``.
_BUG = 1
_INTERRUPTED = 130


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Settings are read from KAJOVO_DR_* variables and the file in KAJOVO_DR_CONFIG;"
    " kajovo-dr doctor --settings lists them all.",
)
@click.version_option(__version__, prog_name="kajovo-dr")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def cli(context: click.Context, debug: bool) -> None:
    """Disaster recovery for PostgreSQL applications, proven by restoring."""
    context.obj = debug


cli.add_command(drill)
cli.add_command(incidents)
cli.add_command(recover)
cli.add_command(undo)
cli.add_command(cleanup)
cli.add_command(status)
cli.add_command(watchdog)
cli.add_command(alert)
cli.add_command(metrics)


def main() -> None:
    """Run the command line; every way out has its exit code."""
    terminal.use_utf8()
    logging.getLogger("psycopg").setLevel(logging.ERROR)  # its warnings repeat what we report
    forget_libpq_variables()
    # a service that is stopped must clean up as after Ctrl-C
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        cli(standalone_mode=False)
    except click.ClickException as wrong:
        wrong.show()
        sys.exit(wrong.exit_code)
    except (click.exceptions.Abort, KeyboardInterrupt) as interrupted:
        terminal.tell("interrupted; nothing half-done was published")
        # click's own exception stands before the interruption that knows what was left
        for note in getattr(interrupted.__cause__ or interrupted, "__notes__", ()):
            terminal.tell(note)
        sys.exit(_INTERRUPTED)
    except Exception as failure:  # noqa: BLE001 - an operator gets a sentence, not a traceback
        if "--debug" in sys.argv:
            traceback.print_exc()
        error = _for_the_operator(failure) or DrError(
            f"unexpected {type(failure).__name__}: {failure}",
            hint="this is a bug: run kajovo-dr --debug … and report what it prints.",
        )
        terminal.show_error(error)
        sys.exit(error.exit_code or _BUG)


def _for_the_operator(failure: Exception) -> DrError | None:
    """The error to show; None for what only a bug can be."""
    if isinstance(failure, DrError):
        return failure
    if isinstance(failure, OSError):
        return FileRefused(f"{failure.filename or 'output'}: {str(failure.strerror).lower()}")
    if isinstance(failure, UnicodeEncodeError):
        return SettingError("an argument or a setting is not UTF-8", hint="write it in UTF-8.")
    return None


@cli.command()
@click.option("--reason", default="by hand", show_default=True, help="Why this backup is taken.")
@click.option("--format", "kind", type=click.Choice(["plain", "custom"]), help="Dump format.")
@click.option("--accept-shrink", is_flag=True, help="Publish a dump far smaller than the others.")
@click.option("--prove", "then_prove", is_flag=True, help="Prove it at once by restoring it.")
@json_option
@with_settings
def backup(
    settings: Settings,
    reason: str,
    kind: str | None,
    accept_shrink: bool,
    then_prove: bool,
    as_json: bool,
) -> None:
    """Take a backup now; it is published only if it is whole."""
    from kajovo_dr.backups.prove import prove, require_proven
    from kajovo_dr.backups.take import take
    from kajovo_dr.postgres.server import source
    from kajovo_dr.progress import human_bytes
    from kajovo_dr.sandbox.stack import protected_database

    if kind is not None:
        settings = settings.with_overrides(backup_format=kind)
    with protected_database(settings) as complete, terminal.progress() as progress:
        taken = take(
            complete,
            source(complete),
            reason=reason,
            accept_shrink=accept_shrink,
            progress=progress,
        )
        proof = prove(complete, taken.backup, progress=progress) if then_prove else None
        changes = _changes(complete, taken.backup, proof)
    manifest = taken.backup.manifest
    if as_json:
        document = manifest.model_dump(mode="json", by_alias=True)
        state = proof.state if proof else "taken"
        terminal.show_json({"path": str(taken.backup.path), "state": state, **document})
    else:
        terminal.say(f"{terminal.mark(ok=True)} {taken.backup.path}")
        terminal.say(
            f"   {human_bytes(manifest.size_bytes)}, {manifest.rows} rows in"
            f" {len(manifest.tables)} tables of {manifest.database}, sha256 {manifest.sha256}"
        )
    if proof is not None:
        if not as_json:
            _show_proof(taken.backup.name, proof)
        _show_changes(changes)
        require_proven(taken.backup.name, proof)


@cli.command(name="list")
@json_option
@with_settings
def list_(settings: Settings, as_json: bool) -> None:
    """Show the backups in the store, oldest first."""
    from kajovo_dr.backups import catalog
    from kajovo_dr.backups.store import open_store

    entries = catalog.entries(open_store(settings))
    if as_json:
        terminal.show_json([_entry_json(entry) for entry in entries])
        return
    if not entries:
        terminal.say(f"no backups of prefix {settings.backup_prefix!r} in {settings.store_dir}")
        return
    terminal.table(
        ["BACKUP", "STATE", "SNAPSHOT", "AGE", "SIZE", "ROWS", "DATABASE", "REASON"],
        [_entry_cells(entry, settings) for entry in entries],
    )


@cli.command()
@click.argument("backup", metavar="FILE|NAME")
@click.option("--restore", "by_restoring", is_flag=True, help="Prove it: restore and compare it.")
@json_option
@with_settings
def verify(settings: Settings, backup: str, by_restoring: bool, as_json: bool) -> None:
    """Read a backup to its last byte and say what is wrong, and where."""
    from kajovo_dr.backups.verification import verify_named

    if by_restoring:
        _prove_named(settings, backup, as_json=as_json)
        return
    with terminal.progress() as progress:
        verified = verify_named(settings, backup, progress=progress)
    name, found = verified.name, verified.found
    if verified.unrecorded:
        _warn(verified.unrecorded)
    if as_json:
        findings = [str(finding) for finding in found.findings]
        facts = {"bytes": found.size_bytes, "sha256": found.sha256, "lines": found.lines}
        terminal.show_json({"backup": name, "ok": found.ok, "findings": findings, **facts})
        if findings:
            sys.exit(DumpDamaged.exit_code)
        return
    found.require(name)
    rows = sum(found.counts.values())
    terminal.say(f"{terminal.mark(ok=True)} {name}: whole, {rows} rows, sha256 {found.sha256}")
    if verified.called_damaged:
        terminal.say(
            "   it is recorded as damaged, and is not used until it is proven again: kajovo-dr"
            f" verify {name} --restore"
        )


@cli.command()
@click.argument("backup", required=False, metavar="[NAME]")
@click.option("--into", required=True, metavar="DATABASE", help="A new name, or an empty database.")
@click.option("--before", metavar="TIME", help="Use the last backup before it (ISO 8601).")
@json_option
@with_settings
def restore(settings: Settings, backup: str, into: str, before: str | None, as_json: bool) -> None:
    """Restore a backup (default: the newest proven one) into a new database, and compare it."""
    from dataclasses import asdict

    from kajovo_dr.postgres.server import restore_target, source
    from kajovo_dr.recovery.choose import choose
    from kajovo_dr.recovery.read import read_first_right
    from kajovo_dr.recovery.restore import restore_read
    from kajovo_dr.sandbox.stack import server_of_restores, uses_sandbox

    if backup is not None and before is not None:
        raise click.UsageError("give a NAME or --before, not both")
    if backup is not None and not backup.strip():
        raise SettingError("NAME is empty", hint="leave it out for the newest backup.")
    until = _before(before)
    with server_of_restores(settings) as complete, terminal.progress() as progress:
        target = restore_target(complete, into)
        protected = source(complete) if complete.database_url else None
        candidates = choose(complete, name=backup or "", before=until, protected=protected)
        if backup is None:
            _tell_newer(complete, candidates[0], until)
        was_read = read_first_right(
            complete, candidates, named=backup is not None, warn=_warn, progress=progress
        )
        restored = restore_read(complete, was_read, target, progress=progress)
    chosen = was_read.backup
    sampled = chosen.manifest.sampled if chosen.state == "proven" else ()
    if as_json:
        terminal.show_json({**asdict(restored), "sampled_tables": sampled})
        return
    of = chosen.manifest.database
    terminal.say(f"{terminal.mark(ok=True)} {restored.backup} of {of} is now {target.shown}")
    steps = ", ".join(f"{step} {seconds:.1f} s" for step, seconds in restored.seconds.items())
    terminal.say(f"   {restored.rows} rows in {restored.tables} tables as promised; {steps}")
    if sampled:
        terminal.say(f"   its proof compared a sample of the rows of {', '.join(sampled)}")
    if settings.restore_url is None and uses_sandbox(settings):
        terminal.say("   the sandbox's server runs while kajovo-dr up does, at another port")


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only say what each file is worth.")
@json_option
@with_settings
def adopt(settings: Settings, folder: Path, dry_run: bool, as_json: bool) -> None:
    """Take over dump files of other tools, and say what each is worth."""
    from dataclasses import asdict

    from kajovo_dr.backups.adopt import adopt as run

    with terminal.progress() as progress:
        adoption = run(settings, folder, dry_run=dry_run, progress=progress)
    if as_json:
        terminal.show_json({**asdict(adoption), "summary": adoption.summary})
    else:
        _show_adoption(adoption, settings)
    if adoption.whole:
        return
    if as_json:
        sys.exit(DumpDamaged.exit_code)
    raise DumpDamaged(
        f"not every dump file in {folder} is whole: {adoption.summary}",
        hint="keep the damaged ones until you have a proven backup: kajovo-dr backup.",
    )


@cli.command()
@click.option("--settings", "all_settings", is_flag=True, help="List every setting instead.")
@json_option
@with_settings
def doctor(settings: Settings, all_settings: bool, as_json: bool) -> None:
    """Say what is configured, reachable and missing, and what to do about it."""
    from kajovo_dr.doctor import examine
    from kajovo_dr.doctor_settings import show_settings

    if all_settings:
        show_settings(settings, as_json=as_json)
    else:
        examine(settings, as_json=as_json)


@cli.command()
@click.option(
    "--rows",
    type=click.IntRange(min=200),
    default=2000,
    show_default=True,
    help="Size of the sandbox hotel.",
)
@with_settings
def demo(settings: Settings, rows: int) -> None:
    """Lose a hotel's database and bring it back: the whole river on a sandbox."""
    from kajovo_dr.demo import run

    run(settings, rows=rows)


@cli.command()
@click.option(
    "--port",
    type=click.IntRange(1, 65_535),
    default=3000,
    show_default=True,
    help="Port of the Dagster UI.",
)
@with_settings
def up(settings: Settings, port: int) -> None:
    """Start the servers and the Dagster UI; one Ctrl-C stops them all."""
    from kajovo_dr.up import run

    run(settings, port=port)


def _prove_named(settings: Settings, name: str, *, as_json: bool) -> None:
    from kajovo_dr.backups import catalog
    from kajovo_dr.backups.prove import prove, require_proven
    from kajovo_dr.backups.store import open_store

    chosen = catalog.by_name(open_store(settings), name)
    with terminal.progress() as progress:
        proof = prove(settings, chosen, progress=progress)
    changes = _changes(settings, chosen, proof)
    if as_json:
        terminal.show_json(proof.model_dump(mode="json"))
    else:
        _show_proof(chosen.name, proof)
    _show_changes(changes)
    require_proven(chosen.name, proof)


def _show_proof(name: str, proof: Any) -> None:
    for verdict in proof.verdicts:
        mark = terminal.mark(ok=bool(verdict.passed), warning=verdict.passed is None)
        terminal.say(f"{mark} {verdict.name}" + (f": {verdict.detail}" if verdict.detail else ""))
    for note in proof.notes:
        terminal.say(f"   note: {note}")
    steps = ", ".join(f"{step} {seconds:.1f} s" for step, seconds in proof.seconds.items())
    terminal.say(f"{terminal.mark(ok=proof.state == 'proven')} {name} is {proof.state}; {steps}")


def _changes(settings: Settings, proven: Any, proof: Any) -> tuple[Any, ...]:
    """What changed since the previous proven backup; what is not proven is not compared."""
    from kajovo_dr.backups.changes import compare_with_previous, earlier_proven
    from kajovo_dr.backups.store import open_store

    if proof is None or proof.state != "proven":
        return ()
    earlier = earlier_proven(open_store(settings), proven)
    return compare_with_previous(settings, proven, earlier)


def _show_changes(changes: tuple[Any, ...]) -> None:
    """Beside the output: the backup is as proven as it can be, it is its source that changed."""
    for change in changes:
        _warn(f"{change.check}: {change.what}")


def _warn(text: str) -> None:
    terminal.tell(f"{terminal.mark(ok=False, warning=True)} {text}")


def _tell_newer(settings: Settings, chosen: Any, until: datetime) -> None:
    """Say that there is a newer backup than the proven one, which may be worth its risk."""
    from kajovo_dr.backups.candidates import newer_usable
    from kajovo_dr.backups.store import open_store

    newer = newer_usable(open_store(settings), chosen, until)
    if newer is not None:
        terminal.tell(f"{newer.name} is newer and {newer.state}, so {chosen.name} is used")


def _before(text: str | None) -> datetime:
    """The moment that --before names; now without it."""
    from kajovo_dr.moments import parse

    now = datetime.now(UTC)
    until = now if text is None else parse(text, "--before")
    if until > now:
        raise SettingError(f"--before {text} lies in the future", hint="check the offset.")
    return until


def _show_adoption(adoption: Any, settings: Settings) -> None:
    from kajovo_dr.progress import human_bytes

    if adoption.files:
        terminal.table(
            ["NAME", "SNAPSHOT", "SIZE", "ROWS", "WORTH"],
            [
                [
                    file.name,
                    terminal.local_time(file.snapshot_at, settings.timezone)
                    if file.snapshot_at
                    else "",
                    human_bytes(file.size_bytes),
                    f"{file.rows:,}",
                    "; ".join((file.worth, *file.notes)),
                ]
                for file in adoption.files
            ],
        )
    for skipped in adoption.skipped:
        terminal.say(f"skipped: {skipped.name} ({skipped.why})")
    terminal.say(adoption.summary)


def _entry_cells(entry: Any, settings: Settings) -> list[str]:
    from kajovo_dr.progress import human_bytes
    from kajovo_dr.recovery.report import human_duration

    if entry.backup is None:
        return [entry.path.name, "damaged", "", "", "", "", "", str(entry.problem)]
    manifest = entry.backup.manifest
    return [
        entry.path.name,
        entry.backup.state,
        terminal.local_time(manifest.created_at, settings.timezone),
        human_duration(entry.backup.age_s()),
        human_bytes(manifest.size_bytes),
        str(manifest.rows),
        manifest.database,
        "; ".join(filter(None, (manifest.reason, *_remarks(entry.backup)))),
    ]


def _remarks(backup: Any) -> tuple[str, ...]:
    """What the state alone does not say: why it is no better, or that a part was not compared."""
    sampled = len(backup.manifest.sampled) if backup.state == "proven" else 0
    tables = len(backup.manifest.tables)
    return (
        f"{backup.state}: {backup.reason}" if backup.reason else "",
        f"{sampled} of {tables} tables compared by a sample of their rows" if sampled else "",
    )


def _entry_json(entry: Any) -> dict[str, Any]:
    if entry.backup is None:
        problem = str(entry.problem)
        return {"name": entry.path.name, "ok": False, "state": "damaged", "problem": problem}
    manifest = entry.backup.manifest.model_dump(mode="json", by_alias=True)
    state = {
        "ok": entry.backup.state != "damaged",
        "state": entry.backup.state,
        "state_reason": entry.backup.reason,
        "sampled_tables": entry.backup.manifest.sampled,
    }
    return {"name": entry.path.name, **state, "path": str(Path(entry.path)), **manifest}


if __name__ == "__main__":
    main()
