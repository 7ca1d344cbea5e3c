"""Under test: that waiting is bounded whatever the other side does, and that the reason is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.responses import JSONResponse, PlainTextResponse, Response

from kajovo_dr.errors import NotConfigured, NotReady, SettingError
from kajovo_dr.recovery.readiness import wait_until_ready
from kajovo_dr.settings import Settings
from kajovo_dr_tests.recovery.conftest import Desk, settings_for
from kajovo_dr_tests.recovery.front_desk import ERROR_500, HTML
from kajovo_dr_tests.recovery.http_servers import drip, hang, misbehaving, nobody, say

OK_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def test_a_ready_application_is_ready_at_the_first_attempt(desk: Desk) -> None:
    readiness = wait_until_ready(desk.settings())
    assert (readiness.attempts, readiness.status) == (1, 200)
    assert readiness.url == f"{desk.url}/ready"
    assert readiness.body == {"status": "ready", "request_id": "1"}


def test_no_cookie_is_sent_although_the_application_sets_one(desk: Desk) -> None:
    desk.front.answers["/ready"] = JSONResponse({}, 503, headers={"set-cookie": "a=b"})
    with pytest.raises(NotReady):
        wait_until_ready(desk.settings())
    assert desk.front.ready_cookies == [None, None]


def test_one_stale_error_after_a_restart_of_the_database_is_survived(desk: Desk) -> None:
    desk.front.answers["/ready"] = JSONResponse({"detail": "database not ready"}, 503)
    pauses: list[float] = []

    def recover(seconds: float) -> None:
        pauses.append(seconds)
        desk.front.answers.clear()

    readiness = wait_until_ready(desk.settings(app_ready_pause_s=7), sleep=recover)
    assert (readiness.attempts, pauses) == (2, [7])


def test_the_attempts_are_bounded_and_the_last_reason_is_told(desk: Desk) -> None:
    desk.front.answers["/ready"] = JSONResponse({"detail": "database not ready"}, 503)
    pauses: list[float] = []
    with pytest.raises(NotReady, match=r"after 4 attempts: .*/ready answered 503: .*not ready"):
        wait_until_ready(desk.settings(app_ready_attempts=4), sleep=pauses.append)
    assert len(desk.front.ready_cookies) == 4
    assert len(pauses) == 3


def test_progress_names_the_attempt(desk: Desk) -> None:
    seen: list[str] = []
    wait_until_ready(desk.settings(), progress=lambda phase, done, total: seen.append(phase))
    assert seen == ["readiness: attempt 1 of 2"]


def test_an_application_that_is_down_is_not_ready() -> None:
    with nobody() as url, pytest.raises(NotReady, match=r"after 2 attempts: no answer from"):
        wait_until_ready(settings_for(url))


def test_an_application_that_hangs_is_not_ready() -> None:
    with misbehaving(hang) as (url, requests):
        with pytest.raises(NotReady, match=r"after 2 attempts: .*did not answer within 0.2 s"):
            wait_until_ready(settings_for(url, app_timeout_s=0.2))
        assert len(requests) == 2


@pytest.mark.parametrize(
    "head",
    [b"", OK_HEAD + b"X-Endless: ", OK_HEAD + b"\r\n{", OK_HEAD + b"Content-Length: 9999\r\n\r\n"],
    ids=["status line", "header", "body without end", "body with a length"],
)
def test_a_server_that_drips_bytes_does_not_hold_us(head: bytes) -> None:
    with (
        misbehaving(drip(head)) as (url, _),
        pytest.raises(NotReady, match=r"did not answer within 0.2 s|no answer from"),
    ):
        wait_until_ready(settings_for(url, app_timeout_s=0.2, app_ready_attempts=1))


def test_a_server_that_does_not_speak_http_is_not_ready() -> None:
    with (
        misbehaving(say(b"SSH-2.0-OpenSSH\r\n")) as (url, _),
        pytest.raises(NotReady, match="no answer from"),
    ):
        wait_until_ready(settings_for(url))


def test_a_web_front_end_that_answers_every_path_is_named(desk: Desk) -> None:
    desk.front.answers["/ready"] = HTML
    with pytest.raises(NotReady, match="answered 200 with HTML") as refused:
        wait_until_ready(desk.settings())
    assert "web front end" in refused.value.hint


def test_a_refused_host_is_told_at_once(desk: Desk) -> None:
    pauses: list[float] = []
    settings = desk.settings(app_host_header="elsewhere.cz")
    with pytest.raises(NotReady, match="answered 400: Invalid host header") as refused:
        wait_until_ready(settings, sleep=pauses.append)
    assert "KAJOVO_DR_APP_HOST_HEADER" in refused.value.hint
    assert pauses == []


def test_the_host_header_of_the_settings_is_sent(desk: Desk) -> None:
    assert wait_until_ready(desk.settings(app_host_header="hotel.cz")).attempts == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (ERROR_500, "answered 500: Internal Server Error"),
        (PlainTextResponse("ready"), "answered 200 with text/plain, not JSON"),
        (Response(b"{", media_type="application/json"), "answered 200 with broken JSON"),
        (Response(b"\xff", media_type="application/json"), "answered 200 with broken JSON"),
        (Response(b"[" * 200_000, media_type="application/json"), "answered 200 with broken JSON"),
        (JSONResponse({"status": "starting"}), "status is 'starting' instead of 'ready'"),
        (JSONResponse(["ready"]), "status is None instead of 'ready'"),
        (JSONResponse({}, 302, {"location": "/login"}), "answered 302, a redirect to /login"),
    ],
)
def test_a_wrong_answer_is_not_ready(desk: Desk, answer: Response, reason: str) -> None:
    desk.front.answers["/ready"] = answer
    with pytest.raises(NotReady, match=reason):
        wait_until_ready(desk.settings())


def test_an_application_may_be_ready_in_plain_text(desk: Desk) -> None:
    desk.front.answers["/ready"] = PlainTextResponse("vše OK")
    assert wait_until_ready(desk.settings(app_ready_body="OK")).body == "vše OK"
    with pytest.raises(NotReady, match="without the text 'running'"):
        wait_until_ready(desk.settings(app_ready_body="running"))


def test_without_a_base_url_the_missing_setting_is_named() -> None:
    with pytest.raises(NotConfigured, match="KAJOVO_DR_APP_BASE_URL"):
        wait_until_ready(Settings.load(app_base_url=""))


@pytest.mark.parametrize(
    "url", ["localhost:8202", "ftp://localhost", "http://", "http://h:port", "http://[::1"]
)
def test_a_base_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(SettingError, match="KAJOVO_DR_APP_BASE_URL is not a URL"):
        wait_until_ready(settings_for(url))


def test_credentials_in_the_base_url_are_refused_and_not_repeated() -> None:
    with pytest.raises(SettingError, match="holds a user or a password") as refused:
        wait_until_ready(settings_for("http://admin:hunter2@localhost"))
    assert "hunter2" not in refused.value.described()


def test_a_ca_file_that_is_missing_is_named(desk: Desk, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"KAJOVO_DR_APP_CA_FILE: cannot use .*nowhere"):
        wait_until_ready(desk.settings(app_ca_file=tmp_path / "nowhere.pem"))
