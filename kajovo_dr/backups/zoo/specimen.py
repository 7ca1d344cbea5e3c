"""A copy of a backup that may be damaged: its files in a store of its own.

Belongs here: copying, rewriting files as streams, and sidecars that vouch for a damaged file. Not
here: the damages. The dump file may share its bytes with the real store (a hard link), so nothing
here ever writes into a file: every change is a new file in its place.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.inspect import inspect
from kajovo_dr.backups.manifest import (
    DIGEST_SUFFIX,
    MANIFEST_SUFFIX,
    ROLES_SUFFIX,
    Kind,
    Manifest,
    digest_line,
)
from kajovo_dr.backups.store import Store, sidecar
from kajovo_dr.backups.zoo.bench import Bench
from kajovo_dr.files import chunks, open_private

_SIDECARS = (MANIFEST_SUFFIX, DIGEST_SUFFIX, ROLES_SUFFIX)


class NotApplicable(Exception):
    """The backup has nothing that the mutant could damage; the text says what it lacks."""


@dataclass(frozen=True)
class Specimen:
    """One copy of a backup. path: its dump file; manifest: what it promised before the damage."""

    store: Store
    path: Path
    manifest: Manifest
    bench: Bench

    @property
    def kind(self) -> Kind:
        """The dump's format."""
        return self.manifest.kind

    def sidecar(self, suffix: str) -> Path:
        """The path of one of its sidecars."""
        return sidecar(self.path, suffix)

    def rewrite(self, edit: Callable[[Iterator[bytes]], Iterable[bytes]]) -> None:
        """Pass the dump file through an edit of its chunks."""
        self._replace(edit(chunks(self.path)))

    def rewrite_lines(self, edit: Callable[[Iterator[bytes]], Iterable[bytes]]) -> None:
        """Pass the dump file through an edit of its lines; each ends with its line end."""
        with self.path.open("rb") as lines:
            self._replace(edit(iter(lines)))

    def write(self, content: bytes, suffix: str = "") -> None:
        """Put other bytes in place of the dump file, or of a sidecar."""
        path = self.sidecar(suffix) if suffix else self.path
        path.unlink(missing_ok=True)
        with open_private(path) as handle:
            handle.write(content)

    def flip(self, offset: int, mask: int = 1) -> None:
        """Flip bits of one byte of the dump file."""

        def flipped(content: Iterator[bytes]) -> Iterator[bytes]:
            begin = 0
            for chunk in content:
                if begin <= offset < begin + len(chunk):
                    at = offset - begin
                    yield chunk[:at] + bytes([chunk[at] ^ mask]) + chunk[at + 1 :]
                else:
                    yield chunk
                begin += len(chunk)

        self.rewrite(flipped)

    def find(self, *patterns: bytes, last: bool = False) -> int:
        """Offset of the first (or last) occurrence of a pattern; raises `NotApplicable`."""
        for pattern in patterns:
            found = list(_occurrences(chunks(self.path), pattern, only_first=not last))
            if found:
                return found[-1]
        raise NotApplicable(f"the file holds no {patterns[0].decode('utf-8', 'replace')!r}")

    def edit_manifest(self, **fields: object) -> None:
        """Change fields of the manifest as an editor would, valid or not."""
        path = self.sidecar(MANIFEST_SUFFIX)
        document = json.loads(path.read_bytes()) | fields
        self.write(json.dumps(document, ensure_ascii=False, indent=1).encode(), MANIFEST_SUFFIX)

    def vouch(self) -> None:
        """Let manifest and digest say of the damaged file what is true of it now."""
        settings = self.bench.settings
        found = inspect(
            self.path,
            self.kind,
            manifest=None,
            transport=self.bench.transport,
            timeout=settings.restore_timeout_s,
        )
        self.edit_manifest(sha256=found.sha256, size_bytes=found.size_bytes, lines=found.lines)
        self.write(digest_line(found.sha256, self.path.name), DIGEST_SUFFIX)

    def vouch_roles(self) -> None:
        """Let the manifest name the digest that the file of roles has now."""
        roles = self.sidecar(ROLES_SUFFIX).read_bytes()
        self.edit_manifest(roles_sha256=hashlib.sha256(roles).hexdigest())

    def _replace(self, content: Iterable[bytes]) -> None:
        new = self.path.with_name("damaged")
        new.unlink(missing_ok=True)
        with open_private(new) as handle:
            handle.writelines(content)
        new.replace(self.path)


def copy_of(backup: Backup, folder: Path, prefix: str, bench: Bench) -> Specimen:
    """A copy of a backup in an empty folder; a proof record is not copied: it is of other bytes."""
    path = folder / backup.name
    try:
        os.link(backup.path, path)
    except OSError:  # another disk, or a file system without hard links
        shutil.copyfile(backup.path, path)
    for suffix in _SIDECARS:
        shutil.copyfile(sidecar(backup.path, suffix), sidecar(path, suffix))
    return Specimen(Store(folder, prefix), path, backup.manifest, bench)


def _occurrences(content: Iterator[bytes], pattern: bytes, *, only_first: bool) -> Iterator[int]:
    held, begin = b"", 0
    for chunk in content:
        held += chunk
        at = held.find(pattern)
        while at >= 0:
            yield begin + at
            if only_first:
                return
            at = held.find(pattern, at + 1)
        kept = len(pattern) - 1
        begin += max(len(held) - kept, 0)
        held = held[-kept:] if kept else b""
