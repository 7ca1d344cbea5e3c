"""Whether the watchdog and Dagster's daemon judge by the same settings.

A watchdog in cron often lacks what the daemon is given. If both judged all the same, one would say
that it is bad and the other that it is over, in turns and for ever.

Belongs here: comparing what they judge by. Not here: judging.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import timedelta

from kajovo_dr.alerts.condition import Condition
from kajovo_dr.errors import DrError
from kajovo_dr.settings import PREFIX, Settings
from kajovo_dr.watch.protected import protected
from kajovo_dr.watch.scene import Scene

#: What the verdicts on backups, drills and recoveries depend on, beside database and store.
_NAMES = (
    *("backup_prefix", "rpo_warn_hours", "rpo_hours", "rto_minutes", "drill_overdue_days"),
    *("store_warn_days", "store_fail_days", "table_shrink_warn", "table_shrink_error"),
    "table_stopped_hours",
)


def digests(settings: Settings) -> dict[str, str]:
    """By the name of a setting, the beginning of its value's sha256."""
    values = {name: str(getattr(settings, name)) for name in _NAMES}
    values["backup_dir"] = str(settings.store_dir)
    values["database_url"] = _database(settings)
    return {name: hashlib.sha256(value.encode()).hexdigest()[:8] for name, value in values.items()}


def differing(scene: Scene) -> list[str]:
    """The settings of this watchdog that are not those of the daemon, which looked just now; none
    for the daemon itself: it is the one that takes the backups.
    """
    daemon = scene.known.looks.get("daemon")
    limit = timedelta(minutes=scene.settings.daemon_silent_minutes)
    if scene.observer == "daemon" or daemon is None or abs(scene.now - daemon.at) > limit:
        return []
    ours = digests(scene.settings)
    return sorted(name for name, digest in daemon.settings.items() if ours.get(name) != digest)


def conditions(scene: Scene, names: list[str]) -> Iterator[Condition]:
    """What is told of it; backups and recoveries are left to the daemon meanwhile."""
    if names:
        variables = ", ".join(f"{PREFIX}{name.upper()}" for name in names)
        what = scene.words("settings", names=variables)
        yield Condition("settings", "warning", what, next="kajovo-dr watchdog --install-help")


def _database(settings: Settings) -> str:
    """Where it is, without who logs in."""
    try:
        server = protected(settings)
    except DrError:
        return ""
    return f"{server.address}/{server.dbname}"
