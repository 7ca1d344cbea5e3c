"""Under test: the status as a record: what is known, what is missing, what to do next."""

from __future__ import annotations

import pytest

from kajovo_dr.alerts import ledger as book
from kajovo_dr.errors import NotProtected
from kajovo_dr.recovery import drill_history
from kajovo_dr.watch.status import status
from kajovo_dr_tests.backups.stored import DATABASE, NOON, judge, put
from kajovo_dr_tests.recovery.drills import drill
from kajovo_dr_tests.watch.conftest import HOUR, MINUTE, Watch


def test_everything_that_is_known_is_in_it(watch: Watch) -> None:
    proven = watch.proven(NOON)
    judge(put(watch.store, NOON - 6 * HOUR), "damaged", NOON, reason="x")
    newest = put(watch.store, NOON + HOUR)
    broken = put(watch.store, NOON - 12 * HOUR)
    broken.path.write_bytes(b"x")
    watch.look(NOON + MINUTE, "daemon")
    watch.look(NOON + 2 * MINUTE)
    found = status(watch.settings, NOON + 2 * HOUR)
    assert found.point is not None
    assert (found.point.backup, found.point.age_s) == (proven.name, 7200)
    assert found.database == DATABASE
    assert found.backups == {"damaged": 1, "proven": 1, "taken": 1, "unreadable": 1}
    assert found.newest == newest.name
    assert found.drill == drill(0)
    assert found.disk is not None
    assert found.disk.free_bytes > 0
    assert found.folder == str(watch.store.folder)
    assert {run.name for run in found.runs} == {"backup", "reprove", "cleanup", "drill"}
    assert (found.daemon_at, found.watchdog_at) == (NOON + MINUTE, NOON + 2 * MINUTE)
    assert (found.channels, found.waiting) == (1, 0)
    assert found.level == "warning"
    assert [each.key.partition(":")[0] for each in found.wrong] == ["damaged", "damaged"]
    assert found.next == "kajovo-dr list"
    assert not found.is_bad
    found.require_protected()


def test_nothing_is_wrong_and_nothing_is_to_be_done(watch: Watch) -> None:
    watch.proven(NOON)
    found = status(watch.settings, NOON + HOUR)
    assert (found.level, found.next, found.wrong) == ("ok", "", ())
    found.require_protected()


def test_what_is_critical_is_an_error_with_its_next_step(watch: Watch) -> None:
    found = status(watch.settings, NOON)
    assert found.is_bad
    with pytest.raises(
        NotProtected, match=r"^critical: no backup of kajovo_hotel is proven"
    ) as said:
        found.require_protected()
    assert said.value.hint == "begin with: kajovo-dr backup --prove."


def test_what_nobody_knows_is_an_error_too(watch: Watch) -> None:
    watch.proven(NOON)
    watch.set(watch_dagster=True)
    found = status(watch.settings, NOON)
    assert (found.level, found.is_bad) == ("unknown", True)


def test_without_a_store_the_rest_is_told(watch: Watch) -> None:
    watch.set(backup_dir=watch.store.folder / "chybí")
    found = status(watch.settings, NOON)
    assert (found.point, found.disk, found.backups, found.newest) == (None, None, {}, "")
    assert found.folder == str(watch.store.folder / "chybí")
    assert found.database == DATABASE
    assert [each.key for each in found.wrong] == ["store"]


def test_without_any_database_the_store_is_told(watch: Watch) -> None:
    watch.set(database_url=None, backup_dir=watch.store.folder)
    watch.proven(NOON)
    found = status(watch.settings, NOON + HOUR)
    assert (found.database, found.point, found.backups) == ("", None, {"proven": 1})
    (wrong,) = found.wrong
    assert (wrong.key, wrong.level) == ("rpo", "unknown")
    assert "no database is configured, and the sandbox hotel does not run" in wrong.what


def test_a_damaged_ledger_hides_nothing(watch: Watch) -> None:
    book.path_of(watch.settings.state).write_bytes(b'{"format": 1, "standings"')
    found = status(watch.settings, NOON)
    assert [each.key for each in found.wrong] == ["rpo"]
    assert found.daemon_at is None


def test_nothing_is_written_down_and_nobody_is_told(watch: Watch) -> None:
    watch.look(NOON)
    watch.heard()
    before = book.path_of(watch.settings.state).read_bytes()
    watch.proven(NOON)
    assert status(watch.settings, NOON + HOUR).level == "ok"
    assert book.path_of(watch.settings.state).read_bytes() == before
    assert watch.heard() == []


def test_messages_that_wait_are_counted(watch: Watch) -> None:
    watch.receiver.answer(500)
    watch.look(NOON)
    assert status(watch.settings, NOON + MINUTE).waiting == 1


def test_the_last_drill_is_the_one_that_began_last(watch: Watch) -> None:
    drill_history.append(watch.settings.state, drill(2, days=10, failed="smoke", detail="500"))
    drill_history.append(watch.settings.state, drill(1, days=10))
    found = status(watch.settings, NOON)
    assert found.drill is not None
    assert found.drill.failed_phase == "smoke"
