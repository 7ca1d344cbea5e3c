"""What the catalog makes of whole, damaged, foreign and newer files in the store."""

from __future__ import annotations

import json
import os
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest

from kajovo_dr.backups import catalog
from kajovo_dr.backups.candidates import proven_before
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.proof import PROOF_SUFFIX
from kajovo_dr.backups.prove import prove
from kajovo_dr.backups.store import Store, open_store, sidecar
from kajovo_dr.backups.take import take
from kajovo_dr.errors import (
    BackupMissing,
    DrError,
    FormatUnknown,
    ManifestError,
    NoBackupBefore,
    NotProven,
    StoreMissing,
)
from kajovo_dr.postgres.server import Server
from kajovo_dr.settings import Settings
from kajovo_dr_tests.backups.stored import judge


def rewrite(backup: Backup, **changes: object) -> None:
    path = sidecar(backup.path, ".json")
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def problem(store: Store) -> DrError:
    (entry,) = catalog.entries(store)
    assert entry.backup is None
    assert entry.problem is not None
    return entry.problem


def proven_now(settings: Settings, source: Server) -> Backup:
    taken = take(settings, source, reason="second").backup
    prove(settings, taken)
    return catalog.load(taken.path)


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
    shutil.move(backup.path, outside)
    backup.path.symlink_to(outside)
    assert catalog.entries(store) == []
    with pytest.raises(BackupMissing):
        catalog.by_name(store, backup.name)


def test_a_newer_format_is_refused_by_its_number(store: Store, backup: Backup) -> None:
    rewrite(backup, format=99, written_by="kajovo_dr 9.0", colour="blue")
    error = problem(store)
    assert isinstance(error, FormatUnknown)
    assert "format 99" in str(error)
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
    settings: Settings, small: Server, proven: Backup
) -> None:
    second = proven_now(settings, small)
    store = open_store(settings)
    assert proven_before(store, datetime.now(UTC))[0] == second
    assert proven_before(store, second.manifest.created_at)[0] == proven
    assert catalog.newest_proven(store) == second
    with pytest.raises(NoBackupBefore, match="no valid backup"):
        proven_before(store, proven.manifest.created_at)
    with pytest.raises(NoBackupBefore, match="of 'other'"):
        proven_before(store, datetime.now(UTC), "other")


def test_a_cut_newest_backup_is_passed_over(
    settings: Settings, small: Server, proven: Backup
) -> None:
    second = proven_now(settings, small)
    second.path.write_bytes(second.path.read_bytes()[:-1])
    assert proven_before(open_store(settings), datetime.now(UTC))[0] == proven


@pytest.mark.parametrize("judged", ["damaged", "unproven"])
def test_a_newest_backup_whose_proof_failed_is_passed_over(
    settings: Settings, small: Server, proven: Backup, judged: Literal["damaged", "unproven"]
) -> None:
    second = take(settings, small, reason="second").backup
    judge(second, judged, datetime.now(UTC))
    store = open_store(settings)
    assert catalog.load(second.path).state == judged
    assert proven_before(store, datetime.now(UTC))[0] == proven
    assert catalog.newest_proven(store) == proven


def test_without_a_proven_backup_the_newest_usable_one_is_named_with_both_ways_on(
    settings: Settings, small: Server, backup: Backup
) -> None:
    second = take(settings, small, reason="second").backup
    third = take(settings, small, reason="third").backup
    judge(second, "unproven", datetime.now(UTC), reason="the disk was full")
    judge(third, "damaged", datetime.now(UTC), reason="rows_equal: hosté")
    store = open_store(settings)
    with pytest.raises(NotProven) as refused:
        proven_before(store, datetime.now(UTC))
    said = f"{second.name} is the newest backup and is not proven: the disk was full"
    assert str(refused.value) == said
    assert f"kajovo-dr verify {second.name} --restore" in refused.value.hint
    assert "unproven by giving its name" in refused.value.hint
    assert catalog.newest_proven(store) is None


def test_only_damaged_backups_are_as_good_as_none(store: Store, backup: Backup) -> None:
    judge(backup, "damaged", datetime.now(UTC))
    with pytest.raises(NoBackupBefore, match="no valid backup"):
        proven_before(store, datetime.now(UTC))


def test_a_proof_of_another_manifest_proves_nothing(settings: Settings, proven: Backup) -> None:
    rewrite(proven, reason="jiný důvod")
    assert catalog.load(proven.path).state == "unproven"
    assert catalog.newest_proven(open_store(settings)) is None


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


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (b"", ".proof.json: "),
        (b'{"format": 1, "backup_f', ".proof.json: "),
        (b'{"format": 2, "colour": "blue"}', "has a format that this version does not know"),
    ],
)
def test_a_record_that_cannot_be_read_leaves_the_backup_unproven(
    settings: Settings, store: Store, proven: Backup, record: bytes, said: str
) -> None:
    sidecar(proven.path, PROOF_SUFFIX).write_bytes(record)
    (found,) = catalog.backups(store)
    assert (found.state, found.proof) == ("unproven", None)
    assert said in found.reason
    with pytest.raises(NotProven, match=re.escape(found.reason)):
        proven_before(store, datetime.now(UTC))
    prove(settings, found)
    assert catalog.load(proven.path).state == "proven"


def test_a_manifest_that_changes_during_the_proof_is_not_proven(
    settings: Settings, backup: Backup
) -> None:
    def meanwhile(phase: str, done: int, total: int | None) -> None:
        rewrite(backup, reason="written while it was being proven")

    assert prove(settings, backup, progress=meanwhile).state == "proven"
    found = catalog.load(backup.path)
    assert (found.state, found.reason) == (
        "unproven",
        "its proof is of another dump file or manifest",
    )
