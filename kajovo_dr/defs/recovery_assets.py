"""The phases of a recovery as assets: restored, migrated, ready, smoke tested, logged.

Belongs here: what Dagster shows of each phase. Not here: how it is done (``recovery``). The phases
of one incident share its journal, a file named by the run: they need not run in one process.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from pydantic import Field

from kajovo_dr import moments
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.defs import checks, proof_checks
from kajovo_dr.defs.resources import Environment, operator_errors
from kajovo_dr.errors import NotConfigured, NotReady, SettingError, SmokeFailed
from kajovo_dr.postgres.server import Server
from kajovo_dr.recovery import report
from kajovo_dr.recovery.choose import choose
from kajovo_dr.recovery.incident_log import IncidentLog
from kajovo_dr.recovery.journal import PhaseNote, RecoveryJournal
from kajovo_dr.recovery.migrate import migrate
from kajovo_dr.recovery.read import Read, read_first_right
from kajovo_dr.recovery.readiness import wait_until_ready
from kajovo_dr.recovery.record import RecoveryRecord, entry_from
from kajovo_dr.recovery.restore import restore_read
from kajovo_dr.recovery.smoke import smoke
from kajovo_dr.settings import Settings

_SETTINGS = Settings.load()
_GROUP = "recovery"


class RestoreConfig(dg.Config):
    """Which backup goes where."""

    database: str = Field(description="database to restore into: a new name, or an empty database")
    backup: str = Field(
        default="", description="name of the backup; empty: the last proven one before the incident"
    )
    incident_time: str = Field(
        default="", description="when it happened, like 2026-11-23T03:10:00+01:00; empty: now"
    )
    incident: bool = Field(
        default=False, description="write this recovery into the incident log (needs who)"
    )
    who: str = Field(default="", description="who launches this recovery, for the incident log")
    note: str = Field(default="", description="what happened, for the incident log")


class DatabaseConfig(dg.Config):
    """Which database a phase works on."""

    database: str = Field(
        default="",
        description="database on the server that restores go to; empty: this incident's",
    )


@dg.asset(
    group_name=_GROUP,
    kinds={"postgres"},
    deps=[proof_checks.PROOF],
    description="A backup restored into a new database; every table's rows equal the manifest.",
)
def restored_database(
    context: dg.AssetExecutionContext, config: RestoreConfig, environment: Environment
) -> dg.MaterializeResult[Any]:
    """Choose a backup and restore it."""
    with operator_errors():
        settings = environment.settings()
        target = environment.target(config.database)
        before = _incident_at(config)
        if config.incident and _journal(context, settings) is None:
            _begin(context, settings, config, target, before)
        with _phase(context, settings, "restore") as note:
            was_read = _read(context, settings, config, environment, before)
            backup, progress = was_read.backup, environment.progress(context)
            restored = restore_read(settings, was_read, target, progress=progress)
            note.detail = f"{restored.rows} rows in {restored.tables} tables from {backup.name}"
    return dg.MaterializeResult(
        metadata={
            "database": target.shown,
            "backup": restored.backup,
            "snapshot": dg.MetadataValue.timestamp(backup.manifest.created_at),
            "data_lost_hours": round(
                (before - backup.manifest.created_at).total_seconds() / 3600, 3
            ),
            "rows": restored.rows,
            "tables": restored.tables,
            **{f"{step}_seconds": seconds for step, seconds in restored.seconds.items()},
        }
    )


@dg.asset(
    group_name=_GROUP,
    kinds={"alembic"},
    deps=[restored_database],
    description="The restored database at the code's one Alembic head, without drift.",
)
def migrated_schema(
    context: dg.AssetExecutionContext, config: DatabaseConfig, environment: Environment
) -> dg.MaterializeResult[Any]:
    """Run the configured Alembic command."""
    with operator_errors():
        settings = environment.settings()
        target = environment.target(_database(context, settings, config))
        with _phase(context, settings, "migrate") as note:
            done = migrate(settings, target, progress=environment.progress(context))
            same = done.before == done.after
            way = "already at" if same else f"{done.before or 'empty'} to"
            note.detail = f"{way} {done.after}"
    return dg.MaterializeResult(
        metadata={
            "database": target.shown,
            "before": done.before or "",
            "after": done.after,
            "steps": "\n".join(done.steps),
            "seconds": round(done.seconds, 3),
        }
    )


@dg.asset(
    name=checks.READINESS,
    group_name=_GROUP,
    deps=[migrated_schema],
    check_specs=checks.READINESS_SPECS,
    description="The application answers that it is ready; its body was read.",
)
def api_readiness(context: dg.AssetExecutionContext, environment: Environment) -> Iterator[Any]:
    """Wait until the application is ready."""
    with operator_errors():
        settings = environment.settings()
        try:
            with _phase(context, settings, "readiness") as note:
                ready = wait_until_ready(settings, progress=environment.progress(context))
                note.detail = f"attempt {ready.attempts}"
        except NotReady as never:
            yield dg.AssetCheckResult(passed=False, description=never.described())
            raise
        metadata = {"attempts": ready.attempts, "seconds": round(ready.seconds, 3)}
        yield dg.MaterializeResult(metadata={"url": ready.url, **metadata})
        yield dg.AssetCheckResult(passed=True, metadata=metadata)


@dg.asset(
    name=checks.SMOKE,
    group_name=_GROUP,
    deps=[api_readiness],
    check_specs=checks.smoke_specs(_SETTINGS),
    description="Every module read with a login and compared with the database.",
)
def smoke_report(
    context: dg.AssetExecutionContext, config: DatabaseConfig, environment: Environment
) -> Iterator[Any]:
    """Run the smoke test."""
    with operator_errors():
        settings = environment.settings()
        target = environment.target(_database(context, settings, config))
        failed: SmokeFailed | None = None
        try:
            with _phase(context, settings, "smoke") as note:
                result = smoke(settings, target, progress=environment.progress(context))
                if journal := _journal(context, settings):
                    journal.update(smoke=result)
                passed = sum(each.ok for each in result.results)
                note.detail = f"{passed} of {len(result.results)} endpoints passed"
                result.raise_for_failures()
        except SmokeFailed as failure:
            failed = failure
        yield from checks.smoke_results(result)
        if failed is not None:
            raise failed
        yield dg.MaterializeResult(
            metadata={
                "endpoints": len(result.results),
                "warnings": len(result.warnings),
                "seconds": round(result.seconds, 3),
                "report": dg.MetadataValue.md(report.smoke(result)),
            }
        )


@dg.asset(
    name=checks.LOG_ENTRY,
    group_name=_GROUP,
    deps=[smoke_report],
    check_specs=checks.LOG_SPECS,
    description="The incident log's entry of a recovery; a failed one is logged where it failed.",
)
def incident_log_entry(
    context: dg.AssetExecutionContext, environment: Environment
) -> Iterator[Any]:
    """Write the recovery of this run into the incident log."""
    with operator_errors():
        settings = environment.settings()
        journal = _journal(context, settings)
        if journal is None:
            raise SettingError(
                "this run is no recovery: there is nothing to log",
                hint="launch incident_recovery_job, which logs its own run.",
            )
        entry = entry_from(journal.record, settings, datetime.now(UTC))
        log = IncidentLog(settings.state, timezone=settings.timezone)
        log.append(entry)
    yield dg.MaterializeResult(
        metadata={
            "minutes": round(entry.duration_s / 60, 3),
            "data_lost_hours": round((entry.data_lost_s or 0) / 3600, 3),
            "rto": entry.rto_verdict,
            "page": dg.MetadataValue.path(log.page),
            "entry": dg.MetadataValue.md(report.incident(entry, settings.timezone)),
        }
    )
    yield checks.rto_result(entry)


def _read(
    context: dg.AssetExecutionContext,
    settings: Settings,
    config: RestoreConfig,
    environment: Environment,
    before: datetime,
) -> Read:
    """The named backup, or the newest proven one that reads right; the journal names each."""

    def trying(backup: Backup) -> None:
        context.log.info(f"restoring {backup.name} of {backup.manifest.created_at}")
        if journal := _journal(context, settings):
            journal.update(backup=backup.name, snapshot_at=backup.manifest.created_at)

    protected = environment.source()
    candidates = choose(settings, name=config.backup, before=before, protected=protected)
    return read_first_right(
        settings,
        candidates,
        named=bool(config.backup),
        trying=trying,
        warn=context.log.warning,
        progress=environment.progress(context),
    )


def _begin(
    context: dg.AssetExecutionContext,
    settings: Settings,
    config: RestoreConfig,
    target: Server,
    incident_at: datetime,
) -> None:
    if not config.who.strip():
        raise SettingError(
            "who is empty: the incident log names who launched a recovery",
            hint="fill in a name and launch again; nothing was changed.",
        )
    record = RecoveryRecord(
        id=_recovery_id(context),
        runs=(context.run.run_id,),
        incident_at=incident_at,
        started_at=datetime.now(UTC),
        who=config.who,
        note=config.note,
        database=target.dbname,
        server=target.address,
    )
    RecoveryJournal.begin(settings.state, record, settings)


def _incident_at(config: RestoreConfig) -> datetime:
    now = datetime.now(UTC)
    if not config.incident_time:
        return now
    at = moments.parse(config.incident_time, "incident_time")
    if at > now:
        raise SettingError(
            f"incident_time {config.incident_time} lies in the future",
            hint="check the offset; leave it empty for now.",
        )
    return at


def _journal(context: dg.AssetExecutionContext, settings: Settings) -> RecoveryJournal | None:
    """The journal of this run's recovery; a run begun anew goes on with that of the first."""
    journal = RecoveryJournal.open(settings.state, _recovery_id(context), settings)
    if journal is not None:
        journal.join(context.run.run_id)
    return journal


def _recovery_id(context: dg.AssetExecutionContext) -> str:
    return context.run.root_run_id or context.run.run_id


@contextmanager
def _phase(context: dg.AssetExecutionContext, settings: Settings, name: str) -> Iterator[PhaseNote]:
    """A phase of this run's incident; a job on its own is measured by Dagster alone."""
    journal = _journal(context, settings)
    if journal is None:
        yield PhaseNote()
        return
    with journal.phase(name) as note:
        yield note


def _database(context: dg.AssetExecutionContext, settings: Settings, config: DatabaseConfig) -> str:
    if config.database:
        return config.database
    journal = _journal(context, settings)
    if journal is None:
        raise NotConfigured(
            "no database is named",
            hint="name it in the run's config: it is not part of an incident's recovery.",
        )
    return journal.record.database
