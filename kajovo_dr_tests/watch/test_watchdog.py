"""Under test: the watchdog's line, level and exit code, and the sign of life that it gives."""

from __future__ import annotations

import logging

import pytest

from kajovo_dr.alerts import ledger as book
from kajovo_dr.alerts.condition import LEVELS
from kajovo_dr.errors import LogUnwritable
from kajovo_dr.watch.watchdog import EXIT_CODES
from kajovo_dr.watch.watchdog import watch as bark
from kajovo_dr_tests.alerts.receivers import HttpReceiver
from kajovo_dr_tests.backups.stored import NOON, judge, put
from kajovo_dr_tests.watch.conftest import HOUR, PATH_SECRET, Watch


def test_every_level_has_the_exit_code_of_a_monitoring_plugin() -> None:
    assert EXIT_CODES == {"ok": 0, "warning": 1, "critical": 2, "unknown": 3}
    assert set(EXIT_CODES) == set(LEVELS)


def test_all_is_well(watch: Watch) -> None:
    watch.proven(NOON)
    report = bark(watch.settings, NOON + HOUR)
    assert (report.level, report.exit_code) == ("ok", 0)
    assert report.line == "KAJOVO_DR OK - backups are proven and young enough"


def test_the_worst_stands_first_and_its_code_is_taken(watch: Watch) -> None:
    watch.proven(NOON)
    judge(put(watch.store, NOON - 6 * HOUR), "damaged", NOON, reason="a | b\n  c")
    report = bark(watch.settings, NOON + HOUR)
    assert report.exit_code == 1
    assert report.line.startswith("KAJOVO_DR WARNING - the backup kajovo-postgres-")
    assert report.line.endswith(" is damaged: a / b c")
    report = bark(watch.settings, NOON + 25 * HOUR)
    assert report.exit_code == 2
    assert report.line.startswith(
        "KAJOVO_DR CRITICAL - the newest proven backup of kajovo_hotel is old: what came after it"
        " would be lost (25 h, limit 24 h); the backup kajovo-postgres-"
    )
    assert "\n" not in report.line


def test_what_nobody_knows_is_worse_than_a_warning(watch: Watch) -> None:
    watch.proven(NOON)
    judge(put(watch.store, NOON - 6 * HOUR), "damaged", NOON, reason="x")
    watch.set(watch_dagster=True)
    report = bark(watch.settings, NOON + HOUR)
    assert (report.level, report.exit_code) == ("unknown", 3)
    assert report.line.startswith("KAJOVO_DR UNKNOWN - Dagster's daemon has never looked")


def test_the_dead_mans_switch_hears_of_each_look(watch: Watch) -> None:
    watch.proven(NOON)
    with HttpReceiver(f"/{PATH_SECRET}/switch") as switch:
        watch.set(watchdog_url=switch.plain_url)
        bark(watch.settings, NOON + HOUR)
        bark(watch.settings, NOON + 21 * HOUR)  # a warning
        bark(watch.settings, NOON + 25 * HOUR)
        bark(watch.settings, NOON + 26 * HOUR)
        watch.proven(NOON + 26 * HOUR)
        watch.set(watch_dagster=True)
        bark(watch.settings, NOON + 27 * HOUR)  # unknown
        asked = [each.path.removeprefix(switch.path) for each in switch.requests]
    assert asked == ["", "", "/fail", "/fail", "/fail"]


def test_a_switch_that_does_not_answer_spoils_no_look(
    watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    watch.proven(NOON)
    with HttpReceiver(f"/{PATH_SECRET}/switch") as switch:
        switch.answer(404)
        watch.set(watchdog_url=switch.plain_url)
        with caplog.at_level(logging.DEBUG):
            assert bark(watch.settings, NOON + HOUR).exit_code == 0
    assert "the dead man's switch of KAJOVO_DR_WATCHDOG_URL did not answer: HTTP 404" in caplog.text
    assert PATH_SECRET not in caplog.text


def test_a_watchdog_that_could_not_look_gives_no_sign_of_life(watch: Watch) -> None:
    book.path_of(watch.settings.state).mkdir()
    with HttpReceiver() as switch:
        watch.set(watchdog_url=switch.plain_url)
        with pytest.raises(LogUnwritable):
            bark(watch.settings, NOON)
        assert switch.requests == []
