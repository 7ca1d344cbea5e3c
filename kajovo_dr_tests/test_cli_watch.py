"""Under test: ``kajovo-dr status | watchdog | alert | metrics`` as processes that cannot import
Dagster, beside a store of files alone; no server answers.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kajovo_dr.alerts import ledger as book
from kajovo_dr.backups.store import open_store
from kajovo_dr.errors import AlertFailed, FormatUnknown, NotConfigured, NotProtected
from kajovo_dr.recovery import drill_history
from kajovo_dr.settings import Settings
from kajovo_dr_tests.alerts.receivers import HttpReceiver, MailReceiver
from kajovo_dr_tests.backups.stored import DATABASE, judge, put
from kajovo_dr_tests.recovery.drills import BEGUN, drill
from kajovo_dr_tests.shell import WITHOUT_DAGSTER, Shell
from kajovo_dr_tests.watch.conftest import PATH_SECRET, require_typeable

PASSWORD, MAIL_PASSWORD = "tajne-heslo-42", "tajne-heslo-43"
HOUR = timedelta(hours=1)
as_root = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="root mounts a folder read-only"
)


@pytest.fixture
def settings(state: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A state folder that does not exist yet, and a database that does not answer."""
    monkeypatch.setenv("KAJOVO_DR_STATE", str(state))
    url = f"postgresql://kajovo:{PASSWORD}@127.0.0.1:5432/{DATABASE}"
    monkeypatch.setenv("KAJOVO_DR_DATABASE_URL", url)
    monkeypatch.setenv("KAJOVO_DR_WATCH_DAGSTER", "false")
    return Settings.load()


@pytest.fixture
def shell(settings: Settings) -> Shell:
    return Shell((PASSWORD, MAIL_PASSWORD, PATH_SECRET), ("-c", WITHOUT_DAGSTER))


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpReceiver]:
    """Where alerts go."""
    with HttpReceiver(f"/{PATH_SECRET}") as receiver:
        monkeypatch.setenv("KAJOVO_DR_ALERT_URLS", receiver.url)
        yield receiver


def backed_up(settings: Settings, *, hours: float = 1) -> str:
    """All is well, but for the age of the only backup; its name."""
    settings.state.mkdir(exist_ok=True)
    at = datetime.now(UTC) - hours * HOUR
    backup = put(open_store(settings), at)
    judge(backup, "proven", at)
    days = (datetime.now(UTC) - BEGUN) / timedelta(days=1) - 1
    drill_history.append(settings.state, drill(1, days=days))
    return backup.name


# --- watchdog


def test_the_watchdog_ends_well(shell: Shell, settings: Settings, receiver: HttpReceiver) -> None:
    backed_up(settings)
    done = shell("watchdog").ok()
    assert done.out == "KAJOVO_DR OK - backups are proven and young enough\n"
    assert done.err == ""
    assert receiver.requests == []


def test_the_watchdog_warns(shell: Shell, settings: Settings, receiver: HttpReceiver) -> None:
    backed_up(settings, hours=21)
    done = shell("watchdog")
    assert done.code == 1
    (line,) = done.out.splitlines()
    assert line.startswith("KAJOVO_DR WARNING - the newest proven backup of kajovo_hotel is old")
    assert "(21 h, limit 24 h)" in line or "21 h 00 min, limit 24 h" in line
    assert len(receiver.requests) == 1


def test_the_watchdog_on_a_new_machine_is_critical_and_tells_it_once(
    shell: Shell, settings: Settings, receiver: HttpReceiver
) -> None:
    with HttpReceiver(f"/{PATH_SECRET}/switch") as switch:
        done = shell("watchdog", watchdog_url=switch.plain_url)
        assert [each.path for each in switch.requests] == [f"/{PATH_SECRET}/switch/fail"]
    assert done.code == 2
    (line,) = done.out.splitlines()
    assert line.startswith("KAJOVO_DR CRITICAL - no backup of kajovo_hotel is proven")
    assert "; no drill was ever run" in line
    titles = [each.json["title"].partition("] ")[2][:8] for each in receiver.requests]
    assert sorted(titles) == ["CRITICAL", "WARNING:"]
    assert shell("watchdog").code == 2
    assert len(receiver.requests) == 2


