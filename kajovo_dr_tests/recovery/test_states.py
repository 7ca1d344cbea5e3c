"""What a backup's state allows: without a name only a proven one, by name any but a damaged one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

import pytest

from kajovo_dr.backups.catalog import Backup, load
from kajovo_dr.backups.take import take
from kajovo_dr.errors import DumpDamaged, NoBackupBefore, NotProven
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.recovery.choose import choose
from kajovo_dr.recovery.restore import restore
from kajovo_dr.settings import Settings
from kajovo_dr_tests.backups.stored import judge


def now() -> datetime:
    return datetime.now(UTC)


def exists(server: Server) -> bool:
    with databases.connect(server.database("postgres")) as session:
        found = session.execute(
            "SELECT FROM pg_database WHERE datname LIKE %s", [f"{server.dbname}%"]
        )
        return found.rowcount > 0


@pytest.fixture
def target(small: Server) -> Server:
    """A database that does not exist."""
    return small.database("obnovená_z_důkazu")


def test_without_a_name_the_newest_proven_one_is_chosen(
    settings: Settings, small: Server, proven: Backup
) -> None:
    newer = take(settings, small, reason="newer").backup
    assert choose(settings, before=now()) == proven
    assert choose(settings, name=newer.name, before=now()) == newer


def test_without_a_name_and_without_a_proof_nothing_is_chosen(
    settings: Settings, backup: Backup
) -> None:
    with pytest.raises(NotProven, match=backup.name):
        choose(settings, before=now())
    assert choose(settings, name=backup.name, before=now()) == backup


def test_a_damaged_one_is_chosen_by_name_only_so_that_the_restore_can_say_why(
    settings: Settings, backup: Backup
) -> None:
    judge(backup, "damaged", now(), reason="rows_equal: hosté")
    with pytest.raises(NoBackupBefore):
        choose(settings, before=now())
    assert choose(settings, name=backup.name, before=now()).state == "damaged"


@pytest.mark.parametrize("expected", ["taken", "unproven"])
def test_a_restore_refuses_what_is_not_proven_unless_it_is_named(
    settings: Settings,
    backup: Backup,
    target: Server,
    new_database: object,
    expected: Literal["taken", "unproven"],
) -> None:
    if expected == "unproven":
        judge(backup, expected, now(), reason="the disk was full")
    found = load(backup.path)
    assert found.state == expected
    with pytest.raises(NotProven, match=f"{backup.name} is the newest backup and is not proven"):
        restore(settings, found, target)
    assert not exists(target)
    assert restore(settings, found, target, named=True).rows == 54


def test_a_restore_takes_a_proven_one_without_its_being_named(
    settings: Settings, proven: Backup, target: Server, new_database: object
) -> None:
    assert restore(settings, proven, target).rows == 54


@pytest.mark.parametrize("named", [False, True])
def test_a_restore_never_takes_a_damaged_one(
    settings: Settings, backup: Backup, target: Server, named: bool
) -> None:
    judge(backup, "damaged", now(), reason="rows_equal: hosté 49, promised 50")
    with pytest.raises(DumpDamaged) as refused:
        restore(settings, load(backup.path), target, named=named)
    assert str(refused.value) == f"{backup.name} is damaged: rows_equal: hosté 49, promised 50"
    assert "kajovo-dr list" in refused.value.hint
    assert f"kajovo-dr verify {backup.name} --restore" in refused.value.hint
    assert not exists(target)
