"""Moments and schedules as people write them.

Belongs here: ISO 8601 with an offset, because without one it is a guess, and cron. Not here: what
happens then.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from kajovo_dr.errors import SettingError

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
#: Name, least and greatest value of each field, and the names that stand for values.
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day", 1, 31, {}),
    ("month", 1, 12, {name: at for at, name in enumerate(_MONTHS, 1)}),
    ("weekday", 0, 7, {name: at for at, name in enumerate(_WEEKDAYS)}),
)
_VALUE = r"[0-9]{1,2}|[a-z]{3}"
_PART = re.compile(rf"(?:\*|({_VALUE})-({_VALUE}))(?:/([0-9]{{1,2}}))?|({_VALUE})")
_LONGEST_MONTH = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}


def parse(text: str, name: str, zone: str | None = None) -> datetime:
    """The moment; raises `SettingError` that names where it was given.

    zone: of a moment without an offset, which is refused without it, and where the clock of the
    zone shows that time twice or not at all.
    """
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None and zone is not None:
            moment = _placed(moment, text, name, ZoneInfo(zone))
        if moment.tzinfo is not None:
            moment.astimezone(UTC)  # the ends of the calendar have none
            return moment
    except (ValueError, OverflowError):
        pass
    raise SettingError(
        f"{name} is {text!r}, not a moment with an offset",
        hint="write it like 2026-11-23T03:10:00+01:00.",
    )


def _placed(moment: datetime, text: str, name: str, zone: ZoneInfo) -> datetime:
    early, late = moment.replace(tzinfo=zone, fold=0), moment.replace(tzinfo=zone, fold=1)
    if early.utcoffset() != late.utcoffset():
        raise SettingError(
            f"{name} is {text!r}, which {zone.key} has twice or not at all: its clocks change then",
            hint=f"add the offset: {early.isoformat()} or {late.isoformat()}.",
        )
    return early


def check_cron(text: str) -> None:
    """Raise `ValueError` unless it is a cron schedule of five fields that comes round some day.

    What Dagster reads in ways of its own is refused: a step after a single value, a range of one,
    ``*`` in a list, a day that no month has beside a weekday.
    """
    fields = text.lower().split(" ")
    if len(fields) != len(_FIELDS):
        raise ValueError("a cron schedule has five fields with one space between them")
    values = [set(_values(field, *about)) for field, about in zip(fields, _FIELDS, strict=True)]
    _, _, days, months, _ = values
    longest = max(_LONGEST_MONTH.get(month, 31) for month in months)
    if min(days) > longest:
        raise ValueError("no month of the cron schedule has that day")


def _values(field: str, name: str, least: int, most: int, names: dict[str, int]) -> Iterator[int]:
    parts = field.split(",")
    for part in parts:
        match = _PART.fullmatch(part)
        starred = part.startswith("*") and len(parts) > 1
        values = _range(match, least, most, names) if match and not starred else range(0)
        if not values:
            raise ValueError(
                f"the {name} of the cron schedule is not made of {least} to {most}, * , - and /"
            )
        yield from values


def _range(match: re.Match[str], least: int, most: int, names: dict[str, int]) -> range:
    """The values of a part; empty when it is impossible."""

    def number(text: str) -> int:
        return int(text) if text.isdigit() else names.get(text, -1)

    first, last, step, single = match.groups()
    if single is not None:
        value = number(single)
        return range(value, value + 1) if least <= value <= most else range(0)
    begin, end = (least, most) if first is None else (number(first), number(last))
    if not least <= begin < end <= most or step in ("0", "00"):
        return range(0)
    return range(begin, end + 1, int(step or 1))
