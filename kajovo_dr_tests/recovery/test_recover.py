"""Under test: whole recoveries, and that nobody is worse off after one that fails.

Not here: what a plan refuses (``test_preflight``), undoing and going on (their own files).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from kajovo_dr.backups import catalog
from kajovo_dr.backups.store import open_store
from kajovo_dr.backups.take import take
from kajovo_dr.errors import (
    DrError,
    DumpDamaged,
    MigrationFailed,
    NotReady,
    RecoveryUnfinished,
    SmokeFailed,
    TargetBusy,
)
from kajovo_dr.postgres import carry_over, databases
from kajovo_dr.recovery import conduct
from kajovo_dr.recovery.journal import records
from kajovo_dr.recovery.preflight import plan
from kajovo_dr.recovery.recover import PHASES, Recovery, alone
from kajovo_dr_tests.recovery.incidents import (
    BACKED_UP,
    CLERK,
    HASH,
    NEWCOMER,
    Incident,
    Service,
    flip,
    just_after,
    migrated,
)

# --- of the database alone


def test_a_living_database_is_replaced_and_kept(incident: Incident) -> None:
    before, oid = incident.content(), incident.oid()
    began = datetime.now(UTC)
    entry = incident.recover(detected_at=began - timedelta(minutes=3))
    ended = datetime.now(UTC)

    assert incident.content() == incident.vault.restored
    assert incident.beside() == [entry.replaced]
    assert entry.replaced == f"{incident.live.dbname}__before_{entry.id[:8]}"
    assert (incident.content(entry.replaced), incident.oid(entry.replaced)) == (before, oid)

    backup = incident.backup
    (logged,) = incident.log()
    assert logged.model_dump(exclude={"previous"}) == entry.model_dump(exclude={"previous"})
    assert entry.model_dump(include={"kind", "who", "note", "database", "backup", "succeeded"}) == {
        "kind": "recovery",
        "who": "Noční směna",
        "note": "po požáru",
        "database": incident.live.dbname,
        "backup": backup.name,
        "succeeded": True,
    }
    assert entry.server == incident.live.address
    assert (entry.sha256, entry.manifest_sha256) == (
        backup.manifest.sha256,
        backup.manifest_sha256,
    )
    assert entry.snapshot_at == backup.manifest.created_at
    assert entry.detected_at == began - timedelta(minutes=3)
    assert entry.lost_rows == {"library.books": 2, "library.readers": 1}
    assert entry.swapped_at is not None
    assert entry.incident_at is not None
    assert began <= entry.started_at <= entry.incident_at <= entry.swapped_at
    assert entry.swapped_at <= entry.finished_at <= ended
    assert entry.data_lost_s == (entry.incident_at - backup.manifest.created_at).total_seconds()
    assert (entry.rto_verdict, entry.failed_phase, entry.outage, entry.smoke) == (
        *("pass", None),
        *(None, None),
    )


def test_every_phase_of_it_is_logged_with_its_times(incident: Incident) -> None:
    told: list[str] = []
    begun = incident.begin()
    entry = conduct.run(incident.settings, begun, told=lambda phase: told.append(phase.name))
    assert told == ["safety", "restore", "revoke", "swap"]
    assert [phase.name for phase in entry.phases] == ["preflight", *told]
    for phase in entry.phases:
        assert phase.ok
        assert phase.began_at is not None
        assert phase.ended_at is not None
        assert phase.began_at <= phase.ended_at
    said = {phase.name: phase.detail for phase in entry.phases}
    # 1 revision, 2 shelves, 3 books, 1 reader, 2 visits
    assert said["restore"].startswith(f"9 rows in 5 tables from {entry.backup}, equal to its")
    assert said["revoke"].startswith("ended: visits 2; accounts that go back in time: 2")
    assert f"the former one is kept as {entry.replaced!r}" in said["swap"]
    assert said["preflight"].startswith("incident: taken as now, ")


def test_the_new_database_is_given_what_no_dump_holds(incident: Incident) -> None:
    name, admin = incident.live.dbname, incident.live.database("postgres")
    incident.execute("CREATE ROLE knihovnice", on=admin)
    incident.execute(
        f"ALTER DATABASE {name} OWNER TO knihovnice",
        f"COMMENT ON DATABASE {name} IS 'knihovna města'",
        f"ALTER DATABASE {name} SET search_path = library, public",
        f"ALTER ROLE knihovnice IN DATABASE {name} SET work_mem = '7MB'",
        f"ALTER DATABASE {name} CONNECTION LIMIT 40",
        f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC",
        on=admin,
    )
    with databases.connect(admin) as session:
        try:
            before, oid = carry_over.read(session, name), incident.oid()
            incident.recover()
            assert incident.oid() != oid
            assert carry_over.read(session, name) == before
        finally:
            for each in (name, *incident.beside()):
                incident.drop(each)
            session.execute("DROP ROLE knihovnice")


def test_a_lost_database_is_made_anew(incident: Incident) -> None:
    incident.drop()
    entry = incident.recover()
    assert incident.content() == incident.vault.restored
    assert incident.beside() == []
    assert (entry.replaced, entry.lost_rows, entry.succeeded) == ("", None, True)
    assert entry.safety.startswith("not taken: database ")
    assert entry.swapped_at is not None


@pytest.mark.parametrize("there", [True, False])
def test_a_recovery_into_another_name_leaves_the_application_alone(
    incident: Incident, service: Service, there: bool
) -> None:
    before, other = incident.content(), f"{incident.live.dbname}_vedle"
    if there:
        incident.create(other, BACKED_UP + "DELETE FROM library.books")
    entry = incident.recover(database=other, confirm=other, database_only=False)
    assert incident.content(other) == incident.vault.restored
    assert incident.content() == before
    assert (entry.database, entry.database_only) == (other, True)
    assert bool(entry.replaced) is there
    if there:
        assert ("reader", CLERK, f"{HASH}staré") in incident.content(entry.replaced)
    assert service.verbs == []
    assert service.running


def test_a_safety_backup_holds_what_was_live(incident: Incident) -> None:
    entry = incident.recover()
    safety = catalog.by_name(open_store(incident.settings), entry.safety)
    assert safety.manifest.reason == f"before recovery {entry.id[:8]}"
    assert safety.state == "taken"
    assert safety.manifest.counts["library", "books"] == 5


def test_a_safety_backup_that_cannot_be_taken_is_recorded_and_keeps_nobody(
    incident: Incident,
) -> None:
    incident.change(dump_timeout_s=60, lock_timeout_s=1)
    with psycopg.connect(incident.live.conninfo()) as other:
        other.execute("LOCK TABLE library.books IN ACCESS EXCLUSIVE MODE")
        entry = incident.recover()
        with pytest.raises(psycopg.OperationalError):  # the swap has ended it
            other.execute("SELECT 1")
    assert entry.safety.startswith("not taken: ")
    (phase,) = (each for each in entry.phases if each.name == "safety")
    assert (phase.ok, phase.skipped, phase.detail) == (True, True, entry.safety)
    assert entry.succeeded
    assert incident.content() == incident.vault.restored


def test_a_backup_may_be_taken_while_a_recovery_runs(incident: Incident) -> None:
    with alone(incident.settings, incident.live):
        assert take(incident.settings, incident.live, reason="denní").backup.state == "taken"


# --- which backup


def test_a_named_backup_is_used_though_there_are_newer_ones(incident: Incident) -> None:
    old = incident.copy_backup(datetime(2026, 11, 1, 4, tzinfo=UTC))
    entry = incident.recover(backup=old.name)
    assert (entry.backup, entry.snapshot_at) == (old.name, old.manifest.created_at)
    assert incident.content() == incident.vault.restored


def test_the_newest_before_the_incident_is_used_without_a_name(incident: Incident) -> None:
    old = incident.copy_backup(datetime(2026, 11, 1, 4, tzinfo=UTC))
    assert incident.recover(incident_at=datetime(2026, 11, 2, tzinfo=UTC)).backup == old.name
    assert incident.recover().backup == incident.vault.backup


def test_a_damaged_newest_one_is_passed_over_recorded_and_told(incident: Incident) -> None:
    newest = incident.copy_backup(just_after(incident), damaged=True)
    told: list[str] = []
    made = plan(incident.settings, incident.request(), tell=told.append)
    entry = conduct.run(incident.settings, Recovery.begin(incident.settings, made))
    assert entry.backup == incident.vault.backup
    assert incident.content() == incident.vault.restored
    (said,) = told
    assert f"{newest.name} is damaged" in said
    assert catalog.load(newest.path).state == "damaged"


# --- accounts


def test_accounts_that_go_back_are_listed_in_a_private_file_and_nowhere_else(
    incident: Incident,
) -> None:
    entry = incident.recover()
    assert entry.accounts_reverted == 2
    folder = incident.settings.state / "recoveries"
    listed = folder / f"{entry.id}.accounts"
    assert listed.read_text("utf-8").splitlines() == [f"deleted\t{NEWCOMER}", f"password\t{CLERK}"]
    assert listed.stat().st_mode & 0o777 == 0o600
    for path in incident.settings.state.rglob("*"):
        if path.is_file():
            text = path.read_text("utf-8", "replace")
            assert HASH not in text
            assert incident.live.params["password"] not in text
            if path != listed:
                assert CLERK not in text
                assert NEWCOMER not in text


def test_without_a_change_of_accounts_there_is_no_such_file(incident: Incident) -> None:
    incident.change(password_hashes_sql="")
    entry = incident.recover()
    assert entry.accounts_reverted == 0
    assert not list((incident.settings.state / "recoveries").glob("*.accounts"))


@pytest.mark.parametrize("why", ["lost", "query"])
def test_accounts_that_cannot_be_compared_are_told(incident: Incident, why: str) -> None:
    if why == "lost":
        incident.drop()
    else:
        incident.change(password_hashes_sql="SELECT email FROM library.readers")
    entry = incident.recover()
    (revoke,) = (phase for phase in entry.phases if phase.name == "revoke")
    assert revoke.detail.startswith("ended: visits 2; which accounts go back in time is not known")
    assert ("does not exist" if why == "lost" else "1 columns") in revoke.detail
    assert (entry.accounts_reverted, entry.succeeded) == (None, True)


# --- roles


@pytest.fixture
def roles(incident: Incident) -> Iterator[str]:
    """A named backup whose owner, and his group, the server no longer has."""
    admin = incident.live.database("postgres")
    incident.execute(
        "CREATE ROLE půjčovna NOLOGIN",
        "CREATE ROLE \"kníže; O'Hara\" LOGIN PASSWORD 'tajné' IN ROLE půjčovna",
        on=admin,
    )
    incident.execute('ALTER TABLE library.shelves OWNER TO "kníže; O\'Hara"')
    incident.execute("GRANT SELECT ON library.books TO půjčovna")
    backup = take(incident.settings, incident.live, reason="s rolemi").backup
    incident.drop()
    drop = 'DROP ROLE IF EXISTS "kníže; O\'Hara", půjčovna'
    incident.execute(drop, on=admin)
    yield backup.name
    for each in (incident.live.dbname, *incident.beside()):
        incident.drop(each)
    incident.execute(drop, on=admin)


def test_roles_that_the_server_lacks_are_created_without_passwords(
    incident: Incident, roles: str
) -> None:
    entry = incident.recover(backup=roles, create_roles=True)
    assert entry.succeeded
    owner = incident.execute(
        "SELECT tableowner FROM pg_tables WHERE tablename = 'shelves' AND schemaname = 'library'"
    )
    assert owner == [("kníže; O'Hara",)]
    found = incident.execute(
        "SELECT rolname, rolpassword, rolcanlogin, rolsuper FROM pg_authid"
        " WHERE rolname IN ('kníže; O''Hara', 'půjčovna') ORDER BY 1"
    )
    assert found == [("kníže; O'Hara", None, True, False), ("půjčovna", None, False, False)]


# --- failures before the swap


def failed(incident: Incident, kind: type[DrError], said: str, begun: Recovery) -> DrError:
    """A recovery that fails before its swap: the live database is as it was."""
    before, oid = incident.content(), incident.oid()
    with pytest.raises(kind, match=said) as failure:
        conduct.run(incident.settings, begun)
    assert (incident.content(), incident.oid()) == (before, oid)
    assert "is as it was." in failure.value.hint
    assert "kajovo-dr recover --resume" in failure.value.hint
    (entry,) = incident.log()
    assert (entry.succeeded, entry.replaced, entry.swapped_at) == (False, "", None)
    assert entry.rto_verdict == "fail"
    return failure.value


def test_a_backup_that_rots_after_it_was_read_leaves_everything_as_it_was(
    incident: Incident,
) -> None:
    begun = incident.begin()
    flip(incident.backup.path)
    failed(incident, DumpDamaged, "changed while it was being restored", begun)
    assert incident.log()[0].failed_phase == "restore"
    assert incident.beside() == []
    with pytest.raises(DumpDamaged):
        incident.resume()
    assert incident.backup.state == "damaged"


def test_a_server_that_refuses_leaves_everything_as_it_was(incident: Incident) -> None:
    admin = incident.live.database("postgres")
    begun = incident.begin()
    incident.create(begun.record.room)  # somebody else's: it is not taken for a room of ours
    incident.execute("CREATE TABLE cizí ()", on=incident.live.database(begun.record.room))
    failed(incident, DrError, "is in the way", begun)
    assert incident.beside() == [begun.record.room]
    owned = incident.execute(
        "SELECT count(*) FROM pg_tables WHERE tablename = 'cizí'",
        on=admin.database(begun.record.room),
    )
    assert owned == [(1,)]


def test_a_role_that_vanished_meanwhile_leaves_no_room(incident: Incident) -> None:
    admin = incident.live.database("postgres")
    incident.execute("CREATE ROLE dočasná", on=admin)
    try:
        incident.rewrite(roles=(*incident.backup.manifest.roles, "dočasná"))
        begun = incident.begin()
    finally:
        incident.execute("DROP ROLE dočasná", on=admin)
    failed(incident, DrError, "lacks roles that the backup names: dočasná", begun)
    assert incident.beside() == []


def test_a_failure_before_the_swap_starts_the_application_again(
    incident: Incident, service: Service
) -> None:
    incident.change(migrate_command=("false",))
    failure = failed(
        incident, MigrationFailed, "history failed", incident.begin(database_only=False)
    )
    assert "The application was started again on it." in failure.hint
    assert service.verbs == ["stop", "start"]
    assert service.running
    entry = incident.log()[0]
    assert entry.failed_phase == "migrate"
    assert [phase.name for phase in entry.phases if phase.ok] == [
        *("preflight", "safety", "stop", "restore"),
    ]


def test_an_application_that_cannot_be_stopped_goes_on_with_the_old_database(
    incident: Incident, service: Service
) -> None:
    begun = incident.begin(database_only=False)
    incident.change(app_stop_command=("false",), app_stop_url=None)
    begun = Recovery(incident.settings, begun.journal)
    failed(incident, DrError, "the application was not stopped", begun)
    assert service.running
    assert incident.log()[0].failed_phase == "stop"


def test_a_lost_database_is_no_reason_to_start_the_application(
    incident: Incident, service: Service
) -> None:
    incident.drop()
    incident.change(migrate_command=("false",))
    with pytest.raises(DrError) as failure:
        incident.recover(database_only=False)
    # against an empty server it would make tables of its own
    assert service.verbs == ["stop"]
    assert "is as it was" not in failure.value.hint


# --- with its application, and failures after the swap


def test_an_application_is_stopped_migrated_started_and_tested(
    incident: Incident, service: Service
) -> None:
    entry = incident.recover(database_only=False)
    assert [phase.name for phase in entry.phases] == [
        "preflight",
        *(each for each in PHASES["recovery"] if each != "probe"),
    ]
    assert service.verbs == ["stop", "start"]
    assert entry.succeeded
    assert entry.smoke is not None
    assert {each.name: each.count for each in entry.smoke.results if each.module} == {
        "books": 3,
        "shelves": 2,
    }
    assert incident.execute("SELECT * FROM library.changes") == [("second_isbn",)]
    assert entry.outage is not None
    assert entry.outage.until_at is not None
    (stop,) = (phase for phase in entry.phases if phase.name == "stop")
    assert stop.began_at is not None
    assert entry.outage.from_at >= stop.began_at
    assert entry.outage.seconds is not None
    assert entry.outage.seconds < entry.duration_s


def test_a_failure_after_the_swap_stays_and_offers_the_undo(
    incident: Incident, service: Service
) -> None:
    before = incident.content()
    service.breaks = "/v2/books"
    with pytest.raises(SmokeFailed, match="books") as failure:
        conduct.run(incident.settings, migrated(incident.begin(database_only=False)))
    (entry,) = incident.log()
    assert (entry.failed_phase, entry.succeeded) == ("smoke", False)
    for words in (repr(entry.replaced), "kajovo-dr recover --resume", "kajovo-dr undo"):
        assert words in failure.value.hint
    assert incident.content() == incident.vault.restored
    assert service.verbs == ["stop", "start"]

    undone = incident.undo()
    assert incident.content() == before
    assert undone.succeeded  # what was wrong with the former one is not the undo's fault
    (smoke,) = (phase for phase in undone.phases if phase.name == "smoke")
    assert "failed, as it is: books" in smoke.detail


def test_an_auto_undo_whose_application_stays_down_says_what_is_in_place(
    incident: Incident, service: Service
) -> None:
    before, oid = incident.content(), incident.oid()
    incident.change(auto_undo=True)
    service.breaks = "/zdravi"
    with pytest.raises(NotReady, match="/zdravi answered 500") as failure:
        conduct.run(incident.settings, migrated(incident.begin(database_only=False)))
    assert (incident.content(), incident.oid()) == (before, oid)
    said = f"It was undone: {incident.live.dbname!r} is the former database again, but not ready"
    assert said in failure.value.hint
    assert "kajovo-dr recover --resume" in failure.value.hint
    assert [(entry.kind, entry.failed_phase) for entry in incident.log()] == [
        ("recovery", "readiness"),
        ("undo", "readiness"),
    ]
    service.breaks = ""
    assert incident.resume().kind == "undo"
    assert (incident.content(), incident.oid()) == (before, oid)


def test_an_auto_undo_that_cannot_swap_says_what_is_in_place(
    incident: Incident, service: Service
) -> None:
    incident.change(auto_undo=True)
    service.breaks = "/v2/shelves"
    service.deaf_from = 2
    with pytest.raises(SmokeFailed) as failure:
        conduct.run(incident.settings, migrated(incident.begin(database_only=False)))
    assert incident.content() == incident.vault.restored
    assert f"{incident.live.dbname!r} is still the restored database" in failure.value.hint
    assert "KAJOVO_DR_APP_STOP_URL answered 500" in failure.value.hint


def test_auto_undo_of_a_failed_smoke_test_ends_well(incident: Incident, service: Service) -> None:
    before, oid = incident.content(), incident.oid()
    incident.change(auto_undo=True)
    service.breaks = "/v2/shelves"
    with pytest.raises(SmokeFailed) as failure:
        conduct.run(incident.settings, migrated(incident.begin(database_only=False)))
    assert (incident.content(), incident.oid()) == (before, oid)
    assert f"It was undone: {incident.live.dbname!r} is the former database again" in (
        failure.value.hint
    )
    assert service.verbs == ["stop", "start", "stop", "start"]
    recovered, undone = incident.log()
    assert (recovered.failed_phase, undone.failed_phase) == ("smoke", None)
    assert (undone.undoes, undone.note) == (recovered.id, "undone by KAJOVO_DR_AUTO_UNDO")
    assert incident.beside() == [undone.replaced]


# --- one at a time


def test_a_second_recovery_is_refused_while_one_runs(incident: Incident) -> None:
    made = incident.plan()
    begun = incident.begin()
    inside, go_on = threading.Event(), threading.Event()

    def told(phase: object) -> None:
        inside.set()
        assert go_on.wait(60)

    runner = threading.Thread(target=conduct.run, args=(incident.settings, begun))
    runner._kwargs = {"told": told}  # type: ignore[attr-defined]
    runner.start()
    try:
        assert inside.wait(60)
        with pytest.raises(TargetBusy, match=r"another recovery of .* is running"):
            incident.plan().require()
        with pytest.raises(TargetBusy, match=r"another recovery of .* is running"):
            Recovery.begin(incident.settings, made)
        with pytest.raises(TargetBusy):
            incident.resume()
    finally:
        go_on.set()
        runner.join()
    assert len(records(incident.settings.state)) == 1
    assert incident.content() == incident.vault.restored


def test_a_second_recovery_is_refused_after_an_interrupted_one(incident: Incident) -> None:
    made = incident.plan()
    begun = incident.begin()  # and its process dies
    said = f"recovery {begun.record.short} of"
    with pytest.raises(RecoveryUnfinished, match=said):
        incident.begin()
    with pytest.raises(RecoveryUnfinished, match=said):
        Recovery.begin(incident.settings, made)
    assert len(records(incident.settings.state)) == 1
    incident.resume()
    assert incident.recover().succeeded


def test_the_live_database_need_not_answer(incident: Incident) -> None:
    closed = f"ALTER DATABASE {incident.live.dbname} ALLOW_CONNECTIONS false"
    incident.execute(closed, on=incident.live.database("postgres"))
    entry = incident.recover()
    assert entry.safety.startswith("not taken: ")
    assert entry.accounts_reverted is None
    assert incident.content() == incident.vault.restored
    assert incident.oid(entry.replaced) is not None
