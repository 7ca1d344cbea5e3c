"""Runs that died with their processes, and recoveries that are begun anew where they failed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from kajovo_dr.definitions import defs
from kajovo_dr.defs.launch import dagster_home, end_dead_runs
from kajovo_dr.postgres.server import Server
from kajovo_dr.recovery.incident_log import IncidentLog
from kajovo_dr.recovery.journal import RecoveryJournal, unfinished
from kajovo_dr.recovery.record import RecoveryRecord
from kajovo_dr.settings import Settings

FORM = {"who": "Noční směna", "database": "kajovo_hotel", "confirm": "kajovo_hotel"}


@pytest.fixture
def instance_settings(
    settings: Settings, new_database: Callable[[str], Server], monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """Settings with a storage of Dagster's own."""
    monkeypatch.setenv("KAJOVO_DR_DAGSTER_URL", new_database("dagster").url())
    monkeypatch.setenv("DAGSTER_HOME", str(dagster_home(settings)))
    return Settings.load()


def begun(settings: Settings, recovery_id: str) -> RecoveryJournal:
    record = RecoveryRecord(
        id=recovery_id,
        runs=(recovery_id,),
        started_at=datetime.now(UTC),
        who="Noční směna",
        database="kajovo_hotel",
        server="127.0.0.1:5432",
    )
    return RecoveryJournal.begin(settings.state, record, settings)


def test_a_run_that_died_gives_its_place_back_and_is_logged_as_interrupted(
    instance_settings: Settings,
) -> None:
    job = defs.resolve_job_def("incident_recovery_job")
    with dg.DagsterInstance.get() as instance:
        run = instance.create_run_for_job(job, run_config=FORM, status=dg.DagsterRunStatus.STARTED)
        done = instance.create_run_for_job(job, run_config=FORM, status=dg.DagsterRunStatus.SUCCESS)
        journal = begun(instance_settings, run.run_id)
        with journal.phase("restore"):
            pass
        assert [record.id for record in unfinished(instance_settings.state)] == [run.run_id]
        assert end_dead_runs(instance_settings) == ["incident_recovery_job"]
        assert end_dead_runs(instance_settings) == []
        assert instance.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.FAILURE  # type: ignore[union-attr]
        assert instance.get_run_by_id(done.run_id).status == dg.DagsterRunStatus.SUCCESS  # type: ignore[union-attr]
    (entry,) = IncidentLog(instance_settings.state).read()
    assert (entry.id, entry.failed_phase) == (run.run_id, "interrupted")
    assert [phase.name for phase in entry.phases] == ["restore", "interrupted"]
    assert unfinished(instance_settings.state) == []


def incident_job() -> dg.JobDefinition:
    """The job as a process that executes it again finds it."""
    return defs.resolve_job_def("incident_recovery_job")


def test_a_recovery_begun_anew_where_it_failed_goes_on_and_is_logged_as_another_attempt(
    instance_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from kajovo_dr.backups.prove import prove
    from kajovo_dr.backups.take import take
    from kajovo_dr.postgres import databases
    from kajovo_dr.postgres.server import source

    lost = source(instance_settings)
    prove(instance_settings, take(instance_settings, lost, reason="test").backup)
    with databases.connect(lost.database("postgres")) as session:
        databases.drop(session, lost.dbname)
    form = {"who": "Noční směna", "database": lost.dbname, "confirm": lost.dbname}
    monkeypatch.setenv("KAJOVO_DR_APP_BASE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("KAJOVO_DR_APP_LOGIN_PATH", "none")
    monkeypatch.setenv("KAJOVO_DR_MIGRATE_DIR", str(tmp_path))
    job = dg.reconstructable(incident_job)
    with dg.DagsterInstance.get() as instance:
        # the folder has no alembic.ini: restored, then failed in the migration
        first = dg.execute_job(job, instance, run_config=form)
        assert not first.success
        again = dg.execute_job(
            job,
            instance,
            reexecution_options=dg.ReexecutionOptions.from_failure(first.run_id, instance),
        )
        assert not again.success
    one, two = IncidentLog(instance_settings.state).read()
    assert (one.id, two.id) == (first.run_id, f"{first.run_id}-2")
    names = ["preflight", "safety", "stop", "restore", "migrate"]
    assert [phase.name for phase in one.phases] == names
    assert [phase.name for phase in two.phases] == names
    assert one.phases[3] == two.phases[3]
    assert two.failed_phase == "migrate"
    assert two.who == "Noční směna"
