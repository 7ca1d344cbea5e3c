"""Under test: that the default settings are the hotel's, against the sandbox hotel."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

import kajovo_dr.sandbox
from kajovo_dr.errors import LoginRefused
from kajovo_dr.postgres.server import Server
from kajovo_dr.recovery.migrate import migrate
from kajovo_dr.recovery.readiness import wait_until_ready
from kajovo_dr.recovery.smoke import smoke
from kajovo_dr.sandbox import schema, seed
from kajovo_dr.sandbox.launcher import start_api
from kajovo_dr.settings import Settings

EMAIL, PASSWORD = "admin@kajovohotel.local", "heslo správce/1"

MODULES = ["breakfast", "lost_found", "issues", "inventory", "reports"]


@pytest.fixture
def hotel(database: Server, tmp_path: Path) -> Iterator[Settings]:
    """A small hotel at an older revision, lifted, and its API in production mode."""
    schema.upgrade(database.sqlalchemy_url(), schema.OLD_REVISION)
    seed.seed(database, rows=300, media_root=tmp_path / "media")
    settings = Settings.load(
        migrate_dir=Path(kajovo_dr.sandbox.__file__).parent,
        app_email=EMAIL,
        app_password=PASSWORD,
        app_ready_pause_s=0.2,
    )
    assert migrate(settings, database).before == schema.OLD_REVISION
    api = start_api(
        database,
        folder=tmp_path / "api",
        email=EMAIL,
        password=PASSWORD,
        media_root=tmp_path / "media",
    )
    try:
        yield settings.with_overrides(app_base_url=api.base_url)
    finally:
        api.stop()


def test_the_hotel_recovers_with_the_default_settings(
    hotel: Settings, database: Server, tmp_path: Path
) -> None:
    assert wait_until_ready(hotel).body["status"] == "ready"
    report = smoke(hotel, database)
    assert [r.name for r in report.results if r.module] == MODULES
    assert [r for r in report.results if not r.ok or r.skipped] == []
    assert all(r.count == r.expected and r.count for r in report.results if r.module)

    shutil.rmtree(tmp_path / "media")
    with psycopg.connect(database.conninfo()) as connection:
        connection.execute("UPDATE reports SET status = 'neznámý' WHERE id = 1")
    damaged = smoke(hotel, database)
    assert [(r.name, r.status) for r in damaged.failures] == [("reports", 500)]
    assert [(r.name, r.status) for r in damaged.warnings] == [("photo", 404)]

    with pytest.raises(LoginRefused, match=r"answered 401: .*Invalid credentials"):
        smoke(hotel.with_overrides(app_password=SecretStr("jiné")), database)
    with psycopg.connect(database.conninfo()) as connection:
        tried = connection.execute("SELECT failed_attempts FROM auth_lockout_states").fetchall()
        open_sessions = connection.execute(
            "SELECT count(*) FROM auth_sessions WHERE actor_type = 'admin' AND revoked_at IS NULL"
            " AND principal = %s",
            [EMAIL],
        ).fetchall()
    assert (1,) in tried
    assert open_sessions == [(0,)]
