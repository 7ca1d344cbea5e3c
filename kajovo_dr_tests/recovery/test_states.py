"""What a backup's state allows: without a name only a proven one, by name any but a damaged one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

import pytest

from kajovo_dr.backups.catalog import Backup, load
from kajovo_dr.backups.take import take
from kajovo_dr.errors import DumpDamaged, NoBackupBefore, NotProven, RestoredDiffers
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.recovery.choose import choose
from kajovo_dr.recovery.read import Read, read_first_right
from kajovo_dr.recovery.restore import restore, restore_read
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
    assert choose(settings, before=now()) == [proven]
    assert choose(settings, name=newer.name, before=now()) == [newer]


def test_without_a_name_and_without_a_proof_nothing_is_chosen(
    settings: Settings, backup: Backup
) -> None:
    with pytest.raises(NotProven, match=backup.name):
        choose(settings, before=now())
    assert choose(settings, name=backup.name, before=now()) == [backup]


def test_a_damaged_one_is_chosen_by_name_only_so_that_the_restore_can_say_why(
    settings: Settings, backup: Backup
) -> None:
    judge(backup, "damaged", now(), reason="rows_equal: hosté")
    with pytest.raises(NoBackupBefore):
        choose(settings, before=now())
    (chosen,) = choose(settings, name=backup.name, before=now())
    assert chosen.state == "damaged"


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


def test_two_tables_of_one_dotted_name_are_told_apart(
    settings: Settings, small: Server, target: Server, new_database: object
) -> None:
    with databases.connect(small) as session:
        session.execute("""
            CREATE SCHEMA "a"; CREATE SCHEMA "a.b";
            CREATE TABLE "a"."b.c" (n int); CREATE TABLE "a.b"."c" (n int);
            INSERT INTO "a"."b.c" SELECT generate_series(1, 3); INSERT INTO "a.b"."c" VALUES (1);
        """)
    backup = take(settings, small, reason="test").backup
    swapped = tuple(
        table.model_copy(update={"rows": {3: 1, 1: 3}[table.rows]})
        if table.schema_.startswith("a")
        else table
        for table in backup.manifest.tables
    )
    # of the backup itself only the rows differ: what reads it first must not see them
    was_read = Read(Backup(backup.path, backup.manifest.model_copy(update={"tables": swapped})), 0)
    with pytest.raises(RestoredDiffers, match=r"a\.b\.c: 3 rows, promised 1 rows; a\.b\.c: 1 "):
        restore_read(settings, was_read, target)
    assert restore_read(settings, Read(backup, 0), target).rows == 58


def test_the_first_backup_that_reads_right_is_taken_and_the_others_are_told_of(
    settings: Settings, small: Server, proven: Backup
) -> None:
    later = [proven]
    for reason in ("second", "third"):
        taken = take(settings, small, reason=reason).backup
        judge(taken, "proven", now())
        taken.path.write_bytes(taken.path.read_bytes()[:-1] + b"!")
        later.insert(0, load(taken.path))
    tried: list[Backup] = []
    said: list[str] = []
    candidates = choose(settings, before=now())
    assert candidates == later
    was_read = read_first_right(settings, candidates, trying=tried.append, warn=said.append)
    assert (was_read.backup, tried) == (proven, later)
    assert [each.split(" is damaged")[0] for each in said] == [later[0].name, later[1].name]
    assert choose(settings, before=now()) == [proven]


def test_when_no_one_reads_right_the_last_one_says_why(settings: Settings, proven: Backup) -> None:
    proven.path.write_bytes(proven.path.read_bytes()[:-1] + b"!")
    said: list[str] = []
    with pytest.raises(DumpDamaged, match="the bytes were changed"):
        read_first_right(settings, choose(settings, before=now()), warn=said.append)
    assert said == []
    with pytest.raises(NoBackupBefore):
        choose(settings, before=now())
