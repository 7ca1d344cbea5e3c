"""Under test: the drill on real databases and real applications: what it proves, how each phase
fails, and that nothing of it is left, listed before and after.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from kajovo_dr import ports, process
from kajovo_dr.backups import catalog
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.store import open_store
from kajovo_dr.backups.zoo.mutants import BOTH, Mutant
from kajovo_dr.backups.zoo.registry import MUTANTS
from kajovo_dr.errors import DrError, DrillFailed, LogUnwritable, TargetBusy
from kajovo_dr.hotel import Endpoint, SqlCheck, Statement
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.recovery import drill, drill_history, drill_room
from kajovo_dr.recovery.drill import DrillReport
from kajovo_dr.recovery.drill_record import PHASES, RTO_PHASES, DrillRecord
from kajovo_dr.sandbox import legacy_database, schema, stack
from kajovo_dr.sandbox.drill_instance import with_second_instance
from kajovo_dr.sandbox.seed import seed
from kajovo_dr.settings import Settings
from kajovo_dr_tests.alerts.receivers import HttpReceiver
from kajovo_dr_tests.recovery.legacy_tool import BOOKS, NEW, OLD, Tool
from kajovo_dr_tests.sandbox.conftest import execute
from kajovo_dr_tests.shell import ROOT

#: One animal is enough to see that the zoo runs; all of them have tests of their own.
ONE = [mutant for mutant in MUTANTS if mutant.name == "row-deleted"]
CLEANING = ("clean_up", "leftovers")
PYTHON = sys.executable
#: Serves files: listens, and is never ready.
SERVES_FILES = (PYTHON, "-m", "http.server", "{port}", "--bind", "127.0.0.1")
WAITS = "import time; time.sleep(600)"
#: Starts a server in a session of its own, as a daemon would; its id goes into a file.
DAEMON = """
import pathlib, subprocess, sys, time
child = subprocess.Popen(sys.argv[2:], start_new_session=True)
pathlib.Path(sys.argv[1]).write_text(str(child.pid))
time.sleep(600)
"""


def names(server: Server) -> set[str]:
    """Databases and roles of a server."""
    with databases.connect(server.database("postgres")) as session:
        query = "SELECT datname FROM pg_database UNION SELECT 'role ' || rolname FROM pg_roles"
        return {name for (name,) in session.execute(query)}


def files(settings: Settings) -> set[str]:
    """What lies in the state folder, but for what a drill writes on purpose."""
    kept = {"drills", "drills.jsonl", ".drills.jsonl.lock", "drill.lock", "backups"}
    return {path.name for path in settings.state.iterdir()} - kept


def processes(word: str) -> list[str]:
    """Command lines of this machine that hold a word; Linux only."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return [line for line in found if word in line]


def run(settings: Settings, source: Server, **options: Any) -> DrillReport:
    return drill.run(settings, who="Řehoř", source=source, **{"mutants": ONE, **options})


def verdicts(record: DrillRecord) -> dict[str, str]:
    return {phase.name: phase.verdict for phase in record.phases}


def detail(record: DrillRecord, name: str) -> str:
    (found,) = [phase.detail for phase in record.phases if phase.name == name]
    return found


@pytest.fixture
def store(settings: Settings) -> Settings:
    """Settings for drills of `small` that end with the database, with a store."""
    (settings.state / "backups").mkdir(exist_ok=True)
    return settings.with_overrides(drill_application=False)


@pytest.fixture
def hotel(new_database: Callable[[str], Server], tmp_path: Path) -> Server:
    """A small hotel, one revision behind the code."""
    database = new_database(f"drill hotel {os.getpid()}")
    schema.upgrade(database.sqlalchemy_url(), schema.OLD_REVISION)
    seed(database, rows=300, media_root=tmp_path / "media")
    return database


@pytest.fixture
def of_the_hotel(settings: Settings, hotel: Server, tmp_path: Path) -> Settings:
    (settings.state / "backups").mkdir(exist_ok=True)
    named = settings.with_overrides(database_url=SecretStr(hotel.url()))
    return with_second_instance(named, media_root=tmp_path / "media")


@pytest.fixture
def as_it_is(of_the_hotel: Settings) -> Settings:
    """The same without migrations, whose processes take most of a drill's time."""
    return of_the_hotel.with_overrides(migrate_dir=None)


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    """Whom a test message reaches."""
    with HttpReceiver() as listening:
        yield listening


