"""How the hotel API speaks HTTP: JSON answers and refusals, request ids, CSRF, the session cookie.

Belongs here: what every endpoint shares. Not here: any one endpoint, or SQL.
"""

from __future__ import annotations

import hmac
import logging
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware.base import RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from kajovo_dr.sandbox import access

Model = TypeVar("Model", bound=BaseModel)

SESSION_COOKIE = "kajovo_session"
CSRF_COOKIE = "kajovo_csrf"
_log = logging.getLogger("uvicorn.error")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Invalid(Exception):
    """The request does not fit its model."""

    def __init__(self, errors: list[Any]) -> None:
        super().__init__("invalid request")
        self.errors = errors


def parsed(model: type[Model], body: bytes) -> Model:
    """The request's body; raises `Invalid` (422)."""
    try:
        return model.model_validate_json(body)
    except ValidationError as wrong:
        raise Invalid(_errors(wrong)) from None


def query(request: Request, name: str, kind: TypeAdapter[Any]) -> Any:
    """A required query parameter; raises `Invalid` (422)."""
    try:
        return kind.validate_python(request.query_params.get(name))
    except ValidationError as wrong:
        raise Invalid(_errors(wrong)) from None


def answer(model: BaseModel, status: int = 200) -> Response:
    """One validated object."""
    return Response(model.model_dump_json(), status, media_type="application/json")


def answers(kind: TypeAdapter[Any], rows: list[dict[str, Any]]) -> Response:
    """A list, validated as a whole: a bad row raises, which Starlette turns into a 500."""
    return Response(kind.dump_json(kind.validate_python(rows)), media_type="application/json")


def get(path: str, endpoint: Callable[..., Any]) -> Route:
    """A route for GET alone; Starlette would add HEAD, which the hotel answers with 405."""
    route = Route(path, endpoint)
    route.methods = {"GET"}
    return route


async def refused(_: Request, failure: Exception) -> Response:
    """A refusal as ``{"detail": ...}``."""
    assert isinstance(failure, HTTPException)
    return JSONResponse({"detail": failure.detail}, failure.status_code, failure.headers)


async def invalid(_: Request, failure: Exception) -> Response:
    """What is wrong with the request."""
    assert isinstance(failure, Invalid)
    return JSONResponse({"detail": failure.errors}, 422)


async def request_id(request: Request, call_next: RequestResponseEndpoint) -> Response:
    """Every answer carries the request's id, the caller's own if it sent one."""
    request.state.request_id = request.headers.get("x-request-id") or str(uuid.uuid4())
    response = await call_next(request)
    response.headers["x-request-id"] = request.state.request_id
    return response


async def failures(request: Request, call_next: RequestResponseEndpoint) -> Response:
    """Whatever breaks is a 500. Left to uvicorn, it would also cut the connection, under the feet
    of a client that sends its next request on it.
    """
    try:
        return await call_next(request)
    except Exception:  # noqa: BLE001 - logged, and answered as the hotel does
        _log.exception("%s %s failed", request.method, request.url.path)
        return PlainTextResponse("Internal Server Error", 500)


async def csrf(request: Request, call_next: RequestResponseEndpoint) -> Response:
    """Double submit: header and cookie must agree. Comes before the session is looked at."""
    path = request.url.path
    login = path.startswith("/api/auth/") and path.endswith("/login")
    if request.method not in _SAFE and not login:
        cookie = request.cookies.get(CSRF_COOKIE, "").encode()
        header = request.headers.get("x-csrf-token", "").encode()
        if not cookie or not hmac.compare_digest(cookie, header):
            return JSONResponse({"detail": "CSRF validation failed"}, 403)
    return await call_next(request)


async def session(request: Request, call_next: RequestResponseEndpoint) -> Response:
    """Look up the session of a request that carries one, even for /health, as the hotel does."""
    token = request.cookies.get(SESSION_COOKIE)
    request.state.actor = (
        await run_in_threadpool(access.find, request.app.state.pool, token) if token else None
    )
    return await call_next(request)


def _errors(wrong: ValidationError) -> list[Any]:
    return list(wrong.errors(include_url=False, include_context=False, include_input=False))
