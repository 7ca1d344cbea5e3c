"""Under test: runs whose process died are ended; every other one is left alone."""

import os
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from kajovo_dr import process
from kajovo_dr.definitions import defs
from kajovo_dr.defs import run_lock
from kajovo_dr.defs.backup_assets import today
from kajovo_dr.defs.run_lock import held, reap
from kajovo_dr.recovery.incident_log import IncidentLog
from kajovo_dr.recovery.journal import RecoveryJournal
from kajovo_dr.recovery.record import RecoveryRecord
from kajovo_dr.settings import Settings
from kajovo_dr_tests.defs.conftest import Run

STARTED, CANCELING, FAILURE = (
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
    dg.DagsterRunStatus.FAILURE,
)
NOW = datetime(2026, 11, 23, 20, 15, tzinfo=UTC)
#: Works at a run until it is killed.
WORKER = """
import sys, time
from pathlib import Path
from kajovo_dr.defs.run_lock import held
with held(Path(sys.argv[1]), sys.argv[2]):
    time.sleep(600)
"""
Begun = Callable[..., dg.DagsterRun]


@pytest.fixture
def begun(instance: dg.DagsterInstance) -> Begun:
    """Makes a run in progress, without any process."""

    def create(status: dg.DagsterRunStatus = STARTED, job: str = "reprove_job") -> dg.DagsterRun:
        return instance.create_run_for_job(defs.resolve_job_def(job), status=status)

    return create


@pytest.fixture
def worker(state: Path) -> Iterator[Callable[[str], process.Running]]:
    """Starts a process that works at a run."""
    started: list[process.Running] = []

    def start(run_id: str) -> process.Running:
        words = [sys.executable, "-c", WORKER, str(state), run_id]
        running = process.start(words, env=dict(os.environ), log=state / "worker.log")
        started.append(running)
        found = process.wait_until(
            lambda: any((state / "runs").glob(f"{run_id}.{running.pid}.json")), timeout=60
        )
        assert found, (state / "worker.log").read_text()
        return running

    yield start
    for each in started:
        each.kill()
        each.wait()


def status(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRunStatus:
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    return found.status


def killed(running: process.Running) -> None:
    running.kill()
    running.wait()


def test_a_run_is_left_alone_while_its_process_lives_and_ended_when_it_died(
    settings: Settings,
    instance: dg.DagsterInstance,
    begun: Begun,
    worker: Callable[[str], process.Running],
) -> None:
    run = begun()
    working = worker(run.run_id)
    assert reap(instance, settings, NOW) == []
    assert reap(instance, settings, NOW, alone=True) == []
    assert status(instance, run) == STARTED
    killed(working)
    (dead,) = reap(instance, settings, NOW)
    assert (dead.run_id, dead.job, dead.recoveries) == (run.run_id, "reprove_job", ())
    assert f"run {run.run_id[:8]} of reprove_job: the process of this run is gone" in str(dead)
    assert dead.why.endswith("found 2026-11-23 21:15")
    assert status(instance, run) == FAILURE
    events = [entry.get_dagster_event() for entry in instance.all_logs(run.run_id)]
    assert [event.message for event in events] == [dead.why]
    assert list((settings.state / "runs").iterdir()) == []
    assert reap(instance, settings, NOW) == []


def test_a_run_that_was_being_canceled_when_its_process_died_is_ended_too(
    settings: Settings,
    instance: dg.DagsterInstance,
    begun: Begun,
    worker: Callable[[str], process.Running],
) -> None:
    run = begun(CANCELING)
    killed(worker(run.run_id))
    assert [dead.run_id for dead in reap(instance, settings, NOW)] == [run.run_id]


def test_a_run_of_two_processes_lives_while_one_of_them_does(
    settings: Settings,
    instance: dg.DagsterInstance,
    begun: Begun,
    worker: Callable[[str], process.Running],
) -> None:
    run = begun()
    one, two = worker(run.run_id), worker(run.run_id)
    killed(one)
    assert reap(instance, settings, NOW) == []
    assert reap(instance, settings, NOW, alone=True) == []
    killed(two)
    assert len(reap(instance, settings, NOW)) == 1


def test_a_run_of_which_nobody_here_knows_is_ended_only_where_nobody_else_is(
    settings: Settings, instance: dg.DagsterInstance, begun: Begun
) -> None:
    run, starting = begun(), begun(dg.DagsterRunStatus.STARTING)
    assert reap(instance, settings, NOW) == []
    ended = {dead.run_id for dead in reap(instance, settings, NOW, alone=True)}
    assert ended == {run.run_id, starting.run_id}


def test_a_run_that_ends_between_two_looks_is_not_dead(
    settings: Settings, instance: dg.DagsterInstance, begun: Begun
) -> None:
    run = begun()
    with held(settings.state, run.run_id):
        (note,) = (settings.state / "runs").glob("*.json")
    assert run_lock._life_of(note) == "unknown"
    assert reap(instance, settings, NOW) == []


def test_only_the_recovery_that_no_later_run_took_over_is_interrupted(
    settings: Settings,
    instance: dg.DagsterInstance,
    begun: Begun,
    worker: Callable[[str], process.Running],
) -> None:
    run = begun()
    for recovery_id, runs in (("mine", (run.run_id,)), ("taken", (run.run_id, "another"))):
        record = RecoveryRecord(
            id=recovery_id,
            runs=runs,
            started_at=NOW,
            who="Noční směna",
            database="kajovo_hotel",
            server="127.0.0.1:5432",
        )
        with RecoveryJournal.begin(settings.state, record, settings).phase("restore"):
            pass
    killed(worker(run.run_id))
    (dead,) = reap(instance, settings, NOW)
    assert dead.recoveries == ("mine",)
    assert [entry.id for entry in IncidentLog(settings.state).read()] == ["mine"]


@pytest.mark.parametrize("fails", [False, True])
def test_a_run_holds_its_lock_while_it_works_and_leaves_nothing(
    settings: Settings, fails: bool
) -> None:
    held_by: list[str] = []

    @dg.op(required_resource_keys={"environment"})
    def look(context: dg.OpExecutionContext) -> None:
        assert run_lock._life(settings.state, context.run_id) == "alive"
        held_by.append(context.run_id)
        if fails:
            raise dg.Failure("on purpose")

    @dg.job(resource_defs={"environment": defs.resources["environment"]})  # type: ignore[index]
    def work() -> None:
        look()

    result = work.execute_in_process(raise_on_error=False)
    assert result.success is not fails
    assert held_by == [result.run_id]
    assert list((settings.state / "runs").iterdir()) == []


def test_a_state_folder_that_cannot_be_written_does_not_keep_a_run_from_saying_so(
    settings: Settings, run: Run
) -> None:
    (settings.state / "runs").write_text("not a folder")
    assert run("postgres_backup_job", partition=today()).success