@pytest.fixture
def nothing_left(settings: Settings, small: Server, scratch: Server) -> Iterator[None]:
    """Databases, roles and folders are after the test what they were before it."""
    (settings.state / "backups").mkdir(exist_ok=True)
    before = names(small), names(scratch), files(settings)
    yield
    assert (names(small), names(scratch), files(settings)) == before


# --- the whole drill


def test_a_drill_of_the_hotel_goes_through_all_phases_and_leaves_nothing(
    of_the_hotel: Settings, hotel: Server, scratch: Server, receiver: HttpReceiver
) -> None:
    legacy_database.create(hotel)
    channel = of_the_hotel.with_overrides(alert_urls=SecretStr(receiver.url))
    settings = stack.with_legacy(channel)
    before = names(hotel), names(scratch), files(of_the_hotel)
    seen: list[str] = []
    report = run(settings, hotel, progress=lambda phase, done, total: seen.append(phase))
    record = report.record
    report.require_ok()

    assert verdicts(record) == dict.fromkeys(PHASES, "passed")
    assert [name for name in seen if name.startswith("drill: ")] == [f"drill: {n}" for n in PHASES]
    assert (names(hotel), names(scratch), files(of_the_hotel)) == before
    facts = {phase.name: phase.facts for phase in record.phases}
    assert facts["migrate"] == {"revision": schema.HEAD_REVISION, "steps": 1}
    assert facts["legacy"] == {"imported": 140, "scanned": 140, "domains": 4}
    assert facts["revoke"]["statements"] == 5
    assert int(facts["revoke"]["rows"]) > 0
    assert facts["smoke"] == {"passed": 13, "endpoints": 13}
    assert facts["zoo"] == {"caught": 1, "not_applicable": 0}
    assert facts["alert"] == {"channels": 1, "arrived": 1}
    port = int(facts["start"]["port"])
    assert not ports.listens(port)
    assert not processes(f"--port {port}")

    # the drill's own backup stays, and is the one that was restored
    (stored,) = catalog.backups(open_store(of_the_hotel))
    assert (stored.name, stored.state, stored.manifest.reason) == (record.backup, "proven", "drill")
    assert facts["restore"]["rows"] == record.rows == stored.manifest.rows
    assert record.dump_bytes == stored.path.stat().st_size

    assert record.rto_s == pytest.approx(sum(record.seconds[name] for name in RTO_PHASES))
    assert {"backup", "legacy", "revoke"} < set(RTO_PHASES)
    assert record.legacy
    assert (record.rto_verdict, record.rpo_verdict, record.rpo_after_verdict) == (
        *("pass", "none", "pass"),
    )
    assert record.data_age_s is None
    assert record.versions["server"] == record.versions["scratch_server"]


def test_the_report_and_the_history_are_written_for_this_user_alone(
    store: Settings, small: Server
) -> None:
    first, second = run(store, small), run(store, small)
    assert drill_history.read(store.state).drills == (first.record, second.record)
    assert second.history.drills == (first.record, second.record)
    assert second.path == store.state / "drills" / f"{second.record.id}.html"
    if os.name == "posix":
        for path in (second.path, drill_history.path_of(store.state)):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for path in (second.path, drill_history.path_of(store.state)):
        assert small.params["password"] not in path.read_text(encoding="utf-8")
    # what the first proved is how old the data was when the second began
    assert second.record.data_age_s is not None
    assert second.record.rpo_verdict == "pass"


def test_a_drill_without_an_application_ends_with_the_database(
    store: Settings, small: Server, nothing_left: None
) -> None:
    record = run(store, small).record
    skipped = ("migrate", "legacy", "start", "readiness", "smoke", "alert")
    assert verdicts(record) == {name: "skipped" if name in skipped else "passed" for name in PHASES}
    assert detail(record, "migrate") == "KAJOVO_DR_MIGRATE_DIR is not set"
    assert detail(record, "start") == "KAJOVO_DR_DRILL_APPLICATION is false"
    assert detail(record, "legacy") == "KAJOVO_DR_LEGACY_URL is not set"
    no_channel = "no alert channel is configured: KAJOVO_DR_ALERT_URLS is not set"
    assert detail(record, "alert") == no_channel
    ran = ("backup", "restore", "revoke")
    assert set(record.seconds) == set(PHASES) - set(skipped)
    assert record.rto_s == pytest.approx(sum(record.seconds[name] for name in ran))
    assert not record.application
    assert not record.legacy


