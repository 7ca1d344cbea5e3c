"""Runs of the real definitions in this process, and what they left in an instance."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from kajovo_dr.definitions import defs
from kajovo_dr.postgres.server import Server
from kajovo_dr.settings import Settings
from kajovo_dr_tests.defs.clock import Clock
from kajovo_dr_tests.defs.daemons import Daemons

Run = Callable[..., dg.ExecuteInProcessResult]


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """An instance that is gone after the test."""
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


@pytest.fixture
def run(instance: dg.DagsterInstance) -> Run:
    """Runs a job by name; a failed run is a result, not an exception."""

    def execute(
        job: str, config: dict[str, Any] | None = None, partition: str | None = None
    ) -> dg.ExecuteInProcessResult:
        return defs.resolve_job_def(job).execute_in_process(
            run_config=config,
            partition_key=partition,
            instance=instance,
            raise_on_error=False,
        )

    return execute


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    """A clock for real processes; it begins at 5 o'clock of tomorrow."""
    return Clock(tmp_path / "clock")


@pytest.fixture
def daemons(
    settings: Settings,
    clock: Clock,
    new_database: Callable[[str], Server],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Daemons]:
    """Dagster's real processes on a storage of their own; none runs yet, and none is left."""
    monkeypatch.setenv("KAJOVO_DR_DAGSTER_URL", new_database("dagster").url())
    monkeypatch.setenv("DAGSTER_HOME", str(settings.state / "dagster"))
    family = Daemons(settings, clock)
    yield family
    family.close()


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    """What the failed step says in the UI; fails when it is not one of our failures."""
    assert not result.success
    (event,) = result.filter_events(lambda event: event.is_step_failure)
    data = event.step_failure_data.user_failure_data
    assert data is not None, event.step_failure_data.error
    assert data.description is not None
    return data.description


def materialized(result: dg.ExecuteInProcessResult) -> list[str]:
    """Keys of the assets that the run materialized."""
    return [
        event.asset_key.to_user_string()
        for event in result.get_asset_materialization_events()
        if event.asset_key
    ]


def checks_of(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    """Checks that the run evaluated."""
    return {each.check_name: each.passed for each in result.get_asset_check_evaluations()}
