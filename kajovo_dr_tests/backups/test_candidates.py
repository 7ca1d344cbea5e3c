"""Whose a backup is, when several databases share a store and even a name."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from kajovo_dr.backups.candidates import (
    identities_like,
    identities_of,
    proven_before,
    usable_before,
)
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.store import Store
from kajovo_dr.errors import NoBackupBefore
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.settings import Settings
from kajovo_dr_tests.backups.stored import DATABASE, NOON, PROTECTED, judge, put

HOUR = timedelta(hours=1)
ELSEWHERE = "127.0.0.1:1"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store(tmp_path, "kajovo-postgres")


def proven(store: Store, hour: int, identity: str, **facts: str) -> Backup:
    """A proven backup, so many hours after noon."""
    backup = put(store, NOON + hour * HOUR, identity=identity, **facts)
    judge(backup, "proven", NOON)
    return backup


def names(backups: list[Backup]) -> list[str]:
    return [backup.name for backup in backups]


def test_backups_from_this_address_tell_who_is_meant(store: Store) -> None:
    lost = proven(store, 0, "a volume that was lost")
    ours = proven(store, 1, "ours")
    proven(store, 2, "theirs", server=ELSEWHERE)
    unsigned = proven(store, 3, "")
    found = identities_of(Settings.load(), store, PROTECTED)
    assert found == {"a volume that was lost", "ours"}
    # the day before the volume was lost can still be brought back
    assert names(proven_before(store, NOON + 9 * HOUR, DATABASE, found)) == names(
        [unsigned, ours, lost]
    )
    assert identities_like(store, ours.manifest) == found


def test_an_address_that_no_backup_names_is_asked_for_its_identity(
    settings: Settings, store: Store, small: Server
) -> None:
    proven(store, 0, "theirs", server=ELSEWHERE, database=small.dbname)
    with databases.connect(small) as session:
        identity = databases.identity(session, small)
    assert identities_of(settings, store, small) == {identity}


def test_a_database_that_is_gone_is_found_by_its_server(
    settings: Settings, store: Store, small: Server
) -> None:
    gone = small.database("zmizelá")
    proven(store, 0, "theirs", server=ELSEWHERE, database=gone.dbname)
    with databases.connect(small) as session:
        assert identities_of(settings, store, gone) == {databases.identity(session, gone)}


def test_without_any_identity_in_the_store_nobody_is_asked(
    settings: Settings, store: Store, small: Server
) -> None:
    proven(store, 0, "", server=ELSEWHERE, database=small.dbname)
    assert identities_of(settings, store, small) == set()


def test_a_dead_server_of_an_unknown_address_has_no_identity(store: Store) -> None:
    proven(store, 0, "theirs", server=ELSEWHERE)
    nowhere = Server({"dbname": DATABASE, "host": "127.0.0.1", "port": "2", "connect_timeout": "1"})
    assert identities_of(Settings.load(), store, nowhere) == set()


def test_only_ours_and_those_that_do_not_say_are_candidates(store: Store) -> None:
    first = proven(store, 0, "")
    ours = proven(store, 1, "ours")
    proven(store, 2, "theirs", server=ELSEWHERE)
    later = NOON + 9 * HOUR
    assert names(proven_before(store, later, DATABASE, {"ours"})) == names([ours, first])
    assert names(usable_before(store, later, DATABASE, {"ours"})) == names([first, ours])


def test_where_only_others_have_backups_the_error_says_whose(store: Store) -> None:
    theirs = proven(store, 0, "theirs", server=ELSEWHERE)
    with pytest.raises(NoBackupBefore) as none:
        proven_before(store, NOON + HOUR, DATABASE, {"ours"})
    assert str(none.value).endswith(f"; {theirs.name} is of kajovo_hotel on 127.0.0.1:1")


def test_when_nobody_can_tell_whose_they_are_none_is_taken(store: Store) -> None:
    proven(store, 0, "ours")
    proven(store, 1, "theirs", server=ELSEWHERE)
    with pytest.raises(NoBackupBefore, match="of several databases") as which:
        proven_before(store, NOON + 9 * HOUR, DATABASE)
    assert "kajovo_hotel on 127.0.0.1:1, kajovo_hotel on 127.0.0.1:5432" in str(which.value)
    assert "name the backup" in which.value.hint


def test_one_database_may_have_had_several_addresses(store: Store) -> None:
    first = proven(store, 0, "ours")
    moved = proven(store, 1, "ours", server=ELSEWHERE)
    later = NOON + 9 * HOUR
    assert names(proven_before(store, later, DATABASE)) == names([moved, first])
    at = Server({**PROTECTED.params, "port": "1"})
    found = identities_of(Settings.load(), store, at)
    assert names(proven_before(store, later, DATABASE, found)) == names([moved, first])


def test_a_backup_says_which_server_and_database_it_is_of(backup: Backup, small: Server) -> None:
    with databases.connect(small) as session:
        assert backup.manifest.identity == databases.identity(session, small)
        assert backup.manifest.identity != databases.identity(session, small.database("jiná"))


def test_what_a_recovery_replaced_is_never_taken_without_its_name(store: Store) -> None:
    daily = proven(store, 0, "ours")
    proven(store, 1, "ours", reason="before recovery 3f2a9c1b")
    by_hand = proven(store, 2, "ours", reason="before recovery drill of Tuesday")
    assert names(proven_before(store, NOON + 9 * HOUR)) == names([by_hand, daily])
