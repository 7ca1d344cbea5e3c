"""Seeded hotels and running APIs for the tests of the sandbox."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
import pytest

from kajovo_dr.postgres.server import Server
from kajovo_dr.sandbox import schema
from kajovo_dr.sandbox.launcher import RunningApi, start_api
from kajovo_dr.sandbox.seed import seed

EMAIL, PASSWORD = "spravce@hotel.example", "správné heslo 🔑"
ROWS = 600


@dataclass(frozen=True)
class Hotel:
    """A seeded database with an API on it."""

    database: Server
    api: RunningApi
    media: Path

    @contextmanager
    def client(self, *, logged_in: bool = True) -> Iterator[httpx.Client]:
        with httpx.Client(base_url=self.api.base_url, timeout=20) as client:
            if logged_in:
                login(client).raise_for_status()
                client.headers["x-csrf-token"] = client.cookies["kajovo_csrf"]
            yield client

    def sql(self, statement: str) -> None:
        execute(self.database, statement)


def login(client: httpx.Client, email: str = EMAIL, password: str = PASSWORD) -> httpx.Response:
    body = {"email": email, "password": password}
    return client.post("/api/auth/admin/login", json=body)


def execute(server: Server, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        done = connection.execute(statement.encode())
        return done.fetchall() if done.description else []


@contextmanager
def running(database: Server, folder: Path) -> Iterator[Hotel]:
    media = folder / "media"
    schema.upgrade(database.sqlalchemy_url())
    seed(database, rows=ROWS, media_root=media)
    api = start_api(database, folder=folder, email=EMAIL, password=PASSWORD, media_root=media)
    try:
        yield Hotel(database, api, media)
    finally:
        api.stop()


@pytest.fixture
def hotel(database: Server, tmp_path: Path) -> Iterator[Hotel]:
    """A hotel of one's own, to be broken."""
    with running(database, tmp_path) as own:
        yield own


@pytest.fixture(scope="session")
def shared_hotel(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hotel]:
    """One hotel for all tests that leave it as it was."""
    execute(server, 'DROP DATABASE IF EXISTS "sdílený 100% hotel" WITH (FORCE)')
    execute(server, 'CREATE DATABASE "sdílený 100% hotel"')
    database = server.database("sdílený 100% hotel")
    with running(database, tmp_path_factory.mktemp("hotel")) as shared:
        yield shared
    execute(server, 'DROP DATABASE "sdílený 100% hotel" WITH (FORCE)')


@pytest.fixture
def admin(shared_hotel: Hotel) -> Iterator[httpx.Client]:
    with shared_hotel.client() as client:
        yield client


@pytest.fixture
def stranger(shared_hotel: Hotel) -> Iterator[httpx.Client]:
    with shared_hotel.client(logged_in=False) as client:
        yield client


@pytest.fixture
def count(shared_hotel: Hotel) -> Callable[[str], int]:
    """Rows of a table of the shared hotel."""

    def rows(table: str) -> int:
        [(found,)] = execute(shared_hotel.database, f"SELECT count(*) FROM {table}")
        assert isinstance(found, int)
        return found

    return rows
