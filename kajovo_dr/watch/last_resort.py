"""When the watch itself cannot work: a setting is wrong, or its disk takes no ledger.

Belongs here: one message to whoever can be reached, without the ledger and with as few settings as
that needs. Not here: what is watched (``look``). What keeps the watch from looking is often the
very disaster that people must hear of.
"""

from __future__ import annotations

import contextlib
import os
import platform
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from kajovo_dr.alerts import channels, heartbeat
from kajovo_dr.alerts.message import Message, Severity, compose
from kajovo_dr.errors import DrError
from kajovo_dr.files import write_private
from kajovo_dr.settings import Settings

#: Seconds until the same is said again: nobody can remember it in the ledger.
_QUIET_S = 86_400
_TITLE = {"en": "CRITICAL: the watch cannot look", "cs": "KRITICKÉ: hlídání se nemůže podívat"}
_BODY = {
    "en": "What: the watch cannot look: {why}\nNext: kajovo-dr doctor",
    "cs": "Co: hlídání se nemůže podívat: {why}\nDál: kajovo-dr doctor",
}


def cry(why: str, *, switch: bool = False) -> None:
    """Tell every channel, once a day, that nobody looks. Raises nothing.

    switch: tell the watchdog's dead man's switch, too, at each failure.
    """
    with contextlib.suppress(DrError, OSError):
        settings = Settings.for_alerts()
        if switch:
            heartbeat.ping(settings, "watchdog_url", "fail")
        if _is_news():
            message = _message(settings, why)
            known = channels.readable(settings)[0]
            list(channels.deliver({each: [message] for each in known}, settings.alert_timeout_s))


def _message(settings: Settings, why: str) -> Message:
    language = settings.language
    audience: tuple[Severity, ...] = ("critical", "warning")
    body = f"{_BODY[language].format(why=why)}\nkajovo_dr, {platform.node()}"
    return compose("critical", "critical", audience, _TITLE[language], body, datetime.now(UTC))


def _user() -> int:
    return os.geteuid() if hasattr(os, "geteuid") else 0  # Windows has a folder for each


def _is_news() -> bool:
    """Whether it was not said today; what cannot be remembered is said."""
    mark = Path(tempfile.gettempdir()) / f"kajovo_dr-cannot-look-{_user()}"
    with contextlib.suppress(OSError):
        if abs(time.time() - mark.lstat().st_mtime) < _QUIET_S:
            return False
        mark.unlink()
    with contextlib.suppress(OSError):
        write_private(mark, b"")
    return True