# --- legacy data and revocations


@pytest.fixture
def legacy(
    store: Settings, small: Server, new_database: Callable[[str], Server], tmp_path: Path
) -> Tool:
    """An old library, its tool, and settings of a drill of `small` that imports it."""
    old = new_database(f"stará_knihovna_{os.getpid()}")
    execute(old, OLD)
    execute(small, NEW)
    tool = Tool(old, small, tmp_path)
    names = ("legacy_url", "legacy_command", "legacy_dir", "legacy_env", "legacy_domains")
    tool.settings = store.with_overrides(
        **{name: getattr(tool.settings, name) for name in names},
        revocations=(
            Statement(name="guests", sql="UPDATE hosté SET jméno = 'nikdo' WHERE id < 8"),
        ),
    )
    return tool


def test_legacy_data_is_imported_and_sessions_are_ended_in_the_drills_database_only(
    legacy: Tool, small: Server, nothing_left: None
) -> None:
    before = execute(legacy.old, "SELECT * FROM knihy ORDER BY 1")
    record = run(legacy.settings, small).record
    facts = {phase.name: phase.facts for phase in record.phases}
    assert facts["legacy"] == {"imported": BOOKS, "scanned": BOOKS, "domains": 1}
    assert facts["revoke"] == {"statements": 1, "rows": 7}
    assert record.seconds["legacy"] > 0.1  # three processes of Python
    ran = ("backup", "restore", "legacy", "revoke")
    assert record.rto_s == pytest.approx(sum(record.seconds[name] for name in ran))
    assert execute(legacy.old, "SELECT * FROM knihy ORDER BY 1") == before
    assert execute(small, "SELECT count(*) FROM books") == [(1,)]
    assert execute(small, "SELECT count(*) FROM hosté WHERE jméno = 'nikdo'") == [(0,)]


def test_a_tool_that_changes_the_legacy_database_cannot_and_fails_the_drill(
    legacy: Tool, small: Server, nothing_left: None
) -> None:
    legacy.does(end="old.execute('DELETE FROM knihy')\nold.commit()")
    record = run(legacy.settings, small).record
    assert record.failed_phase == "legacy"
    assert "read-only transaction" in detail(record, "legacy")
    assert verdicts(record)["revoke"] == "not_run"
    assert record.rto_s is None
    assert execute(legacy.old, "SELECT count(*) FROM knihy") == [(BOOKS,)]


def test_a_driver_that_knows_no_such_address_gets_the_one_of_the_settings(
    legacy: Tool, small: Server
) -> None:
    code = "import os, sys; sys.exit(os.environ['OLD'].partition('?')[2] or 'nothing')"
    for driver, told in (("psycopg2", True), ("asyncpg", False)):
        changed = {"migrate_driver": driver, "legacy_command": (PYTHON, "-c", code)}
        settings = legacy.settings.with_overrides(**changed)
        record = run(settings, small).record
        assert record.failed_phase == "legacy"
        assert ("default_transaction_read_only" in detail(record, "legacy")) is told


# --- objectives


def test_a_recovery_that_took_too_long_is_a_failed_drill(store: Settings, small: Server) -> None:
    report = run(store.with_overrides(rto_warn_minutes=1e-7, rto_minutes=2e-7), small)
    assert set(verdicts(report.record).values()) == {"passed", "skipped"}
    assert (report.record.ok, report.record.failed_phase) == (False, "rto")
    with pytest.raises(DrillFailed, match="the RTO is"):
        report.require_ok()


def test_a_slow_recovery_within_the_rto_is_a_warning(store: Settings, small: Server) -> None:
    record = run(store.with_overrides(rto_warn_minutes=1e-7), small).record
    assert (record.ok, record.rto_verdict) == (True, "warn")


