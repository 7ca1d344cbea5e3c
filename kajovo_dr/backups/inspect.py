"""Reading a dump file to its last byte and saying what is wrong, and where.

Belongs here: everything that can be told from the file alone and from its manifest. Not here: a
real restore, which is the stronger proof. psql accepts a file cut inside COPY, an empty one and one
whose lines were joined with exit code 0, so none of this may be left to it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from kajovo_dr.backups.beside import Beside
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.manifest import ROLES_SUFFIX, Kind, Manifest
from kajovo_dr.backups.sql_scan import Finding, SqlScan, packed
from kajovo_dr.backups.store import sidecar
from kajovo_dr.errors import DumpDamaged
from kajovo_dr.files import chunks
from kajovo_dr.postgres.client_tools import decode_arguments
from kajovo_dr.postgres.server import Server
from kajovo_dr.postgres.transport import Transport
from kajovo_dr.progress import Progress, silent

_ARCHIVE_MAGIC = b"PGDMP"


@dataclass(frozen=True)
class Inspection:
    """What a whole reading of a dump file found."""

    size_bytes: int
    sha256: str
    lines: int
    counts: dict[tuple[str, str], int]
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """No finding."""
        return not self.findings

    def require(self, name: str) -> None:
        """Raise `DumpDamaged` with every finding."""
        if self.findings:
            raise DumpDamaged(f"{name} is damaged: {'; '.join(map(str, self.findings))}")


def inspect(
    path: Path,
    kind: Kind,
    *,
    manifest: Manifest | None,
    transport: Transport,
    timeout: float,
    deep: bool = True,
    progress: Progress = silent,
) -> Inspection:
    """Read a dump file to its end and compare it with its manifest, if there is one.

    The custom format is decoded completely, because its table of contents is readable in half a
    file. timeout: seconds for that decoding. deep: False compares size and sha256 alone, which is
    enough for bytes that were restored before.
    """
    total = path.stat().st_size
    digest = hashlib.sha256()
    scan = SqlScan()
    done = 0
    with Beside(digest.update) as hashing:
        for chunk in chunks(path):
            hashing.put(chunk)
            if kind == "plain" and deep:
                scan.feed(chunk)
            done += len(chunk)
            progress("inspect", done, total)
    findings = _against_manifest(manifest, done, digest.hexdigest())
    if done == 0:
        findings.append(Finding("size", "the file is empty"))
    elif deep:
        findings += _inside(path, kind, scan, not findings, transport, timeout)
    if manifest is not None and deep and not findings:
        findings += _rows_differ(scan.counts, manifest)
    return Inspection(done, digest.hexdigest(), scan.lines, scan.counts, tuple(findings))


def inspect_written(
    path: Path, manifest: Manifest, scan: SqlScan, *, transport: Transport, timeout: float
) -> Inspection:
    """The same of a dump file that was hashed, and if it is plain read by scan, on its way to disk.

    To read it again would show what the system still holds in memory, not what the disk got.
    """
    size = path.stat().st_size
    findings = _against_manifest(manifest, size, manifest.sha256)
    findings += _inside(path, manifest.kind, scan, not findings, transport, timeout)
    if not findings:
        findings += _rows_differ(scan.counts, manifest)
    return Inspection(size, manifest.sha256, scan.lines, scan.counts, tuple(findings))


def verify(
    backup: Backup,
    *,
    transport: Transport,
    timeout: float,
    deep: bool = True,
    progress: Progress = silent,
) -> Inspection:
    """Read a published backup to its end: the dump file, and the roles beside it."""
    manifest = backup.manifest
    found = inspect(
        backup.path,
        manifest.kind,
        manifest=manifest,
        transport=transport,
        timeout=timeout,
        deep=deep,
        progress=progress,
    )
    roles = sidecar(backup.path, ROLES_SUFFIX)
    if not roles.is_file():
        problem = Finding("roles", f"{roles.name} is missing")
    elif hashlib.sha256(roles.read_bytes()).hexdigest() != manifest.roles_sha256:
        problem = Finding("roles", f"{roles.name} was changed")
    else:
        return found
    return replace(found, findings=(*found.findings, problem))


def kind_of(path: Path) -> Kind:
    """The kind of a dump file, by its name, else by its first bytes."""
    if path.suffix in (".sql", ".dump"):
        return "plain" if path.suffix == ".sql" else "custom"
    with path.open("rb") as handle:
        return "custom" if handle.read(len(_ARCHIVE_MAGIC)) == _ARCHIVE_MAGIC else "plain"


def _against_manifest(manifest: Manifest | None, size: int, sha256: str) -> list[Finding]:
    if manifest is None:
        return []
    if size != manifest.size_bytes:
        return [Finding("size", f"{size} bytes, the manifest says {manifest.size_bytes}")]
    if sha256 != manifest.sha256:
        return [
            Finding("sha256", f"the bytes were changed: sha256 {sha256}, not {manifest.sha256}")
        ]
    return []


def _inside(
    path: Path, kind: Kind, scan: SqlScan, whole: bool, transport: Transport, timeout: float
) -> list[Finding]:
    """What the text says, which scan has read of a plain dump and now reads of an archive."""
    findings = _decode(path, scan, transport, timeout) if kind == "custom" else []
    if kind == "custom" and (findings or not whole):
        return findings
    return _meant_for(kind, scan.finish())


def _decode(path: Path, scan: SqlScan, transport: Transport, timeout: float) -> list[Finding]:
    """Decode an archive to SQL text, which the scan reads as if it were a plain dump."""
    with path.open("rb") as handle:
        head = handle.read(len(_ARCHIVE_MAGIC))
    if head != _ARCHIVE_MAGIC:
        if finding := packed(head):
            return [finding]
        return [Finding("header", "does not begin as an archive of pg_dump does", "byte 0")]
    nowhere = Server({"dbname": "none"})  # pg_restore to standard output connects to no server
    done = transport.run(
        "pg_restore", decode_arguments(path), server=nowhere, timeout=timeout, stdout=scan.feed
    )
    return [] if done.returncode == 0 else [Finding("decode", done.reason)]


def _meant_for(kind: Kind, findings: list[Finding]) -> list[Finding]:
    """What pg_restore sends to a server itself no psql reads: no command of psql's is in it."""
    return [each for each in findings if kind == "plain" or each.rung != "commands"]


def _rows_differ(counts: dict[tuple[str, str], int], manifest: Manifest) -> Iterator[Finding]:
    """Tables of extensions may be in the file too; the manifest does not count them."""
    for table, promised in manifest.counts.items():
        inside = counts.get(table)
        if inside != promised:
            yield Finding("rows", f"{'.'.join(table)}: {inside} rows, the manifest says {promised}")
