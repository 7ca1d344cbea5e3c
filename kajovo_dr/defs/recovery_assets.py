"""The phases of a recovery as assets: planned, backed up, stopped, restored beside, migrated,
swapped, started, tested, logged.

Belongs here: what Dagster shows of each phase. Not here: how it is done (``recovery``), and how the
steps of one run find their recovery (``incident``). Restore, migration and smoke test are jobs of
their own, too: then they work on a named database and belong to no incident.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from pydantic import Field

from kajovo_dr.backups.catalog import Backup
from kajovo_dr.defs import checks, incident, proof_checks
from kajovo_dr.defs.resources import Environment, operator_errors
from kajovo_dr.errors import NotConfigured, NotReady, SettingError, SmokeFailed
from kajovo_dr.recovery import preflight, report
from kajovo_dr.recovery.choose import choose
from kajovo_dr.recovery.incident_log import IncidentLog
from kajovo_dr.recovery.migrate import migrate
from kajovo_dr.recovery.read import read_first_right
from kajovo_dr.recovery.readiness import wait_until_ready
from kajovo_dr.recovery.recover import Recovery
from kajovo_dr.recovery.request import Request, past_moment
from kajovo_dr.recovery.restore import restore_read
from kajovo_dr.recovery.smoke import SmokeReport, smoke
from kajovo_dr.settings import Settings

_SETTINGS = Settings.load()
_GROUP = "recovery"


class PlanConfig(dg.Config):
    """What is asked of a recovery."""

    who: str = Field(description="who launches this recovery, for the incident log")
    database: str = Field(description="name of the database that is recovered")
    confirm: str = Field(description="the same name again: a database of this name is replaced")
    incident_time: str = Field(
        default="", description="when it happened, like 2026-11-23T03:10:00+01:00; empty: now"
    )
    detected_time: str = Field(default="", description="when somebody noticed it")
    backup: str = Field(
        default="", description="name of the backup; empty: the last proven one before the incident"
    )
    note: str = Field(default="", description="what happened, for the incident log")
    create_roles: bool = Field(default=False, description="create roles that the server lacks")
    database_only: bool = Field(default=False, description="leave the application alone")


class RestoreConfig(dg.Config):
    """Which backup goes where, outside of an incident."""

    database: str = Field(
        default="", description="database to restore into: a new name, or an empty database"
    )
    backup: str = Field(
        default="",
        description="name of the backup; empty: the newest that is proven and reads right",
    )


class DatabaseConfig(dg.Config):
    """Which database a phase works on, outside of an incident."""

    database: str = Field(
        default="",
        description="database on the server that restores go to; empty: this incident's",
    )


@dg.asset(
    group_name=_GROUP,
    deps=[proof_checks.PROOF],
    description="The backup chosen and read, server, disk, roles, application looked at: nothing is"
    " touched before all of it is found good.",
)
def recovery_plan(
    context: dg.AssetExecutionContext, config: PlanConfig, environment: Environment
) -> dg.MaterializeResult[Any]:
    """Plan, and begin the journal: a run that is executed again from here is another recovery."""
    with operator_errors():
        recovery = _begun(context, config, environment)
        record = recovery.record
        before = record.incident_at or record.started_at
        assert record.snapshot_at is not None
    return dg.MaterializeResult(
        metadata={
            "database": record.database,
            "backup": record.backup or "",
            "snapshot": dg.MetadataValue.timestamp(record.snapshot_at),
            "data_lost_hours": round((before - record.snapshot_at).total_seconds() / 3600, 3),
            "rows_lost": dg.MetadataValue.json(record.lost_rows or {}),
            "restored_beside_as": record.room,
            "former_database_kept_as": record.replaced,
        }
    )


def _begun(
    context: dg.AssetExecutionContext, config: PlanConfig, environment: Environment
) -> Recovery:
    settings, progress = environment.settings(), environment.progress(context)
    request = Request(
        database=config.database,
        confirm=config.confirm,
        who=config.who,
        note=config.note,
        incident_at=past_moment(config.incident_time, "incident_time", settings.timezone),
        detected_at=past_moment(config.detected_time, "detected_time", settings.timezone),
        backup=config.backup,
        database_only=config.database_only,
        create_roles=config.create_roles,
    )
    plan = preflight.plan(settings, request, tell=context.log.warning, progress=progress)
    for finding in plan.findings:
        say = context.log.info if finding.verdict == "ok" else context.log.warning
        say(f"{finding.verdict} {finding.name}: {finding.said}")
    plan.require()
    if plan.database_only and not config.database_only:
        raise SettingError(
            f"{config.database!r} is not the database of the application, which this job tests",
            hint="launch database_recovery_job, which leaves the application alone.",
        )
    return Recovery.begin(
        settings,
        plan,
        recovery_id=context.run.run_id,
        run=context.run.run_id,
        progress=progress,
    )


@dg.asset(
    group_name=_GROUP,
    kinds={"postgres"},
    deps=[recovery_plan],
    description="The live database as it is now, when it still answers; before anything else.",
)
def safety_backup(
    context: dg.AssetExecutionContext, environment: Environment
) -> dg.MaterializeResult[Any]:
    """Back the live database up."""
    return _phase(context, environment, "safety")


@dg.asset(
    group_name=_GROUP,
    deps=[safety_backup],
    description="The application stopped; it stays down until the restored database is in place.",
)
def application_stopped(
    context: dg.AssetExecutionContext, environment: Environment
) -> dg.MaterializeResult[Any]:
    """Stop it, and see that it is down."""
    return _phase(context, environment, "stop")


def _phase(
    context: dg.AssetExecutionContext, environment: Environment, name: str, **more: Any
) -> dg.MaterializeResult[Any]:
    """A phase of an incident, which no other run has."""
    with operator_errors():
        recovery = incident.required(context, environment)
        done = incident.phase(context, environment, recovery, name)
        return incident.result(recovery, done, **more)


@dg.asset(
    group_name=_GROUP,
    kinds={"postgres"},
    # the second for the job that has no application: an arrow through what it leaves out is lost
    deps=[proof_checks.PROOF, safety_backup, application_stopped],
    description="A backup restored beside the live database, and equal to its manifest.",
)
def restored_database(
    context: dg.AssetExecutionContext, config: RestoreConfig, environment: Environment
) -> dg.MaterializeResult[Any]:
    """Restore the incident's backup beside; outside of one, a backup into a new database."""
    with operator_errors():
        if recovery := incident.of_run(context, environment):
            done = incident.phase(context, environment, recovery, "restore")
            record = recovery.record
            return incident.result(recovery, done, database=record.room, backup=record.backup or "")
        return _restored(context, config, environment)


