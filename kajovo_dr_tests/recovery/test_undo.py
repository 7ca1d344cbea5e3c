"""Under test: that a recovery can be undone, an undo as well, and nothing else by mistake."""

from __future__ import annotations

import pytest

from kajovo_dr.errors import NotConfirmed, SettingError, UndoImpossible
from kajovo_dr.postgres import carry_over, databases
from kajovo_dr.recovery.undo import last_swapped, require_possible
from kajovo_dr_tests.recovery.incidents import Incident, touched


def test_an_undo_puts_the_former_database_back_and_can_be_undone(incident: Incident) -> None:
    before, oid = incident.content(), incident.oid()
    recovered = incident.recover()
    incident.execute("INSERT INTO library.books (title, shelf_id) VALUES ('Kytice', 2)")

    undone = incident.undo()
    assert (incident.content(), incident.oid()) == (before, oid)
    assert (undone.kind, undone.undoes, undone.succeeded) == ("undo", recovered.id, True)
    assert (undone.who, undone.database) == ("Ranní směna", incident.live.dbname)
    assert incident.beside() == [undone.replaced]
    assert undone.replaced == f"{incident.live.dbname}__undone_{undone.id[:8]}"
    # what was written after the recovery is not lost either
    assert ("book", "4", "Kytice") in incident.content(undone.replaced)

    redone = incident.undo(undone.id, note="přece jen")
    assert ("book", "4", "Kytice") in incident.content()
    assert (redone.undoes, redone.note) == (undone.id, "přece jen")
    assert incident.content(redone.replaced) == before
    assert [entry.kind for entry in incident.log()] == ["recovery", "undo", "undo"]


def test_the_former_database_comes_back_with_all_that_it_was(incident: Incident) -> None:
    name = incident.live.dbname
    admin = incident.live.database("postgres")
    incident.execute(
        f"COMMENT ON DATABASE {name} IS 'knihovna města'",
        f"ALTER DATABASE {name} SET work_mem = '7MB'",
        f"ALTER DATABASE {name} CONNECTION LIMIT 40",
        f"GRANT TEMPORARY ON DATABASE {name} TO pg_monitor",
        on=admin,
    )
    with databases.connect(admin) as session:
        before = carry_over.read(session, name)
        recovered = incident.recover()
        assert carry_over.read(session, name) == before  # the new one is given them, too
        incident.execute(f"ALTER DATABASE {name} SET work_mem = '9MB'", on=admin)
        incident.undo()
        assert carry_over.read(session, name) == before
    assert recovered.replaced not in incident.beside()


def test_a_recovery_is_undone_once(incident: Incident) -> None:
    first = incident.recover()
    incident.undo(first.id[:6])
    before = touched(incident)
    with pytest.raises(UndoImpossible, match="no longer the database that recovery") as refused:
        incident.undo(first.id)
    assert "kajovo-dr incidents" in refused.value.hint
    assert touched(incident) == before


def test_only_the_last_of_two_recoveries_can_be_undone_at_once(incident: Incident) -> None:
    first, second = incident.recover(), incident.recover()
    with pytest.raises(UndoImpossible, match="no longer the database that recovery"):
        incident.undo(first.id)
    with pytest.raises(UndoImpossible, match="2 recoveries have an id that begins with"):
        _both_begin_with_a(incident, first.id, second.id)
    incident.undo(second.id)
    incident.undo(first.id)
    assert ("book", "5", "Babička") in incident.content()


def _both_begin_with_a(incident: Incident, *ids: str) -> None:
    folder = incident.settings.state / "recoveries"
    texts = {each: (folder / f"{each}.json").read_text("utf-8") for each in ids}
    for each, text in texts.items():
        (folder / f"a-{each}.json").write_text(
            text.replace(f'"id":"{each}"', f'"id":"a-{each}"').replace(
                f'"id": "{each}"', f'"id": "a-{each}"'
            ),
            "utf-8",
        )
    try:
        last_swapped(incident.settings, "a-")
    finally:
        for each in ids:
            (folder / f"a-{each}.json").unlink()


def test_a_former_database_that_was_dropped_by_hand_cannot_come_back(incident: Incident) -> None:
    recovered = incident.recover()
    incident.drop(recovered.replaced)
    incident.create(recovered.replaced)  # another one under its name
    with pytest.raises(UndoImpossible, match=f"'{recovered.replaced}', .*, is gone") as refused:
        incident.undo()
    assert "older backup" in refused.value.hint
    assert incident.content() == incident.vault.restored


def test_a_former_database_that_was_renamed_by_hand_comes_back(incident: Incident) -> None:
    before = incident.content()
    recovered = incident.recover()
    elsewhere = f"{incident.live.dbname}_jinde"
    rename = f"ALTER DATABASE {recovered.replaced} RENAME TO {elsewhere}"
    incident.execute(rename, on=incident.live.database("postgres"))
    undone = incident.undo()
    assert incident.content() == before
    assert incident.beside() == [undone.replaced]


def test_a_recovery_that_replaced_nothing_cannot_be_undone(incident: Incident) -> None:
    incident.drop()
    incident.recover()
    with pytest.raises(UndoImpossible, match="replaced nothing: there was no database"):
        incident.undo()


def test_a_live_database_that_somebody_else_has_made_is_not_renamed(incident: Incident) -> None:
    incident.recover()
    incident.drop()
    incident.create(incident.live.dbname, "CREATE TABLE cizí ()")
    before = touched(incident)
    with pytest.raises(UndoImpossible, match="no longer the database that recovery"):
        incident.undo()
    assert touched(incident) == before


def test_without_a_recovery_there_is_nothing_to_undo(incident: Incident) -> None:
    with pytest.raises(UndoImpossible, match="no recovery has replaced a database"):
        incident.undo()
    incident.recover()
    with pytest.raises(UndoImpossible, match="no recovery whose id begins with 'x' has replaced"):
        incident.undo("x")


@pytest.mark.parametrize("typed", ["", "KNIHOVNA", "knihovna "])
def test_an_undo_is_confirmed_by_the_databases_exact_name(incident: Incident, typed: str) -> None:
    incident.recover()
    before = touched(incident)
    with pytest.raises(NotConfirmed, match="nothing was changed"):
        incident.undo(confirm=typed)
    with pytest.raises(SettingError, match="who is empty"):
        incident.undo(who=" ")
    assert touched(incident) == before


def test_looking_whether_an_undo_is_possible_touches_nothing(incident: Incident) -> None:
    incident.recover()
    before = touched(incident)
    require_possible(incident.settings, last_swapped(incident.settings))
    assert touched(incident) == before
