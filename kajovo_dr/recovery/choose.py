"""Which backup a recovery uses: the one that is named, else the last valid one before the incident.

Not here: what makes a backup valid (``backups.catalog``).
"""

from __future__ import annotations

from datetime import datetime

from kajovo_dr.backups import catalog
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.store import open_store
from kajovo_dr.settings import Settings


def choose(
    settings: Settings, *, name: str = "", before: datetime, database: str | None = None
) -> Backup:
    """The named backup, whatever its age; without a name the newest before the moment.

    database: only backups of this one, when several share the store. Raises `BackupMissing`,
    `NoBackupBefore`, or what is wrong with the named one.
    """
    store = open_store(settings)
    if name:
        return catalog.by_name(store, name)
    return catalog.newest_before(store, before, database)
