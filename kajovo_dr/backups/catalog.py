"""What the store holds, read from its files alone.

Belongs here: listing, looking up and judging backups cheaply. Not here: reading dump files to
the end (``inspect``), and which of them to use (``candidates``).
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Literal

from kajovo_dr import __version__
from kajovo_dr.backups.manifest import (
    DIGEST_SUFFIX,
    MANIFEST_SUFFIX,
    Kind,
    Manifest,
    read_bound,
    read_digest,
)
from kajovo_dr.backups.proof import Proof, State, read_proof, state_of
from kajovo_dr.backups.store import Store, sidecar
from kajovo_dr.errors import DrError, FormatUnknown, ManifestError

#: A collapse is judged against the median of this many previous backups: one odd one is outvoted.
_COMPARED = 5


@dataclass(frozen=True)
class Backup:
    """A published backup that its sidecars vouch for; its bytes were not read.

    reason: why it is damaged or unproven. manifest_sha256: of the bytes that the manifest was read
    from; without it, of those that are written for it.
    """

    path: Path
    manifest: Manifest
    proof: Proof | None = None
    state: State = "taken"
    reason: str = ""
    manifest_sha256: str = ""

    def __post_init__(self) -> None:
        if not self.manifest_sha256:
            written = hashlib.sha256(self.manifest.to_bytes()).hexdigest()
            object.__setattr__(self, "manifest_sha256", written)

    @property
    def name(self) -> str:
        """The name of its dump file."""
        return self.path.name

    def age_s(self, now: datetime | None = None) -> float:
        """Seconds since its snapshot: what would be lost."""
        return ((now or datetime.now(UTC)) - self.manifest.created_at).total_seconds()

    def judged(
        self, state: Literal["proven", "damaged", "unproven"], at: datetime, **facts: Any
    ) -> Proof:
        """A proof record of what was read when this backup was loaded, whatever lies there now."""
        return Proof(
            backup_file=self.name,
            sha256=self.manifest.sha256,
            manifest_sha256=self.manifest_sha256,
            proven_at=at,
            state=state,
            host=platform.node(),
            written_by=f"kajovo_dr {__version__}",
            **facts,
        )


#: The state of a dump file that is no backup.
UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Entry:
    """One line of the catalog: a backup, or the reason why a dump file is not one."""

    path: Path
    backup: Backup | None
    problem: DrError | None = None

    @property
    def state(self) -> str:
        """Of its backup; *unreadable* for a dump file that its sidecars do not vouch for."""
        return self.backup.state if self.backup is not None else UNREADABLE


def load(path: Path) -> Backup:
    """The backup of a dump file; raises unless manifest, digest and size agree with each other."""
    manifest, manifest_sha256 = read_bound(sidecar(path, MANIFEST_SUFFIX))
    digest = read_digest(sidecar(path, DIGEST_SUFFIX))
    size = _size(path)
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
    try:
        proof = read_proof(path)
    except (ManifestError, FormatUnknown) as unreadable:  # it says nothing of the backup itself
        return Backup(path, manifest, None, "unproven", str(unreadable), manifest_sha256)
    state, reason = state_of(manifest, manifest_sha256, proof)
    return Backup(path, manifest, proof, state, reason, manifest_sha256)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as failure:  # deleted this moment, or the disk has lost it
        raise ManifestError(f"{path.name} cannot be read: {failure.strerror}") from None


def entries(store: Store) -> list[Entry]:
    """All dump files of the store, oldest first, each with its backup or its problem."""
    found = []
    for path in store.dump_files():
        try:
            found.append(Entry(path, load(path)))
        except DrError as problem:
            found.append(Entry(path, None, problem))
    return found


def backups(
    store: Store, database: str | None = None, identities: Set[str] = frozenset()
) -> list[Backup]:
    """The sound backups (of one database), oldest snapshot first.

    identities: leaves out those that are known to be of another database of the same name.
    """
    return of_database(entries(store), database, identities)


def of_database(
    found: Sequence[Entry], database: str | None = None, identities: Set[str] = frozenset()
) -> list[Backup]:
    """The same, of entries that were read already."""
    sound = [entry.backup for entry in found if entry.backup is not None]
    chosen = [each for each in sound if database in (None, each.manifest.database)]
    if identities:
        chosen = [each for each in chosen if each.manifest.identity in {"", *identities}]
    return sorted(chosen, key=lambda backup: backup.manifest.created_at)


def newest_proven(store: Store) -> Backup | None:
    """The last backup that was restored and found equal; None without one."""
    proven = [backup for backup in backups(store) if backup.state == "proven"]
    return proven[-1] if proven else None


def by_name(store: Store, name: str) -> Backup:
    """The backup of a name; raises `BackupMissing`, or what is wrong with it."""
    return load(store.path_of(name))


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
