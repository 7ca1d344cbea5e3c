"""Starting and stopping the hotel API as a process."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import httpx
import pytest

from kajovo_dr.errors import SandboxError
from kajovo_dr.ports import free_port
from kajovo_dr.postgres.server import Server
from kajovo_dr.process import run, start, stop, wait_until
from kajovo_dr.sandbox import schema
from kajovo_dr.sandbox.launcher import start_api
from kajovo_dr_tests.sandbox.conftest import EMAIL, PASSWORD, Hotel, execute, login

API = [sys.executable, "-m", "kajovo_dr.sandbox.api"]


def test_a_stopped_api_answers_no_more_and_can_be_stopped_twice(
    database: Server, tmp_path: Path
) -> None:
    schema.upgrade(database.sqlalchemy_url())
    port = free_port()
    api = start_api(
        database, folder=tmp_path, port=port, email=EMAIL, password=PASSWORD, media_root=tmp_path
    )
    assert api.base_url == f"http://127.0.0.1:{port}"
    assert httpx.get(f"{api.base_url}/ready").status_code == 200
    api.stop()
    api.stop()
    assert api.process.poll() is not None
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{api.base_url}/ready")


def test_a_database_that_is_down_ends_the_api_at_once_and_the_log_says_why(
    server: Server, tmp_path: Path
) -> None:
    nowhere = Server({**server.params, "port": str(free_port()), "password": "tajemství"})
    with pytest.raises(SandboxError, match="ended at once with exit code 3") as refused:
        start_api(nowhere, folder=tmp_path, email=EMAIL, password=PASSWORD, media_root=tmp_path)
    said = (tmp_path / "hotel-api.log").read_text("utf-8") + refused.value.described()
    assert "Application startup failed" in said
    assert "tajemství" not in said
    assert PASSWORD not in said


def test_an_empty_database_stays_empty_when_the_api_starts(
    database: Server, tmp_path: Path
) -> None:
    api = start_api(database, folder=tmp_path, email=EMAIL, password=PASSWORD, media_root=tmp_path)
    try:
        assert httpx.get(f"{api.base_url}/ready").status_code == 200
    finally:
        api.stop()
    assert execute(database, "SELECT * FROM pg_tables WHERE schemaname = 'public'") == []


def test_a_restart_keeps_the_admins_row_and_a_new_password_replaces_it(hotel: Hotel) -> None:
    row = "SELECT xmin::text, password_hash FROM admin_profile"
    before = execute(hotel.database, row)
    hotel.api.stop()
    for password, kept in ((PASSWORD, True), ("nové heslo", False)):
        api = start_api(
            hotel.database,
            folder=hotel.media,
            email=EMAIL,
            password=password,
            media_root=hotel.media,
        )
        try:
            with httpx.Client(base_url=api.base_url) as client:
                assert login(client, password=password).status_code == 200
        finally:
            api.stop()
        assert (execute(hotel.database, row) == before) is kept


def test_in_production_the_cookies_are_secure_and_the_hosts_can_be_set(
    hotel: Hotel, tmp_path: Path
) -> None:
    port = free_port()
    process = start(
        [*API, "--port", str(port)],
        env={
            **os.environ,
            "KAJOVO_API_DATABASE_URL": hotel.database.sqlalchemy_url(),
            "KAJOVO_API_ADMIN_EMAIL": EMAIL,
            "KAJOVO_API_ADMIN_PASSWORD": PASSWORD,
            "KAJOVO_API_MEDIA_ROOT": str(hotel.media),
            "KAJOVO_API_ENVIRONMENT": "production",
            "KAJOVO_API_TRUSTED_HOSTS": '["*"]',
        },
        log=tmp_path / "production.log",
    )

    def answers() -> bool:
        try:
            url = f"http://127.0.0.1:{port}/health"
            return httpx.get(url, headers={"host": "api"}).status_code == 200
        except httpx.TransportError:
            return False

    try:
        assert wait_until(answers, timeout=30)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            for cookie in login(client).headers.get_list("set-cookie"):
                assert cookie.endswith("Secure")
    finally:
        stop(process, timeout=10)


def test_an_api_without_its_settings_names_them_and_ends(tmp_path: Path) -> None:
    env = {key: value for key, value in os.environ.items() if not key.startswith("KAJOVO_API_")}
    ended = run([*API, "--port", "1"], env=env, timeout=60)
    assert ended.returncode == 10
    assert "KAJOVO_API_DATABASE_URL" in ended.stderr
    assert "Traceback" not in ended.stderr
