"""The daily backup as a partitioned asset.

Belongs here: what Dagster shows of a backup. Not here: how it is taken (``backups.take``), and when
a schedule's tick needs one (``backups.scheduled``). A past day cannot be backed up, so a partition
that is not today fails and refreshes nothing.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
from pydantic import Field

from kajovo_dr import moments
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.scheduled import take_for
from kajovo_dr.backups.take import BadDump, Taken, take
from kajovo_dr.defs import checks
from kajovo_dr.defs.resources import Environment, operator_errors
from kajovo_dr.errors import PastPartition
from kajovo_dr.progress import human_bytes
from kajovo_dr.recovery import report
from kajovo_dr.settings import Settings

_SETTINGS = Settings.load()

#: Today's partition exists from midnight on (end_offset): it is filled while the day runs.
daily = dg.DailyPartitionsDefinition(
    start_date=_SETTINGS.first_day.isoformat(), timezone=_SETTINGS.timezone, end_offset=1
)
#: A backup's materialization is its end, so this clock is a little kinder than the recovery point.
rpo = dg.FreshnessPolicy.time_window(
    # no less than Dagster takes
    warn_window=max(timedelta(hours=_SETTINGS.rpo_warn_hours), timedelta(minutes=1)),
    fail_window=max(timedelta(hours=_SETTINGS.rpo_hours), timedelta(minutes=2)),
)


def today() -> str:
    """The key of today's partition, in the settings' time zone."""
    return datetime.now(ZoneInfo(_SETTINGS.timezone)).date().isoformat()


def day_of(settings: Settings, backup: Backup) -> str:
    """The key of the partition that a backup belongs to: the local day of its snapshot."""
    return backup.manifest.created_at.astimezone(ZoneInfo(settings.timezone)).date().isoformat()


class BackupConfig(dg.Config):
    """Config of the daily backup; nothing is required."""

    reason: str = Field(default="by hand", description="why this backup is taken")
    accept_shrink: bool = Field(
        default=False, description="publish even if the dump is far smaller than the previous ones"
    )
    tick: str = Field(
        default="",
        description="the schedule's: the moment that this backup is for, like"
        " 2026-11-23T18:00:00+01:00; it is taken once, and waits for its turn",
    )


# of one asset, because only so may its checks be left out, too, by a run that has nothing to do
@dg.multi_asset(
    name=checks.BACKUP,
    specs=[
        dg.AssetSpec(
            checks.BACKUP,
            skippable=True,
            freshness_policy=rpo,
            group_name="backup",
            kinds={"postgres"},
            description="A whole dump of the protected database, inspected before it was"
            " published.",
        )
    ],
    partitions_def=daily,
    check_specs=checks.BACKUP_SPECS,
    can_subset=True,
)
def postgres_backup(
    context: dg.AssetExecutionContext, config: BackupConfig, environment: Environment
) -> Iterator[Any]:
    """Back up today into today's partition; nothing when the schedule's tick is served already."""
    with operator_errors():
        try:
            fresh = _taken(context, config, environment)
        except BadDump as bad:
            # the evidence is recorded, the partition stays missing, the freshness is not refreshed
            yield from _asked_for(context, checks.verdict_results(bad.verdicts))
            raise
        if isinstance(fresh, Backup):
            context.log.info(
                f"nothing to do: {fresh.name} serves the tick of {config.tick}; its snapshot is of"
                f" {fresh.manifest.created_at}"
            )
            return
        yield _materialized(context, environment, fresh)
        yield from _asked_for(context, checks.verdict_results(fresh.verdicts))


def _taken(
    context: dg.AssetExecutionContext, config: BackupConfig, environment: Environment
) -> Taken | Backup:
    if not config.tick:
        _require_today(context)
        return taken(context, environment, config.reason, config.accept_shrink)
    return take_for(
        environment.settings(),
        environment.source(),
        moments.parse(config.tick, "tick"),
        accept_shrink=config.accept_shrink,
        progress=environment.progress(context),
    )


def _materialized(
    context: dg.AssetExecutionContext, environment: Environment, fresh: Taken
) -> dg.MaterializeResult[Any] | dg.AssetMaterialization:
    """Into the run's partition, unless it waited for its turn until another day had come, or was
    launched for the checks alone, which need a backup all the same.
    """
    day = day_of(environment.settings(), fresh.backup)
    if context.selected_asset_keys and day == context.partition_key:
        return dg.MaterializeResult(metadata=metadata(fresh))
    context.log.info(f"this backup counts for {day}")
    return dg.AssetMaterialization(checks.BACKUP, partition=day, metadata=metadata(fresh))


def _asked_for(
    context: dg.AssetExecutionContext, results: Iterable[dg.AssetCheckResult]
) -> Iterator[dg.AssetCheckResult]:
    names = {key.name for key in context.selected_asset_check_keys}
    return (each for each in results if each.check_name in names)


def taken(
    context: dg.OpExecutionContext | dg.AssetExecutionContext,
    environment: Environment,
    reason: str,
    accept_shrink: bool,
) -> Taken:
    """Take a backup of the protected database."""
    return take(
        environment.settings(),
        environment.source(),
        reason=reason,
        accept_shrink=accept_shrink,
        progress=environment.progress(context),
    )


def _require_today(context: dg.AssetExecutionContext) -> None:
    if context.has_partition_key and context.partition_key != today():
        raise PastPartition(
            f"partition {context.partition_key} is not today ({today()}): "
            "what the database held on a past day cannot be read any more"
        )


def metadata(fresh: Taken) -> dict[str, Any]:
    """Numbers become plots, so every run gives the same ones."""
    manifest = fresh.backup.manifest
    usual = fresh.usual.size_bytes
    return {
        "dump_bytes": manifest.size_bytes,
        "dump_seconds": manifest.seconds,
        "rows": manifest.rows,
        "ratio_to_previous": round(manifest.size_bytes / usual, 4) if usual else 1.0,
        "snapshot": dg.MetadataValue.timestamp(manifest.created_at),
        "path": dg.MetadataValue.path(fresh.backup.path),
        "sha256": manifest.sha256,
        "reason": manifest.reason,
        "summary": dg.MetadataValue.md(_summary(fresh)),
    }


def _summary(fresh: Taken) -> str:
    manifest = fresh.backup.manifest
    largest = sorted(manifest.tables, key=lambda table: -table.rows)[:10]
    rows = "\n".join(
        f"| {report.cell(table.schema_)}.{report.cell(table.name)} | {table.rows} |"
        for table in largest
    )
    return (
        f"**{fresh.backup.name}**: {human_bytes(manifest.size_bytes)} of {manifest.database},"
        f" {manifest.rows} rows in {len(manifest.tables)} tables, {manifest.seconds:.1f} s,"
        f" PostgreSQL {manifest.server_version}, pg_dump {manifest.client_version}\n\n"
        f"| largest tables | rows |\n|---|---|\n{rows}\n"
    )
