"""The course of a drill: one phase after the other, timed and judged, until one fails.

Belongs here: the clock, the verdicts, and what happens to the rest when a phase fails or the
process is told to end. Not here: what a phase does (``drill_steps``).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from kajovo_dr.errors import DrError, FileRefused
from kajovo_dr.progress import Progress
from kajovo_dr.recovery.drill_record import PHASES, DrillPhase

#: Figures and names that came of a phase.
Facts = dict[str, int | float | str]
_KILLED = {
    "detail": "killed: the process or the machine ended in this phase",
    "hint": "what it left behind is removed by the next drill.",
}


class Skip(Exception):
    """A phase has nothing to do; the text says why."""


class Course:
    """The phases so far, in their order.

    ending: what is to be raised once everything is written down: Ctrl-C, the end of a run, or a
    bug. before_each: gets the phases as they will have been if the process is killed in the next
    one.
    """

    def __init__(
        self,
        progress: Progress,
        before_each: Callable[[dict[str, DrillPhase]], None] = lambda phases: None,
    ) -> None:
        self._progress = progress
        self._before_each = before_each
        self._done: dict[str, DrillPhase] = {}
        self.ending: BaseException | None = None

    @property
    def failed(self) -> bool:
        """Whether a phase has failed."""
        return any(phase.verdict == "failed" for phase in self._done.values())

    @property
    def phases(self) -> dict[str, DrillPhase]:
        """All phases; those that were not reached are not run."""
        return {
            name: self._done.get(name) or DrillPhase(name=name, verdict="not_run")
            for name in PHASES
        }

    def run(self, name: str, step: Callable[[], Facts], *, always: bool = False) -> None:
        """Run a phase, unless an earlier one has failed; always: even then. Raises nothing."""
        if self.failed and not always:
            return
        began_at, began = datetime.now(UTC), time.monotonic()
        killed = DrillPhase(name=name, verdict="failed", began_at=began_at, **_KILLED)
        outcome = self._outcome(name, step, {**self.phases, name: killed})
        self._done[name] = DrillPhase(
            name=name,
            began_at=began_at,
            ended_at=datetime.now(UTC),
            seconds=round(time.monotonic() - began, 3),
            **outcome,
        )

    def _outcome(
        self, name: str, step: Callable[[], Facts], if_killed: dict[str, DrillPhase]
    ) -> dict[str, Any]:
        try:
            self._before_each(if_killed)
            self._progress(f"drill: {name}", 0, None)
            return {"verdict": "passed", "facts": step()}
        except Skip as nothing:
            return {"verdict": "skipped", "detail": str(nothing)}
        except DrError as failure:
            return _failed(failure)
        except OSError as failure:
            what = f"{failure.filename or 'a file'}: {str(failure.strerror).lower()}"
            return _failed(FileRefused(what))
        except BaseException as failure:  # noqa: BLE001 - raised again when it is written down
            self.ending = self.ending or failure
            said = ": ".join(filter(None, (type(failure).__name__, str(failure))))
            return {"verdict": "failed", "detail": f"ended by {said}"}


def _failed(failure: DrError) -> dict[str, Any]:
    return {"verdict": "failed", "detail": str(failure), "hint": failure.hint}