def _restored(
    context: dg.AssetExecutionContext, config: RestoreConfig, environment: Environment
) -> dg.MaterializeResult[Any]:
    settings, progress = environment.settings(), environment.progress(context)
    target, now = environment.target(config.database), datetime.now(UTC)
    candidates = choose(settings, name=config.backup, before=now, protected=environment.source())

    def trying(backup: Backup) -> None:
        context.log.info(f"restoring {backup.name} of {backup.manifest.created_at}")

    was_read = read_first_right(
        settings,
        candidates,
        named=bool(config.backup),
        trying=trying,
        warn=context.log.warning,
        progress=progress,
    )
    restored = restore_read(settings, was_read, target, progress=progress)
    snapshot = was_read.backup.manifest.created_at
    return dg.MaterializeResult(
        metadata={
            "database": target.shown,
            "backup": restored.backup,
            "snapshot": dg.MetadataValue.timestamp(snapshot),
            "data_lost_hours": round((now - snapshot).total_seconds() / 3600, 3),
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
        if recovery := incident.of_run(context, environment):
            done = incident.phase(context, environment, recovery, "migrate")
            return incident.result(recovery, done, database=recovery.record.room)
        target = environment.target(_named(config))
        migrated = migrate(environment.settings(), target, progress=environment.progress(context))
    return dg.MaterializeResult(
        metadata={
            "database": target.shown,
            "before": migrated.before or "",
            "after": migrated.after,
            "steps": "\n".join(migrated.steps),
            "seconds": round(migrated.seconds, 3),
        }
    )


@dg.asset(
    group_name=_GROUP,
    deps=[migrated_schema],
    description="Legacy data migrated by migrate_legacy: tried, done, and done again in vain.",
)
def legacy_data(
    context: dg.AssetExecutionContext, environment: Environment
) -> dg.MaterializeResult[Any]:
    """Run migrate_legacy, when one is configured."""
    return _phase(context, environment, "legacy")


@dg.asset(
    group_name=_GROUP,
    deps=[restored_database, legacy_data],
    description="What a restore would bring back to life is ended: sessions, tokens, challenges.",
)
def revoked_access(
    context: dg.AssetExecutionContext, environment: Environment
) -> dg.MaterializeResult[Any]:
    """Revoke, and count the accounts that go back in time."""
    return _phase(context, environment, "revoke")


@dg.asset(
    group_name=_GROUP,
    kinds={"postgres"},
    deps=[revoked_access],
    description="The restored database under the live name; the former one is kept for undo.",
)
def swapped_database(
    context: dg.AssetExecutionContext, environment: Environment
) -> dg.MaterializeResult[Any]:
    """Swap by rename."""
    return _phase(context, environment, "swap")


@dg.asset(
    name=checks.READINESS,
    group_name=_GROUP,
    deps=[swapped_database],
    check_specs=checks.READINESS_SPECS,
    description="The application started again; it answers that it is ready: its body was read.",
)
def api_readiness(context: dg.AssetExecutionContext, environment: Environment) -> Iterator[Any]:
    """Start the application in an incident, and wait until it is ready."""
    with operator_errors():
        try:
            metadata = _ready(context, environment)
        except NotReady as never:
            yield dg.AssetCheckResult(passed=False, description=never.described())
            raise
        yield dg.MaterializeResult(metadata=metadata)
        yield dg.AssetCheckResult(passed=True, metadata=metadata)


def _ready(context: dg.AssetExecutionContext, environment: Environment) -> dict[str, Any]:
    if recovery := incident.of_run(context, environment):
        started = incident.phase(context, environment, recovery, "start")
        done = incident.phase(context, environment, recovery, "readiness")
        return {"start": started.detail, "detail": done.detail, "seconds": round(done.seconds, 3)}
    ready = wait_until_ready(environment.settings(), progress=environment.progress(context))
    return {"url": ready.url, "attempts": ready.attempts, "seconds": round(ready.seconds, 3)}


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
    """Run the smoke test, and in an incident the write probe, when it is switched on."""
    with operator_errors():
        failed: SmokeFailed | None = None
        recovery = incident.of_run(context, environment)
        if recovery is None:
            settings = environment.settings()
            target = environment.target(_named(config))
            result: SmokeReport | None = smoke(
                settings, target, progress=environment.progress(context)
            )
        else:
            failed = _smoke_phases(context, environment, recovery)
            result = recovery.record.smoke
        if result is not None:
            yield from checks.smoke_results(result)
            if recovery is None:
                result.raise_for_failures()
        if failed is not None:
            raise failed
        assert result is not None
        yield dg.MaterializeResult(
            metadata={
                "endpoints": len(result.results),
                "warnings": len(result.warnings),
                "seconds": round(result.seconds, 3),
                "report": dg.MetadataValue.md(report.smoke(result)),
            }
        )


def _smoke_phases(
    context: dg.AssetExecutionContext, environment: Environment, recovery: Recovery
) -> SmokeFailed | None:
    """The failure is returned: what was found is shown before it is raised."""
    try:
        incident.phase(context, environment, recovery, "smoke")
        if environment.settings().write_probe:
            incident.phase(context, environment, recovery, "probe")
    except SmokeFailed as failure:
        return failure
    return None


@dg.asset(
    name=checks.LOG_ENTRY,
    group_name=_GROUP,
    deps=[swapped_database, smoke_report],
    check_specs=checks.LOG_SPECS,
    description="The incident log's entry of a recovery; a failed one is logged where it failed.",
)
def incident_log_entry(
    context: dg.AssetExecutionContext, environment: Environment
) -> Iterator[Any]:
    """Write the recovery of this run into the incident log."""
    with operator_errors():
        settings = environment.settings()
        recovery = incident.required(context, environment)
        recovery.require_complete()
        entry = recovery.journal.log()
        log = IncidentLog.of(settings)
    outage = entry.outage.seconds if entry.outage else None
    yield dg.MaterializeResult(
        metadata={
            "minutes": round(entry.duration_s / 60, 3),
            "data_lost_hours": round((entry.data_lost_s or 0) / 3600, 3),
            **({} if outage is None else {"outage_seconds": round(outage, 3)}),
            "rto": entry.rto_verdict,
            "page": dg.MetadataValue.path(log.page),
            "entry": dg.MetadataValue.md(
                report.incident(entry, settings.timezone, language=settings.language)
            ),
        }
    )
    yield checks.rto_result(entry)


def _named(config: DatabaseConfig) -> str:
    if not config.database:
        raise NotConfigured(
            "no database is named",
            hint="name it in the run's config: it is not part of an incident's recovery.",
        )
    return config.database
