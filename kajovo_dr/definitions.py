"""Everything that Dagster loads, in one place: read this first.

The river: postgres_backup -> restored_database -> migrated_schema -> api_readiness -> smoke_report
-> incident_log_entry; beside it, postgres_backup -> restore_proof -> recovery_point. Backups and
proofs run by schedule; a person launches the rest from the Launchpad.
"""

import dagster as dg

from kajovo_dr.defs import jobs
from kajovo_dr.defs.backup_assets import postgres_backup
from kajovo_dr.defs.proof_assets import recovery_point, restore_proof, rpo_24h
from kajovo_dr.defs.recovery_assets import (
    api_readiness,
    incident_log_entry,
    migrated_schema,
    restored_database,
    smoke_report,
)
from kajovo_dr.defs.resources import Environment
from kajovo_dr.defs.schedules import backup_schedule, reprove_schedule
from kajovo_dr.defs.sensors import rpo_sensor

defs = dg.Definitions(
    assets=[
        postgres_backup,
        restore_proof,
        recovery_point,
        restored_database,
        migrated_schema,
        api_readiness,
        smoke_report,
        incident_log_entry,
    ],
    asset_checks=[rpo_24h],
    jobs=jobs.ALL,
    schedules=[backup_schedule, reprove_schedule],
    sensors=[rpo_sensor],
    resources={"environment": Environment()},
)
