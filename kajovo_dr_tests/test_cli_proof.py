"""Under test: what a proof, or the lack of one, changes on the command line: ``verify --restore``,
``backup --prove``, ``restore``, ``list`` and the doctor.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kajovo_dr.backups import catalog
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.manifest import DIGEST_SUFFIX, MANIFEST_SUFFIX, digest_line
from kajovo_dr.backups.proof import PROOF_SUFFIX, VERDICTS
from kajovo_dr.backups.store import sidecar
from kajovo_dr.postgres import databases, fingerprint
from kajovo_dr.postgres.server import Server
from kajovo_dr.settings import Settings
from kajovo_dr_tests.backups.stored import judge
from kajovo_dr_tests.shell import WITHOUT_DAGSTER, Ended, Shell, failed_checks


@pytest.fixture
def shell(settings: Settings, small: Server) -> Shell:
    return Shell((small.params["password"],))


@pytest.fixture
def target(small: Server, new_database: object) -> Server:
    """A database that does not exist; it is dropped after the test if it then does."""
    return small.database(f"{small.dbname}_zpět")


def _exists(server: Server) -> bool:
    with databases.connect(server.database("postgres")) as session:
        found = session.execute(
            "SELECT FROM pg_database WHERE datname LIKE %s", [f"{server.dbname}%"]
        )
        return found.rowcount > 0


def _vouched(backup: Backup, content: bytes) -> None:
    """Change the dump file and make its sidecars agree: only a proof can tell."""
    backup.path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    _rewrite(backup, sha256=digest, size_bytes=len(content))
    sidecar(backup.path, DIGEST_SUFFIX).write_bytes(digest_line(digest, backup.name))


def _rewrite(backup: Backup, **changes: object) -> None:
    path = sidecar(backup.path, MANIFEST_SUFFIX)
    document = json.loads(path.read_text(encoding="utf-8")) | changes
    path.write_text(json.dumps(document), encoding="utf-8")


def _renamed_guest(backup: Backup) -> None:
    """As many rows, one of them another: a proof by counting would not notice."""
    _vouched(backup, backup.path.read_bytes().replace(b"astn\xc3\xbd 7\t", b"astn\xc3\xbd 8\t", 1))


def _finding(ended: Ended, name: str) -> dict[str, str]:
    (found,) = [each for each in ended.json() if each["name"] == name]
    return dict(found)


# --- proving


def test_verify_by_restoring_prints_each_verdict_and_proves(shell: Shell, backup: Backup) -> None:
    proved = shell("verify", backup.name, "--restore").ok()
    lines = proved.out.splitlines()
    assert lines[: len(VERDICTS)] == [f"ok {name}" for name in VERDICTS]
    assert lines[-1].startswith(f"ok {backup.name} is proven; ")
    assert catalog.load(backup.path).state == "proven"


def test_json_of_a_proof_is_its_record(shell: Shell, backup: Backup) -> None:
    record = shell("verify", backup.path.stem, "--restore", "--json").ok().json()
    proof = catalog.load(backup.path).proof
    assert proof is not None
    assert record == proof.model_dump(mode="json")
    assert record["state"] == "proven"
    assert [each["name"] for each in record["verdicts"]] == list(VERDICTS)


def test_a_changed_row_is_found_by_restoring_and_has_its_exit_code(
    shell: Shell, backup: Backup
) -> None:
    _renamed_guest(backup)
    read = shell("verify", backup.name).ok()  # reading alone cannot tell
    assert "recorded" not in read.out
    proved = shell("verify", backup.name, "--restore")
    assert proved.code == 46
    assert "ok rows_equal\n" in proved.out
    assert "FAIL content_equal: " in proved.out
    assert f"FAIL {backup.name} is damaged; " in proved.out
    assert proved.err.splitlines()[-2].startswith(f"error: {backup.name}: content_equal: ")
    assert "hosté" in proved.err
    again = shell("verify", backup.name, "--restore", "--json")
    assert (again.code, again.json()["state"]) == (46, "damaged")
    told = shell("verify", backup.name).ok().out
    assert "   it is recorded as damaged, and is not used until it is proven again" in told
    assert told.endswith(f"kajovo-dr verify {backup.name} --restore\n")


def test_a_damaged_file_is_found_before_it_is_restored(shell: Shell, backup: Backup) -> None:
    content = bytearray(backup.path.read_bytes())
    content[len(content) // 2] ^= 1
    backup.path.write_bytes(content)
    proved = shell("verify", backup.name, "--restore")
    assert proved.code == 46
    assert "FAIL restores: sha256: the bytes were changed" in proved.out
    assert "warn rows_equal: not judged: it does not restore" in proved.out
    assert f"error: {backup.name}: sha256: the bytes were changed" in proved.err


def test_what_cannot_be_proven_says_why_and_how_to_go_on(
    shell: Shell, backup: Backup, small: Server
) -> None:
    proved = shell("verify", backup.name, "--restore", proof_url=small.url())
    assert (proved.code, proved.out) == (47, "")
    assert "KAJOVO_DR_PROOF_URL names production's own server" in proved.err
    assert "hint: name another server there" in proved.err
    assert catalog.load(backup.path).state == "unproven"


def test_a_backup_without_a_fingerprint_restores_and_stays_unproven(
    shell: Shell, backup: Backup
) -> None:
    _rewrite(backup, fingerprint=None)
    proved = shell("verify", backup.name, "--restore")
    assert proved.code == 47
    assert "ok restores\n" in proved.out
    assert f"{backup.name} restores, but cannot be proven: " in proved.err
    assert "it can be restored by its name" in proved.err


def test_a_backup_may_be_proven_as_soon_as_it_is_taken(shell: Shell) -> None:
    taken = shell("backup", "--prove").ok()
    assert "54 rows in 3 tables" in taken.out
    assert taken.out.splitlines()[-1].split("; ")[0].endswith(" is proven")
    (listed,) = shell("list", "--json").ok().json()
    assert (listed["state"], listed["ok"]) == ("proven", True)
    assert shell("backup", "--prove", "--json").ok().json()["state"] == "proven"


def test_a_backup_that_is_not_proven_at_once_is_published_and_has_the_exit_code(
    shell: Shell,
) -> None:
    checks = '[{"name": "guests", "sql": "SELECT count(*) FROM hosté", "at_least": 51}]'
    taken = shell("backup", "--prove", "--json", sql_smoke=checks)
    assert taken.code == 47
    assert taken.json()["state"] == "unproven"
    assert "sql_smoke: guests: 50, at least 51" in taken.err
    (listed,) = shell("list", "--json").ok().json()
    assert (listed["state"], listed["ok"]) == ("unproven", True)


# --- restoring


def test_without_a_name_an_unproven_backup_is_refused_with_both_ways_on(
    shell: Shell, backup: Backup, target: Server
) -> None:
    newest = shell("backup", "--json").ok().json()["backup_file"]
    ended = shell("restore", "--into", target.dbname)
    assert (ended.code, ended.out) == (55, "")
    assert f"error: {newest} is the newest backup and is not proven\n" in ended.err
    assert f"hint: prove it: kajovo-dr verify {newest} --restore; or restore it" in ended.err
    assert "by giving its name" in ended.err
    assert not _exists(target)


def test_a_newer_unproven_backup_is_passed_over_aloud(
    shell: Shell, proven: Backup, target: Server
) -> None:
    newer = shell("backup", "--json").ok().json()["backup_file"]
    ended = shell("restore", "--into", target.dbname, "--json").ok()
    assert ended.json()["backup"] == proven.name
    assert f"{newer} is newer and taken, so {proven.name} is used\n" in ended.err


def test_who_names_a_backup_is_not_told_of_a_newer_one(
    shell: Shell, proven: Backup, target: Server
) -> None:
    shell("backup").ok()
    assert "is newer" not in shell("restore", proven.name, "--into", target.dbname).ok().err


def test_what_came_after_the_incident_is_not_told_of_as_newer(
    shell: Shell, proven: Backup, target: Server
) -> None:
    incident = shell("backup", "--json").ok().json()["created_at"]
    ended = shell("restore", "--before", incident, "--into", target.dbname, "--json").ok()
    assert ended.json()["backup"] == proven.name
    assert "is newer" not in ended.err


def test_the_newest_proven_backup_is_used_without_a_word(
    shell: Shell, proven: Backup, target: Server
) -> None:
    newest = shell("backup", "--prove", "--json").ok().json()["backup_file"]
    ended = shell("restore", "--into", target.dbname, "--json").ok()
    assert ended.json()["backup"] == newest
    assert "is newer" not in ended.err


def test_an_unproven_backup_is_restored_by_its_name(
    shell: Shell, backup: Backup, target: Server
) -> None:
    restored = shell("restore", backup.name, "--into", target.dbname).ok()
    assert f"ok {backup.name} of " in restored.out
    assert _exists(target)


def test_a_backup_that_a_proof_found_damaged_is_never_restored(
    shell: Shell, backup: Backup, target: Server
) -> None:
    _renamed_guest(backup)
    assert shell("verify", backup.name, "--restore").code == 46
    named = shell("restore", backup.name, "--into", target.dbname)
    assert (named.code, named.out) == (41, "")
    assert f"error: {backup.name} is damaged: content_equal: " in named.err
    assert f"kajovo-dr verify {backup.name} --restore" in named.err
    chosen = shell("restore", "--into", target.dbname)
    assert (chosen.code, chosen.out) == (54, "")
    assert not _exists(target)


def _flip(backup: Backup) -> None:
    content = bytearray(backup.path.read_bytes())
    content[len(content) // 2] ^= 1
    backup.path.write_bytes(content)


def _proven_again(shell: Shell, small: Server) -> Backup:
    """A newer proven backup."""
    return catalog.load(Path(shell("backup", "--prove", "--json").ok().json()["path"]))


def test_a_newest_proven_one_whose_bytes_changed_is_skipped_aloud_for_the_one_before(
    shell: Shell, proven: Backup, small: Server, target: Server
) -> None:
    newest = _proven_again(shell, small)
    _flip(newest)
    restored = shell("restore", "--into", target.dbname, "--json").ok()
    assert restored.json()["backup"] == proven.name
    (line,) = [line for line in restored.err.splitlines() if "skipped" in line]
    assert line.startswith(f"warn {newest.name} is damaged: sha256: the bytes were changed")
    assert f"it is skipped, and {proven.name} is restored instead, whose snapshot is " in line
    assert line.endswith(" older")
    states = [entry["state"] for entry in shell("list", "--json").ok().json()]
    assert states == ["proven", "damaged"]
    assert newest.name + "  damaged" in shell("list").ok().out
    assert "damaged: sha256: the bytes were changed" in shell("list").ok().out


def test_who_names_a_backup_gets_no_other_one(
    shell: Shell, proven: Backup, small: Server, target: Server
) -> None:
    newest = _proven_again(shell, small)
    _flip(newest)
    named = shell("restore", newest.name, "--into", target.dbname)
    assert (named.code, named.out) == (41, "")
    assert proven.name not in named.err
    assert not _exists(target)
    assert catalog.load(newest.path).state == "damaged"


def test_a_torn_proof_record_leaves_the_backup_usable(
    shell: Shell, proven: Backup, target: Server
) -> None:
    sidecar(proven.path, PROOF_SUFFIX).write_bytes(b'{"format": 1, "back')
    (entry,) = shell("list", "--json").ok().json()
    assert (entry["state"], entry["ok"]) == ("unproven", True)
    assert entry["state_reason"].startswith(f"{proven.name}.proof.json: ")
    shell("restore", proven.name, "--into", target.dbname).ok()
    shell("verify", proven.name, "--restore").ok()
    assert catalog.load(proven.path).state == "proven"


def test_what_a_proof_compared_by_a_sample_is_said_wherever_it_is_used(
    shell: Shell, backup: Backup, small: Server, target: Server
) -> None:
    with databases.connect(small) as session:
        large = frozenset({("public", "hosté")})
        found, _ = fingerprint.restored(session, sampled=large, version_table="public.none")
    tables = [table.model_dump(by_alias=True) for table in found]
    _rewrite(backup, tables=tables)
    assert "sample" not in shell("list").ok().out  # nothing was compared yet
    judge(catalog.load(backup.path), "proven", datetime.now(UTC))
    assert "by hand" not in shell("list").ok().out
    assert "; 1 of 3 tables compared by a sample of their rows" in shell("list").ok().out
    (entry,) = shell("list", "--json").ok().json()
    assert entry["sampled_tables"] == ["public.hosté"]
    restored = shell("restore", "--into", target.dbname).ok()
    assert "   its proof compared a sample of the rows of public.hosté\n" in restored.out
    again = shell("restore", "--into", f"{target.dbname}_json", "--json").ok()
    assert again.json()["sampled_tables"] == ["public.hosté"]


# --- changes since the previous proof


def test_what_befell_the_source_since_the_last_proof_is_told_with_the_next_one(
    shell: Shell, proven: Backup, small: Server
) -> None:
    with databases.connect(small) as session:
        session.execute('DELETE FROM "Kniha ""přání"""')
    said = 'warn no_table_shrank: public.Kniha "přání" has 0 rows, 0.0% of 4 in ' + proven.name
    taken = shell("backup", "--prove", "--json").ok()
    assert taken.json()["state"] == "proven"
    assert said in taken.err.splitlines()
    again = shell("verify", taken.json()["backup_file"], "--restore").ok()
    assert said in again.err.splitlines()
    assert "no_table_shrank" not in shell("verify", proven.name, "--restore").ok().err


