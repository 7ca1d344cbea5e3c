"""Under test: that a plan names everything that is in a recovery's way, at once, touching nothing.

Each finding is caused once, for real.
"""

from __future__ import annotations

import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kajovo_dr.backups.proof import PROOF_SUFFIX
from kajovo_dr.backups.store import sidecar
from kajovo_dr.backups.take import take
from kajovo_dr.errors import (
    CommandMissing,
    DrError,
    DumpDamaged,
    NoBackupBefore,
    NotConfigured,
    NotConfirmed,
    NotProven,
    PreflightFailed,
    RecoveryUnfinished,
    RolesMissing,
    ServerError,
    SettingError,
    SwapFailed,
    TargetBusy,
    TargetNotEmpty,
    Unreachable,
)
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.embedded import EmbeddedServer
from kajovo_dr.postgres.server import Server
from kajovo_dr.recovery import preflight
from kajovo_dr.recovery.journal import RecoveryJournal
from kajovo_dr.recovery.preflight import Finding, Plan
from kajovo_dr.recovery.recover import alone
from kajovo_dr.recovery.request import past_moment
from kajovo_dr_tests.conftest import new_folder
from kajovo_dr_tests.recovery.incidents import Incident, Service, flip, just_after, touched
from kajovo_dr_tests.recovery.records import record

PRAGUE = "Europe/Prague"


def looked(incident: Incident, *, recording: bool = False, **changes: Any) -> Plan:
    """The plan, as ``--plan`` makes it; it has touched nothing."""
    before = touched(incident)
    made = preflight.plan(incident.settings, incident.request(**changes), recording=recording)
    assert touched(incident) == before
    return made


def verdicts(made: Plan, *, of: str = "") -> dict[str, str]:
    return {each.name: each.verdict for each in made.findings if of in ("", each.verdict)}


def found(made: Plan, name: str) -> Finding:
    (finding,) = (each for each in made.findings if each.name == name)
    return finding


def refused(made: Plan, kind: type[DrError], said: str) -> DrError:
    """The one thing that is wrong with a plan."""
    with pytest.raises(kind, match=said) as wrong:
        made.require()
    assert wrong.value.hint
    assert type(wrong.value) is kind
    return wrong.value


def state_now(incident: Incident) -> str:
    return incident.backup.state


def test_a_good_plan_says_what_it_found_and_what_would_be_lost(incident: Incident) -> None:
    made = looked(incident)
    assert verdicts(made) == dict.fromkeys(
        (
            *("request", "backup", "server", "other recoveries", "live database", "rights"),
            *("sessions", "version", "roles", "extensions", "disk", "application"),
        ),
        "ok",
    ) | {"incident": "warn"}
    made.require()
    assert made.backup.name == incident.backup.name
    assert (made.live, made.database_only) == ("answers", True)
    assert made.lost_rows == {"library.books": 2, "library.readers": 1}
    assert found(made, "backup").said.startswith(f"{incident.backup.name}, proven, ")
    assert "Noční směna" in found(made, "request").said


def test_everything_that_is_wrong_is_said_at_once(incident: Incident) -> None:
    flip(incident.backup.path)
    incident.change(app_login_path="/session")
    made = looked(incident, confirm="knihovna", database_only=False)
    assert verdicts(made, of="fail") == dict.fromkeys(
        ("request", "backup", "application's URL", "Alembic", "login"), "fail"
    )
    assert verdicts(made, of="ok").keys() >= {"server", "live database", "rights", "sessions"}
    with pytest.raises(PreflightFailed) as all_of_it:
        made.require()
    for each in made.findings:
        if each.verdict == "fail":
            assert f"{each.name}: {each.said}" in str(all_of_it.value)
            assert each.hint
            assert each.hint.rstrip(".") in all_of_it.value.hint


# --- what was asked


@pytest.mark.parametrize("typed", ["", "KNIHOVNA", "knihovna "])
def test_another_name_is_no_confirmation(incident: Incident, typed: str) -> None:
    wrong = refused(looked(incident, confirm=typed), NotConfirmed, "nothing was changed")
    assert repr(typed) in str(wrong)


