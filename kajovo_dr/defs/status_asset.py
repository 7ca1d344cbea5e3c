"""How things stand, as an asset: what ``kajovo-dr status`` shows, in the UI.

Belongs here: the asset, and the status as its metadata. Not here: the status (``watch.status``).
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from kajovo_dr.defs.checks import evaluation
from kajovo_dr.defs.resources import Environment, operator_errors
from kajovo_dr.progress import human_bytes
from kajovo_dr.recovery.report import cell, human_duration
from kajovo_dr.recovery.report import moment as shown_moment
from kajovo_dr.watch.status import Status, status

KEY = dg.AssetKey("dr_status")
WELL = "all_well"


@dg.asset(
    name="dr_status",
    group_name="status",
    check_specs=[dg.AssetCheckSpec(WELL, asset=KEY, description="Fails while anything is wrong.")],
    description="The recovery point against the RPO, the last drill, the store, what is wrong and"
    " the next command. A sensor reports every change; materialize it to see it now.",
)
def dr_status(environment: Environment) -> Iterator[Any]:
    """Look now."""
    with operator_errors():
        settings = environment.settings()
        found = status(settings, datetime.now(UTC))
        yield dg.MaterializeResult(metadata=metadata(found, settings.timezone))
        yield _check(found)


def events(found: Status, timezone: str) -> list[dg.AssetMaterialization | dg.AssetCheckEvaluation]:
    """The status as events of its asset."""
    told = dg.AssetMaterialization(KEY, description=found.level, metadata=metadata(found, timezone))
    return [told, evaluation(_check(found), blocking=False)]


def _check(found: Status) -> dg.AssetCheckResult:
    """A green mark must not stand beside what is wrong."""
    error = dg.AssetCheckSeverity.ERROR
    return dg.AssetCheckResult(
        passed=not found.wrong,
        check_name=WELL,
        asset_key=KEY,
        severity=error if found.is_bad else dg.AssetCheckSeverity.WARN,
        description="\n".join(each.what for each in found.wrong) or None,
    )


def state_of(found: Status) -> str:
    """What makes it another status: what is wrong, and which backup, drill and database it is."""
    wrong = ",".join(f"{each.key}={each.level}" for each in found.wrong)
    backup = found.point.backup if found.point is not None else ""
    return f"{found.database} {backup} {found.drill.id if found.drill else ''} {wrong}"


def metadata(found: Status, timezone: str) -> dict[str, Any]:
    """Numbers become plots, so every event gives the same ones as far as they are known."""
    figures = {
        "rpo_age_hours": found.point.age_s / 3600
        if found.point is not None and found.point.age_s is not None
        else None,
        "rto_minutes": found.drill.rto_s / 60 if found.drill and found.drill.rto_s else None,
        "store_free_bytes": found.disk.free_bytes if found.disk is not None else None,
        "store_days_left": found.disk.days_left if found.disk is not None else None,
    }
    return {
        "level": found.level,
        "as_of": dg.MetadataValue.timestamp(found.now),
        "next": found.next or "nothing to do",
        "summary": dg.MetadataValue.md(_summary(found, timezone)),
        "wrong": dg.MetadataValue.md(_wrong(found)),
        "things_wrong": len(found.wrong),
        **{name: float(value) for name, value in figures.items() if value is not None},
    }


def _wrong(found: Status) -> str:
    if not found.wrong:
        return "nothing is wrong"
    rows = "\n".join(
        f"| {each.level} | {cell(each.what)} | {cell(each.figure)} | {cell(each.limit)} |"
        f" `{cell(each.next)}` |"
        for each in found.wrong
    )
    return f"| level | what | figure | limit | next |\n|---|---|---|---|---|\n{rows}"


def _summary(found: Status, timezone: str) -> str:
    age = found.point.age_s if found.point is not None else None
    drill = found.drill
    rows = {
        "recovery point": human_duration(age),
        "newest proven backup": (found.point.backup if found.point else "") or "none",
        "last drill": ("passed" if drill.ok else "failed") if drill else "none",
        "its recovery took": human_duration(drill.rto_s if drill else None),
        "store": f"{human_bytes(found.disk.free_bytes)} free" if found.disk else "cannot be read",
        **{f"next {run.name}": shown_moment(run.at, timezone) for run in found.runs},
    }
    lines = "\n".join(f"| {name} | {cell(value)} |" for name, value in rows.items())
    return f"| | |\n|---|---|\n{lines}"
