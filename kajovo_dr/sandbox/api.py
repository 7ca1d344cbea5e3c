"""The sandbox hotel's API over real HTTP: ``python -m kajovo_dr.sandbox.api --port N``.

Belongs here: the application put together, health, readiness, start-up. Not here: endpoints of the
modules. It never creates tables: a restore must find its database empty.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from kajovo_dr.errors import DrError
from kajovo_dr.sandbox import login, media, modules, reports, web
from kajovo_dr.sandbox.environment import ApiSettings
from kajovo_dr.sandbox.pool import Pool

_log = logging.getLogger("uvicorn.error")


def create_app(settings: ApiSettings) -> Starlette:
    """The application; it meets the database when it starts."""
    pool = Pool(settings.database)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        try:
            await run_in_threadpool(login.synchronise_admin, pool, settings)
        except psycopg.errors.UndefinedTable:
            _log.warning("the database has no tables; nobody can log in until it is restored")
        yield
        pool.end()

    app = Starlette(
        routes=[
            web.get("/health", _health),
            web.get("/api/health", _health),
            web.get("/ready", _ready),
            *login.ROUTES,
            *modules.ROUTES,
            *reports.ROUTES,
            *media.ROUTES,
        ],
        middleware=[
            Middleware(
                TrustedHostMiddleware,
                allowed_hosts=list(settings.trusted_hosts),
                www_redirect=False,
            ),
            Middleware(BaseHTTPMiddleware, dispatch=web.request_id),
            Middleware(BaseHTTPMiddleware, dispatch=web.failures),
            Middleware(BaseHTTPMiddleware, dispatch=web.csrf),
            Middleware(BaseHTTPMiddleware, dispatch=web.session),
        ],
        exception_handlers={HTTPException: web.refused, web.Invalid: web.invalid},
        lifespan=lifespan,
    )
    app.state.pool, app.state.settings = pool, settings
    return app


def _health(request: Request) -> Response:
    return JSONResponse({"status": "ok", "request_id": request.state.request_id})


def _ready(request: Request) -> Response:
    """Asks for nothing but an answer: empty databases are ready too, as in the hotel."""
    try:
        with request.app.state.pool.session() as session:
            session.execute("SELECT 1")
    except psycopg.Error:
        raise HTTPException(503, "database not ready") from None
    return JSONResponse({"status": "ready", "request_id": request.state.request_id})


def main() -> int:
    """Serve on this machine only, until told to stop."""
    parser = argparse.ArgumentParser(prog="kajovo_dr.sandbox.api", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="TCP port on 127.0.0.1")
    port = parser.parse_args().port
    try:
        settings = ApiSettings.read(os.environ)
    except DrError as failure:
        sys.stderr.write(f"{failure.described()}\n")
        return failure.exit_code
    uvicorn.run(
        create_app(settings),
        host="127.0.0.1",
        port=port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=2,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