def test_an_old_proof_before_the_drill_is_told_and_the_drills_own_mends_it(
    store: Settings, small: Server, proven: Backup
) -> None:
    # the proof is a second old at least; whatever the drill proves is far younger than an hour
    assert process.wait_until(lambda: proven.age_s() > 0.5, timeout=10)
    record = run(
        store.with_overrides(rpo_warn_hours=0.2 / 3600, rpo_hours=0.4 / 3600), small
    ).record
    assert record.data_age_s is not None
    assert record.data_age_s > 0.5
    assert (record.rpo_verdict, record.ok) == ("fail", True)
    assert record.data_age_after_s is not None


# --- failing phases


def broken_migration(settings: Settings, folder: Path) -> Settings:
    (folder / "alembic.ini").write_text("[alembic]\nscript_location = nowhere\n")
    return settings.with_overrides(migrate_dir=folder)


def command(*words: str, **settings: Any) -> Callable[[Settings, Path], Settings]:
    """Settings of a drill whose application is this command."""

    def changed(base: Settings, folder: Path) -> Settings:
        own = {"drill_application": True, "drill_app_command": words, "app_ready_attempts": 1}
        login = {"app_email": SecretStr("a@b.cz"), "app_password": SecretStr("tajné heslo")}
        return base.with_overrides(**{**own, **login, **settings})

    return changed


def overridden(**settings: Any) -> Callable[[Settings, Path], Settings]:
    return lambda base, folder: base.with_overrides(**settings)


def closed(base: Settings, folder: Path) -> Settings:
    """A scratch server that does not answer."""
    url = f"postgresql://u:p@127.0.0.1:{ports.free_port()}/postgres"
    return base.with_overrides(proof_url=SecretStr(url))


def no_legacy(base: Settings, folder: Path) -> Settings:
    """A legacy database that does not answer."""
    url = f"postgresql://u:p@127.0.0.1:{ports.free_port()}/stará"
    return base.with_overrides(legacy_url=SecretStr(url), legacy_command=(PYTHON,))


def other_legacy(**settings: Any) -> Callable[[Settings, Path], Settings]:
    """A legacy database that is none."""

    def changed(base: Settings, folder: Path) -> Settings:
        own = {"legacy_url": base.database_url, "legacy_command": (PYTHON,)}
        return base.with_overrides(**{**own, **settings})

    return changed


def production(base: Settings, folder: Path) -> Settings:
    return base.with_overrides(proof_url=base.database_url)


ENDS = "import sys; sys.exit('no module named hotel, heslo: tajné heslo')"
WRONG = Statement(name="tokens", sql="UPDATE nic SET a = 1")
WRONG_SQL = SqlCheck(name="guests", sql="SELECT 1", expect=2)

FAILURES = [
    ("prepare", command(), "DRILL_APP_COMMAND is not set"),
    ("prepare", command("kein-programm", "{port}"), "kein-programm is not found"),
    ("prepare", command(PYTHON, drill_app_dir=Path("/nowhere")), "nowhere is not a folder"),
    ("prepare", command(PYTHON, app_modules=(), app_extras=()), "nothing would be tested"),
    ("prepare", command(PYTHON, app_email=None), "APP_EMAIL is not set"),
    ("prepare", production, "names production's own server"),
    ("backup", overridden(min_tables=1000), "3 tables, 1000 are expected"),
    ("proof", overridden(sql_smoke=(WRONG_SQL,)), "cannot be proven"),
    ("migrate", broken_migration, "doesn't exist: nowhere"),
    ("prepare", no_legacy, "no answer"),
    ("prepare", other_legacy(legacy_command=("kein-programm",)), "LEGACY_COMMAND: kein-programm"),
    ("prepare", other_legacy(legacy_dir=Path("/nowhere")), "LEGACY_DIR: /nowhere is not a folder"),
    ("legacy", other_legacy(), "does not exist"),
    ("revoke", overridden(revocations=(WRONG,)), "REVOCATIONS.tokens: relation"),
    ("start", command(PYTHON, "-c", ENDS), "ended at once with exit code 1: no module named"),
    ("start", command(PYTHON, "-c", WAITS, app_control_timeout_s=0.3), "did not listen on port"),
    ("readiness", command(*SERVES_FILES), "404"),
]


