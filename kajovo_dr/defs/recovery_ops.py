"""What follows a recovery: undoing it, and dropping what it replaced when that is no longer needed.

Belongs here: ops, their jobs and the schedule. Not here: how it is done (``recovery``).
"""

from typing import Any

import dagster as dg
from pydantic import Field

from kajovo_dr.defs.resources import Environment, operator_errors
from kajovo_dr.progress import human_bytes
from kajovo_dr.recovery import conduct, leftovers, report, undo
from kajovo_dr.recovery.record import Phase
from kajovo_dr.settings import Settings

_SETTINGS = Settings.load()
_TAGS = {"kajovo_dr/target": "restore", "dagster/priority": "10"}
#: Dropping may wait, and must not run while a recovery does.
_CLEANUP_TAGS = {"kajovo_dr/target": "restore", "dagster/priority": "-10"}


class UndoConfig(dg.Config):
    """The form of an undo."""

    who: str = Field(description="who undoes the recovery, for the incident log")
    confirm: str = Field(description="name of the database that is put back")
    recovery: str = Field(
        default="", description="beginning of the recovery's id; empty: the last one that swapped"
    )
    database: str = Field(
        default="", description="whose last recovery, when it is not production's database"
    )
    note: str = Field(default="", description="why")


@dg.op(out={}, description="The former database under the live name again.")
def undo_recovery(
    context: dg.OpExecutionContext, config: UndoConfig, environment: Environment
) -> Any:
    """Undo, and log it."""
    with operator_errors():
        settings, progress = environment.settings(), environment.progress(context)
        name = config.database or ("" if config.recovery else environment.source().dbname)
        of = undo.last_swapped(settings, config.recovery, database=name)
        context.log.info(f"undoing {of.kind} {of.short} of {of.database} by {of.who}")
        begun = undo.begin_undo(
            settings,
            of,
            who=config.who,
            confirm=config.confirm,
            note=config.note,
            undo_id=context.run_id,
            progress=progress,
        )

        def told(phase: Phase) -> None:
            context.log.info(f"{phase.name}: {phase.detail}")

        entry = conduct.run(settings, begun, told=told, progress=progress)
        yield dg.AssetObservation(
            "swapped_database",
            metadata={
                "undone": of.id,
                "seconds": round(entry.duration_s, 3),
                "entry": dg.MetadataValue.md(
                    report.incident(entry, settings.timezone, language=settings.language)
                ),
            },
        )


@dg.op(description="Replaced databases that are no longer needed for an undo.")
def drop_replaced(context: dg.OpExecutionContext, environment: Environment) -> None:
    """Drop them, and say which stay and why."""
    with operator_errors():
        dropped, stay = leftovers.cleanup(environment.settings())
        for each in dropped:
            context.log.info(f"dropped {each.name}, {human_bytes(each.bytes_on_disk)}")
        for each in stay:
            context.log.info(f"{each.name} stays: {each.why}")


@dg.config_mapping
def _undo(form: UndoConfig) -> dg.RunConfig:
    return dg.RunConfig(ops={"undo_recovery": form})


@dg.job(
    config=_undo,
    tags=_TAGS,
    executor_def=dg.in_process_executor,
    description="Put the database back that the last recovery replaced. Fill in at least:\n\n"
    "    who: YOUR NAME\n    confirm: kajovo_hotel",
)
def undo_recovery_job() -> None:
    """The reverse swap."""
    undo_recovery()


@dg.job(
    tags=_CLEANUP_TAGS,
    executor_def=dg.in_process_executor,
    description="Drop databases that recoveries replaced, after KAJOVO_DR_KEEP_REPLACED_DAYS, and"
    " never before their successor has a proven backup.",
)
def cleanup_job() -> None:
    """What recoveries left."""
    drop_replaced()


cleanup_schedule = dg.ScheduleDefinition(
    name="cleanup_schedule",
    job=cleanup_job,
    cron_schedule=_SETTINGS.cleanup_cron,
    execution_timezone=_SETTINGS.timezone,
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
