"""The names of the metrics, what each of them says, and the text they are told in.

Belongs here: names, help, exposition. Not here: where the figures come from (``metrics``).

All of them are gauges with base units: then the text is OpenMetrics, and as well the older format
that node_exporter's textfile collector reads. A figure that is not known is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client.core import GaugeMetricFamily

_PREFIX = "kajovo_dr_"
#: In this order. No quotes and no backslashes: the two formats escape them differently.
HELP = {
    "generated_timestamp_seconds": "when these figures were read; ages are as of then",
    "protected_database": "1 for the database that is protected",
    "condition": "what is watched: 0 ok, 1 warning, 2 unknown, 3 critical",
    # the recovery point
    "recovery_point": "1 for the verdict on the age of the newest proven backup",
    "recovery_point_age_seconds": "age of the newest proven backup: what would be lost now",
    "recovery_point_snapshot_timestamp_seconds": "snapshot of the newest proven backup",
    "rpo_warn_seconds": "age of the newest proven backup above which it is a warning",
    "rpo_limit_seconds": "recovery point objective: greatest age of the newest proven backup",
    # backups
    "backups": "backups in the store, of every database, by state",
    "newest_backup": "1 for the state of the newest backup, whether proven or not",
    "newest_backup_snapshot_timestamp_seconds": "snapshot of the newest backup",
    "newest_backup_age_seconds": "age of the newest backup; less than 0: its clock is wrong",
    "newest_backup_size_bytes": "dump file of the newest backup",
    "newest_backup_database_bytes": "the database on its disk when the newest backup was taken",
    "newest_backup_rows": "rows of all tables in the newest backup",
    "newest_backup_tables": "tables in the newest backup",
    "newest_backup_dump_seconds": "duration of pg_dump for the newest backup",
    "newest_backup_proof_seconds": "duration of the last proof of the newest backup, by phase",
    "newest_backup_proof_timestamp_seconds": "begin of the last proof of the newest backup",
    # the store
    "store_readable": "whether the store can be read: 1 or 0",
    "store_free_bytes": "free on the disk of the store",
    "store_used_bytes": "dump files in the store",
    "store_written_per_day_bytes": "dump files written in a day, on the average of a week",
    "store_left_seconds": "time until the disk of the store is full at that rate",
    # the drill
    "last_drill_timestamp_seconds": "end of the last drill",
    "last_drill_ok": "whether the last drill passed: 1 or 0",
    "last_drill_rto_seconds": "recovery time that the last drill measured",
    "last_drill_phase_seconds": "duration of the last drill, by phase",
    "last_passed_drill_timestamp_seconds": "end of the last drill that passed",
    "rto_warn_seconds": "recovery time above which it is a warning",
    "rto_limit_seconds": "recovery time objective: longest recovery",
    # recoveries
    "last_recovery_timestamp_seconds": "end of the last recovery in the incident log",
    "last_recovery_seconds": "duration of the last recovery in the incident log",
    "last_recovery_succeeded": "whether the last recovery in the incident log succeeded: 1 or 0",
}


class Gauges:
    """Figures by name and labels, a collector of prometheus_client."""

    def __init__(self) -> None:
        self._values: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}

    def add(self, name: str, value: float | None, **labels: str) -> None:
        """Add a figure; None and what is no number are left out."""
        if value is None or not math.isfinite(value):
            return
        key = tuple((label, _text(text)) for label, text in labels.items())
        self._values.setdefault(name, {})[key] = float(value)

    def add_moment(self, name: str, at: datetime | None) -> None:
        """Add a moment, as seconds since 1970."""
        self.add(name, None if at is None else at.timestamp())

    def add_one_of(self, name: str, label: str, states: tuple[str, ...], current: str) -> None:
        """Add 1 for the state that holds and 0 for every other."""
        for state in states:
            self.add(name, state == current, **{label: state})

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """What prometheus_client asks a collector for."""
        from prometheus_client.core import GaugeMetricFamily

        for name, said in HELP.items():
            if found := self._values.get(name):
                labels = [label for label, _ in next(iter(found))]
                family = GaugeMetricFamily(_PREFIX + name, said, labels=labels, unit=_unit(name))
                for key, value in found.items():
                    family.add_metric([text for _, text in key], value)
                yield family

    def text(self) -> str:
        """OpenMetrics text."""
        from prometheus_client import CollectorRegistry
        from prometheus_client.openmetrics.exposition import generate_latest

        registry = CollectorRegistry()
        registry.register(self)
        made: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]
        return made.decode()


def _unit(name: str) -> str:
    last = name.rpartition("_")[2]
    return last if last in ("seconds", "bytes") else ""


def _text(label: str) -> str:
    """A name that came from the system may hold what is no UTF-8."""
    return label.encode("utf-8", "replace").decode()
