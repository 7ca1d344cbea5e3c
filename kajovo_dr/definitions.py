"""Everything that Dagster loads, in one place: read this first.

The river: postgres_backup -> restore_proof -> recovery_point; in an incident, recovery_plan ->
safety_backup -> application_stopped -> restored_database -> migrated_schema -> legacy_data ->
revoked_access -> swapped_database -> api_readiness -> smoke_report -> incident_log_entry. Backups,
proofs, the drill and the cleanup run by schedule; a person launches the rest from the Launchpad.
Sensors judge the recovery point, look at everything and tell people, and report dr_status.
"""

import dagster as dg

from kajovo_dr.defs import jobs
from kajovo_dr.defs import recovery_assets as recovery
from kajovo_dr.defs.alert_sensor import alert_sensor
from kajovo_dr.defs.backup_assets import postgres_backup
from kajovo_dr.defs.drill_ops import drill_schedule
from kajovo_dr.defs.proof_assets import recovery_point, restore_proof, rpo_24h
from kajovo_dr.defs.recovery_ops import cleanup_schedule
from kajovo_dr.defs.resources import Environment
from kajovo_dr.defs.schedules import backup_schedule, reprove_schedule
from kajovo_dr.defs.sensors import rpo_sensor
from kajovo_dr.defs.status_asset import dr_status

defs = dg.Definitions(
    assets=[
        postgres_backup,
        restore_proof,
        recovery_point,
        recovery.recovery_plan,
        recovery.safety_backup,
        recovery.application_stopped,
        recovery.restored_database,
        recovery.migrated_schema,
        recovery.legacy_data,
        recovery.revoked_access,
        recovery.swapped_database,
        recovery.api_readiness,
        recovery.smoke_report,
        recovery.incident_log_entry,
        dr_status,
    ],
    asset_checks=[rpo_24h],
    jobs=jobs.ALL,
    schedules=[backup_schedule, reprove_schedule, drill_schedule, cleanup_schedule],
    sensors=[rpo_sensor, alert_sensor],
    resources={"environment": Environment()},
    executor=dg.in_process_executor,  # of what is materialized by hand; the jobs name it, too
)
