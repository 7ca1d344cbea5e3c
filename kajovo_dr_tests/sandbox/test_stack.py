"""What the sandbox fills in, and that it keeps away from whatever may be real."""

from __future__ import annotations

import os
from pathlib import Path

import httpx
import pytest

from kajovo_dr.errors import NotConfigured, SettingError
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.server import Server, source
from kajovo_dr.process import run
from kajovo_dr.sandbox import stack
from kajovo_dr.sandbox.schema import HEAD_REVISION
from kajovo_dr.settings import Settings


def test_the_sandbox_has_a_store_of_its_own(state: Path) -> None:
    sandbox = Settings.load(state=state)
    real = Settings.load(state=state, database_url="postgresql://u@127.0.0.1/hotel")
    assert sandbox.store_dir != real.store_dir
    assert sandbox.store_dir.is_relative_to(state / "sandbox")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("backup_dir", "."),
        ("restore_url", "postgresql://u@127.0.0.1/hotel"),
        ("app_base_url", "http://127.0.0.1:1"),
        ("migrate_dir", "."),
    ],
)
def test_half_a_real_configuration_is_no_wish_for_the_sandbox(
    state: Path, name: str, value: str
) -> None:
    settings = Settings.load(state=state, **{name: value})
    with (
        pytest.raises(
            NotConfigured, match=f"DATABASE_URL is not set, but KAJOVO_DR_{name.upper()}"
        ),
        stack.protected_database(settings),
    ):
        pass
    assert not state.exists()


def test_a_server_of_restores_is_enough_to_restore(state: Path, server: Server) -> None:
    settings = Settings.load(state=state, restore_url=server.url())
    with stack.server_of_restores(settings) as complete:
        assert complete == settings


def test_a_state_folder_is_used_by_one_at_a_time(state: Path) -> None:
    settings = Settings.load(state=state)
    with (
        stack.exclusive(settings, user="kajovo-dr up (http://127.0.0.1:3000)"),
        pytest.raises(SettingError, match=r"kajovo-dr up \(http://127.0.0.1:3000\) runs on"),
        stack.exclusive(settings, user="kajovo-dr demo"),
    ):
        pass
    with stack.exclusive(settings, user="kajovo-dr demo"):
        assert (state / "in-use-by").read_text() == "kajovo-dr demo"
    assert not (state / "in-use-by").exists()


def ready(settings: Settings) -> bool:
    try:
        return httpx.get(f"{settings.app_base_url}/ready", timeout=20).status_code == 200
    except httpx.TransportError:
        return False


def do(command: tuple[str, ...]) -> int:
    return run(command, env={}, timeout=60).returncode


def test_a_configured_system_is_used_as_it_is(state: Path, server: Server) -> None:
    settings = Settings.load(state=state, database_url=server.url())
    with stack.protected_system(settings) as complete:
        assert complete is settings
    assert not state.exists()


def test_the_hotel_is_one_system_for_every_process(state: Path) -> None:
    settings = Settings.load(state=state)
    before = dict(os.environ)
    with stack.whole(settings, fresh=stack.Fresh(300, HEAD_REVISION)) as running:
        # what Dagster's processes read
        exported = Settings.load()
        assert exported.app_stop_command == running.app_stop_command != ()
        assert exported.app_start_command == running.app_start_command != ()
        with stack.protected_system(settings) as attached:
            assert attached.app_base_url == running.app_base_url
            assert attached.need("app_password") == running.need("app_password")
            assert attached.need("database_url") == running.need("database_url")
            assert attached.migrate_dir == running.migrate_dir
            assert attached.store_dir == running.store_dir
            assert do(attached.app_stop_command) == 0
            assert not ready(running)
            assert do(exported.app_start_command) == 0
        assert ready(running)
    assert dict(os.environ) == before
    assert not ready(running)

    # alone, and with its database lost: as long as it is away the API waits for it
    with stack.protected_system(settings) as own:
        assert ready(own)
        hotel = source(own)
        with databases.connect(hotel.database("postgres")) as session:
            assert do(own.app_stop_command) == 0
            databases.rename(session, hotel.dbname, "ztracená")
            with stack.protected_system(settings) as lost:
                assert lost.app_base_url == own.app_base_url
                assert do(lost.app_start_command) == 1
            databases.rename(session, "ztracená", hotel.dbname)
            assert do(own.app_start_command) == 0
        assert ready(own)
        with databases.connect(hotel.database("postgres")) as session:
            databases.drop(session, hotel.dbname)
    assert not ready(own)
    with stack.protected_system(settings) as bare:
        assert bare.app_base_url
        assert bare.app_stop_command
        assert not ready(bare)
