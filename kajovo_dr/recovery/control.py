"""Stopping and starting the application, by the commands or the HTTP hooks of the settings.

Belongs here: doing it, and seeing that a stopped application is down: an exit code is no proof. Not
here: waiting until a started one is ready (``readiness``). A hook's URL is a secret: no message
shows it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import SecretStr

from kajovo_dr import process
from kajovo_dr.errors import CommandMissing, ControlFailed, NotReady, SettingError, ToolTimeout
from kajovo_dr.progress import Progress, silent
from kajovo_dr.recovery.answer import Answer
from kajovo_dr.recovery.application import Application
from kajovo_dr.recovery.command_environment import inherited
from kajovo_dr.recovery.exchange import exchange, is_http_url, within
from kajovo_dr.recovery.readiness import is_ready
from kajovo_dr.redact import redacted
from kajovo_dr.settings import PREFIX, Settings

#: Seconds that a stopped application may go on to answer: a hook may return before it is down.
_GONE_WITHIN_S = 5.0
_PAUSE_S = 0.1
#: Seconds for one question whether it is still there.
_ASKED_S = 2.0
_PAST = {"stop": "stopped", "start": "started"}


def how_to_stop(settings: Settings) -> str:
    """How `stop` would do it, in words that may be shown; empty when nothing is configured."""
    return _way(settings, "stop").words


def how_to_start(settings: Settings) -> str:
    """How `start` would do it; as `how_to_stop`."""
    return _way(settings, "start").words


def stop(settings: Settings, *, progress: Progress = silent) -> str:
    """Stop the application; what was done, empty when nothing is configured.

    Raises `ControlFailed` (also when it still says that it is ready), `ToolTimeout`,
    `CommandMissing`.
    """
    way = _way(settings, "stop")
    try:
        said = _done(settings, way, progress)
    except (ControlFailed, ToolTimeout, CommandMissing) as failure:
        if not _is_gone(settings):
            raise
        return f"{failure}; but nothing answers under its address: it counts as stopped"
    if not (said and settings.app_base_url and settings.app_stop_verified):
        return said
    progress("stop the application: is it down?", 0, None)
    limit = min(_ASKED_S, settings.app_timeout_s)
    with Application(settings.with_overrides(app_timeout_s=limit)) as application:
        down = process.wait_until(
            lambda: not is_ready(application, settings), timeout=_GONE_WITHIN_S, pause=_PAUSE_S
        )
    if not down:
        raise ControlFailed(
            f"{said}, but the application still answers that it is ready "
            f"{_GONE_WITHIN_S:g} s later",
            hint=f"look what {way.setting} stops and what KAJOVO_DR_APP_BASE_URL asks; "
            "KAJOVO_DR_APP_STOP_VERIFIED=false when maintenance mode leaves readiness as it is.",
        )
    return f"{said}; it is no longer ready"


def _is_gone(settings: Settings) -> bool:
    """Whether nobody at all answers under the application's address."""
    if not settings.app_base_url:
        return False
    limit = min(_ASKED_S, settings.app_timeout_s)
    with Application(settings.with_overrides(app_timeout_s=limit)) as application:
        try:
            application.get(settings.app_ready_path)
        except NotReady as silent_:
            return "did not answer within" not in str(silent_)  # one that hangs is not gone
    return False


def start(settings: Settings, *, progress: Progress = silent) -> str:
    """Start the application; what was done, empty when nothing is configured.

    Raises `ControlFailed`, `ToolTimeout`, `CommandMissing`. Whether it is ready is asked elsewhere.
    """
    return _done(settings, _way(settings, "start"), progress)


@dataclass(frozen=True)
class _Way:
    """One of a command and a URL, or neither."""

    verb: Literal["stop", "start"]
    command: tuple[str, ...] = ()
    url: SecretStr | None = None

    @property
    def setting(self) -> str:
        return f"{PREFIX}APP_{self.verb.upper()}_{'COMMAND' if self.command else 'URL'}"

    @property
    def words(self) -> str:
        if self.command:  # its words may hold a token, and go into the log for ever
            return f"{self.setting} ({Path(self.command[0]).name})"
        return f"POST to {self.setting}" if self.url else ""

    def failed(self, how: str) -> ControlFailed:
        return ControlFailed(
            f"the application was not {_PAST[self.verb]}: {how}",
            hint=f"mend what {self.setting} does, or {self.verb} the application by hand.",
        )

    def late(self, how: str) -> ToolTimeout:
        return ToolTimeout(
            f"the application was not {_PAST[self.verb]}: {how}",
            hint=f"{self.setting} must return when it is done, and a server that it leaves running "
            "must not keep its output; the limit is KAJOVO_DR_APP_CONTROL_TIMEOUT_S.",
        )


def _way(settings: Settings, verb: Literal["stop", "start"]) -> _Way:
    if verb == "stop":
        return _Way(verb, settings.app_stop_command, settings.app_stop_url)
    return _Way(verb, settings.app_start_command, settings.app_start_url)


def _done(settings: Settings, way: _Way, progress: Progress) -> str:
    if not way.words:
        return ""
    progress(f"{way.verb} the application", 0, None)
    began = time.monotonic()
    act = _run if way.command else _ask
    how = act(way, settings.app_control_timeout_s)
    return f"{way.words}: {how} in {time.monotonic() - began:.1f} s"


def _run(way: _Way, limit: float) -> str:
    try:
        done = process.run(way.command, env=inherited(), timeout=limit)
    except ToolTimeout as late:
        raise way.late(str(late)) from None
    if done.returncode != 0:
        said = done.stdout.decode("utf-8", "replace").strip().splitlines()[-1:]
        told = done.reason if done.stderr.strip() else ": ".join([done.reason, *said])
        raise way.failed(redacted(told))
    return "exit code 0"


def _ask(way: _Way, limit: float) -> str:
    answer = _answered(way, limit)
    # its body and where it redirects to may repeat the URL
    if not 200 <= answer.status < 300:
        raise way.failed(f"{way.setting} answered {answer.status}")
    return f"answer {answer.status}"


def _answered(way: _Way, limit: float) -> Answer:
    import httpx  # late: importing kajovo_dr must stay fast

    url = _checked(way)
    with (
        httpx.Client(timeout=limit, trust_env=False, follow_redirects=False) as client,
        _unlogged(),
    ):
        deadline = time.monotonic() + limit
        try:
            return within(limit, lambda: exchange(client, "POST", url, {}, deadline))
        except (httpx.TimeoutException, TimeoutError):
            raise way.late(f"{way.setting} did not answer within {limit:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as failure:
            # its text may quote the URL
            raise way.failed(f"no answer from {way.setting} ({type(failure).__name__})") from None


def _checked(way: _Way) -> str:
    assert way.url is not None
    url = way.url.get_secret_value()
    if not is_http_url(url):
        raise SettingError(
            f"{way.setting} is not a URL that begins with http:// or https://",
            hint="write it as https://HOST/PATH, or give a command instead.",
        )
    return url


@contextmanager
def _unlogged() -> Iterator[None]:
    """Hold back httpx's log, which has the URL of every request."""

    def refuse(record: logging.LogRecord) -> bool:
        return False

    logger = logging.getLogger("httpx")
    logger.addFilter(refuse)
    try:
        yield
    finally:
        logger.removeFilter(refuse)
