"""Under test: what a dead man's switch hears of backups and proofs, and that nothing it does fails
a backup, holds it up, or gets its URL into a log.
"""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from kajovo_dr import ports, process
from kajovo_dr.alerts import heartbeat
from kajovo_dr.alerts.heartbeat import Name, Signal, Switch, check, ping
from kajovo_dr.backups import catalog
from kajovo_dr.backups.adopt import adopt
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.manifest import safety_reason
from kajovo_dr.backups.prove import prove
from kajovo_dr.backups.scratch import scratch_server
from kajovo_dr.backups.take import take
from kajovo_dr.errors import DatabaseEmpty, DrError, ProofImpossible, SettingError, TargetBusy
from kajovo_dr.hotel import SqlCheck
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.settings import Settings
from kajovo_dr_tests.alerts.receivers import HttpReceiver
from kajovo_dr_tests.conftest import SMALL_DATABASE
from kajovo_dr_tests.shell import ROOT, Shell

SECRET = "s3cr3t-uuid"
PATH = f"/{SECRET}"
START, GOOD, FAIL = f"{PATH}/start", PATH, f"{PATH}/fail"
Log = pytest.LogCaptureFixture


class Recovering(HttpReceiver):
    """Answers the first request with 503 and all others well."""

    def take(self, handler: Any) -> None:
        self.answer(200 if self.requests else 503)
        super().take(handler)


class HoldsTheEnd(HttpReceiver):
    """Answers at once that something begins, and holds what came of it."""

    def take(self, handler: Any) -> None:
        (self.answer if handler.path == START else self.slow)()
        super().take(handler)


@pytest.fixture(autouse=True)
def _nothing_goes_on() -> Iterator[None]:
    yield
    assert process.wait_until(lambda: not under_way(), timeout=30)


@pytest.fixture(autouse=True)
def _everything_is_logged(caplog: Log) -> Iterator[None]:
    caplog.set_level(logging.DEBUG)
    yield
    records = caplog.get_records("call")
    assert SECRET not in "".join(map(logging.Formatter().format, records))
    assert not [each.name for each in records if each.name.startswith("http")]


@pytest.fixture
def switch() -> Iterator[HttpReceiver]:
    """The service of a dead man's switch."""
    with HttpReceiver(PATH) as receiver:
        yield receiver


@pytest.fixture
def heard(settings: Settings, switch: HttpReceiver) -> Settings:
    """Settings with a switch, and a store."""
    return settings.with_overrides(heartbeat_url=SecretStr(switch.plain_url))


def under_way() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == heartbeat.THREAD]


def paths(receiver: HttpReceiver) -> list[str]:
    return [request.path for request in receiver.requests]


def warnings(log: Log) -> list[str]:
    return [each.getMessage() for each in log.records if each.name == "kajovo_dr"]


def with_url(url: str, name: Name = "heartbeat_url") -> Settings:
    return Settings().with_overrides(**{name: SecretStr(url)})


