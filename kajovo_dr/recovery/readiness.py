"""Whether the application is ready: its readiness endpoint, asked without a cookie.

Belongs here: bounded waiting and the reasons to give up. Not here: proof that the application
works. The hotel says ready on an empty database too; only ``smoke`` proves anything.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kajovo_dr.errors import NotReady
from kajovo_dr.progress import Progress, silent
from kajovo_dr.recovery.answer import HOST_HINT, HTML_HINT, Answer
from kajovo_dr.recovery.application import Application
from kajovo_dr.settings import Settings


@dataclass(frozen=True)
class Readiness:
    """The answer that counted. body: JSON value, or text where the settings ask for a text."""

    url: str
    attempts: int
    seconds: float
    status: int
    body: Any


def wait_until_ready(
    settings: Settings,
    *,
    progress: Progress = silent,
    sleep: Callable[[float], None] = time.sleep,
) -> Readiness:
    """Ask until the application is ready, at most `app_ready_attempts` times.

    The first answer after a restart of PostgreSQL is an error (an idle pool holds a dead
    connection), so one attempt is never enough. Raises `NotReady` with the last reason.
    """
    began = time.monotonic()
    limit = settings.app_ready_attempts
    reason = NotReady()
    for attempt in range(1, limit + 1):
        progress(f"readiness: attempt {attempt} of {limit}", 0, None)
        try:
            # a new session each time: no cookie and no kept connection may colour the answer
            with Application(settings) as application:
                url = application.url(settings.app_ready_path)
                answer = application.get(settings.app_ready_path)
            body = _ready_body(answer, settings.app_ready_body)
            return Readiness(url, attempt, time.monotonic() - began, answer.status, body)
        except _NeverReady as failure:
            raise NotReady(f"{url} {failure} (attempt {attempt})", hint=failure.hint) from None
        except _NotYetReady as failure:
            reason = NotReady(f"{url} {failure}", hint=failure.hint)
        except NotReady as failure:
            reason = failure
        if attempt < limit:
            sleep(settings.app_ready_pause_s)
    raise NotReady(f"not ready after {limit} attempts: {reason}", hint=reason.hint)


def is_ready(application: Application, settings: Settings) -> bool:
    """Ask once, whether the application says at this moment that it is ready."""
    try:
        _ready_body(application.get(settings.app_ready_path), settings.app_ready_body)
    except NotReady:
        return False
    return True


class _NotYetReady(NotReady):
    """An answer that may become right."""


class _NeverReady(_NotYetReady):
    """An answer that waiting does not change."""


def _ready_body(answer: Answer, wanted: dict[str, Any] | str) -> Any:
    if answer.refuses_host:
        raise _NeverReady(answer.described(), hint=HOST_HINT)
    if answer.is_html:
        raise _NotYetReady(answer.described(), hint=HTML_HINT)
    if answer.status != 200:
        raise _NotYetReady(answer.described())
    if isinstance(wanted, str):
        text = answer.body.decode("utf-8", "replace")
        if wanted not in text:
            raise _NotYetReady(f"answered 200 without the text {wanted!r}")
        return text
    return _ready_json(answer, wanted)


def _ready_json(answer: Answer, wanted: dict[str, Any]) -> Any:
    if not answer.is_json:
        raise _NotYetReady(f"answered 200 with {answer.content_type or 'no type'}, not JSON")
    try:
        body = answer.json()
    except ValueError as failure:
        raise _NotYetReady(f"answered 200 with broken JSON: {failure}") from None
    if wrong := _differences(body, wanted):
        raise _NotYetReady(f"answered 200, but {wrong}")
    return body


def _differences(body: Any, wanted: dict[str, Any]) -> str:
    found = body if isinstance(body, dict) else {}
    return ", ".join(
        f"{name} is {found.get(name)!r} instead of {value!r}"
        for name, value in wanted.items()
        if name not in found or found[name] != value
    )
