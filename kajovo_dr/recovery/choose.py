"""Which backups a recovery may use: the one that is named, else proven ones before the incident.

Not here: what makes a backup valid (``backups.candidates``).
"""

from __future__ import annotations

from datetime import datetime

from kajovo_dr.backups import catalog
from kajovo_dr.backups.candidates import identities_of, proven_before
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.store import open_store
from kajovo_dr.postgres.server import Server
from kajovo_dr.settings import Settings


def choose(
    settings: Settings, *, name: str = "", before: datetime, protected: Server | None = None
) -> list[Backup]:
    """The named backup alone, whatever its age; without a name those before the moment, in the
    order in which they are to be tried: the newest first.

    protected: only backups of this database, when several share the store. Raises `BackupMissing`,
    `NoBackupBefore`, `NotProven`, or what is wrong with the named one.
    """
    store = open_store(settings)
    if name:
        return [catalog.by_name(store, name)]
    if protected is None:
        return proven_before(store, before)
    identities = identities_of(settings, store, protected)
    return proven_before(store, before, protected.dbname, identities)
