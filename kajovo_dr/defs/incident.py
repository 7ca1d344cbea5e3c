"""The recovery that a run carries out: found again by each of its steps.

Belongs here: from a step's context to the recovery and back to metadata. Not here: the assets
(``recovery_assets``), and what a recovery does (``recovery``). The journal on disk is what the
steps share: they need not run in one process. A run begun anew goes on with the recovery of the run
before it, unless it plans one of its own.
"""

from typing import Any

import dagster as dg

from kajovo_dr.defs.resources import Environment
from kajovo_dr.errors import SettingError
from kajovo_dr.recovery import conduct
from kajovo_dr.recovery.journal import RecoveryJournal, records
from kajovo_dr.recovery.record import Phase, RecoveryRecord
from kajovo_dr.recovery.recover import Recovery
from kajovo_dr.recovery.resume import resume
from kajovo_dr.settings import Settings


def of_run(context: dg.AssetExecutionContext, environment: Environment) -> Recovery | None:
    """The recovery of this run; None when the run is none.

    Raises what keeps anybody from going on with one that an earlier run began.
    """
    settings, progress = environment.settings(), environment.progress(context)
    record = _record(context, settings)
    if record is None:
        return None
    if context.run.run_id not in record.runs:
        return resume(settings, record, run=context.run.run_id, progress=progress)
    journal = RecoveryJournal(settings.state, record.id, settings)
    return Recovery(settings, journal, progress=progress)


def _record(context: dg.AssetExecutionContext, settings: Settings) -> RecoveryRecord | None:
    run = context.run
    for run_id in filter(None, (run.run_id, run.parent_run_id, run.root_run_id)):
        for record in records(settings.state):
            if run_id in record.runs:
                return record
    return None


def required(context: dg.AssetExecutionContext, environment: Environment) -> Recovery:
    """The recovery of this run; raises `SettingError` when the run is none."""
    recovery = of_run(context, environment)
    if recovery is None:
        raise SettingError(
            "this run is no recovery: it has no plan",
            hint="launch incident_recovery_job, which begins with one.",
        )
    return recovery


def phase(
    context: dg.AssetExecutionContext, environment: Environment, recovery: Recovery, name: str
) -> Phase:
    """Do one phase of it, with what follows when it fails; and first those that are missing.

    They are: where the run begins in the middle. A failure before the swap starts the application
    again, so that it has to be stopped again, although the step that did it has succeeded.
    """
    settings, progress = environment.settings(), environment.progress(context)
    for before in recovery.missing_before(name):
        conduct.do(settings, recovery, before, progress=progress)
    done = conduct.do(settings, recovery, name, progress=progress)
    assert done is not None, f"{name} does not belong to this recovery"
    context.log.info(f"{name}: {done.detail}")
    return done


def result(recovery: Recovery, done: Phase, **more: Any) -> dg.MaterializeResult[Any]:
    """A phase as a materialization."""
    skipped = {"left_out": done.detail} if done.skipped else {"detail": done.detail}
    facts = {"seconds": round(done.seconds, 3), **skipped, **recovery.figures, **more}
    return dg.MaterializeResult(metadata=facts)
