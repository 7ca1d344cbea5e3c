"""Under test: what the doctor says of recoveries that have not ended, of what the next one needs,
and of drills; and that looking changes nothing. The doctor's other findings: ``test_doctor``.
"""

from __future__ import annotations

import shutil
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kajovo_dr import doctor
from kajovo_dr.errors import TargetNotEmpty
from kajovo_dr.finding import Finding
from kajovo_dr.postgres import clusters, databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.recovery import conduct, drill_history, preflight
from kajovo_dr.recovery.incident_log import IncidentLog
from kajovo_dr.recovery.journal import RecoveryJournal
from kajovo_dr.recovery.record import Phase, RecoveryRecord
from kajovo_dr.recovery.recover import Recovery
from kajovo_dr.settings import Settings
from kajovo_dr_tests.conftest import new_folder
from kajovo_dr_tests.recovery import conftest as fixtures
from kajovo_dr_tests.recovery.drills import drill
from kajovo_dr_tests.recovery.incidents import Incident, Service, touched

# fixtures of recoveries, which are of their folder
vault, incident, service = fixtures.vault, fixtures.incident, fixtures.service
NOW_RUNS = "runs now, in phase "


def findings(settings: Settings, name: str) -> list[Finding]:
    return [each for each in doctor._findings(settings) if each.name == name]


def found(settings: Settings, name: str) -> Finding:
    (only,) = findings(settings, name)
    return only


def looked(settings: Settings, name: str) -> tuple[str, str]:
    only = found(settings, name)
    return only.verdict, only.said


# --- recoveries that have not ended


def begun(incident: Incident, *phases: str, within: str = "") -> Recovery:
    """A recovery whose process is gone after these phases, or within another one."""
    made = incident.begin()
    for name in phases:
        made.do(name)
    if within:
        made.journal.add(Phase(name=within, began_at=datetime.now(UTC)))
    return made


def test_a_recovery_that_runs_is_told_from_one_that_was_stopped(incident: Incident) -> None:
    record = begun(incident, "safety", within="restore").record
    who = f"recovery {record.short} of {incident.live.dbname} by Noční směna"
    stopped = found(incident.settings, "recovery")
    assert (stopped.verdict, "stopped in phase restore" in stopped.said) == ("warn", True)
    assert "--resume" in stopped.hint
    maintenance = incident.settings.maintenance_database
    with databases.mutex(incident.live, maintenance, purpose=preflight.LOCK):
        running = found(incident.settings, "recovery")
    assert (running.verdict, running.said) == ("ok", f"{who} {NOW_RUNS}restore")
    assert running.hint == ""
    # the doctor's own look at the lock keeps nobody out
    incident.resume()


def test_one_that_failed_is_not_taken_for_another_one_that_runs(incident: Incident) -> None:
    failing = begun(incident)
    incident.create(failing.record.room, "CREATE TABLE cizí ()")
    with pytest.raises(TargetNotEmpty, match="is in the way"):
        conduct.run(incident.settings, failing)
    begun(incident, within="safety")
    maintenance = incident.settings.maintenance_database
    with databases.mutex(incident.live, maintenance, purpose=preflight.LOCK):
        failed, running = findings(incident.settings, "recovery")
    assert (failed.verdict, "failed in phase restore" in failed.said) == ("warn", True)
    assert (running.verdict, f"{NOW_RUNS}safety" in running.said) == ("ok", True)


def test_looking_changes_nothing(incident: Incident) -> None:
    begun(incident, "safety", within="restore")
    before = touched(incident)
    assert {each.verdict for each in doctor._findings(incident.settings)} >= {"ok", "warn"}
    assert touched(incident) == before


def test_a_replaced_database_that_may_stay_is_one_line(incident: Incident) -> None:
    incident.recover()
    stays = found(incident.settings, "replaced database")
    assert (stays.verdict, stays.hint) == ("ok", "")
    assert "; it stays: kept " in stays.said
    incident.change(keep_replaced_days=0)
    incident.copy_backup(datetime.now(UTC) + timedelta(seconds=1))
    goes = found(incident.settings, "replaced database")
    assert (goes.verdict, goes.hint) == ("warn", "drop it: kajovo-dr cleanup.")


