"""The watchdog: one look from outside Dagster, and one line as monitoring plugins write it.

Belongs here: the line, the exit code, and the sign of life to a dead man's switch. Not here: the
look (``look``), the command (``cli_watch``). It needs neither Dagster nor its database.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from kajovo_dr.alerts import heartbeat
from kajovo_dr.alerts.condition import Level, rank
from kajovo_dr.alerts.transitions import Standing
from kajovo_dr.settings import Settings
from kajovo_dr.watch.look import Looked, look

#: As monitoring plugins use them: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.
EXIT_CODES: dict[Level, int] = {"ok": 0, "warning": 1, "critical": 2, "unknown": 3}


@dataclass(frozen=True)
class Report:
    """What the watchdog found; see `EXIT_CODES`."""

    level: Level
    looked: Looked

    @property
    def exit_code(self) -> int:
        """Of the worst that is wrong."""
        return EXIT_CODES[self.level]

    @property
    def line(self) -> str:
        """One line, without a bar: what comes after one is figures to plugins."""
        wrong = [_said(each) for each in self.looked.active]
        said = "; ".join(wrong) or "backups are proven and young enough"
        return f"KAJOVO_DR {self.level.upper()} - {said.replace('|', '/')}"


def watch(settings: Settings, now: datetime) -> Report:
    """Look, tell people, and tell the dead man's switch that somebody looks.

    Raises what `look` raises.
    """
    looked = look(settings, "watchdog", now)
    level = looked.active[0].level if looked.active else "ok"
    heartbeat.ping(settings, "watchdog_url", "fail" if rank(level) > rank("warning") else "success")
    return Report(level, looked)


def _said(standing: Standing) -> str:
    measured = standing.measured
    text = f"{standing.what} ({measured})" if measured else standing.what
    return " ".join(text.split())
