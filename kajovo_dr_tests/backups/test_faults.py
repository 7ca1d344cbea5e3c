"""Faults while a backup is taken: nothing half is published, and the next one works."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kajovo_dr.backups import catalog
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.store import open_store
from kajovo_dr.backups.take import take
from kajovo_dr.errors import (
    DrError,
    DumpFailed,
    ServerLost,
    StoreFull,
    StoreMissing,
    StoreNotWritable,
    ToolTimeout,
    Unreachable,
    WrongCredentials,
)
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.embedded import EmbeddedServer
from kajovo_dr.postgres.server import Server
from kajovo_dr.progress import Progress
from kajovo_dr.settings import Settings
from kajovo_dr_tests.backups.conftest import LARGE_TABLE

linux = pytest.mark.skipif(sys.platform != "linux", reason="finds the child process in /proc")
as_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0 or not shutil.which("mount"),
    reason="needs root, to mount a small file system",
)


def files(settings: Settings) -> list[Path]:
    """Everything in the store, unfinished backups included; not the empty mark of a taken name."""
    found = settings.store_dir.rglob("*")
    return [path for path in found if path.is_file() and path.suffix != ".reserved"]


def children_named(name: str) -> list[int]:
    """Process ids of this process's children that run the tool."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            command, rest = status.read_text().split("(", 1)[1].rsplit(")", 1)
        except (OSError, IndexError):
            continue
        if command == name and int(rest.split()[1]) == os.getpid():
            found.append(int(status.parent.name))
    return found


def when_dumping(act: object) -> Progress:
    """A progress callback that acts once, while pg_dump waits for its output to be read."""
    done: list[bool] = []

    def watch(phase: str, size: int, total: int | None) -> None:
        if phase == "dump" and size and not done:
            done.append(True)
            act()  # type: ignore[operator]

    return watch


@pytest.fixture
def own_server(state: Path) -> Iterator[EmbeddedServer]:
    """A server that a test may kill."""
    server = EmbeddedServer(state / "embedded" / "own", "kajovo")
    yield server
    server.close()


@linux
def test_pg_dump_killed_at_half_publishes_nothing(each_format: Settings, large: Server) -> None:
    def kill() -> None:
        (pid,) = children_named("pg_dump")
        os.kill(pid, signal.SIGKILL)

    with pytest.raises(DumpFailed, match="killed by signal 9"):
        take(each_format, large, reason="test", progress=when_dumping(kill))
    assert files(each_format) == []
    assert take(each_format, large, reason="again").backup.manifest.rows == 150_000


@linux
def test_the_server_dying_during_the_dump_publishes_nothing(
    settings: Settings, own_server: EmbeddedServer
) -> None:
    with databases.connect(own_server.open()) as session:
        session.execute(LARGE_TABLE)

    def die() -> None:
        assert own_server._process is not None
        own_server._process.send_signal(signal.SIGQUIT)
        own_server._process.wait(30)

    # whoever notices it first: pg_dump, or the session beside it
    with pytest.raises((DumpFailed, ServerLost)):
        take(settings, own_server._address(), reason="test", progress=when_dumping(die))
    assert files(settings) == []
    own_server.close()
    assert take(settings, own_server.open(), reason="again").backup.manifest.rows == 150_000


def test_a_killed_process_leaves_nothing_published_and_the_next_one_cleans_up(
    settings: Settings, new_database: Callable[[str], Server]
) -> None:
    database = new_database("obří")
    with databases.connect(database) as session:
        session.execute(LARGE_TABLE.replace("150000", "1000000"))
    command = [sys.executable, "-m", "kajovo_dr.cli", "backup"]
    environment = os.environ | {"KAJOVO_DR_DATABASE_URL": database.url()}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        while not files(settings) and process.poll() is None:
            time.sleep(0.01)
        process.kill()
    assert process.returncode != 0
    assert catalog.entries(open_store(settings)) == []
    assert files(settings) != []  # the unfinished file, out of everybody's sight
    with databases.connect(database) as session:
        # its pg_dump ends by itself: nobody reads what it writes; until then the mutex holds
        session.execute("DELETE FROM velká WHERE i > 1000")
    left = take(settings, database, reason="again").backup
    assert {path.name.removeprefix(left.name) for path in files(settings)} == {
        "",
        ".json",
        ".roles",
        ".sha256",
    }


