"""Under test: that stopping means stopped, and that no message shows a hook's URL."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from kajovo_dr.errors import CommandMissing, ControlFailed, SettingError, ToolTimeout
from kajovo_dr.recovery import control
from kajovo_dr.settings import Settings
from kajovo_dr_tests.recovery.conftest import Desk, settings_for
from kajovo_dr_tests.recovery.http_servers import hang, misbehaving, nobody, serving_last

SECRET = "t4jn3-h4k"


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


class Hooks:
    """An application with two doors that stop and start it; `answer` goes before."""

    def __init__(self) -> None:
        self.up = True
        self.asked: list[tuple[str, str]] = []
        self.cookies: list[str | None] = []
        self.answer: Response | None = None
        self.stops_after = 1
        self.app = Starlette(
            routes=[
                Route("/ready", self._ready),
                Route("/{path:path}", self._door, methods=["POST"]),
            ]
        )

    def _ready(self, request: Request) -> Response:
        self.cookies.append(request.headers.get("cookie"))
        if not self.up and self.stops_after:
            self.stops_after -= 1
            return JSONResponse({"status": "ready"})
        return JSONResponse({"status": "ready" if self.up else "closed"}, 200 if self.up else 503)

    def _door(self, request: Request) -> Response:
        self.asked.append((request.method, request.url.path))
        if self.answer is not None:
            return self.answer
        self.up = request.url.path.startswith("/start")
        return Response(status_code=204)


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[str, list[Hooks]]]:
    each: list[Hooks] = []
    with serving_last(each) as url:
        yield url, each


@pytest.fixture
def hooks(place: tuple[str, list[Hooks]]) -> Hooks:
    place[1].append(Hooks())
    return place[1][-1]


@pytest.fixture
def settings(hooks: Hooks, place: tuple[str, list[Hooks]]) -> Settings:
    return settings_for(
        place[0],
        app_stop_url=f"{place[0]}/stop/{SECRET}",
        app_start_url=f"{place[0]}/start/{SECRET}",
    )


@pytest.fixture
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The patience with an application that goes on to answer."""
    monkeypatch.setattr(control, "_GONE_WITHIN_S", 0.3)


def test_without_a_command_or_a_url_nothing_is_done() -> None:
    settings = Settings.load()
    assert control.how_to_stop(settings) == control.how_to_start(settings) == ""
    assert control.stop(settings) == control.start(settings) == ""


def test_the_ways_are_told_in_words_without_the_url(settings: Settings) -> None:
    assert control.how_to_stop(settings) == "POST to KAJOVO_DR_APP_STOP_URL"
    assert control.how_to_start(settings) == "POST to KAJOVO_DR_APP_START_URL"
    named = settings.with_overrides(
        app_stop_command=("docker", "compose", "stop", "api"),
        app_start_command=("start it", "http://me:tajné@host/"),
    )
    assert control.how_to_stop(named) == "KAJOVO_DR_APP_STOP_COMMAND (docker)"
    assert control.how_to_start(named) == "KAJOVO_DR_APP_START_COMMAND (start it)"


def test_a_hook_stops_and_starts_the_application(settings: Settings, hooks: Hooks) -> None:
    seen: list[str] = []
    stopped = control.stop(settings, progress=lambda phase, done, total: seen.append(phase))
    assert stopped.startswith("POST to KAJOVO_DR_APP_STOP_URL: answer 204 in ")
    assert stopped.endswith("; it is no longer ready")
    assert seen == ["stop the application", "stop the application: is it down?"]
    assert not hooks.up
    assert len(hooks.cookies) == 2  # it answered once more, as one that shuts down may
    assert control.start(settings).startswith("POST to KAJOVO_DR_APP_START_URL: answer 204 in ")
    assert hooks.up
    assert hooks.asked == [("POST", f"/stop/{SECRET}"), ("POST", f"/start/{SECRET}")]
    assert len(hooks.cookies) == 2  # whether it is ready again is asked elsewhere


