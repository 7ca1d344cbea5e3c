"""The asset checks of a proof and of the recovery point.

Belongs here: specs, and how a verdict or a change becomes a result of Dagster's. Not here: judging
(``backups.prove``, ``backups.changes``, ``backups.recovery_point``).
"""

from collections.abc import Iterator

import dagster as dg

from kajovo_dr.backups.changes import CHECKS, Change
from kajovo_dr.backups.proof import VERDICTS, Verdict
from kajovo_dr.backups.recovery_point import RecoveryPoint

PROOF = "restore_proof"
POINT = "recovery_point"
RPO = "rpo_24h"

_ABOUT = {
    "restores": "The dump file as it lies in the store restores into an empty scratch database.",
    "rows_equal": "Every table has the rows that the source had at the dump's snapshot.",
    "content_equal": "Every table's content hash is the source's.",
    "schema_equal": "Tables, indexes, constraints, functions and all else are the source's.",
    "sequences_equal": "Every sequence stands where the source's stood.",
    "sql_smoke": "The operator's own queries return what is expected of them.",
    "no_table_gone": "Every table of the previous proven backup is still there.",
    "no_table_shrank": "No table has far fewer rows than in the previous proven backup.",
    "tables_still_change": "Tables that used to change between proven backups still do.",
    "schema_unchanged": "The schema is that of the previous proven backup.",
}
PROOF_SPECS = [
    dg.AssetCheckSpec(name, asset=PROOF, description=_ABOUT[name]) for name in (*VERDICTS, *CHECKS)
]


def proof_results(
    verdicts: tuple[Verdict, ...], otherwise: str = "it was not judged"
) -> Iterator[dg.AssetCheckResult]:
    """A result per verdict. One without a judgement is no pass, and no error either: the one that
    kept it from being judged is. otherwise: why those that are missing were not judged.
    """
    given = {verdict.name: verdict for verdict in verdicts}
    for name in VERDICTS:
        verdict = given.get(name) or Verdict(name=name, passed=None, detail=otherwise)
        detail = verdict.detail or (otherwise if verdict.passed is None else "")
        yield dg.AssetCheckResult(
            passed=verdict.passed is True,
            check_name=name,
            asset_key=PROOF,
            severity=_severity(error=verdict.passed is not None),
            description=f"not judged: {detail}" if verdict.passed is None else detail or None,
            metadata=dict(verdict.figures),
        )


def change_results(changes: tuple[Change, ...]) -> Iterator[dg.AssetCheckResult]:
    """A result per comparison with the previous proven backup, as bad as its worst change."""
    for name in CHECKS:
        found = [change for change in changes if change.check == name]
        yield dg.AssetCheckResult(
            passed=not found,
            check_name=name,
            asset_key=PROOF,
            severity=_severity(error=any(change.severity == "error" for change in found)),
            description="\n".join(change.what for change in found) or None,
            metadata={"changes": len(found)},
        )


def rpo_result(point: RecoveryPoint, objective_hours: float) -> dg.AssetCheckResult:
    """The RPO verdict: late is a warning; too late, or no proven backup at all, an error."""
    if point.snapshot is None or point.age_s is None:
        return rpo_failed(point.problem or "there is no proven backup")
    hours = point.age_s / 3600
    return dg.AssetCheckResult(
        passed=point.verdict == "pass",
        check_name=RPO,
        asset_key=POINT,
        severity=_severity(error=point.verdict != "warn"),
        description=f"the newest proven backup, {point.backup}, is {hours:.1f} hours old;"
        f" the objective is {objective_hours:g}" + (f"; {point.problem}" if point.problem else ""),
        metadata={
            "age_hours": round(hours, 3),
            "snapshot": dg.MetadataValue.timestamp(point.snapshot),
            "backup": point.backup,
        },
    )


def rpo_failed(why: str) -> dg.AssetCheckResult:
    """The verdict when there is no recovery point, or none that can be read."""
    return dg.AssetCheckResult(passed=False, check_name=RPO, asset_key=POINT, description=why)


def _severity(*, error: bool) -> dg.AssetCheckSeverity:
    return dg.AssetCheckSeverity.ERROR if error else dg.AssetCheckSeverity.WARN
