"""Under test: what a whole dump of the old scripts becomes, and what its sidecars are for."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from kajovo_dr.backups import catalog
from kajovo_dr.backups.adopt import adopt
from kajovo_dr.backups.examine import examine
from kajovo_dr.backups.foreign import candidates
from kajovo_dr.backups.scratch import scratch_server
from kajovo_dr.backups.store import open_store, sidecar
from kajovo_dr.backups.vouch import publish
from kajovo_dr.errors import DumpDamaged
from kajovo_dr.postgres import client_tools, databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.progress import silent
from kajovo_dr.recovery.restore import restore
from kajovo_dr.settings import Settings
from kajovo_dr_tests.backups.test_adopt import (
    NAME,
    after_rows,
    by_name,
    changed,
    pg_dump,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as Windows users name them."""
    path = tmp_path / "staré zálohy"
    path.mkdir()
    return path


@pytest.fixture
def plain(settings: Settings, small: Server) -> bytes:
    """A dump as the runbook makes it."""
    return pg_dump(small)


ROLES = r'''
    CREATE ROLE "čtenář; x"; CREATE ROLE recepce; CREATE ROLE správa; CREATE ROLE "a""b";
    ALTER TABLE prázdná OWNER TO recepce;
    GRANT SELECT ON hosté TO "čtenář; x" WITH GRANT OPTION;
    GRANT SELECT ON hosté TO PUBLIC;
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO správa;
    CREATE POLICY "p
 TO nikdo" ON hosté FOR SELECT TO recepce, "a""b" USING (true);
    INSERT INTO "Kniha ""přání""" VALUES (E'\nALTER TABLE x OWNER TO zloděj;');
    CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$ SELECT '
ALTER TABLE x OWNER TO zloděj;
GRANT SELECT ON TABLE x TO zloděj;
' $$;
'''


NO_ROLES = """
    DROP OWNED BY recepce, správa, "čtenář; x", "a""b" CASCADE;
    DROP ROLE recepce, správa, "čtenář; x", "a""b";
"""


def test_a_whole_dump_is_adopted_restored_and_stays_where_it_is(
    settings: Settings, folder: Path, plain: bytes, small: Server
) -> None:
    path = folder / "záloha před víkendem.sql"
    path.write_bytes(plain)
    path.chmod(0o644)
    os.utime(path, (1_775_000_000, 1_775_000_000))
    before = path.stat()
    (judged,) = adopt(settings, folder).files
    (backup,) = catalog.backups(open_store(settings))
    assert judged.worth == f"whole, restores, adopted as {backup.name}"
    assert (judged.restores, judged.state, judged.outcome) == (True, "unproven", "whole")
    assert backup.state == "unproven"
    manifest = backup.manifest
    assert manifest.reason == "adopted: záloha před víkendem.sql"
    assert manifest.created_at == datetime.fromtimestamp(1_775_000_000, UTC)
    assert manifest.counts[("public", "hosté")] == 50
    assert manifest.rows == judged.rows == 54
    assert manifest.fingerprint is None
    assert manifest.server_major >= 17
    assert manifest.client_version.split(".")[0] == str(manifest.server_major)
    assert manifest.roles == (small.user,)
    assert backup.path.stat().st_mode & 0o777 == 0o600
    after = path.stat()
    assert (after.st_mtime, after.st_mode, after.st_nlink) == (before.st_mtime, before.st_mode, 1)
    assert path.read_bytes() == plain == backup.path.read_bytes()
    assert [each.name for each in folder.iterdir()] == [path.name]
    restored = restore(settings, backup, small.database(f"{small.dbname}_zpět"), named=True)
    assert restored.rows == 54


