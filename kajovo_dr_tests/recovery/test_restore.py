"""Restoring for real: it equals what was there, or there is nothing."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kajovo_dr import process
from kajovo_dr.backups.catalog import Backup, load
from kajovo_dr.backups.store import sidecar
from kajovo_dr.backups.take import take
from kajovo_dr.errors import (
    BackupMissing,
    DrError,
    DumpDamaged,
    FormatUnknown,
    NoBackupBefore,
    RestoredDiffers,
    RestoreFailed,
    RolesMissing,
    SettingError,
    TargetBusy,
    TargetNotEmpty,
    ToolTimeout,
)
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.embedded import EmbeddedServer
from kajovo_dr.postgres.server import Server, restore_target
from kajovo_dr.recovery.choose import choose
from kajovo_dr.recovery.restore import restore
from kajovo_dr.settings import Settings
from kajovo_dr_tests.backups.conftest import LARGE_TABLE

#: Content of the small database as text, with its indexes and sequence.
CONTENT = """
    SELECT 'hosté', h::text FROM hosté h UNION ALL SELECT 'kniha', k::text FROM "Kniha ""přání""\" k
    UNION ALL SELECT 'index', indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT 'next', last_value::text FROM hosté_id_seq ORDER BY 1, 2
"""


def content(server: Server) -> list[tuple[object, ...]]:
    with databases.connect(server) as session:
        return session.execute(CONTENT.encode()).fetchall()


def names(server: Server) -> set[str]:
    with databases.connect(server) as session:
        return {name for (name,) in session.execute("SELECT datname FROM pg_database")}


@pytest.fixture
def target(settings: Settings, new_database: Callable[[str], Server]) -> Server:
    """A database that does not exist; it is dropped after the test if it then does."""
    return restore_target(settings, f"obnovená {os.getpid()}")


def test_what_comes_back_equals_what_was_there(
    each_format: Settings, small: Server, target: Server
) -> None:
    backup = take(each_format, small, reason="test").backup
    restored = restore(each_format, backup, target, named=True)
    assert content(target) == content(small)
    assert (restored.rows, restored.tables) == (54, 3)
    assert list(restored.seconds) == ["verify", "load", "compare", "analyze"]


def test_an_empty_database_that_is_there_is_used(
    each_format: Settings, small: Server, new_database: Callable[[str], Server]
) -> None:
    backup = take(each_format, small, reason="test").backup
    prepared = new_database("připravená")
    restore(each_format, backup, prepared, named=True)
    assert content(prepared) == content(small)


def test_encoding_and_collation_are_those_of_the_source(
    settings: Settings, backup: Backup, small: Server, target: Server
) -> None:
    restore(settings, backup, target, named=True)
    with databases.connect(small) as here, databases.connect(target) as there:
        assert databases.facts(here).locale == databases.facts(there).locale


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE živá (i int)",
        "CREATE SCHEMA živé",
        "CREATE FUNCTION živá() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE TYPE živý AS ENUM ('a')",
        "SELECT lo_create(0)",
    ],
)
def test_a_target_that_is_not_empty_is_refused_untouched(
    settings: Settings, backup: Backup, new_database: Callable[[str], Server], statement: str
) -> None:
    live = new_database("živá")
    with databases.connect(live) as session:
        session.execute(statement.encode())
        before = databases.content(session)
    with pytest.raises(TargetNotEmpty, match="is not empty: it holds") as refused:
        restore(settings, backup, live, named=True)
    assert "--into" in refused.value.hint
    with databases.connect(live) as session:
        assert databases.content(session) == before


def damage(backup: Backup, change: Callable[[bytes], bytes]) -> None:
    """Damage the file and make every sidecar agree with the damage: only the content can tell."""
    content = change(backup.path.read_bytes())
    backup.path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    manifest = sidecar(backup.path, ".json")
    document = json.loads(manifest.read_text()) | {"sha256": digest, "size_bytes": len(content)}
    manifest.write_text(json.dumps(document))
    sidecar(backup.path, ".sha256").write_text(f"{digest} *{backup.name}\n")


def cut_inside_copy(content: bytes) -> bytes:
    return content[: content.index(b"\n", content.index(b"FROM stdin;\n") + 20) + 1]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("cut at a line end inside COPY", cut_inside_copy),
        ("zero bytes", lambda content: b""),
        ("UTF-16", lambda content: content.decode().encode("utf-16")),
        ("byte order mark", lambda content: b"\xef\xbb\xbf" + content),
        ("lines joined", lambda content: content.replace(b"\n", b" ")),
        ("a row less", lambda content: content.replace(b"COPY x FROM stdin;\n", b"", 1)),
    ],
)
def test_a_damaged_backup_is_refused_even_when_its_digests_agree(
    settings: Settings,
    backup: Backup,
    target: Server,
    name: str,
    change: Callable[[bytes], bytes],
) -> None:
    damage(backup, change)
    with pytest.raises(DumpDamaged) as refused:
        restore(settings, load(backup.path), target, named=True)
    assert "kajovo-dr list" in refused.value.hint
    assert target.dbname not in names(target.database("postgres"))


def test_a_flipped_bit_is_refused(each_format: Settings, small: Server, target: Server) -> None:
    backup = take(each_format, small, reason="test").backup
    content = bytearray(backup.path.read_bytes())
    content[len(content) * 2 // 3] ^= 4
    backup.path.write_bytes(content)
    with pytest.raises(DumpDamaged, match="sha256: the bytes were changed"):
        restore(each_format, backup, target, named=True)
    assert target.dbname not in names(target.database("postgres"))


def test_missing_and_newer_backups_are_refused_by_name(settings: Settings, backup: Backup) -> None:
    now = datetime.now(UTC)
    with pytest.raises(BackupMissing):
        choose(settings, name="kajovo-postgres-20200101-000000.sql", before=now)
    with pytest.raises(NoBackupBefore):
        choose(settings, before=backup.manifest.created_at)
    manifest = sidecar(backup.path, ".json")
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format": 99}))
    with pytest.raises(FormatUnknown):
        choose(settings, name=backup.name, before=now)


def test_a_file_that_changes_while_it_is_restored_is_never_committed(
    settings: Settings, backup: Backup, target: Server
) -> None:

    whole = backup.path.read_bytes()

    def after_inspection(phase: str, done: int, total: int | None) -> None:
        if phase == "inspect" and done == total:
            # same length, still valid SQL: only the digest of what is fed can tell
            backup.path.write_bytes(
                whole.replace("Šťastný 1".encode(), "Smutný 11".encode()[:11], 1)
            )

    with pytest.raises(DumpDamaged, match="changed while it was being restored"):
        restore(settings, backup, target, progress=after_inspection, named=True)
    assert target.dbname not in names(target.database("postgres"))


def test_a_missing_role_is_told_with_the_file_that_creates_it(
    settings: Settings, backup: Backup, target: Server
) -> None:
    manifest = backup.manifest.model_copy(update={"roles": ("kajovo", "dávno pryč")})
    with pytest.raises(RolesMissing, match="dávno pryč") as refused:
        restore(settings, Backup(backup.path, manifest), target, named=True)
    assert f"{backup.name}.roles" in refused.value.hint
    assert target.dbname not in names(target.database("postgres"))


def test_differing_counts_drop_what_was_restored(
    settings: Settings, backup: Backup, target: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a server that loses a row of a whole dump cannot be had; the reading of the file is blinded
    monkeypatch.setattr("kajovo_dr.backups.inspect._rows_differ", lambda counts, manifest: [])
    damage(backup, lambda content: content.replace(b"COPY x FROM stdin;\n", b"", 1))
    with pytest.raises(RestoredDiffers, match=r'Kniha "přání": 3 rows, promised 4'):
        restore(settings, load(backup.path), target, named=True)
    assert target.dbname not in names(target.database("postgres"))


@pytest.fixture
def failing(each_format: Settings, small: Server) -> Backup:
    """A sound backup that cannot be restored: restores run with an empty search_path, which a
    function of this database does not survive."""
    with databases.connect(small) as session:
        session.execute(
            "CREATE FUNCTION počet() RETURNS bigint LANGUAGE sql IMMUTABLE AS"
            " 'SELECT count(*) FROM hosté'; CREATE TABLE zlá (i int CHECK (počet() > 0));"
            "INSERT INTO zlá VALUES (1)"
        )
    return take(each_format, small, reason="test").backup


def test_a_statement_that_fails_leaves_nothing(
    each_format: Settings, failing: Backup, target: Server
) -> None:
    with pytest.raises(RestoreFailed, match='relation "hosté" does not exist'):
        restore(each_format, failing, target, named=True)
    assert target.dbname not in names(target.database("postgres"))


def test_a_failed_restore_leaves_a_prepared_database_empty(
    each_format: Settings, failing: Backup, new_database: Callable[[str], Server]
) -> None:
    prepared = new_database("připravená")
    with pytest.raises(RestoreFailed):
        restore(each_format, failing, prepared, named=True)
    with databases.connect(prepared) as session:
        assert databases.content(session) == []


def test_a_restore_that_fails_after_its_large_objects_leaves_a_prepared_database_empty(
    each_format: Settings, small: Server, new_database: Callable[[str], Server]
) -> None:
    # the index is made after them, by a function that does not survive an empty search_path
    function = "FUNCTION délka(text) RETURNS int IMMUTABLE LANGUAGE plpgsql AS"
    with databases.connect(small) as session:
        session.execute(
            f"SELECT lo_from_bytea(0, 'fotka'); CREATE {function} 'BEGIN RETURN 1; END';"
            f"CREATE INDEX ON hosté (délka(jméno)); CREATE OR REPLACE {function}"
            " 'BEGIN RETURN (SELECT count(*) FROM prázdná); END'".encode()
        )
    backup = take(each_format, small, reason="test").backup
    prepared = new_database("připravená")
    with pytest.raises(RestoreFailed, match='relation "prázdná" does not exist'):
        restore(each_format, backup, prepared, named=True)
    with databases.connect(prepared) as session:
        assert databases.content(session) == []


def test_a_restore_that_takes_too_long_is_stopped(
    settings: Settings, backup: Backup, target: Server
) -> None:
    with pytest.raises(ToolTimeout):
        restore(settings.with_overrides(restore_timeout_s=0.0001), backup, target, named=True)
    assert target.dbname not in names(target.database("postgres"))


def test_a_second_restore_into_the_same_name_is_refused(
    settings: Settings, backup: Backup, target: Server
) -> None:
    with (
        databases.mutex(target, "postgres"),
        pytest.raises(TargetBusy, match="is running"),
    ):
        restore(settings, backup, target, named=True)


@pytest.mark.parametrize("name", ["", "x" * 64, "ř" * 32, "a\0b"])
def test_a_name_that_postgresql_would_cut_is_refused(settings: Settings, name: str) -> None:
    with pytest.raises(SettingError, match="cannot name a database"):
        restore_target(settings, name)


@pytest.mark.parametrize("name", ["mezera a 'uvozovka\"", "dbname=postgres", "ř" * 31])
def test_hostile_target_names_work(
    each_format: Settings, small: Server, name: str, new_database: object
) -> None:
    backup = take(each_format, small, reason="test").backup
    target = restore_target(each_format, name)
    restore(each_format, backup, target, named=True)
    assert content(target) == content(small)


@pytest.fixture
def own_server(state: Path) -> Iterator[EmbeddedServer]:
    """A server that a test may kill."""
    server = EmbeddedServer(state / "embedded" / "own", "kajovo")
    yield server
    server.close()


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGQUIT")
def test_the_server_dying_during_the_restore_leaves_an_empty_database_and_a_word_about_it(
    settings: Settings, own_server: EmbeddedServer
) -> None:
    with databases.connect(own_server.open()) as session:
        session.execute(LARGE_TABLE)
    backup = take(settings, own_server._address(), reason="test").backup
    target = own_server._address().database("obnovená")

    def die(phase: str, done: int, total: int | None) -> None:
        assert own_server._process is not None
        if phase == "restore" and own_server._process.poll() is None:
            own_server._process.send_signal(signal.SIGQUIT)
            own_server._process.wait(30)

    with pytest.raises(DrError) as failed:
        restore(settings, backup, target, progress=die, named=True)
    assert failed.value.exit_code in (RestoreFailed.exit_code, 20, 27)
    assert "the next restore into the same name drops it" in failed.value.hint
    own_server.close()
    again = own_server.open()
    assert names(again) >= {"obnovená__restoring"}
    assert restore(settings, backup, again.database("obnovená"), named=True).rows == 150_000
    assert "obnovená__restoring" not in names(again)


@pytest.mark.parametrize("kind", ["plain", "custom"])
def test_a_killed_process_never_leaves_half_a_database_under_the_targets_name(
    settings: Settings, new_database: Callable[[str], Server], kind: str
) -> None:
    source = new_database("obří")
    with databases.connect(source) as session:
        session.execute(LARGE_TABLE.replace("150000", "1000000"))
        backup = take(settings.with_overrides(backup_format=kind), source, reason="test").backup
        target = restore_target(settings, "obnovená obří")
        room = f"{target.dbname}__restoring"

        def loading() -> bool:
            query = "SELECT FROM pg_stat_activity WHERE datname = %s AND query LIKE 'COPY%%'"
            return session.execute(query, [room]).rowcount > 0

        command = [sys.executable, "-m", "kajovo_dr.cli", "restore", backup.name]
        with subprocess.Popen(
            [*command, "--into", target.dbname], stderr=subprocess.DEVNULL
        ) as child:
            assert process.wait_until(lambda: loading() or child.poll() is not None, timeout=60)
            child.kill()
        assert child.returncode != 0
        assert target.dbname not in names(source)
        # its pg_restore may still be at work in there; that is nobody's database
        assert restore(settings, backup, target, named=True).rows == 1_000_000
        assert room not in names(source)


def test_a_database_of_somebody_else_is_not_taken_for_a_leftover(
    settings: Settings, backup: Backup, target: Server, new_database: Callable[[str], Server]
) -> None:
    precious = new_database(f"{target.dbname}__restoring")
    with databases.connect(precious) as session:
        session.execute("CREATE TABLE pokladna (částka int)")
    with pytest.raises(TargetNotEmpty, match="is in the way"):
        restore(settings, backup, target, named=True)
    assert precious.dbname in names(precious)


@pytest.mark.parametrize("name", ["template1", "template0", "postgres"])
def test_a_database_of_the_servers_own_is_refused(
    settings: Settings, backup: Backup, name: str
) -> None:
    with pytest.raises(TargetNotEmpty, match="belongs to the server"):
        restore(settings, backup, restore_target(settings, name), named=True)
