"""What befell the source between two proven backups, told from manifests alone."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.changes import CHECKS, compare_with_previous, earlier_proven
from kajovo_dr.backups.store import Store
from kajovo_dr.settings import Settings
from kajovo_dr_tests.backups.stored import NOON, backup_of, fingerprint, judge, manifest, put, table

SIX_HOURS = timedelta(hours=6)


def backup(number: int = 0, **facts: Any) -> Backup:
    """The backup of so many times six hours after noon."""
    return backup_of(manifest(NOON + number * SIX_HOURS, **facts))


def told(now: Backup, *earlier: Backup, **settings: float) -> list[tuple[str, str]]:
    chosen = Settings.load().with_overrides(**settings)
    changes = compare_with_previous(chosen, now, list(earlier))
    assert {change.check for change in changes} <= set(CHECKS)
    return [(change.check, change.severity) for change in changes]


def what(now: Backup, *earlier: Backup) -> str:
    (change,) = compare_with_previous(Settings.load(), now, list(earlier))
    return change.what


def with_rows(number: int, rows: int, **facts: Any) -> Backup:
    return backup(number, tables=(table("issues", rows),), **facts)


def with_objects(number: int, objects: dict[str, str], **facts: Any) -> Backup:
    more = {key: facts.pop(key) for key in ("wording", "alembic_head") if key in facts}
    return backup(number, fingerprint=fingerprint(objects, **more), **facts)


def changing(hashes: str, **facts: Any) -> list[Backup]:
    """One backup per letter, six hours apart, its only table hashed to that letter."""
    return [
        backup(
            number,
            tables=(table("issues", 9, hash=letter, **facts),),
            fingerprint=fingerprint({}),
        )
        for number, letter in enumerate(hashes)
    ]


def test_the_first_proven_backup_has_nothing_to_differ_from() -> None:
    assert told(with_rows(0, 5)) == []


def test_a_table_that_is_gone_is_an_error_that_names_it() -> None:
    now, before = backup(1, tables=(table("b", 1),)), backup(0, tables=(table("a", 7),))
    assert told(now, before) == [("no_table_gone", "error")]
    assert what(now, before) == f"public.a is gone; it had 7 rows in {before.name}"


def test_only_the_last_of_the_earlier_backups_counts_for_rows_and_tables() -> None:
    assert told(with_rows(2, 50), with_rows(0, 1000), with_rows(1, 50)) == []


@pytest.mark.parametrize(
    ("before", "rows", "severity"),
    [
        (1000, 1000, None),
        (1000, 2000, None),
        (1000, 900, None),
        (1000, 899, "warn"),
        (1000, 500, "warn"),
        (1000, 499, "error"),
        (1, 0, "error"),
        (0, 0, None),
        (0, 5, None),
    ],
)
def test_a_table_that_shrank_is_judged_by_the_part_that_is_left(
    before: int, rows: int, severity: str | None
) -> None:
    expected = [("no_table_shrank", severity)] if severity else []
    assert told(with_rows(1, rows), with_rows(0, before)) == expected


def test_a_shrink_is_told_with_its_figures() -> None:
    before = with_rows(0, 1000)
    assert what(with_rows(1, 123), before) == (
        f"public.issues has 123 rows, 12.3% of 1000 in {before.name}"
    )


def test_an_emptied_table_is_an_error_whatever_the_thresholds() -> None:
    lenient = {"table_shrink_warn": 0.0, "table_shrink_error": 0.0}
    assert told(with_rows(1, 1), with_rows(0, 1000), **lenient) == []
    emptied = told(with_rows(1, 0), with_rows(0, 1000), **lenient)
    assert emptied == [("no_table_shrank", "error")]


def test_a_shrink_that_the_operator_accepted_is_a_warning() -> None:
    accepted = with_rows(1, 0, shrink_accepted=True)
    assert told(accepted, with_rows(0, 1000)) == [("no_table_shrank", "warn")]
    assert "accepted" in what(accepted, with_rows(0, 1000))


def test_a_table_that_used_to_change_and_stopped_is_a_warning() -> None:
    *earlier, now = changing("abcdefghi" + "iiiiiiii")  # eight times six hours
    assert told(now, *earlier) == [("tables_still_change", "warn")]
    assert what(now, *earlier).startswith("public.issues has not changed for 48 hours")


def test_a_table_is_not_missed_before_the_hours_are_over() -> None:
    *earlier, now = changing("abcdefghi" + "iiiiiii")
    assert told(now, *earlier) == []


@pytest.mark.parametrize(
    ("hashes", "why"),
    [
        ("aaaaaaaaaaaaaaaa", "it never changed"),
        ("abbbbbbbbbbbbbbb", "it changed once"),
        ("abcdefghijklmnop", "it still changes"),
        ("abcdefghijklmnoaaaaaaaa", "it changed back less than 48 hours ago"),
    ],
)
def test_a_quiet_table_and_a_busy_one_are_both_as_usual(hashes: str, why: str) -> None:
    *earlier, now = changing(hashes)
    assert told(now, *earlier) == [], why


def test_fewer_than_three_earlier_backups_say_nothing_of_what_is_usual() -> None:
    *two, third = changing("abb")
    assert told(third, *two, table_stopped_hours=6) == []
    *three, fourth = changing("abcc")
    assert told(fourth, *three, table_stopped_hours=6) == [("tables_still_change", "warn")]


def test_a_sample_says_nothing_of_a_whole_table() -> None:
    *earlier, now = changing("abcdefghiiiiiiiii", sampled=True)
    assert told(now, *earlier) == []


def test_manifests_without_hashes_are_not_compared_by_them() -> None:
    *earlier, now = changing("abcdefghiiiiiiiii")
    old = [
        backup(number, tables=(table("issues", 9),), fingerprint=None)
        for number, _ in enumerate(earlier)
    ]
    assert told(now, *old) == []


def test_hashes_of_another_way_of_hashing_are_not_compared() -> None:
    *earlier, now = changing("abcdefghiiiiiiiii")
    other = fingerprint({"table public.a": "1"}).model_copy(update={"version": 2})
    newer = backup_of(now.manifest.model_copy(update={"fingerprint": other}))
    assert told(newer, *earlier) == []


def test_an_unchanged_schema_is_not_told() -> None:
    objects = {"table public.a": "1"}
    assert told(with_objects(1, objects), with_objects(0, objects)) == []


def test_what_came_went_and_changed_in_the_schema_is_named() -> None:
    before = with_objects(0, {"table public.a": "1", "index public.i": "1", "type public.t": "1"})
    now = with_objects(1, {"table public.a": "2", "type public.t": "1", "view public.v": "1"})
    assert told(now, before) == [("schema_unchanged", "warn")]
    assert what(now, before) == (
        f"since {before.name}: 1 gone: index public.i; 1 new: view public.v;"
        " 1 changed: table public.a"
    )


def test_a_migration_is_told_by_its_revisions() -> None:
    before = with_objects(0, {"table public.a": "1"}, alembic_head="0024")
    now = with_objects(1, {"table public.a": "2"}, alembic_head="0025")
    assert what(now, before).endswith("(Alembic 0024 to 0025)")


def test_ten_objects_are_named_and_the_others_counted() -> None:
    now = with_objects(1, {f"table public.t{number:02}": "1" for number in range(12)})
    said = what(now, with_objects(0, {}))
    assert "12 new: table public.t00," in said
    assert said.endswith("table public.t09 and 2 more")


def test_wording_counts_only_between_servers_of_one_major_version() -> None:
    objects = {"view public.v": "1"}
    before = with_objects(0, objects, wording={"view public.v": "1"})
    now = with_objects(1, objects, wording={"view public.v": "2"}, server_version="16.11")
    assert told(now, before) == [("schema_unchanged", "warn")]
    newer = with_objects(1, objects, wording={"view public.v": "2"}, server_version="17.1")
    assert told(newer, before) == []


def test_only_proven_backups_of_the_same_database_before_this_one_are_compared(
    tmp_path: Path,
) -> None:
    store = Store(tmp_path, "kajovo-postgres")
    made = [put(store, NOON + number * SIX_HOURS) for number in range(5)]
    other = put(store, NOON + timedelta(minutes=1), database="other")
    for each in (made[0], made[2], made[4], other):
        judge(each, "proven", NOON)
    judge(made[1], "damaged", NOON)
    assert [each.name for each in earlier_proven(store, made[3])] == [made[0].name, made[2].name]


def test_another_servers_database_of_our_name_is_no_earlier_one(tmp_path: Path) -> None:
    store = Store(tmp_path, "kajovo-postgres")
    ours = put(store, NOON, identity="ours")
    theirs = put(store, NOON + SIX_HOURS, identity="theirs", server="127.0.0.1:1")
    now = put(store, NOON + 2 * SIX_HOURS, identity="ours")
    for each in (ours, theirs, now):
        judge(each, "proven", NOON)
    assert [each.name for each in earlier_proven(store, now)] == [ours.name]
