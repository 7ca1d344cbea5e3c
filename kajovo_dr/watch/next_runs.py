"""When the schedules run next, told without Dagster: from their cron expressions alone.

Belongs here: Dagster's rules for the days on which clocks change, and what it reads otherwise than
the library does. Not here: what a schedule does (``defs``), which expressions are accepted
(``moments``).

Dagster knows that clocks change between one and four o'clock; where they do so at midnight, its
runs of that one hour may differ from what is told here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from kajovo_dr.settings import Settings

Schedule = Literal["backup", "reprove", "cleanup", "drill"]
#: More than clocks are ever put back, and little to search.
_PUT_BACK = timedelta(hours=4)
_MINUTE = timedelta(minutes=1)
_HOURS = frozenset(range(24))
_DAYS = frozenset(range(1, 32))
_WEEKDAYS = frozenset(range(7))


@dataclass(frozen=True)
class NextRun:
    """When a schedule is due next. at: aware, in UTC."""

    name: Schedule
    at: datetime


def next_runs(settings: Settings, now: datetime) -> list[NextRun]:
    """The next run of each schedule after a moment, soonest first.

    One that does not come round within decades is left out.
    """
    crons: dict[Schedule, str] = {
        "backup": settings.backup_cron,
        "reprove": settings.reprove_cron,
        "cleanup": settings.cleanup_cron,
        "drill": settings.drill_cron,
    }
    zone = ZoneInfo(settings.timezone)
    due = {name: next_after(cron, zone, now) for name, cron in crons.items()}
    found = [NextRun(name, at) for name, at in due.items() if at is not None]
    return sorted(found, key=lambda run: run.at)


def next_after(cron: str, zone: ZoneInfo, now: datetime) -> datetime | None:
    """The first run of an accepted cron expression after a moment, in UTC.

    As Dagster has it: what runs every hour does so by elapsed time. Everything else runs once at
    each time that is written: the second time when the clock shows it twice (the library takes the
    first), and as soon as the clock goes on when it leaves that time out.
    """
    from cronsim import CronSim

    fields = _as_read_by_dagster(cron)
    expression, local = " ".join(fields), now.astimezone(zone)
    if fields[1] == "*":
        return next((at.astimezone(UTC) for at in CronSim(expression, local)), None)
    shown = CronSim(expression, local.replace(tzinfo=None) - _PUT_BACK)
    return next((at for each in shown if (at := _moment(each, zone)) > now), None)


def _as_read_by_dagster(cron: str) -> list[str]:
    """The five fields such that the library understands them as Dagster does.

    Every hour may be written in other ways than ``*``. With both day and weekday given one of them
    is enough; the library takes ``*/2`` for not given, and Dagster every day beside a ``*/2``.
    """
    from cronsim import CronSim

    minute, hour, day, month, weekday = cron.split(" ")
    read = CronSim(cron, datetime(2000, 1, 1))  # noqa: DTZ001 - only its fields are looked at
    weekdays = {each % 7 for each in read.weekdays if isinstance(each, int)}
    every_day = read.days >= _DAYS and "*" in weekday
    every_weekday = weekdays >= _WEEKDAYS and "*" in day
    return [
        minute,
        "*" if read.hours >= _HOURS else hour,
        "*" if every_day else day.replace("*/", "1-31/"),
        month,
        "*" if every_weekday else weekday.replace("*/", "0-6/"),
    ]


def _moment(shown: datetime, zone: ZoneInfo) -> datetime:
    """When clocks of the zone show a time, or would have shown it."""
    while not _exists(shown, zone):
        shown += _MINUTE
    return shown.replace(tzinfo=zone, fold=1).astimezone(UTC)


def _exists(shown: datetime, zone: ZoneInfo) -> bool:
    there = shown.replace(tzinfo=zone).astimezone(UTC).astimezone(zone)
    return there.replace(tzinfo=None) == shown