def test_a_confirmation_that_is_still_to_come_is_no_finding(incident: Incident) -> None:
    looked(incident, confirm=None).require()


def test_a_recovery_without_a_name_is_refused(incident: Incident) -> None:
    refused(looked(incident, who=" \t"), SettingError, "who is empty")


@pytest.mark.parametrize("name", ["", "x" * 64, "ž" * 32, "a\0b"])
def test_a_name_that_is_none_is_refused(incident: Incident, name: str) -> None:
    with pytest.raises(SettingError, match="cannot name a database"):
        looked(incident, database=name, confirm=name)


@pytest.mark.parametrize("name", ["postgres", "template1"])
def test_a_database_of_the_server_itself_is_not_recovered(incident: Incident, name: str) -> None:
    made = looked(incident, database=name, confirm=name)
    refused(made, TargetNotEmpty, f"'{name}' belongs to the server")


def test_an_incident_in_the_future_is_refused() -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    with pytest.raises(SettingError, match=r"--before .* lies in the future"):
        past_moment(tomorrow, "--before", PRAGUE)
    assert past_moment("  ", "--before", PRAGUE) is None


def test_a_moment_without_an_offset_is_of_the_settings_time_zone() -> None:
    summer = past_moment("2026-07-01 03:10", "--before", PRAGUE)
    assert summer == datetime(2026, 7, 1, 1, 10, tzinfo=UTC)
    assert past_moment("2026-07-01T03:10-05:00", "--before", PRAGUE) == datetime(
        2026, 7, 1, 8, 10, tzinfo=UTC
    )


@pytest.mark.parametrize("typed", ["2026-10-25 02:30", "2026-03-29 02:30"])
def test_an_hour_that_comes_twice_or_never_wants_an_offset(typed: str) -> None:
    with pytest.raises(SettingError, match="twice or not at all") as refused:
        past_moment(typed, "--before", PRAGUE)
    assert "+01:00" in refused.value.hint
    assert "+02:00" in refused.value.hint


def test_an_incident_that_was_detected_before_it_happened_is_refused(incident: Incident) -> None:
    at = datetime.now(UTC)
    made = looked(incident, incident_at=at, detected_at=at - timedelta(hours=1))
    refused(made, SettingError, "it was detected before it happened")


def test_a_backup_of_another_database_does_not_replace_this_one(
    incident: Incident, new_database: Callable[[str], Server]
) -> None:
    other = new_database("mzdy")
    incident.execute("CREATE TABLE mzdy (částka int)", on=other)
    backup = take(incident.settings, other, reason="test").backup
    made = looked(incident, backup=backup.name)
    refused(made, SettingError, "is a backup of 'mzdy', not of")


def test_a_fence_around_the_live_database_is_told(incident: Incident) -> None:
    admin, name = incident.live.database("postgres"), incident.live.dbname
    incident.execute(
        f"ALTER DATABASE {name} SET default_transaction_read_only = on",
        f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC",
        on=admin,
    )
    made = looked(incident)
    made.require()
    assert "default_transaction_read_only" in found(made, "fences").said
    assert "is not granted to everybody" in found(made, "privileges").said


def test_a_user_whose_sessions_are_read_only_is_refused(incident: Incident) -> None:
    url = incident.live.setting("default_transaction_read_only", "on").url()
    incident.change(restore_url=url)
    refused(looked(incident), ServerError, "are read-only")


@pytest.mark.parametrize("name", ["app_stop_command", "app_start_command", "migrate_command"])
def test_a_command_that_is_no_program_is_found_before_it_is_needed(
    incident: Incident, service: Service, name: str
) -> None:
    url = {name.replace("command", "url"): None} if name.startswith("app") else {}
    incident.change(**{name: ("/nonsuch", "x")}, **url)
    made = looked(incident, database_only=False)
    refused(made, CommandMissing, f"KAJOVO_DR_{name.upper()}: /nonsuch is no program here")
    assert service.verbs == []


