"""What the sandbox fills in, and that it keeps away from whatever may be real."""

from __future__ import annotations

from pathlib import Path

import pytest

from kajovo_dr.errors import NotConfigured, SettingError
from kajovo_dr.postgres.server import Server
from kajovo_dr.sandbox import stack
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