# --- the sandbox


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings of a sandbox of which nothing was ever started."""
    folder = new_folder()
    monkeypatch.setenv("KAJOVO_DR_STATE", str(folder / "state"))
    yield Settings.load()
    shutil.rmtree(folder, ignore_errors=True)


def test_the_hotel_is_asked_when_it_runs_and_never_started(sandbox: Settings) -> None:
    record = RecoveryRecord(
        id=str(uuid.uuid4()),
        started_at=datetime.now(UTC),
        who="Kája",
        database=clusters.HOTEL_DATABASE,
        server="hotel",
    )
    who = f"recovery {record.short} of kajovo_hotel by Kája"
    with clusters.hotel_cluster(sandbox) as server:
        lost = found(sandbox, "database")
        assert (lost.verdict, "does not exist" in lost.said) == ("fail", True)
        assert lost.hint.endswith("if it is lost: kajovo-dr recover --plan.")
        clusters.ensure_database(server, clusters.HOTEL_DATABASE)
        verdict, said = looked(sandbox, "database")
        assert (verdict, said.partition(" ")[0]) == ("ok", f"kajovo@{server.address}/kajovo_hotel")
        assert looked(sandbox, "recovery point") == ("fail", "there is no backup")
        assert looked(sandbox, "server of restores")[0] == "ok"
        RecoveryJournal.begin(sandbox.state, record)
        verdict, said = looked(sandbox, "recovery")
        assert (verdict, said.partition(" stopped ")[0]) == ("warn", who)
        assert said.endswith("; 'kajovo_hotel' is as it was before")
        file = sandbox.state / "embedded" / "hotel" / "data" / "postmaster.pid"
        crashed = file.read_bytes()
    asleep = found(sandbox, "recovery")
    assert asleep.said.startswith(f"{who} has not ended; the sandbox hotel does not run")
    assert asleep.hint.startswith(f"kajovo-dr recover --resume --id {record.short} starts it")
    for name in ("database", "recovery point"):
        slept = found(sandbox, name)
        assert (slept.verdict, "the sandbox hotel does not run" in slept.said) == ("warn", True)
        assert slept.hint.startswith("start it: kajovo-dr up")
    slept_database = found(sandbox, "database")
    assert findings(sandbox, "server of restores") == []
    assert not file.exists()
    file.write_bytes(crashed)  # as a power cut leaves it
    assert found(sandbox, "database") == slept_database


def test_half_a_real_system_is_no_sandbox(
    sandbox: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAJOVO_DR_APP_BASE_URL", "http://127.0.0.1:1")
    half = found(Settings.load(), "database")
    assert (half.verdict, "APP_BASE_URL may belong to a real" in half.said) == ("fail", True)
    assert findings(Settings.load(), "application's control") != []
    assert findings(sandbox, "application's control") == []
    assert findings(sandbox, "drill's application") == []


# --- the application


def test_what_an_unended_recovery_keeps_stopped_is_not_to_be_started_by_hand(
    incident: Incident, service: Service
) -> None:
    made = incident.begin(database_only=False)
    for name in ("safety", "stop"):
        made.do(name)
    held = found(incident.settings, "readiness")
    assert (held.verdict, held.said) == (
        "warn",
        f"stopped by recovery {made.record.short}, see above",
    )
    assert "start the application" not in held.hint
    # what it has started again is the application's own matter
    for name in ("swap", "start"):
        made.journal.add(Phase(name=name, ok=True))
    alone = found(incident.settings, "readiness")
    assert (alone.verdict, "zavřeno" in alone.said or "503" in alone.said) == ("fail", True)
    assert alone.hint == "start the application, look at its log, then go on with what asked it."
    service.running = True
    assert looked(incident.settings, "readiness")[0] == "ok"


def test_a_recovery_that_left_the_application_alone_does_not_excuse_it(
    incident: Incident, service: Service
) -> None:
    begun(incident, "safety", within="restore").journal.add(
        Phase(name="stop", ok=True, skipped=True)
    )
    service.running = False
    assert looked(incident.settings, "readiness")[0] == "fail"


def test_the_commands_that_stop_and_start_are_looked_for_and_not_run(
    incident: Incident, tmp_path: Path
) -> None:
    name = "application's control"
    unset = found(incident.settings, name)
    assert (unset.verdict, unset.said.partition(": ")[0]) == (
        "warn",
        "KAJOVO_DR_APP_STOP_COMMAND and KAJOVO_DR_APP_START_COMMAND not set",
    )
    run = [sys.executable, "-c", f"open({str(tmp_path / 'run')!r}, 'w')", "T0KENSECRET"]
    incident.change(app_stop_command=run)
    assert "KAJOVO_DR_APP_START_COMMAND not set" in found(incident.settings, name).said
    assert "STOP" not in found(incident.settings, name).said
    incident.change(app_start_url="http://u:tajné@127.0.0.1:1/start")
    verdict, said = looked(incident.settings, name)
    assert (verdict, "T0KENSECRET" in said, "tajné" in said) == ("ok", False, False)
    assert "KAJOVO_DR_APP_STOP_COMMAND (python" in said
    assert "KAJOVO_DR_APP_START_URL" in said
    assert not (tmp_path / "run").exists()
    for words in (["/nonsuch", "T0KENSECRET"], ["není-tu"], [str(tmp_path)], [""]):
        for setting in ("app_stop_command", "app_start_command"):
            incident.change(**{setting: words})
            gone = found(incident.settings, name)
            assert (gone.verdict, gone.said) == (
                "fail",
                f"KAJOVO_DR_{setting.upper()}: {words[0]} is not found, or no program",
            )
            incident.change(**{setting: run})


def test_the_command_of_the_migration_is_looked_for_in_its_folder(
    incident: Incident, tmp_path: Path
) -> None:
    assert findings(incident.settings, "Alembic") == []
    incident.change(migrate_dir=tmp_path)
    assert looked(incident.settings, "Alembic")[0] == "ok"
    incident.change(migrate_command=["./nástroj", "upgrade"])
    missing = found(incident.settings, "Alembic")
    assert (missing.verdict, "MIGRATE_COMMAND: ./nástroj" in missing.said) == ("fail", True)
    (tmp_path / "nástroj").touch(mode=0o755)
    assert looked(incident.settings, "Alembic") == ("ok", f"./nástroj in {tmp_path}")
    incident.change(migrate_dir=tmp_path / "není")
    verdict, said = looked(incident.settings, "Alembic")
    assert (verdict, said.endswith("není is not a folder")) == ("fail", True)


def test_the_legacy_database_is_asked_when_there_is_one(
    incident: Incident, server: Server, tmp_path: Path
) -> None:
    name = "legacy database"
    assert findings(incident.settings, name) == []
    incident.change(legacy_url=server.url(), legacy_dir=tmp_path)
    verdict, said = looked(incident.settings, name)
    assert (verdict, said.startswith(f"{server.shown} answers; migrated by ")) == ("ok", True)
    wrong: list[tuple[dict[str, object], str]] = [
        ({"legacy_url": Server({**server.params, "port": "1"}).url()}, "no answer from "),
        ({"legacy_url": server.database("není").url()}, "database 'není' does not exist"),
        ({"legacy_url": incident.live.url()}, "names the restored database itself"),
        ({"legacy_dir": tmp_path / "není"}, "KAJOVO_DR_LEGACY_DIR: "),
        ({"legacy_command": ["není-tu"]}, "KAJOVO_DR_LEGACY_COMMAND: není-tu is not found"),
    ]
    for overrides, told in wrong:
        incident.change(**{"legacy_url": server.url(), "legacy_dir": tmp_path} | overrides)
        bad = found(incident.settings, name)
        assert (bad.verdict, told in bad.said, bool(bad.hint)) == ("fail", True, True), bad
        incident.change(legacy_dir=tmp_path, legacy_command=[sys.executable])


# --- drills and the log


def test_the_last_drill_is_judged_by_its_end_and_its_age(incident: Incident) -> None:
    state = incident.settings.state
    none = found(incident.settings, "drill")
    assert (none.verdict, none.said) == ("warn", "none was run yet")
    assert "kajovo-dr drill" in none.hint
    now = datetime.now(UTC)
    told = []
    for days, failed in ((41, ""), (3, "migrate"), (39, "")):
        drill_history.path_of(state).unlink(missing_ok=True)
        drill_history.append(state, drill(8, started_at=now - timedelta(days=99), failed="smoke"))
        begun_at = now - timedelta(days=days)
        drill_history.append(state, drill(9, started_at=begun_at, failed=failed))
        told.append(found(incident.settings, "drill"))
    old, bad, good = told
    assert (old.verdict, old.said.endswith("is more than 40 days old")) == ("warn", True)
    assert (bad.verdict, bad.said) == (
        "warn",
        "the last one, 00000009, 3 d 00 h ago, failed: migrate",
    )
    assert (good.verdict, good.said.endswith("passed"), good.hint) == ("ok", True, "")
    assert all("kajovo-dr drill" in each.hint for each in (old, bad))
    drill_history.path_of(state).unlink()
    drill_history.path_of(state).mkdir()
    assert looked(incident.settings, "drill")[0] == "fail"


def test_a_drill_needs_a_command_that_starts_an_application(incident: Incident) -> None:
    name = "drill's application"
    unset = found(incident.settings, name)
    assert (unset.verdict, "KAJOVO_DR_DRILL_APP_COMMAND is not" in unset.said) == ("warn", True)
    incident.change(drill_app_command=["není-tu", "{port}"])
    assert looked(incident.settings, name)[0] == "fail"
    incident.change(drill_app_command=[sys.executable, "T0KENSECRET"])
    verdict, said = looked(incident.settings, name)
    assert (verdict, "T0KENSECRET" in said) == ("ok", False)
    incident.change(drill_application=False)
    assert findings(incident.settings, name) == []


def test_an_incident_log_that_was_changed_is_a_failure(incident: Incident) -> None:
    empty = looked(incident.settings, "incident log")
    assert empty == ("ok", "entries: 0, as they were written")
    for _ in range(2):
        incident.recover()
    log = IncidentLog.of(incident.settings)
    assert looked(incident.settings, "incident log") == ("ok", "entries: 2, as they were written")
    written = log.lines.read_bytes()
    log.lines.write_bytes(written + b'{"format":2,"prev')
    torn = found(incident.settings, "incident log")
    assert torn.said.endswith("; lines that cannot be read: 3")
    log.lines.write_bytes(written.replace("Noční".encode(), "Denní".encode(), 1))
    broken = found(incident.settings, "incident log")
    assert (broken.verdict, "is not as it was written: line 2" in broken.said) == ("fail", True)
    assert broken.hint.startswith("kajovo-dr incidents --verify")
