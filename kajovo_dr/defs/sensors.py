"""What is watched all day without anybody launching a run.

Belongs here: sensors. Not here: judging (``backups.recovery_point``).
"""

import dagster as dg

from kajovo_dr.defs import checks
from kajovo_dr.defs.proof_assets import judged
from kajovo_dr.defs.resources import Environment


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Reports the RPO check whenever the recovery point's state changes, without a run.",
)
def rpo_sensor(
    context: dg.SensorEvaluationContext, environment: Environment
) -> dg.SensorResult | dg.SkipReason:
    """Judge the recovery point; the cursor is the state that was reported last.

    Another backup is another state: it may have been proven, or lost, without Dagster.
    """
    state, result = judged(environment)
    if state == context.cursor:
        return dg.SkipReason(f"the recovery point's state is still {state}")
    return dg.SensorResult(asset_events=[checks.evaluation(result, blocking=False)], cursor=state)
