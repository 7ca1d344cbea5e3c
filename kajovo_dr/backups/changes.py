"""What changed between consecutive proven backups of one database, read from their manifests.

A backup can be proven and still hold a ruined database: the proof says that it equals its source.
What befell the source shows here, before retention eats the last good copy.

Belongs here: the comparisons and their thresholds' use. Not here: proving (``prove``), and what is
done about a change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Literal

from kajovo_dr.backups import catalog
from kajovo_dr.backups.candidates import identities_like
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.manifest import Manifest
from kajovo_dr.backups.store import Store
from kajovo_dr.settings import Settings

#: The names of the comparisons, in the order in which they are shown.
CHECKS = ("no_table_gone", "no_table_shrank", "tables_still_change", "schema_unchanged")
#: Fewer earlier backups say nothing of what a table usually does.
_HISTORY = 3
#: Objects that one line names at most.
_NAMED = 10


@dataclass(frozen=True)
class Change:
    """One difference. check: of `CHECKS`; what: the tables or objects, and figures."""

    check: str
    severity: Literal["warn", "error"]
    what: str


def earlier_proven(store: Store, backup: Backup) -> list[Backup]:
    """The proven backups of the same database before this one, oldest first."""
    same = identities_like(store, backup.manifest)
    return [
        each
        for each in catalog.backups(store, backup.manifest.database, same)
        if each.state == "proven"
        and not each.manifest.of_incident
        and each.manifest.created_at < backup.manifest.created_at
    ]


def compare_with_previous(
    settings: Settings, backup: Backup, earlier: list[Backup]
) -> tuple[Change, ...]:
    """The changes since the last of the earlier proven backups (oldest first)."""
    if not earlier:
        return ()
    now, before = backup.manifest, earlier[-1].manifest
    return (
        *_gone(now, before),
        *_shrunk(settings, now, before),
        *_stopped(settings, now, [each.manifest for each in earlier]),
        *_schema(now, before),
    )


def _gone(now: Manifest, before: Manifest) -> Iterator[Change]:
    for key, rows in before.counts.items():
        if key not in now.counts:
            yield Change(
                "no_table_gone",
                "error",
                f"{'.'.join(key)} is gone; it had {rows} rows in {before.backup_file}",
            )


def _shrunk(settings: Settings, now: Manifest, before: Manifest) -> Iterator[Change]:
    for key, was in before.counts.items():
        rows = now.counts.get(key)
        if not was or rows is None:
            continue
        part = rows / was
        if rows and part >= max(settings.table_shrink_warn, settings.table_shrink_error):
            continue
        ruined = not rows or part < settings.table_shrink_error
        # an operator who accepted the shrink knows of it; it stays visible
        severity: Literal["warn", "error"] = (
            "error" if ruined and not now.shrink_accepted else "warn"
        )
        yield Change(
            "no_table_shrank",
            severity,
            f"{'.'.join(key)} has {rows} rows, {part:.1%} of {was} in {before.backup_file}"
            + (" (the shrink was accepted)" if now.shrink_accepted else ""),
        )


def _stopped(settings: Settings, now: Manifest, earlier: list[Manifest]) -> Iterator[Change]:
    """Tables that used to change from backup to backup and have not for too long."""
    hashes = _hashes(now)
    past = [(each.created_at, _hashes(each)) for each in earlier if _same_hashing(each, now)]
    for key, hashed in hashes.items():
        history = [(at, theirs[key]) for at, theirs in past if key in theirs]
        if len(history) < _HISTORY or not _used_to_change([each for _, each in history]):
            continue
        since = _same_since(now.created_at, hashed, history)
        quiet = now.created_at - since
        if quiet >= timedelta(hours=settings.table_stopped_hours):
            yield Change(
                "tables_still_change",
                "warn",
                f"{'.'.join(key)} has not changed for {quiet / timedelta(hours=1):.0f} hours;"
                f" before, it changed between most of {len(history)} proven backups",
            )


def _hashes(manifest: Manifest) -> dict[tuple[str, str], str]:
    """Content hashes by table; a sampled one says too little of a whole table."""
    return {
        table.key: table.hash
        for table in manifest.tables
        if table.hash is not None and not table.sampled
    }


def _same_hashing(one: Manifest, other: Manifest) -> bool:
    if one.fingerprint is None or other.fingerprint is None:
        return False
    return one.fingerprint.version == other.fingerprint.version


def _used_to_change(hashes: list[str]) -> bool:
    changed = sum(one != other for one, other in pairwise(hashes))
    return 2 * changed >= len(hashes) - 1


def _same_since(now: datetime, hashed: str, history: list[tuple[datetime, str]]) -> datetime:
    """The moment of the oldest backup since which every one has this hash."""
    since = now
    for at, theirs in reversed(history):
        if theirs != hashed:
            break
        since = at
    return since


def _schema(now: Manifest, before: Manifest) -> Iterator[Change]:
    new, old = now.fingerprint, before.fingerprint
    if new is None or old is None or new.version != old.version:
        return
    changed = _differing(new.objects, old.objects)
    if now.server_major == before.server_major:  # versions spell expressions differently
        changed |= _differing(new.wording, old.wording)
    parts = [
        _listed("gone", old.objects.keys() - new.objects.keys()),
        _listed("new", new.objects.keys() - old.objects.keys()),
        _listed("changed", changed),
    ]
    if any(parts):
        what = "; ".join(filter(None, parts))
        if new.alembic_head != old.alembic_head:
            what += f" (Alembic {old.alembic_head or 'none'} to {new.alembic_head or 'none'})"
        yield Change("schema_unchanged", "warn", f"since {before.backup_file}: {what}")


def _differing(one: Mapping[str, str], other: Mapping[str, str]) -> set[str]:
    """Keys of both whose values differ."""
    return {key for key in one.keys() & other.keys() if one[key] != other[key]}


def _listed(kind: str, names: set[str]) -> str:
    if not names:
        return ""
    shown = sorted(names)[:_NAMED]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{len(names)} {kind}: {', '.join(shown)}{more}"
