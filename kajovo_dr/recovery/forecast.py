"""When the RTO will be missed if recoveries go on getting slower as they do now.

Belongs here: straight lines through all drills and through the latest ones, by least squares, and
the day on which the steeper one meets the limit. Pure: no files, no clock. Not here: which drills
count (`measured` says it once) and words for people (``drill_words``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from kajovo_dr.recovery.drill_record import DrillRecord

#: Fewer drills, or drills closer together, say nothing about growth.
FEWEST, SHORTEST_DAYS = 3, 14
#: Drills that show the present growth; a line through years of them hides that it quickens.
_LATEST = 6
#: A line through a few drills says nothing about a later decade.
_FARTHEST_DAYS = 3653
_DAY_S = 86_400


@dataclass(frozen=True)
class Forecast:
    """The answer. few: not enough drills yet. never: recoveries do not get slower. far: not within
    ten years. day: on `day`. missed: the line is over the limit already.

    drills, span_days: what it rests on. growth_s: seconds that a recovery gets slower by in 30
    days.
    """

    kind: Literal["few", "never", "far", "day", "missed"]
    drills: int
    span_days: float
    limit_s: float
    growth_s: float | None = None
    day: date | None = None


def measured(drills: Iterable[DrillRecord], *, like: DrillRecord) -> list[tuple[datetime, float]]:
    """Moments and seconds of the drills that came through all phases of a recovery.

    like: only those of this one's kind; drills with and without an application, or with and without
    legacy data, must not be mixed.
    """
    return [
        (drill.started_at, drill.recovery_s)
        for drill in drills
        if drill.recovery_s is not None
        and (drill.application, drill.legacy) == (like.application, like.legacy)
    ]


def forecast(points: Sequence[tuple[datetime, float]], limit_s: float, now: datetime) -> Forecast:
    """Where the line through the points, or a steeper one through the latest, meets the limit."""
    whole = _through(points, limit_s, now)
    latest = _through(sorted(points)[-_LATEST:], limit_s, now)
    if whole.growth_s is None or latest.growth_s is None:
        return whole
    return latest if latest.growth_s > whole.growth_s else whole


def _through(points: Sequence[tuple[datetime, float]], limit_s: float, now: datetime) -> Forecast:
    moments = [moment for moment, _ in points]
    span = (max(moments) - min(moments)).total_seconds() / _DAY_S if points else 0.0
    if len(points) < FEWEST or span < SHORTEST_DAYS:
        return Forecast("few", len(points), span, limit_s)
    days = [(moment - now).total_seconds() / _DAY_S for moment in moments]
    slope, today = line(days, [seconds for _, seconds in points])
    rests = (len(points), span, limit_s, slope * 30)
    if today > limit_s:
        return Forecast("missed", *rests)
    if slope <= 0:
        return Forecast("never", *rests)
    left = (limit_s - today) / slope
    if left > _FARTHEST_DAYS:
        return Forecast("far", *rests)
    return Forecast("day", *rests, (now + timedelta(days=left)).date())


def line(xs: Sequence[float], ys: Sequence[float]) -> tuple[float, float]:
    """Slope and value at 0 of the least-squares line; the xs must not all be equal."""
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - mean_x) ** 2 for x in xs)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread
    return slope, mean_y - slope * mean_x
