"""Which backups a restore may use, and which of them are of the protected database.

Belongs here: choosing among the catalog's backups. Not here: what the store holds (``catalog``),
and reading any of it (``inspect``).
"""

from __future__ import annotations

from collections.abc import Set
from datetime import UTC, datetime

from kajovo_dr.backups import catalog
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.manifest import Manifest
from kajovo_dr.backups.store import Store
from kajovo_dr.errors import DrError, NoBackupBefore, NotProven
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.settings import Settings


def identities_of(settings: Settings, store: Store, server: Server) -> frozenset[str]:
    """The identities in the manifests of a database's backups; none when nobody can tell.

    The store is asked first: after a disaster the server is gone, or a new one stands in its place.
    """
    here = identities_at(store, server.dbname, server.address)
    known = any(backup.manifest.identity for backup in catalog.backups(store, server.dbname))
    if here or not known:
        return here
    try:
        with databases.connect(server.database(settings.maintenance_database)) as session:
            return frozenset({databases.identity(session, server)})
    except DrError:
        return frozenset()


def identities_at(store: Store, database: str, address: str) -> frozenset[str]:
    """Those of all servers that ever stood at an address: one with a new volume is another one."""
    manifests = [backup.manifest for backup in catalog.backups(store, database)]
    return frozenset(
        each.identity for each in manifests if each.identity and each.server == address
    )


def identities_like(store: Store, manifest: Manifest) -> frozenset[str]:
    """Those of the database that a backup is of; none when it does not say."""
    if not manifest.identity:
        return frozenset()
    return identities_at(store, manifest.database, manifest.server) | {manifest.identity}


def proven_before(
    store: Store, moment: datetime, database: str | None = None, identities: Set[str] = frozenset()
) -> list[Backup]:
    """The proven backups whose snapshots lie before a moment, newest first; at least one.

    Raises `NoBackupBefore`, or `NotProven` when there are some and none of them is proven.
    """
    usable = usable_before(store, moment, database, identities)
    if not usable:
        of = f" of {database!r}" if database else ""
        raise NoBackupBefore(
            f"no valid backup{of} before {moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC in"
            f" {store.folder}" + _of_others(store, moment, database, identities)
        )
    _require_one_database(store, usable)
    proven = [backup for backup in usable if backup.state == "proven"]
    if not proven:
        raise not_proven(usable[-1])
    return proven[::-1]


def usable_before(
    store: Store, moment: datetime, database: str | None = None, identities: Set[str] = frozenset()
) -> list[Backup]:
    """The backups before a moment that are not known to be damaged, oldest first; not those that
    recoveries took of what they replaced.
    """
    return [
        backup
        for backup in catalog.backups(store, database, identities)
        if backup.manifest.created_at < moment
        and backup.state != "damaged"
        and not backup.manifest.of_incident
    ]


def newer_usable(store: Store, backup: Backup, moment: datetime) -> Backup | None:
    """The newest backup of the same database before a moment, when it is newer than this one."""
    of = backup.manifest
    newest = usable_before(store, moment, of.database, identities_like(store, of))[-1:]
    return newest[0] if newest and newest[0].manifest.created_at > of.created_at else None


def not_proven(backup: Backup) -> NotProven:
    """The error for a backup that nobody has restored yet, with both ways on."""
    reason = f": {backup.reason}" if backup.reason else ""
    return NotProven(
        f"{backup.name} is the newest backup and is not proven{reason}",
        hint=f"prove it: kajovo-dr verify {backup.name} --restore; or restore it unproven by giving"
        " its name.",
    )


def _require_one_database(store: Store, usable: list[Backup]) -> None:
    """Two databases may share a store, and even a name: nobody knows then which one is meant."""
    names = {backup.manifest.database for backup in usable}
    signed = [backup for backup in usable if backup.manifest.identity]
    places = {_place(backup) for backup in signed}
    # one database may have had several addresses, and one address several volumes
    one = len({backup.manifest.identity for backup in signed}) <= 1
    found = sorted(names if len(names) > 1 else () if one else places)
    if len(found) > 1:
        raise NoBackupBefore(
            f"{store.folder} has backups of several databases: {', '.join(found)}",
            hint="name the backup, or set KAJOVO_DR_DATABASE_URL to the database that is meant.",
        )


def _of_others(store: Store, moment: datetime, database: str | None, identities: Set[str]) -> str:
    """Whose backups of that name there are: after a move to a new server the old ones may do."""
    others = usable_before(store, moment, database) if identities else []
    return f"; {others[-1].name} is of {_place(others[-1])}" if others else ""


def _place(backup: Backup) -> str:
    return f"{backup.manifest.database} on {backup.manifest.server}"