def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a second instead of eight."""
    monkeypatch.setattr(heartbeat, "_LIMIT_S", 0.5)


def no_answer(why: str, name: str = "HEARTBEAT_URL") -> str:
    return f"the dead man's switch of KAJOVO_DR_{name} did not answer: {why}"


# --- asking


@pytest.mark.parametrize(
    ("after", "signal", "path", "query"),
    [
        ("", "success", "", {}),
        ("/", "success", "/", {}),
        ("?rid=1&a=%2F", "success", "", {"rid": ["1"], "a": ["/"]}),
        ("", "start", "/start", {}),
        ("/", "start", "/start", {}),
        ("", "fail", "/fail", {}),
        ("/?rid=1", "fail", "/fail", {"rid": ["1"]}),
        ("/a%2Fb/#c", "fail", "/a%2Fb/fail", {}),
    ],
)
def test_a_signal_goes_onto_the_path(
    switch: HttpReceiver,
    log: None,
    after: str,
    signal: Signal,
    path: str,
    query: dict[str, list[str]],
) -> None:
    ping(with_url(f" {switch.plain_url}{after}"), "heartbeat_url", signal)
    (request,) = switch.requests
    assert (request.method, request.path, request.query) == ("GET", PATH + path, query)
    assert request.body == b""


@pytest.fixture
def log(caplog: Log) -> Iterator[None]:
    """Nothing is to be complained of."""
    yield
    assert not [each for each in caplog.get_records("call") if each.name == "kajovo_dr"]


def test_the_watchdog_has_a_switch_of_its_own(switch: HttpReceiver, caplog: Log) -> None:
    settings = with_url(switch.plain_url, "watchdog_url")
    ping(settings, "heartbeat_url", "fail")
    ping(settings, "watchdog_url", "success")
    assert paths(switch) == [GOOD]
    switch.answer(404)
    ping(settings, "watchdog_url", "fail")
    assert warnings(caplog) == [no_answer("HTTP 404", "WATCHDOG_URL")]


@pytest.mark.parametrize(
    ("status", "times"), [(201, 1), (302, 1), (404, 1), (429, 1), (500, 2), (503, 2)]
)
def test_only_a_2xx_is_an_answer_and_only_a_5xx_is_asked_again(
    switch: HttpReceiver, caplog: Log, status: int, times: int
) -> None:
    switch.answer(status, location=f"{switch.plain_url}/elsewhere")
    ping(with_url(switch.plain_url), "heartbeat_url", "success")
    assert paths(switch) == [GOOD] * times
    assert warnings(caplog) == ([] if status < 300 else [no_answer(f"HTTP {status}")])


def test_what_is_well_in_a_moment_is_not_complained_of(log: None) -> None:
    with Recovering(PATH) as receiver:
        ping(with_url(receiver.plain_url), "heartbeat_url", "fail")
        assert paths(receiver) == [FAIL, FAIL]


def test_a_connection_that_is_refused_or_closed_is_tried_twice(
    switch: HttpReceiver, caplog: Log
) -> None:
    switch.refuse()
    ping(with_url(switch.plain_url), "heartbeat_url", "success")
    assert len(switch.requests) == 2
    switch.down()
    ping(with_url(switch.plain_url), "heartbeat_url", "success")
    assert warnings(caplog) == [no_answer("no connection")] * 2


@pytest.mark.parametrize("limit", ["_READ_S", "_LIMIT_S"])
def test_a_silent_service_is_given_up_and_not_asked_again(
    switch: HttpReceiver, caplog: Log, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(heartbeat, limit, 0.5)
    switch.slow()
    ping(with_url(switch.plain_url), "heartbeat_url", "success")
    assert switch.held == 1  # it has not answered yet
    assert warnings(caplog) == [no_answer("timed out")]
    switch.release()
    assert process.wait_until(lambda: not under_way(), timeout=30)
    assert paths(switch) == [GOOD]


def test_a_service_that_drips_is_given_up(
    switch: HttpReceiver, caplog: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch)
    switch.drip()
    ping(with_url(switch.plain_url), "heartbeat_url", "success")
    assert warnings(caplog) == [no_answer("timed out")]
    switch.answer(404)
    switch.release()


@pytest.mark.parametrize(
    "url",
    [
        f"{SECRET}",
        f"hc-ping.com/{SECRET}",
        f"ftp://h/{SECRET}",
        f"http:///{SECRET}",
        f"http://h:{SECRET}/",
        f"http://[::1/{SECRET}",
        f"https://h/\x01{SECRET}",
        f"json://h/{SECRET}",
    ],
)
@pytest.mark.parametrize("name", ["heartbeat_url", "watchdog_url"])
def test_what_is_no_url_is_found_by_a_check_and_fails_nothing(
    caplog: Log, url: str, name: Name
) -> None:
    settings = with_url(url, name)
    with pytest.raises(SettingError, match=f"KAJOVO_DR_{name.upper()} is not a URL") as refused:
        check(settings)
    assert SECRET not in refused.value.described()
    assert refused.value.__suppress_context__ or refused.value.__context__ is None
    ping(settings, name, "fail")
    why = "its URL does not begin with http:// or https://"
    assert warnings(caplog) == [no_answer(why, name.upper())]


def test_urls_that_can_be_asked_pass_the_check(switch: HttpReceiver) -> None:
    check(Settings())
    check(with_url("https://user:pass@hc-ping.com/x?y=z"))
    check(with_url(switch.plain_url, "watchdog_url"))
    assert not switch.requests


@pytest.mark.parametrize("port", [0, 99_999])
def test_a_port_that_cannot_be_fails_nothing(caplog: Log, port: int) -> None:
    ping(with_url(f"http://127.0.0.1:{port}/{SECRET}"), "heartbeat_url", "success")
    assert len(warnings(caplog)) == 1


def test_a_host_that_cannot_be_fails_nothing(caplog: Log) -> None:
    ping(with_url(f"http://{'a' * 70}.invalid/{SECRET}"), "heartbeat_url", "success")
    assert warnings(caplog) == [no_answer("UnicodeError")]  # its text could quote the URL


# --- logs


def test_requests_of_others_are_logged_as_ever(
    switch: HttpReceiver, caplog: Log, http_receiver: HttpReceiver
) -> None:
    switch.slow()
    background = Switch(with_url(switch.plain_url), "heartbeat_url")
    background.send("start")
    switch.wait_held(1)
    httpx.get(http_receiver.plain_url)
    switch.release()
    background.wait()
    ours = [each for each in caplog.records if each.name.startswith(("httpx", "httpcore"))]
    assert any("HTTP Request: GET" in each.getMessage() for each in ours)
    assert str(switch.port) not in "".join(each.getMessage() for each in ours)
    caplog.clear()


FIRST = """
import logging, sys
logging.basicConfig(level=logging.DEBUG)
from kajovo_dr.alerts import heartbeat
from kajovo_dr.settings import Settings
settings = Settings.load()
heartbeat.check(settings)
for signal in ("start", "success", "fail"):
    heartbeat.ping(settings, "heartbeat_url", signal)
