"""What the store holds, read from its files alone, and which backup to use.

Belongs here: listing, looking up and judging backups cheaply. Not here: reading dump files to
the end (``inspect``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from kajovo_dr.backups.manifest import (
    DIGEST_SUFFIX,
    MANIFEST_SUFFIX,
    Kind,
    Manifest,
    read_digest,
    read_manifest,
)
from kajovo_dr.backups.proof import Proof, State, read_proof, state_of
from kajovo_dr.backups.store import Store, sidecar
from kajovo_dr.errors import DrError, ManifestError, NoBackupBefore, NotProven

#: A collapse is judged against the median of this many previous backups: one odd one is outvoted.
_COMPARED = 5


@dataclass(frozen=True)
class Backup:
    """A published backup that its sidecars vouch for; its bytes were not read."""

    path: Path
    manifest: Manifest
    proof: Proof | None = None
    state: State = "taken"

    @property
    def name(self) -> str:
        """The name of its dump file."""
        return self.path.name

    def age_s(self, now: datetime | None = None) -> float:
        """Seconds since its snapshot: what would be lost."""
        return ((now or datetime.now(UTC)) - self.manifest.created_at).total_seconds()


@dataclass(frozen=True)
class Entry:
    """One line of the catalog: a backup, or the reason why a dump file is not one."""

    path: Path
    backup: Backup | None
    problem: DrError | None = None


def load(path: Path) -> Backup:
    """The backup of a dump file; raises unless manifest, digest and size agree with each other."""
    manifest = read_manifest(sidecar(path, MANIFEST_SUFFIX))
    digest = read_digest(sidecar(path, DIGEST_SUFFIX))
    size = path.stat().st_size
    if manifest.backup_file != path.name:
        raise ManifestError(f"the manifest of {path.name} is that of {manifest.backup_file}")
    if digest != manifest.sha256:
        raise ManifestError(
            f"{path.name}: manifest and {DIGEST_SUFFIX} file name different digests"
        )
    if size != manifest.size_bytes:
        raise ManifestError(
            f"{path.name} has {size} bytes, its manifest says {manifest.size_bytes}"
        )
    proof = read_proof(path)
    return Backup(path, manifest, proof, state_of(path, manifest, proof))


def entries(store: Store) -> list[Entry]:
    """All dump files of the store, oldest first, each with its backup or its problem."""
    found = []
    for path in store.dump_files():
        try:
            found.append(Entry(path, load(path)))
        except DrError as problem:
            found.append(Entry(path, None, problem))
    return found


def backups(store: Store, database: str | None = None) -> list[Backup]:
    """The sound backups (of one database), oldest snapshot first."""
    sound = [entry.backup for entry in entries(store) if entry.backup is not None]
    chosen = [each for each in sound if database in (None, each.manifest.database)]
    return sorted(chosen, key=lambda backup: backup.manifest.created_at)


def newest_proven(store: Store, database: str | None = None) -> Backup | None:
    """The recovery point: the last backup that was restored and found equal; None without one."""
    proven = [backup for backup in backups(store, database) if backup.state == "proven"]
    return proven[-1] if proven else None


def by_name(store: Store, name: str) -> Backup:
    """The backup of a name; raises `BackupMissing`, or what is wrong with it."""
    return load(store.path_of(name))


def newest_before(store: Store, moment: datetime, database: str | None = None) -> Backup:
    """The last proven backup whose snapshot lies before a moment.

    Raises `NoBackupBefore`, or `NotProven` when there are some and none of them is proven.
    """
    candidates = usable_before(store, moment, database)
    if not candidates:
        of = f" of {database!r}" if database else ""
        raise NoBackupBefore(f"no valid backup{of} before {moment.isoformat()} in {store.folder}")
    databases = sorted({backup.manifest.database for backup in candidates})
    if len(databases) > 1:
        raise NoBackupBefore(
            f"{store.folder} has backups of several databases: {', '.join(databases)}",
            hint="name the backup, or set KAJOVO_DR_DATABASE_URL to the database that is meant.",
        )
    proven = [backup for backup in candidates if backup.state == "proven"]
    if not proven:
        raise not_proven(candidates[-1])
    return proven[-1]


def usable_before(store: Store, moment: datetime, database: str | None = None) -> list[Backup]:
    """The backups before a moment that are not known to be damaged, oldest first."""
    return [
        backup
        for backup in backups(store, database)
        if backup.manifest.created_at < moment and backup.state != "damaged"
    ]


def not_proven(backup: Backup) -> NotProven:
    """The error for a backup that nobody has restored yet, with both ways on."""
    reason = f": {backup.proof.reason}" if backup.proof and backup.proof.reason else ""
    return NotProven(
        f"{backup.name} is the newest backup and is not proven{reason}",
        hint=f"prove it: kajovo-dr verify {backup.name} --restore; or restore it unproven by giving"
        " its name.",
    )


@dataclass(frozen=True)
class Usual:
    """What recent backups were like: medians. size_bytes: of the same kind. None: no history."""

    size_bytes: float | None
    rows: float | None


def usual(previous: list[Backup], kind: Kind) -> Usual:
    """Medians of the last backups, since a shrink was accepted."""
    since = []
    for backup in reversed(previous):
        since.append(backup.manifest)
        if backup.manifest.shrink_accepted:
            break
    sizes = [manifest.size_bytes for manifest in since if manifest.kind == kind][:_COMPARED]
    rows = [manifest.rows for manifest in since][:_COMPARED]
    return Usual(median(sizes) if sizes else None, median(rows) if rows else None)