def test_a_program_may_be_named_from_the_folder_that_it_is_run_in(
    incident: Incident, service: Service
) -> None:
    folder = incident.settings.migrate_dir
    assert folder is not None
    (folder / "bin").mkdir()
    program = Path("bin") / Path(sys.executable).name
    (folder / program).symlink_to(sys.executable)
    incident.change(migrate_command=(str(program), "-m", "alembic"))
    looked(incident, database_only=False).require()
    incident.change(migrate_dir=folder / "není")
    made = looked(incident, database_only=False)
    assert "není is no folder" in found(made, "Alembic").said


# --- the backup


def test_a_time_before_the_first_backup_is_refused(incident: Incident) -> None:
    early = incident.backup.manifest.created_at
    refused(looked(incident, incident_at=early), NoBackupBefore, "no valid backup .* before")


def test_a_backup_that_is_damaged_is_refused_by_name_and_a_plan_records_nothing(
    incident: Incident,
) -> None:
    flip(incident.backup.path)
    name = incident.vault.backup
    refused(looked(incident, backup=name), DumpDamaged, f"{name} is damaged: sha256")
    assert state_now(incident) == "proven"
    refused(incident.plan(backup=name), DumpDamaged, f"{name} is damaged: sha256")
    assert state_now(incident) == "damaged"
    # known now: it is not read again
    wrong = refused(looked(incident, backup=name), DumpDamaged, f"{name} is damaged")
    assert f"verify {name} --restore" in wrong.hint


def test_a_damaged_newest_backup_is_passed_over_and_told(incident: Incident) -> None:
    newest = incident.copy_backup(just_after(incident), damaged=True)
    told: list[str] = []
    before = touched(incident)
    made = preflight.plan(incident.settings, incident.request(), recording=False, tell=told.append)
    assert touched(incident) == before
    made.require()
    assert made.backup.name == incident.vault.backup
    (said,) = told
    assert said.startswith(f"{newest.name} is damaged")
    assert f"{incident.vault.backup} is restored instead" in said


def test_an_unproven_backup_is_used_by_name_only(incident: Incident) -> None:
    sidecar(incident.backup.path, PROOF_SUFFIX).unlink()
    wrong = refused(looked(incident), NotProven, "is not proven")
    assert f"verify {incident.vault.backup} --restore" in wrong.hint
    made = looked(incident, backup=incident.vault.backup)
    made.require()
    assert ", taken, " in found(made, "backup").said


def test_a_named_backup_may_be_older_than_the_incident_asks(incident: Incident) -> None:
    early = incident.backup.manifest.created_at - timedelta(hours=1)
    made = looked(incident, incident_at=early, backup=incident.vault.backup)
    made.require()
    assert made.backup.name == incident.vault.backup
    assert verdicts(made, of="warn") == {"moment": "warn"}
    assert "is later than the incident" in found(made, "moment").said


# --- the server


def test_roles_that_the_server_lacks_are_named(incident: Incident) -> None:
    roles = (*incident.backup.manifest.roles, "knihovník", "čtenářka")
    incident.rewrite(roles=roles)
    wrong = refused(looked(incident), RolesMissing, "lacks roles .*: knihovník, čtenářka")
    assert "--create-roles" in wrong.hint
    made = looked(incident, create_roles=True)
    made.require()
    assert found(made, "roles").said == "will be created: knihovník, čtenářka"


def test_extensions_that_the_server_lacks_are_named(incident: Incident) -> None:
    fingerprint = incident.backup.manifest.fingerprint
    assert fingerprint is not None
    extensions = {**fingerprint.extensions, "postgis_nikde": "3.4"}
    incident.rewrite(fingerprint=fingerprint.model_copy(update={"extensions": extensions}))
    refused(looked(incident), PreflightFailed, "lacks extensions .*: postgis_nikde")


def test_a_disk_without_room_for_a_second_copy_is_told(
    incident: Incident, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "_free_bytes", lambda admin, target: 1000)
    wrong = refused(looked(incident), PreflightFailed, "free on the server's disk, a second copy")
    assert "kajovo-dr cleanup" in wrong.hint


def test_a_source_full_of_dead_rows_may_need_less_than_it_takes(incident: Incident) -> None:
    incident.rewrite(database_bytes=1 << 60)
    made = looked(incident)
    made.require()
    assert "a second copy may need" in found(made, "disk").said


