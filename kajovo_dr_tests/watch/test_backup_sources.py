"""Under test: what is told of backups. The store is made of sidecars, the receiver is real."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from kajovo_dr.backups import catalog
from kajovo_dr.backups.manifest import DIGEST_SUFFIX, MANIFEST_SUFFIX, safety_reason
from kajovo_dr.backups.store import sidecar
from kajovo_dr.watch.disk_forecast import forecast
from kajovo_dr_tests.backups.stored import DATABASE, NOON, fingerprint, judge, manifest, put, table
from kajovo_dr_tests.watch.conftest import HOUR, MINUTE, Watch

DAY = timedelta(days=1)
as_root = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("mount"),
    reason="needs root, to mount a small file system",
)


def test_an_ageing_recovery_point_is_told_once_per_limit_and_when_it_is_over(watch: Watch) -> None:
    watch.proven(NOON)
    assert watch.look(NOON + HOUR) == []
    assert watch.look(NOON + 20 * HOUR) == []
    warned = watch.one(NOON + 20.5 * HOUR)
    assert (
        warned.head == f"WARNING: the newest proven backup of {DATABASE} is old: what came after"
        " it would be lost"
    )
    assert warned.lines["Since"] == "2026-11-24 09:00:00 CET"  # 20 h after its snapshot
    assert warned.lines["Figure"] == "20 h 30 min, limit 24 h"
    assert warned.lines["Next"] == "kajovo-dr backup --prove"
    assert watch.look(NOON + 21 * HOUR) == []
    failed = watch.one(NOON + 26 * HOUR + 10 * MINUTE)
    assert failed.kind == "failure"
    assert failed.head.startswith("CRITICAL: ")
    assert failed.lines["Figure"] == "26 h 10 min, limit 24 h"
    assert failed.lines["Since"] == "2026-11-24 13:00:00 CET"
    assert failed.lines["Before"] == "warning"
    assert watch.look(NOON + 40 * HOUR, "daemon") == []
    assert watch.levels["rpo"] == "critical"
    watch.proven(NOON + 40 * HOUR)
    over = watch.one(NOON + 41 * HOUR)
    assert over.kind == "success"
    assert over.head.startswith(f"OVER: the newest proven backup of {DATABASE} is old")
    assert over.lines["Now"] == f"the newest proven backup of {DATABASE} is young enough"
    assert over.lines["It lasted"] == "21 h"
    assert over.lines["Figure"] == "1 h, limit 24 h"
    assert "Next" not in over.lines
    assert watch.looked.active == ()
    assert watch.look(NOON + 42 * HOUR) == []


def test_it_is_told_in_czech(watch: Watch) -> None:
    watch.set(language="cs")
    watch.proven(NOON)
    told = watch.one(NOON + 26 * HOUR + 10 * MINUTE)
    assert told.head.startswith(
        "KRITICKÉ: nejnovější ověřená záloha databáze kajovo_hotel je stará"
    )
    assert told.lines["Trvá od"].split() == ["24.", "11.", "2026", "13:00:00", "SEČ"]
    assert told.lines["Hodnota"] == "26 h 10 min, limit 24 h"
    assert told.lines["Dál"] == "kajovo-dr backup --prove"
    watch.proven(NOON + 26 * HOUR)
    over = watch.one(NOON + 27 * HOUR)
    assert over.head.startswith("SKONČILO: ")
    assert over.lines["Nyní"].endswith("je dost čerstvá")


def test_without_a_proven_backup_it_is_critical_from_the_first_look_on(watch: Watch) -> None:
    told = watch.one(NOON)
    assert told.head == (
        f"CRITICAL: no backup of {DATABASE} is proven: nobody knows whether anything could be"
        " brought back"
    )
    assert told.lines["Figure"] == "none, limit 24 h"
    assert told.lines["Next"] == "kajovo-dr backup --prove"
    assert watch.look(NOON + HOUR) == []
    watch.proven(NOON + HOUR)
    assert watch.one(NOON + 2 * HOUR).lines["It lasted"] == "2 h"


def test_a_young_backup_that_nobody_has_proven_is_to_be_proven(watch: Watch) -> None:
    put(watch.store, NOON - 30 * HOUR)
    young = put(watch.store, NOON - HOUR)
    put(watch.store, NOON + HOUR)  # of a wrong clock
    replaced = put(watch.store, NOON - MINUTE, reason=safety_reason("0123abcd"))
    told = watch.one(NOON)
    assert told.lines["Next"] == f"kajovo-dr verify {young.name} --restore"
    assert replaced.name not in told.body


def test_one_that_is_too_old_to_help_is_not_proven_but_another_one_taken(watch: Watch) -> None:
    put(watch.store, NOON - 21 * HOUR)
    assert watch.one(NOON).lines["Next"] == "kajovo-dr backup --prove"


def test_a_miss_that_nobody_saw_is_told_with_its_span(watch: Watch) -> None:
    watch.proven(NOON)
    assert watch.look(NOON + HOUR) == []
    watch.proven(NOON + 30 * HOUR, after=HOUR)
    told = watch.one(NOON + 32 * HOUR)
    assert told.head == (
        f"IT WAS CRITICAL: for a while the newest proven backup of {DATABASE} was too old; now it"
        " is young enough"
    )
    assert told.lines["Meanwhile"] == (
        "critical from 2026-11-24 13:00:00 CET to 2026-11-24 20:00:00 CET; nobody was looking"
    )
    assert told.lines["Figure"] == "2 h, limit 24 h"
    assert watch.look(NOON + 33 * HOUR) == []
    assert watch.looked.active == ()


def test_a_miss_that_was_told_is_not_told_once_more_as_unseen(watch: Watch) -> None:
    watch.proven(NOON)
    watch.look(NOON + HOUR)
    assert watch.one(NOON + 25 * HOUR).head.startswith("CRITICAL")
    watch.proven(NOON + 30 * HOUR)
    over = watch.one(NOON + 31 * HOUR)
    assert over.head.startswith("OVER")
    assert "Meanwhile" not in over.lines


def test_of_several_spans_that_nobody_saw_the_worst_is_told(watch: Watch) -> None:
    watch.proven(NOON)
    watch.look(NOON + HOUR)
    watch.proven(NOON + 21 * HOUR)  # 21 h: a warning
    watch.proven(NOON + 50 * HOUR)  # 29 h: critical
    watch.proven(NOON + 71 * HOUR)  # 21 h
    told = watch.one(NOON + 72 * HOUR)
    assert told.lines["Meanwhile"].startswith("critical from 2026-11-25 10:00:00 CET to 2026-11-25")


def test_a_gap_that_was_short_enough_is_no_news(watch: Watch) -> None:
    watch.proven(NOON)
    watch.look(NOON + HOUR)
    for number in range(1, 6):
        watch.proven(NOON + 19 * number * HOUR)
    assert watch.look(NOON + 96 * HOUR) == []


def test_a_snapshot_from_the_future_is_not_trusted(watch: Watch) -> None:
    watch.proven(NOON)
    ahead = watch.proven(NOON + 5 * HOUR)
    told = watch.one(NOON + HOUR)
    assert told.head.startswith(
        f"CRITICAL: the recovery point cannot be trusted: the snapshot of {ahead.name}"
    )
    assert "lies 4.0 hours in the future" in told.lines["What"]
    assert told.lines["Next"] == "kajovo-dr doctor"


def test_a_store_that_is_missing_is_one_trouble_and_nothing_else_is_over(watch: Watch) -> None:
    watch.proven(NOON - 6 * HOUR)
    judge(put(watch.store, NOON - 12 * HOUR), "damaged", NOON, reason="řádky chybí")
    assert len(watch.look(NOON)) == 1  # the damaged one
    away = watch.store.folder.with_name("jinde")
    watch.set(backup_dir=watch.store.folder)
    watch.store.folder.rename(away)
    lost = watch.one(NOON + MINUTE)
    assert lost.head.startswith("CRITICAL: the store cannot be used: the backup folder ")
    assert lost.lines["Next"] == "kajovo-dr doctor"
    assert watch.levels["store"] == "critical"
    assert "rpo" not in watch.levels  # it is known with the store
    assert watch.look(NOON + 2 * MINUTE) == []
    away.rename(watch.store.folder)
    over = watch.one(NOON + 10 * MINUTE)
    assert over.head.startswith("OVER: the store cannot be used")
    assert over.lines["Now"] == "the store can be read and has room"
    assert list(watch.levels) == [f"damaged:kajovo-postgres-{NOON - 12 * HOUR:%Y%m%d-%H%M%S}.sql"]
    assert watch.look(NOON + 15 * MINUTE) == []


def test_changes_are_not_told_anew_because_the_store_was_away(watch: Watch) -> None:
    watch.proven(NOON - 12 * HOUR, tables=(table("a", 1),))
    assert watch.look(NOON - 11 * HOUR) == []
    watch.proven(NOON - 6 * HOUR, tables=(table("a", 1),))
    away = watch.store.folder.with_name("jinde")
    watch.set(backup_dir=watch.store.folder)
    watch.store.folder.rename(away)
    watch.look(NOON - 5 * HOUR)
    away.rename(watch.store.folder)
    # two were proven while nobody could look: the first of them has lost a table
    watch.proven(NOON - 4 * HOUR, tables=())
    watch.proven(NOON - 2 * HOUR, tables=())
    told = {each.head.partition(":")[0] for each in watch.look(NOON - HOUR)}
    assert told == {"OVER", "CRITICAL"}


def test_a_store_that_is_no_folder_is_told(watch: Watch) -> None:
    watch.store.folder.rmdir()
    watch.store.folder.write_bytes(b"")
    watch.set(backup_dir=watch.store.folder)
    told = watch.one(NOON)
    assert "does not exist" in told.lines["What"]


def test_a_damaged_backup_is_critical_when_nothing_newer_is_proven(watch: Watch) -> None:
    watch.proven(NOON - 6 * HOUR)
    newest = put(watch.store, NOON)
    judge(newest, "damaged", NOON, reason="public.issues has 3 rows, not 5")
    told = watch.one(NOON + HOUR)
    assert told.head.startswith(
        f"CRITICAL: the backup {newest.name} is damaged: public.issues has 3"
    )
    assert told.lines["Next"] == "kajovo-dr backup --prove"
    watch.proven(NOON + HOUR)
    better = watch.one(NOON + 2 * HOUR)
    assert better.head.startswith(f"BETTER: the backup {newest.name} is damaged")
    assert better.lines["Next"] == "kajovo-dr list"
    newest.path.unlink()
    assert watch.one(NOON + 3 * HOUR).head.startswith(f"OVER: the backup {newest.name} is damaged")


def test_an_old_damaged_backup_is_a_warning(watch: Watch) -> None:
    old = put(watch.store, NOON - 6 * HOUR)
    watch.proven(NOON)
    judge(old, "damaged", NOON, reason="its bytes have changed")
    told = watch.one(NOON + HOUR)
    assert told.head.startswith(f"WARNING: the backup {old.name} is damaged")


def test_a_newer_backup_of_another_database_does_not_make_up_for_a_damaged_one(
    watch: Watch,
) -> None:
    watch.proven(NOON - 6 * HOUR)
    damaged = put(watch.store, NOON - HOUR)
    judge(damaged, "damaged", NOON, reason="řádky chybí")
    watch.proven(NOON, database="jiná")
    assert watch.one(NOON + HOUR).head.startswith(f"CRITICAL: the backup {damaged.name}")


@pytest.mark.parametrize("fault", ["manifest", "digest", "size", "gone"])
def test_a_dump_file_whose_sidecars_are_broken_is_told(watch: Watch, fault: str) -> None:
    watch.proven(NOON)
    broken = watch.proven(NOON - 6 * HOUR)
    described = sidecar(broken.path, MANIFEST_SUFFIX)
    if fault == "manifest":
        described.write_bytes(described.read_bytes()[:40])
    elif fault == "digest":
        sidecar(broken.path, DIGEST_SUFFIX).write_text("0" * 64 + f"  {broken.name}\n")
    elif fault == "size":
        broken.path.write_bytes(b"x")
    else:
        described.unlink()
    told = watch.one(NOON + HOUR)
    assert told.head.startswith(f"WARNING: the dump file {broken.name} is not a backup that can be")
    assert told.lines["Next"] == "kajovo-dr list"


def test_many_dump_files_that_broke_at_once_are_one_trouble_and_the_worst_is_told_first(
    watch: Watch,
) -> None:
    for number in range(20):
        watch.proven(NOON - number * HOUR)
    judge(put(watch.store, NOON - 30 * HOUR), "damaged", NOON, reason="x")
    assert len(watch.look(NOON)) == 1
    away = watch.store.folder.with_name("jinde")
    away.mkdir()
    manifests = list(watch.store.folder.glob(f"*{MANIFEST_SUFFIX}"))
    for each in manifests:
        each.rename(away / each.name)
    worst, many = watch.look(NOON + MINUTE)
    assert worst.head.startswith(f"CRITICAL: no backup of {DATABASE} is proven")
    assert many.head.startswith("WARNING: 21 dump files are not backups that can be trusted; of")
    assert many.lines["Next"] == "kajovo-dr list"
    assert watch.look(NOON + 2 * MINUTE) == []
    for each in manifests:
        (away / each.name).rename(each)
    assert {each.head[:8] for each in watch.look(NOON + 3 * MINUTE)} == {"OVER: no", "OVER: 21"}


def tables(**rows: int) -> tuple[object, ...]:
    return tuple(table(name, count) for name, count in rows.items())


def test_what_befell_the_data_is_told_once_per_backup(watch: Watch) -> None:
    before = watch.proven(NOON, tables=tables(hosté=100, pokoje=7), fingerprint=fingerprint({}))
    assert watch.look(NOON + HOUR) == []
    now = watch.proven(
        NOON + 6 * HOUR, tables=tables(hosté=20), fingerprint=fingerprint({"view v": "1"})
    )
    gone, shrunk, schema = watch.look(NOON + 7 * HOUR)
    assert gone.head.startswith(f"CRITICAL: a table is gone since the backup before {now.name}")
    assert f"public.pokoje is gone; it had 7 rows in {before.name}" in gone.lines["What"]
    assert gone.lines["Next"] == f"kajovo-dr verify {now.name} --restore"
    assert gone.lines["Since"] == "2026-11-23 19:00:00 CET"
    assert shrunk.head.startswith("CRITICAL: a table has shrunk since the backup before ")
    assert "public.hosté has 20 rows, 20.0% of 100" in shrunk.lines["What"]
    assert schema.head.startswith("WARNING: the schema has changed since the backup before ")
    assert "1 new: view v" in schema.lines["What"]
    assert watch.looked.active == ()  # it has happened, and is no state
    assert watch.look(NOON + 8 * HOUR) == []
    watch.proven(
        NOON + 12 * HOUR, tables=tables(hosté=20), fingerprint=fingerprint({"view v": "1"})
    )
    assert watch.look(NOON + 13 * HOUR, "daemon") == []


def test_each_of_several_backups_that_came_between_two_looks_is_compared(watch: Watch) -> None:
    watch.proven(NOON, tables=tables(hosté=100))
    watch.look(NOON + HOUR)
    first = watch.proven(NOON + 2 * HOUR, tables=tables(hosté=100, pokoje=1))
    second = watch.proven(NOON + 3 * HOUR, tables=tables(hosté=100))
    third = watch.proven(NOON + 4 * HOUR, tables=tables(hosté=10))
    told = watch.look(NOON + 5 * HOUR)
    assert first.name not in [name for each in told for name in each.head.split(" ")]
    assert [each.head.split(":")[1].split(" ")[-1] for each in told] == [second.name, third.name]


def test_the_first_look_at_an_old_store_tells_of_its_newest_backup_alone(watch: Watch) -> None:
    watch.proven(NOON, tables=tables(hosté=100))
    watch.proven(NOON + HOUR, tables=tables(hosté=10))
    watch.proven(NOON + 2 * HOUR, tables=tables(hosté=10))
    assert watch.look(NOON + 3 * HOUR) == []


def test_a_table_that_stopped_changing_is_told_until_it_changes_again(watch: Watch) -> None:
    def store(number: int, letter: str) -> None:
        hashed = (table("issues", 9, hash=letter),)
        watch.proven(NOON + number * 6 * HOUR, tables=hashed, fingerprint=fingerprint({}))

    told: list[str] = []
    for number, letter in enumerate("abcdefghi" + "iiiiiiiiii" + "jkl"):
        store(number, letter)
        told += [each.head for each in watch.look(NOON + number * 6 * HOUR + HOUR)]
    begun, ended = told
    assert begun.startswith("WARNING: tables that used to change do so no longer: public.issues")
    assert ended.startswith("OVER: tables that used to change do so no longer")


def test_a_table_that_has_changed_again_before_anybody_looked_is_no_news(watch: Watch) -> None:
    for number, letter in enumerate("abcdefghi" + "iiiiiiii" + "j"):
        hashed = (table("issues", 9, hash=letter),)
        watch.proven(NOON + number * 6 * HOUR, tables=hashed, fingerprint=fingerprint({}))
        if number < 12:
            assert watch.look(NOON + number * 6 * HOUR + HOUR) == []
    assert watch.look(NOON + 17 * 6 * HOUR + HOUR) == []


def dump(watch: Watch, at: datetime, size: int) -> None:
    """A proven backup with a dump file of this size, written at its snapshot."""
    backup = put(watch.store, at)
    os.truncate(backup.path, size)
    sidecar(backup.path, MANIFEST_SUFFIX).write_bytes(manifest(at, size_bytes=size).to_bytes())
    os.utime(backup.path, (at.timestamp(), at.timestamp()))
    judge(catalog.load(backup.path), "proven", at)


def free(monkeypatch: pytest.MonkeyPatch, free_bytes: int) -> None:
    """A disk of this size cannot be had everywhere."""
    usage = shutil.disk_usage(Path.cwd())._replace(free=free_bytes)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)


def test_a_disk_that_will_be_full_is_told_with_the_days_that_are_left(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):  # 1 MB a day
        dump(watch, NOON - number * DAY, 1_000_000)
    free(monkeypatch, 30_000_000)
    assert watch.look(NOON) == []
    free(monkeypatch, 9_500_000)
    warned = watch.one(NOON)
    assert warned.head == f"WARNING: the disk of the store {watch.store.folder} will be full soon"
    assert warned.lines["Figure"] == "9.5 days left, 9.5 MB free, 1.0 MB a day, limit 14 days"
    assert warned.lines["Next"] == "kajovo-dr list"
    free(monkeypatch, 2_500_000)
    failed = watch.one(NOON + 2 * MINUTE)
    assert failed.head.startswith("CRITICAL: the disk of the store")
    assert failed.lines["Figure"].endswith("limit 3 days")
    free(monkeypatch, 1_050_000)  # less than the newest and a tenth
    assert watch.look(NOON + 3 * MINUTE) == []  # as bad as before
    free(monkeypatch, 30_000_000)
    assert watch.one(NOON + 4 * MINUTE).head.startswith("OVER: ")


def test_the_days_that_are_left_are_told_in_czech(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch.set(language="cs")
    dump(watch, NOON - DAY, 1_000_000)
    dump(watch, NOON, 1_000_000)
    free(monkeypatch, 9_500_000)
    told = watch.one(NOON)
    assert told.lines["Hodnota"] == ("zbývá 9,5 d, volno 9,5 MB, denně přibude 1,0 MB, limit 14 d")


def test_a_single_backup_foretells_nothing_but_must_fit_once_more(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    dump(watch, NOON, 1_000_000)
    free(monkeypatch, 1_200_000)
    assert watch.look(NOON) == []
    free(monkeypatch, 1_050_000)
    told = watch.one(NOON + MINUTE)
    assert told.head.startswith("CRITICAL: the next backup does not fit into the store ")
    assert told.lines["Figure"] == "1.1 MB free, the newest backup has 1.0 MB"


def test_old_backups_say_nothing_of_todays_rate(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    dump(watch, NOON - 9 * DAY, 50_000_000)
    dump(watch, NOON - 8 * DAY, 50_000_000)
    dump(watch, NOON - HOUR, 1_000_000)
    free(monkeypatch, 20_000_000)
    assert watch.look(NOON) == []


@as_root
def test_a_real_small_disk_is_told_and_what_was_told_is_kept_beside_it(watch: Watch) -> None:
    dump(watch, NOON, 2_000_000)
    files = list(watch.store.folder.iterdir())
    small = watch.store.folder.with_name("malý disk")
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "none", small], check=True)
    try:
        for each in files:
            shutil.copy2(each, small)
        watch.set(backup_dir=small)
        told = watch.one(NOON + HOUR)
        assert told.head == f"CRITICAL: the next backup does not fit into the store {small}"
    finally:
        subprocess.run(["umount", small], check=True)


def test_backups_that_vanish_at_once_are_told_of_those_cleared_away_are_not(watch: Watch) -> None:
    made = [watch.proven(NOON - hour * HOUR) for hour in range(8)]
    assert watch.look(NOON + MINUTE) == []
    for each in made[6:]:
        each.path.unlink()
    assert watch.look(NOON + 2 * MINUTE) == []
    for each in made[1:6]:
        each.path.unlink()
    told = watch.one(NOON + 3 * MINUTE)
    assert told.head.startswith("CRITICAL: backups have vanished from the store")
    assert "6 were there at the last look, 1 are now" in told.body
    assert watch.look(NOON + 4 * MINUTE) == []


def test_many_damaged_backups_are_one_message(watch: Watch) -> None:
    for hour in range(12):
        judge(put(watch.store, NOON - hour * HOUR), "damaged", NOON, reason="řádky chybí")
    watch.proven(NOON + HOUR)
    told = watch.one(NOON + 2 * HOUR)
    assert told.head.startswith("WARNING: 12 backups are damaged; of the newest: the backup")
    assert set(watch.levels) == {"damaged_many"}


def test_the_first_hours_are_no_forecast_and_a_copied_store_is_none_either(watch: Watch) -> None:
    for minutes in (0, 10, 20):
        path = put(watch.store, NOON - minutes * MINUTE).path
        path.write_bytes(b"x" * 1000)
    assert forecast(watch.store, NOON).bytes_per_day is None
    put(watch.store, NOON - 48 * HOUR).path.write_bytes(b"x" * 1000)  # its file is of today
    assert forecast(watch.store, NOON).bytes_per_day == pytest.approx(1500)
