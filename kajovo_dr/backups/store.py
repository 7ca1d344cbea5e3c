"""The folder of backups: names, paths that cannot leave it, and the order of writing.

Write order is a promise: data written and flushed, then the sidecars, then the rename of the dump
file, which publishes. Delete in reverse. A reader meets whole backups or none.

Not here: what is in the files (``manifest``, ``inspect``), which of them to use (``catalog``).
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from kajovo_dr.backups.manifest import (
    DIGEST_SUFFIX,
    MANIFEST_SUFFIX,
    ROLES_SUFFIX,
    SUFFIXES,
    Kind,
    Manifest,
    digest_line,
    stamp,
)
from kajovo_dr.errors import BackupMissing, StoreFull, StoreMissing, StoreNotWritable
from kajovo_dr.files import flush_folder, private_folder, write_private
from kajovo_dr.progress import human_bytes
from kajovo_dr.settings import Settings

#: Where backups grow until they are published; a folder, so that no ``*.sql`` reader looks inside.
_INCOMING = ".incoming"
#: Seconds after which a reserved name belongs to nobody: longer than any dump may take.
_RESERVED_S = 7 * 86_400
_SIDECARS = (DIGEST_SUFFIX, ROLES_SUFFIX, MANIFEST_SUFFIX)


@dataclass(frozen=True)
class Incoming:
    """A backup that is being written: its folder and the name it will get."""

    folder: Path
    name: str

    @property
    def dump_file(self) -> Path:
        """The dump file that grows."""
        return self.folder / self.name


@dataclass(frozen=True)
class Store:
    """A folder and the prefix of the names in it."""

    folder: Path
    prefix: str

    def require(self) -> None:
        """Raise `StoreMissing` unless the folder is there: a missing one may be a missing mount."""
        with disk_errors(self.folder):
            there = self.folder.is_dir()
        if not there:
            raise StoreMissing(f"the backup folder {self.folder} does not exist")

    def pattern(self) -> re.Pattern[str]:
        """Matches the names of dump files of this prefix."""
        return re.compile(rf"{re.escape(self.prefix)}-\d{{8}}-\d{{6}}\.(sql|dump)")

    def dump_files(self) -> list[Path]:
        """Published dump files, oldest first: regular files of our names, nothing else."""
        self.require()
        matches = self.pattern().fullmatch
        with disk_errors(self.folder):
            return sorted(
                path
                for path in self.folder.iterdir()
                if matches(path.name) and path.is_file() and not path.is_symlink()
            )

    def path_of(self, name: str) -> Path:
        """The dump file of a name, with or without its suffix; raises `BackupMissing`.

        Only names of our pattern are looked up, so no name can lead out of the folder.
        """
        self.require()
        for suffix in ("", *SUFFIXES.values()):
            if self.pattern().fullmatch(name + suffix):
                path = self.folder / (name + suffix)
                if path.is_file() and not path.is_symlink():
                    return path
        raise BackupMissing(f"no backup {name!r} in {self.folder}")

    def free_bytes(self) -> int:
        """Free space for this user."""
        self.require()
        return shutil.disk_usage(self.folder).free

    @contextmanager
    def incoming(self, target: str, kind: Kind, snapshot_at: datetime) -> Iterator[Incoming]:
        """A place to write a backup; whatever is not published when the block ends is removed.

        target: key of the source; the caller holds its mutex, so leftovers of the same key belong
        to a killed process and are removed. Disk errors become `StoreFull` or `StoreNotWritable`.
        """
        self.require()
        folder = self.folder / _INCOMING / target
        with disk_errors(self.folder):
            shutil.rmtree(folder, ignore_errors=True)
            private_folder(folder.parent)
            private_folder(folder)
            self._drop_old_reservations()
            try:
                with self._reserved_name(kind, snapshot_at) as name:
                    yield Incoming(folder, name)
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    def publish(self, incoming: Incoming, manifest: Manifest) -> Path:
        """Write the sidecars, move them, then the dump file: only now the backup exists."""
        with disk_errors(self.folder):
            os.utime(incoming.dump_file, (manifest.created_at.timestamp(),) * 2)
            digest = digest_line(manifest.sha256, incoming.name)
            write_private(incoming.folder / (incoming.name + DIGEST_SUFFIX), digest)
            write_private(incoming.folder / (incoming.name + MANIFEST_SUFFIX), manifest.to_bytes())
            flush_folder(incoming.folder)
            for suffix in _SIDECARS:
                (incoming.folder / (incoming.name + suffix)).rename(
                    self.folder / (incoming.name + suffix)
                )
            flush_folder(self.folder)  # a power cut must not leave a dump file without them
            incoming.dump_file.rename(self.folder / incoming.name)
            flush_folder(self.folder)
        return self.folder / incoming.name

    def _drop_old_reservations(self) -> None:
        """Those of killed processes; a name is of a past second soon, so none is in the way."""
        for path in (self.folder / _INCOMING).glob("*.reserved"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _RESERVED_S:
                    path.unlink()

    @contextmanager
    def _reserved_name(self, kind: Kind, snapshot_at: datetime) -> Iterator[str]:
        """The name of the snapshot's second, or of the next one that is free, for us alone.

        Two databases may be backed up into one folder within the same second. The name is reserved
        first and looked up then: whoever had it before has published it or given it up.
        """
        while True:
            stem = f"{self.prefix}-{stamp(snapshot_at)}"
            reservation = self.folder / _INCOMING / f"{stem}.reserved"
            snapshot_at += timedelta(seconds=1)
            try:
                write_private(reservation, b"")
            except FileExistsError:
                continue
            try:
                if not any(
                    (self.folder / (stem + suffix)).exists() for suffix in SUFFIXES.values()
                ):
                    yield stem + SUFFIXES[kind]
                    return
            finally:
                reservation.unlink(missing_ok=True)


def open_store(settings: Settings) -> Store:
    """The store of the settings. The default folder is made; one that is named must be there."""
    if settings.backup_dir is None:
        private_folder(settings.store_dir)
    store = Store(settings.store_dir, settings.backup_prefix)
    store.require()
    return store


def sidecar(dump_file: Path, suffix: str) -> Path:
    """The path of a sidecar of a dump file."""
    return dump_file.with_name(dump_file.name + suffix)


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turn what the disk refuses into errors that an operator understands."""
    try:
        yield
    except OSError as failure:
        if failure.errno in (errno.ENOSPC, errno.EDQUOT):
            free = human_bytes(shutil.disk_usage(folder).free)
            raise StoreFull(
                f"the disk of {folder} became full; without the unfinished backup {free} are free"
            ) from None
        if failure.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise StoreNotWritable(
                f"cannot read or write in {folder}: {str(failure.strerror).lower()}"
            ) from None
        raise
