"""Records of drills as the tests of history, forecast and report need them; nothing was run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from kajovo_dr.recovery.drill_history import History
from kajovo_dr.recovery.drill_record import PHASES, DrillPhase, DrillRecord, Objectives, rto_of

BEGUN = datetime(2026, 11, 1, 3, 0, tzinfo=UTC)
OBJECTIVES = Objectives(rpo_warn_s=72_000, rpo_s=86_400, rto_warn_s=3600, rto_s=7200)
#: Seconds of each phase of an ordinary drill.
SECONDS = dict(
    zip(
        PHASES,
        (0.4, 42.0, 95.0, 410.0, 180.0, 21.0, 12.0, 0.3, 4.2, 1.1, 6.0, 0.7, 2.5, 0.1),
        strict=True,
    )
)
FACTS: dict[str, dict[str, int | float | str]] = {
    "prepare": {"scratch": "17.10", "removed": 1},
    "backup": {"backup": "a.sql", "tables": 24, "rows": 1_234_567, "bytes": 812_345_678},
    "proof": {"verdicts": 6},
    "zoo": {"caught": 67, "not_applicable": 9},
    "restore": {"database": "kajovo_dr_drill_1", "tables": 24, "rows": 1_234_567},
    "migrate": {"revision": "0025_add", "steps": 1},
    "legacy": {"imported": 38, "scanned": 40, "domains": 5},
    "revoke": {"statements": 5, "rows": 17},
    "start": {"port": 50113},
    "readiness": {"attempts": 2},
    "smoke": {"passed": 13, "endpoints": 13},
    "alert": {"channels": 2, "arrived": 2},
}


def phases(
    failed: str = "", *, scale: float = 1, detail: str = "", hint: str = ""
) -> tuple[DrillPhase, ...]:
    """All phases; from the failed one on they are not run, but for the cleaning."""
    found, at = [], BEGUN
    reached = True
    for name in PHASES:
        if not reached and name not in ("alert", "clean_up", "leftovers"):
            found.append(DrillPhase(name=name, verdict="not_run"))
            continue
        seconds = SECONDS[name] * scale
        verdict: Literal["failed", "passed"] = "failed" if name == failed else "passed"
        said = {"detail": detail, "hint": hint} if name == failed else {}
        end = at + timedelta(seconds=seconds)
        found.append(
            DrillPhase(
                name=name,
                verdict=verdict,
                began_at=at,
                ended_at=end,
                seconds=seconds,
                facts=FACTS.get(name, {}) if name != failed else {},
                **said,
            )
        )
        reached, at = reached and name != failed, end
    return tuple(found)


def drill(
    number: int = 0,
    *,
    failed: str = "",
    scale: float = 1,
    days: float = 30,
    detail: str = "",
    hint: str = "",
    **changes: Any,
) -> DrillRecord:
    """The drill of a month (number: of the day that it began on, in steps of days)."""
    done = phases(failed, scale=scale, detail=detail, hint=hint)
    rto_s = rto_of({phase.name: phase for phase in done})
    begun = BEGUN + timedelta(days=days * number)
    facts: dict[str, Any] = {
        "id": f"{number:08x}",
        "started_at": begun,
        "finished_at": begun + timedelta(seconds=sum(phase.seconds for phase in done)),
        "who": "scheduled",
        "database": "kajovo_hotel",
        "application": True,
        "legacy": True,
        "ok": not failed,
        "failed_phase": failed or None,
        "phases": done,
        "objectives": OBJECTIVES,
        "backup": "kajovo-postgres-20261101-030000.sql",
        "dump_bytes": round(812_345_678 * scale),
        "database_bytes": round(1_600_000_000 * scale),
        "rows": round(1_234_567 * scale),
        "data_age_s": 4 * 3600 + 240 * number,
        "data_age_after_s": 140.0,
        "rpo_verdict": "pass",
        "rpo_after_verdict": "pass",
        "rto_s": rto_s,
        "rto_verdict": OBJECTIVES.rto(rto_s),
        "versions": {"kajovo_dr": "0.1", "server": "17.10"},
    }
    return DrillRecord(**facts | changes)


def history(count: int, *, growth: float = 0.04) -> History:
    """So many monthly drills, each slower than the one before it; every ninth failed."""
    return History(
        tuple(
            drill(number, scale=1 + growth * number, failed="smoke" if number % 9 == 5 else "")
            for number in range(count)
        )
    )