@pytest.mark.parametrize(
    ("phase", "change", "said"), FAILURES, ids=[f"{f[0]}: {f[2]}" for f in FAILURES]
)
def test_a_failed_phase_ends_the_drill_and_everything_is_cleaned(
    store: Settings,
    small: Server,
    tmp_path: Path,
    nothing_left: None,
    phase: str,
    change: Callable[[Settings, Path], Settings],
    said: str,
) -> None:
    settings = change(store, tmp_path)
    report = run(settings, small)
    record = report.record
    assert record.failed_phase == phase
    found = verdicts(record)
    before, after = PHASES[: PHASES.index(phase)], PHASES[PHASES.index(phase) + 1 : -3]
    assert {found[name] for name in before} <= {"passed", "skipped"}
    assert {found[name] for name in after} <= {"not_run"}
    assert found["alert"] == "skipped"
    if settings.proof_url == store.proof_url:
        assert [found[name] for name in CLEANING] == ["passed", "passed"]
    assert said in detail(record, phase)
    assert drill_history.read(store.state).drills == (record,)
    with pytest.raises(DrillFailed, match=f"failed in the phase {phase}: ") as failure:
        report.require_ok()
    assert said in str(failure.value)
    assert str(report.path) in failure.value.hint
    written = report.path.read_text(encoding="utf-8") + record.model_dump_json()
    assert "tajné heslo" not in written


def test_a_failed_start_keeps_what_the_application_said_without_the_password(
    store: Settings, small: Server, tmp_path: Path
) -> None:
    record = run(command(PYTHON, "-c", ENDS)(store, tmp_path), small).record
    log = store.state / "drills" / record.log
    assert log.read_text(encoding="utf-8") == "no module named hotel, heslo: ***\n"
    if os.name == "posix":
        assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_a_zoo_that_lets_a_mutant_escape_fails_the_drill(
    store: Settings, small: Server, nothing_left: None
) -> None:
    harmless = Mutant("harmless", BOTH, "rows_equal", "nothing", lambda specimen: None)
    record = run(store, small, mutants=[harmless]).record
    assert record.failed_phase == "zoo"
    assert "harmless (not caught)" in detail(record, "zoo")


def test_a_smoke_test_that_fails_fails_the_drill(
    as_it_is: Settings, hotel: Server, scratch: Server
) -> None:
    before = names(hotel), names(scratch), files(as_it_is)
    wrong = Endpoint(name="rooms", paths=("/api/v1/issues",), count_sql="SELECT 7")
    record = run(as_it_is.with_overrides(app_modules=(wrong,), app_extras=()), hotel).record
    assert record.failed_phase == "smoke"
    assert "the database has 7" in detail(record, "smoke")
    assert (names(hotel), names(scratch), files(as_it_is)) == before


def test_an_application_that_works_on_another_database_fails_the_drill(
    as_it_is: Settings, hotel: Server
) -> None:
    live = {"KAJOVO_API_DATABASE_URL": hotel.sqlalchemy_url()}
    settings = as_it_is.with_overrides(drill_app_env=as_it_is.drill_app_env | live)
    settings = settings.with_overrides(app_modules=settings.app_modules[:1], app_extras=())
    record = run(settings, hotel).record
    assert record.failed_phase == "smoke"
    assert "same_database" in detail(record, "smoke")


def test_without_a_database_to_protect_the_drill_has_failed_and_is_recorded(
    store: Settings, small: Server
) -> None:
    gone = replace(small, params={**small.params, "port": str(ports.free_port())})
    report = run(store, gone)
    assert report.record.failed_phase == "backup"
    assert "no answer" in detail(report.record, "backup")
    assert drill_history.read(store.state).drills == (report.record,)


def test_without_a_scratch_server_the_drill_has_failed_and_says_that_nobody_could_look(
    store: Settings, small: Server, tmp_path: Path
) -> None:
    record = run(closed(store, tmp_path), small).record
    assert record.failed_phase == "prepare"
    assert verdicts(record)["backup"] == "not_run"
    assert verdicts(record)["leftovers"] == "failed"
    assert "no answer" in detail(record, "leftovers")


def test_a_drill_that_cannot_begin_is_recorded_too(store: Settings) -> None:
    refused = DrError("there is no database", hint="name one.")
    report = drill.impossible(store, who="Řehoř", failure=refused)
    assert drill_history.read(store.state).drills == (report.record,)
    assert report.path.is_file()
    with pytest.raises(DrillFailed, match="phase prepare: there is no database") as failure:
        report.require_ok()
    assert failure.value.hint.startswith("name one.")