print("httpx" in sys.modules)
"""


def first(url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """What a new process says that logs everything, and whether it has loaded httpx."""
    monkeypatch.setenv("KAJOVO_DR_HEARTBEAT_URL", url)
    monkeypatch.setenv("KAJOVO_DR_STATE", str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", FIRST], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stderr + done.stdout


def test_the_first_request_of_a_process_is_in_no_log_either(
    switch: HttpReceiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert first(switch.plain_url, monkeypatch, tmp_path) == "True\n"
    assert paths(switch) == [START, GOOD, FAIL]


def test_without_a_url_nothing_happens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert first("", monkeypatch, tmp_path) == "False\n"


# --- backups and proofs


def test_a_backup_is_heard_when_it_begins_and_when_it_is_proven(
    heard: Settings, small: Server, switch: HttpReceiver, log: None
) -> None:
    taken = take(heard, small, reason="test")
    assert paths(switch) == [START]  # whether it is worth anything nobody knows yet
    assert prove(heard, taken.backup).state == "proven"
    assert paths(switch) == [START, GOOD]


def test_a_proof_made_again_is_no_sign_of_life(
    heard: Settings, proven: Backup, backup: Backup, switch: HttpReceiver
) -> None:
    prove(heard, proven)
    prove(heard, backup)  # as it was read before its first proof
    assert paths(switch) == []


def test_an_older_backup_proven_after_a_newer_one_is_no_sign_of_life(
    heard: Settings, settings: Settings, small: Server, backup: Backup, switch: HttpReceiver
) -> None:
    newer = take(settings, small, reason="test").backup
    assert prove(heard, newer).state == "proven"
    assert paths(switch) == [GOOD]
    assert prove(heard, backup).state == "proven"
    assert paths(switch) == [GOOD]


def test_a_recovery_point_that_is_too_old_when_it_moves_is_no_sign_of_life(
    heard: Settings, backup: Backup, switch: HttpReceiver
) -> None:
    moment = 1e-7  # hours
    prove(heard.with_overrides(rpo_hours=2 * moment, rpo_warn_hours=moment), backup)
    assert paths(switch) == [FAIL]


def test_an_older_backup_proven_before_a_newer_one_moves_the_recovery_point(
    heard: Settings, settings: Settings, small: Server, backup: Backup, switch: HttpReceiver
) -> None:
    newer = take(settings, small, reason="test").backup
    prove(heard, backup)
    prove(heard, newer)
    assert paths(switch) == [GOOD, GOOD]


def test_another_database_in_the_store_has_a_recovery_point_of_its_own(
    heard: Settings,
    settings: Settings,
    backup: Backup,
    switch: HttpReceiver,
    new_database: Callable[[str], Server],
) -> None:
    other = new_database("jiný hotel")
    with databases.connect(other) as session:
        session.execute(SMALL_DATABASE)
    prove(settings, take(settings, other, reason="test").backup)
    prove(heard, backup)
    assert paths(switch) == [GOOD]


def damage(backup: Backup) -> None:
    content = bytearray(backup.path.read_bytes())
    content[len(content) // 2] ^= 1
    backup.path.write_bytes(content)


def test_the_newest_backup_damaged_is_a_failure(
    heard: Settings, backup: Backup, switch: HttpReceiver
) -> None:
    damage(backup)
    assert prove(heard, backup).state == "damaged"
    assert paths(switch) == [FAIL]


def test_the_newest_proven_backup_damaged_is_a_failure(
    heard: Settings, proven: Backup, switch: HttpReceiver
) -> None:
    damage(proven)
    assert prove(heard, proven).state == "damaged"
    assert paths(switch) == [FAIL]


def test_an_old_backup_damaged_is_for_an_alert(
    heard: Settings, settings: Settings, small: Server, backup: Backup, switch: HttpReceiver
) -> None:
    take(settings, small, reason="test")
    damage(backup)
    assert prove(heard, backup).state == "damaged"
    assert paths(switch) == []


def test_a_newest_backup_that_cannot_be_proven_is_a_failure(
    heard: Settings, backup: Backup, switch: HttpReceiver
) -> None:
    wrong = SqlCheck(name="guests", sql="SELECT 1", expect=2)
    assert prove(heard.with_overrides(sql_smoke=(wrong,)), backup).state == "unproven"
    assert paths(switch) == [FAIL]
    with pytest.raises(ProofImpossible):
        prove(nowhere(heard), catalog.load(backup.path))
    assert paths(switch) == [FAIL, FAIL]


def nowhere(settings: Settings) -> Settings:
    """A scratch server that does not answer."""
    return settings.with_overrides(proof_url=SecretStr(closed()))


def closed() -> str:
    return f"postgresql://u:p@127.0.0.1:{ports.free_port()}/postgres"


def test_a_proof_that_is_impossible_leaves_a_proven_backup_as_it_was(
    heard: Settings, proven: Backup, switch: HttpReceiver
) -> None:
    with pytest.raises(ProofImpossible):
        prove(nowhere(heard), proven)
    assert paths(switch) == []


def test_a_store_that_is_gone_is_a_failure(
    heard: Settings, backup: Backup, switch: HttpReceiver, tmp_path: Path
) -> None:
    gone = heard.with_overrides(backup_dir=tmp_path / "gone")
    backup.path.unlink()
    with pytest.raises(DrError):
        prove(gone, backup)
    assert paths(switch) == [FAIL]


def stop(at: str) -> Callable[[str, int, int | None], None]:
    """Ctrl-C in a phase."""

    def interrupt(phase: str, done: int, total: int | None) -> None:
        if phase == at:
            raise KeyboardInterrupt

    return interrupt


def test_a_backup_that_fails_is_heard(
    heard: Settings, small: Server, switch: HttpReceiver, new_database: Callable[[str], Server]
) -> None:
    with pytest.raises(DatabaseEmpty):
        take(heard, new_database("prázdný hotel"), reason="test")
    assert paths(switch) == [START, FAIL]
    with pytest.raises(KeyboardInterrupt):
        take(heard, small, reason="test", progress=stop("inspect"))
    assert paths(switch) == [START, FAIL] * 2
    with pytest.raises(DrError):
        take(heard, Server.from_url(closed()), reason="test")
    assert paths(switch)[4:] == [FAIL]  # it could not even begin


def test_a_proof_that_is_interrupted_is_heard(
    heard: Settings, backup: Backup, switch: HttpReceiver
) -> None:
    with pytest.raises(KeyboardInterrupt):
        prove(heard, backup, progress=stop("restore"))
    assert paths(switch) == [FAIL]


def test_who_is_refused_because_another_runs_is_not_heard(
    heard: Settings, small: Server, backup: Backup, switch: HttpReceiver
) -> None:
    with databases.mutex(small, "postgres"), pytest.raises(TargetBusy):
        take(heard, small, reason="test")
    with scratch_server(heard), pytest.raises(TargetBusy):
        prove(heard, backup)
    assert paths(switch) == []


def test_the_backup_of_a_recovery_is_not_heard(
    heard: Settings, small: Server, switch: HttpReceiver
) -> None:
    reason = safety_reason("0123abcd")
    taken = take(heard, small, reason=reason)
    assert prove(heard, taken.backup).state == "proven"
    with pytest.raises(DatabaseEmpty):
        take(heard.with_overrides(min_tables=1000), small, reason=reason)
    assert paths(switch) == []


def test_what_a_recovery_has_taken_does_not_stand_for_a_daily_backup(
    heard: Settings, settings: Settings, small: Server, backup: Backup, switch: HttpReceiver
) -> None:
    safety = take(settings, small, reason=safety_reason("0123abcd")).backup
    prove(settings, safety)
    prove(heard, backup)
    assert paths(switch) == [GOOD]
    damage(backup)
    prove(heard, catalog.load(backup.path))
    assert paths(switch) == [GOOD, FAIL]


def test_adopting_is_not_heard(
    heard: Settings, backup: Backup, switch: HttpReceiver, tmp_path: Path
) -> None:
    shutil.copy(backup.path, tmp_path / "old.sql")
    backup.path.unlink()
    (judged,) = adopt(heard, tmp_path).files
    assert judged.restores
    assert paths(switch) == []


# --- what a bad service does to a backup


@pytest.mark.parametrize("how", ["down", "refuse", "slow", "drip"])
def test_a_bad_service_fails_no_backup(
    heard: Settings,
    small: Server,
    switch: HttpReceiver,
    caplog: Log,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    impatient(monkeypatch)
    getattr(switch, how)()
    taken = take(heard, small, reason="test")
    assert prove(heard, taken.backup).state == "proven"
    with pytest.raises(DatabaseEmpty):
        take(heard.with_overrides(min_tables=1000), small, reason="test")
    why = "no connection" if how in ("down", "refuse") else "timed out"
    assert warnings(caplog) == [no_answer(why)] * 4
    switch.down()


def test_a_slow_service_does_not_hold_up_the_begin_of_a_backup(
    heard: Settings, small: Server, switch: HttpReceiver, log: None
) -> None:
    switch.slow()
    phases = []

    def progress(phase: str, done: int, total: int | None) -> None:
        if phase not in phases:
            phases.append(phase)
        if phase == "inspect" and switch.held == 0:
            switch.wait_held(1)
        if phase == "inspect":
            switch.release()  # the dump is written, the begin is still unanswered

    take(heard, small, reason="test", progress=progress)
    assert {"dump", "inspect"} <= set(phases)
    assert paths(switch) == [START]


def test_nothing_is_locked_while_a_service_is_asked(
    settings: Settings, small: Server, backup: Backup
) -> None:
    def fail() -> None:
        with pytest.raises(DatabaseEmpty):
            take(asking.with_overrides(min_tables=1000), small, reason="test")

    with HoldsTheEnd(PATH) as switch:
        asking = settings.with_overrides(heartbeat_url=SecretStr(switch.plain_url))
        for work in (lambda: prove(asking, backup), fail):
            thread = threading.Thread(target=work)
            thread.start()
            switch.wait_held(1)
            with scratch_server(asking), databases.mutex(small, "postgres"):
                assert switch.held == 1
            switch.release()
            thread.join()
    assert paths(switch) == [GOOD, START, FAIL]


def test_the_command_line_tells_of_a_service_that_does_not_answer(
    heard: Settings, small: Server, switch: HttpReceiver
) -> None:
    switch.answer(500)
    shell = Shell((SECRET, str(switch.port)))
    done = shell("backup", "--prove", heartbeat_url=switch.plain_url).ok()
    assert done.err.count(no_answer("HTTP 500")) == 2
    assert paths(switch) == [START, START, GOOD, GOOD]
