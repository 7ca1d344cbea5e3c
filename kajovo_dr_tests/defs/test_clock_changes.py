"""Both days of the year on which the clocks change, as Dagster's scheduler lives through them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import dagster._daemon.daemon  # before the scheduler, which imports it in turn
import pytest
import time_machine
from dagster._core.remote_origin import CodeLocationOrigin, InProcessCodeLocationOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceLoadTarget
from dagster._scheduler.scheduler import launch_scheduled_runs

from kajovo_dr_tests.defs.clock import PRAGUE

pytestmark = pytest.mark.filterwarnings("ignore:Property `Schedule:DeprecationWarning")  # Dagster's
QUEUE = {
    "run_coordinator": {
        "module": "dagster._core.run_coordinator",
        "class": "QueuedRunCoordinator",
    }
}


class Here(WorkspaceLoadTarget):
    """Our definitions in this process."""

    def create_origins(self) -> list[CodeLocationOrigin]:
        target = LoadableTargetOrigin(module_name="kajovo_dr.definitions")
        return [InProcessCodeLocationOrigin(target, location_name="kajovo_dr")]


@pytest.fixture
def workspace() -> Iterator[WorkspaceProcessContext]:
    """A workspace whose runs stay in the queue, because no daemon takes them out."""
    with (
        dg.instance_for_test(overrides=QUEUE) as instance,
        WorkspaceProcessContext(instance, Here()) as context,
    ):
        yield context


def lived_through(
    workspace: WorkspaceProcessContext, day: datetime, hours: int
) -> list[dg.DagsterRun]:
    """Runs of the schedules, while a scheduler looks every half hour from just before the day."""
    begin = day.astimezone(UTC) - timedelta(minutes=15)
    for half in range(2 * hours + 1):
        with time_machine.travel(begin + half * timedelta(minutes=30), tick=False):
            for _ in launch_scheduled_runs(
                workspace, logging.getLogger("scheduler"), datetime.now(UTC), {}
            ):
                pass
    return list(workspace.instance.get_runs(ascending=True))


def told(runs: list[dg.DagsterRun], schedule: str) -> list[tuple[str, str | None]]:
    return [
        (
            datetime.fromisoformat(run.tags[".dagster/scheduled_execution_time"])
            .astimezone(PRAGUE)
            .isoformat(),
            run.tags.get("dagster/partition"),
        )
        for run in runs
        if run.tags["dagster/schedule_name"] == schedule
    ]


def test_every_tick_of_the_day_with_23_hours_comes_once(workspace: WorkspaceProcessContext) -> None:
    runs = lived_through(workspace, datetime(2027, 3, 28, tzinfo=PRAGUE), hours=23)
    assert told(runs, "backup_schedule") == [
        ("2027-03-28T00:00:00+01:00", "2027-03-28"),
        ("2027-03-28T06:00:00+02:00", "2027-03-28"),
        ("2027-03-28T12:00:00+02:00", "2027-03-28"),
        ("2027-03-28T18:00:00+02:00", "2027-03-28"),
    ]
    # 2:30 does not exist on this day
    assert told(runs, "reprove_schedule") == [("2027-03-28T03:00:00+02:00", None)]


def test_every_tick_of_the_day_with_25_hours_comes_once(workspace: WorkspaceProcessContext) -> None:
    runs = lived_through(workspace, datetime(2027, 10, 31, tzinfo=PRAGUE), hours=25)
    assert told(runs, "backup_schedule") == [
        ("2027-10-31T00:00:00+02:00", "2027-10-31"),
        ("2027-10-31T06:00:00+01:00", "2027-10-31"),
        ("2027-10-31T12:00:00+01:00", "2027-10-31"),
        ("2027-10-31T18:00:00+01:00", "2027-10-31"),
    ]
    # 2:30 comes twice, and runs once
    assert told(runs, "reprove_schedule") == [("2027-10-31T02:30:00+01:00", None)]
