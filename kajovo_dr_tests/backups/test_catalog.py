"""What the catalog makes of whole, damaged, foreign and newer files in the store."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kajovo_dr.backups import catalog
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.store import Store, open_store, sidecar
from kajovo_dr.backups.take import take
from kajovo_dr.errors import (
    BackupMissing,
    DrError,
    FormatUnknown,
    ManifestError,
    NoBackupBefore,
    StoreMissing,
)
from kajovo_dr.postgres.server import Server
from kajovo_dr.settings import Settings


def rewrite(backup: Backup, **changes: object) -> None:
    path = sidecar(backup.path, ".json")
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def problem(store: Store) -> DrError:
    (entry,) = catalog.entries(store)
    assert entry.backup is None
    assert entry.problem is not None
    return entry.problem


@pytest.fixture
def store(settings: Settings, backup: Backup) -> Store:
    """A store with one backup."""
    return open_store(settings)


def test_a_backup_is_found_by_its_name_with_and_without_suffix(
    store: Store, backup: Backup
) -> None:
    assert catalog.by_name(store, backup.name) == backup
    assert catalog.by_name(store, backup.path.stem) == backup


@pytest.mark.parametrize(
    "name", ["nic", "", "../../etc/passwd", "/etc/passwd", "kajovo-postgres-2026\0", "*", "."]
)
def test_a_name_that_is_none_of_ours_is_missing_wherever_it_points(store: Store, name: str) -> None:
    with pytest.raises(BackupMissing):
        catalog.by_name(store, name)


def test_a_symbolic_link_is_no_backup(store: Store, backup: Backup, tmp_path: Path) -> None:
    outside = tmp_path / backup.name
    backup.path.rename(outside)
    backup.path.symlink_to(outside)
    assert catalog.entries(store) == []
    with pytest.raises(BackupMissing):
        catalog.by_name(store, backup.name)


def test_a_newer_format_is_refused_by_its_number(store: Store, backup: Backup) -> None:
    rewrite(backup, format=2, written_by="kajovo_dr 9.0", colour="blue")
    error = problem(store)
    assert isinstance(error, FormatUnknown)
    assert "format 2" in str(error)
    assert "kajovo_dr 9.0" in str(error)
    assert "upgrade" in error.hint


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sha256": "0" * 64}, "name different digests"),
        ({"size_bytes": 1}, "its manifest says 1"),
        ({"backup_file": "kajovo-postgres-20200101-000000.sql"}, "is that of kajovo-postgres-2020"),
        ({"format": "one"}, "format"),
        ({"format": None}, "no format number"),
        ({"created_at": "yesterday"}, "created_at"),
        ({"tables": 7}, "tables"),
    ],
)
def test_a_manifest_that_does_not_fit_is_told(
    store: Store, backup: Backup, changes: dict[str, object], said: str
) -> None:
    rewrite(backup, **changes)
    error = problem(store)
    assert isinstance(error, ManifestError)
    assert said in str(error)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe{\0}\0", b"\xef\xbb\xbf{}"])
def test_a_manifest_that_is_no_json_object_is_told(
    store: Store, backup: Backup, content: bytes
) -> None:
    sidecar(backup.path, ".json").write_bytes(content)
    assert isinstance(problem(store), ManifestError)


@pytest.mark.parametrize("suffix", [".json", ".sha256"])
def test_a_missing_sidecar_is_told(store: Store, backup: Backup, suffix: str) -> None:
    sidecar(backup.path, suffix).unlink()
    assert "is missing" in str(problem(store))


def test_foreign_files_are_not_listed(store: Store, backup: Backup) -> None:
    for name in ("pre-restore-x.sql", "kajovo-postgres-20261123.sql", "x.dump", "notes.txt"):
        (store.folder / name).write_text("x")
    (store.folder / "kajovo-postgres-20261123-000000.sql").mkdir()
    assert [entry.path for entry in catalog.entries(store)] == [backup.path]


def test_the_newest_before_a_moment_is_chosen_by_snapshot(
    settings: Settings, small: Server
) -> None:
    first = take(settings, small, reason="first").backup
    second = take(settings, small, reason="second").backup
    store = open_store(settings)
    assert catalog.newest_before(store, datetime.now(UTC)) == second
    assert catalog.newest_before(store, second.manifest.created_at) == first
    with pytest.raises(NoBackupBefore, match="no valid backup"):
        catalog.newest_before(store, first.manifest.created_at)
    with pytest.raises(NoBackupBefore, match="of 'other'"):
        catalog.newest_before(store, datetime.now(UTC), "other")


def test_a_damaged_newest_backup_is_passed_over(settings: Settings, small: Server) -> None:
    first = take(settings, small, reason="first").backup
    second = take(settings, small, reason="second").backup
    second.path.write_bytes(second.path.read_bytes()[:-1])
    assert catalog.newest_before(open_store(settings), datetime.now(UTC)) == first


def test_a_named_folder_that_is_missing_is_not_made(settings: Settings, tmp_path: Path) -> None:
    away = settings.with_overrides(backup_dir=tmp_path / "unmounted")
    with pytest.raises(StoreMissing, match="unmounted does not exist") as missing:
        open_store(away)
    assert "mount" in missing.value.hint
    assert not (tmp_path / "unmounted").exists()


def test_age_counts_from_the_snapshot(backup: Backup) -> None:
    later = backup.manifest.created_at + timedelta(hours=5)
    os.utime(backup.path, (0, 0))  # a copied file's time says nothing
    assert backup.age_s(later) == 5 * 3600
