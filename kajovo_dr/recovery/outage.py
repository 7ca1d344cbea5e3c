"""How long the application did not answer, seen from outside while something is done to it.

Belongs here: asking the readiness path again and again in the background. Not here: what is done,
and waiting for readiness (``readiness``).
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from kajovo_dr.recovery.application import Application
from kajovo_dr.recovery.readiness import is_ready
from kajovo_dr.recovery.record import Outage
from kajovo_dr.settings import Settings

#: Seconds for one request: an application that hangs is down.
_ASKED_S = 2.0


@dataclass(frozen=True)
class _Instant:
    """A moment by both clocks: one for people, one for durations."""

    at: datetime
    monotonic: float

    @classmethod
    def now(cls) -> _Instant:
        return cls(datetime.now(UTC), time.monotonic())


class OutageWatch:
    """Watches from ``__enter__``, which waits for the first answer, to ``__exit__``.

    earlier: what a previous process of the same recovery saw; an outage that was open then goes on.
    Outages that follow each other are one, from the first failure to the last good answer, of as
    many seconds as its gaps have together. It never raises, and without an application it does
    nothing.
    """

    def __init__(
        self, settings: Settings, *, interval_s: float = 0.5, earlier: Outage | None = None
    ) -> None:
        limit = min(_ASKED_S, settings.app_timeout_s)
        self._settings = settings.with_overrides(app_timeout_s=limit)
        self._interval_s = interval_s
        self._asked = earlier.asked if earlier else 0
        self._seen = earlier
        self._began: _Instant | None = None  # unknown when another process saw it begin
        self._down = False
        self._first = threading.Event()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        if self._settings.app_base_url:
            self._thread = threading.Thread(target=self._watch, daemon=True, name="kajovo_dr-watch")
            self._thread.start()
            self._first.wait()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def outage(self) -> Outage | None:
        """What was seen so far; None: every request was answered well."""
        seen = self._seen
        return seen and seen.model_copy(update={"asked": self._asked})

    def _watch(self) -> None:
        self._ask()
        self._first.set()
        while not self._ended.wait(self._interval_s):
            self._ask()
        if self._down:  # it may be up again since the last request
            self._ask()

    def _ask(self) -> None:
        before = _Instant.now()
        try:
            with Application(self._settings) as application:
                good = is_ready(application, self._settings)
        except Exception:  # noqa: BLE001 - a watch that fails must not disturb what it watches
            return
        self._asked += 1
        self._down = not good
        if good:
            self._close(_Instant.now())
        else:
            self._open(before)

    def _open(self, instant: _Instant) -> None:
        if self._seen is None:
            self._began = instant
            self._seen = Outage(
                from_at=instant.at,
                until_at=None,
                seconds=None,
                asked=self._asked,
                interval_s=self._interval_s,
                gap_at=instant.at,
            )
        elif self._seen.until_at is not None:
            self._began = instant
            self._seen = self._seen.model_copy(update={"until_at": None, "gap_at": instant.at})

    def _close(self, instant: _Instant) -> None:
        if self._seen is None or self._seen.until_at is not None:
            return
        if self._began is None:
            gap = (instant.at - (self._seen.gap_at or self._seen.from_at)).total_seconds()
        else:
            gap = instant.monotonic - self._began.monotonic
        seconds = (self._seen.seconds or 0.0) + max(0.0, gap)
        closed = {"until_at": instant.at, "seconds": seconds, "gap_at": None}
        self._seen = self._seen.model_copy(update=closed)
