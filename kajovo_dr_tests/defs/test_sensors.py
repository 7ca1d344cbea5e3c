"""The RPO check counts from proof records in the store, whatever Dagster was told."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.manifest import ROLES_SUFFIX
from kajovo_dr.backups.store import Store, open_store, sidecar
from kajovo_dr.backups.verification import verify_named
from kajovo_dr.definitions import defs
from kajovo_dr.defs.resources import Environment
from kajovo_dr.defs.sensors import rpo_sensor
from kajovo_dr.postgres.server import Server
from kajovo_dr.settings import Settings
from kajovo_dr_tests.backups.stored import judge, put

HOUR = timedelta(hours=1)


@pytest.fixture
def store(settings: Settings) -> Store:
    """The store of the settings, empty."""
    return open_store(settings)


def proven(store: Store, small: Server, age: timedelta) -> Backup:
    """A backup of the protected database with a proof record, so old."""
    backup = put(store, datetime.now(UTC) - age, database=small.dbname)
    judge(backup, "proven", datetime.now(UTC))
    return backup


def tick(cursor: str | None = None) -> dg.SensorResult | dg.SkipReason:
    given = {"environment": Environment()}
    with dg.build_sensor_context(cursor=cursor, resources=given) as context:
        result = rpo_sensor(context)
    assert isinstance(result, dg.SensorResult | dg.SkipReason)
    return result


def reported(cursor: str | None = None) -> tuple[str | None, dg.AssetCheckEvaluation]:
    """The new cursor and the evaluation of a tick that saw a transition."""
    result = tick(cursor)
    assert isinstance(result, dg.SensorResult)
    (event,) = result.asset_events
    assert isinstance(event, dg.AssetCheckEvaluation)
    assert event.asset_check_key == dg.AssetCheckKey(dg.AssetKey("recovery_point"), "rpo_24h")
    return result.cursor, event


def word(cursor: str | None) -> str:
    """The verdict in a cursor, which names the backup too."""
    return (cursor or "").split()[0]


def by_hand(instance: dg.DagsterInstance) -> dg.AssetCheckEvaluation:
    """Run the check alone, as a person does in the UI."""
    job = dg.define_asset_job(
        "by_hand",
        selection=dg.AssetSelection.checks(
            dg.AssetCheckKey(dg.AssetKey("recovery_point"), "rpo_24h")
        ),
    )
    result = (
        dg.Definitions.merge(defs, dg.Definitions(jobs=[job]))
        .resolve_job_def("by_hand")
        .execute_in_process(instance=instance)
    )
    (evaluation,) = result.get_asset_check_evaluations()
    return evaluation


@pytest.mark.parametrize(
    ("age", "verdict", "passed", "severity"),
    [
        (HOUR, "pass", True, dg.AssetCheckSeverity.ERROR),
        (21 * HOUR, "warn", False, dg.AssetCheckSeverity.WARN),
        (25 * HOUR, "fail", False, dg.AssetCheckSeverity.ERROR),
    ],
)
def test_the_sensor_reports_the_age_of_the_newest_proven_backup(
    store: Store,
    small: Server,
    age: timedelta,
    verdict: str,
    passed: bool,
    severity: dg.AssetCheckSeverity,
) -> None:
    backup = proven(store, small, age)
    cursor, evaluation = reported()
    assert (word(cursor), evaluation.passed) == (verdict, passed)
    assert passed or evaluation.severity == severity
    assert evaluation.metadata["backup"].value == backup.name
    assert evaluation.metadata["age_hours"].value == pytest.approx(age / HOUR, abs=0.1)
    assert isinstance(tick(cursor), dg.SkipReason)


def test_only_a_proven_backup_of_the_protected_database_counts(store: Store, small: Server) -> None:
    backup = proven(store, small, 25 * HOUR)
    now = datetime.now(UTC)
    put(store, now - HOUR, database=small.dbname)
    judge(put(store, now - 2 * HOUR, database=small.dbname), "damaged", now)
    judge(put(store, now - 3 * HOUR, database=small.dbname), "unproven", now)
    judge(put(store, now - 4 * HOUR, database="jiná"), "proven", now)
    cursor, evaluation = reported()
    assert (word(cursor), evaluation.metadata["backup"].value) == ("fail", backup.name)


def test_every_transition_is_reported_once(store: Store, small: Server) -> None:
    cursor, evaluation = reported()
    assert (word(cursor), evaluation.passed) == ("none", False)
    assert "no proven backup" in str(evaluation.description)
    proven(store, small, 30 * HOUR)
    cursor, evaluation = reported(cursor)
    assert (word(cursor), evaluation.passed) == ("fail", False)
    proven(store, small, 2 * HOUR)
    cursor, evaluation = reported(cursor)
    assert (word(cursor), evaluation.passed) == ("pass", True)
    assert isinstance(tick(cursor), dg.SkipReason)
    # another recovery point, whose verdict is the same
    newest = proven(store, small, HOUR)
    cursor, evaluation = reported(cursor)
    assert (word(cursor), evaluation.metadata["backup"].value) == ("pass", newest.name)
    assert isinstance(tick(cursor), dg.SkipReason)


def test_a_store_that_cannot_be_read_fails_the_check_and_not_the_sensor(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAJOVO_DR_BACKUP_DIR", str(settings.state / "unmounted"))
    cursor, evaluation = reported("pass")
    assert (word(cursor), evaluation.passed) == ("unreadable", False)
    assert "unmounted does not exist" in str(evaluation.description)
    assert "hint: mount" in str(evaluation.description)


def test_a_store_that_is_lost_is_told_after_it_was_read(store: Store, small: Server) -> None:
    proven(store, small, HOUR)
    cursor, _ = reported()
    shutil.rmtree(store.folder)
    cursor, evaluation = reported(cursor)
    assert (word(cursor), evaluation.passed) == ("none", False)


def test_wrong_settings_fail_the_check_and_not_the_sensor(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAJOVO_DR_RPO_HOURS", "soon")
    cursor, evaluation = reported("pass")
    assert (word(cursor), evaluation.passed) == ("unreadable", False)
    assert "KAJOVO_DR_RPO_HOURS" in str(evaluation.description)


def test_a_materialization_reported_by_hand_does_not_deceive_the_check(
    store: Store, instance: dg.DagsterInstance
) -> None:
    for key in ("recovery_point", "restore_proof", "postgres_backup"):
        instance.report_runless_asset_event(dg.AssetMaterialization(key))
    assert not by_hand(instance).passed
    assert word(reported()[0]) == "none"


def test_the_check_can_be_run_by_hand(
    store: Store, small: Server, instance: dg.DagsterInstance
) -> None:
    backup = proven(store, small, 21 * HOUR)
    evaluation = by_hand(instance)
    assert not evaluation.passed
    assert evaluation.severity == dg.AssetCheckSeverity.WARN
    assert backup.name in str(evaluation.description)
    assert "the objective is 24" in str(evaluation.description)


def test_the_sensor_watches_from_the_start() -> None:
    assert rpo_sensor.default_status == dg.DefaultSensorStatus.RUNNING
    assert rpo_sensor.minimum_interval_seconds == 60


def test_a_snapshot_from_the_future_is_named_and_fails_the_check(
    store: Store, small: Server
) -> None:
    proven(store, small, HOUR)
    cursor, _ = reported()
    ahead = proven(store, small, -30 * HOUR)
    cursor, evaluation = reported(cursor)
    assert (word(cursor), evaluation.passed) == ("fail", False)
    assert evaluation.severity == dg.AssetCheckSeverity.ERROR
    assert f"the snapshot of {ahead.name} lies" in str(evaluation.description)
    assert "the clock or its manifest is wrong" in str(evaluation.description)


def test_damage_that_verify_found_is_reported(
    store: Store, settings: Settings, small: Server
) -> None:
    backup = proven(store, small, HOUR)
    assert word(reported()[0]) == "pass"
    sidecar(backup.path, ROLES_SUFFIX).write_text("CREATE ROLE nobody;")
    verify_named(settings, backup.name)
    cursor, evaluation = reported("pass")
    assert (word(cursor), evaluation.passed) == ("none", False)
