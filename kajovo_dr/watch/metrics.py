"""Metrics for Prometheus, from files alone: the store, the history of drills, the incident log.

Belongs here: which figures there are, and the file of node_exporter's textfile collector. Not here:
their names and the format (``gauges``), what is alarming (the sources).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import get_args

from kajovo_dr import files
from kajovo_dr.alerts.condition import Condition, rank
from kajovo_dr.backups import catalog
from kajovo_dr.backups.candidates import identities_at
from kajovo_dr.backups.catalog import Backup, Entry
from kajovo_dr.backups.proof import State
from kajovo_dr.backups.recovery_point import RecoveryPoint, recovery_point
from kajovo_dr.backups.store import Store, open_store
from kajovo_dr.errors import DrError, FileRefused
from kajovo_dr.postgres.server import Server
from kajovo_dr.recovery import drill_history
from kajovo_dr.recovery.incident_log import IncidentLog
from kajovo_dr.settings import Settings
from kajovo_dr.watch.disk_forecast import DiskForecast, forecast
from kajovo_dr.watch.gauges import Gauges
from kajovo_dr.watch.protected import protected

_VERDICTS = ("pass", "warn", "fail", "none")
_STATES: tuple[str, ...] = get_args(State)
_DAY = 86_400
#: Read by another user: node_exporter does not run as the one who takes backups.
_PUBLIC_FILE = 0o644


def metrics(settings: Settings, now: datetime, conditions: Sequence[Condition] = ()) -> str:
    """OpenMetrics text, which is valid in the older text format of Prometheus as well.

    What cannot be read is left out, never 0; of the store it is said that it cannot be read.
    """
    gauges = Gauges()
    gauges.add_moment("generated_timestamp_seconds", now)
    for each in conditions:
        gauges.add("condition", rank(each.level), key=each.key, level=each.level)
    _add_objectives(gauges, settings)
    _add_store(gauges, settings, now)
    with contextlib.suppress(DrError):
        _add_drills(gauges, settings)
    with contextlib.suppress(DrError):
        _add_recovery(gauges, settings)
    return gauges.text()


def write(path: Path, text: str) -> None:
    """Replace a file of metrics: a reader meets the old ones or the new ones, never a part.

    Every user may read it, before it gets its name: node_exporter is another user than the one that
    takes backups. Nothing in it is secret. Raises `FileRefused`.
    """
    new = path.with_name(f".{path.name}.{os.getpid()}.new")  # the collector reads *.prom alone
    try:
        new.unlink(missing_ok=True)
        try:
            files.write_private(new, text.encode())
            new.chmod(_PUBLIC_FILE)
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)
    except OSError as failure:
        raise FileRefused(f"cannot write {path}: {failure.strerror or failure}") from None


def _add_objectives(gauges: Gauges, settings: Settings) -> None:
    gauges.add("rpo_warn_seconds", settings.rpo_warn_hours * 3600)
    gauges.add("rpo_limit_seconds", settings.rpo_hours * 3600)
    gauges.add("rto_warn_seconds", settings.rto_warn_minutes * 60)
    gauges.add("rto_limit_seconds", settings.rto_minutes * 60)


def _add_store(gauges: Gauges, settings: Settings, now: datetime) -> None:
    """All of the store or none of it: half of one would look as if backups were gone."""
    try:
        store = open_store(settings)
        entries, disk = catalog.entries(store), forecast(store, now)
        server = _protected(settings)
        point = recovery_point(settings, store, server, now) if server else None
        newest = _newest(store, server) if server else None
    except (DrError, OSError):
        gauges.add("store_readable", 0)
        return
    gauges.add("store_readable", 1)
    _add_states(gauges, entries)
    _add_disk(gauges, disk)
    if server is not None:
        gauges.add("protected_database", 1, database=server.dbname)
    if point is not None:
        _add_point(gauges, point)
    if newest is not None:
        _add_newest(gauges, newest, now)


def _protected(settings: Settings) -> Server | None:
    """None when nobody can say which database is protected: its backups are not known then."""
    try:
        return protected(settings)
    except DrError:
        return None


def _newest(store: Store, server: Server) -> Backup | None:
    """The newest backup of the database in whatever state, but for what a recovery replaced."""
    identities = identities_at(store, server.dbname, server.address)
    found = catalog.backups(store, server.dbname, identities)
    ours = [each for each in found if not each.manifest.of_incident]
    return ours[-1] if ours else None


def _add_states(gauges: Gauges, entries: Sequence[Entry]) -> None:
    states = [entry.state for entry in entries]
    for state in (*_STATES, catalog.UNREADABLE):
        gauges.add("backups", states.count(state), state=state)


def _add_disk(gauges: Gauges, disk: DiskForecast) -> None:
    gauges.add("store_free_bytes", disk.free_bytes)
    gauges.add("store_used_bytes", disk.used_bytes)
    gauges.add("store_written_per_day_bytes", disk.bytes_per_day)
    gauges.add("store_left_seconds", disk.days_left and disk.days_left * _DAY)


def _add_point(gauges: Gauges, point: RecoveryPoint) -> None:
    gauges.add_one_of("recovery_point", "verdict", _VERDICTS, point.verdict)
    gauges.add("recovery_point_age_seconds", point.age_s)
    gauges.add_moment("recovery_point_snapshot_timestamp_seconds", point.snapshot)


def _add_newest(gauges: Gauges, backup: Backup, now: datetime) -> None:
    manifest = backup.manifest
    gauges.add_one_of("newest_backup", "state", _STATES, backup.state)
    gauges.add_moment("newest_backup_snapshot_timestamp_seconds", manifest.created_at)
    gauges.add("newest_backup_age_seconds", backup.age_s(now))
    gauges.add("newest_backup_size_bytes", manifest.size_bytes)
    gauges.add("newest_backup_rows", manifest.rows)
    gauges.add("newest_backup_tables", len(manifest.tables))
    if not manifest.adopted:  # of another tool's backup it is not known
        gauges.add("newest_backup_dump_seconds", manifest.seconds)
        gauges.add("newest_backup_database_bytes", manifest.database_bytes)
    if backup.proof is not None:
        gauges.add_moment("newest_backup_proof_timestamp_seconds", backup.proof.proven_at)
        for phase, seconds in backup.proof.seconds.items():
            gauges.add("newest_backup_proof_seconds", seconds, phase=phase)


def _add_drills(gauges: Gauges, settings: Settings) -> None:
    drills = drill_history.read(settings.state).drills
    if not drills:
        return
    last, passed = drills[-1], [each.finished_at for each in drills if each.ok]
    gauges.add_moment("last_drill_timestamp_seconds", last.finished_at)
    gauges.add("last_drill_ok", last.ok)
    gauges.add("last_drill_rto_seconds", last.recovery_s)
    for phase, seconds in last.seconds.items():
        gauges.add("last_drill_phase_seconds", seconds, phase=phase)
    gauges.add_moment("last_passed_drill_timestamp_seconds", passed[-1] if passed else None)


def _add_recovery(gauges: Gauges, settings: Settings) -> None:
    found = [each for each in IncidentLog.of(settings).read() if each.kind == "recovery"]
    if not found:
        return
    last = found[-1]
    gauges.add_moment("last_recovery_timestamp_seconds", last.finished_at)
    gauges.add("last_recovery_seconds", last.duration_s)
    gauges.add("last_recovery_succeeded", last.succeeded)
