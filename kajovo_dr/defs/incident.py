"""The recovery that a run carries out: found again by each of its steps.

Belongs here: from a step's context to the recovery and back to metadata. Not here: the assets
(``recovery_assets``), and what a recovery does (``recovery``). The journal on disk is what the
steps share: they need not run in one process, and a run begun anew goes on with that of the first.
"""

from typing import Any

import dagster as dg

from kajovo_dr.defs.resources import Environment
from kajovo_dr.errors import SettingError
from kajovo_dr.recovery import conduct
from kajovo_dr.recovery.journal import RecoveryJournal
from kajovo_dr.recovery.record import Phase
from kajovo_dr.recovery.recover import Recovery


def recovery_id(context: dg.AssetExecutionContext) -> str:
    """Of the first run that began it."""
    return context.run.root_run_id or context.run.run_id


def of_run(context: dg.AssetExecutionContext, environment: Environment) -> Recovery | None:
    """The recovery of this run; None when the run is none."""
    settings = environment.settings()
    journal = RecoveryJournal.open(settings.state, recovery_id(context), settings)
    if journal is None:
        return None
    journal.join(context.run.run_id)
    return Recovery(settings, journal, progress=environment.progress(context))


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
    """Do one phase of it, with what follows when it fails."""
    progress = environment.progress(context)
    done = conduct.do(environment.settings(), recovery, name, progress=progress)
    assert done is not None, f"{name} does not belong to this recovery"
    context.log.info(f"{name}: {done.detail}")
    return done


def result(recovery: Recovery, done: Phase, **more: Any) -> dg.MaterializeResult[Any]:
    """A phase as a materialization."""
    skipped = {"left_out": done.detail} if done.skipped else {"detail": done.detail}
    facts = {"seconds": round(done.seconds, 3), **skipped, **recovery.figures, **more}
    return dg.MaterializeResult(metadata=facts)
