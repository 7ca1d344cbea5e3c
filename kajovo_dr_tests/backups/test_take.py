"""Taking a backup for real: what lies in the store afterwards, and what its manifest promises."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kajovo_dr.backups import catalog
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.manifest import read_manifest
from kajovo_dr.backups.prove import prove
from kajovo_dr.backups.store import open_store, sidecar
from kajovo_dr.backups.take import BadDump, take
from kajovo_dr.errors import (
    DatabaseEmpty,
    DumpTooSmall,
    ServerError,
    SizeCollapsed,
    StoreFull,
    TargetBusy,
)
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.settings import Settings


def published(settings: Settings) -> list[str]:
    return sorted(path.name for path in settings.store_dir.iterdir() if path.is_file())


def test_a_backup_is_a_dump_file_with_three_sidecars(each_format: Settings, small: Server) -> None:
    taken = take(each_format, small, reason="před vydáním 1.2")
    name = taken.backup.name
    suffix = {"plain": ".sql", "custom": ".dump"}[each_format.backup_format]
    moment = taken.backup.manifest.created_at
    assert name == f"kajovo-postgres-{moment:%Y%m%d-%H%M%S}{suffix}"
    assert published(each_format) == sorted(
        [name, *(name + s for s in (".sha256", ".json", ".roles"))]
    )
    assert not any((each_format.store_dir / ".incoming").iterdir())  # nothing is left over


def test_the_manifest_tells_what_the_database_held(each_format: Settings, small: Server) -> None:
    before = datetime.now(UTC)
    manifest = take(each_format, small, reason="test").backup.manifest
    assert manifest.counts == {
        ("public", "hosté"): 50,
        ("public", 'Kniha "přání"'): 4,
        ("public", "prázdná"): 0,
    }
    assert before <= manifest.created_at <= datetime.now(UTC)
    assert manifest.database == small.dbname
    assert manifest.user == "kajovo"
    assert "kajovo" in manifest.roles
    assert manifest.server_version.startswith("17.")


def test_the_digest_is_that_of_the_bytes_in_the_store(each_format: Settings, small: Server) -> None:
    backup = take(each_format, small, reason="test").backup
    digest = hashlib.sha256(backup.path.read_bytes()).hexdigest()
    assert digest == backup.manifest.sha256
    assert sidecar(backup.path, ".sha256").read_text() == f"{digest} *{backup.name}\n"
    assert read_manifest(sidecar(backup.path, ".json")) == backup.manifest


def test_rows_written_after_the_snapshot_are_in_neither_dump_nor_manifest(
    settings: Settings, small: Server
) -> None:
    def write_meanwhile(phase: str, done: int, total: int | None) -> None:
        if phase == "dump" and done == 0:  # the snapshot is taken, pg_dump not yet started
            with databases.connect(small) as session:
                session.execute("INSERT INTO hosté (jméno) VALUES ('Pozdní Příchozí')")

    backup = take(settings, small, reason="test", progress=write_meanwhile).backup
    assert backup.manifest.counts["public", "hosté"] == 50
    assert "Pozdní Příchozí" not in backup.path.read_text(encoding="utf-8")


@pytest.mark.parametrize("moved", ["while the dump begins", "while it runs"])
def test_a_sequence_that_moves_during_the_dump_is_no_damage(
    each_format: Settings, small: Server, moved: str
) -> None:
    def book(phase: str, done: int, total: int | None) -> None:
        if phase == "dump" and (done == 0) == (moved == "while the dump begins"):
            with databases.connect(small) as session:
                session.execute("SELECT nextval('hosté_id_seq')")

    backup = take(each_format, small, reason="test", progress=book).backup
    assert backup.manifest.fingerprint
    [sequence] = backup.manifest.fingerprint.sequences
    assert sequence.value == 50  # read before pg_dump began
    assert sequence.until > 50
    assert prove(each_format, backup).state == "proven"


def test_why_the_fingerprint_failed_is_told_and_not_that_the_snapshot_is_gone(
    each_format: Settings, small: Server
) -> None:
    with databases.connect(small) as session:
        session.execute(
            "CREATE ROLE vlastník LOGIN PASSWORD 'x';"
            "GRANT SELECT ON ALL TABLES IN SCHEMA public TO vlastník;"
            "GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO vlastník;"
            # pg_dump only writes that it is to be refreshed
            "CREATE MATERIALIZED VIEW souhrn AS SELECT count(*) FROM hosté"
        )
    weak = Server({**small.params, "user": "vlastník", "password": "x"})
    try:
        with pytest.raises(ServerError, match="materialized view souhrn"):
            take(each_format, weak, reason="test")
        assert published(each_format) == []
    finally:
        with databases.connect(small) as session:
            session.execute("DROP OWNED BY vlastník; DROP ROLE vlastník")


def test_files_are_private_and_hold_no_password(backup: Backup, small: Server) -> None:
    password = small.params["password"].encode()
    for path in backup.path.parent.iterdir():
        if path.is_file():
            assert path.stat().st_mode & 0o077 == 0
            assert password not in path.read_bytes()
    assert b"SCRAM-SHA-256" not in sidecar(backup.path, ".roles").read_bytes()


def test_the_freshness_check_of_the_deployment_passes_on_ours(backup: Backup) -> None:
    # what verify-deploy.sh does: the last *.sql by name, both sidecars, equal hashes, mtime <= 24 h
    folder = backup.path.parent
    newest = sorted(path for path in folder.glob("*.sql") if path.is_file())[-1]
    actual = hashlib.sha256(newest.read_bytes()).hexdigest()
    assert Path(f"{newest}.sha256").read_text(encoding="utf-8").split()[0].lower() == actual
    document = json.loads(Path(f"{newest}.json").read_text(encoding="utf-8"))
    assert isinstance(document, dict)
    assert document["sha256"] == actual
    age = datetime.now(UTC).timestamp() - newest.stat().st_mtime
    assert 0 <= age < timedelta(hours=24).total_seconds()


def test_the_dump_files_time_is_that_of_the_snapshot(backup: Backup) -> None:
    assert backup.path.stat().st_mtime == pytest.approx(
        backup.manifest.created_at.timestamp(), abs=0.001
    )


def test_two_backups_in_one_second_get_two_names(settings: Settings, small: Server) -> None:
    names = {take(settings, small, reason="test").backup.name for _ in range(3)}
    assert len(names) == 3
    assert len(catalog.backups(open_store(settings))) == 3


def test_backups_of_two_databases_at_the_same_moment_do_not_meet(
    settings: Settings, small: Server, large: Server
) -> None:
    both = threading.Barrier(2)
    names: list[str] = []

    def backup(source: Server) -> None:
        def together(phase: str, done: int, total: int | None) -> None:
            if phase == "count rows":
                both.wait(60)

        names.append(take(settings, source, reason="test", progress=together).backup.name)

    workers = [threading.Thread(target=backup, args=[source]) for source in (small, large)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    found = catalog.backups(open_store(settings))
    assert sorted(names) == sorted(each.name for each in found)
    assert {each.manifest.database for each in found} == {small.dbname, large.dbname}


def test_prefix_and_folder_are_settings(settings: Settings, small: Server, tmp_path: Path) -> None:
    other = settings.with_overrides(backup_dir=tmp_path, backup_prefix="penzion")
    assert take(other, small, reason="test").backup.path.parent == tmp_path
    assert next(tmp_path.glob("penzion-*.sql")).is_file()


def test_an_empty_database_is_refused_unless_it_is_allowed(
    settings: Settings, new_database: Callable[[str], Server]
) -> None:
    empty = new_database("úplně prázdná")
    with pytest.raises(DatabaseEmpty, match="0 tables") as refused:
        take(settings, empty, reason="test")
    assert "volume" in refused.value.hint
    assert published(settings) == []
    allowed = settings.with_overrides(min_tables=0, min_dump_bytes=0)
    assert take(allowed, empty, reason="test").backup.manifest.tables == ()


def test_a_dump_below_the_floor_is_not_published(settings: Settings, small: Server) -> None:
    with pytest.raises(BadDump, match=r"the floor is 1\.0 GB") as refused:
        take(settings.with_overrides(min_dump_bytes=10**9), small, reason="test")
    assert refused.value.exit_code == DumpTooSmall.exit_code
    assert [verdict.name for verdict in refused.value.verdicts if verdict.problem] == ["dump_size"]
    assert published(settings) == []


def test_a_collapse_is_not_published_until_it_is_accepted(
    settings: Settings, large: Server
) -> None:
    take(settings, large, reason="test")
    with databases.connect(large) as session:
        session.execute("DELETE FROM velká WHERE i > 100")
    with pytest.raises(BadDump, match=r"of the rows|of the bytes") as refused:
        take(settings, large, reason="test")
    assert refused.value.exit_code == SizeCollapsed.exit_code
    assert "--accept-shrink" in refused.value.hint
    assert len(catalog.backups(open_store(settings))) == 1
    take(settings, large, reason="emptied on purpose", accept_shrink=True)
    assert (
        take(settings, large, reason="the next one needs no acceptance").usual.size_bytes
        is not None
    )


def test_rows_that_are_gone_are_noticed_in_another_format_too(
    settings: Settings, large: Server
) -> None:
    take(settings, large, reason="test")
    with databases.connect(large) as session:
        session.execute("DELETE FROM velká WHERE i > 100")
    with pytest.raises(BadDump, match="100 rows: 0% of the rows"):
        take(settings.with_overrides(backup_format="custom"), large, reason="test")
    assert len(published(settings)) == 4


def test_another_databases_size_is_no_yardstick(
    settings: Settings, large: Server, new_database: Callable[[str], Server]
) -> None:
    take(settings, large, reason="test")
    other = new_database("jiná")
    with databases.connect(other) as session:
        session.execute("CREATE TABLE t (i int)")
    usual = take(settings, other, reason="test").usual
    assert (usual.size_bytes, usual.rows) == (None, None)


def test_a_second_backup_of_the_same_database_is_refused_at_once(
    settings: Settings, large: Server
) -> None:
    outcome: list[BaseException] = []

    def backup_as_well() -> None:
        try:
            take(settings, large, reason="second")
        except TargetBusy as busy:
            outcome.append(busy)

    def meanwhile(phase: str, done: int, total: int | None) -> None:
        if phase == "dump" and not outcome:
            second = threading.Thread(target=backup_as_well)
            second.start()
            second.join()

    first = take(settings, large, reason="first", progress=meanwhile)
    assert [type(error) for error in outcome] == [TargetBusy]
    assert [each.name for each in catalog.backups(open_store(settings))] == [first.backup.name]


def test_a_disk_without_room_for_the_usual_dump_is_refused_before_it_starts(
    settings: Settings, small: Server, backup: Backup, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the disk's fill level is a fault that cannot be caused for this folder alone
    monkeypatch.setattr("kajovo_dr.backups.store.Store.free_bytes", lambda store: 10)
    with pytest.raises(StoreFull, match="10 B free"):
        take(settings, small, reason="test")
    assert len(catalog.backups(open_store(settings))) == 1


def test_hostile_names_survive(
    settings: Settings, server: Server, new_database: Callable[[str], Server]
) -> None:
    name = "ho tel 'x\" = řízek"
    table = "ž" * 31 + "x"  # 63 bytes, the longest there is
    role = 'rólě "q" = x'
    hostile = new_database(name)
    with databases.connect(hostile) as session:
        quoted = '"' + role.replace('"', '""') + '"'
        session.execute(f"CREATE ROLE {quoted}".encode())
        session.execute(
            f'CREATE TABLE "{table}" (i int); ALTER TABLE "{table}" OWNER TO {quoted}'.encode()
        )
        session.execute(
            'CREATE SCHEMA "Schéma ""s"" ";CREATE TABLE "Schéma ""s"" "."řádek\nb" AS SELECT 1 AS i'
        )
    try:
        manifest = take(settings, hostile, reason="test").backup.manifest
        assert manifest.database == name
        assert manifest.counts == {("public", table): 0, ('Schéma "s" ', "řádek\nb"): 1}
        assert set(manifest.roles) == {"kajovo", role}
    finally:
        with databases.connect(server) as session:
            databases.drop(session, name)
            session.execute(f"DROP ROLE {quoted}".encode())