def test_a_command_goes_before_a_url_and_gets_no_secret_of_ours(
    settings: Settings, hooks: Hooks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAJOVO_DR_APP_PASSWORD", "tajné")
    monkeypatch.setenv("PGPASSWORD", "tajné")
    monkeypatch.setenv("DOCKER_HOST", "tcp://10.0.0.1")
    env = tmp_path / "env"
    code = f"import json, os; open({str(env)!r}, 'w').write(json.dumps(dict(os.environ)))"
    hooks.up = False
    given = settings.with_overrides(app_stop_command=python(code))
    assert ": exit code 0 in " in control.stop(given)
    assert hooks.asked == []
    assert "tcp://10.0.0.1" in env.read_text()
    assert "tajn" not in env.read_text()
    assert "KAJOVO_DR" not in env.read_text()


@pytest.mark.usefixtures("_soon")
def test_an_exit_code_is_no_proof(desk: Desk) -> None:
    settings = desk.settings(app_stop_command=python(""))
    with pytest.raises(
        ControlFailed,
        match=r"exit code 0 in .*, but the application still answers that it is ready",
    ) as refused:
        control.stop(settings)
    assert "KAJOVO_DR_APP_STOP_COMMAND" in refused.value.hint
    assert "KAJOVO_DR_APP_STOP_VERIFIED" in refused.value.hint


def test_maintenance_mode_that_leaves_readiness_is_not_verified(desk: Desk) -> None:
    settings = desk.settings(app_stop_command=python(""), app_stop_verified=False)
    assert "exit code 0" in control.stop(settings)
    assert desk.front.ready_cookies == []


def test_an_application_without_a_url_cannot_be_verified() -> None:
    assert "exit code 0" in control.stop(Settings.load(app_stop_command=python("")))


def test_an_application_that_hangs_counts_as_stopped() -> None:
    with misbehaving(hang) as (url, _):
        settings = settings_for(url, app_timeout_s=0.2, app_stop_command=python(""))
        assert control.stop(settings).endswith("; it is no longer ready")


def test_a_failed_command_is_told_with_its_last_lines(hooks: Hooks, settings: Settings) -> None:
    code = "import sys; sys.stderr.write('Error: no such service: api (://u:tajné@h)'); sys.exit(3)"
    given = settings.with_overrides(app_stop_command=python(code), app_start_command=python(code))
    told = r"exit code 3: Error: no such service: api \(://u:\*\*\*@h\)"
    with pytest.raises(ControlFailed, match=f"application was not stopped: .*{told}") as refused:
        control.stop(given)
    assert "KAJOVO_DR_APP_STOP_COMMAND" in refused.value.hint
    with pytest.raises(ControlFailed, match=f"application was not started: .*{told}"):
        control.start(given)
    assert hooks.cookies == [None]  # asked once, whether it is there at all


def test_a_failed_command_that_speaks_on_standard_output_only_is_quoted_too() -> None:
    settings = Settings.load(app_start_command=python("print('a\\nno such service'); exit(1)"))
    with pytest.raises(ControlFailed, match=r"exit code 1: no such service$"):
        control.start(settings)


def test_a_command_that_does_not_end_is_stopped() -> None:
    command = python("import time; time.sleep(60)")
    settings = Settings.load(app_start_command=command, app_control_timeout_s=0.3)
    with pytest.raises(ToolTimeout, match=r"was not started: .* did not end within 0.3 s") as late:
        control.start(settings)
    assert "must not keep its output" in late.value.hint


def test_a_command_that_is_missing_is_named() -> None:
    with pytest.raises(CommandMissing, match="cannot start stop-the-hotel"):
        control.stop(Settings.load(app_stop_command=("stop-the-hotel",)))


def shown(raised: pytest.ExceptionInfo[Any]) -> str:
    return f"{raised.value.described()} {raised.getrepr(chain=True, style='native')}"


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (PlainTextResponse(f"cannot POST /stop/{SECRET}", 404), 404),
        (RedirectResponse(f"/start/{SECRET}", 307), 307),
        (PlainTextResponse("", 500), 500),
    ],
)
def test_a_refusing_hook_is_told_without_its_url(
    settings: Settings, hooks: Hooks, answer: Response, status: int
) -> None:
    hooks.answer = answer
    with pytest.raises(
        ControlFailed, match=f"KAJOVO_DR_APP_STOP_URL answered {status}$"
    ) as refused:
        control.stop(settings)
    assert len(hooks.asked) == 1
    assert SECRET not in shown(refused)


def test_a_hook_that_nobody_answers_is_told_without_its_url() -> None:
    with nobody() as url:
        settings = Settings.load(app_start_url=f"{url}/{SECRET}")
        with pytest.raises(
            ControlFailed, match=r"no answer from .*_START_URL \(Connect"
        ) as refused:
            control.start(settings)
    assert SECRET not in shown(refused)


def test_a_hook_that_hangs_is_given_up() -> None:
    with misbehaving(hang) as (url, requests):
        settings = Settings.load(app_stop_url=f"{url}/{SECRET}", app_control_timeout_s=0.3)
        with pytest.raises(ToolTimeout, match=r"STOP_URL did not answer within 0.3 s") as late:
            control.stop(settings)
        assert requests[0].startswith(b"POST /")
    assert SECRET not in shown(late)


@pytest.mark.parametrize(
    "url", [f"host/{SECRET}", f"ftp://h/{SECRET}", f"http://h:{SECRET}/", "http://[::1"]
)
def test_a_url_that_is_none_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(SettingError, match="KAJOVO_DR_APP_STOP_URL is not a URL") as refused:
        control.stop(Settings.load(app_stop_url=url))
    assert SECRET not in shown(refused)


def test_no_log_shows_the_url(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    before = list(logging.getLogger("httpx").filters)
    control.start(settings)
    assert SECRET not in caplog.text
    assert logging.getLogger("httpx").filters == before


def test_no_proxy_of_the_environment_sees_the_url(
    settings: Settings, hooks: Hooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    with misbehaving(hang) as (proxy, requests):
        monkeypatch.setenv("HTTP_PROXY", proxy)
        monkeypatch.setenv("ALL_PROXY", proxy)
        control.start(settings)
        assert requests == []