# --- looking


def test_the_list_tells_the_four_states_apart(shell: Shell, backup: Backup) -> None:
    def listed() -> tuple[str, bool]:
        (entry,) = shell("list", "--json").ok().json()
        assert shell("list").ok().out.splitlines()[1].split()[1] == entry["state"]
        return entry["state"], entry["ok"]

    assert listed() == ("taken", True)
    judge(backup, "proven", datetime.now(UTC))
    assert listed() == ("proven", True)
    judge(backup, "damaged", datetime.now(UTC))
    assert listed() == ("damaged", False)
    judge(backup, "unproven", datetime.now(UTC))
    assert listed() == ("unproven", True)


def test_a_manifest_that_was_changed_after_the_proof_is_no_longer_proven(
    shell: Shell, proven: Backup, target: Server
) -> None:
    _rewrite(proven, reason="jiný důvod")
    (entry,) = shell("list", "--json").ok().json()
    assert entry["state"] == "unproven"
    assert shell("restore", "--into", target.dbname).code == 55
    assert not _exists(target)


def test_the_doctor_counts_from_nothing_while_no_backup_is_proven(
    shell: Shell, backup: Backup
) -> None:
    looked = shell("doctor", "--json")
    assert (looked.code, failed_checks(looked)) == (80, ["recovery point"])
    found = _finding(looked, "recovery point")
    assert found["said"] == "no backup is proven"
    assert found["hint"] == f"kajovo-dr verify {backup.name} --restore."


