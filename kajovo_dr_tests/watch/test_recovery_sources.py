"""Under test: what is told of drills and of recoveries that have not ended."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import timedelta

import pytest
from filelock import FileLock

from kajovo_dr.files import private_folder
from kajovo_dr.postgres import clusters, databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.recovery import drill_history
from kajovo_dr.recovery.drill_record import RTO
from kajovo_dr.recovery.journal import RecoveryJournal
from kajovo_dr.recovery.preflight import LOCK
from kajovo_dr_tests.backups.stored import NOON
from kajovo_dr_tests.recovery.drills import BEGUN, drill
from kajovo_dr_tests.recovery.records import phase, record
from kajovo_dr_tests.watch.conftest import HOUR, MINUTE, Watch

DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _well(watch: Watch) -> None:
    """The backups are."""
    watch.set(rpo_warn_hours=10_000, rpo_hours=20_000)
    watch.proven(BEGUN)


def forget_drills(watch: Watch) -> None:
    drill_history.path_of(watch.settings.state).unlink()


def test_that_no_drill_was_ever_run_is_a_warning(watch: Watch) -> None:
    forget_drills(watch)
    told = watch.one(NOON)
    assert told.head == "WARNING: no drill was ever run: nobody knows how long a recovery takes"
    assert told.lines["Limit"] == "40 days"
    assert told.lines["Next"] == "kajovo-dr drill"
    drill_history.append(watch.settings.state, drill(0))
    over = watch.one(NOON + MINUTE)
    assert over.head.startswith("OVER: no drill was ever run")
    assert over.lines["Now"] == "the last drill passed"


def test_each_drill_that_fails_is_told_and_the_one_that_passes(watch: Watch) -> None:
    assert watch.look(NOON - 2 * DAY) == []
    failed = drill(1, days=20, failed="smoke", detail="GET /guests answered 500")
    drill_history.append(watch.settings.state, failed)
    told = watch.one(NOON)
    assert (
        told.head == "CRITICAL: the last drill, 00000001, failed: smoke: GET /guests answered 500"
    )
    assert told.lines["Next"] == "kajovo-dr drill --history"
    assert told.lines["Since"].startswith("2026-11-21 04:")
    assert watch.look(NOON + MINUTE) == []
    drill_history.append(watch.settings.state, drill(2, days=10.5, failed="migrate", detail="x"))
    assert watch.one(NOON + HOUR).head.startswith("CRITICAL: the last drill, 00000002, failed: mig")
    drill_history.append(watch.settings.state, drill(3, days=8))
    assert watch.one(NOON + 2 * DAY).head.startswith("OVER: the last drill, 00000002, failed")


def test_a_drill_that_took_too_long_is_told_with_its_time_and_the_objective(watch: Watch) -> None:
    slow = drill(1, days=20, ok=False, failed_phase=RTO, rto_s=9000.0)
    drill_history.append(watch.settings.state, slow)
    told = watch.one(NOON)
    assert told.head == ("CRITICAL: the last drill, 00000001, failed: its recovery took too long")
    assert told.lines["Figure"] == "2 h 30 min, limit 2 h"


def test_a_drill_that_is_overdue_is_a_warning(watch: Watch) -> None:
    done = drill(0).finished_at
    assert watch.look(done + 40 * DAY) == []
    told = watch.one(done + 41.5 * DAY)
    assert told.head == "WARNING: no drill has passed for a long time"
    assert told.lines["Figure"] == "41.5 days, limit 40 days"
    assert told.lines["Next"] == "kajovo-dr drill"
    assert told.lines["Since"].startswith("2026-12-11 04:")


def test_a_drill_that_was_killed_is_told_as_failed(watch: Watch) -> None:
    left = drill(1, days=20, failed="restore", detail="its process was ended")
    state = watch.settings.state
    private_folder(state / "drills")
    drill_history.bequeath(state, left)
    with FileLock(state / "drill.lock"):  # it runs
        assert watch.look(NOON) == []
    told = watch.one(NOON + MINUTE)
    assert told.head == "CRITICAL: the last drill, 00000001, failed: restore: its process was ended"
    assert drill_history.read(state).drills[-1].id == left.id
    assert watch.look(NOON + 2 * MINUTE) == []


@pytest.mark.parametrize("fault", ["folder", "lines"])
def test_drills_of_which_nothing_can_be_read_are_not_none(watch: Watch, fault: str) -> None:
    path = drill_history.path_of(watch.settings.state)
    forget_drills(watch)
    if fault == "folder":
        path.mkdir()
    else:
        path.write_bytes(b'{"id": "1"\n')
    told = watch.one(NOON)
    assert told.head.startswith("CRITICAL: nobody can say how the last drill went: ")
    assert watch.levels["drill"] == "unknown"
    assert told.lines["Next"] == "kajovo-dr drill --history"


@contextlib.contextmanager
def carried_out(server: Server) -> Iterator[None]:
    """A session holds the lock of the recovery, as the one that carries it out does."""
    with databases.mutex(server.database("kajovo_hotel"), "postgres", purpose=LOCK):
        yield


def begin(watch: Watch) -> RecoveryJournal:
    made = record(
        id="0123456789", who="Řehoř", started_at=NOON, phases=(phase("restore"), phase("migrate"))
    )
    return RecoveryJournal.begin(watch.settings.state, made, watch.settings)


def test_a_recovery_that_nobody_carries_out_is_told_until_it_has_ended(
    watch: Watch, server: Server
) -> None:
    watch.set(database_url=server.database("kajovo_hotel").url())
    journal = begin(watch)
    assert watch.look(NOON + MINUTE) == []  # between two phases it is nobody's
    told = watch.one(NOON + 3 * MINUTE)
    assert told.head == (
        "CRITICAL: the recovery 01234567 of kajovo_hotel by Řehoř began and has not ended; last"
        " phase: migrate"
    )
    assert told.lines["Figure"] == "3 min, limit 2 h"
    assert told.lines["Since"] == "2026-11-23 13:00:00 CET"
    assert told.lines["Next"] == "kajovo-dr recover --resume"
    assert watch.look(NOON + 4 * MINUTE) == []
    journal.log()
    assert watch.one(NOON + 5 * MINUTE).head.startswith("OVER: the recovery 01234567")


def test_a_recovery_that_is_carried_out_is_told_when_it_takes_longer_than_the_objective(
    watch: Watch, server: Server
) -> None:
    watch.set(database_url=server.database("kajovo_hotel").url())
    begin(watch)
    with carried_out(server):
        assert watch.look(NOON + MINUTE) == []
        assert watch.look(NOON + 119 * MINUTE) == []
        assert watch.looked.active == ()
        assert watch.look(NOON + 121 * MINUTE) == []
        told = watch.one(NOON + 123 * MINUTE)
    assert told.lines["Figure"] == "2 h 03 min, limit 2 h"


def test_a_recovery_of_the_sandbox_hotel_is_known_to_be_carried_out(watch: Watch) -> None:
    watch.set(database_url=None)
    begin(watch)
    with clusters.hotel_cluster(watch.settings) as server, carried_out(server):
        watch.look(NOON + MINUTE)
        watch.look(NOON + 30 * MINUTE)
        assert "recovery:01234567" not in watch.levels
    watch.look(NOON + 31 * MINUTE)
    assert "recovery:01234567" in watch.levels


def test_a_recovery_on_a_server_that_does_not_answer_is_told(watch: Watch) -> None:
    watch.set(database_url="postgresql://kajovo:x@127.0.0.1:1/kajovo_hotel")
    begin(watch)
    watch.look(NOON + MINUTE)
    assert watch.one(NOON + 3 * MINUTE).head.startswith("CRITICAL: the recovery 01234567")


def test_a_broken_incident_log_is_no_end_of_a_recovery(watch: Watch) -> None:
    watch.set(database_url="postgresql://kajovo:x@127.0.0.1:1/kajovo_hotel")
    begin(watch)
    watch.look(NOON + MINUTE)
    watch.look(NOON + 3 * MINUTE)
    log = watch.settings.state / "incidents.jsonl"
    log.unlink(missing_ok=True)
    log.mkdir()
    told = watch.one(NOON + 4 * MINUTE)
    assert told.head.startswith("CRITICAL: nobody can say whether a recovery has not ended: ")
    assert set(watch.levels) == {"recovery", "recovery:01234567"}
    log.rmdir()
    assert [each.head.partition(":")[0] for each in watch.look(NOON + 5 * MINUTE)] == ["OVER"]
    assert set(watch.levels) == {"recovery:01234567"}


def test_it_is_told_in_czech(watch: Watch) -> None:
    watch.set(language="cs")
    drill_history.append(watch.settings.state, drill(1, days=20, failed="smoke", detail="500"))
    told = watch.one(NOON)
    assert told.head == "KRITICKÉ: poslední cvičení 00000001 neobstálo: smoke: 500"
    assert told.lines["Dál"] == "kajovo-dr drill --history"