def test_a_history_that_cannot_be_written_is_an_error_and_nothing_is_left(
    store: Settings, small: Server, scratch: Server
) -> None:
    before = names(scratch)
    drill_history.path_of(store.state).mkdir()
    with pytest.raises(LogUnwritable):
        run(store, small)
    assert names(scratch) == before


# --- the alerts


def test_a_drill_sends_a_test_message_through_every_channel(
    store: Settings, small: Server, receiver: HttpReceiver, nothing_left: None
) -> None:
    urls = {"alert_urls": receiver.url, "alert_critical_urls": receiver.url}
    secret = {name: SecretStr(url) for name, url in urls.items()}
    record = run(store.with_overrides(**secret), small).record
    assert record.ok
    (alert,) = [phase for phase in record.phases if phase.name == "alert"]
    assert (alert.verdict, alert.facts) == ("passed", {"channels": 2, "arrived": 2})
    assert len(receiver.requests) == 2
    assert f"drill {record.id}" in receiver.requests[0].body.decode()
    # a message's way is no part of a recovery
    ran = ("backup", "restore", "revoke")
    assert record.rto_s == pytest.approx(sum(record.seconds[name] for name in ran))


def test_a_channel_that_does_not_take_it_fails_the_drill_and_the_cleaning_goes_on(
    store: Settings, small: Server, receiver: HttpReceiver, nothing_left: None
) -> None:
    receiver.answer(500)
    with HttpReceiver("/s3cr3t") as other:
        both = SecretStr(f"{receiver.url} {other.url}")
        report = run(store.with_overrides(alert_urls=both), small)
        assert len(other.requests) == 1
    record = report.record
    assert (record.ok, record.failed_phase) == (False, "alert")
    assert detail(record, "alert").startswith("1 of 2 channels failed: json-1: ")
    assert "500" in detail(record, "alert")
    assert [verdicts(record)[name] for name in CLEANING] == ["passed", "passed"]
    assert record.rto_s is not None
    with pytest.raises(DrillFailed, match="failed in the phase alert: ") as failed:
        report.require_ok()
    assert "kajovo-dr alert --test" in failed.value.hint
    written = report.path.read_text(encoding="utf-8") + record.model_dump_json()
    assert "s3cr3t" not in written
    assert str(receiver.port) not in written


def test_a_drill_that_failed_tries_the_alerts_too(
    store: Settings, small: Server, receiver: HttpReceiver, nothing_left: None
) -> None:
    settings = store.with_overrides(min_tables=1000, alert_urls=SecretStr(receiver.url))
    record = run(settings, small).record
    assert (record.failed_phase, verdicts(record)["alert"]) == ("backup", "passed")
    assert len(receiver.requests) == 1


# --- leftovers


