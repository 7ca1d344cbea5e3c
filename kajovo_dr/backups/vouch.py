"""A whole dump file of another tool becomes a backup: its manifest and roles, written by us.

Belongs here: what the manifest says when nobody asked the source, and publishing. Not here: whether
the file is whole (``adopt``).
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from psycopg import sql

from kajovo_dr import __version__
from kajovo_dr.backups import catalog
from kajovo_dr.backups.dump_facts import DumpFacts
from kajovo_dr.backups.examine import Examined
from kajovo_dr.backups.hashing_writer import HashingWriter
from kajovo_dr.backups.manifest import (
    DIGEST_SUFFIX,
    MANIFEST_SUFFIX,
    ROLES_SUFFIX,
    SUFFIXES,
    UNKNOWN,
    Manifest,
    digest_line,
)
from kajovo_dr.backups.store import Store, disk_errors, sidecar
from kajovo_dr.errors import DumpDamaged
from kajovo_dr.files import chunks, replace_atomically, write_private
from kajovo_dr.postgres.fingerprint import Table
from kajovo_dr.progress import Progress


def publish(store: Store, known: Examined, progress: Progress) -> catalog.Backup:
    """Make it a backup of the store.

    It is copied, because a hard link would share the time and the mode that the store gives its
    files. One that lies in the store under a fitting name only gets sidecars, in place of the old.
    """
    roles = _roles(known.facts)
    if _fits(store, known):
        manifest = _manifest(known, known.candidate.path.name, roles)
        with disk_errors(store.folder):
            digest = digest_line(manifest.sha256, manifest.backup_file)
            replace_atomically(sidecar(known.candidate.path, DIGEST_SUFFIX), digest)
            replace_atomically(sidecar(known.candidate.path, ROLES_SUFFIX), roles)
            replace_atomically(sidecar(known.candidate.path, MANIFEST_SUFFIX), manifest.to_bytes())
        return catalog.load(known.candidate.path)
    # of a name of its own: what a killed adoption of this very file left is removed
    target = f"adopt-{known.found.sha256[:16]}"
    with store.incoming(target, known.candidate.kind, known.moment) as incoming:
        _copy(known, incoming.dump_file, progress)
        write_private(sidecar(incoming.dump_file, ROLES_SUFFIX), roles)
        path = store.publish(incoming, _manifest(known, incoming.name, roles))
    return catalog.load(path)


def _fits(store: Store, known: Examined) -> bool:
    here = known.candidate.path.parent.resolve() == store.folder.resolve()
    named = store.pattern().fullmatch(known.candidate.path.name)
    return (
        here and named is not None and known.candidate.path.suffix == SUFFIXES[known.candidate.kind]
    )


def _copy(known: Examined, target: Path, progress: Progress) -> None:
    with HashingWriter(target) as writer:
        for chunk in chunks(known.candidate.path):
            writer.write(chunk)
            progress("copy", writer.size, known.found.size_bytes)
    if writer.sha256 != known.found.sha256:
        raise DumpDamaged(f"{known.candidate.name} changed while it was being adopted")


def _manifest(known: Examined, name: str, roles: bytes) -> Manifest:
    """What a server alone could tell is left unknown, and there is no fingerprint."""
    sidecars, facts = known.sidecars, known.facts
    tables = (
        Table(schema=schema, name=table, rows=rows)
        for (schema, table), rows in known.found.counts.items()
    )
    return Manifest(
        created_at=known.moment,
        compose_file=sidecars.text("compose_file") or None,
        env_file=sidecars.text("env_file") or None,
        database=known.database,
        user=sidecars.text("user") or next(iter(sorted(facts.roles)), UNKNOWN),
        backup_file=name,
        sha256=known.found.sha256,
        size_bytes=known.found.size_bytes,
        host=sidecars.text("host") or UNKNOWN,
        kind=known.candidate.kind,
        server=UNKNOWN,
        server_version=facts.server_version,
        client_version=facts.client_version,
        database_bytes=0,
        locale={"ENCODING": "UTF8"},
        tables=tuple(tables),
        fingerprint=None,
        roles=tuple(sorted(facts.roles)),
        roles_sha256=hashlib.sha256(roles).hexdigest(),
        lines=known.found.lines,
        seconds=0,
        reason=f"adopted: {known.candidate.name}",
        written_by=f"kajovo_dr {__version__}",
    )


def _roles(facts: DumpFacts) -> bytes:
    """The roles that the dump names; it tells neither their rights nor their passwords."""
    lines = [f"CREATE ROLE {sql.Identifier(role).as_string(None)};" for role in sorted(facts.roles)]
    return ("\n".join(["-- the roles that an adopted dump names", *lines]) + "\n").encode()
