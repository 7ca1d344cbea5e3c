"""The recovery point counts from the newest proven backup's snapshot, and from nothing else."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from kajovo_dr.backups.recovery_point import RecoveryPoint, recovery_point
from kajovo_dr.backups.store import Store
from kajovo_dr.settings import Settings
from kajovo_dr_tests.backups.stored import NOON, PROTECTED, judge, put

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store(tmp_path, "kajovo-postgres")


def at(store: Store, age: timedelta, **settings: float) -> RecoveryPoint:
    """The recovery point so long after noon."""
    chosen = Settings.load().with_overrides(**settings)
    return recovery_point(chosen, store, PROTECTED, NOON + age)


@pytest.mark.parametrize(
    ("age", "verdict"),
    [
        (0 * HOUR, "pass"),
        (20 * HOUR, "pass"),
        (20 * HOUR + SECOND, "warn"),
        (24 * HOUR, "warn"),
        (24 * HOUR + SECOND, "fail"),
        (900 * HOUR, "fail"),
    ],
)
def test_age_is_judged_against_the_objective(store: Store, age: timedelta, verdict: str) -> None:
    backup = put(store)
    judge(backup, "proven", NOON + 2 * HOUR)
    assert at(store, age) == RecoveryPoint(verdict, backup.name, NOON, age.total_seconds())  # type: ignore[arg-type]


def test_the_objective_is_a_setting(store: Store) -> None:
    judge(put(store), "proven", NOON)
    assert at(store, 2 * HOUR, rpo_warn_hours=0.5, rpo_hours=1).verdict == "fail"


def test_an_empty_store_has_no_recovery_point(store: Store) -> None:
    assert at(store, HOUR) == RecoveryPoint("none")


@pytest.mark.parametrize("state", ["damaged", "unproven", None])
def test_a_backup_that_is_not_proven_is_no_recovery_point(store: Store, state: str | None) -> None:
    backup = put(store)
    if state:
        judge(backup, state, NOON)  # type: ignore[arg-type]
    assert at(store, HOUR) == RecoveryPoint("none")


def test_newer_backups_that_are_not_proven_do_not_move_it(store: Store) -> None:
    proven = put(store)
    judge(proven, "proven", NOON)
    judge(put(store, NOON + HOUR), "damaged", NOON + HOUR)
    put(store, NOON + 2 * HOUR)
    assert at(store, 3 * HOUR).backup == proven.name


def test_it_counts_from_the_snapshot_not_from_the_proof(store: Store) -> None:
    judge(put(store), "proven", NOON + 23 * HOUR)
    assert at(store, 25 * HOUR).verdict == "fail"


def test_the_proof_of_other_bytes_proves_nothing(store: Store) -> None:
    backup = put(store)
    judge(backup, "proven", NOON)
    put(store, size_bytes=0, reason="another manifest under the same name")
    assert at(store, HOUR).verdict == "none"


def test_another_databases_backup_is_not_ours(store: Store) -> None:
    judge(put(store, database="other"), "proven", NOON)
    assert at(store, HOUR).verdict == "none"


def test_a_snapshot_from_the_future_does_not_count_and_fails_the_verdict(store: Store) -> None:
    judge(put(store), "proven", NOON)
    ahead = put(store, NOON + 30 * HOUR)
    judge(ahead, "proven", NOON)
    point = at(store, HOUR)
    assert (point.verdict, point.snapshot, point.age_s) == ("fail", NOON, 3600)
    assert point.problem == (
        f"the snapshot of {ahead.name} lies 29.0 hours in the future: the clock or its manifest is"
        " wrong, and it does not count"
    )


def test_nothing_but_the_future_is_no_recovery_point(store: Store) -> None:
    judge(put(store, NOON + HOUR), "proven", NOON)
    point = at(store, 0 * HOUR)
    assert (point.verdict, point.snapshot) == ("fail", None)
    assert "in the future" in point.problem


def test_a_clock_a_little_behind_is_forgiven(store: Store) -> None:
    backup = put(store)
    judge(backup, "proven", NOON)
    assert at(store, -300 * SECOND) == RecoveryPoint("pass", backup.name, NOON, 0)
    assert at(store, -301 * SECOND).verdict == "fail"


def test_another_servers_database_of_our_name_is_not_ours(store: Store) -> None:
    ours = put(store, identity="ours")
    theirs = put(store, NOON + 30 * HOUR, identity="theirs", server="10.0.0.9:5432")
    for each in (ours, theirs):
        judge(each, "proven", NOON)
    point = at(store, 31 * HOUR)
    assert (point.verdict, point.backup) == ("fail", ours.name)


def test_what_a_recovery_replaced_is_no_recovery_point(store: Store) -> None:
    judge(put(store), "proven", NOON)
    judge(put(store, NOON + HOUR, reason="before recovery 3f2a9c1b"), "proven", NOON + HOUR)
    assert at(store, 2 * HOUR).age_s == 2 * 3600
