"""The asset checks of backup and recovery: their names, and how a verdict becomes a result.

Belongs here: specs and results. Not here: judging (``backups.take``, ``recovery.smoke``), and the
checks of a proof (``proof_checks``). A verdict is ours first: `restore` refuses a damaged backup
whatever Dagster shows.
"""

from collections.abc import Iterator

import dagster as dg

from kajovo_dr.backups.take import Verdict
from kajovo_dr.recovery.record import IncidentEntry
from kajovo_dr.recovery.smoke import SmokeReport
from kajovo_dr.settings import Settings

BACKUP = "postgres_backup"
READINESS = "api_readiness"
SMOKE = "smoke_report"
LOG_ENTRY = "incident_log_entry"

#: Checks of a fresh dump, by the names of `take`'s verdicts.
BACKUP_SPECS = [
    dg.AssetCheckSpec(
        "dump_size",
        asset=BACKUP,
        blocking=True,
        description="The dump reaches the floor and did not collapse against the previous ones.",
    ),
    dg.AssetCheckSpec(
        "dump_integrity",
        asset=BACKUP,
        blocking=True,
        description="Read to its last byte: header, trailer, COPYs closed, UTF-8, rows, sha256.",
    ),
]
READINESS_SPECS = [
    dg.AssetCheckSpec(
        "api_ready", asset=READINESS, blocking=True, description="The application says it is ready."
    )
]
LOG_SPECS = [
    dg.AssetCheckSpec(
        "within_rto", asset=LOG_ENTRY, description="The recovery took no longer than the RTO."
    )
]
EXTRAS = "smoke_extras"


def smoke_specs(settings: Settings) -> list[dg.AssetCheckSpec]:
    """One check per module of the application, and one for all extra endpoints."""
    modules = [
        dg.AssetCheckSpec(
            f"smoke_{module.name}", asset=SMOKE, description=f"Module {module.name} answers."
        )
        for module in settings.app_modules
    ]
    extras = dg.AssetCheckSpec(
        EXTRAS, asset=SMOKE, description="Endpoints that catch what the lists miss."
    )
    return [*modules, extras]


def verdict_results(verdicts: tuple[Verdict, ...]) -> Iterator[dg.AssetCheckResult]:
    """The verdicts on a fresh dump."""
    for verdict in verdicts:
        yield dg.AssetCheckResult(
            passed=verdict.problem is None,
            check_name=verdict.name,
            asset_key=BACKUP,
            description=verdict.problem.described() if verdict.problem else None,
            metadata=dict(verdict.figures),
        )


def evaluation(result: dg.AssetCheckResult, *, blocking: bool) -> dg.AssetCheckEvaluation:
    """A result as an event that can be logged outside of its asset's own run."""
    assert result.asset_key is not None
    return dg.AssetCheckEvaluation(
        asset_key=result.asset_key,
        check_name=result.check_name or "",
        passed=result.passed,
        severity=result.severity,
        metadata=result.metadata or {},
        description=result.description,
        blocking=blocking,
    )


def smoke_results(report: SmokeReport) -> Iterator[dg.AssetCheckResult]:
    """A result per module; of the extras one, which only warns when no required one failed."""
    for result in report.results:
        if result.module:
            yield dg.AssetCheckResult(
                passed=result.ok,
                check_name=f"smoke_{result.name}",
                asset_key=SMOKE,
                description=result.detail or None,
                metadata={"rows": result.count or 0, "seconds": result.seconds},
            )
    extras = [result for result in report.results if not result.module]
    failed = [result for result in extras if not result.ok]
    yield dg.AssetCheckResult(
        passed=not failed,
        check_name=EXTRAS,
        asset_key=SMOKE,
        severity=dg.AssetCheckSeverity.ERROR
        if any(result.required for result in failed)
        else dg.AssetCheckSeverity.WARN,
        description="; ".join(f"{result.name}: {result.detail}" for result in failed) or None,
        metadata={"endpoints": len(extras), "failed": len(failed)},
    )


def rto_result(entry: IncidentEntry) -> dg.AssetCheckResult:
    """The RTO verdict: late is a warning, too late an error."""
    return dg.AssetCheckResult(
        passed=entry.rto_verdict == "pass",
        check_name="within_rto",
        asset_key=LOG_ENTRY,
        severity=dg.AssetCheckSeverity.WARN
        if entry.rto_verdict == "warn"
        else dg.AssetCheckSeverity.ERROR,
        metadata={"minutes": round(entry.duration_s / 60, 2), "verdict": entry.rto_verdict},
    )
