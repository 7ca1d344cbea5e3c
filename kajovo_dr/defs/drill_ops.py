"""The drill as Dagster runs it: by schedule every month, and by hand.

Belongs here: the op, its job and schedule, and the report as metadata. Not here: the drill
(``recovery.drill``) and its report (``recovery.drill_report``).
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from pydantic import Field

from kajovo_dr.defs.resources import Environment, operator_errors
from kajovo_dr.errors import DrError
from kajovo_dr.recovery import drill
from kajovo_dr.recovery.drill_report import markdown
from kajovo_dr.settings import Settings

#: The history of drills in the UI: an asset's plots, one point per drill.
DRILL = dg.AssetKey("dr_drill")
#: It takes a backup and uses the scratch server, so no backup or proof runs beside it; those that
#: wait go first.
_TAGS = {"kajovo_dr/target": "source", "dagster/priority": "-5"}
_SETTINGS = Settings.load()


class DrillConfig(dg.Config):
    """The form of a drill."""

    who: str = Field(default="scheduled", description="who launches this drill, for its record")


@dg.op(out={}, description="A whole recovery into a database that nobody uses; nothing stays.")
def run_drill(
    context: dg.OpExecutionContext, config: DrillConfig, environment: Environment
) -> Iterator[Any]:
    """Run a drill; its report is there whether it passed or not."""
    with operator_errors():
        report = _report(context, config, environment)
        # a failed drill is seen, too, but is none that was made
        event = dg.AssetMaterialization if report.record.ok else dg.AssetObservation
        yield event(DRILL, metadata=_metadata(environment.settings(), report))
        report.require_ok()


@dg.job(
    tags=_TAGS,
    executor_def=dg.in_process_executor,
    description="Rehearse a whole recovery: backup, proof, zoo, restore into a database of the"
    " scratch server, migration, legacy data, revocations, a second instance of the application,"
    " readiness, smoke test, a test message through every alert channel. Everything is timed"
    " against RPO and RTO, and all but the backup is removed again. The report is in the metadata"
    " of the run's event, and as an HTML file where it says.",
)
def dr_drill_job() -> None:
    """The monthly drill."""
    run_drill()


drill_schedule = dg.ScheduleDefinition(
    name="drill_schedule",
    job=dr_drill_job,
    cron_schedule=_SETTINGS.drill_cron,
    execution_timezone=_SETTINGS.timezone,
    default_status=dg.DefaultScheduleStatus.RUNNING,
)


def _report(
    context: dg.OpExecutionContext, config: DrillConfig, environment: Environment
) -> drill.DrillReport:
    """A drill that cannot even begin has its record, too."""
    settings = environment.settings()
    try:
        protected = environment.source()
    except DrError as failure:
        return drill.impossible(settings, who=config.who, failure=failure)
    progress = environment.progress(context)
    return drill.run(settings, who=config.who, source=protected, progress=progress)


def _metadata(settings: Settings, report: drill.DrillReport) -> dict[str, dg.MetadataValue]:
    record = report.record
    took = (record.finished_at - record.started_at).total_seconds()
    text = markdown(settings, record, report.history, settings.language)
    figures = {
        "seconds": took,
        "rto_seconds": record.rto_s,
        "dump_bytes": record.dump_bytes,
        "rows": record.rows,
        "data_age_hours": None if record.data_age_s is None else record.data_age_s / 3600,
        **{f"{name}_seconds": seconds for name, seconds in record.seconds.items()},
    }
    return {
        "report": dg.MarkdownMetadataValue(text),
        "html": dg.PathMetadataValue(str(report.path)),
        "result": dg.TextMetadataValue("passed" if record.ok else f"failed: {record.failed_phase}"),
        "rto": dg.TextMetadataValue(record.rto_verdict),
        "rpo_before": dg.TextMetadataValue(record.rpo_verdict),
        "rpo_after": dg.TextMetadataValue(record.rpo_after_verdict),
        **{
            name: dg.FloatMetadataValue(float(value))
            for name, value in figures.items()
            if value is not None
        },
    }
