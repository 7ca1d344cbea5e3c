"""The jobs that people and schedules launch.

Belongs here: selections, flat config for the Launchpad, tags. Not here: assets. Every job runs its
steps in one process: another process per step costs seconds each and gains nothing here.
"""

from typing import Any

import dagster as dg
from pydantic import Field

from kajovo_dr.defs import checks, proof_checks
from kajovo_dr.defs.drill_ops import dr_drill_job
from kajovo_dr.defs.proof_ops import pre_change_backup, reprove_backups
from kajovo_dr.defs.recovery_assets import DatabaseConfig, PlanConfig, RestoreConfig
from kajovo_dr.defs.recovery_ops import cleanup_job, undo_recovery_job

#: One backup or proof at a time; and one recovery, which does not wait behind them and goes first.
_BACKUP_TAGS = {"kajovo_dr/target": "source"}
_REPROVE_TAGS = {**_BACKUP_TAGS, "dagster/priority": "-10"}
_RECOVERY_TAGS = {"kajovo_dr/target": "restore", "dagster/priority": "10"}


class RestoreForm(dg.Config):
    """The form of a restore without an application."""

    database: str = Field(description="database to restore into: a new name, or an empty database")
    backup: str = Field(
        default="",
        description="name of the backup; empty: the newest that is proven and reads right",
    )


class DatabaseForm(dg.Config):
    """The form of a single phase."""

    database: str = Field(description="database on the server that restores go to")


class IncidentForm(dg.Config):
    """The form of an incident recovery: who, what, since when."""

    who: str = Field(description="who launches this recovery, for the incident log")
    database: str = Field(description="name of the database to recover")
    confirm: str = Field(
        description="its name again: the database of this name is replaced, and kept for undo"
    )
    incident_time: str = Field(
        default="",
        description="when it happened, like 2026-11-23T03:10:00+01:00: the last proven backup"
        " before it is used; empty: now, the moment of the launch",
    )
    detected_time: str = Field(default="", description="when somebody noticed it, likewise")
    backup: str = Field(
        default="", description="name of the backup to use instead; one that is not proven, too"
    )
    note: str = Field(default="", description="what happened")
    create_roles: bool = Field(
        default=False, description="create the roles that the server lacks, without passwords"
    )


@dg.config_mapping
def _incident(form: IncidentForm) -> dg.RunConfig:
    return dg.RunConfig(ops={"recovery_plan": PlanConfig(**form.model_dump())})


@dg.config_mapping
def _database(form: IncidentForm) -> dg.RunConfig:
    plan = PlanConfig(**form.model_dump(), database_only=True)
    return dg.RunConfig(ops={"recovery_plan": plan})


@dg.config_mapping
def _restore(form: RestoreForm) -> dg.RunConfig:
    return dg.RunConfig(
        ops={"restored_database": RestoreConfig(database=form.database, backup=form.backup)}
    )


@dg.config_mapping
def _migrate(form: DatabaseForm) -> dg.RunConfig:
    return dg.RunConfig(ops={"migrated_schema": DatabaseConfig(database=form.database)})


@dg.config_mapping
def _smoke(form: DatabaseForm) -> dg.RunConfig:
    return dg.RunConfig(ops={checks.SMOKE: DatabaseConfig(database=form.database)})


def _recovery_job(name: str, config: Any, description: str, *assets: str) -> Any:
    return dg.define_asset_job(
        name,
        selection=dg.AssetSelection.assets(*assets),
        config=config,
        tags=_RECOVERY_TAGS,
        executor_def=dg.in_process_executor,
        description=description,
    )


postgres_backup_job = dg.define_asset_job(
    "postgres_backup_job",
    selection=dg.AssetSelection.assets(checks.BACKUP, proof_checks.PROOF),
    tags=_BACKUP_TAGS,
    executor_def=dg.in_process_executor,
    description="The daily backup and its proof; the schedule launches it, and so may you, for"
    " today.",
)


@dg.job(
    tags=_BACKUP_TAGS,
    executor_def=dg.in_process_executor,
    description="A backup right now, before a release or a schema change, and its proof; say why.",
)
def pre_change_backup_job() -> None:
    """One backup, logged into today's partition."""
    pre_change_backup()


@dg.job(
    tags=_REPROVE_TAGS,
    executor_def=dg.in_process_executor,
    description="Prove a few backups again: first those never proven, then those proven longest"
    " ago. It fails naming those that are damaged or cannot be read any more.",
)
def reprove_job() -> None:
    """Bit rot, found before a backup is needed."""
    reprove_backups()


restore_job = _recovery_job(
    "restore_job",
    _restore,
    "Restore a backup into a new database and compare its rows; nothing else is touched. Without"
    " a name it is the newest proven one, or the one before it when its bytes are no longer right.",
    "restored_database",
)
migration_job = _recovery_job(
    "migration_job",
    _migrate,
    "Upgrade a restored database to the code's Alembic head and verify it.",
    "migrated_schema",
)
smoke_job = _recovery_job(
    "smoke_job",
    _smoke,
    "Wait for the application, then read every module and compare it with the database.",
    checks.READINESS,
    checks.SMOKE,
)
_FORM = "\n\n    who: YOUR NAME\n    database: kajovo_hotel\n    confirm: kajovo_hotel\n\n"
incident_recovery_job = _recovery_job(
    "incident_recovery_job",
    _incident,
    "The whole recovery: plan, safety backup, stop the application, restore beside, compare,"
    " migrate, revoke sessions, swap, start, readiness, smoke test, incident log. The live database"
    " is untouched until the swap, and kept after it: undo_recovery_job puts it back. Open it with"
    f" Materialize all, and fill in at least three lines:{_FORM}A run that failed goes on where it"
    " failed: Re-execute, From failure.",
    "recovery_plan",
    "safety_backup",
    "application_stopped",
    "restored_database",
    "migrated_schema",
    "legacy_data",
    "revoked_access",
    "swapped_database",
    checks.READINESS,
    checks.SMOKE,
    checks.LOG_ENTRY,
)
database_recovery_job = _recovery_job(
    "database_recovery_job",
    _database,
    "The database alone, or under another name: plan, safety backup, restore beside, compare,"
    f" revoke sessions, swap, log. The application is left alone. Fill in at least:{_FORM}",
    "recovery_plan",
    "safety_backup",
    "restored_database",
    "revoked_access",
    "swapped_database",
    checks.LOG_ENTRY,
)

ALL = [
    postgres_backup_job,
    pre_change_backup_job,
    reprove_job,
    restore_job,
    migration_job,
    smoke_job,
    incident_recovery_job,
    database_recovery_job,
    undo_recovery_job,
    cleanup_job,
    dr_drill_job,
]
