"""Moments as people write them: ISO 8601 with an offset, because without one it is a guess."""

from __future__ import annotations

from datetime import datetime

from kajovo_dr.errors import SettingError


def parse(text: str, name: str) -> datetime:
    """The moment; raises `SettingError` that names where it was given."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise SettingError(
            f"{name} is {text!r}, not a moment with an offset",
            hint="write it like 2026-11-23T03:10:00+01:00.",
        )
    return moment
