"""Under test: that another process can stop and start the hotel's API, and is told the outcome."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest

from kajovo_dr.errors import SandboxError
from kajovo_dr.postgres.server import Server
from kajovo_dr.process import Completed, run, start, stop, wait_until
from kajovo_dr.sandbox import schema, supervisor, switch
from kajovo_dr_tests.sandbox.conftest import execute

PASSWORD = "heslo správce"


def ask(verb: str, folder: Path) -> Completed:
    """Run the command as a recovery would: from elsewhere, without any environment."""
    return run(switch.command(verb, folder), env={}, timeout=60, cwd=folder.parent)


def answers(url: str, path: str = "/ready") -> bool:
    try:
        return httpx.get(url + path, timeout=20).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "pískoviště č. 1"
    folder.mkdir()
    return folder


@pytest.fixture
def api(database: Server, place: Path) -> Iterator[supervisor.Supervised]:
    schema.upgrade(database.sqlalchemy_url())
    with supervisor.Supervised(database, place, PASSWORD) as supervised:
        assert answers(supervised.base_url)
        yield supervised


def test_the_api_is_stopped_and_started_by_another_process(
    api: supervisor.Supervised, place: Path
) -> None:
    for _ in range(2):
        for verb, up in (("stop", False), ("stop", False), ("start", True), ("start", True)):
            done = ask(verb, place)
            assert (done.returncode, done.stderr) == (0, "")
            assert answers(api.base_url) is up


def test_a_stopped_api_stays_down_and_a_dead_one_comes_back(
    api: supervisor.Supervised, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "_RESTART_S", 0.0)
    assert api._api is not None
    stop(api._api.process, timeout=10)  # behind the supervisor's back
    assert wait_until(lambda: answers(api.base_url), timeout=30)
    ask("stop", place)
    outcome = (place / "api-outcome").stat().st_mtime_ns
    looks = 0

    class Counting(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            nonlocal looks
            looks += 1
            return super().wait(timeout)

    api._ended = Counting()
    assert wait_until(lambda: looks > 3, timeout=30)
    assert not answers(api.base_url)
    assert (place / "api-outcome").stat().st_mtime_ns == outcome  # a wish is done once


def test_a_start_without_a_database_says_why_and_goes_on_trying(
    api: supervisor.Supervised, place: Path, server: Server
) -> None:
    name = api.hotel.dbname
    ask("stop", place)
    execute(server, f"ALTER DATABASE {name} RENAME TO {name}_jinde")
    done = ask("start", place)
    assert done.returncode == 1
    assert "the hotel's API ended at once with exit code 3" in done.stderr
    assert "Traceback (most recent" not in done.stderr
    execute(server, f"ALTER DATABASE {name}_jinde RENAME TO {name}")
    assert wait_until(lambda: answers(api.base_url), timeout=30)


def test_an_api_whose_request_hangs_is_stopped(api: supervisor.Supervised, place: Path) -> None:
    with closing(psycopg.connect(api.hotel.conninfo())) as other:
        other.execute("LOCK TABLE auth_lockout_states IN ACCESS EXCLUSIVE MODE")
        login = threading.Thread(target=hang_in_login, args=(api.base_url,))
        login.start()
        blocked = (
            "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            " AND datname = current_database()"
        )
        assert wait_until(lambda: bool(execute(api.hotel, blocked)), timeout=30)
        assert api._api is not None
        process = api._api.process
        assert ask("stop", place).returncode == 0
        assert process.returncode == 0  # it was not killed
        login.join()
        assert not answers(api.base_url)
    assert ask("start", place).returncode == 0
    assert answers(api.base_url)


def hang_in_login(url: str) -> None:
    body = {"email": supervisor.ADMIN_EMAIL, "password": "špatné"}
    try:
        httpx.post(f"{url}/api/auth/admin/login", json=body, timeout=60)
    except httpx.TransportError:
        return


def test_a_new_supervisor_begins_with_a_running_api(
    api: supervisor.Supervised, place: Path
) -> None:
    ask("stop", place)
    api.__exit__()
    with supervisor.Supervised(api.hotel, place, PASSWORD) as new:
        assert answers(new.base_url)
        assert ask("start", place).returncode == 0
    api.__enter__()


def test_nobody_to_do_it_is_an_error_at_once(place: Path) -> None:
    done = ask("stop", place)
    assert done.returncode == 1
    assert f"nobody supervises the hotel's API in {place}" in done.stderr
    assert list(place.iterdir()) == []


def test_a_supervisor_that_died_is_waited_for_in_vain(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / switch.ADDRESS).write_text("http://127.0.0.1:1")
    monkeypatch.setattr(switch, "WITHIN_S", 0.2)
    assert "nobody did stop the hotel's API within 0.2 s" in switch.main(["stop", str(place)])


@pytest.mark.parametrize("words", [[], ["stop"], ["pause", "."], ["stop", ".", "now"]])
def test_a_wrong_command_line_is_explained(words: list[str], place: Path) -> None:
    done = run([*switch.command("stop", place)[:3], *words], env={}, timeout=60)
    assert (done.returncode, done.stderr.strip()) == (1, "usage: switch.py stop|start FOLDER")


def test_the_command_needs_nothing_but_the_standard_library(place: Path) -> None:
    """It runs isolated, where a checkout that is not installed is not found."""
    code = f"import runpy; runpy.run_path({switch.__file__!r})"
    done = run([sys.executable, "-I", "-S", "-c", code], env={}, timeout=60, cwd=place)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_it_writes_is_private_and_replaced_whole(place: Path) -> None:
    first = switch.wish(place, running=False)
    second = switch.wish(place, running=True)
    assert switch.wished(place) == second != first
    assert switch.told(place, second) is None
    switch.tell(place, first)
    assert switch.told(place, second) is None
    switch.tell(place, second, "databáze chybí")
    assert switch.told(place, second) == "databáze chybí"
    assert len(list(place.iterdir())) == 2
    if os.name == "posix":
        assert {path.stat().st_mode & 0o777 for path in place.iterdir()} == {0o600}


@pytest.mark.parametrize("text", ["", "stop", "pause 12", "\udc81"])
def test_a_damaged_wish_is_none(place: Path, text: str) -> None:
    (place / "api-wish").write_bytes(text.encode("utf-8", "surrogatepass"))
    assert switch.wished(place) is None


def test_one_process_at_a_time_supervises_and_the_others_share(
    api: supervisor.Supervised, place: Path
) -> None:
    with pytest.raises(SandboxError, match="another kajovo-dr runs the hotel's API"):
        supervisor.Supervised(api.hotel, place, PASSWORD).__enter__()
    with supervisor.shared(api.hotel, place, PASSWORD) as url:
        assert url == api.base_url
    assert answers(api.base_url)
    assert (place / switch.ADDRESS).exists()


def test_an_api_nobody_supervises_is_run_for_the_block(database: Server, place: Path) -> None:
    schema.upgrade(database.sqlalchemy_url())
    with supervisor.shared(database, place, PASSWORD) as url:
        assert answers(url)
        assert (place / switch.ADDRESS).read_text() == url
        assert ask("stop", place).returncode == 0
        assert not answers(url)
    assert not answers(url)
    assert not (place / switch.ADDRESS).exists()
    with supervisor.shared(database, place, PASSWORD) as again:
        assert answers(again)


SUPERVISOR = """
import sys, time
from pathlib import Path
from kajovo_dr.postgres.server import Server
from kajovo_dr.sandbox.supervisor import Supervised
with Supervised(Server.from_url(sys.argv[1]), Path(sys.argv[2]), "heslo"):
    time.sleep(600)
"""


@contextmanager
def supervising(database: Server, place: Path) -> Iterator[Callable[[], None]]:
    """Another process supervises; yields what kills it."""
    process = start(
        [sys.executable, "-c", SUPERVISOR, database.url(), str(place)],
        env=dict(os.environ),
        log=place / "supervisor.log",
        cwd=Path(switch.__file__).parents[2],
    )

    def kill() -> None:
        process.kill()
        process.wait()

    try:
        yield kill
    finally:
        stop(process, timeout=20)


def test_a_killed_supervisor_is_replaced(database: Server, place: Path) -> None:
    schema.upgrade(database.sqlalchemy_url())
    address = place / switch.ADDRESS
    with supervising(database, place) as kill:
        assert wait_until(lambda: address.exists() and answers(address.read_text()), timeout=60)
        theirs = address.read_text()
        with supervisor.shared(database, place, PASSWORD) as url:
            assert url == theirs
        assert ask("stop", place).returncode == 0
        assert not answers(theirs)
        kill()
        assert address.read_text() == theirs  # it could not tidy up
        with supervisor.shared(database, place, PASSWORD) as url:
            assert url != theirs
            assert answers(url)
            assert ask("stop", place).returncode == 0
            assert not answers(url)
