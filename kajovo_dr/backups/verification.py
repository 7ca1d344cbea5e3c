"""Verifying a backup that a person names: one of the store, or any dump file.

Not here: the reading itself (``inspect``).
"""

from __future__ import annotations

from pathlib import Path

from kajovo_dr.backups import catalog
from kajovo_dr.backups.inspect import Inspection, inspect, kind_of, verify
from kajovo_dr.backups.manifest import MANIFEST_SUFFIX
from kajovo_dr.backups.store import open_store, sidecar
from kajovo_dr.errors import BackupMissing
from kajovo_dr.postgres import client_tools
from kajovo_dr.progress import Progress, silent
from kajovo_dr.settings import Settings


def verify_named(
    settings: Settings, named: str, *, progress: Progress = silent
) -> tuple[str, Inspection]:
    """Name and findings of a backup by its name, or of a dump file by its path.

    A file without a manifest is judged by its content alone. Raises `BackupMissing`, and
    `ManifestError` or `FormatUnknown` when the sidecars already tell that it cannot be trusted.
    """
    transport = client_tools.transport_for(settings.pg_bin)
    limit = settings.restore_timeout_s
    path = Path(named)
    if path.name == named:
        backup = catalog.by_name(open_store(settings), named)
    elif not path.is_file():
        raise BackupMissing(f"{named} is not a file")
    elif sidecar(path, MANIFEST_SUFFIX).exists():
        backup = catalog.load(path)
    else:
        found = inspect(
            path,
            kind_of(path),
            manifest=None,
            transport=transport,
            timeout=limit,
            progress=progress,
        )
        return path.name, found
    return backup.name, verify(backup, transport=transport, timeout=limit, progress=progress)
