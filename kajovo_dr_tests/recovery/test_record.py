"""Under test: the verdicts of an ended recovery, and that an id is safe as a file name."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from pydantic import ValidationError

from kajovo_dr.recovery.record import entry_from
from kajovo_dr.settings import Settings
from kajovo_dr_tests.recovery.records import (
    INCIDENT,
    STARTED,
    entry,
    phase,
    record,
    smoke_report,
)


@pytest.mark.parametrize(
    ("minutes", "verdict"),
    [(0, "pass"), (60, "pass"), (60.1, "warn"), (120, "warn"), (120.1, "fail"), (600, "fail")],
)
def test_the_rto_verdict_is_that_of_the_settings(minutes: float, verdict: str) -> None:
    assert entry(minutes=minutes).rto_verdict == verdict


def test_the_limits_are_settings() -> None:
    settings = Settings.load(rto_warn_minutes=1, rto_minutes=2)
    done = STARTED + timedelta(minutes=1.5)
    assert entry_from(record(), settings, done).rto_verdict == "warn"


def test_lost_data_and_times_are_counted() -> None:
    done = entry(minutes=5)
    assert done.data_lost_s == 2 * 3600
    assert done.duration_s == 5 * 60
    assert done.since_incident_s == 15 * 60
    assert (done.succeeded, done.failed_phase) == (True, None)


def test_without_a_time_of_the_incident_nothing_is_invented() -> None:
    done = entry(incident_at=None)
    assert (done.data_lost_s, done.since_incident_s) == (None, None)


def test_a_failed_phase_fails_the_recovery_however_short_it_was() -> None:
    done = entry(phases=(phase("restore"), phase("migrate", ok=False)))
    assert (done.succeeded, done.failed_phase, done.rto_verdict) == (False, "migrate", "fail")


def test_a_phase_that_passed_at_its_second_attempt_is_no_failure() -> None:
    done = entry(phases=(phase("readiness", ok=False), phase("readiness")))
    assert done.succeeded


def test_a_bad_smoke_report_fails_the_recovery() -> None:
    done = entry(phases=(phase("smoke"),), smoke=smoke_report(ok=False))
    assert (done.succeeded, done.failed_phase) == (False, "smoke")


@pytest.mark.parametrize("name", ["", "../up", "a/b", "a\\b", "x" * 65, "a b", "č", "a\n"])
def test_an_id_that_is_no_file_name_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        record(id=name)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValidationError, match="timezone"):
        record(started_at=datetime(2026, 11, 23, 6, 30))  # noqa: DTZ001 - the point of the test


def test_an_incident_is_known_at_its_place_in_time() -> None:
    assert entry().incident_at == INCIDENT
