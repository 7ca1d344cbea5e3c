"""Time that no setting of the clock moves, comparable among processes of one machine.

Belongs here: reading it, and what it says of the clock. Not here: what is done about a clock that
was set (``machine_sources``).
"""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path


def uptime_s() -> float:
    """Seconds since this machine was started, its sleep included where the system can tell: Linux
    has a clock of its own for that, the monotonic ones of macOS and Windows go on in sleep.
    """
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    if hasattr(time, "CLOCK_MONOTONIC"):
        return time.clock_gettime(time.CLOCK_MONOTONIC)
    return time.monotonic()


def boot_id() -> str:
    """What tells this run of the machine from the one before; empty where nothing does."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def clock_moved_s(
    at: datetime, uptime: float, later: datetime, later_uptime: float, *, same_boot: bool
) -> float:
    """Seconds by which the clock has moved more than the time that passed between two looks.

    The machine may have been started anew between them: how long it was off nobody knows, so that
    only a clock that went back says something then.
    """
    by_clock = (later - at).total_seconds()
    if not same_boot or later_uptime < uptime:
        return min(by_clock, 0.0)
    return by_clock - (later_uptime - uptime)
