"""Verifying a backup that a person names: one of the store, or any dump file.

Not here: the reading itself (``inspect``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kajovo_dr.backups import catalog
from kajovo_dr.backups.damage import disk_may_fail, record_damage
from kajovo_dr.backups.inspect import Inspection, inspect, kind_of, verify
from kajovo_dr.backups.manifest import MANIFEST_SUFFIX
from kajovo_dr.backups.store import open_store, sidecar
from kajovo_dr.errors import BackupMissing
from kajovo_dr.postgres import client_tools
from kajovo_dr.postgres.transport import Transport
from kajovo_dr.progress import Progress, silent
from kajovo_dr.settings import Settings


@dataclass(frozen=True)
class Verified:
    """What was found. unrecorded: why the store does not know of the damage; empty when it does.

    called_damaged: the store's record says so of a backup that is whole: earlier it was not, or did
    not restore, and only a proof can take that back.
    """

    name: str
    found: Inspection
    unrecorded: str = ""
    called_damaged: bool = False


def verify_named(settings: Settings, named: str, *, progress: Progress = silent) -> Verified:
    """The findings of a backup by its name, or of a dump file by its path.

    A bare name is looked up in the store first. A file without a manifest is judged by its content
    alone. A backup of the store whose bytes were changed is recorded as damaged. Raises
    `BackupMissing`, `FileRefused`, and `ManifestError` or `FormatUnknown` when the sidecars already
    tell that it cannot be trusted.
    """
    transport = client_tools.transport_for(settings.pg_bin)
    limit = settings.restore_timeout_s
    path = Path(named)
    try:
        backup = catalog.by_name(open_store(settings), named)
    except BackupMissing as missing:
        if not _is_file(path):
            raise BackupMissing(f"{missing}, and it is not a file") from None
        if not sidecar(path, MANIFEST_SUFFIX).exists():
            return Verified(path.name, _judged_alone(path, transport, limit, progress))
        backup = catalog.load(path)
    with disk_may_fail(settings.store_dir, backup):
        found = verify(backup, transport=transport, timeout=limit, progress=progress)
    unrecorded = record_damage(settings.store_dir, backup, found)
    return Verified(backup.name, found, unrecorded, found.ok and backup.state == "damaged")


def _judged_alone(path: Path, transport: Transport, limit: float, progress: Progress) -> Inspection:
    return inspect(
        path, kind_of(path), manifest=None, transport=transport, timeout=limit, progress=progress
    )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long for the system, or with a NUL
        return False
