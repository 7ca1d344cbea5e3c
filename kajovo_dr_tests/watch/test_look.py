"""Under test: a look as a whole: sources that break, the metrics' file, who sees what, peeking."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kajovo_dr.alerts import ledger as book
from kajovo_dr.alerts.condition import Condition
from kajovo_dr.backups import catalog
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.store import Store
from kajovo_dr.errors import LogUnwritable
from kajovo_dr.watch import look as look_module
from kajovo_dr.watch import metrics
from kajovo_dr.watch.look import Source, look, peek, see
from kajovo_dr.watch.scene import Words
from kajovo_dr_tests.backups.stored import NOON, judge, put
from kajovo_dr_tests.watch.conftest import BOOT, HOUR, MINUTE, Watch


def breaks() -> Iterator[Condition]:
    yield Condition("kotel", "critical", "the boiler is cold")
    raise ZeroDivisionError("division by zero")


def heats(*conditions: Condition) -> Source:
    return Source("boiler", ("kotel",), lambda: conditions)


COLD = Condition("kotel", "critical", "the boiler is cold", next="kajovo-dr status")


def test_a_source_that_breaks_is_told_and_ends_nothing_that_it_had_seen(watch: Watch) -> None:
    watch.proven(NOON)
    assert watch.one(NOON, more=[heats(COLD)]).head == "CRITICAL: the boiler is cold"
    broken = Source("boiler", ("kotel",), breaks)
    told = watch.one(NOON + MINUTE, more=[broken])
    # not its words: they may quote a URL
    said = (
        r"CRITICAL: a part of the watch is broken, boiler: ZeroDivisionError in test_look.py, line"
    )
    assert told.head.startswith(said)
    assert told.lines["Next"] == "kajovo-dr doctor"
    assert set(watch.levels) == {"kotel", "source:boiler"}
    assert watch.look(NOON + 2 * MINUTE, more=[broken]) == []
    heads = [each.head[:36] for each in watch.look(NOON + 3 * MINUTE, more=[heats()])]
    assert heads == ["OVER: the boiler is cold", "OVER: a part of the watch is broken,"]


def test_the_other_sources_go_on_beside_one_that_breaks(watch: Watch) -> None:
    broken = Source("boiler", ("kotel",), breaks)
    heads = [each.head[:19] for each in watch.look(NOON, more=[broken])]
    assert heads == ["CRITICAL: no backup", "CRITICAL: a part of"]


def test_what_only_one_observer_sees_is_not_over_because_another_one_looks(watch: Watch) -> None:
    watch.proven(NOON)
    assert len(watch.look(NOON, "daemon", more=[heats(COLD)])) == 1
    assert watch.look(NOON + MINUTE, "watchdog") == []
    assert watch.levels == {"kotel": "critical"}
    assert [each.key for each in peek(watch.settings, "watchdog", NOON + HOUR)] == ["kotel"]


def test_whoever_peeks_sees_what_nobody_was_told_yet(watch: Watch) -> None:
    watch.look(NOON, "daemon")
    judge(put(watch.store, NOON), "damaged", NOON, reason="x")
    found = {each.key: each.told for each in peek(watch.settings, "watchdog", NOON + HOUR)}
    assert found == {"rpo": "critical", f"damaged:kajovo-postgres-{NOON:%Y%m%d-%H%M%S}.sql": "ok"}


def test_a_bug_in_a_source_of_the_house_silences_no_other(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Store) -> list[catalog.Entry]:
        raise RuntimeError("chyba")

    judge(put(watch.store, NOON), "damaged", NOON, reason="x")
    assert len(watch.look(NOON + MINUTE)) == 2
    with monkeypatch.context() as broken:
        broken.setattr(catalog, "entries", fail)
        told = watch.one(NOON + 2 * MINUTE)
    assert told.head.startswith("CRITICAL: a part of the watch is broken, backups: RuntimeError in")
    assert "chyba" not in told.body
    assert watch.one(NOON + 3 * MINUTE).head.startswith("OVER: a part of the watch")


def test_the_file_of_metrics_is_written_at_each_look(watch: Watch, tmp_path: Path) -> None:
    path = tmp_path / "kajovo_dr.prom"
    watch.set(metrics_file=path)
    watch.look(NOON)
    assert 'kajovo_dr_condition{key="rpo",level="critical"} 3' in path.read_text()
    watch.proven(NOON)
    watch.look(NOON + MINUTE)
    assert 'kajovo_dr_condition{key="rpo",level="ok"} 0' in path.read_text()


def test_a_file_of_metrics_that_cannot_be_written_is_a_warning(
    watch: Watch, tmp_path: Path
) -> None:
    watch.proven(NOON)
    watch.set(metrics_file=tmp_path / "chybí" / "kajovo_dr.prom")
    told = watch.one(NOON)
    assert told.head.startswith("WARNING: metrics are not written: ")
    assert "No such file" in told.lines["What"]
    assert told.lines["Next"] == "kajovo-dr doctor --settings"
    assert watch.look(NOON + MINUTE) == []
    (tmp_path / "chybí").mkdir()
    assert watch.one(NOON + 2 * MINUTE).head.startswith("OVER: metrics are not written")


def test_a_bug_in_the_metrics_does_not_silence_the_look(
    watch: Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> str:
        raise RuntimeError("chyba")

    watch.set(metrics_file=tmp_path / "kajovo_dr.prom")
    monkeypatch.setattr(metrics, "metrics", fail)
    heads = [each.head[:35] for each in watch.look(NOON)]
    assert heads == ["CRITICAL: no backup of kajovo_hotel", "CRITICAL: a part of the watch is br"]


def test_peeking_and_seeing_write_nothing_and_tell_nobody(watch: Watch) -> None:
    before = book.path_of(watch.settings.state).exists()
    assert [each.key for each in peek(watch.settings, "watchdog", NOON)] == ["rpo"]
    seen = {each.key for each in see(watch.settings, "watchdog", NOON)}
    assert seen == {"store", "rpo", "drill", "vanished"}
    assert book.path_of(watch.settings.state).exists() == before is False
    assert watch.heard() == []


def test_no_condition_is_seen_twice_in_one_look(watch: Watch) -> None:
    """Metrics would tell two levels of one thing."""
    judge(put(watch.store, NOON), "damaged", NOON, reason="x")
    watch.look(NOON)
    watch.set(backup_dir=watch.store.folder / "chybí")
    keys = [each.key for each in see(watch.settings, "watchdog", NOON + HOUR)]
    assert sorted(keys) == sorted(set(keys))
    assert {"store", "rpo", "drill"} < set(keys)


def test_nothing_is_sent_that_cannot_be_written_down(watch: Watch) -> None:
    book.path_of(watch.settings.state).mkdir()
    with pytest.raises(LogUnwritable, match=r"alerts\.json"):
        watch.look(NOON)
    assert watch.heard() == []


@pytest.mark.parametrize(
    ("seconds", "english", "czech"),
    [
        (86_400, "24 h", "24 h"),
        (900, "15 min", "15 min"),
        (94_200, "26 h 10 min", "26 h 10 min"),
        (345_540, "95 h 59 min", "95 h 59 min"),
        (500_000, "5 d 18 h", "5 d 18 h"),
        (4.2, "4.2 s", "4,2 s"),
    ],
)
def test_durations_are_told_as_their_limits_are(seconds: float, english: str, czech: str) -> None:
    assert Words("en", "Europe/Prague").duration(seconds) == english
    assert (
        Words("cs", "Europe/Prague").duration(seconds).replace("\u202f", " ").replace("\xa0", " ")
        == czech
    )


def test_who_was_overtaken_by_another_look_looks_again(watch: Watch) -> None:
    """What it saw first may be older than what the other has told of."""
    watch.proven(NOON - 30 * HOUR)
    assert len(watch.look(NOON - HOUR, "daemon")) == 1
    fresh: list[Backup] = []

    def slow() -> Iterator[Condition]:
        if not fresh:  # meanwhile a backup is proven, and the daemon has seen it
            fresh.append(watch.proven(NOON - 10 * MINUTE))
            passed = (NOON - BOOT).total_seconds()
            look(watch.settings, "daemon", NOON, uptime=lambda: passed)
        yield from ()

    told = watch.look(NOON, more=[Source("slow", (), slow)])
    assert [each.head[:4] for each in told] == ["OVER"]
    assert watch.look(NOON + MINUTE) == []


def test_a_source_that_hangs_is_left_alone_and_silences_no_other(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()
    monkeypatch.setattr(look_module, "_SOURCE_S", 0.3)

    def hangs() -> Iterator[Condition]:
        released.wait(30)
        yield COLD

    told = watch.look(NOON, more=[Source("disk", ("kotel",), hangs)])
    released.set()
    heads = [each.head for each in told]
    assert "CRITICAL: a part of the watch is broken, disk: no answer within 0.3 s" in heads
    assert any(head.startswith("CRITICAL: no backup of") for head in heads)


def test_a_message_that_cannot_be_written_is_said_plainly(watch: Watch) -> None:
    last = datetime(9999, 12, 31, 23, 59, tzinfo=UTC)  # no time zone has it
    never = Condition("kotel", "critical", COLD.what, next=COLD.next, since=last)
    watch.proven(NOON)
    told = watch.one(NOON, more=[heats(never)])
    assert told.head == "CRITICAL: the boiler is cold"
    assert "kajovo-dr status" in told.body


def test_what_is_over_is_named_as_people_were_told_of_it(watch: Watch) -> None:
    watch.proven(NOON)
    assert watch.one(NOON, more=[heats(COLD)]).head == "CRITICAL: the boiler is cold"
    watch.look(NOON + MINUTE, more=[heats(replace(COLD, what="frost in the cellar"))])
    over = watch.one(NOON + 2 * MINUTE, more=[heats()])
    assert over.head == "OVER: the boiler is cold"
