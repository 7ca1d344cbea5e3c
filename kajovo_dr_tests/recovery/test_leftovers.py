"""Under test: that a replaced database is dropped when nobody needs it any more, and no other is.

The clock is turned by changing the journal: a swap that was long ago.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from kajovo_dr.backups.take import take
from kajovo_dr.errors import Unreachable
from kajovo_dr.postgres import databases
from kajovo_dr.recovery import leftovers
from kajovo_dr.recovery.journal import RecoveryJournal, records
from kajovo_dr.recovery.leftovers import Kept, cleanup
from kajovo_dr.recovery.record import IncidentEntry
from kajovo_dr.recovery.recover import alone
from kajovo_dr_tests.backups.stored import judge
from kajovo_dr_tests.recovery.incidents import Incident, touched

LONG_AGO = timedelta(days=30)


def turn_back(incident: Incident, by: timedelta = LONG_AGO) -> None:
    """Every swap was so long ago."""
    for each in records(incident.settings.state):
        journal = RecoveryJournal(incident.settings.state, each.id, incident.settings)
        journal.update(swapped_at=datetime.now(UTC) - by)


def back_up(incident: Incident) -> None:
    """The new database can be brought back itself."""
    incident.copy_backup(datetime.now(UTC))


def kept(incident: Incident) -> list[Kept]:
    server = incident.live.database("postgres")
    with databases.connect(server) as admin:
        return leftovers.kept(incident.settings, admin, server)


@pytest.fixture
def old(incident: Incident) -> IncidentEntry:
    """A recovery of a month ago whose database has a proven backup."""
    entry = incident.recover()
    turn_back(incident)
    back_up(incident)
    return entry


def test_after_the_days_and_with_a_proven_successor_it_is_dropped(
    incident: Incident, old: IncidentEntry
) -> None:
    (each,) = kept(incident)
    assert (each.name, each.oid, each.why) == (old.replaced, incident.oid(old.replaced), "")
    assert each.record.id == old.id
    assert each.bytes_on_disk > 1 << 20

    dropped, stay = cleanup(incident.settings)
    assert ([each.name for each in dropped], stay) == ([old.replaced], [])
    assert incident.beside() == []
    assert incident.content() == incident.vault.restored
    assert cleanup(incident.settings) == ([], [])


def test_before_its_days_are_over_it_stays(incident: Incident) -> None:
    entry = incident.recover()
    turn_back(incident, timedelta(days=13, hours=23))
    back_up(incident)
    dropped, (stays,) = cleanup(incident.settings)
    assert dropped == []
    assert "(KAJOVO_DR_KEEP_REPLACED_DAYS=14)" in stays.why
    assert incident.beside() == [entry.replaced]
    incident.change(keep_replaced_days=13.9)
    assert [each.name for each in cleanup(incident.settings)[0]] == [entry.replaced]


@pytest.mark.parametrize("backup", ["none", "unproven", "older", "of another"])
def test_without_a_proven_backup_of_its_successor_it_stays(incident: Incident, backup: str) -> None:
    entry = incident.recover()
    turn_back(incident)
    if backup == "unproven":
        take(incident.settings, incident.live, reason="denní")
    elif backup == "older":
        back_up(incident)
        turn_back(incident, timedelta(0))
        incident.change(keep_replaced_days=0)
    elif backup == "of another":
        other = incident.create(f"{incident.live.dbname}_jiná", "CREATE TABLE x ()")
        judge(take(incident.settings, other, reason="denní").backup, "proven", datetime.now(UTC))
    if backup != "older":
        incident.backup.path.unlink()  # proven and younger than that swap, as it happens
    dropped, (stays,) = cleanup(incident.settings)
    assert dropped == []
    assert stays.why == f"no backup of {incident.live.dbname} since then is proven"
    assert entry.replaced in incident.beside()


def test_while_its_recovery_has_not_ended_it_stays(incident: Incident) -> None:
    begun = incident.begin()
    for name in ("safety", "restore", "revoke", "swap"):
        begun.do(name)
    turn_back(incident)
    back_up(incident)
    dropped, (stays,) = cleanup(incident.settings)
    assert (dropped, stays.why) == ([], "its recovery has not ended well")


def test_another_database_of_that_name_is_never_dropped(
    incident: Incident, old: IncidentEntry
) -> None:
    incident.drop(old.replaced)
    incident.create(old.replaced, "CREATE TABLE cizí ()")
    before = touched(incident)
    assert cleanup(incident.settings) == ([], [])
    assert touched(incident) == before


def test_one_that_was_renamed_by_hand_is_never_dropped(
    incident: Incident, old: IncidentEntry
) -> None:
    elsewhere = f"{incident.live.dbname}_archiv"
    rename = f"ALTER DATABASE {old.replaced} RENAME TO {elsewhere}"
    incident.execute(rename, on=incident.live.database("postgres"))
    assert cleanup(incident.settings) == ([], [])
    assert incident.beside() == [elsewhere]


def test_what_is_live_again_is_never_dropped(incident: Incident, old: IncidentEntry) -> None:
    undone = incident.undo()
    turn_back(incident)
    # what the undo took away may go in its turn, by the same rules
    names = [each.name for each in cleanup(incident.settings)[0]]
    assert names == [undone.replaced]
    assert incident.beside() == []
    assert ("book", "5", "Babička") in incident.content()


def test_on_another_server_nothing_is_dropped(incident: Incident, old: IncidentEntry) -> None:
    # same name, and the same oid as far as anybody knows: the journal names the server
    for each in records(incident.settings.state):
        journal = RecoveryJournal(incident.settings.state, each.id, incident.settings)
        journal.update(identity="0123456789abcdef")
    assert cleanup(incident.settings) == ([], [])
    assert incident.beside() == [old.replaced]


def test_looking_at_them_touches_nothing(incident: Incident, old: IncidentEntry) -> None:
    before = touched(incident)
    assert [each.name for each in kept(incident)] == [old.replaced]
    assert touched(incident) == before


def test_one_that_is_being_undone_stays_and_the_others_go(
    incident: Incident, old: IncidentEntry
) -> None:
    other = f"{incident.live.dbname}_vedle"
    incident.create(other, "CREATE TABLE x ()")
    aside = incident.recover(database=other, confirm=other)
    taken = take(incident.settings, incident.live.database(other), reason="denní").backup
    judge(taken, "proven", datetime.now(UTC))
    turn_back(incident)
    with alone(incident.settings, incident.live):
        dropped, stay = cleanup(incident.settings)
    assert [each.name for each in dropped] == [aside.replaced]
    assert [(each.name, each.why) for each in stay] == [
        (old.replaced, f"another recovery of {incident.live.dbname} runs")
    ]
    assert old.replaced in incident.beside()


def test_one_that_cannot_be_dropped_stays_and_says_why(
    incident: Incident, old: IncidentEntry
) -> None:
    # what DROP DATABASE refuses: a template
    admin = incident.live.database("postgres")
    flag = "UPDATE pg_database SET datistemplate = {} WHERE datname = '" + old.replaced + "'"
    incident.execute(flag.format("true"), on=admin)
    dropped, (stays,) = cleanup(incident.settings)
    assert dropped == []
    assert stays.why.startswith("it could not be dropped: ")
    assert "cannot drop a template database" in stays.why
    incident.execute(flag.format("false"), on=admin)
    assert [each.name for each in cleanup(incident.settings)[0]] == [old.replaced]


def test_a_server_that_does_not_answer_is_an_error(incident: Incident) -> None:
    incident.change(restore_url="postgresql://kajovo@127.0.0.1:1/x")
    with pytest.raises(Unreachable):
        cleanup(incident.settings)


@pytest.mark.parametrize("between", ["__restore_", "__before_", "__undone_"])
def test_names_that_no_recovery_explains_are_told(incident: Incident, between: str) -> None:
    incident.recover()
    strange = f"{incident.live.dbname}{between}1a2b3c4d"
    incident.create(strange)
    with databases.connect(incident.live.database("postgres")) as admin:
        assert list(leftovers.unexplained(incident.settings, admin)) == [strange]
