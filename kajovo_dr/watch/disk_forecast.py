"""How long the store's disk will last if backups go on as in the last days.

Belongs here: the sum. Not here: what is alarming (``backup_sources``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from kajovo_dr.backups.store import Store

#: Days whose backups say how much is written: a week has every kind of day.
_DAYS = 7
#: Fewer backups say nothing about a day.
_FEWEST = 2
#: And so do those of less time: the day of the installation has several by hand.
_SHORTEST_DAYS = 1.0


@dataclass(frozen=True)
class DiskForecast:
    """Bytes free and used by dump files; bytes written per day and days left at that rate (None:
    nobody knows yet). newest_bytes: of the newest dump file; 0: there is none.
    """

    free_bytes: int
    used_bytes: int
    bytes_per_day: float | None
    days_left: float | None
    newest_bytes: int


def forecast(store: Store, now: datetime) -> DiskForecast:
    """Look at the store's files; raises `StoreMissing` and what the disk refuses.

    What other programs write to the disk is not known; it shows in the free bytes.
    """
    found = []
    for path in store.dump_files():
        try:
            size = path.stat().st_size
        except FileNotFoundError:  # deleted this moment
            continue
        found.append((_snapshot(path), size))
    free = store.free_bytes()
    since = (now - timedelta(days=_DAYS)).timestamp()
    late = [(at, size) for at, size in found if since < at <= now.timestamp()]
    rate = None
    if len(late) >= _FEWEST:
        # the first one of them begins the time in which the others were written
        first = min(late)
        days = (now.timestamp() - first[0]) / 86_400
        written = sum(size for _, size in late) - first[1]
        rate = written / days if days >= _SHORTEST_DAYS else None
    return DiskForecast(
        free_bytes=free,
        used_bytes=sum(size for _, size in found),
        bytes_per_day=rate,
        days_left=free / rate if rate else None,
        newest_bytes=max(found)[1] if found else 0,
    )


def _snapshot(path: Path) -> float:
    """The moment in the name: the file's own time is that of its copying, where it was copied."""
    return datetime.strptime(f"{path.stem[-15:]}+0000", "%Y%m%d-%H%M%S%z").timestamp()
