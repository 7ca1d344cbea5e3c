"""Backups by schedule on a machine to which things happen: real daemons, a clock that is set."""

from __future__ import annotations

import sys
from datetime import datetime
from functools import partial

import dagster as dg
import pytest

from kajovo_dr.backups import catalog
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.store import open_store
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.settings import Settings
from kajovo_dr_tests.defs.clock import PRAGUE
from kajovo_dr_tests.defs.daemons import Daemons

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills by POSIX signals")
JOB = "postgres_backup_job"
FAILURE, STARTED, SUCCESS = (
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.SUCCESS,
)


def stored(settings: Settings) -> list[Backup]:
    return catalog.backups(open_store(settings))


def day(moment: datetime) -> str:
    return moment.astimezone(PRAGUE).date().isoformat()


def are_served(daemons: Daemons, settings: Settings, ticks: int) -> bool:
    """Whether so many ticks have their backup, and nothing is under way any more."""
    keys = {run.tags["dagster/run_key"] for run in daemons.runs(JOB)}
    over = all(run.is_finished for run in daemons.runs(JOB))
    return over and len(keys) == ticks and len(stored(settings)) >= ticks


def test_a_daemon_that_was_down_over_several_ticks_backs_up_once_and_into_today(
    settings: Settings, daemons: Daemons
) -> None:
    daemons.start()
    daemons.wait_for_schedules()
    daemons.kill()
    daemons.clock.move_to(0, 30, days=1)  # from 5 h over 6, 12, 18 and 0 h
    daemons.start()
    (run,) = daemons.wait_for_runs(JOB, SUCCESS)
    today = day(daemons.clock.now())
    assert run.tags["dagster/partition"] == today
    assert run.tags["dagster/run_key"].startswith(f"{today}T00:00:00")
    (backup,) = stored(settings)
    assert backup.manifest.reason == "scheduled"
    assert backup.state == "proven"
    assert day(backup.manifest.created_at) == today
    assert daemons.instance.get_materialized_partitions(dg.AssetKey("restore_proof")) == {today}


def test_a_machine_that_was_asleep_backs_up_once_even_with_two_daemons(
    settings: Settings, daemons: Daemons
) -> None:
    daemons.start()
    daemons.wait_for_schedules()
    daemons.start()
    # over 6 and 12 h at once, then over 18 h: both daemons wake up to the same tick
    for hours in ([13], [13, 19]):
        with daemons.asleep():
            daemons.clock.move_to(hours[-1])
        daemons.wait_for(partial(are_served, daemons, settings, len(hours)), "the tick's backup")
        assert {run.status for run in daemons.runs(JOB)} == {SUCCESS}
        taken = [each.manifest.created_at.astimezone(PRAGUE).hour for each in stored(settings)]
        assert taken == hours


def test_a_run_that_a_power_cut_left_does_not_block_the_next_backup(
    settings: Settings, daemons: Daemons, small: Server
) -> None:
    daemons.start()
    daemons.wait_for_schedules()
    with databases.connect(small, autocommit=False) as session:
        session.execute("LOCK TABLE hosté")  # the backup waits for it
        daemons.clock.move_to(6)
        daemons.wait_for_runs(JOB, STARTED)
        daemons.wait_for(lambda: any((settings.state / "runs").glob("*.json")), "the run's lock")
        daemons.kill()
    daemons.wait_for_runs(JOB, STARTED)  # so it would stay, and keep its place in the queue
    daemons.start()
    daemons.clock.move_to(12)
    dead, _ = daemons.wait_for_runs(JOB, FAILURE, SUCCESS)
    said = [str(entry.user_message or entry) for entry in daemons.instance.all_logs(dead.run_id)]
    assert any(
        "the process of this run is gone: the machine lost its power" in each for each in said
    )
    (backup,) = stored(settings)
    assert backup.manifest.created_at.astimezone(PRAGUE).hour == 12
    assert list((settings.state / "runs").glob("*")) == []
