"""The smoke test: log in once, read every module, compare with the database, log out.

Belongs here: the report, the order, and what a good answer is. Not here: how the application is
spoken to (``application``) and what the database holds (``expectations``).
"""

from __future__ import annotations

import json
import time
from typing import Any

from pydantic import BaseModel, ConfigDict

from kajovo_dr.errors import NotConfigured, NotReady, SmokeFailed
from kajovo_dr.hotel import Endpoint
from kajovo_dr.postgres.server import Server
from kajovo_dr.progress import Progress, silent
from kajovo_dr.recovery import database_use
from kajovo_dr.recovery.answer import Answer, member
from kajovo_dr.recovery.application import Application, login_body
from kajovo_dr.recovery.expectations import Expectation, expectations
from kajovo_dr.settings import Settings

#: The result that says whether the application works on the tested database.
SAME_DATABASE = "same_database"
#: What a decoder writes for bytes that it cannot read: the trace of a damaged encoding.
_REPLACEMENT = "\ufffd"


class EndpointResult(BaseModel):
    """What one endpoint did. count: found in the answers; expected: found in the database."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    module: bool
    required: bool
    ok: bool
    skipped: bool = False
    status: int | None = None
    count: int | None = None
    expected: int | None = None
    seconds: float = 0.0
    detail: str = ""


class SmokeReport(BaseModel):
    """All endpoints of one smoke test, in the order of the settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    results: tuple[EndpointResult, ...]
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether every required endpoint passed; a report of nothing proves nothing."""
        return bool(self.results) and not self.failures

    @property
    def failures(self) -> tuple[EndpointResult, ...]:
        """Required endpoints that failed."""
        return tuple(result for result in self.results if result.required and not result.ok)

    @property
    def warnings(self) -> tuple[EndpointResult, ...]:
        """Other endpoints that failed."""
        return tuple(result for result in self.results if not (result.required or result.ok))

    def raise_for_failures(self) -> None:
        """Raise `SmokeFailed`, naming every failed endpoint."""
        if not self.ok:
            named = "; ".join(f"{result.name}: {result.detail}" for result in self.failures)
            raise SmokeFailed(
                f"{len(self.failures)} of {len(self.results)} endpoints failed: {named}"
            )


def smoke(settings: Settings, server: Server, *, progress: Progress = silent) -> SmokeReport:
    """Run the smoke test of the application that works on the server's database.

    Raises `NotConfigured`, `NotReady`, `LoginRefused` and the server's errors; what an endpoint
    does wrong is in the report.
    """
    began = time.monotonic()
    endpoints = (*settings.app_modules, *settings.app_extras)
    if not endpoints:
        raise NotConfigured(
            "KAJOVO_DR_APP_MODULES and KAJOVO_DR_APP_EXTRAS are empty: nothing would be tested",
            hint="list at least one endpoint.",
        )
    credentials = login_body(settings)
    expected = expectations(server, endpoints)
    if settings.app_uses_database:
        with database_use.watched(server) as use:
            results = _asked(settings, credentials, endpoints, expected, progress)
        results.append(_same_database(server, seen=use.seen))
    else:
        results = _asked(settings, credentials, endpoints, expected, progress)
    results = _allowing_for_guests(server, endpoints, expected, results)
    return SmokeReport(results=tuple(results), seconds=time.monotonic() - began)


def _asked(
    settings: Settings,
    credentials: dict[str, Any] | None,
    endpoints: tuple[Endpoint, ...],
    expected: tuple[Expectation, ...],
    progress: Progress,
) -> list[EndpointResult]:
    """Log in once, ask every endpoint, log out."""
    results = []
    with Application(settings) as application:
        if credentials is None:
            application.get(settings.app_ready_path)  # raises NotReady when nobody answers
        else:
            application.login(credentials)
        try:
            for number, (endpoint, expectation) in enumerate(zip(endpoints, expected, strict=True)):
                progress(f"smoke: {endpoint.name}", 0, None)
                module = number < len(settings.app_modules)
                results.append(_result(application, endpoint, expectation, module=module))
        finally:
            trouble = application.logout()
    if trouble:
        results.append(
            EndpointResult(name="logout", module=False, required=False, ok=False, detail=trouble)
        )
    return results


def _allowing_for_guests(
    server: Server,
    endpoints: tuple[Endpoint, ...],
    before: tuple[Expectation, ...],
    results: list[EndpointResult],
) -> list[EndpointResult]:
    """People write while the test reads: a list may have any length between both counts."""
    if not any(_only_differs(result) for result in results):
        return results
    after = {
        each.name: now for each, now in zip(endpoints, expectations(server, endpoints), strict=True)
    }
    then = {each.name: count for each, count in zip(endpoints, before, strict=True)}
    return [
        result.model_copy(update={"ok": True, "detail": "", "expected": after[result.name].count})
        if _only_differs(result) and _between(then[result.name], result.count, after[result.name])
        else result
        for result in results
    ]


def _only_differs(result: EndpointResult) -> bool:
    return not result.ok and result.detail == _difference(result.count, result.expected)


def _between(before: Expectation, count: int | None, after: Expectation) -> bool:
    ends = (before.count, after.count)
    return None not in ends and min(map(int, ends)) <= (count or 0) <= max(map(int, ends))  # type: ignore[arg-type]


def _difference(count: int | None, expected: int | None) -> str:
    return f"the application lists {count or 0}, the database has {expected}"


def _same_database(server: Server, *, seen: bool) -> EndpointResult:
    """Without this the other results may be those of another database."""
    detail = "" if seen else f"the application has no session in {server.dbname!r}: it uses another"
    return EndpointResult(name=SAME_DATABASE, module=False, required=True, ok=seen, detail=detail)


class _Wrong(Exception):
    """An answer is not what it must be; the text says why."""


def _result(
    application: Application, endpoint: Endpoint, expectation: Expectation, *, module: bool
) -> EndpointResult:
    began = time.monotonic()
    facts: dict[str, Any] = {
        "name": endpoint.name,
        "module": module,
        "required": endpoint.required,
        "expected": expectation.count,
        "detail": expectation.trouble or expectation.skipped,
    }
    if expectation.trouble or expectation.skipped:
        return EndpointResult(**facts, ok=not expectation.trouble, skipped=not expectation.trouble)
    try:
        for path in expectation.paths:
            answer = application.get(path)
            facts["status"] = answer.status
            if (count := _checked(answer, path, endpoint)) is not None:
                facts["count"] = facts.get("count", 0) + count
        _compare(facts.get("count"), expectation.count)
    except (NotReady, _Wrong) as wrong:
        facts["detail"] = str(wrong)
    return EndpointResult(**facts, ok=not facts["detail"], seconds=time.monotonic() - began)


def _compare(count: int | None, expected: int | None) -> None:
    if expected is not None and count != expected:
        raise _Wrong(_difference(count, expected))


def _checked(answer: Answer, path: str, endpoint: Endpoint) -> int | None:
    """Refuse a wrong answer; return the length of its list, None when it is no list."""
    if answer.status != 200:
        raise _Wrong(f"{path} {answer.described()}")
    if answer.is_html:
        raise _Wrong(f"{path} answered 200 with HTML instead of {endpoint.expect}")
    if endpoint.expect == "bytes":
        if not answer.body:
            raise _Wrong(f"{path} answered 200 without a body")
        return None
    return _length(_json(answer, path), path, endpoint)


def _json(answer: Answer, path: str) -> Any:
    if not answer.is_json:
        raise _Wrong(f"{path} answered 200 with {answer.content_type or 'no type'} instead of JSON")
    try:
        value = answer.json()
    except ValueError as failure:
        raise _Wrong(f"{path} answered 200 with broken JSON: {failure}") from None
    if found := json.dumps(value, ensure_ascii=False).count(_REPLACEMENT):
        raise _Wrong(f"{path} holds {found} replacement characters (U+FFFD): a damaged encoding")
    return value


def _length(value: Any, path: str, endpoint: Endpoint) -> int | None:
    listed = member(value, endpoint.items)
    if isinstance(listed, list):
        return len(listed)
    if endpoint.items and isinstance(listed, int) and not isinstance(listed, bool):
        return listed
    if endpoint.count_sql:
        where = f"its member {endpoint.items}" if endpoint.items else "the answer"
        raise _Wrong(f"{path}: {where} is no list")
    return None
