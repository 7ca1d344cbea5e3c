"""Under test: the next runs, against Dagster's own scheduler, both DST days included."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from dagster._utils.schedules import schedule_execution_time_iterator

from kajovo_dr import moments
from kajovo_dr.settings import Settings
from kajovo_dr.watch.next_runs import next_after, next_runs

PRAGUE = ZoneInfo("Europe/Prague")
DEFAULTS = [
    str(field.default) for name, field in Settings.model_fields.items() if name.endswith("_cron")
]
CRONS = [
    *DEFAULTS,
    # of the hour that comes twice or not at all
    *("0 2 * * *", "15 2 * * *", "0 3 * * *", "59 1 * * *", "30 1-3 * * *", "30 2,14 * * *"),
    *("*/20 2 * * *", "*/15 1-3 * * *", "0 */2 * * *", "30 */2 * * *", "*/15 2 25 10 *"),
    *("30 2 * * SUN", "30 2 28 mar *", "0 2 25-31 Oct sun", "30 2 * * 1-7", "5,10 2 * * *"),
    # every hour, however it is written
    *("0 * * * *", "*/15 * * * *", "5,35 * * * *", "30 0-23 * * *", "30 */1 * * *"),
    "10 0-11,12-23 * * *",
    # names, lists, steps, 7
    *("0 0 1 * *", "0 4 * * 7", "0 0 * * 5-7", "0 0 * * 0-7/2", "0 0 * * mon,WED,fri"),
    *("0 12 * JAN-mar,nov *", "*/7 * * * *", "0 12 29 2 *", "0 12 31 * *", "7 7 1-30/9 */5 *"),
    # day and weekday: one of them is enough
    *("0 0 1 * mon", "0 0 1,15 * 5-7", "0 0 */10 * fri", "0 0 1 * */2", "0 0 */2 * */3"),
    *("4 0 */4 * 0-6", "4 0 1-31 * */2", "4 0 1-31 * mon", "4 0 */1 * 2", "4 0 5 * 0-7"),
    *("4 0 */4 * 1-7", "4 0 */4 * 0-7"),
]
#: Before each change of clocks, in the hour that comes twice (both times), after one left out, and
#: on an ordinary day.
STARTS = [
    "2026-10-24T22:00:00+02:00",
    "2026-10-25T02:40:00+02:00",
    "2026-10-25T02:10:00+01:00",
    "2027-03-27T22:00:00+01:00",
    "2027-03-28T03:00:00+02:00",
    "2026-11-23T10:07:00.5+01:00",
]


def _of_dagster(cron: str, start: datetime, count: int, zone: str) -> list[datetime]:
    ticks = schedule_execution_time_iterator(start.timestamp(), cron, zone)
    later = (tick for tick in ticks if tick.timestamp() > start.timestamp())
    return [tick.astimezone(UTC) for tick in islice(later, count)]


def _of_ours(cron: str, start: datetime, count: int, zone: str) -> list[datetime]:
    found = [start]
    while len(found) <= count:
        at = next_after(cron, ZoneInfo(zone), found[-1])
        assert at is not None
        found.append(at)
    return found[1:]


@pytest.mark.parametrize("cron", CRONS)
@pytest.mark.parametrize("zone", ["Europe/Prague", "America/New_York", "UTC"])
def test_the_next_runs_are_those_of_dagster(cron: str, zone: str) -> None:
    moments.check_cron(cron)
    for start in map(datetime.fromisoformat, STARTS):
        assert _of_ours(cron, start, 16, zone) == _of_dagster(cron, start, 16, zone), start


def test_a_time_that_clocks_leave_out_is_due_when_they_go_on() -> None:
    before = datetime(2027, 3, 27, 12, tzinfo=PRAGUE)
    assert next_after("30 2 * * *", PRAGUE, before) == datetime(2027, 3, 28, 1, tzinfo=UTC)


def test_a_time_that_clocks_show_twice_is_due_once_the_second_time() -> None:
    second = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    assert next_after("30 2 * * *", PRAGUE, datetime(2026, 10, 24, 12, tzinfo=UTC)) == second
    day_after = datetime(2026, 10, 26, 1, 30, tzinfo=UTC)
    assert next_after("30 2 * * *", PRAGUE, second) == day_after


def test_every_schedule_of_the_settings_is_named_soonest_first() -> None:
    now = datetime(2026, 11, 23, 23, 30, tzinfo=UTC)  # half past midnight in Prague
    assert [(run.name, run.at.isoformat()) for run in next_runs(Settings(), now)] == [
        ("reprove", "2026-11-24T01:30:00+00:00"),
        ("cleanup", "2026-11-24T04:30:00+00:00"),
        ("backup", "2026-11-24T05:00:00+00:00"),
        ("drill", "2026-12-01T03:00:00+00:00"),
    ]


def test_the_schedules_are_those_of_the_settings_in_their_time_zone() -> None:
    settings = Settings(
        backup_cron="5 4 * * *",
        reprove_cron="1 0 * * *",
        cleanup_cron="2 0 * * *",
        drill_cron="3 0 1 1 *",
        timezone="Asia/Tokyo",
    )
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)
    found = {run.name: run.at.isoformat() for run in next_runs(settings, now)}
    assert found == {
        "backup": "2026-11-23T19:05:00+00:00",
        "reprove": "2026-11-23T15:01:00+00:00",
        "cleanup": "2026-11-23T15:02:00+00:00",
        "drill": "2026-12-31T15:03:00+00:00",
    }
