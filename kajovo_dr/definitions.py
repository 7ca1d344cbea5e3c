"""Everything that Dagster loads, in one place: read this first.

The river: postgres_backup -> restored_database -> migrated_schema -> api_readiness -> smoke_report
-> incident_log_entry. Backups run by schedule; a person launches the rest from the Launchpad.
"""

import dagster as dg

from kajovo_dr.defs import jobs
from kajovo_dr.defs.backup_assets import postgres_backup
from kajovo_dr.defs.recovery_assets import (
    api_readiness,
    incident_log_entry,
    migrated_schema,
    restored_database,
    smoke_report,
)
from kajovo_dr.defs.resources import Environment
from kajovo_dr.defs.schedules import backup_schedule

defs = dg.Definitions(
    assets=[
        postgres_backup,
        restored_database,
        migrated_schema,
        api_readiness,
        smoke_report,
        incident_log_entry,
    ],
    jobs=jobs.ALL,
    schedules=[backup_schedule],
    resources={"environment": Environment()},
)
