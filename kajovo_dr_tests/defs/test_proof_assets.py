"""The proof as Dagster sees it: only what was restored and found equal moves the recovery point."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from kajovo_dr.backups import catalog
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.changes import CHECKS
from kajovo_dr.backups.proof import VERDICTS
from kajovo_dr.backups.store import open_store
from kajovo_dr.backups.take import take
from kajovo_dr.definitions import defs
from kajovo_dr.defs.backup_assets import today
from kajovo_dr.defs.jobs import ALL
from kajovo_dr.defs.schedules import reprove_schedule
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.settings import Settings
from kajovo_dr_tests.backups.stored import put
from kajovo_dr_tests.defs.conftest import Run, checks_of, failure_of, materialized

PROOF = dg.AssetKey("restore_proof")
POINT = dg.AssetKey("recovery_point")
SQL_SMOKE = "KAJOVO_DR_SQL_SMOKE"
GUESTS = {"name": "guests", "sql": "SELECT count(*) FROM hosté", "expect": 50}


def prove_day(instance: dg.DagsterInstance, day: str) -> dg.ExecuteInProcessResult:
    """Materialize restore_proof alone, as a person does in the UI."""
    return dg.materialize(
        [defs.get_assets_def(PROOF)],
        partition_key=day,
        instance=instance,
        resources=defs.resources,
        raise_on_error=False,
    )


def results_of(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {each.check_name: each for each in result.get_asset_check_evaluations()}


def reload(settings: Settings, backup: Backup) -> Backup:
    return catalog.by_name(open_store(settings), backup.name)


def test_a_backup_and_its_proof_are_one_run_and_move_the_recovery_point(
    settings: Settings,
    run: Run,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(SQL_SMOKE, json.dumps([GUESTS]))
    result = run("postgres_backup_job", partition=today())
    assert result.success
    assert materialized(result) == ["postgres_backup", "recovery_point", "restore_proof"]
    checks = {"dump_size", "dump_integrity", *VERDICTS, *CHECKS, "rpo_24h"}
    assert checks_of(result) == dict.fromkeys(checks, True)
    assert instance.get_materialized_partitions(PROOF) == {today()}
    (backup,) = catalog.backups(open_store(settings))
    assert backup.state == "proven"
    event = instance.get_latest_materialization_event(POINT)
    assert event is not None
    assert event.asset_materialization is not None
    metadata = event.asset_materialization.metadata
    assert metadata["backup"].value == backup.name
    assert metadata["snapshot"].value == backup.manifest.created_at.timestamp()
    age = timedelta(seconds=event.timestamp - backup.manifest.created_at.timestamp())
    assert metadata["age_hours"].value == pytest.approx(age / timedelta(hours=1), abs=0.01)
    shown = instance.get_latest_materialization_event(PROOF)
    assert shown is not None
    assert shown.asset_materialization is not None
    assert shown.asset_materialization.metadata["rows"].value == 54
    assert "| content_equal | passed |" in str(shown.asset_materialization.metadata["summary"])


def test_a_damaged_backup_leaves_verdicts_and_no_materialization(
    settings: Settings, backup: Backup, instance: dg.DagsterInstance
) -> None:
    damaged = backup.path.read_bytes().replace("Šťastný 7\t".encode(), "Šťastný 8\t".encode())
    backup.path.write_bytes(damaged)
    result = prove_day(instance, today())
    assert "sha256" in failure_of(result)
    assert materialized(result) == []
    assert instance.get_materialized_partitions(PROOF) == set()
    checks = results_of(result)
    assert checks.keys() == set(VERDICTS)
    assert not any(each.passed for each in checks.values())
    restores = checks.pop("restores")
    assert restores.severity == dg.AssetCheckSeverity.ERROR
    assert "sha256" in str(restores.description)
    for each in checks.values():
        assert each.severity == dg.AssetCheckSeverity.WARN
        assert "not judged" in str(each.description)
    assert reload(settings, backup).state == "damaged"


def test_a_wrong_answer_of_the_operators_query_fails_its_own_verdict_only(
    settings: Settings,
    backup: Backup,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(SQL_SMOKE, json.dumps([GUESTS | {"expect": 51}]))
    result = prove_day(instance, today())
    assert "guests: 50, expected 51" in failure_of(result)
    assert checks_of(result) == dict.fromkeys(VERDICTS, True) | {"sql_smoke": False}
    assert materialized(result) == []


def test_a_proof_that_cannot_be_made_says_nothing_of_the_backup(
    settings: Settings,
    small: Server,
    backup: Backup,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KAJOVO_DR_PROOF_URL", small.url())
    result = prove_day(instance, today())
    assert "production" in failure_of(result)
    checks = results_of(result)
    assert checks.keys() == set(VERDICTS)
    for each in checks.values():
        assert (each.passed, each.severity) == (False, dg.AssetCheckSeverity.WARN)
        assert "production" in str(each.description)
    assert reload(settings, backup).state == "unproven"


def test_a_day_without_a_backup_has_nothing_to_prove(
    settings: Settings, backup: Backup, instance: dg.DagsterInstance
) -> None:
    yesterday = (datetime.now(ZoneInfo("Europe/Prague")) - timedelta(days=1)).date().isoformat()
    told = failure_of(prove_day(instance, yesterday))
    assert f"of {yesterday} in" in told
    assert told.splitlines()[0].endswith("there is nothing to prove")
    assert reload(settings, backup).state == "taken"


def test_the_day_of_a_backup_is_that_of_the_hotel_and_not_of_greenwich(
    settings: Settings, small: Server, instance: dg.DagsterInstance
) -> None:
    put(open_store(settings), datetime(2026, 11, 22, 23, 30, tzinfo=UTC), database=small.dbname)
    assert "there is nothing to prove" in failure_of(prove_day(instance, "2026-11-22"))
    assert "there is nothing to prove" not in failure_of(prove_day(instance, "2026-11-23"))


def test_a_day_whose_only_backup_is_cut_says_so(
    settings: Settings, backup: Backup, instance: dg.DagsterInstance
) -> None:
    backup.path.write_bytes(backup.path.read_bytes()[:-1])
    told = failure_of(prove_day(instance, today()))
    assert "nothing to prove" in told
    assert f"{backup.name} has {backup.manifest.size_bytes - 1} bytes" in told


def test_the_newest_backup_of_the_day_is_proven_and_compared_with_the_previous_one(
    settings: Settings, small: Server, instance: dg.DagsterInstance
) -> None:
    first = take(settings, small, reason="first").backup
    assert prove_day(instance, today()).success
    with databases.connect(small) as session:
        session.execute("DELETE FROM hosté WHERE id > 10; DROP TABLE prázdná")
    second = take(settings.with_overrides(max_shrink=0), small, reason="second").backup
    result = prove_day(instance, today())
    assert result.success
    checks = results_of(result)
    failed = {name: each.severity.value for name, each in checks.items() if not each.passed}
    assert failed == {
        "no_table_gone": "ERROR",
        "no_table_shrank": "ERROR",
        "schema_unchanged": "WARN",
    }
    assert "public.prázdná is gone" in str(checks["no_table_gone"].description)
    assert "public.hosté has 10 rows" in str(checks["no_table_shrank"].description)
    assert [reload(settings, each).state for each in (first, second)] == ["proven", "proven"]


def test_proving_an_older_backup_does_not_move_the_recovery_point_back(
    settings: Settings, small: Server, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAJOVO_DR_REPROVE_COUNT", "1")
    older = take(settings, small, reason="older").backup
    assert run("postgres_backup_job", partition=today()).success
    result = run("reprove_job")
    assert result.success
    assert reload(settings, older).state == "proven"
    assert materialized(result) == []


def test_a_backup_before_a_change_is_proven_too(
    settings: Settings, run: Run, instance: dg.DagsterInstance
) -> None:
    config = {"ops": {"pre_change_backup": {"config": {"reason": "vydání 2.0"}}}}
    result = run("pre_change_backup_job", config)
    assert result.success
    assert materialized(result) == ["postgres_backup", "recovery_point", "restore_proof"]
    assert instance.get_materialized_partitions(PROOF) == {today()}
    for name in (*VERDICTS, *CHECKS):
        key = dg.AssetCheckKey(PROOF, name)
        (record,) = instance.event_log_storage.get_asset_check_execution_history(key, limit=5)
        assert record.status.value == "SUCCEEDED"


def test_a_backup_whose_proof_fails_before_a_change_stays_recorded(
    settings: Settings,
    run: Run,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(SQL_SMOKE, json.dumps([GUESTS | {"expect": 51}]))
    config = {"ops": {"pre_change_backup": {"config": {"reason": "vydání 2.0"}}}}
    result = run("pre_change_backup_job", config)
    assert "guests: 50, expected 51" in failure_of(result)
    assert materialized(result) == ["postgres_backup"]
    assert checks_of(result) == {
        "dump_size": True,
        "dump_integrity": True,
        **dict.fromkeys(VERDICTS, True),
        "sql_smoke": False,
    }


def test_proving_again_names_the_damaged_and_goes_on_to_the_others(
    settings: Settings, small: Server, run: Run
) -> None:
    good = take(settings, small, reason="good").backup
    rotten = take(settings, small, reason="rotten").backup
    content = bytearray(rotten.path.read_bytes())
    content[len(content) // 2] ^= 1
    rotten.path.write_bytes(content)
    result = run("reprove_job")
    told = failure_of(result)
    assert "1 of 2 backups are damaged" in told
    assert rotten.name in told
    assert good.name not in told
    assert materialized(result) == ["recovery_point"]
    assert [reload(settings, each).state for each in (good, rotten)] == ["proven", "damaged"]


def test_proving_again_in_vain_leaves_the_proof_and_the_recovery_point_as_they_are(
    settings: Settings,
    small: Server,
    proven: Backup,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KAJOVO_DR_PROOF_URL", small.url())
    result = run("reprove_job")
    assert "none of 1 backups could be proven" in failure_of(result)
    assert materialized(result) == []
    assert reload(settings, proven).proof == proven.proof


def test_jobs_that_prove_wait_for_each_other() -> None:
    proving = {"postgres_backup_job", "pre_change_backup_job", "reprove_job", "dr_drill_job"}
    targets = {job.name: (job.tags or {}).get("kajovo_dr/target") for job in ALL}
    assert {name for name, target in targets.items() if target == "source"} == proving


def test_old_backups_are_proven_again_each_night() -> None:
    assert reprove_schedule.cron_schedule == "30 2 * * *"
    assert reprove_schedule.execution_timezone == "Europe/Prague"
    assert reprove_schedule.default_status == dg.DefaultScheduleStatus.RUNNING
