"""The hotel's doors with canned lists behind them: host check, one account, Secure cookies, CSRF.

For tests of how the application is spoken to; the hotel itself is the sandbox.
"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

EMAIL, PASSWORD = "admin@kajovohotel.local", "tajné heslo/1"
HTML = HTMLResponse("<!doctype html><title>Kájovo</title>")


class FrontDesk:
    """`lists`: path -> what it answers. `answers`: path -> a response that goes before all."""

    def __init__(self, lists: dict[str, Any]) -> None:
        self.lists = lists
        self.answers: dict[str, Response] = {}
        self.hung: set[str] = set()
        self.crashing: set[str] = set()
        self.connections: list[int] = []
        self.logins = 0
        self.open_sessions = 0
        self.ready_cookies: list[str | None] = []
        self.app = Starlette(
            routes=[Route("/{path:path}", self._serve, methods=["GET", "POST"])],
            middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "hotel.cz"])],
        )

    async def _serve(self, request: Request) -> Response:
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        assert request.client is not None
        self.connections.append(request.client.port)
        while path in self.hung and not await request.is_disconnected():
            await asyncio.sleep(0.01)
        if path in ("/api/auth/admin/login", "/api/auth/admin/logout", "/ready"):
            return await self._door(request, path)
        if not request.cookies.get("kajovo_session"):
            return JSONResponse({"detail": "Authentication required"}, 401)
        if path in self.crashing:
            raise RuntimeError("one bad row")
        if answer := self.answers.get(path):
            return answer
        if path not in self.lists:
            return JSONResponse({"detail": "Not Found"}, 404)
        return JSONResponse(self.lists[path])

    async def _door(self, request: Request, path: str) -> Response:
        if path == "/ready":
            self.ready_cookies.append(request.headers.get("cookie"))
            ready: Response = JSONResponse({"status": "ready", "request_id": "1"})
            ready.set_cookie("kajovo_csrf", "early", secure=True)
            return self.answers.get(path) or ready
        return self._logout(request) if path.endswith("logout") else await self._login(request)

    async def _login(self, request: Request) -> Response:
        self.logins += 1
        if answer := self.answers.get(request.url.path):
            return answer
        sent = await request.json()
        if sent != {"email": EMAIL, "password": PASSWORD}:
            # FastAPI's validation errors repeat what was sent, so this one does too
            return JSONResponse({"detail": "Invalid credentials", "input": sent}, 401)
        self.open_sessions += 1
        response = JSONResponse({"email": EMAIL, "role": "admin"})
        response.set_cookie("kajovo_session", "s3ssion", httponly=True, secure=True)
        response.set_cookie("kajovo_csrf", "cs/rf", secure=True)
        return response

    def _logout(self, request: Request) -> Response:
        if request.headers.get("x-csrf-token") != request.cookies.get("kajovo_csrf", "missing"):
            return JSONResponse({"detail": "CSRF validation failed"}, 403)
        if answer := self.answers.get(request.url.path):
            return answer
        self.open_sessions -= 1
        return JSONResponse({"ok": True})


ERROR_500 = PlainTextResponse("Internal Server Error", 500)
