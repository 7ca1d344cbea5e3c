"""The recovery as Dagster runs it, on the whole sandbox: one hotel for this module."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from kajovo_dr.backups import catalog
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.manifest import (
    DIGEST_SUFFIX,
    MANIFEST_SUFFIX,
    ROLES_SUFFIX,
    digest_line,
    stamp,
)
from kajovo_dr.backups.prove import prove
from kajovo_dr.backups.store import open_store, sidecar
from kajovo_dr.backups.take import take
from kajovo_dr.defs.jobs import IncidentForm, RestoreForm
from kajovo_dr.defs.recovery_assets import RestoreConfig
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.server import Server, source
from kajovo_dr.recovery.incident_log import IncidentLog
from kajovo_dr.recovery.record import IncidentEntry
from kajovo_dr.sandbox import stack
from kajovo_dr.sandbox.schema import HEAD_REVISION, OLD_REVISION
from kajovo_dr.settings import Settings
from kajovo_dr_tests.backups.stored import judge
from kajovo_dr_tests.conftest import new_folder
from kajovo_dr_tests.defs.conftest import Run, checks_of, failure_of, materialized

RIVER = [
    "recovery_plan",
    "safety_backup",
    "application_stopped",
    "restored_database",
    "migrated_schema",
    "legacy_data",
    "revoked_access",
    "swapped_database",
    "api_readiness",
    "smoke_report",
    "incident_log_entry",
]
FORM = {"who": "Noční směna", "database": "kajovo_hotel", "confirm": "kajovo_hotel"}


@pytest.fixture(scope="module")
def hotel() -> Iterator[Settings]:
    """The sandbox stack: servers, database, API; its settings are in the environment."""
    folder = new_folder()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("KAJOVO_DR_STATE", str(folder / "state"))
            patch.setenv("KAJOVO_DR_APP_READY_PAUSE_S", "0.1")
            fresh = stack.Fresh(300, OLD_REVISION, legacy=False)
            with stack.whole(Settings.load(), fresh=fresh) as settings:
                yield settings
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def backup(hotel: Settings) -> Backup:
    """The hotel's backup, at the older revision, proven."""
    taken = take(hotel, source(hotel), reason="test").backup
    prove(hotel, taken)
    return catalog.load(taken.path)


@pytest.fixture
def disaster(hotel: Settings, backup: Backup) -> Server:
    """The hotel's database is gone; its address."""
    lost = source(hotel)
    with databases.connect(lost.database("postgres")) as session:
        databases.drop(session, lost.dbname)
    return lost


def entry_of(settings: Settings, result: dg.ExecuteInProcessResult) -> IncidentEntry:
    (entry,) = (entry for entry in IncidentLog(settings.state).read() if entry.id == result.run_id)
    return entry


def copied(backup: Backup, at: datetime) -> Backup:
    """A proven backup of the same bytes and another moment."""
    name = f"kajovo-postgres-{stamp(at)}{backup.path.suffix}"
    manifest = backup.manifest.model_copy(update={"created_at": at, "backup_file": name})
    path = backup.path.with_name(name)
    for suffix in ("", ROLES_SUFFIX):
        shutil.copy(sidecar(backup.path, suffix), sidecar(path, suffix))
    sidecar(path, MANIFEST_SUFFIX).write_bytes(manifest.to_bytes())
    sidecar(path, DIGEST_SUFFIX).write_bytes(digest_line(manifest.sha256, name))
    judge(catalog.load(path), "proven", datetime.now(UTC))
    return catalog.load(path)


def test_a_lost_database_comes_back_migrated_tested_and_logged(
    hotel: Settings, disaster: Server, backup: Backup, run: Run
) -> None:
    result = run("incident_recovery_job", FORM | {"note": "disk | vyhořel"})
    assert result.success
    assert materialized(result) == RIVER
    assert checks_of(result) == {
        "api_ready": True,
        "smoke_breakfast": True,
        "smoke_lost_found": True,
        "smoke_issues": True,
        "smoke_inventory": True,
        "smoke_reports": True,
        "smoke_extras": True,
        "within_rto": True,
    }
    with databases.connect(disaster) as session:
        version = session.execute("SELECT version_num FROM alembic_version").fetchall()
    assert version == [(HEAD_REVISION,)]
    entry = entry_of(hotel, result)
    assert entry.succeeded
    assert entry.who == "Noční směna"
    proven = catalog.newest_proven(open_store(hotel))
    assert proven is not None
    assert entry.backup == proven.name
    assert entry.data_lost_s is not None
    assert [(phase.name, phase.ok) for phase in entry.phases] == [
        (name, True)
        for name in (
            *("preflight", "safety", "stop", "restore", "migrate", "legacy", "revoke", "swap"),
            *("start", "readiness", "smoke"),
        )
    ]
    assert entry.replaced == ""
    assert entry.rto_verdict == "pass"
    assert entry.smoke is not None
    assert entry.smoke.ok
    assert "disk \\| vyhořel" in IncidentLog(hotel.state).page.read_text(encoding="utf-8")


