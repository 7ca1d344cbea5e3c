"""When backups are taken: more often than the RPO asks, so that one failure is not a breach; and
when old ones are proven again.
"""

import dagster as dg

from kajovo_dr.backups.scheduled import REASON
from kajovo_dr.defs.backup_assets import BackupConfig, today
from kajovo_dr.defs.checks import BACKUP
from kajovo_dr.defs.jobs import postgres_backup_job, reprove_job
from kajovo_dr.settings import Settings

_SETTINGS = Settings.load()


@dg.schedule(
    job=postgres_backup_job,
    cron_schedule=_SETTINGS.backup_cron,
    execution_timezone=_SETTINGS.timezone,
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def backup_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Back up into the partition of now: a tick made up for late may be yesterday's, whose data is
    gone. Its key makes it run once, and so does its moment where two daemons launch it at once.
    """
    tick = context.scheduled_execution_time.isoformat()
    return dg.RunRequest(
        run_key=tick,
        partition_key=today(),
        run_config=dg.RunConfig(ops={BACKUP: BackupConfig(reason=REASON, tick=tick)}),
    )


reprove_schedule = dg.ScheduleDefinition(
    name="reprove_schedule",
    job=reprove_job,
    cron_schedule=_SETTINGS.reprove_cron,
    execution_timezone=_SETTINGS.timezone,
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
