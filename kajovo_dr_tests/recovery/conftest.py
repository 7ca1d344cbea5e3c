"""The front desk on a socket, with settings that lead to it; and incidents."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kajovo_dr.backups.prove import prove
from kajovo_dr.backups.take import take
from kajovo_dr.hotel import Endpoint
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.settings import Settings
from kajovo_dr_tests.conftest import new_folder
from kajovo_dr_tests.recovery.front_desk import EMAIL, PASSWORD, FrontDesk
from kajovo_dr_tests.recovery.http_servers import serving_last
from kajovo_dr_tests.recovery.incidents import (
    BACKED_UP,
    SINCE,
    Incident,
    Service,
    Vault,
    in_service,
)


def settings_for(url: str, **overrides: Any) -> Settings:
    """Settings for an application at this URL: few attempts, no pause."""
    given = {
        "app_base_url": url,
        "app_email": EMAIL,
        "app_password": PASSWORD,
        "app_ready_attempts": 2,
        "app_ready_pause_s": 0,
        "app_timeout_s": 20,
        "app_uses_database": False,  # the front desk has none
    }
    return Settings.load(**given | overrides)


@dataclass
class Desk:
    """The front desk and where it is served."""

    front: FrontDesk
    url: str
    modules: tuple[Endpoint, ...] = field(
        default=(
            Endpoint(name="guests", paths=("/guests",), count_sql="SELECT 3"),
            Endpoint(name="rooms", paths=("/rooms?free=1", "/rooms?free=0"), count_sql="SELECT 2"),
        )
    )
    extras: tuple[Endpoint, ...] = ()

    def settings(self, **overrides: Any) -> Settings:
        """Settings of a smoke test of the two modules."""
        given = {"app_modules": self.modules, "app_extras": self.extras}
        return settings_for(self.url, **given | overrides)


@pytest.fixture(scope="session")
def desk_server() -> Iterator[tuple[str, list[FrontDesk]]]:
    """One socket for all tests; the last desk serves."""
    desks: list[FrontDesk] = []
    with serving_last(desks) as url:
        yield url, desks


@pytest.fixture
def desk(desk_server: tuple[str, list[FrontDesk]]) -> Desk:
    """A new front desk with three guests and two rooms."""
    url, desks = desk_server
    front = FrontDesk(
        {"/guests": ["Řehoř", "Zdeňka", "Ñ"], "/rooms?free=1": [{}], "/rooms?free=0": [{}]}
    )
    desks.append(front)
    return Desk(front, url)


@pytest.fixture(scope="session")
def vault(server: Server, scratch: Server) -> Iterator[Vault]:
    """The library's backup, taken and proven once for all tests."""
    folder, name = new_folder(), f"knihovna_{os.getpid()}"
    library = server.database(name)
    settings = Settings.load(
        state=folder / "state",
        backup_dir=folder,
        database_url=library.url(),
        proof_url=scratch.url(),
    )
    with databases.connect(server) as admin:
        databases.create(admin, name, {})
        with databases.connect(library) as session:
            session.execute(BACKED_UP.encode())
        backup = take(settings, library, reason="test").backup
        prove(settings, backup)
        databases.drop(admin, name)
    book = [("book", str(i), title) for i, title in enumerate(("Žert", "Máj", "Saturnin"), 1)]
    reader = ("reader", "zdenka@knihovna.cz", "$argon2id$v=19$staré")
    yield Vault(folder, name, backup.name, [*book, reader])
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def incident(vault: Vault, server: Server, state: Path) -> Iterator[Incident]:
    """The live library has gone on since its backup; nothing of the application is configured."""
    live = server.database(vault.name)
    store = state.parent / "zálohy"
    shutil.copytree(vault.folder, store, ignore=shutil.ignore_patterns("state"))
    state.mkdir()
    settings = Settings.load(
        state=state,
        backup_dir=store,
        database_url=live.url(),
        revocations=[
            {"name": "visits", "sql": "DELETE FROM library.visits", "table": "library.visits"}
        ],
        password_hashes_sql="SELECT email, hash FROM library.readers",
    )
    with databases.connect(server) as admin:
        databases.create(admin, vault.name, {})
        with databases.connect(live) as session:
            session.execute((BACKED_UP + SINCE).encode())
        yield Incident(settings, live, vault)
        for (name,) in admin.execute("SELECT datname FROM pg_database").fetchall():
            if name.startswith(vault.name):
                databases.drop(admin, name)


@pytest.fixture
def service(
    incident: Incident, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Service]:
    """The library's application over the live database; the incident's settings lead to it."""
    with in_service(incident, tmp_path / "knihovna", monkeypatch.setenv) as service:
        yield service