def test_the_watchdog_knows_what_it_cannot_know(shell: Shell, settings: Settings) -> None:
    backed_up(settings)
    done = shell("watchdog", watch_dagster="true")
    assert done.code == 3
    assert done.out.startswith("KAJOVO_DR UNKNOWN - Dagster's daemon has never looked")


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"rpo_hours": "den"}, "KAJOVO_DR UNKNOWN - KAJOVO_DR_RPO_HOURS: "),
        ({"config": "/chybí.toml"}, "KAJOVO_DR UNKNOWN - KAJOVO_DR_CONFIG: cannot read /chybí"),
    ],
)
def test_settings_that_cannot_be_read_are_unknown(
    shell: Shell, variables: dict[str, str], said: str
) -> None:
    done = shell("watchdog", **variables)
    assert done.code == 3
    (line,) = done.out.splitlines()
    assert line.startswith(said)
    assert done.err.startswith("hint: ")


def test_the_watchdog_for_scripts(shell: Shell, settings: Settings, receiver: HttpReceiver) -> None:
    backed_up(settings, hours=25)
    document = shell("watchdog", "--json").json()
    assert document.keys() == {"level", "wrong", "written", "sent"}
    assert document["level"] == "critical"
    (wrong,) = document["wrong"]
    assert wrong.keys() == {"key", "level", "what", "figure", "limit", "since", "next", "link"}
    assert (wrong["key"], wrong["next"]) == ("rpo", "kajovo-dr backup --prove")
    assert datetime.fromisoformat(wrong["since"]) < datetime.now(UTC)
    (sent,) = document["sent"]
    assert sent.keys() == {"channel", "arrived", "said", "seconds", "perhaps"}
    assert (sent["channel"], sent["arrived"]) == ("json-1", True)
    assert len(document["written"]) == 1


def test_a_channel_that_takes_nothing_is_named_beside_the_line(
    shell: Shell, settings: Settings, receiver: HttpReceiver
) -> None:
    receiver.answer(500)
    done = shell("watchdog")
    assert done.code == 2
    assert len(done.out.splitlines()) == 1
    assert done.err.startswith("channel json-1: ")


def test_the_watchdog_explains_how_it_is_installed(shell: Shell) -> None:
    done = shell("watchdog", "--install-help").ok()
    assert "[Timer]" in done.out
    assert "watchdog" in done.out
    assert not (Path(os.environ["KAJOVO_DR_STATE"]) / "alerts.json").exists()


# --- status


def test_the_status_on_one_screen(shell: Shell, settings: Settings) -> None:
    name = backed_up(settings)
    shell("watchdog")
    done = shell("status").ok()
    assert re.search(
        rf"^recovery point +1 h 00 min old, {name} of kajovo_hotel +24 h$", done.out, re.M
    )
    assert re.search(r"^backups +1 proven$", done.out, re.M)
    assert re.search(r"^last drill +passed, RTO 4 min 27 s, 2.*60 to 120 min$", done.out, re.M)
    assert re.search(r"^store +\S+ .B free, ", done.out, re.M)
    assert re.search(r"^alerts +channels: 0, messages that wait: 0$", done.out, re.M)
    assert re.search(r"^watched by +watchdog 2\d{3}-", done.out, re.M)
    for schedule in ("backup", "reprove", "cleanup", "drill"):
        assert re.search(rf"^next {schedule} +2\d{{3}}-\d\d-\d\d \d\d:\d\d:\d\d$", done.out, re.M)
    assert "warning  the watchdog has no alert channel: nobody is told of what it sees" in done.out
    assert len(done.out.splitlines()) < 24  # a terminal's


def test_a_status_with_warnings_alone_is_no_error(shell: Shell, settings: Settings) -> None:
    backed_up(settings, hours=21)
    assert "next: kajovo-dr backup --prove" in shell("status").ok().out


def test_a_status_that_is_critical_is_an_error_with_the_next_step(
    shell: Shell, settings: Settings, receiver: HttpReceiver
) -> None:
    done = shell("status")
    assert done.code == NotProtected.exit_code
    assert "no backup is proven" in done.out
    assert "critical no backup of kajovo_hotel is proven" in done.out
    assert "error: critical: no backup of kajovo_hotel is proven" in done.err
    assert "hint: begin with: kajovo-dr backup --prove." in done.err
    for step in re.findall(r"next: (.+)$", done.out, re.M):
        require_typeable(step)
    assert receiver.requests == []


