"""A server older than the client tools, as in production (16) beside the wheel's tools (17)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from kajovo_dr.backups.take import take
from kajovo_dr.errors import ClientTooOld, RestoreFailed
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.embedded import EmbeddedServer
from kajovo_dr.postgres.server import Server
from kajovo_dr.recovery.restore import restore
from kajovo_dr.settings import Settings
from kajovo_dr_tests.conftest import SMALL_DATABASE, new_folder

OLD = next(
    (
        folder
        for major in (16, 15, 14)
        if (folder := Path(f"/usr/lib/postgresql/{major}/bin")).joinpath("initdb").exists()
    ),
    None,
)
pytestmark = pytest.mark.skipif(
    OLD is None, reason="no PostgreSQL 14 to 16 of the distribution is installed here"
)


@pytest.fixture(scope="module")
def old_server() -> Iterator[Server]:
    """An older server with the small database."""
    folder = new_folder()
    with EmbeddedServer(folder / "state" / "embedded" / "old", "kajovo", bin_setting=OLD) as server:
        with databases.connect(server) as session:
            databases.create(session, "stará", {})
        with databases.connect(server.database("stará")) as session:
            session.execute(SMALL_DATABASE)
        yield server.database("stará")
    shutil.rmtree(folder, ignore_errors=True)


def test_a_plain_backup_goes_back_to_the_old_server_without_the_settings_it_does_not_know(
    settings: Settings, old_server: Server
) -> None:
    backup = take(settings, old_server, reason="test").backup
    assert b"\nSET transaction_timeout = 0;\n" in backup.path.read_bytes()[:4096]
    assert restore(settings, backup, old_server.database("obnovená"), named=True).rows == 54


def test_an_archive_is_refused_with_the_way_out_before_anything_is_made(
    settings: Settings, old_server: Server
) -> None:
    archive = settings.with_overrides(backup_format="custom")
    backup = take(archive, old_server, reason="test").backup
    with pytest.raises(RestoreFailed, match="cannot restore to PostgreSQL") as refused:
        restore(archive, backup, old_server.database("nová"), named=True)
    assert "KAJOVO_DR_PG_BIN" in refused.value.hint
    with databases.connect(old_server) as session:
        assert not databases.exists(session, "nová")


def test_a_backup_goes_from_the_old_server_to_the_new_one(
    each_format: Settings, old_server: Server, small: Server
) -> None:
    backup = take(each_format, old_server, reason="test").backup
    assert restore(each_format, backup, small.database("povýšená"), named=True).rows == 54
    with databases.connect(small) as session:
        databases.drop(session, "povýšená")


def test_a_backup_of_a_newer_server_is_not_restored_to_an_older_one(
    settings: Settings, small: Server, old_server: Server
) -> None:
    backup = take(settings, small, reason="test").backup
    with pytest.raises(RestoreFailed, match="the backup is of PostgreSQL 17") as refused:
        restore(settings, backup, old_server.database("nová"), named=True)
    assert "nothing was changed" in refused.value.hint


def test_a_client_older_than_the_server_is_refused_before_it_starts(
    settings: Settings, small: Server
) -> None:
    with pytest.raises(ClientTooOld, match="is older than the server, which is PostgreSQL 17"):
        take(settings.with_overrides(pg_bin=OLD), small, reason="test")
    assert list(settings.store_dir.glob("*.sql")) == []
