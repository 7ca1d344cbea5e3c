"""Progress of long work as a plain callback, so that no room knows who is watching.

Belongs here: the callback's type, the silent default and the throttle. Not here: terminals
(``cli``) or Dagster logs (``defs``).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

#: Called with (phase, bytes done, bytes expected or None). Cheap: may be called for every chunk.
Progress = Callable[[str, int, int | None], None]


def silent(phase: str, done: int, total: int | None) -> None:
    """Nobody is watching."""


def percent(done: int, total: int | None) -> str:
    """``42 %``, or an empty text while the total is unknown."""
    return f"{100 * min(done, total) // total} %" if total else ""


def human_bytes(count: float) -> str:
    """``0 B``, ``1.5 kB``, ``320.0 MB``: decimal units, one digit after the point."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < (999.5 if unit == "B" else 999.95):  # else it would round up to 1000
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


@dataclass
class LineProgress:
    """Turns the callback into lines, few enough for a log.

    A phase of unknown length says that it began. One that tells how far it is says so once per
    interval (seconds), so that a short one says nothing.
    """

    write: Callable[[str], None]
    interval: float = 2.0
    clock: Callable[[], float] = time.monotonic
    _phase: str = field(default="", init=False)
    _due: float = field(default=0.0, init=False)

    def __call__(self, phase: str, done: int, total: int | None) -> None:
        now = self.clock()
        if phase != self._phase:
            self._phase = phase
            self._due = now + self.interval if total else now
        if now < self._due:
            return
        self._due = now + self.interval
        size = human_bytes(done) if done else ""
        self.write(" ".join(filter(None, (phase, size, percent(done, total)))))