def test_a_disk_that_cannot_be_seen_is_a_warning(incident: Incident) -> None:
    host = socket.gethostname()
    url = Server({**incident.live.params, "hostaddr": "127.0.0.1", "host": host}).url()
    incident.change(restore_url=url)
    made = looked(incident)
    made.require()
    assert verdicts(made, of="warn") == {"disk": "warn", "incident": "warn"}
    assert "cannot be seen from here" in found(made, "disk").said


@pytest.fixture
def prepared(scratch: Server) -> Iterator[Server]:
    """A server with a prepared transaction in its database ``zamčená``."""
    folder = new_folder()
    cluster = EmbeddedServer(folder / "pg", "kajovo", {"max_prepared_transactions": "2"})
    server = cluster.open()
    with databases.connect(server) as admin:
        databases.create(admin, "zamčená", {})
    with databases.connect(server.database("zamčená")) as session:
        session.execute("BEGIN")
        session.execute("CREATE TABLE půl ()")
        session.execute("PREPARE TRANSACTION 'noční uzávěrka'")
    yield server
    cluster.close()
    shutil.rmtree(folder, ignore_errors=True)


def test_a_prepared_transaction_is_in_the_way(incident: Incident, prepared: Server) -> None:
    incident.change(restore_url=prepared.url())
    made = looked(incident, database="zamčená", confirm="zamčená")
    wrong = refused(made, SwapFailed, "prepared transaction 'noční uzávěrka' in zamčená")
    assert "ROLLBACK PREPARED" in wrong.hint


@contextmanager
def role(incident: Incident, attributes: str) -> Iterator[None]:
    """Restores are done by a role of these attributes."""
    admin = incident.live.database("postgres")
    incident.rewrite(roles=())  # whose members it would have to be
    incident.execute(f"CREATE ROLE pokorný LOGIN PASSWORD 'x' {attributes}", on=admin)
    login = {**incident.live.params, "user": "pokorný", "password": "x"}
    incident.change(restore_url=Server(login).url())
    try:
        yield
    finally:
        name = incident.live.dbname
        incident.execute(f"ALTER DATABASE {name} OWNER TO kajovo", "DROP ROLE pokorný", on=admin)


@pytest.mark.parametrize(
    ("attributes", "owner", "lacks"),
    [
        ("", "pokorný", "may not create databases"),
        ("CREATEDB", "kajovo", "may not rename"),
    ],
)
def test_a_role_without_the_rights_is_told_so_and_the_look_goes_on(
    incident: Incident, attributes: str, owner: str, lacks: str
) -> None:
    with role(incident, attributes):
        incident.execute(
            f"ALTER DATABASE {incident.live.dbname} OWNER TO {owner}",
            on=incident.live.database("postgres"),
        )
        made = looked(incident)
        wrong = refused(made, ServerError, f"user 'pokorný' {lacks}")
        assert "KAJOVO_DR_RESTORE_URL" in wrong.hint
        assert verdicts(made).keys() >= {"live database", "sessions", "roles", "disk"}


def test_an_owner_who_may_create_databases_is_enough(incident: Incident) -> None:
    with role(incident, "CREATEDB"):
        incident.execute(
            f"ALTER DATABASE {incident.live.dbname} OWNER TO pokorný",
            on=incident.live.database("postgres"),
        )
        looked(incident).require()


def test_a_server_that_does_not_answer_is_told(incident: Incident) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
        incident.change(restore_url=Server({**incident.live.params, "port": port}).url())
        made = looked(incident)
        refused(made, Unreachable, f"127.0.0.1:{port}")
    assert (made.live, made.lost_rows) == ("silent", None)
    assert found(made, "backup").verdict == "ok"
    assert "rights" not in verdicts(made)


# --- other recoveries


def test_while_another_recovery_holds_the_lock_none_begins(incident: Incident) -> None:
    made = incident.plan()
    with alone(incident.settings, incident.live):
        refused(looked(incident), TargetBusy, "another recovery of .* is running")
        assert verdicts(looked(incident)).keys() >= {"live database", "roles", "disk"}
    made.require()


