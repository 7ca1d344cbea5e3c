"""Backups in a store that no server made: for what is judged from sidecars alone."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from kajovo_dr.backups import catalog
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.manifest import (
    DIGEST_SUFFIX,
    MANIFEST_SUFFIX,
    Manifest,
    digest_line,
    stamp,
)
from kajovo_dr.backups.proof import Proof, write_proof
from kajovo_dr.backups.store import Store, sidecar
from kajovo_dr.postgres.fingerprint import Fingerprint, LargeObjects, Table
from kajovo_dr.postgres.server import Server

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
DATABASE = "kajovo_hotel"
#: The source that the manifests name; nothing answers there.
PROTECTED = Server({"dbname": DATABASE, "host": "127.0.0.1", "port": "5432"})


def table(name: str, rows: int, **facts: Any) -> Table:
    return Table(schema="public", name=name, rows=rows, **facts)


def fingerprint(objects: dict[str, str], **facts: Any) -> Fingerprint:
    return Fingerprint(
        **{
            "sequences": (),
            "large_objects": LargeObjects(count=0, hash="0"),
            "materialized_views": {},
            "schema_sha256": "0" * 64,
            "objects": objects,
            "wording": {},
            "extensions": {},
        }
        | facts
    )


def manifest(at: datetime = NOON, **facts: Any) -> Manifest:
    return Manifest(
        **{
            "created_at": at,
            "database": DATABASE,
            "user": "kajovo",
            "backup_file": f"kajovo-postgres-{stamp(at)}.sql",
            "sha256": hashlib.sha256(b"").hexdigest(),
            "size_bytes": 0,
            "host": "hotel",
            "kind": "plain",
            "server": "127.0.0.1:5432",
            "server_version": "16.4",
            "client_version": "17.10",
            "database_bytes": 0,
            "locale": {},
            "tables": (),
            "roles": (),
            "roles_sha256": "0" * 64,
            "lines": 0,
            "seconds": 0,
            "reason": "test",
            "written_by": "kajovo_dr",
        }
        | facts
    )


def backup_of(made: Manifest) -> Backup:
    """A backup that lies nowhere."""
    return Backup(Path(made.backup_file), made, None, "proven")


def put(store: Store, at: datetime = NOON, **facts: Any) -> Backup:
    """An empty dump file with its sidecars; taken, not proven."""
    made = manifest(at, **facts)
    path = store.folder / made.backup_file
    path.write_bytes(b"")
    sidecar(path, MANIFEST_SUFFIX).write_bytes(made.to_bytes())
    sidecar(path, DIGEST_SUFFIX).write_bytes(digest_line(made.sha256, path.name))
    return catalog.load(path)


def judge(
    backup: Backup, state: Literal["proven", "damaged", "unproven"], at: datetime, **facts: Any
) -> Proof:
    """Write a proof record as if the backup had been judged at a moment."""
    proof = backup.judged(state, at, **facts)
    write_proof(backup.path, proof)
    return proof
