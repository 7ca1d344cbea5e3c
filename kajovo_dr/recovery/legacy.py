"""Importing legacy data into the restored database with the application's own migrate_legacy.

Belongs here: its three runs (a dry one, a real one, and one more that must import nothing) and what
each of them did to the database. Not here: any knowledge of the data, and whether the application
can read what was imported: a clean report proves nothing there (a unit or a text that the API does
not know turns a whole list into an error), which the smoke test with a login judges afterwards.

Its exit code proves little: it is 0 when single rows failed, and when it read an empty database.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from kajovo_dr import process
from kajovo_dr.errors import LegacyFailed, SettingError
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.progress import Progress, silent
from kajovo_dr.recovery import legacy_audit, legacy_report, legacy_source, legacy_verdict
from kajovo_dr.recovery.command_environment import command_environment
from kajovo_dr.recovery.database_use import DatabaseUse, watched
from kajovo_dr.recovery.legacy_report import Report, Totals
from kajovo_dr.redact import redacted
from kajovo_dr.settings import Settings
from kajovo_dr.stopwatch import Stopwatch

#: Lines in which Python says what went wrong, such as ``sqlalchemy.exc.NoSuchTableError: issues``;
#: those after them repeat rows.
_REASON = re.compile(r"^(\w+(Error|Exception)\b|[a-z]\w*(\.\w+)+(: |$)|.*No module named )")
#: What the tool says -> what the operator can do about it.
_REMEDIES = {
    "No module named": "set KAJOVO_DR_LEGACY_COMMAND to the Python of migrate_legacy's own "
    'environment, such as ["/srv/app/.venv/bin/python", "migrate.py"].',
    "NoSuchTableError": "the restored database lacks tables of the application's present version: "
    "migrate its schema first (KAJOVO_DR_MIGRATE_DIR).",
    "already initialized a SQLAlchemy Transaction": "this migrate_legacy cannot work with "
    "SQLAlchemy 2: use a version of it in which that is mended.",
    "can't open file": "KAJOVO_DR_LEGACY_DIR must be the folder of migrate_legacy's script.",
}


@dataclass(frozen=True)
class LegacyMigration:
    """domains: of the real run. notes: what a person should know. seconds: by step."""

    domains: Mapping[str, Totals]
    notes: tuple[str, ...]
    seconds: Mapping[str, float]


def configured(settings: Settings) -> bool:
    """Whether there is legacy data to be migrated at all."""
    return settings.legacy_url is not None


def migrate_legacy(
    settings: Settings, server: Server, *, progress: Progress = silent
) -> LegacyMigration:
    """Import everything into a database that nobody uses yet. May be run again: rows that are
    there are skipped. Raises `LegacyFailed`, `CommandMissing` and `ToolTimeout`.
    """
    tool = _Tool(settings, server, progress)
    watch = Stopwatch()
    with watch.step("look"):
        before = legacy_audit.look(settings, server)
        notes = legacy_audit.judge_before(before, settings.legacy_audit_table)
    with watch.step("dry_run"):
        _dry_run(tool, server)
    with watch.step("real_run"):
        real = tool.run("real run")
        after = legacy_audit.look(settings, server)
        legacy_audit.judge_after(before, after, real.totals.imported, settings.legacy_audit_table)
    with watch.step("second_run"):
        _second_run(tool, server)
    return LegacyMigration(real.domains, (*notes, *after.notes), watch.seconds)


def _dry_run(tool: _Tool, server: Server) -> None:
    """It must find everything, keep nothing, and look at this database: a real run of a command
    that looks at another one would change that.
    """
    rows = _rows(server)
    with watched(server) as use:
        tool.run("dry run", dry_run=True)
    _require_same(rows, _rows(server), "a dry run of migrate_legacy changed the restored database")
    _require_seen(use, tool.settings, server)


def _second_run(tool: _Tool, server: Server) -> None:
    rows = _rows(server)
    legacy_verdict.judge_second(tool.run("second run"))
    _require_same(rows, _rows(server), "a second run of migrate_legacy imported rows again")


class _Tool:
    """The configured command in its folder, with both addresses in its environment."""

    def __init__(self, settings: Settings, server: Server, progress: Progress) -> None:
        self.settings = settings
        self._progress = progress
        if settings.legacy_dir is not None and not settings.legacy_dir.is_dir():
            raise SettingError(
                f"KAJOVO_DR_LEGACY_DIR: {settings.legacy_dir} is not a folder",
                hint="name the folder of migrate_legacy in a checkout of the application.",
            )
        source = legacy_source.address(settings, server)
        self._expected = legacy_source.rows(settings, source)
        driver = settings.migrate_driver
        legacy_url = source.url(f"postgresql+{driver}")
        self._environment = command_environment(
            server, driver, settings.legacy_env, legacy_url=legacy_url
        )
        passwords = (each.params.get("password", "") for each in (server, source))
        self._secrets = tuple(filter(None, passwords))

    def run(self, step: str, *, dry_run: bool = False) -> Report:
        """Run it to its end; returns its report, which is judged already."""
        self._progress(f"migrate_legacy: {step}", 0, None)
        # a folder of its own: no earlier report can be taken for this one's
        with tempfile.TemporaryDirectory(prefix="kajovo-dr-", ignore_cleanup_errors=True) as folder:
            path = Path(folder) / "report.json"
            began = datetime.now(UTC)
            flags = ["--dry-run"] if dry_run else []
            done = process.run(
                [*self.settings.legacy_command, *flags, "--report-json", path],
                env=self._environment,
                timeout=self.settings.legacy_timeout_s,
                cwd=self.settings.legacy_dir,
            )
            if done.returncode != 0:
                raise self._failure(step, done)
            report = legacy_report.read(path, began)
        legacy_verdict.judge(
            report, dry_run=dry_run, expected=self._expected, secrets=self._secrets
        )
        return report

    def _failure(self, step: str, done: process.Completed) -> LegacyFailed:
        text = redacted(f"{done.stdout.decode('utf-8', 'replace')}\n{done.stderr}", *self._secrets)
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        telling = [line for line in lines if _REASON.match(line)][-1:] or lines[-1:]
        reason = legacy_report.cut(telling[0]) if telling else "it said nothing"
        remedies = [remedy for said, remedy in _REMEDIES.items() if said in text]
        where = self.settings.legacy_dir or "the current folder"
        return LegacyFailed(
            f"the {step} of migrate_legacy failed (exit code {done.returncode}): {reason}",
            hint=remedies[0] if remedies else f"run it by hand in {where}.",
        )


def _rows(server: Server) -> dict[tuple[str, str], int]:
    with databases.connect(server) as connection:
        return databases.row_counts(connection)


def _require_same(
    before: Mapping[tuple[str, str], int], after: Mapping[tuple[str, str], int], what: str
) -> None:
    changed = [
        f"{schema}.{name} {before.get((schema, name), 'none')} -> "
        f"{after.get((schema, name), 'none')} rows"
        for schema, name in sorted(before.keys() | after.keys())
        if before.get((schema, name)) != after.get((schema, name))
    ]
    if changed:
        raise LegacyFailed(
            f"{what}: {legacy_report.cut(', '.join(changed))}",
            hint="mend migrate_legacy, then recover anew: these rows cannot be told from others.",
        )


def _require_seen(use: DatabaseUse, settings: Settings, server: Server) -> None:
    if not use.seen:
        names = ", ".join(settings.legacy_env) or "none"
        raise LegacyFailed(
            f"migrate_legacy works on another database than {server.shown}",
            hint="it must read its URLs from variables of KAJOVO_DR_LEGACY_ENV "
            f"({names}); nothing was imported.",
        )
