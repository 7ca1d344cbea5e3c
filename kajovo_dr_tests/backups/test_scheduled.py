"""Under test: one backup per tick, in its turn, whoever else is at work on the database."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest

from kajovo_dr import process
from kajovo_dr.backups import catalog
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.scheduled import REASON, served, take_for
from kajovo_dr.backups.store import open_store
from kajovo_dr.backups.take import Taken, take
from kajovo_dr.errors import TargetBusy
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.settings import Settings
from kajovo_dr_tests.backups.stored import judge, put

LIMIT = 60


def stored(settings: Settings) -> list[Backup]:
    return catalog.backups(open_store(settings))


def test_a_tick_is_served_by_a_scheduled_backup_of_that_moment_or_later(
    settings: Settings, small: Server
) -> None:
    tick = datetime.now(UTC)
    taken = take_for(settings, small, tick)
    assert isinstance(taken, Taken)
    assert taken.backup.manifest.reason == "scheduled"
    again = take_for(settings, small, tick)
    assert isinstance(again, Backup)
    assert again.name == taken.backup.name
    moment = taken.backup.manifest.created_at
    assert served(settings, small, moment) is not None
    assert served(settings, small, moment + timedelta(microseconds=1)) is None
    assert served(settings, small.database("jiná"), tick) is None


def test_a_backup_by_hand_serves_no_tick(settings: Settings, small: Server) -> None:
    tick = datetime.now(UTC)
    take(settings, small, reason="by hand")
    assert isinstance(take_for(settings, small, tick), Taken)
    assert len(stored(settings)) == 2


@pytest.mark.parametrize("verdict", ["damaged", "unproven"])
def test_one_that_was_judged_and_is_not_proven_serves_no_tick(
    settings: Settings, small: Server, verdict: Literal["damaged", "unproven"]
) -> None:
    tick = datetime.now(UTC)
    taken = take_for(settings, small, tick)
    assert isinstance(taken, Taken)
    judge(taken.backup, verdict, datetime.now(UTC), reason="its proof failed")
    assert served(settings, small, tick) is None


def test_one_of_the_future_serves_no_tick(settings: Settings, small: Server) -> None:
    ahead = datetime.now(UTC) + timedelta(days=30)
    put(open_store(settings), ahead, database=small.dbname, reason=REASON)
    assert served(settings, small, datetime.now(UTC)) is None


def test_it_waits_for_the_backup_of_a_command_line_and_is_taken_after_it(
    settings: Settings, small: Server, tmp_path: Path
) -> None:
    with databases.connect(small, autocommit=False) as guest:
        guest.execute("LOCK TABLE hosté")  # the command line's backup waits for it
        words = [sys.executable, "-m", "kajovo_dr.cli", "backup"]
        cli = process.start(words, env=dict(os.environ), log=tmp_path / "log", tethered=True)
        assert process.wait_until(lambda: is_held(small), timeout=LIMIT), (
            tmp_path / "log"
        ).read_text()
        said: list[str] = []

        def told(phase: str, done: int, total: int | None) -> None:
            said.append(phase)
            guest.rollback()  # from now on the other one goes on

        taken = take_for(settings, small, datetime.now(UTC), progress=told)
    assert cli.wait(LIMIT) == 0, (tmp_path / "log").read_text()
    process.stop(cli, timeout=LIMIT)
    assert isinstance(taken, Taken)
    assert said[0].startswith("waiting: another backup or recovery of ")
    first, second = stored(settings)
    assert (first.manifest.reason, second.manifest.reason) == ("by hand", "scheduled")
    assert second.name == taken.backup.name


def test_it_waits_for_another_scheduled_one_and_finds_its_tick_served(
    settings: Settings, small: Server
) -> None:
    tick = datetime.now(UTC)
    holding = databases.mutex(small, "postgres", purpose="scheduled backup")
    holding.__enter__()  # by the one that works, and ends while we wait

    def told(phase: str, done: int, total: int | None) -> None:
        if phase.startswith("waiting: another scheduled backup of "):
            take(settings, small, reason="scheduled")
            holding.__exit__(None, None, None)

    assert isinstance(take_for(settings, small, tick, progress=told), Backup)
    assert len(stored(settings)) == 1


def test_its_patience_ends(settings: Settings, small: Server) -> None:
    impatient = settings.with_overrides(dump_timeout_s=0.01)
    with databases.mutex(small, "postgres"), pytest.raises(TargetBusy):
        take_for(impatient, small, datetime.now(UTC))


def is_held(server: Server) -> bool:
    """Whether anybody holds an advisory lock."""
    with databases.connect(server) as session:
        found = session.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
        return found.fetchone() != (0,)
