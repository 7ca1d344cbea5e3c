"""What is written down about one drill: its phases, its figures, and what they are worth.

Belongs here: the models and the verdicts against the objectives. Not here: the file
(``drill_history``) or words for people (``drill_report``). A record holds no secret and nothing of
what the data says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from kajovo_dr.recovery.record import ID_PATTERN
from kajovo_dr.settings import Settings

#: In the order in which they happen.
PHASES = (
    "prepare",
    "backup",
    "proof",
    "zoo",
    "restore",
    "migrate",
    "legacy",
    "revoke",
    "start",
    "readiness",
    "smoke",
    "alert",
    "clean_up",
    "leftovers",
)
#: Those that a real recovery has, too: their seconds are the drill's RTO. The backup stands for the
#: safety backup, which a recovery takes before anything else.
RTO_PHASES = (
    *("backup", "restore", "migrate", "legacy", "revoke"),
    *("start", "readiness", "smoke"),
)
#: What a drill is judged by beside its phases; it stands where else a failed phase is named.
RTO = "rto"

#: none: there was nothing to measure.
Objective = Literal["pass", "warn", "fail", "none"]


class DrillPhase(BaseModel):
    """One phase. facts: figures and names that came of it. detail: why it failed or was skipped;
    hint: the next step.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    verdict: Literal["passed", "failed", "skipped", "not_run"]
    began_at: AwareDatetime | None = None
    ended_at: AwareDatetime | None = None
    seconds: float = 0
    facts: dict[str, int | float | str] = Field(default_factory=dict)
    detail: str = ""
    hint: str = ""


class Objectives(BaseModel):
    """What was promised when the drill ran."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rpo_warn_s: float
    rpo_s: float
    rto_warn_s: float
    rto_s: float

    @classmethod
    def of(cls, settings: Settings) -> Objectives:
        """Those in force."""
        return cls(
            rpo_warn_s=settings.rpo_warn_hours * 3600,
            rpo_s=settings.rpo_hours * 3600,
            rto_warn_s=settings.rto_warn_minutes * 60,
            rto_s=settings.rto_minutes * 60,
        )

    def rpo(self, age_s: float | None) -> Objective:
        """The verdict on the age of the newest proven backup."""
        return _judged(age_s, self.rpo_warn_s, self.rpo_s)

    def rto(self, seconds: float | None) -> Objective:
        """The verdict on the time of a recovery."""
        return _judged(seconds, self.rto_warn_s, self.rto_s)


class DrillRecord(BaseModel):
    """A drill that has ended, one line of the history.

    application: whether it was to start one; legacy: whether it was to import legacy data; without
    them its RTO lacks those phases. data_age_s: of the newest proven backup before the drill took
    its own; data_age_after_s: after that was proven. rto_s: None unless each phase of a recovery
    passed or had nothing to do; see `recovery_s`. removed: what a killed drill had left and this
    one removed. log: a copy of the application's output, kept when it failed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    id: str = Field(pattern=ID_PATTERN)
    started_at: AwareDatetime
    finished_at: AwareDatetime
    who: str
    database: str
    application: bool
    legacy: bool = False
    ok: bool
    failed_phase: str | None
    phases: tuple[DrillPhase, ...]
    objectives: Objectives
    backup: str | None = None
    dump_bytes: int | None = None
    database_bytes: int | None = None
    rows: int | None = None
    data_age_s: float | None = None
    data_age_after_s: float | None = None
    rpo_verdict: Objective = "none"
    rpo_after_verdict: Objective = "none"
    rto_s: float | None = None
    rto_verdict: Objective = "none"
    removed: tuple[str, ...] = ()
    log: str = ""
    versions: dict[str, str] = Field(default_factory=dict)

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds by phase, of those that had something to do and began."""
        return {
            phase.name: phase.seconds
            for phase in self.phases
            if phase.verdict in ("passed", "failed")
        }

    @property
    def recovery_s(self) -> float | None:
        """As `rto_s`, of what counts today: earlier versions left the backup out."""
        return rto_of({phase.name: phase for phase in self.phases})

    @property
    def failure(self) -> DrillPhase | None:
        """The phase that failed; None when all passed, or only the RTO was missed."""
        return next((phase for phase in self.phases if phase.verdict == "failed"), None)


def rto_of(phases: Mapping[str, DrillPhase]) -> float | None:
    """Seconds of the phases of a recovery; None when one of them failed or did not run.

    Drills of earlier versions had fewer phases.
    """
    found = [phases[name] for name in RTO_PHASES if name in phases]
    passed = {phase.name: phase.seconds for phase in found if phase.verdict == "passed"}
    if any(phase.verdict in ("failed", "not_run") for phase in found):
        return None
    return round(sum(passed.values()), 3) if {"backup", "restore"} <= passed.keys() else None


def _judged(value: float | None, warn: float, limit: float) -> Objective:
    if value is None:
        return "none"
    if value > limit:
        return "fail"
    return "warn" if value > warn else "pass"
