"""The drill as Dagster sees it: its report in the run, its figures, and its failure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from kajovo_dr.backups.zoo.registry import MUTANTS
from kajovo_dr.defs.drill_ops import DRILL, dr_drill_job, drill_schedule
from kajovo_dr.defs.resources import Environment
from kajovo_dr.postgres.server import Server
from kajovo_dr.recovery import drill, drill_history
from kajovo_dr.settings import Settings
from kajovo_dr_tests.defs.conftest import failure_of

Drilled = Callable[..., dg.ExecuteInProcessResult]


@pytest.fixture
def drilled(
    settings: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> Drilled:
    """Runs the job, with one animal in the zoo."""
    (settings.state / "backups").mkdir()
    one = [mutant for mutant in MUTANTS if mutant.name == "row-deleted"]
    monkeypatch.setitem(drill.run.__kwdefaults__, "mutants", one)  # type: ignore[arg-type]

    def execute(**config: str) -> dg.ExecuteInProcessResult:
        return dr_drill_job.execute_in_process(
            run_config={"ops": {"run_drill": {"config": config}}},
            resources={"environment": Environment()},
            instance=instance,
            raise_on_error=False,
        )

    return execute


def events(result: dg.ExecuteInProcessResult) -> list[dg.AssetMaterialization]:
    return [
        event.step_materialization_data.materialization
        for event in result.get_asset_materialization_events()
    ]


def observations(result: dg.ExecuteInProcessResult) -> list[dg.AssetObservation]:
    return [
        event.asset_observation_data.asset_observation
        for event in result.get_asset_observation_events()
    ]


def test_a_drill_that_passed_is_a_point_in_the_plots_with_its_report(
    drilled: Drilled, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAJOVO_DR_DRILL_APPLICATION", "false")
    monkeypatch.setenv("KAJOVO_DR_LANGUAGE", "cs")
    result = drilled(who="Řehoř")
    assert result.success
    (made,) = events(result)
    (record,) = drill_history.read(settings.state).drills
    assert made.asset_key == DRILL
    facts = {name: value.value for name, value in made.metadata.items()}
    assert str(facts["report"]).startswith(f"# Cvičení {record.id}: prošlo")
    assert Path(str(facts["html"])).is_file()
    assert (record.who, facts["result"], facts["rto"]) == ("Řehoř", "passed", "pass")
    assert facts["rto_seconds"] == record.rto_s
    assert facts["dump_bytes"] == record.dump_bytes
    assert facts["restore_seconds"] == record.seconds["restore"]
    assert observations(result) == []


def test_a_failed_drill_has_its_report_and_says_what_to_do(
    drilled: Drilled, settings: Settings
) -> None:
    result = drilled()
    said = failure_of(result)
    assert "the drill failed in the phase prepare: KAJOVO_DR_DRILL_APP_COMMAND is not set" in said
    assert "hint: name the command" in said
    assert events(result) == []
    (seen,) = observations(result)
    assert "failed: preparation" in str(seen.metadata["report"].value)
    (record,) = drill_history.read(settings.state).drills
    assert (record.who, record.failed_phase) == ("scheduled", "prepare")


def test_a_drill_without_a_database_to_protect_is_recorded(
    drilled: Drilled, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KAJOVO_DR_DATABASE_URL")
    assert "KAJOVO_DR_DATABASE_URL is not set" in failure_of(drilled())
    assert [each.ok for each in drill_history.read(settings.state).drills] == [False]


def test_no_password_is_in_the_events(
    drilled: Drilled, small: Server, instance: dg.DagsterInstance
) -> None:
    result = drilled()
    logged = [str(record) for record in instance.all_logs(result.run_id)]
    assert logged
    assert not [line for line in logged if small.params["password"] in line]


def test_it_runs_monthly_and_never_beside_a_backup() -> None:
    assert drill_schedule.cron_schedule == "0 4 1 * *"
    assert drill_schedule.execution_timezone == "Europe/Prague"
    assert drill_schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    assert drill_schedule.job_name == dr_drill_job.name == "dr_drill_job"
    assert dr_drill_job.tags["kajovo_dr/target"] == "source"
