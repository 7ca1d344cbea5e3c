"""Under test: the day on which the RTO will be missed, from nothing but moments and seconds."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta

import pytest

from kajovo_dr.recovery.forecast import forecast, line, measured
from kajovo_dr_tests.recovery.drills import drill

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def points(*seconds: float, every: float = 30) -> list[tuple[datetime, float]]:
    """Drills every so many days, the last one now."""
    last = len(seconds) - 1
    return [(NOW - timedelta(days=every * (last - at)), taken) for at, taken in enumerate(seconds)]


def test_a_line_through_points_on_a_line_is_that_line() -> None:
    assert line([-2, 0, 5], [1, 5, 15]) == pytest.approx((2, 5))


def test_a_line_through_scattered_points_has_the_least_squares() -> None:
    # by hand: means 1.5 and 3.5, sum of products 7, of squares 5
    assert line([0, 1, 2, 3], [1, 4, 3, 6]) == pytest.approx((1.4, 1.4))


@pytest.mark.parametrize("few", [points(), points(5), points(5, 9), points(5, 6, 7, every=6.9)])
def test_too_few_drills_or_drills_too_close_together_say_nothing(
    few: list[tuple[datetime, float]],
) -> None:
    seen = forecast(few, 100, NOW)
    assert (seen.kind, seen.day, seen.growth_s, seen.drills) == ("few", None, None, len(few))


def test_three_drills_within_fourteen_days_are_just_enough() -> None:
    assert forecast(points(5, 6, 7, every=7), 100, NOW).kind == "day"


def test_steady_growth_meets_the_limit_on_its_day() -> None:
    # 10 s more every 30 days, 40 s today: 60 s more are reached after 180 days
    seen = forecast(points(10, 20, 30, 40), 100, NOW)
    assert (seen.kind, seen.day) == ("day", date(2027, 5, 22))
    assert (seen.drills, seen.span_days, seen.limit_s) == (4, 90, 100)
    assert seen.growth_s == pytest.approx(10)


def test_growth_that_quickens_is_judged_by_the_latest_drills() -> None:
    # flat for years, then 10 s more every 30 days: the line through all sees a part of it
    seen = forecast(points(*[10] * 30, 10, 20, 30, 40, 50, 60), 120, NOW)
    assert (seen.kind, seen.drills, seen.span_days) == ("day", 6, 150)
    assert seen.growth_s == pytest.approx(10)
    assert seen.day == date(2027, 5, 22)


def test_growth_that_has_slowed_down_is_judged_by_all_drills() -> None:
    seen = forecast(points(10, 20, 30, 40, 50, 60, *[60] * 6), 120, NOW)
    assert (seen.kind, seen.drills) == ("day", 12)
    # latest drills too close together are no measure of their own
    close = [*points(10, 20, 30, 40), *((NOW - timedelta(minutes=m), 40.0 - m) for m in range(6))]
    assert forecast(close, 100, NOW).drills == 10


def test_the_day_does_not_depend_on_when_it_is_asked_for() -> None:
    later = forecast(points(10, 20, 30, 40), 100, NOW + timedelta(days=60))
    assert later.day == date(2027, 5, 22)


def test_the_order_of_the_drills_does_not_matter() -> None:
    shuffled = points(10, 20, 30, 40, 50)
    random.Random(1).shuffle(shuffled)
    assert forecast(shuffled, 100, NOW).day == forecast(sorted(shuffled), 100, NOW).day


@pytest.mark.parametrize("steady", [points(9, 9, 9), points(9, 8, 7), points(9, 30, 9)])
def test_what_does_not_grow_never_meets_the_limit(steady: list[tuple[datetime, float]]) -> None:
    assert forecast(steady, 100, NOW).kind == "never"


def test_a_limit_that_is_passed_is_missed_whatever_the_growth() -> None:
    for over in (points(90, 100, 110), points(130, 120, 110)):
        seen = forecast(over, 100, NOW)
        assert (seen.kind, seen.day) == ("missed", None)


def test_a_limit_decades_away_is_no_day() -> None:
    assert forecast(points(10, 10.1, 10.2), 100, NOW).kind == "far"
    assert forecast(points(1, 1 + 1e-12, 1 + 2e-12), 1e12, NOW).kind in ("far", "never")


def test_only_drills_with_a_whole_recovery_of_the_same_kind_count() -> None:
    drills = [
        drill(0),
        drill(1, failed="smoke"),
        drill(2, application=False),
        drill(3, ok=False, failed_phase="rto"),
        drill(4, failed="leftovers"),
    ]
    counted = measured(drills, like=drills[0])
    assert [moment.date() for moment, _ in counted] == [
        date(2026, 11, 1),
        date(2027, 1, 30),
        date(2027, 3, 1),
    ]
    assert len(measured(drills, like=drills[2])) == 1
    # a drill that failed early is of its kind, too
    assert measured(drills, like=drill(5, failed="backup")) == counted


def test_drills_with_and_without_legacy_data_are_not_mixed() -> None:
    drills = [drill(0, legacy=False), drill(1), drill(2)]
    assert len(measured(drills, like=drills[0])) == 1
    assert len(measured(drills, like=drills[2])) == 2


def test_a_drill_of_an_earlier_version_counts_with_its_backup() -> None:
    ran = tuple(phase for phase in drill().phases if phase.name not in ("legacy", "revoke"))
    old = drill(phases=ran, legacy=False, rto_s=212.3)
    [(_, seconds)] = measured([old], like=old)
    assert seconds == pytest.approx(212.3 + 42.0)
