"""Backups and proofs outside of a partition's run: before a change, and again at night.

Belongs here: the ops of those jobs and the events that they yield for the assets. Not here: the
assets (``backup_assets``, ``proof_assets``), and what is proven again when (``backups.reprove``).
"""

from collections.abc import Iterable, Iterator
from typing import Any

import dagster as dg
from pydantic import Field

from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.prove import prove
from kajovo_dr.backups.reprove import Outcome, reprove, require_sound
from kajovo_dr.backups.store import open_store
from kajovo_dr.backups.take import BadDump
from kajovo_dr.defs import backup_assets, checks, proof_assets, proof_checks
from kajovo_dr.defs.resources import Environment, operator_errors


class PreChangeConfig(dg.Config):
    """Config of the backup before a release or a schema change."""

    reason: str = Field(description="what is about to change, such as a release's number")
    accept_shrink: bool = Field(
        default=False, description="publish even if the dump is far smaller than the previous ones"
    )
    prove: bool = Field(default=True, description="false: publish now, prove later")


@dg.op(out={}, description="A backup right now, into today's partition, before something changes.")
def pre_change_backup(
    context: dg.OpExecutionContext, config: PreChangeConfig, environment: Environment
) -> Iterator[Any]:
    """Back up now for a stated reason, and prove it."""
    with operator_errors():
        if not config.reason.strip():
            raise dg.Failure("the reason is empty\nhint: say what is about to change.")
        try:
            fresh = backup_assets.taken(context, environment, config.reason, config.accept_shrink)
        except BadDump as bad:
            yield from _evaluations(checks.verdict_results(bad.verdicts), blocking=True)
            raise
        yield dg.AssetMaterialization(
            checks.BACKUP,
            partition=backup_assets.today(),
            metadata=backup_assets.metadata(fresh),
        )
        yield from _evaluations(checks.verdict_results(fresh.verdicts), blocking=True)
        if config.prove:
            yield from _proven(context, environment, fresh.backup)


@dg.op(
    out={},
    description="Backups never proven, then those proven longest ago, within a time budget.",
)
def reprove_backups(context: dg.OpExecutionContext, environment: Environment) -> Iterator[Any]:
    """Prove again, and fail in the end if one is damaged."""
    with operator_errors():
        settings = environment.settings()
        progress = environment.progress(context)
        outcomes = []
        for outcome in reprove(
            settings,
            open_store(settings),
            environment.source(),
            prove=lambda backup: prove(settings, backup, progress=progress),
        ):
            outcomes.append(outcome)
            _tell(context, outcome)
            if outcome.proven:
                yield from proof_assets.moved(environment, outcome.backup)
        require_sound(outcomes)


def _proven(
    context: dg.OpExecutionContext, environment: Environment, backup: Backup
) -> Iterator[Any]:
    told = proof_assets.proven(context, environment, backup)
    yield from told.moved
    if told.problem is None:
        yield dg.AssetMaterialization(
            proof_checks.PROOF,
            partition=backup_assets.day_of(environment.settings(), backup),
            metadata=told.metadata,
        )
    yield from _evaluations(told.results, blocking=False)
    if told.problem is not None:
        raise told.problem


def _evaluations(
    results: Iterable[dg.AssetCheckResult], *, blocking: bool
) -> Iterator[dg.AssetCheckEvaluation]:
    for result in results:
        yield checks.evaluation(result, blocking=blocking)


def _tell(context: dg.OpExecutionContext, outcome: Outcome) -> None:
    if outcome.proven:
        context.log.info(f"{outcome.backup.name} is proven")
    elif outcome.damaged or outcome.lost:
        what = "damaged" if outcome.damaged else "not proven any more"
        context.log.error(f"{outcome.backup.name} is {what}: {outcome.reason}")
    else:
        context.log.warning(f"{outcome.backup.name} was not judged: {outcome.reason}")
