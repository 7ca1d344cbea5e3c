"""Two who look with different settings: one judges, and people are told of the difference."""

from __future__ import annotations

from kajovo_dr.watch import agreement
from kajovo_dr_tests.backups.stored import NOON
from kajovo_dr_tests.watch.conftest import HOUR, MINUTE, Watch


def test_a_watchdog_with_other_settings_leaves_the_judging_to_the_daemon(watch: Watch) -> None:
    watch.proven(NOON - HOUR)
    assert watch.look(NOON, "daemon") == []
    whole = watch.settings
    watch.set(rpo_hours=0.5, rpo_warn_hours=0.1)
    told = watch.one(NOON + MINUTE)
    assert told.head.startswith("WARNING: the watchdog has other settings than Dagster's daemon")
    assert "KAJOVO_DR_RPO_HOURS, KAJOVO_DR_RPO_WARN_HOURS" in told.body
    for minute in range(2, 12, 2):
        watch.settings = whole
        assert watch.look(NOON + minute * MINUTE, "daemon") == []
        watch.set(rpo_hours=0.5, rpo_warn_hours=0.1)
        assert watch.look(NOON + (minute + 1) * MINUTE) == []
    watch.settings = whole
    assert watch.one(NOON + 12 * MINUTE).head.startswith("OVER: the watchdog has other settings")


def test_what_the_daemon_has_found_stays_when_such_a_watchdog_looks(watch: Watch) -> None:
    watch.proven(NOON - 30 * HOUR)
    assert len(watch.look(NOON, "daemon")) == 1
    watch.set(rpo_hours=99)
    watch.look(NOON + MINUTE)
    assert watch.levels["rpo"] == "critical"


def test_a_watchdog_judges_by_its_own_settings_when_the_daemon_is_dead(watch: Watch) -> None:
    watch.proven(NOON - HOUR)
    watch.look(NOON, "daemon")
    watch.set(rpo_hours=0.5, rpo_warn_hours=0.1)
    assert watch.one(NOON + HOUR).head.startswith("CRITICAL: the newest proven backup")


def test_no_secret_is_in_what_is_compared(watch: Watch) -> None:
    watch.set(database_url="postgresql://a:other@127.0.0.1:5432/kajovo_hotel")
    first = agreement.digests(watch.settings)
    watch.set(database_url="postgresql://b:secret@127.0.0.1:5432/kajovo_hotel")
    assert agreement.digests(watch.settings) == first
    watch.set(database_url="postgresql://b:secret@127.0.0.1:5433/kajovo_hotel")
    assert agreement.digests(watch.settings) != first
