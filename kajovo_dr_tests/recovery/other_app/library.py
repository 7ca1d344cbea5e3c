"""The library's HTTP API and the settings that make kajovo_dr speak to it."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

import psycopg
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from kajovo_dr.postgres.server import Server

#: Its database one revision behind the code, without rows.
FIRST_REVISION = """
CREATE SCHEMA library;
CREATE TABLE library.changes (version_num varchar(32) PRIMARY KEY);
INSERT INTO library.changes VALUES ('first_shelves');
CREATE TABLE library.shelves (id serial PRIMARY KEY, label text NOT NULL);
CREATE TABLE library.books (id serial PRIMARY KEY, title text NOT NULL,
    shelf_id int NOT NULL REFERENCES library.shelves);
"""
CHECKOUT = Path(__file__).with_name("checkout")
ACCOUNT = {"name": "knihovnice", "secret": "žluťoučký/kůň"}


class Library:
    """The API over a database. `log` keeps (method, path, whether a cookie came)."""

    def __init__(self, database: Server) -> None:
        self._database = database
        self.tokens: set[str] = set()
        self.log: list[tuple[str, str, bool]] = []
        routes = [
            Route("/zdravi", self._health),
            Route("/session", self._login, methods=["POST"]),
            Route("/session", self._logout, methods=["DELETE"]),
            Route("/v2/books", self._books),
            Route("/v2/shelves", self._shelves),
            Route("/v2/shelves/{label:path}", self._shelf),
        ]
        self.app = Starlette(routes=routes)

    def _rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self._database.conninfo()) as connection:
            return connection.execute(query.encode(), values).fetchall()

    def _note(self, request: Request) -> None:
        self.log.append((request.method, request.url.path, "cookie" in request.headers))

    def _refusal(self, request: Request) -> Response | None:
        self._note(request)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme == "Bearer" and token in self.tokens:
            return None
        return JSONResponse({"error": "who are you"}, 401)

    def _health(self, request: Request) -> Response:
        self._note(request)
        return JSONResponse({"alive": self._rows("SELECT true")[0][0]})

    async def _login(self, request: Request) -> Response:
        self._note(request)
        if (await request.json()) != {"account": ACCOUNT, "kind": "staff"}:
            return JSONResponse({"error": "denied"}, 403)
        token = secrets.token_urlsafe()
        self.tokens.add(token)
        return JSONResponse({"session": {"token": token}}, 201)

    def _logout(self, request: Request) -> Response:
        if refusal := self._refusal(request):
            return refusal
        self.tokens.discard(request.headers["authorization"].partition(" ")[2])
        return Response(status_code=204)

    def _books(self, request: Request) -> Response:
        if refusal := self._refusal(request):
            return refusal
        rows = self._rows("SELECT id, title FROM library.books ORDER BY id LIMIT 2")
        (total,) = self._rows("SELECT count(*) FROM library.books")[0]
        return JSONResponse({"page": [{"id": row[0], "title": row[1]} for row in rows], "n": total})

    def _shelves(self, request: Request) -> Response:
        if refusal := self._refusal(request):
            return refusal
        labels = [label for (label,) in self._rows("SELECT label FROM library.shelves")]
        return JSONResponse({"data": {"shelves": labels}})

    def _shelf(self, request: Request) -> Response:
        if refusal := self._refusal(request):
            return refusal
        found = self._rows(
            "SELECT label FROM library.shelves WHERE label = %s", request.path_params["label"]
        )
        return JSONResponse({"label": found[0][0]} if found else {}, 200 if found else 404)


def environment(url: str) -> dict[str, str]:
    """What an operator would set, as environment variables."""
    modules = [
        {
            "name": "books",
            "paths": ["/v2/books"],
            "items": "n",
            "count_sql": "SELECT count(*) FROM library.books",
        },
        {
            "name": "shelves",
            "paths": ["/v2/shelves"],
            "items": "data.shelves",
            "count_sql": "SELECT count(*) FROM library.shelves",
        },
    ]
    extras = [
        {
            "name": "shelf",
            "paths": ["/v2/shelves/{label}"],
            "params_sql": "SELECT label FROM library.shelves ORDER BY id LIMIT 1",
        }
    ]
    values: dict[str, Any] = {
        "app_base_url": url,
        "app_ready_path": "/zdravi",
        "app_ready_body": {"alive": True},
        "app_login_path": "/session",
        "app_login_body": {
            "account": {"name": "{email}", "secret": "{password}"},
            "kind": "staff",
        },
        "app_login_token": "session.token",
        "app_logout_path": "/session",
        "app_logout_method": "DELETE",
        "app_csrf_cookie": "none",
        "app_email": ACCOUNT["name"],
        "app_password": ACCOUNT["secret"],
        "app_modules": modules,
        "app_extras": extras,
        "migrate_dir": str(CHECKOUT),
        "migrate_env": {"LIBRARY_DSN": "{sqlalchemy_url}"},
        "migrate_driver": "psycopg2",
        "migrate_version_table": "library.changes",
    }
    return {
        f"KAJOVO_DR_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
        for name, value in values.items()
    }
