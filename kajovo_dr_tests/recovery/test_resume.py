"""Under test: that a recovery that has not ended well can be gone on with, or given up, and is
explained.

What kills it and when is ``test_kills``' matter; here phases fail, or a process never comes back.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kajovo_dr.errors import (
    ControlFailed,
    MigrationFailed,
    SettingError,
    SmokeFailed,
    TargetNotEmpty,
)
from kajovo_dr.postgres import databases
from kajovo_dr.recovery import conduct
from kajovo_dr.recovery.journal import unfinished
from kajovo_dr.recovery.record import IncidentEntry, Phase
from kajovo_dr.recovery.recover import Recovery
from kajovo_dr.recovery.resume import Standing, abandon, find, standings
from kajovo_dr_tests.recovery.incidents import Incident, Service, migrated, touched


def begun_phases(entry: IncidentEntry) -> list[str]:
    return [phase.name for phase in entry.phases]


def stranded(incident: Incident, *phases: str, ended: bool = True) -> Recovery:
    """A recovery whose process is gone after these phases, or within the last of them."""
    begun = incident.begin()
    for name in phases:
        begun.do(name)
    if not ended:
        begun.journal.add(Phase(name="revoke", began_at=datetime.now(UTC)))
    return Recovery(incident.settings, begun.journal)


def give_up(incident: Incident, which: str = "") -> IncidentEntry:
    return abandon(incident.settings, find(incident.settings, which))


def standing(incident: Incident) -> Standing:
    (only,) = standings(incident.settings)
    return only


# --- going on


def test_a_restore_that_was_refused_succeeds_when_that_is_mended(incident: Incident) -> None:
    begun = incident.begin()
    room = begun.record.room
    incident.create(room, "CREATE TABLE cizí ()")
    with pytest.raises(TargetNotEmpty, match="is in the way"):
        conduct.run(incident.settings, begun)
    incident.drop(room)

    entry = incident.resume()
    assert incident.content() == incident.vault.restored
    assert begun_phases(entry) == ["preflight", "safety", "restore", "revoke", "swap"]
    assert entry.succeeded
    first, second = incident.log()
    assert (first.id, first.failed_phase) == (begun.record.id, "restore")
    assert (second.id, second.succeeded) == (entry.id, True)
    assert entry.id == f"{first.id}-2"
    assert entry.safety == first.safety  # it was not taken twice
    with pytest.raises(SettingError, match="all have ended well or were given up"):
        incident.resume()


def test_a_failed_migration_is_gone_on_with_and_nothing_before_it_is_done_again(
    incident: Incident, service: Service
) -> None:
    good = incident.settings
    incident.change(migrate_command=("false",))
    with pytest.raises(MigrationFailed):
        incident.recover(database_only=False)
    restored = incident.oid(incident.beside()[0])
    incident.settings = good
    entry = incident.resume()
    assert service.verbs == ["stop", "start", "stop", "start"]
    assert incident.oid() == restored
    assert entry.succeeded
    assert incident.execute("SELECT * FROM library.changes") == [("second_isbn",)]


def test_a_failed_smoke_test_is_gone_on_with_after_the_swap(
    incident: Incident, service: Service
) -> None:
    service.breaks = "/v2/books"
    begun = migrated(incident.begin(database_only=False))
    for _ in range(2):
        with pytest.raises(SmokeFailed):
            conduct.run(incident.settings, begun)
    oid = incident.oid()
    assert standing(incident).hint.startswith("kajovo-dr recover --resume goes on with it; kajovo")

    service.breaks = ""
    entry = incident.resume(begun.record.short)
    assert (incident.oid(), entry.succeeded, entry.smoke is not None) == (oid, True, True)
    assert service.verbs == ["stop", "start"]
    assert standings(incident.settings) == []


def test_a_recovery_whose_process_died_is_logged_and_gone_on_with(incident: Incident) -> None:
    begun = stranded(incident, "safety", "restore", ended=False)
    entry = incident.resume()
    assert incident.content() == incident.vault.restored
    cut_off, resumed = incident.log()
    assert (cut_off.id, cut_off.succeeded) == (begun.record.id, False)
    assert begun_phases(cut_off)[-1] == "interrupted"
    assert resumed.id == entry.id
    assert resumed.started_at == cut_off.started_at


def test_a_room_that_is_gone_is_made_again(incident: Incident) -> None:
    begun = stranded(incident, "safety", "restore")
    incident.drop(begun.record.room)
    incident.resume()
    assert incident.content() == incident.vault.restored


def test_what_was_restored_is_not_swapped_over_a_later_recovery(incident: Incident) -> None:
    first = incident.begin()
    room = first.record.room
    incident.create(room, "CREATE TABLE cizí ()")
    with pytest.raises(TargetNotEmpty):
        conduct.run(incident.settings, first)
    incident.drop(room)
    incident.recover()
    before = touched(incident)
    with pytest.raises(SettingError, match="there is no recovery to go on with"):
        incident.resume()
    assert touched(incident) == before


def test_after_its_undo_a_recovery_is_not_gone_on_with(
    incident: Incident, service: Service
) -> None:
    service.breaks = "/v2/books"
    begun = migrated(incident.begin(database_only=False))
    with pytest.raises(SmokeFailed):
        conduct.run(incident.settings, begun)
    incident.undo()
    before = incident.content()
    for which in ("", begun.record.id):
        with pytest.raises(SettingError):
            incident.resume(which)
    assert incident.content() == before


def test_there_may_be_nothing_to_go_on_with(incident: Incident) -> None:
    for act in (Incident.resume, give_up):
        with pytest.raises(SettingError, match="there is no recovery to go on with"):
            act(incident)
    with pytest.raises(SettingError, match="no recovery whose id begins with 'abc'"):
        incident.resume("abc")
    assert standings(incident.settings) == []


# --- giving up


def test_a_recovery_that_is_given_up_leaves_nothing_but_its_entry(incident: Incident) -> None:
    before, oid = incident.content(), incident.oid()
    begun = stranded(incident, "safety", "restore")
    assert incident.beside() == [begun.record.room]
    entry = give_up(incident)
    assert incident.beside() == []
    assert (incident.content(), incident.oid()) == (before, oid)
    assert incident.log() == [entry]
    assert (entry.succeeded, begun_phases(entry)[-1]) == (False, "abandoned")
    assert (unfinished(incident.settings.state), standings(incident.settings)) == ([], [])
    with pytest.raises(SettingError):
        give_up(incident)
    assert incident.recover().succeeded


def test_a_database_of_somebody_else_stays_when_a_recovery_is_given_up(
    incident: Incident,
) -> None:
    begun = stranded(incident, "safety")
    incident.create(begun.record.room, "CREATE TABLE cizí ()")
    oid = incident.oid(begun.record.room)
    give_up(incident)
    assert incident.oid(begun.record.room) == oid


def test_another_recoverys_database_stays_when_one_is_given_up(incident: Incident) -> None:
    begun = stranded(incident, "safety", "restore")
    with databases.connect(incident.live.database("postgres")) as admin:
        mark = databases.commented(admin, begun.record.room)
        assert mark is not None
        databases.comment(admin, begun.record.room, mark.replace(begun.record.id, "jiná"))
    give_up(incident)
    assert incident.beside() == [begun.record.room]


def test_the_application_that_was_stopped_is_started_when_one_is_given_up(
    incident: Incident, service: Service
) -> None:
    begun = incident.begin(database_only=False)
    for name in ("safety", "stop"):
        begun.do(name)
    give_up(incident)
    assert service.verbs == ["stop", "start"]
    assert service.running


def test_a_recovery_is_given_up_though_the_application_does_not_start(
    incident: Incident, service: Service
) -> None:
    begun = incident.begin(database_only=False)
    for name in ("safety", "stop", "restore"):
        begun.do(name)
    service.deaf_from = 1
    with pytest.raises(ControlFailed, match="was not started"):
        give_up(incident)
    assert incident.beside() == []
    assert unfinished(incident.settings.state) == []
    (entry,) = incident.log()
    assert begun_phases(entry)[-1] == "abandoned"


def test_after_its_swap_a_recovery_cannot_be_given_up(incident: Incident) -> None:
    stranded(incident, "safety", "restore", "revoke", "swap")
    before = touched(incident)
    with pytest.raises(SettingError, match=r"has replaced .* already") as refused:
        give_up(incident)
    assert "--resume" in refused.value.hint
    assert "kajovo-dr undo" in refused.value.hint
    assert touched(incident) == before


# --- what is said of it


def test_nothing_is_said_of_recoveries_that_ended_well(incident: Incident) -> None:
    incident.recover()
    incident.undo()
    assert standings(incident.settings) == []


def test_one_that_died_between_two_phases_is_explained(incident: Incident) -> None:
    begun = stranded(incident, "safety", "restore")
    found = standing(incident)
    assert found.said == (
        f"recovery {begun.record.short} of {incident.live.dbname} by Noční směna stopped between"
        f" two phases; {incident.live.dbname!r} is as it was before"
    )
    assert found.hint == (
        "kajovo-dr recover --resume goes on with it; kajovo-dr recover --abandon gives it up,"
        " unless it still runs."
    )


def test_one_that_died_in_a_phase_is_explained(incident: Incident) -> None:
    stranded(incident, "safety", "restore", ended=False)
    assert " stopped in phase revoke; " in standing(incident).said


def test_one_that_died_after_its_swap_is_explained(incident: Incident) -> None:
    stranded(incident, "safety", "restore", "revoke", "swap")
    found = standing(incident)
    assert found.said.endswith(f"; {incident.live.dbname!r} is the restored database, whole")
    assert "kajovo-dr undo puts the former database back" in found.hint
    assert "--abandon" not in found.hint


def test_one_of_a_lost_database_is_explained(incident: Incident) -> None:
    incident.drop()
    stranded(incident, "safety", "restore")
    said = f"; there is no database {incident.live.dbname!r}, as it was before"
    assert standing(incident).said.endswith(said)
    incident.resume()
    assert standings(incident.settings) == []


def test_one_whose_server_does_not_answer_is_told_with_that(incident: Incident) -> None:
    begun = stranded(incident, "safety")
    incident.change(restore_url="postgresql://kajovo@127.0.0.1:1/x")
    found = standing(incident)
    assert f"recovery {begun.record.short} of " in found.said
    assert "no answer from" in found.said
    assert found.hint


def test_one_that_failed_and_left_its_database_is_explained_after_a_later_one(
    incident: Incident, service: Service
) -> None:
    incident.change(migrate_command=("false",))
    with pytest.raises(MigrationFailed):
        incident.recover(database_only=False)
    (room,) = incident.beside()
    assert " failed in phase migrate; " in standing(incident).said
    later = incident.recover(database_only=True)
    found = standing(incident)
    assert repr(room) in found.said
    assert incident.beside() == sorted((room, later.replaced))
    short = found.hint.split("--id ")[1].split()[0]
    give_up(incident, short)
    assert incident.beside() == [later.replaced]
    assert standings(incident.settings) == []
