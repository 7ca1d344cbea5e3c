"""Who finds that a published backup's bytes changed says so in the store, and nobody else does."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from kajovo_dr.backups import catalog
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.manifest import DIGEST_SUFFIX, MANIFEST_SUFFIX, ROLES_SUFFIX, digest_line
from kajovo_dr.backups.proof import PROOF_SUFFIX
from kajovo_dr.backups.prove import prove
from kajovo_dr.backups.recovery_point import recovery_point
from kajovo_dr.backups.reprove import reprove, require_sound
from kajovo_dr.backups.store import open_store, sidecar
from kajovo_dr.backups.verification import verify_named
from kajovo_dr.errors import ClientMissing, FileRefused, ProofFailed, ProofImpossible
from kajovo_dr.postgres.server import Server
from kajovo_dr.settings import Settings
from kajovo_dr_tests.backups.stored import judge, put

#: A regular file that no one can read a byte of at its begin: a read gives EIO, as a bad disk does.
UNREADABLE = Path("/proc/self/mem")
needs_proc = pytest.mark.skipif(not UNREADABLE.exists(), reason="only Linux has such a file")


def flip(path: Path) -> None:
    """One bit in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@contextmanager
def unreadable(backup: Backup) -> Iterator[None]:
    """The file is there and the disk does not give its bytes."""
    aside = backup.path.with_name("aside")
    backup.path.rename(aside)
    backup.path.symlink_to(UNREADABLE)
    try:
        yield
    finally:
        aside.replace(backup.path)


def test_a_changed_byte_that_verify_finds_is_known_to_all_at_once(
    settings: Settings, small: Server, proven: Backup
) -> None:
    now, store = datetime.now(UTC), open_store(settings)
    assert recovery_point(settings, store, small, now).verdict == "pass"
    flip(proven.path)
    verified = verify_named(settings, proven.name)
    assert (verified.found.ok, verified.unrecorded) == (False, "")
    told = catalog.load(proven.path)
    assert told.state == "damaged"
    assert told.reason.startswith("sha256: the bytes were changed")
    assert recovery_point(settings, store, small, now).verdict == "none"


def test_a_path_into_the_store_is_a_backup_of_the_store(settings: Settings, proven: Backup) -> None:
    flip(proven.path)
    verify_named(settings, str(proven.path.parent / "." / proven.name))
    assert catalog.load(proven.path).state == "damaged"


def test_changed_roles_are_damage_too(settings: Settings, proven: Backup) -> None:
    sidecar(proven.path, ROLES_SUFFIX).write_text("CREATE ROLE nobody;")
    verify_named(settings, proven.name)
    told = catalog.load(proven.path)
    assert (told.state, told.reason) == ("damaged", f"roles: {proven.name}.roles was changed")


def test_bytes_that_are_right_again_are_proven_again(settings: Settings, proven: Backup) -> None:
    flip(proven.path)
    verify_named(settings, proven.name)
    flip(proven.path)
    assert verify_named(settings, proven.name).found.ok
    assert catalog.load(proven.path).state == "damaged"  # reading alone turns nothing back
    prove(settings, catalog.load(proven.path))
    assert catalog.load(proven.path).state == "proven"


def test_what_a_proof_found_is_not_replaced_by_less(settings: Settings, backup: Backup) -> None:
    proof = judge(backup, "damaged", datetime.now(UTC), reason="rows_equal: hosté")
    flip(backup.path)
    verify_named(settings, backup.name)
    assert catalog.load(backup.path).proof == proof


def test_a_copy_outside_of_the_store_is_nobodys_concern(
    settings: Settings, proven: Backup, tmp_path: Path
) -> None:
    for path in proven.path.parent.glob(f"{proven.name}*"):
        shutil.copy(path, tmp_path)
    copy = tmp_path / proven.name
    flip(copy)
    assert not verify_named(settings, str(copy)).found.ok
    assert [catalog.load(each).state for each in (copy, proven.path)] == ["proven", "proven"]


def test_a_missing_tool_says_nothing_of_the_bytes(settings: Settings, proven: Backup) -> None:
    flip(proven.path)
    with pytest.raises(ClientMissing):
        verify_named(settings.with_overrides(pg_bin=Path("/nowhere")), proven.name)
    flip(proven.path)
    verify_named(settings, proven.name)
    assert catalog.load(proven.path) == proven


def test_content_that_the_digest_vouches_for_is_left_to_the_proof(
    settings: Settings, backup: Backup
) -> None:
    content = backup.path.read_bytes().replace(b"\\N\n", b"\\N\n\\N\n", 1)
    digest = hashlib.sha256(content).hexdigest()
    manifest = sidecar(backup.path, MANIFEST_SUFFIX)
    document = json.loads(manifest.read_bytes()) | {"sha256": digest, "size_bytes": len(content)}
    backup.path.write_bytes(content)
    manifest.write_text(json.dumps(document))
    sidecar(backup.path, DIGEST_SUFFIX).write_bytes(digest_line(digest, backup.name))
    found = verify_named(settings, backup.name).found
    assert [finding.rung for finding in found.findings] == ["rows"]
    assert catalog.load(backup.path).state == "taken"


def test_damage_that_cannot_be_recorded_is_told(settings: Settings, backup: Backup) -> None:
    sidecar(backup.path, PROOF_SUFFIX).mkdir()
    flip(backup.path)
    verified = verify_named(settings, backup.name)
    assert not verified.found.ok
    assert verified.unrecorded.startswith("this could not be recorded: ")


@needs_proc
def test_a_disk_that_does_not_give_the_bytes_takes_the_proof_away(
    settings: Settings, proven: Backup
) -> None:
    with unreadable(proven), pytest.raises(ProofImpossible, match="cannot be read: input/output"):
        prove(settings, proven)
    told = catalog.load(proven.path)
    assert (told.state, told.reason) == (
        "unproven",
        "the file cannot be read: input/output error",
    )


@needs_proc
def test_verify_on_a_bad_disk_takes_the_proof_away_and_never_calls_it_damage(
    settings: Settings,
) -> None:
    backup = put(open_store(settings))  # of no bytes, as the unreadable file says of itself
    judge(backup, "proven", datetime.now(UTC))
    with unreadable(backup), pytest.raises(FileRefused, match="cannot be read: input/output error"):
        verify_named(settings, str(backup.path))
    assert catalog.load(backup.path).state == "unproven"


@needs_proc
def test_a_night_that_cannot_read_a_proven_backup_any_more_fails_and_names_it(
    settings: Settings, small: Server, proven: Backup
) -> None:
    def on_a_bad_disk(backup: Backup) -> object:
        with unreadable(backup):
            return prove(settings, backup)

    store = open_store(settings)
    (outcome,) = reprove(settings, store, small, prove=on_a_bad_disk)  # type: ignore[arg-type]
    assert outcome.lost
    with pytest.raises(ProofFailed, match="1 of 1 backups are damaged or unreadable") as failed:
        require_sound([outcome])
    assert proven.name in str(failed.value)
    assert "input/output error" in str(failed.value)


def test_a_night_without_a_scratch_server_costs_no_backup_its_proof(
    settings: Settings, small: Server, proven: Backup
) -> None:
    alone = settings.with_overrides(proof_url=SecretStr(small.url()))
    store = open_store(settings)
    (outcome,) = reprove(alone, store, small, prove=lambda backup: prove(alone, backup))
    assert not outcome.lost
    assert catalog.load(proven.path) == proven