def test_one_broken_module_fails_the_run_its_check_and_the_incident(
    hotel: Settings, disaster: Server, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("restore_job", {"database": disaster.dbname}).success
    assert run("migration_job", {"database": disaster.dbname}).success
    with databases.connect(disaster) as session:
        session.execute("UPDATE inventory_items SET unit = 'KG' WHERE id = 1")
    result = run("smoke_job", {"database": disaster.dbname})
    assert "inventory" in failure_of(result)
    checks = checks_of(result)
    assert not checks["smoke_inventory"]
    assert checks["smoke_breakfast"]
    assert checks["smoke_reports"]
    assert materialized(result) == ["api_readiness"]


def test_a_failed_smoke_test_is_in_the_incident_log(
    hotel: Settings, disaster: Server, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the restored data is sound, so the question is made wrong
    modules = [module.model_dump() for module in hotel.app_modules]
    modules[4]["count_sql"] = "SELECT 999999"
    monkeypatch.setenv("KAJOVO_DR_APP_MODULES", dg.serialize_value(modules))
    result = run("incident_recovery_job", FORM)
    assert "999999" in failure_of(result)
    assert materialized(result) == RIVER[:9]
    entry = entry_of(hotel, result)
    assert not entry.succeeded
    assert entry.failed_phase == "smoke"
    assert entry.smoke is not None
    assert [failed.name for failed in entry.smoke.failures] == ["reports"]


def test_an_application_that_stays_down_is_logged_as_the_phase_that_failed(
    hotel: Settings, disaster: Server, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAJOVO_DR_APP_BASE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("KAJOVO_DR_APP_READY_ATTEMPTS", "2")
    result = run("incident_recovery_job", FORM)
    assert "hint:" in failure_of(result)
    assert checks_of(result) == {"api_ready": False}
    assert materialized(result) == RIVER[:8]
    assert entry_of(hotel, result).failed_phase == "readiness"


def test_no_backup_before_the_incident_is_refused_before_anything_is_touched(
    hotel: Settings, disaster: Server, backup: Backup, run: Run
) -> None:
    before = backup.manifest.created_at - timedelta(seconds=1)
    result = run("incident_recovery_job", FORM | {"incident_time": before.isoformat()})
    assert "no valid backup of 'kajovo_hotel' before" in failure_of(result)
    assert materialized(result) == []
    assert result.run_id not in {entry.id for entry in IncidentLog(hotel.state).read()}
    with databases.connect(disaster.database("postgres")) as session:
        assert not databases.exists(session, disaster.dbname)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        (FORM | {"incident_time": "včera"}, "not a moment with an offset"),
        (FORM | {"incident_time": "2026-10-25 02:10"}, "twice or not at all"),
        (FORM | {"database": "x" * 64}, "cannot name a database"),
        (FORM | {"database": ""}, "cannot name a database"),
        (FORM | {"confirm": "kajovo_hotel "}, "was typed as confirmation"),
        (FORM | {"who": " "}, "who is empty"),
        (FORM | {"backup": "../../etc/passwd"}, "no backup '../../etc/passwd'"),
    ],
)
def test_bad_words_in_the_form_are_told_and_change_nothing(
    hotel: Settings, disaster: Server, run: Run, form: dict[str, str], said: str
) -> None:
    assert said in failure_of(run("incident_recovery_job", form))
    with databases.connect(disaster.database("postgres")) as session:
        assert not databases.exists(session, disaster.dbname)


def test_an_incident_in_the_future_is_refused(hotel: Settings, disaster: Server, run: Run) -> None:
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    form = FORM | {"incident_time": later}
    assert "lies in the future" in failure_of(run("incident_recovery_job", form))


@pytest.mark.parametrize("form", [{}, {"database": "x"}, FORM | {"wohin": "x"}, FORM | {"who": 7}])
def test_a_form_that_is_not_filled_in_right_starts_no_run(
    run: Run, form: dict[str, object], instance: dg.DagsterInstance
) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError):
        run("incident_recovery_job", form)


def test_a_restore_over_a_living_database_is_refused(
    hotel: Settings, disaster: Server, run: Run
) -> None:
    assert run("restore_job", {"database": disaster.dbname}).success
    with databases.connect(disaster) as session:
        before = databases.row_counts(session)
    told = failure_of(run("restore_job", {"database": disaster.dbname}))
    assert "is not empty" in told
    assert "hint:" in told
    with databases.connect(disaster) as session:
        assert databases.row_counts(session) == before


def test_a_named_backup_is_used_whatever_its_age(
    hotel: Settings, disaster: Server, backup: Backup, run: Run
) -> None:
    assert run("restore_job", {"database": disaster.dbname}).success
    newer = take(hotel, disaster, reason="newer").backup
    with databases.connect(disaster.database("postgres")) as session:
        databases.drop(session, disaster.dbname)
    result = run("restore_job", {"database": disaster.dbname, "backup": backup.name})
    (event,) = result.get_asset_materialization_events()
    assert event.materialization.metadata["backup"].value == backup.name
    assert newer in catalog.backups(open_store(hotel))


