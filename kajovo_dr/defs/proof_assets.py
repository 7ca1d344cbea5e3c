"""The proof of a backup as a partitioned asset, and the recovery point that only a proof moves.

Belongs here: what Dagster shows of a proof and of the RPO. Not here: how a backup is proven
(``backups.prove``), and the jobs that prove outside of a partition's run (``proof_ops``).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from kajovo_dr.backups import catalog
from kajovo_dr.backups.candidates import identities_of
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.changes import compare_with_previous, earlier_proven
from kajovo_dr.backups.proof import Proof
from kajovo_dr.backups.prove import prove, require_proven
from kajovo_dr.backups.recovery_point import recovery_point as point_of
from kajovo_dr.backups.store import open_store
from kajovo_dr.defs import checks, proof_checks
from kajovo_dr.defs.backup_assets import daily, day_of
from kajovo_dr.defs.resources import Environment, operator_errors
from kajovo_dr.errors import BackupMissing, DrError, ProofFailed, ProofImpossible
from kajovo_dr.recovery import report

Context = dg.OpExecutionContext | dg.AssetExecutionContext


@dataclass(frozen=True)
class Told:
    """What Dagster is to be told of a proof. problem: why the backup is not proven; None: it is.

    moved: the recovery point's events, if the proof moved it. Events are yielded, never logged
    through the context: what it was given is lost when the step fails after all.
    """

    results: list[dg.AssetCheckResult]
    problem: DrError | None = None
    moved: list[dg.AssetMaterialization | dg.AssetCheckEvaluation] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)


@dg.asset(
    name=proof_checks.PROOF,
    partitions_def=daily,
    deps=[checks.BACKUP],
    check_specs=proof_checks.PROOF_SPECS,
    group_name="backup",
    kinds={"postgres"},
    description="The day's newest backup, restored into a scratch server and found equal to what"
    " its source held at the dump's snapshot. A past day can be proven while its backup lasts.",
)
def restore_proof(context: dg.AssetExecutionContext, environment: Environment) -> Iterator[Any]:
    """Prove the newest backup of the partition's day."""
    with operator_errors():
        told = proven(context, environment, _newest_of(environment, context.partition_key))
        if told.problem is not None:
            # the evidence is recorded, the partition stays missing, the recovery point stays
            yield from told.results
            raise told.problem
        yield from told.moved
        yield dg.MaterializeResult(metadata=told.metadata)
        yield from told.results


recovery_point = dg.AssetSpec(
    proof_checks.POINT,
    deps=[restore_proof],
    group_name="backup",
    description="The snapshot that a recovery would return to: that of the newest proven backup."
    " Nothing runs here: a successful proof materializes it. Its check reads the store's files.",
)


@dg.asset_check(
    asset=proof_checks.POINT,
    name=proof_checks.RPO,
    description="The newest proven backup is younger than the recovery point objective, judged"
    " from the proof records in the store. A sensor reports every change by itself.",
)
def rpo_24h(environment: Environment) -> dg.AssetCheckResult:
    """Judge the recovery point now."""
    return judged(environment)[1]


def judged(environment: Environment) -> tuple[str, dg.AssetCheckResult]:
    """The recovery point's state now, verdict and backup, and its check's result.

    The files are the truth: a store that cannot be read has no recovery point.
    """
    try:
        settings = environment.settings()
        point = point_of(settings, open_store(settings), environment.source(), datetime.now(UTC))
    except (DrError, OSError) as failure:
        why = failure.described() if isinstance(failure, DrError) else str(failure)
        return "unreadable", proof_checks.rpo_failed(why)
    state = f"{point.verdict} {point.backup}".strip()
    return state, proof_checks.rpo_result(point, settings.rpo_hours)


def proven(context: Context, environment: Environment, backup: Backup) -> Told:
    """Prove a backup; if it moves the recovery point, say so."""
    settings = environment.settings()
    context.log.info(f"proving {backup.name} of {backup.manifest.created_at}")
    try:
        proof = prove(settings, backup, progress=environment.progress(context))
    except ProofImpossible as impossible:
        return Told(list(proof_checks.proof_results((), str(impossible))), impossible)
    results = list(proof_checks.proof_results(proof.verdicts))
    try:
        require_proven(backup.name, proof)
    except (ProofFailed, ProofImpossible) as problem:
        return Told(results, problem)
    changes = compare_with_previous(settings, backup, earlier_proven(open_store(settings), backup))
    for change in changes:
        context.log.warning(f"{change.check}: {change.what}")
    return Told(
        [*results, *proof_checks.change_results(changes)],
        moved=list(moved(environment, backup)),
        metadata=_metadata(backup, proof),
    )


def moved(
    environment: Environment, backup: Backup
) -> Iterator[dg.AssetMaterialization | dg.AssetCheckEvaluation]:
    """The event of `recovery_point`, unless a newer backup is proven: then it does not move.

    With its check, because Dagster shows no verdict that is older than the materialization.
    """
    settings = environment.settings()
    point = point_of(settings, open_store(settings), environment.source(), datetime.now(UTC))
    if point.snapshot is None or point.age_s is None or point.backup != backup.name:
        return
    yield dg.AssetMaterialization(
        proof_checks.POINT,
        description=f"{backup.name} is proven",
        metadata={
            "snapshot": dg.MetadataValue.timestamp(point.snapshot),
            "age_hours": round(point.age_s / 3600, 3),
            "backup": point.backup,
        },
    )
    result = proof_checks.rpo_result(point, settings.rpo_hours)
    yield checks.evaluation(result, blocking=False)


def _newest_of(environment: Environment, day: str) -> Backup:
    settings, protected = environment.settings(), environment.source()
    store, database = open_store(settings), protected.dbname
    ours = catalog.backups(store, database, identities_of(settings, store, protected))
    of_day = [each for each in ours if day_of(settings, each) == day]
    if not of_day:
        broken = [str(entry.problem) for entry in catalog.entries(store) if entry.problem]
        raise BackupMissing(
            f"no sound backup of {database!r} of {day} in {store.folder}: there is nothing to prove"
            + (f" (of {len(broken)} broken ones, the last: {broken[-1]})" if broken else "")
        )
    return of_day[-1]


def _metadata(backup: Backup, proof: Proof) -> dict[str, Any]:
    """Numbers become plots, so every run gives the same ones."""
    verdicts = "\n".join(
        f"| {verdict.name} | {'passed' if verdict.passed else 'not passed'} |"
        f" {report.cell(verdict.detail)} |"
        for verdict in proof.verdicts
    )
    return {
        "backup": backup.name,
        "snapshot": dg.MetadataValue.timestamp(backup.manifest.created_at),
        "rows": backup.manifest.rows,
        "tables": len(backup.manifest.tables),
        "sha256": proof.sha256,
        "scratch_server": proof.server_version,
        "notes": "\n".join(proof.notes),
        **{f"{phase}_seconds": seconds for phase, seconds in proof.seconds.items()},
        "summary": dg.MetadataValue.md(f"| verdict | | |\n|---|---|---|\n{verdicts}\n"),
    }