@pytest.mark.skipif(os.name != "posix", reason="sessions")
def test_a_process_that_outlives_the_drill_fails_it(
    store: Settings, small: Server, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    settings = command(PYTHON, "-c", DAEMON, str(pid), *SERVES_FILES)(store, tmp_path)
    try:
        record = run(settings, small).record
    finally:
        os.kill(int(pid.read_text()), signal.SIGKILL)
    assert record.failed_phase == "readiness"
    assert verdicts(record)["leftovers"] == "failed"
    assert "something that listens on port" in detail(record, "leftovers")


def test_a_killed_drill_is_written_down_by_the_next_one(store: Settings, small: Server) -> None:
    first = run(store, small).record
    killed = first.model_copy(update={"id": "0" * 8, "ok": False, "failed_phase": "zoo"})
    drill_history.bequeath(store.state, killed)
    # one that cannot begin leaves it alone: another may be running
    drill.impossible(store, who="x", failure=DrError("no"))
    second = run(store, small).record
    drill.log_killed(store)
    written = [each.id for each in drill_history.read(store.state).drills]
    assert len(written) == 4
    assert {first.id, killed.id, second.id} < set(written)


def test_a_database_of_somebody_else_under_a_drills_name_is_never_dropped(
    store: Settings, small: Server, scratch: Server
) -> None:
    name = f"{drill_room.DATABASE}mine"
    with databases.connect(scratch) as admin:
        databases.create(admin, name, {})
    try:
        record = run(store, small).record
        assert name in names(scratch)
        assert record.failed_phase == "leftovers"
        assert f"database {name}" in detail(record, "leftovers")
    finally:
        with databases.connect(scratch) as admin:
            databases.drop(admin, name)


def test_what_a_killed_drill_left_is_removed_by_the_next_one_which_says_so(
    store: Settings, small: Server, scratch: Server
) -> None:
    before = names(scratch), files(store)
    waits = {"KAJOVO_DR_DRILL_APP_COMMAND": json.dumps([PYTHON, "-c", WAITS])}
    login = {"KAJOVO_DR_APP_EMAIL": "a@b.cz", "KAJOVO_DR_APP_PASSWORD": "tajné heslo"}
    script = (
        "from kajovo_dr.recovery import drill; from kajovo_dr.settings import Settings;"
        "from kajovo_dr.postgres.server import source;"
        "from kajovo_dr.backups.zoo.registry import MUTANTS; s = Settings.load();"
        "drill.run(s, who='x', source=source(s), mutants=[m for m in MUTANTS"
        " if m.name == 'row-deleted'])"
    )
    child = subprocess.Popen([PYTHON, "-c", script], env={**os.environ, **waits, **login}, cwd=ROOT)
    try:
        log = f"{drill_room.FOLDER}*/application.log"
        assert process.wait_until(lambda: any(store.state.glob(log)), timeout=60)
    finally:
        child.kill()
        child.wait()
    (database,) = {name for name in names(scratch) if name.startswith(drill_room.DATABASE)}
    (folder,) = store.state.glob(f"{drill_room.FOLDER}*")
    (store.state / "zoo-left").mkdir()
    assert not drill_history.read(store.state).drills
    drill.log_killed(store)
    (killed,) = drill_history.read(store.state).drills
    assert (killed.ok, killed.failed_phase, killed.rto_s) == (False, "start", None)
    assert killed.seconds["restore"] > 0
    assert detail(killed, "start").startswith("killed")
    assert verdicts(killed)["smoke"] == verdicts(killed)["clean_up"] == "not_run"
    assert (store.state / "drills" / f"{killed.id}.html").is_file()

    record = run(store, small).record
    assert drill_history.read(store.state).drills == (killed, record)
    assert record.ok
    assert {f"database {database}", f"folder {folder.name}", "folder zoo-left"} <= set(
        record.removed
    )
    assert f"role {small.user}" in record.removed
    assert (names(scratch), files(store)) == before
    assert database in (store.state / "drills" / f"{record.id}.html").read_text(encoding="utf-8")


# --- one at a time, and ends of another kind


def test_a_second_drill_waits_for_nothing_and_is_not_recorded(
    store: Settings, small: Server
) -> None:
    refused: list[DrError] = []

    def second(phase: str, done: int, total: int | None) -> None:
        if phase == "drill: backup":
            with pytest.raises(TargetBusy, match="another drill") as busy:
                run(store, small)
            refused.append(busy.value)
            drill.log_killed(store)  # this one was not killed: it runs
            assert not drill_history.read(store.state).drills

    first = run(store, small, progress=second)
    assert len(refused) == 1
    assert drill_history.read(store.state).drills == (first.record,)


@pytest.mark.parametrize(
    ("phase", "ending"),
    [
        ("prepare", KeyboardInterrupt()),
        ("proof", KeyboardInterrupt()),
        ("restore", ZeroDivisionError("a bug")),
        ("leftovers", KeyboardInterrupt()),
    ],
)
def test_an_interrupted_drill_cleans_is_recorded_and_ends_as_it_was_told(
    store: Settings, small: Server, scratch: Server, phase: str, ending: BaseException
) -> None:
    before = names(scratch), files(store)

    def interrupt(name: str, done: int, total: int | None) -> None:
        if name == f"drill: {phase}":
            raise ending

    with pytest.raises(type(ending)):
        run(store, small, progress=interrupt)
    (record,) = drill_history.read(store.state).drills
    assert record.failed_phase == phase
    assert detail(record, phase).startswith(f"ended by {type(ending).__name__}")
    if phase not in CLEANING:  # nobody waits for a message then
        assert verdicts(record)["alert"] == "not_run"
    assert (names(scratch), files(store)) == before