def test_an_archive_is_adopted_and_tells_its_database(
    settings: Settings, folder: Path, small: Server, new_database: Callable[[str], Server]
) -> None:
    (folder / "hotel.backup").write_bytes(pg_dump(small, "--format=custom"))
    (folder / "prázdná.backup").write_bytes(b"")
    files = by_name(adopt(settings, folder))
    judged = files["hotel.backup"]
    assert (judged.outcome, judged.restores, judged.rows) == ("whole", True, 54)
    assert (judged.database, judged.notes) == (small.dbname, ())
    (backup,) = catalog.backups(open_store(settings))
    assert (backup.path.suffix, backup.manifest.kind) == (".dump", "custom")
    assert files["prázdná.backup"].outcome == "nothing"


def test_adopting_twice_adopts_once(settings: Settings, folder: Path, plain: bytes) -> None:
    (folder / "a.sql").write_bytes(plain)
    (folder / "b.sql").write_bytes(plain)
    first, second = adopt(settings, folder).files
    (backup,) = catalog.backups(open_store(settings))
    assert first.worth == f"whole, restores, adopted as {backup.name}"
    assert second.worth == f"whole, restores, already in the store as {backup.name}"
    again = adopt(settings, folder)
    assert {file.worth for file in again.files} == {second.worth}
    assert again.summary == "2 of 2 restore"
    assert len(catalog.backups(open_store(settings))) == 1


def test_a_dry_run_writes_nothing(settings: Settings, folder: Path, plain: bytes) -> None:
    (folder / NAME).write_bytes(plain)
    adoption = adopt(settings, folder, dry_run=True)
    assert adoption.files[0].worth == "whole"
    assert adoption.summary == "0 of 1 restore; 1 whole, not restored yet"
    assert list(settings.store_dir.rglob("*")) == []
    assert [path.name for path in folder.iterdir()] == [NAME]


def test_a_whole_dump_that_the_server_refuses_is_not_called_whole(
    settings: Settings, folder: Path, plain: bytes
) -> None:
    (folder / NAME).write_bytes(plain.replace(b"\nCREATE INDEX", b"\nCREATE INDEKS", 1))
    adoption = adopt(settings, folder)
    (judged,) = adoption.files
    assert judged.worth.startswith("does not restore: ")
    assert "INDEKS" in judged.worth
    assert (judged.outcome, judged.state, adoption.whole) == ("unusable", "damaged", False)
    (backup,) = catalog.backups(open_store(settings))
    assert backup.state == "damaged"


def test_a_dump_whose_proof_is_impossible_is_adopted_and_says_so(
    settings: Settings, folder: Path, plain: bytes
) -> None:
    (folder / NAME).write_bytes(plain)
    with scratch_server(settings.with_overrides(proof_url=None)):  # another proof is running
        adoption = adopt(settings, folder)
    (judged,) = adoption.files
    (backup,) = catalog.backups(open_store(settings))
    assert judged.worth == f"whole, adopted as {backup.name}"
    assert (judged.restores, judged.state) == (None, "taken")
    assert judged.notes[-1].startswith("not proven: ")
    assert adoption.summary == "0 of 1 restore; 1 whole, not restored yet"


def test_a_strangers_dump_is_never_restored_on_the_server_that_the_settings_name(
    settings: Settings, folder: Path, plain: bytes
) -> None:
    (folder / NAME).write_bytes(plain)
    nowhere = SecretStr("postgresql://nikdo@127.0.0.1:1/postgres")
    (judged,) = adopt(settings.with_overrides(proof_url=nowhere), folder).files
    assert judged.restores is True


def test_a_file_that_changes_between_reading_and_copying_is_not_adopted(
    settings: Settings, folder: Path, plain: bytes
) -> None:
    path = folder / NAME
    path.write_bytes(plain)
    (candidate,), _ = candidates(folder)
    transport = client_tools.transport_for(None)
    examined = examine(settings, transport, candidate, silent)
    path.write_bytes(changed(plain))
    with pytest.raises(DumpDamaged, match="changed while it was being adopted"):
        publish(open_store(settings), examined, silent)
    assert [each for each in settings.store_dir.rglob("*") if each.is_file()] == []