KEYS = {
    *("now", "database", "point", "backups", "newest", "drill", "disk", "folder", "runs"),
    *("daemon_at", "watchdog_at", "channels", "waiting", "wrong", "level", "next"),
}


def test_the_status_for_scripts(shell: Shell, settings: Settings, receiver: HttpReceiver) -> None:
    name = backed_up(settings)
    shell("watchdog").ok()
    document = shell("status", "--json").ok().json()
    assert document.keys() == KEYS
    assert document["point"]["backup"] == name
    assert document["point"].keys() == {"verdict", "backup", "snapshot", "age_s", "problem"}
    moments = [document["now"], document["point"]["snapshot"], document["watchdog_at"]]
    moments += [run["at"] for run in document["runs"]] + [document["drill"]["finished_at"]]
    assert all(datetime.fromisoformat(each).tzinfo is not None for each in moments)
    assert (document["level"], document["next"], document["wrong"]) == ("ok", "", [])
    assert document["disk"]["free_bytes"] > 0


def test_a_status_for_scripts_has_the_same_exit_code_and_keys_when_all_is_lost(
    shell: Shell, settings: Settings
) -> None:
    done = shell("status", "--json", backup_dir=str(settings.state / "chybí"), database_url="")
    assert done.code == NotProtected.exit_code
    assert done.json().keys() == KEYS
    assert done.json()["level"] == "critical"
    assert done.json()["next"] == "kajovo-dr doctor"
    assert done.err == ""


def test_a_ledger_of_a_newer_version_is_an_error_for_all_who_read_it(
    shell: Shell, settings: Settings
) -> None:
    settings.state.mkdir()
    book.path_of(settings.state).write_text('{"format": 2}')
    for words in (("status",), ("alert",), ("metrics",)):
        done = shell(*words)
        assert done.code == FormatUnknown.exit_code
        assert "alerts.json has format 2" in done.err
    done = shell("watchdog")
    assert done.code == 3
    assert "alerts.json has format 2" in done.out


def test_a_damaged_ledger_is_put_aside_and_everything_told_anew(
    shell: Shell, settings: Settings, receiver: HttpReceiver
) -> None:
    settings.state.mkdir()
    book.path_of(settings.state).write_text("{")
    assert shell("status").code == NotProtected.exit_code
    assert shell("watchdog").code == 2
    assert len(receiver.requests) == 2
    assert shell("watchdog").code == 2
    assert "was put aside" in receiver.requests[2].json["title"]
    assert (settings.state / "alerts.json.damaged").read_text() == "{"
    assert shell("alert").ok()


# --- alert


def test_a_new_machine_has_nothing_to_show_but_that_there_is_no_channel(shell: Shell) -> None:
    done = shell("alert").ok()
    assert "no channel: set KAJOVO_DR_ALERT_URLS" in done.out
    assert done.out.endswith("nobody has looked yet: kajovo-dr watchdog\n")


def test_what_people_were_told_and_what_waits_is_listed(
    shell: Shell, settings: Settings, receiver: HttpReceiver
) -> None:
    backed_up(settings, hours=25)
    receiver.answer(503)
    shell("watchdog")
    done = shell("alert").ok()
    assert re.search(r"^json-1 +critical, warning +\S.*503", done.out, re.M)
    assert "critical rpo: the newest proven backup of kajovo_hotel is old" in done.out
    assert re.search(r"^waits for json-1: \[kajovo_dr .*CRITICAL.*, 1 attempts: ", done.out, re.M)
    document = shell("alert", "--json").ok().json()
    assert document["channels"] == [{"name": "json-1", "severities": ["critical", "warning"]}]
    assert document["ledger"]["standings"]["rpo"]["told"] == "critical"


