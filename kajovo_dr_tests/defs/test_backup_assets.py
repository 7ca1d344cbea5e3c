"""The backup as Dagster sees it: a bad one leaves evidence and counts for nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from kajovo_dr.backups import catalog
from kajovo_dr.backups.store import open_store
from kajovo_dr.defs.backup_assets import daily, rpo, today
from kajovo_dr.defs.schedules import backup_schedule
from kajovo_dr.postgres.server import Server
from kajovo_dr.settings import Settings
from kajovo_dr_tests.defs.conftest import Run, checks_of, failure_of, materialized

KEY = dg.AssetKey("postgres_backup")


def test_a_backup_fills_todays_partition_with_figures(
    settings: Settings, run: Run, instance: dg.DagsterInstance
) -> None:
    result = run("postgres_backup_job", partition=today())
    assert result.success
    assert {"dump_size": True, "dump_integrity": True}.items() <= checks_of(result).items()
    assert instance.get_materialized_partitions(KEY) == {today()}
    event = instance.get_latest_materialization_event(KEY)
    assert event is not None
    assert event.asset_materialization is not None
    metadata = event.asset_materialization.metadata
    (backup,) = catalog.backups(open_store(settings))
    assert metadata["dump_bytes"].value == backup.path.stat().st_size
    assert metadata["rows"].value == 54
    assert metadata["ratio_to_previous"].value == 1.0
    assert isinstance(metadata["dump_seconds"].value, float)
    assert metadata["sha256"].value == backup.manifest.sha256
    assert metadata["path"].value == str(backup.path)
    assert metadata["snapshot"].value == backup.manifest.created_at.timestamp()
    assert "| public.hosté | 50 |" in str(metadata["summary"].value)


def test_a_past_partition_fails_clearly_and_refreshes_nothing(
    settings: Settings, run: Run, instance: dg.DagsterInstance
) -> None:
    yesterday = (datetime.now(ZoneInfo("Europe/Prague")) - timedelta(days=1)).date().isoformat()
    result = run("postgres_backup_job", partition=yesterday)
    assert f"partition {yesterday} is not today" in failure_of(result)
    assert "hint: materialize today's partition" in failure_of(result)
    assert instance.get_materialized_partitions(KEY) == set()
    assert instance.get_latest_materialization_event(KEY) is None
    assert catalog.entries(open_store(settings)) == []


def test_tomorrow_is_no_partition_yet(settings: Settings) -> None:
    tomorrow = (datetime.now(ZoneInfo("Europe/Prague")) + timedelta(days=1)).date().isoformat()
    assert today() == daily.get_last_partition_key()
    assert not daily.has_partition_key(tomorrow)


def test_a_bad_dump_leaves_evidence_and_no_materialization(
    settings: Settings,
    run: Run,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KAJOVO_DR_MIN_DUMP_BYTES", "1000000000")
    result = run("postgres_backup_job", partition=today())
    assert "the floor is 1.0 GB" in failure_of(result)
    assert checks_of(result) == {"dump_size": False, "dump_integrity": True}
    assert materialized(result) == []
    assert instance.get_latest_materialization_event(KEY) is None
    assert catalog.entries(open_store(settings)) == []


def test_a_failed_dump_is_told_without_a_traceback(
    settings: Settings, run: Run, small: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAJOVO_DR_DATABASE_URL", small.database("není").url())
    told = failure_of(run("postgres_backup_job", partition=today()))
    assert "database 'není' does not exist" in told
    assert "hint:" in told


def test_a_backup_before_a_change_needs_a_reason(settings: Settings, run: Run) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError, match="reason"):
        run("pre_change_backup_job", {"ops": {"pre_change_backup": {"config": {}}}})
    blank = {"ops": {"pre_change_backup": {"config": {"reason": "  "}}}}
    assert "the reason is empty" in failure_of(run("pre_change_backup_job", blank))
    assert catalog.entries(open_store(settings)) == []


def test_a_backup_before_a_change_counts_for_today(
    settings: Settings, run: Run, instance: dg.DagsterInstance
) -> None:
    config = {"ops": {"pre_change_backup": {"config": {"reason": "vydání 2.0", "prove": False}}}}
    result = run("pre_change_backup_job", config)
    assert result.success
    assert materialized(result) == ["postgres_backup"]
    assert instance.get_materialized_partitions(KEY) == {today()}
    (backup,) = catalog.backups(open_store(settings))
    assert backup.manifest.reason == "vydání 2.0"
    assert backup.state == "taken"
    for name in ("dump_size", "dump_integrity"):
        key = dg.AssetCheckKey(KEY, name)
        (record,) = instance.event_log_storage.get_asset_check_execution_history(key, limit=5)
        assert record.status.value == "SUCCEEDED"


def test_a_bad_dump_before_a_change_leaves_evidence_too(
    settings: Settings, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAJOVO_DR_MIN_DUMP_BYTES", "1000000000")
    config = {"ops": {"pre_change_backup": {"config": {"reason": "vydání 2.0"}}}}
    result = run("pre_change_backup_job", config)
    assert "the floor is 1.0 GB" in failure_of(result)
    assert checks_of(result) == {"dump_size": False, "dump_integrity": True}
    assert materialized(result) == []


def test_a_tick_made_up_for_late_backs_up_today_not_its_own_day() -> None:
    late = datetime.now(UTC) - timedelta(days=2)
    context = dg.build_schedule_context(scheduled_execution_time=late)
    request = backup_schedule(context)
    assert isinstance(request, dg.RunRequest)
    assert request.partition_key == today()
    assert request.run_key == late.isoformat()


def test_backups_run_more_often_than_the_objective_asks() -> None:
    assert backup_schedule.cron_schedule == "0 */6 * * *"
    assert backup_schedule.execution_timezone == "Europe/Prague"
    assert backup_schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    assert rpo == dg.FreshnessPolicy.time_window(
        warn_window=timedelta(hours=20), fail_window=timedelta(hours=24)
    )


def test_no_event_of_a_run_holds_the_password(
    settings: Settings, scratch: Server, run: Run, instance: dg.DagsterInstance, small: Server
) -> None:
    result = run("postgres_backup_job", partition=today())
    told = "\n".join(str(entry) for entry in instance.all_logs(result.run_id))
    assert "restore_proof" in told
    assert small.params["password"] not in told
    assert scratch.params["password"] not in told
