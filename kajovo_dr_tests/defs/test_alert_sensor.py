"""What the daemon's sensor tells of Dagster's own events: each failure once, with its next step."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg
import pytest
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateChange
from dagster._core.remote_origin import InProcessCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from kajovo_dr.alerts import ledger
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.definitions import defs
from kajovo_dr.defs import alert_sensor as alert_module
from kajovo_dr.defs import run_sources
from kajovo_dr.defs.alert_sensor import alert_sensor
from kajovo_dr.defs.backup_assets import today
from kajovo_dr.defs.resources import Environment
from kajovo_dr.postgres.server import Server
from kajovo_dr.recovery import drill_history
from kajovo_dr.settings import Settings
from kajovo_dr_tests.alerts.receivers import HttpReceiver
from kajovo_dr_tests.defs.conftest import Run
from kajovo_dr_tests.defs.daemons import Daemons
from kajovo_dr_tests.recovery.drills import drill

NOWHERE = "postgresql://kajovo:tajné@127.0.0.1:1/hotel"
JOB = "postgres_backup_job"


class Watch:
    """The sensor, called as the daemon does, and what arrived."""

    def __init__(self, instance: dg.DagsterInstance, receiver: HttpReceiver) -> None:
        self._instance, self._receiver = instance, receiver
        self.cursor: str | None = None
        self._read = 0

    def look(self) -> dg.SensorResult | dg.SkipReason:
        """One tick, after which the cursor is saved."""
        with dg.build_sensor_context(
            instance=self._instance,
            cursor=self.cursor,
            resources={"environment": Environment()},
        ) as context:
            result = alert_sensor(context)
            assert isinstance(result, dg.SensorResult | dg.SkipReason)
            self.cursor = context.cursor
            return result

    def told(self) -> list[str]:
        """Title and text of each message of a new look."""
        self.look()
        new = [each.json for each in self._receiver.requests[self._read :]]
        self._read = len(self._receiver.requests)
        return [f"{each['title'].partition('] ')[2]}\n{each['message']}" for each in new]


@pytest.fixture
def receiver(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpReceiver]:
    """The only channel; a drill has passed this moment, and the UI is known."""
    now = datetime.now(UTC)
    drill_history.append(settings.state, drill(started_at=now, finished_at=now))
    with HttpReceiver() as receiver:
        monkeypatch.setenv("KAJOVO_DR_ALERT_URLS", receiver.url)
        monkeypatch.setenv("KAJOVO_DR_UI_URL", "http://127.0.0.1:3000/")
        yield receiver


@pytest.fixture
def watch(instance: dg.DagsterInstance, receiver: HttpReceiver, proven: Backup) -> Watch:
    """A watch of a system where all is well."""
    watch = Watch(instance, receiver)
    assert watch.told() == []
    return watch


def test_a_failed_backup_is_told_with_its_error_its_hint_and_its_run(
    watch: Watch, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as lost:
        lost.setenv("KAJOVO_DR_DATABASE_URL", NOWHERE)
        failed = run(JOB, partition=today())
    (text,) = watch.told()
    first, *rest = text.splitlines()
    assert first.startswith(f"CRITICAL: a run of {JOB} failed in postgres_backup: no answer from")
    assert "Next: check that the server runs and that host and port in the URL are right." in rest
    assert f"Run: http://127.0.0.1:3000/runs/{failed.run_id}" in rest
    assert "tajné" not in text


def test_the_same_failure_is_quiet_another_one_is_told_and_so_is_the_end(
    watch: Watch, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for url, messages in ((NOWHERE, 1), (NOWHERE, 0), (NOWHERE.replace(":1/", ":2/"), 0)):
        with monkeypatch.context() as lost:
            lost.setenv("KAJOVO_DR_DATABASE_URL", url)
            run(JOB, partition=today())
        assert len(watch.told()) == messages
    with monkeypatch.context() as full:
        full.setenv("KAJOVO_DR_MIN_TABLES", "99")
        run(JOB, partition=today())
    (text,) = watch.told()
    assert text.startswith(f"CRITICAL: a run of {JOB} failed")
    assert "99" in text
    assert run(JOB, partition=today()).success
    (over,) = watch.told()
    assert over.startswith(f"OVER: a run of {JOB} failed")
    assert f"\nNow: the last run of {JOB} succeeded\n" in over
    assert watch.told() == []


def test_a_failure_and_its_end_between_two_looks_are_both_told(
    watch: Watch, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as lost:
        lost.setenv("KAJOVO_DR_DATABASE_URL", NOWHERE)
        run(JOB, partition=today())
    assert run(JOB, partition=today()).success
    assert [text.partition(":")[0] for text in watch.told()] == ["CRITICAL", "OVER"]


def test_a_bad_dump_is_one_message_its_run_and_its_checks_are_the_same_trouble(
    watch: Watch, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as strict:
        strict.setenv("KAJOVO_DR_MIN_DUMP_BYTES", "1000000000")
        run(JOB, partition=today())
    (text,) = watch.told()
    assert f"a run of {JOB} failed in postgres_backup" in text
    assert run(JOB, partition=today()).success
    assert len(watch.told()) == 1  # the checks that pass now were never told of


def test_each_failure_of_what_a_person_launches_is_told_and_over_with_that(
    watch: Watch, run: Run
) -> None:
    for _ in range(2):
        assert not run("restore_job", {"database": "x", "backup": "no-such-backup"}).success
        (text,) = watch.told()
        assert "a run of restore_job failed in restored_database" in text
        assert "no-such-backup" in text
    assert watch.told() == []
    assert [each.key for each in ledger.read(Settings.load().state).active] == []


def test_a_run_whose_process_died_is_told_with_what_dagster_says(
    watch: Watch, instance: dg.DagsterInstance
) -> None:
    job = defs.resolve_job_def(JOB)
    died = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    instance.report_run_failed(died, "the process of this run is gone")
    (text,) = watch.told()
    assert f"a run of {JOB} ended without a word: the process of this run is gone" in text


def test_a_check_that_fails_in_a_run_that_succeeds_is_told_by_itself(
    watch: Watch, instance: dg.DagsterInstance
) -> None:
    def checked(*, passed: bool) -> None:
        @dg.asset(check_specs=[dg.AssetCheckSpec("slow", asset="room")])
        def room() -> Iterator[object]:
            yield dg.MaterializeResult()
            yield dg.AssetCheckResult(
                passed=passed,
                check_name="slow",
                severity=dg.AssetCheckSeverity.WARN,
                description="it took 80 minutes",
            )

        dg.materialize([room], instance=instance)

    checked(passed=False)
    (text,) = watch.told()
    assert text.startswith("WARNING: the check slow of room failed: it took 80 minutes\n")
    checked(passed=True)
    (over,) = watch.told()
    assert over.startswith("OVER: the check slow of room failed")


def test_a_backup_that_is_found_damaged_is_told_once_not_with_the_run_that_found_it(
    watch: Watch, run: Run, proven: Backup
) -> None:
    proven.path.write_bytes(proven.path.read_bytes().replace(b"CREATE TABLE", b"CREATE TABLE "))
    content = proven.path.read_bytes()
    proven.path.write_bytes(content[: proven.manifest.size_bytes])
    assert not run("reprove_job").success
    texts = watch.told()
    assert [text for text in texts if "a run of" in text] == []
    assert [text for text in texts if f"the backup {proven.name} is damaged" in text] != []


def test_a_cursor_that_is_lost_tells_nothing_twice(
    watch: Watch, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as lost:
        lost.setenv("KAJOVO_DR_DATABASE_URL", NOWHERE)
        run(JOB, partition=today())
    assert len(watch.told()) == 1
    assert run(JOB, partition=today()).success
    assert len(watch.told()) == 1
    watch.cursor = None
    assert watch.told() == []


def test_the_status_is_reported_when_it_changes_and_only_then(
    watch: Watch, small: Server, settings: Settings
) -> None:
    assert isinstance(watch.look(), dg.SkipReason)
    (backup,) = settings.store_dir.glob("*.proof.json")
    backup.unlink()
    result = watch.look()
    assert isinstance(result, dg.SensorResult)
    told, check = result.asset_events
    assert isinstance(told, dg.AssetMaterialization)
    assert isinstance(check, dg.AssetCheckEvaluation)
    assert told.metadata["level"].value == "critical"
    assert "no backup of" in str(told.metadata["wrong"].value)
    name = backup.name.removesuffix(".proof.json")
    assert told.metadata["next"].value == f"kajovo-dr verify {name} --restore"
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert isinstance(watch.look(), dg.SkipReason)


def test_the_status_can_be_materialized_by_hand(
    settings: Settings, proven: Backup, instance: dg.DagsterInstance
) -> None:
    result = dg.materialize(
        [defs.get_assets_def("dr_status")],
        instance=instance,
        resources={"environment": Environment()},
    )
    (event,) = result.get_asset_materialization_events()
    figures = event.materialization.metadata
    assert figures["rpo_age_hours"].value == pytest.approx(0, abs=0.1)
    assert proven.name in str(figures["summary"].value)


def became(verdict: FreshnessState) -> FreshnessStateChange:
    return FreshnessStateChange(
        key=dg.AssetKey("postgres_backup"),
        new_state=verdict,
        previous_state=FreshnessState.UNKNOWN,
        state_change_timestamp=1e9,
    )


@pytest.mark.parametrize(
    ("verdict", "level"),
    [
        (FreshnessState.PASS, "ok"),
        (FreshnessState.WARN, "warning"),
        (FreshnessState.FAIL, "critical"),
        (FreshnessState.UNKNOWN, "warning"),
    ],
)
def test_a_state_of_freshness_has_its_level(
    settings: Settings, verdict: FreshnessState, level: str
) -> None:
    condition = run_sources.of_freshness(settings, became(verdict))
    assert condition is not None
    assert (condition.level, condition.covered_by) == (level, ("rpo",))
    assert "postgres_backup" in condition.what


def test_an_asset_without_a_policy_is_not_told_of(settings: Settings) -> None:
    assert run_sources.of_freshness(settings, became(FreshnessState.NOT_APPLICABLE)) is None


def test_parts_of_the_daemon_that_do_not_run_are_named(
    settings: Settings, daemons: Daemons
) -> None:
    (condition,) = run_sources.of_daemons(settings, daemons.instance)
    assert condition.level == "critical"
    assert "SCHEDULER" in condition.what
    assert condition.patience_s > 0


def test_the_sensor_watches_from_the_start() -> None:
    assert alert_sensor.default_status == dg.DefaultSensorStatus.RUNNING
    assert alert_sensor.minimum_interval_seconds == 30


def test_a_channel_that_is_down_fails_no_look(
    watch: Watch, receiver: HttpReceiver, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.down()
    with monkeypatch.context() as lost:
        lost.setenv("KAJOVO_DR_DATABASE_URL", NOWHERE)
        run(JOB, partition=today())
    watch.look()
    receiver.up()
    waiting = ledger.read(Settings.load().state).waiting
    assert [each.message.kind for each in waiting] == ["critical"]
    assert receiver.requests == []


def test_a_run_that_had_nothing_to_do_ends_no_trouble(
    watch: Watch, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    tick = datetime.now(UTC).isoformat()
    config = {"ops": {"postgres_backup": {"config": {"reason": "scheduled", "tick": tick}}}}
    assert run(JOB, config, partition=today()).success
    with monkeypatch.context() as lost:
        lost.setenv("KAJOVO_DR_DATABASE_URL", NOWHERE)
        run(JOB, partition=today())
    assert [text.partition(":")[0] for text in watch.told()] == ["CRITICAL"]
    assert run(JOB, config, partition=today()).success  # its tick is served
    assert watch.told() == []


def test_jobs_of_the_same_name_elsewhere_are_not_ours() -> None:
    def of(location: str) -> dg.DagsterRun:
        origin = InProcessCodeLocationOrigin(
            LoadableTargetOrigin(module_name="x"), location_name=location
        )
        job = RemoteRepositoryOrigin(origin, "__repository__").get_job_origin(JOB)
        return dg.DagsterRun(JOB, remote_job_origin=job)

    here = InProcessCodeLocationOrigin(
        LoadableTargetOrigin(module_name="x"), location_name="kajovo_dr"
    )
    assert alert_module._is_of(of("kajovo_dr"), here)
    assert not alert_module._is_of(of("another"), here)
    assert alert_module._is_of(dg.DagsterRun(JOB), here)


def test_events_that_cannot_be_read_are_told_and_silence_nothing_else(
    watch: Watch, run: Run, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("chyba")

    for each in settings.store_dir.glob("*.proof.json"):
        each.unlink()
    monkeypatch.setattr(run_sources, "of_daemons", fail)
    told = watch.told()
    assert [text for text in told if "a part of the watch is broken, Dagster" in text]
    assert [text for text in told if "no backup of" in text]
