"""Which backups are proven again tonight, and that no one of them spoils the night."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.proof import Proof
from kajovo_dr.backups.reprove import Outcome, due, reprove, require_sound
from kajovo_dr.backups.store import Store
from kajovo_dr.errors import DrError, ProofFailed, ProofImpossible
from kajovo_dr.settings import Settings
from kajovo_dr_tests.backups.stored import DATABASE, NOON, PROTECTED, judge, put

DAY = timedelta(days=1)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store(tmp_path, "kajovo-postgres")


@pytest.fixture
def backups(store: Store) -> list[Backup]:
    """Six backups, a day apart, none proven."""
    return [put(store, NOON + number * DAY) for number in range(6)]


def prove(backup: Backup) -> Proof:
    return judge(backup, "proven", NOON + 100 * DAY)


def names(backups: list[Backup]) -> list[str]:
    return [backup.name for backup in backups]


def night(store: Store, count: int = 3, **how: object) -> Iterator[Outcome]:
    settings = Settings.load().with_overrides(reprove_count=count)
    return reprove(settings, store, PROTECTED, **{"prove": prove} | how)  # type: ignore[arg-type]


def test_what_was_never_proven_comes_first_the_newest_first(
    store: Store, backups: list[Backup]
) -> None:
    a, b, c, d, e, f = backups
    for age, each in enumerate((f, b)):
        judge(each, "proven", NOON + age * DAY)
    assert names(due(store, DATABASE, 9)) == names([e, d, c, a, f, b])


def test_then_comes_what_was_proven_longest_ago(store: Store, backups: list[Backup]) -> None:
    a, b, c, d, e, f = backups
    for age, each in enumerate((c, f, a, e, b, d)):
        judge(each, "proven", NOON + age * DAY)
    assert names(due(store, DATABASE, 2)) == names([c, f])


def test_a_damaged_backup_is_not_proven_again(store: Store, backups: list[Backup]) -> None:
    for each in backups[1:]:
        judge(each, "damaged", NOON)
    assert names(due(store, DATABASE, 9)) == names(backups[:1])


def test_what_cannot_be_proven_here_leaves_a_place_for_what_can(
    store: Store, backups: list[Backup]
) -> None:
    a, *others = backups
    judge(a, "proven", NOON)
    for each in others:
        judge(each, "unproven", NOON)
    assert names(due(store, DATABASE, 3)) == names([others[4], others[3], a])


def test_another_databases_backups_are_left_alone(store: Store, backups: list[Backup]) -> None:
    put(store, NOON + 9 * DAY, database="other")
    assert len(due(store, DATABASE, 9)) == 6


def test_a_night_proves_as_many_as_it_may(store: Store, backups: list[Backup]) -> None:
    outcomes = list(night(store))
    assert [outcome.backup.name for outcome in outcomes] == names(backups[:2:-1])
    assert all(outcome.proven for outcome in outcomes)
    # the rest follows in the next nights, until all of them came round
    assert names([outcome.backup for outcome in night(store)]) == names(backups[2::-1])


def test_none_is_begun_after_the_time_is_over(store: Store, backups: list[Backup]) -> None:
    now = [0.0]

    def slowly(backup: Backup) -> Proof:
        now[0] += 31 * 60
        return prove(backup)

    assert len(list(night(store, prove=slowly, clock=lambda: now[0]))) == 2


@pytest.mark.parametrize(
    "problem",
    [ProofImpossible("no space"), DrError("gone meanwhile"), OSError(5, "Input/output error")],
)
def test_one_that_cannot_be_proven_does_not_stop_the_others(
    store: Store, backups: list[Backup], problem: Exception
) -> None:
    def fails_first(backup: Backup) -> Proof:
        if backup.name == backups[-1].name:
            raise problem
        return prove(backup)

    first, *others = night(store, prove=fails_first)
    assert not first.proven
    assert not first.damaged
    assert first.reason
    assert [outcome.proven for outcome in others] == [True, True]
    require_sound([first, *others])


def test_a_bug_is_not_taken_for_a_problem_of_a_backup(store: Store, backups: list[Backup]) -> None:
    def broken(backup: Backup) -> Proof:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(night(store, prove=broken))


def test_damaged_backups_are_named_in_the_end_and_the_others_proven(
    store: Store, backups: list[Backup]
) -> None:
    def damages_first(backup: Backup) -> Proof:
        if backup.name == backups[-1].name:
            return judge(backup, "damaged", NOON, reason="sha256: differs")
        return prove(backup)

    outcomes = list(night(store, prove=damages_first))
    assert [outcome.damaged for outcome in outcomes] == [True, False, False]
    with pytest.raises(ProofFailed, match="1 of 3 backups are damaged") as failed:
        require_sound(outcomes)
    assert f"{backups[-1].name}: sha256: differs" in str(failed.value)


def test_a_night_in_which_nothing_could_be_proven_is_no_success(
    store: Store, backups: list[Backup]
) -> None:
    def impossible(backup: Backup) -> Proof:
        raise ProofImpossible("the scratch server does not start")

    outcomes = list(night(store, prove=impossible))
    with pytest.raises(ProofImpossible, match=r"none of 3 backups .* does not start"):
        require_sound(outcomes)


def test_a_night_with_nothing_to_do_is_a_success(store: Store) -> None:
    outcomes = list(night(store))
    assert outcomes == []
    require_sound(outcomes)


def test_a_database_of_another_server_is_left_to_that_one(store: Store) -> None:
    ours = put(store, identity="ours")
    put(store, NOON + DAY, identity="theirs", server="10.0.0.9:5432")
    assert [outcome.backup.name for outcome in night(store)] == [ours.name]


def test_what_was_deleted_meanwhile_is_not_lost(store: Store) -> None:
    backup = put(store)
    judge(backup, "proven", NOON)

    def retired(each: Backup) -> Proof:
        each.path.unlink()
        raise ProofImpossible("it is no longer there")

    (outcome,) = night(store, prove=retired)
    assert not outcome.lost