@pytest.mark.parametrize("place", ["here", "elsewhere", "silent"])
def test_a_recovery_that_has_not_ended_keeps_others_from_beginning(
    incident: Incident, place: str
) -> None:
    with databases.connect(incident.live.database("postgres")) as admin:
        here = databases.identity(admin, incident.live)
    begun = record(
        database=incident.live.dbname,
        identity="0123456789abcdef" if place == "elsewhere" else here,
        who="Kája",
    )
    RecoveryJournal.begin(incident.settings.state, begun, incident.settings)
    if place == "elsewhere":
        looked(incident).require()
        return
    if place == "silent":
        incident.change(restore_url="postgresql://kajovo@127.0.0.1:1/x")
    made = looked(incident)
    wrong = found(made, "other recoveries").error
    assert isinstance(wrong, RecoveryUnfinished)
    assert str(wrong).endswith("by Kája began at 2026-11-23 06:40:00 CET and has not ended")
    assert "--resume" in wrong.hint
    assert "--abandon" in wrong.hint


def test_a_recovery_of_another_database_is_in_nobodys_way(incident: Incident) -> None:
    begun = record(database=f"{incident.live.dbname}_jiná")
    RecoveryJournal.begin(incident.settings.state, begun, incident.settings)
    looked(incident).require()


def test_a_database_that_an_unknown_recovery_left_is_a_warning(incident: Incident) -> None:
    name = f"{incident.live.dbname}__restore_1a2b3c4d"
    incident.create(name)
    made = looked(incident)
    made.require()
    assert repr(name) in found(made, "leftover").said


# --- the live database and the application


def test_a_lost_database_is_a_warning_only(incident: Incident) -> None:
    incident.drop()
    made = looked(incident)
    made.require()
    assert (made.live, made.lost_rows) == ("missing", None)
    assert "nothing to undo to" in found(made, "live database").said


def test_a_database_that_lets_nobody_in_is_a_warning_only(incident: Incident) -> None:
    admin = incident.live.database("postgres")
    closed = f"ALTER DATABASE {incident.live.dbname} ALLOW_CONNECTIONS false"
    incident.execute(closed, on=admin)
    made = looked(incident)
    made.require()
    assert (made.live, made.lost_rows) == ("silent", None)
    assert "no safety backup" in found(made, "live database").said


def test_another_name_than_the_applications_leaves_the_application_alone(
    incident: Incident,
) -> None:
    other = f"{incident.live.dbname}_vedle"
    made = looked(incident, database=other, confirm=other, database_only=False)
    made.require()
    assert (made.live, made.database_only) == ("missing", True)
    assert "another name than the application's" in found(made, "application").said


@pytest.mark.parametrize(
    ("name", "finding"),
    [
        ("app_base_url", "application's URL"),
        ("migrate_dir", "Alembic"),
        ("app_email", "login"),
        ("app_password", "login"),
    ],
)
def test_an_application_that_is_not_configured_is_told_before_it_is_stopped(
    incident: Incident, service: Service, name: str, finding: str
) -> None:
    unset: dict[str, Any] = {"app_base_url": ""}
    incident.change(**{name: unset.get(name)})
    made = looked(incident, database_only=False)
    refused(made, NotConfigured, f"KAJOVO_DR_{name.upper()}")
    assert verdicts(made, of="fail") == {finding: "fail"}
    assert service.verbs == []


def test_an_application_without_a_stop_is_a_warning(incident: Incident, service: Service) -> None:
    looked(incident, database_only=False).require()
    for name in ("app_stop_url", "app_start_url"):
        without = incident.settings.with_overrides(**{name: None})
        made = preflight.plan(without, incident.request(database_only=False))
        made.require()
        expected = f"KAJOVO_DR_{name.upper().replace('URL', 'COMMAND')} is not set"
        assert expected in found(made, "application").said
    assert service.verbs == []


def test_a_legacy_database_that_does_not_answer_is_told(
    incident: Incident, service: Service
) -> None:
    url = incident.live.database(f"{incident.live.dbname}_stará").url()
    incident.change(legacy_url=url, legacy_command=(sys.executable, "x.py"))
    made = looked(incident, database_only=False)
    assert verdicts(made, of="fail") == {"legacy database": "fail"}