def test_a_young_unproven_backup_does_not_make_an_old_proof_young(
    shell: Shell, proven: Backup
) -> None:
    _rewrite(proven, created_at=str(datetime.now(UTC) - timedelta(hours=30)))
    judge(catalog.load(proven.path), "proven", datetime.now(UTC))
    newer = shell("backup", "--json").ok().json()["backup_file"]
    looked = shell("doctor", "--json")
    assert failed_checks(looked) == ["recovery point"]
    found = _finding(looked, "recovery point")
    assert "old and proven, the limit is 24 h" in found["said"]
    assert found["hint"] == f"kajovo-dr verify {newer} --restore."
    shell("verify", newer, "--restore").ok()
    assert _finding(shell("doctor", "--json").ok(), "recovery point")["verdict"] == "ok"


def test_the_doctor_warns_of_a_backup_that_a_proof_found_damaged(
    shell: Shell, backup: Backup
) -> None:
    shell("backup", "--prove").ok()
    judge(backup, "damaged", datetime.now(UTC), reason="rows_equal: hosté")
    found = _finding(shell("doctor", "--json").ok(), "backup")
    assert found["verdict"] == "warn"
    assert found["said"] == f"{backup.name} is damaged: rows_equal: hosté"
    assert found["hint"] == "take a new one: kajovo-dr backup --prove."


def test_proving_listing_and_restoring_work_when_dagster_is_gone(
    shell: Shell, backup: Backup, target: Server
) -> None:
    shell = replace(shell, program=("-c", WITHOUT_DAGSTER))
    assert f"ok {backup.name} is proven" in shell("verify", backup.name, "--restore").ok().out
    assert f"{backup.name}  proven" in shell("list").ok().out
    shell("restore", "--into", target.dbname).ok()
    assert _exists(target)
