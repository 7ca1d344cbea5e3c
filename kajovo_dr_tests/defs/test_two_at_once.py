"""A tick that is served already: the run has nothing to do, says so and succeeds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg

from kajovo_dr.backups import catalog
from kajovo_dr.backups.store import open_store
from kajovo_dr.defs.backup_assets import postgres_backup, today
from kajovo_dr.defs.resources import Environment
from kajovo_dr.defs.schedules import backup_schedule
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.settings import Settings
from kajovo_dr_tests.defs.conftest import Run, checks_of, failure_of, materialized

JOB = "postgres_backup_job"


def scheduled(tick: datetime) -> dict[str, object]:
    config = {"reason": "scheduled", "tick": tick.isoformat()}
    return {"ops": {"postgres_backup": {"config": config}}}


def test_a_second_run_of_a_tick_has_nothing_to_do_and_succeeds(
    settings: Settings, run: Run, instance: dg.DagsterInstance
) -> None:
    tick = datetime.now(UTC)
    first = run(JOB, scheduled(tick), partition=today())
    second = run(JOB, scheduled(tick), partition=today())
    assert first.success
    assert second.success
    assert materialized(first) == ["postgres_backup", "recovery_point", "restore_proof"]
    assert materialized(second) == []
    assert checks_of(second) == {}
    assert [event.step_key for event in second.get_step_skipped_events()] == ["restore_proof"]
    (backup,) = catalog.backups(open_store(settings))
    said = [entry.user_message for entry in instance.all_logs(second.run_id)]
    assert any(f"nothing to do: {backup.name} serves the tick of" in each for each in said)


def test_the_next_tick_and_a_person_get_a_backup_of_their_own(settings: Settings, run: Run) -> None:
    run(JOB, scheduled(datetime.now(UTC)), partition=today())
    assert materialized(run(JOB, partition=today()))
    assert materialized(run(JOB, scheduled(datetime.now(UTC)), partition=today()))
    reasons = [each.manifest.reason for each in catalog.backups(open_store(settings))]
    assert reasons == ["scheduled", "by hand", "scheduled"]


def test_a_scheduled_backup_whose_turn_came_after_midnight_counts_for_the_new_day(
    settings: Settings, run: Run, instance: dg.DagsterInstance
) -> None:
    tick = datetime.now(UTC) - timedelta(days=1)
    yesterday = (datetime.fromisoformat(today()) - timedelta(days=1)).date().isoformat()
    result = run(JOB, scheduled(tick), partition=yesterday)
    assert result.success
    assert checks_of(result) == {"dump_size": True, "dump_integrity": True}
    assert instance.get_materialized_partitions(dg.AssetKey("postgres_backup")) == {today()}
    assert len(catalog.backups(open_store(settings))) == 1


def test_a_person_is_told_at_once_that_another_backup_runs(
    settings: Settings, run: Run, small: Server
) -> None:
    with databases.mutex(small, "postgres"):
        told = failure_of(run(JOB, partition=today()))
    assert "another backup or recovery" in told


def test_its_checks_alone_need_a_backup_all_the_same(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    key = dg.AssetKey("postgres_backup")
    only = dg.AssetSelection.checks(dg.AssetCheckKey(key, "dump_size"))
    result = dg.materialize(
        [postgres_backup],
        selection=only,
        instance=instance,
        resources={"environment": Environment()},
    )
    assert result.success
    assert checks_of(result) == {"dump_size": True}
    assert instance.get_materialized_partitions(key) == {today()}
    assert len(catalog.backups(open_store(settings))) == 1


def test_the_schedule_says_which_tick_its_run_is_for() -> None:
    tick = datetime(2027, 3, 28, 4, tzinfo=UTC)
    request = backup_schedule(dg.build_schedule_context(scheduled_execution_time=tick))
    assert isinstance(request, dg.RunRequest)
    (given,) = request.run_config["ops"].values()
    assert given["config"]["reason"] == "scheduled"
    assert datetime.fromisoformat(given["config"]["tick"]) == tick