def test_the_log_entry_alone_has_nothing_to_log(hotel: Settings, run: Run) -> None:
    from kajovo_dr.definitions import defs

    result = dg.materialize(
        [defs.get_assets_def("incident_log_entry")],
        resources=defs.resources,
        raise_on_error=False,
    )
    assert "this run is no recovery" in failure_of(result)


def test_no_event_of_a_recovery_holds_a_password(
    hotel: Settings, disaster: Server, run: Run, instance: dg.DagsterInstance
) -> None:
    result = run("incident_recovery_job", FORM)
    told = "\n".join(str(entry) for entry in instance.all_logs(result.run_id))
    assert "restored_database" in told
    assert disaster.params["password"] not in told
    assert hotel.need("app_password") not in told
    for path in hotel.state.rglob("*.json*"):
        assert disaster.params["password"] not in path.read_text(encoding="utf-8")


def test_a_newest_backup_whose_bytes_changed_is_skipped_aloud(
    hotel: Settings, disaster: Server, run: Run, instance: dg.DagsterInstance
) -> None:
    proven = catalog.newest_proven(open_store(hotel))
    assert proven is not None
    newest = copied(proven, proven.manifest.created_at + timedelta(seconds=1))
    newest.path.write_bytes(newest.path.read_bytes()[:-1] + b"!")
    result = run("restore_job", {"database": disaster.dbname})
    assert result.success
    (event,) = result.get_asset_materialization_events()
    assert event.materialization.metadata["backup"].value == proven.name
    warnings = [each.user_message for each in instance.all_logs(result.run_id) if each.level == 30]
    (said,) = [each for each in warnings if "skipped" in each]
    assert f"{newest.name} is damaged" in said
    assert f"{proven.name} is restored instead, whose snapshot is 1.0 s older" in said


def test_the_forms_say_that_only_a_proven_backup_is_taken_without_a_name() -> None:
    for form, field in (
        (RestoreForm, "backup"),
        (RestoreConfig, "backup"),
        (IncidentForm, "incident_time"),
    ):
        assert "proven" in str(form.model_fields[field].description)


@pytest.fixture
def living(hotel: Settings, disaster: Server, run: Run) -> Server:
    """The hotel's database, recovered, with a row that no backup has."""
    assert run("incident_recovery_job", FORM).success
    with databases.connect(disaster) as session:
        session.execute("INSERT INTO reports (title, status) VALUES ('po záloze', 'open')")
    return disaster


def titles(database: Server) -> set[str]:
    with databases.connect(database) as session:
        return {title for (title,) in session.execute("SELECT title FROM reports").fetchall()}


def test_a_living_database_is_replaced_kept_and_put_back(
    hotel: Settings, living: Server, backup: Backup, run: Run
) -> None:
    incident = FORM | {"backup": backup.name}
    recovered = run("incident_recovery_job", incident)
    assert recovered.success
    assert "po záloze" not in titles(living)
    entry = entry_of(hotel, recovered)
    assert entry.replaced == f"kajovo_hotel__before_{recovered.run_id[:8]}"
    assert entry.lost_rows is not None
    assert entry.lost_rows["public.reports"] == 1
    assert entry.outage is not None
    assert "po záloze" in titles(living.database(entry.replaced))

    undo = {"who": "Noční směna", "confirm": "kajovo_hotel"}
    wrong = undo | {"confirm": "kajovo"}
    assert "was typed as confirmation" in failure_of(run("undo_recovery_job", wrong))
    assert "po záloze" not in titles(living)
    undone = run("undo_recovery_job", undo)
    assert undone.success
    assert "po záloze" in titles(living)
    logged = entry_of(hotel, undone)
    assert (logged.kind, logged.undoes) == ("undo", recovered.run_id)


def test_the_database_alone_is_recovered_under_another_name(
    hotel: Settings, living: Server, run: Run
) -> None:
    form = FORM | {"database": "kajovo_kopie", "confirm": "kajovo_kopie"}
    assert "launch database_recovery_job" in failure_of(run("incident_recovery_job", form))
    result = run("database_recovery_job", form)
    assert result.success
    assert materialized(result) == [
        "recovery_plan",
        "safety_backup",
        "restored_database",
        "revoked_access",
        "swapped_database",
        "incident_log_entry",
    ]
    assert "po záloze" in titles(living)
    assert titles(living.database("kajovo_kopie"))
    with databases.connect(living.database("postgres")) as session:
        databases.drop(session, "kajovo_kopie")


def test_nothing_is_cleaned_up_before_its_time(hotel: Settings, living: Server, run: Run) -> None:
    recovered = run("incident_recovery_job", FORM)
    assert recovered.success
    assert run("cleanup_job").success
    kept = entry_of(hotel, recovered).replaced
    assert titles(living.database(kept))