def test_the_roles_of_owners_grants_policies_and_defaults_are_found_and_no_others(
    settings: Settings, folder: Path, small: Server
) -> None:
    with databases.connect(small) as session:
        try:
            session.execute(ROLES)
            (folder / NAME).write_bytes(pg_dump(small))
            adopt(settings, folder)
        finally:
            session.execute(NO_ROLES)
    (backup,) = catalog.backups(open_store(settings))
    assert set(backup.manifest.roles) == {"čtenář; x", "recepce", "správa", 'a"b', small.user}
    roles = sidecar(backup.path, ".roles").read_text(encoding="utf-8")
    assert 'CREATE ROLE "čtenář; x";\n' in roles
    assert backup.proof is not None
    assert backup.proof.verdicts[0].passed is True  # with these roles the scratch server took it


@pytest.mark.skipif(os.name == "nt", reason="names of Windows are text")
def test_a_name_that_is_not_utf8_is_no_obstacle(
    settings: Settings, folder: Path, plain: bytes
) -> None:
    name = os.fsdecode(b"z\xe1loha\n.sql")
    try:
        (folder / name).write_bytes(plain)
    except OSError:
        pytest.skip("this file system has names of UTF-8 only")
    (judged,) = adopt(settings, folder).files
    assert (judged.name, judged.outcome) == ("z\ufffdloha\n.sql", "whole")
    (backup,) = catalog.backups(open_store(settings))
    assert backup.manifest.reason == "adopted: z\ufffdloha\n.sql"


def old_sidecars(path: Path, **changed: object) -> None:
    """As backup.ps1 of Windows PowerShell writes them: with byte order marks."""
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    document = {
        "created_at": "2026-04-03T03:10:00.1234567+02:00",
        "compose_file": "infra/compose.prod.yml",
        "env_file": "infra/.env",
        "database": "kajovo_hotel",
        "user": "kajovo",
        "backup_file": path.name,
        "sha256": digest,
        "size_bytes": len(content),
        "host": "RECEPCE-PC",
        **changed,
    }
    line = f"{digest.upper()} *{path.name}\r\n"
    sidecar(path, ".sha256").write_text(line, encoding="utf-8-sig")
    sidecar(path, ".json").write_text(json.dumps(document), encoding="utf-8-sig")


def test_sidecars_of_the_old_scripts_are_believed_when_they_agree(
    settings: Settings, folder: Path, plain: bytes
) -> None:
    path = folder / NAME
    path.write_bytes(plain)
    old_sidecars(path)
    (judged,) = adopt(settings, folder).files
    assert judged.notes == ()
    (backup,) = catalog.backups(open_store(settings))
    assert backup.name == "kajovo-postgres-20260403-011000.sql"
    manifest = backup.manifest
    assert manifest.created_at == datetime(2026, 4, 3, 1, 10, 0, 123456, tzinfo=UTC)
    assert (manifest.database, manifest.user, manifest.host) == (
        "kajovo_hotel",
        "kajovo",
        "RECEPCE-PC",
    )
    assert manifest.compose_file == "infra/compose.prod.yml"


@pytest.mark.parametrize("suffix", ["sha256", "json"])
def test_a_dump_that_was_changed_after_its_sidecar_is_not_adopted(
    settings: Settings, folder: Path, plain: bytes, suffix: str
) -> None:
    path = folder / NAME
    path.write_bytes(plain)
    old_sidecars(path)
    path.write_bytes(changed(plain))
    sidecar(path, ".json" if suffix == "sha256" else ".sha256").unlink()
    (judged,) = adopt(settings, folder).files
    words = f"its {suffix} sidecar does not match: it was changed after it was written"
    assert (judged.outcome, judged.worth) == ("unusable", words)
    assert judged.database != "kajovo_hotel"
    assert catalog.backups(open_store(settings)) == []