def test_a_trial_goes_through_every_channel(shell: Shell) -> None:
    with HttpReceiver(f"/{PATH_SECRET}") as receiver, MailReceiver(password=MAIL_PASSWORD) as mail:
        words = ("alert", "--test", "--who", "Řehoř")
        done = shell(*words, alert_urls=receiver.url, alert_critical_urls=mail.url).ok()
        assert [line.split(":")[0] for line in done.out.splitlines()] == [
            "ok json-1",
            "ok mailto-2",
        ]
        assert "whether it reaches the mailbox is not known" in done.out
        assert "Why: kajovo-dr alert --test, Řehoř" in receiver.requests[0].json["message"]
        assert "TEST: alerts arrive here" in mail.mails[0].subject
        mail.reject(550)
        failed = shell(*words, "--json", alert_urls=receiver.url, alert_critical_urls=mail.url)
        assert failed.code == AlertFailed.exit_code
        assert [each["arrived"] for each in failed.json()] == [True, False]
        assert failed.err == ""
        failed = shell(*words, alert_urls=receiver.url, alert_critical_urls=mail.url)
        assert failed.code == AlertFailed.exit_code
        assert "FAIL mailto-2: " in failed.out
        assert "error: 1 of 2 channels failed: mailto-2: " in failed.err


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_a_trial_without_a_channel_is_an_error(shell: Shell, words: tuple[str, ...]) -> None:
    done = shell("alert", "--test", *words)
    assert done.code == NotConfigured.exit_code
    assert "error: no alert channel is configured: nobody would be told of anything" in done.err


def test_a_url_that_cannot_be_read_is_named_and_keeps_nothing_from_the_others(
    shell: Shell, receiver: HttpReceiver
) -> None:
    urls = f"nic://{PATH_SECRET} {receiver.url}"
    wrong = "KAJOVO_DR_ALERT_URLS: the 1st URL is of no service"
    listed = shell("alert", alert_urls=urls).ok()
    assert wrong in listed.out
    assert "json-2" in listed.out
    tried = shell("alert", "--test", alert_urls=urls)
    assert tried.code == AlertFailed.exit_code
    assert wrong in tried.err
    assert len(receiver.requests) == 1


def test_a_watch_that_cannot_look_says_so_once_a_day_without_its_ledger(
    shell: Shell, receiver: HttpReceiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with HttpReceiver(f"/{PATH_SECRET}/switch") as switch:
        for _ in range(2):
            done = shell("watchdog", rpo_hours="24h", watchdog_url=switch.plain_url)
            assert done.code == 3
        assert [each.path.rpartition("/")[2] for each in switch.requests] == ["fail", "fail"]
    (told,) = [each.json for each in receiver.requests]
    assert "CRITICAL: the watch cannot look" in told["title"]
    assert "KAJOVO_DR_RPO_HOURS" in told["message"]


# --- metrics


def test_metrics_are_printed_or_written(shell: Shell, settings: Settings, tmp_path: Path) -> None:
    backed_up(settings)
    out = shell("metrics").ok().out
    assert 'kajovo_dr_condition{key="rpo",level="ok"} 0' in out
    assert out.endswith("# EOF\n")
    path = tmp_path / "kajovo_dr.prom"
    assert shell("metrics", "--output", str(path)).ok().out == ""
    names = [re.sub(r" .*", "", line) for line in out.splitlines()]
    assert [re.sub(r" .*", "", line) for line in path.read_text().splitlines()] == names
    done = shell("metrics", "--output", str(tmp_path / "chybí" / "x.prom"))
    assert done.code == 36
    assert "cannot write" in done.err


# --- a state folder that cannot be written


@as_root
def test_a_state_folder_that_cannot_be_written_is_an_error_and_no_bug(
    shell: Shell, settings: Settings, receiver: HttpReceiver
) -> None:
    backed_up(settings, hours=25)
    state = str(settings.state)
    subprocess.run(["mount", "--bind", state, state], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", state], check=True)
        done = shell("watchdog")
        assert done.code == 3
        assert done.out.startswith(f"KAJOVO_DR UNKNOWN - cannot write {settings.state}")
        assert receiver.requests == []
        done = shell("status")
        assert done.code == NotProtected.exit_code
        assert "critical the newest proven backup of kajovo_hotel is old" in done.out
        assert "is broken" not in done.out
        assert "nobody can say" not in done.out
        assert shell("alert").ok()
        assert 'key="rpo",level="critical"' in shell("metrics").ok().out
    finally:
        subprocess.run(["umount", state], check=True)