def test_wrong_password_and_dead_port_are_told_before_anything_is_written(
    settings: Settings, small: Server
) -> None:
    wrong = Server({**small.params, "password": "tajné-a-špatné"})
    with pytest.raises(WrongCredentials) as refused:
        take(settings, wrong, reason="test")
    assert "tajné" not in refused.value.described()
    with pytest.raises(Unreachable):
        take(settings, Server({**small.params, "port": "1"}), reason="test")
    assert files(settings) == []


def test_a_missing_store_is_told(settings: Settings, small: Server, tmp_path: Path) -> None:
    with pytest.raises(StoreMissing):
        take(settings.with_overrides(backup_dir=tmp_path / "away"), small, reason="test")


@as_root
def test_a_read_only_store_is_told(settings: Settings, small: Server, tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", tmp_path], check=True)
    try:
        with pytest.raises(StoreNotWritable, match="cannot read or write in"):
            take(settings.with_overrides(backup_dir=tmp_path), small, reason="test")
    finally:
        subprocess.run(["umount", tmp_path], check=True)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="permissions do not bind root"
)
def test_a_forbidden_store_is_told(settings: Settings, small: Server, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StoreNotWritable):
        take(settings.with_overrides(backup_dir=tmp_path), small, reason="test")


@as_root
def test_a_full_store_keeps_its_backups_and_gets_no_half_one(
    settings: Settings, small: Server, large: Server, tmp_path: Path
) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", tmp_path], check=True)
    tiny = settings.with_overrides(backup_dir=tmp_path)
    try:
        kept = take(tiny, small, reason="test").backup
        with pytest.raises(StoreFull) as full:
            take(tiny, large, reason="test")
        assert "free space" in full.value.hint
        assert catalog.backups(open_store(tiny)) == [kept]
        assert len(files(tiny)) == 4
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_a_failing_write_of_a_sidecar_publishes_nothing(
    settings: Settings, small: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a disk that fills exactly between dump file and sidecar cannot be caused otherwise
    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("kajovo_dr.backups.store.write_private", full)
    with pytest.raises(StoreFull):
        take(settings, small, reason="test")
    assert files(settings) == []


def test_a_locked_table_ends_the_backup_instead_of_hanging_it(
    settings: Settings, small: Server
) -> None:
    with databases.connect(small, autocommit=False) as session:
        session.execute("LOCK hosté")
        with pytest.raises(DrError, match="stayed locked") as failed:
            take(settings.with_overrides(lock_timeout_s=1), small, reason="test")
    assert "schema change" in failed.value.hint
    assert files(settings) == []


def test_a_dump_that_takes_too_long_is_stopped(settings: Settings, large: Server) -> None:
    with pytest.raises(ToolTimeout, match="did not end within"):
        take(settings.with_overrides(dump_timeout_s=0.001), large, reason="test")
    assert files(settings) == []


def test_an_interrupted_backup_publishes_nothing(settings: Settings, large: Server) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        take(settings, large, reason="test", progress=when_dumping(interrupt))
    assert files(settings) == []


def test_a_role_that_may_not_read_all_is_an_error_not_a_smaller_dump(
    settings: Settings, small: Server
) -> None:
    with databases.connect(small) as session:
        session.execute(
            "DROP ROLE IF EXISTS nahlížeč; CREATE ROLE nahlížeč LOGIN PASSWORD 'x';"
            "GRANT SELECT ON hosté TO nahlížeč; ALTER TABLE hosté ENABLE ROW LEVEL SECURITY;"
            "CREATE POLICY p ON hosté TO nahlížeč USING (id < 3)"
        )
    weak = Server({**small.params, "user": "nahlížeč", "password": "x"})
    try:
        with pytest.raises(DrError):
            take(settings, weak, reason="test")
        assert files(settings) == []
    finally:
        with databases.connect(small) as session:
            session.execute("DROP OWNED BY nahlížeč; DROP ROLE nahlížeč")


def test_a_backup_survives_what_the_next_one_suffers(backup: Backup, settings: Settings) -> None:
    before = {path: path.read_bytes() for path in files(settings)}
    with pytest.raises(Unreachable):
        take(settings, Server({"host": "127.0.0.1", "port": "1", "dbname": "x"}), reason="test")
    assert {path: path.read_bytes() for path in files(settings)} == before