def test_a_cut_dump_with_a_sidecar_tells_both(
    settings: Settings, folder: Path, plain: bytes
) -> None:
    path = folder / NAME
    path.write_bytes(plain)
    old_sidecars(path)
    path.write_bytes(after_rows(3)(plain))
    (judged,) = adopt(settings, folder, dry_run=True).files
    assert judged.worth == (
        "would restore half: it was cut after 3 rows of public.hosté;"
        " its sha256 sidecar does not match: it was changed after it was written"
    )


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (b"nic", "its .json sidecar cannot be read"),
        (b"[]", "its .json sidecar cannot be read"),
        (b"\xff\xfe{", "its .json sidecar cannot be read"),
        (b'{"backup_file": "jin\xc3\xbd.sql"}', "its .json sidecar calls it jiný.sql"),
        (b"[" * 100_000, "its .json sidecar cannot be read"),
    ],
)
def test_a_strange_json_is_said_and_does_no_harm(
    settings: Settings, folder: Path, plain: bytes, content: bytes, note: str
) -> None:
    (folder / NAME).write_bytes(plain)
    sidecar(folder / NAME, ".json").write_bytes(content)
    (judged,) = adopt(settings, folder, dry_run=True).files
    assert judged.outcome == "whole"
    assert judged.notes[0] == note


LONG_AGO = datetime(2025, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "told", "expected"),
    [
        (NAME, "", datetime(2026, 4, 3, 1, 10, tzinfo=UTC)),
        ("db_2026-01-03T03.10.00.sql", "", datetime(2026, 1, 3, 2, 10, tzinfo=UTC)),
        (NAME, "2026-04-03T04:00:00", datetime(2026, 4, 3, 2, 0, tzinfo=UTC)),
        (NAME, "včera", datetime(2026, 4, 3, 1, 10, tzinfo=UTC)),
        ("db-20261399-999999.sql", "", LONG_AGO),
        ("db.sql", "", LONG_AGO),
        ("db-20990101-000000.sql", "2099-01-01T00:00:00Z", LONG_AGO),
    ],
)
def test_the_moment_is_the_best_that_is_told_and_never_in_the_future(
    settings: Settings, folder: Path, plain: bytes, name: str, told: str, expected: datetime
) -> None:
    path = folder / name
    path.write_bytes(plain)
    os.utime(path, (LONG_AGO.timestamp(),) * 2)
    if told:
        old_sidecars(path, created_at=told)
    (judged,) = adopt(settings, folder, dry_run=True).files
    assert judged.snapshot_at == expected


def test_a_clock_far_ahead_does_not_make_the_newest_backup(
    settings: Settings, folder: Path, plain: bytes
) -> None:
    (folder / "db.sql").write_bytes(plain)
    later = (datetime.now(UTC) + timedelta(days=400)).timestamp()
    os.utime(folder / "db.sql", (later, later))
    (judged,) = adopt(settings, folder, dry_run=True).files
    assert judged.snapshot_at is not None
    assert judged.snapshot_at <= datetime.now(UTC)


def test_in_the_store_itself_a_dump_stays_and_gets_its_sidecars(
    settings: Settings, plain: bytes
) -> None:
    store = open_store(settings)
    path = store.folder / NAME
    path.write_bytes(plain)
    old_sidecars(path)
    other = store.folder / "ruční.sql"
    other.write_bytes(plain + b"\n")
    os.utime(path, (LONG_AGO.timestamp(),) * 2)
    files = by_name(adopt(settings, store.folder))
    assert files[NAME].worth == f"whole, restores, adopted as {NAME}"
    kept = catalog.by_name(store, NAME)
    assert kept.state == "unproven"
    assert kept.manifest.database == "kajovo_hotel"
    assert path.stat().st_mtime == LONG_AGO.timestamp()
    assert other.read_bytes() == plain + b"\n"
    assert files["ruční.sql"].outcome == "whole"
    assert len(catalog.backups(store)) == 2
    again = adopt(settings, store.folder)
    assert all("already in the store" in file.worth for file in again.files)
    assert len(catalog.backups(store)) == 2
