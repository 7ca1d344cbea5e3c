"""Under test: what is told of clocks, Dagster's daemon and its UI, the watchdog, the channels."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from kajovo_dr_tests.alerts.receivers import HOST, HttpReceiver
from kajovo_dr_tests.backups.stored import NOON
from kajovo_dr_tests.recovery.http_servers import nobody, serving
from kajovo_dr_tests.watch.conftest import BOOT, HOUR, MINUTE, PATH_SECRET, Told, Watch

DAEMON = "Dagster's daemon gives no sign of life: no backup is scheduled"
PARTS = "parts of Dagster's daemon do not run: SCHEDULER"


@pytest.fixture(autouse=True)
def _well(watch: Watch) -> None:
    """The backups are."""
    watch.set(rpo_warn_hours=10_000, rpo_hours=20_000)
    watch.proven(NOON - 24 * HOUR)


def test_a_clock_that_was_put_forward_is_told_once(watch: Watch) -> None:
    watch.look(NOON)
    ahead = BOOT + 3 * HOUR
    told = watch.one(NOON + 3 * HOUR + 5 * MINUTE, up_since=ahead)
    assert told.head.startswith("WARNING: the clock of ")
    assert (
        "was put forward by 3 h; if it is wrong now, ages of backups are told too high" in told.body
    )
    assert told.lines["Figure"] == "3 h, limit 5 min"
    assert told.lines["Next"] == "kajovo-dr status"
    assert watch.looked.active == ()
    later = NOON + 3 * HOUR
    assert watch.look(later + 6 * MINUTE, "daemon", up_since=ahead) == []
    assert watch.look(later + 10 * MINUTE, up_since=ahead) == []


def test_a_clock_that_was_put_back_is_told_once_whoever_looks_then(watch: Watch) -> None:
    watch.look(NOON - MINUTE)
    watch.look(NOON, "daemon")
    back, now = BOOT - 2 * HOUR, NOON - 2 * HOUR
    told = watch.one(now + 5 * MINUTE, up_since=back)
    assert "was put back by 2 h; if it is wrong now, ages of backups are told too low" in told.body
    assert watch.look(now + 10 * MINUTE, up_since=back) == []  # the daemon's look lies ahead
    assert watch.look(now + 11 * MINUTE, "daemon", up_since=back) == []
    assert watch.look(now + 12 * MINUTE, "daemon", up_since=back) == []


def test_five_minutes_are_no_jump(watch: Watch) -> None:
    watch.look(NOON)
    assert watch.look(NOON + 10 * MINUTE, up_since=BOOT + 5 * MINUTE) == []
    assert len(watch.look(NOON + 30 * MINUTE, up_since=BOOT + 11 * MINUTE)) == 1


def test_a_machine_that_was_off_says_nothing_of_its_clock_unless_it_went_back(watch: Watch) -> None:
    watch.look(NOON)
    assert watch.look(NOON + 9 * HOUR, up_since=NOON + 8.9 * HOUR) == []
    told = watch.one(NOON - 3 * HOUR, up_since=NOON - 3.1 * HOUR)
    assert "was put back by 12 h" in told.body


def test_a_clock_is_told_in_czech(watch: Watch) -> None:
    watch.set(language="cs")
    watch.look(NOON)
    told = watch.one(NOON + 2 * HOUR, up_since=BOOT + 2 * HOUR)
    assert "byly posunuty o 2 h dopředu" in told.head


def test_a_daemon_that_never_looked_is_told_and_that_it_has(watch: Watch) -> None:
    watch.set(watch_dagster=True)
    told = watch.one(NOON)
    assert told.head == (
        "CRITICAL: Dagster's daemon has never looked: nobody knows whether backups are scheduled"
    )
    assert watch.levels["daemon"] == "unknown"
    assert told.lines["Figure"] == "none, limit 15 min"
    assert told.lines["Next"] == "kajovo-dr up"
    assert watch.look(NOON + 5 * MINUTE) == []
    over = watch.one(NOON + 6 * MINUTE, "daemon")
    assert over.head.startswith("OVER: Dagster's daemon has never looked")
    assert over.lines["Now"] == "Dagster's daemon lives"


def test_a_daemon_that_fell_silent_is_told_until_it_looks_again(watch: Watch) -> None:
    watch.set(watch_dagster=True)
    watch.look(NOON, "daemon")
    assert watch.look(NOON + 15 * MINUTE) == []
    told = watch.one(NOON + 20 * MINUTE)
    assert told.head == f"CRITICAL: {DAEMON}"
    assert told.lines["Since"] == "2026-11-23 13:00:00 CET"
    assert told.lines["Figure"] == "20 min, limit 15 min"
    assert watch.look(NOON + 25 * MINUTE) == []
    over = watch.one(NOON + 30 * MINUTE, "daemon")
    assert over.head == f"OVER: {DAEMON}"
    assert over.lines["It lasted"] == "30 min"


def test_a_watchdog_that_fell_silent_is_told_by_the_daemon(watch: Watch) -> None:
    watch.set(watchdog_silent_minutes=60)
    assert watch.look(NOON, "daemon") == []  # nobody is missed that never was
    watch.look(NOON + MINUTE)
    assert watch.look(NOON + 61 * MINUTE, "daemon") == []
    told = watch.one(NOON + 63 * MINUTE, "daemon")
    assert told.head.startswith("WARNING: the watchdog no longer looks: nobody would notice")
    assert told.lines["Figure"] == "1 h 02 min, limit 1 h"
    assert told.lines["Next"] == "kajovo-dr watchdog --install-help"
    assert watch.one(NOON + 70 * MINUTE).head.startswith("OVER: the watchdog no longer")


@dataclass
class Ui:
    """A Dagster UI as far as the watchdog asks it."""

    url: str = ""
    status: int = 200
    body: bytes = b""

    def parts(self, **healthy: bool) -> None:
        statuses = [
            {"daemonType": name, "required": True, "healthy": well}
            for name, well in healthy.items()
        ]
        statuses.append({"daemonType": "BACKFILL", "required": False, "healthy": False})
        health = {"daemonHealth": {"allDaemonStatuses": statuses}}
        self.status, self.body = 200, json.dumps({"data": {"instance": health}}).encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = Request(scope, receive)
        question = json.loads(await asked.body())["query"]
        right = asked.url.path == "/graphql" and "daemonHealth" in question
        body = self.body if right else b"{}"
        await Response(body, self.status, media_type="application/json")(scope, receive, send)


@pytest.fixture
def ui(watch: Watch) -> Iterator[Ui]:
    """The daemon lives, and so do its parts."""
    page = Ui()
    with serving(page) as page.url:
        page.parts(SCHEDULER=True, SENSOR=True)
        watch.set(watch_dagster=True, ui_url=page.url + "/")
        assert watch.look(NOON - MINUTE, "daemon") == []
        yield page


def later(watch: Watch, minutes: float, *, daemon: bool = True) -> list[Told]:
    """What the watchdog tells, the daemon having looked just before, or not."""
    now = NOON + minutes * MINUTE
    if daemon:
        assert watch.look(now - 0.1 * MINUTE, "daemon") == []
    return watch.look(now)


def test_a_part_of_the_daemon_that_died_is_told_once_it_has_lasted(watch: Watch, ui: Ui) -> None:
    assert later(watch, 0) == []
    ui.parts(SCHEDULER=False, SENSOR=True)
    assert later(watch, 5) == []
    (told,) = later(watch, 10)
    assert told.head == f"CRITICAL: {PARTS}"
    assert told.lines["Next"] == "kajovo-dr up"
    assert later(watch, 15) == []  # although the daemon itself looks
    ui.parts(SCHEDULER=True, SENSOR=True)
    (over,) = later(watch, 20)
    assert over.head == f"OVER: {PARTS}"


def test_the_parts_of_a_daemon_that_is_dead_are_not_told_besides(watch: Watch, ui: Ui) -> None:
    assert later(watch, 0) == []
    ui.parts(SCHEDULER=False, SENSOR=False)
    (told,) = later(watch, 30, daemon=False)
    assert told.head == f"CRITICAL: {DAEMON}"
    assert later(watch, 35, daemon=False) == []
    assert later(watch, 40, daemon=False) == []


def test_a_ui_that_does_not_answer_is_a_warning_and_no_part_has_recovered_by_it(
    watch: Watch, ui: Ui
) -> None:
    ui.parts(SCHEDULER=False)
    later(watch, 0)
    assert len(later(watch, 5)) == 1
    with nobody() as url:
        watch.set(ui_url=url)
        (told,) = later(watch, 10)
        assert told.head == (
            "WARNING: the Dagster UI does not answer: ConnectError, asked at KAJOVO_DR_UI_URL"
        )
        assert set(watch.levels) == {"parts", "ui"}
        # whoever ends it all by one kill is told of one trouble
        assert [each.head for each in later(watch, 40, daemon=False)] == [f"CRITICAL: {DAEMON}"]
    watch.set(ui_url=ui.url)
    ui.parts(SCHEDULER=True)
    assert watch.one(NOON + 50 * MINUTE, "daemon").head == f"OVER: {DAEMON}"
    heads = {each.head.partition(": the ")[0] for each in watch.look(NOON + 51 * MINUTE)}
    assert heads == {f"OVER: {PARTS}", "OVER"}


def test_a_daemon_and_a_ui_that_die_together_are_one_trouble(watch: Watch, ui: Ui) -> None:
    assert later(watch, 0) == []
    with nobody() as url:
        watch.set(ui_url=url)
        (told,) = later(watch, 30, daemon=False)
        assert told.head == f"CRITICAL: {DAEMON}"


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (500, "", "HTTP 500"),
        (404, "{}", "HTTP 404"),
        (200, "<html>", "its answer is none of Dagster's"),
        (200, "[]", "its answer is none of Dagster's"),
        (200, '{"data": null}', "its answer is none of Dagster's"),
        (200, '{"errors": [{"message": "x"}]}', "its answer is none of Dagster's"),
        (
            200,
            '{"data": {"instance": {"daemonHealth": {"allDaemonStatuses": [1]}}}}',
            "its answer is none of Dagster's",
        ),
    ],
)
def test_an_answer_that_is_none_is_told(
    watch: Watch, ui: Ui, status: int, body: str, why: str
) -> None:
    ui.status, ui.body = status, body.encode()
    (told,) = later(watch, 0)
    assert told.head == f"WARNING: the Dagster UI does not answer: {why}, asked at KAJOVO_DR_UI_URL"


def test_a_daemon_that_is_not_used_is_not_missed_and_its_page_not_asked(
    watch: Watch, ui: Ui
) -> None:
    ui.status = 500
    watch.set(watch_dagster=False)
    assert watch.look(NOON + 10 * HOUR) == []


def test_a_channel_that_takes_nothing_is_told_through_the_others(watch: Watch) -> None:
    with HttpReceiver(f"/{PATH_SECRET}/2") as second:
        watch.set(alert_urls=f"{second.url} {watch.receiver.url}", rpo_warn_hours=1, rpo_hours=2)
        second.answer(500)
        assert watch.one(NOON + 3 * HOUR).head.startswith("CRITICAL: the newest proven backup")
        assert watch.look(NOON + 3 * HOUR + 5 * MINUTE) == []
        told = watch.one(NOON + 3 * HOUR + 12 * MINUTE)
        assert told.head.startswith("WARNING: alerts do not arrive through the channel json-1: ")
        assert "500" in told.head
        assert told.lines["Figure"] == "12 min, limit 10 min"
        assert told.lines["Next"] == "kajovo-dr alert --test"
        second.answer(200)
        before = len(second.requests)
        assert watch.look(NOON + 4 * HOUR) == []  # now the waiting message goes there
        assert watch.one(NOON + 4 * HOUR + MINUTE).head.startswith("OVER: alerts do not arrive")
        late = [each.json["title"].partition("] ")[2] for each in second.requests[before:]]
        assert [each[:30] for each in late] == ["CRITICAL: the newest proven ba"]


def test_what_nobody_could_be_told_is_told_once_there_is_a_channel(watch: Watch) -> None:
    url = watch.receiver.url
    watch.set(alert_urls=None, rpo_warn_hours=1, rpo_hours=2)
    assert watch.look(NOON + 3 * HOUR) == []
    assert watch.levels == {"rpo": "critical", "channels_watchdog": "warning"}
    (channels,) = [each for each in watch.looked.active if each.key == "channels_watchdog"]
    assert channels.what == "the watchdog has no alert channel: nobody is told of what it sees"
    watch.set(alert_urls=url)
    assert watch.one(NOON + 4 * HOUR).head.startswith("CRITICAL: the newest proven backup")


def test_a_channel_that_cannot_be_read_is_told_through_the_others(watch: Watch) -> None:
    url = watch.receiver.url
    watch.set(alert_urls=f"{url} nic://{HOST}/{PATH_SECRET}")
    told = watch.one(NOON)
    assert told.head.startswith("CRITICAL: ")
    assert "KAJOVO_DR_ALERT_URLS: the 2nd URL is of no service" in told.lines["What"]
    assert told.lines["Next"] == "kajovo-dr alert --test"
    assert watch.look(NOON + MINUTE) == []
    watch.set(alert_urls=url)
    assert watch.one(NOON + 2 * MINUTE).head.startswith("OVER: ")


def test_where_no_channel_can_be_read_whoever_looks_sees_it(watch: Watch) -> None:
    watch.set(alert_urls=f"nic://{HOST}/{PATH_SECRET}")
    assert watch.look(NOON) == []
    (standing,) = watch.looked.active
    assert (standing.key, standing.level) == ("channels_watchdog", "critical")
    assert "KAJOVO_DR_ALERT_URLS: the 1st URL is of no service" in standing.what
    assert PATH_SECRET not in standing.what


def test_it_is_told_in_czech(watch: Watch) -> None:
    watch.set(language="cs", watch_dagster=True)
    told = watch.one(NOON)
    assert told.head.startswith("KRITICKÉ: démon Dagsteru se ještě nikdy neozval")
    assert told.lines["Hodnota"] == "žádná, limit 15 min"


def test_a_look_of_the_future_is_no_sign_of_life(watch: Watch) -> None:
    watch.set(watch_dagster=True)
    watch.proven(NOON)
    watch.look(NOON + 9 * HOUR, "daemon")  # its clock was ahead
    found = watch.look(NOON + HOUR)
    assert [each.head for each in found if "gives no sign of life" in each.head]


def test_channels_that_take_only_warnings_are_told_of(watch: Watch) -> None:
    watch.set(alert_urls="", alert_warning_urls=watch.receiver.url, rpo_hours=24, rpo_warn_hours=20)
    late = NOON + 48 * HOUR
    told = watch.look(late)
    assert [each.head for each in told] == [
        "WARNING: the watchdog has no channel that takes what is critical"
    ]
    assert watch.levels["rpo"] == "critical"
    watch.set(alert_critical_urls=watch.receiver.url)
    heads = [each.head for each in watch.look(late + MINUTE)]
    assert any(head.startswith("CRITICAL: the newest proven backup") for head in heads)


def test_a_ledger_that_was_put_aside_is_told_of(watch: Watch) -> None:
    watch.proven(NOON)
    watch.look(NOON)
    (watch.settings.state / "alerts.json").write_text("{torn")
    watch.look(datetime.now(UTC))
    found = watch.look(datetime.now(UTC))
    assert [each for each in found if "could not be read and was put aside" in each.body]
