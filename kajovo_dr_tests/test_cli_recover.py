"""Under test: ``recover``, ``undo`` and ``cleanup`` as an operator meets them, each a real process.

Once the whole way on the sandbox hotel, and every wrong word on a small library, untouched by it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta

import pytest

from kajovo_dr.backups.prove import prove
from kajovo_dr.backups.take import take
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.server import Server, source
from kajovo_dr.progress import silent
from kajovo_dr.recovery.application import Application
from kajovo_dr.recovery.incident_log import IncidentLog
from kajovo_dr.recovery.preflight import plan
from kajovo_dr.recovery.readiness import is_ready
from kajovo_dr.recovery.recover import Recovery
from kajovo_dr.recovery.request import Request
from kajovo_dr.sandbox import stack
from kajovo_dr.sandbox.schema import HEAD_REVISION, OLD_REVISION
from kajovo_dr.settings import Settings
from kajovo_dr_tests.conftest import new_folder
from kajovo_dr_tests.recovery import conftest as fixtures
from kajovo_dr_tests.recovery.incidents import Incident, flip, touched
from kajovo_dr_tests.shell import ROOT, WITHOUT_DAGSTER, Shell

# fixtures of recoveries, which are of their folder
vault, incident = fixtures.vault, fixtures.incident

# --- the whole way, on the hotel


@pytest.fixture
def hotel() -> Iterator[Settings]:
    """A sandbox whose hotel is backed up at the old revision; nothing of it runs. Its state folder
    is in the environment.
    """
    folder = new_folder()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("KAJOVO_DR_STATE", str(folder / "state"))
            patch.setenv("KAJOVO_DR_APP_READY_PAUSE_S", "0.1")
            settings = Settings.load()
            with stack.protected_database(settings) as complete:
                fresh, media = stack.Fresh(300, OLD_REVISION), stack.folder(settings) / "media"
                stack._replace(source(complete), fresh, media, silent)
                prove(complete, take(complete, source(complete), reason="noční").backup)
            yield settings
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def scalar(server: Server, query: str) -> object:
    with databases.connect(server) as session:
        row = session.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def ready(settings: Settings) -> bool:
    with Application(settings) as application:
        return is_ready(application, settings)


def test_the_hotel_is_recovered_undone_and_told_of(hotel: Settings) -> None:
    with stack.protected_system(hotel) as running:
        live, secret = source(running), running.need("app_password")
        shell = Shell((secret, live.params["password"], "argon2"))
        with databases.connect(live) as session:
            session.execute("DELETE FROM reports")  # the incident
        options = ("--confirm", live.dbname, "--who", "Noční směna", "--reason", "omyl")
        done = shell("recover", *options).ok()
        phases = [
            line.split(": ")[0].split()[-1] for line in done.out.splitlines() if " s  " in line
        ]
        assert phases == [
            *("safety", "stop", "restore", "migrate", "legacy", "revoke", "swap"),
            *("start", "readiness", "smoke"),
        ]
        assert f"{live.dbname} is recovered in " in done.out
        assert "outage as seen from here: " in done.out
        assert ready(running)
        assert scalar(live, "SELECT version_num FROM alembic_version") == HEAD_REVISION
        assert scalar(live, "SELECT count(*) > 0 FROM reports") is True

        kept = shell("cleanup", "--plan", "--json").ok().json()
        (former,) = kept["kept"]
        assert kept["dropped"] == []
        assert scalar(live.database(former), "SELECT count(*) FROM reports") == 0
        with databases.connect(live.database("postgres")) as admin:
            assert databases.exists(admin, former)

    # nothing runs any more: the command starts what it needs
    undone = shell("undo", "--confirm", live.dbname, "--json").ok().json()
    assert (undone["kind"], undone["succeeded"]) == ("undo", True)
    with stack.protected_database(hotel) as complete:
        assert scalar(source(complete), "SELECT count(*) FROM reports") == 0
        asked = Request(database=live.dbname, confirm=None, who="Kája", database_only=True)
        begun = Recovery.begin(complete, plan(complete, asked))
    # the doctor starts no server to say how an interrupted one stands, but how to go on
    doctor = shell("doctor").out
    short = begun.record.short
    assert f"recovery {short} of {live.dbname} by Kája has not ended; the sandbox hotel" in doctor
    assert f"kajovo-dr recover --resume --id {short}" in doctor

    listed = shell("incidents", "--json").ok().json()
    assert {entry["kind"] for entry in listed} == {"recovery", "undo"}
    log = IncidentLog.of(hotel)
    assert log.verify().ok
    recovered, put_back = log.read()
    assert recovered.who == "Noční směna"
    assert recovered.outage is not None
    assert recovered.outage.seconds is not None
    assert recovered.smoke is not None
    assert recovered.smoke.ok
    assert put_back.undoes == recovered.id


# --- on a small library


@pytest.fixture
def place(incident: Incident, monkeypatch: pytest.MonkeyPatch) -> Incident:
    """An incident whose settings are in the environment, with nothing of an application."""
    settings = incident.settings
    values = {
        "STATE": str(settings.state),
        "BACKUP_DIR": str(settings.store_dir),
        "DATABASE_URL": incident.live.url(),
        "REVOCATIONS": json.dumps([each.model_dump() for each in settings.revocations]),
        "PASSWORD_HASHES_SQL": settings.password_hashes_sql,
    }
    for name, value in values.items():
        monkeypatch.setenv(f"KAJOVO_DR_{name}", value)
    return incident


@pytest.fixture
def shell(place: Incident) -> Shell:
    return Shell((place.live.params["password"], "argon2", "@knihovna.cz"))


def test_a_database_is_recovered_undone_and_cleaned_up_by_scripts(
    shell: Shell, place: Incident
) -> None:
    before, name = place.content(), place.live.dbname
    options = ("--database-only", "--confirm", name)
    entry = shell("recover", *options, "--json", "--who", "Kája").ok().json()
    assert (entry["kind"], entry["who"], entry["succeeded"]) == ("recovery", "Kája", True)
    assert place.content() == place.vault.restored

    # a recovery can be undone by the beginning of its id, and that told to a person
    undone = shell("undo", entry["id"][:8], "--confirm", name, "--reason", "omyl").ok()
    assert f"ok {name} is put back in " in undone.out
    assert place.content() == before

    listed = shell("cleanup", keep_replaced_days="0").ok().out
    (replaced,) = place.beside()
    assert listed.startswith(f"kept: {replaced}, ")
    assert "no backup of" in listed
    assert shell("doctor").out.count("replaced database") == 1


def test_a_plan_is_printed_and_touches_nothing(shell: Shell, place: Incident) -> None:
    before = touched(place)
    said = shell("recover", "--plan", "--database-only").ok().out
    assert "what would be lost, in rows: library.books 2, library.readers 1" in said
    assert said.splitlines()[-1].startswith(f"would: back up {place.live.dbname}, restore beside")
    planned = shell("recover", "--plan", "--database-only", "--json").ok().json()
    assert planned["backup"] == place.vault.backup
    assert planned["live"] == "answers"
    assert {each["verdict"] for each in planned["findings"]} == {"ok", "warn"}
    flip(place.backup.path)
    before["files"] = touched(place)["files"]
    damaged = shell("recover", "--plan", "--json")
    assert damaged.code == 65
    wrong = [each["name"] for each in damaged.json()["findings"] if each["verdict"] == "fail"]
    assert wrong == ["backup", "application's URL", "Alembic", "login"]
    assert touched(place) == before


def test_what_cannot_be_meant_is_refused_before_anything_is_touched(
    shell: Shell, place: Incident
) -> None:
    name, backup = place.live.dbname, place.vault.backup
    early = (place.backup.manifest.created_at - timedelta(days=2)).isoformat()
    rotten = place.copy_backup(place.backup.manifest.created_at - timedelta(days=1), damaged=True)
    before = touched(place)
    new = ("recover", "--database-only")
    cases: list[tuple[tuple[str, ...], int, str]] = [
        ((*new, "--confirm", "hotel"), 13, "'hotel' was typed as confirmation"),
        (new, 13, f"add --confirm {name}"),
        ((*new, "--confirm", name, "--before", early), 54, "no valid backup"),
        ((*new, "--confirm", name, "--before", "včera"), 10, "--before"),
        ((*new, "--plan", rotten.name), 41, f"{rotten.name} is damaged"),
        ((*new, "--confirm", name, "není"), 33, "není"),
        ((*new, "--confirm", name, " "), 10, "BACKUP is empty"),
        ((*new, "--database", "x" * 64), 10, "cannot name a database"),
        (("recover", "--confirm", name), 65, "Alembic"),
        (("recover", "--plan", "--resume"), 2, "exclude each other"),
        (("recover", "--id", "1"), 2, "--id goes with"),
        (("recover", "--resume", "--who", "Kája"), 2, "as it was begun"),
        (("recover", "--abandon", backup), 2, "as it was begun"),
        (("recover", "--resume"), 10, "there is no recovery to go on with"),
        (("recover", "--abandon", "--id", "1"), 10, "no recovery whose id begins with '1'"),
        (("undo",), 69, f"no recovery has replaced {name!r}"),
    ]
    for words, code, said in cases:
        ended = shell(*words)
        assert (ended.code, said in ended.err) == (code, True), (words, ended)
        assert touched(place) == before, words
    # a real recovery records the damage that it finds, and still touches nothing else
    ended = shell(*new, "--confirm", name, rotten.name)
    assert (ended.code, f"{rotten.name} is damaged" in ended.err) == (41, True)
    assert touched(place)["databases"] == before["databases"]
    assert not (place.settings.state / "recoveries").exists()


def test_an_interrupted_one_is_explained_gone_on_with_and_another_given_up(
    shell: Shell, place: Incident
) -> None:
    name = place.live.dbname
    for _ in range(2):
        begun = place.begin()
        for phase in ("safety", "restore"):
            begun.do(phase)
        if not place.log():
            doctor = shell("doctor")
            assert f"recovery {begun.record.short} of {name} by Noční směna stopped" in doctor.out
            refused = shell("recover", "--database-only", "--confirm", name)
            assert (refused.code, "has not ended" in refused.err) == (75, True)
            resumed = shell("recover", "--resume").ok()
            assert f"ok {name} is recovered in " in resumed.out
            assert place.content() == place.vault.restored
    given_up = shell("recover", "--abandon", "--id", begun.record.short).ok()
    assert given_up.out == f"ok recovery {begun.record.short} was given up\n"
    assert begun.record.room not in place.beside()
    shell("recover", "--database-only", "--confirm", name).ok()


def test_a_log_that_cannot_be_read_is_a_finding_of_the_doctors(
    shell: Shell, place: Incident
) -> None:
    (place.settings.state / "incidents.jsonl").mkdir()
    doctor = shell("doctor", "--json")
    (found,) = (each for each in doctor.json() if each["name"] == "recovery")
    assert (doctor.code, found["verdict"]) == (80, "fail")
    assert "incidents.jsonl" in found["said"]
    assert shell("recover", "--plan").code == 65


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal of POSIX")
def test_a_person_types_the_name(place: Incident) -> None:
    name = place.live.dbname
    for typed, code in ((name.upper(), 13), (name, 0)):
        ours, theirs = os.openpty()
        command = subprocess.Popen(
            [sys.executable, "-m", "kajovo_dr.cli", "recover", "--database-only"],
            cwd=ROOT,
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        os.close(theirs)
        os.write(ours, f"{typed}\n".encode())
        out, err = command.communicate(timeout=120)
        os.close(ours)
        assert command.returncode == code, err.decode()
        assert f"Type the name of the database to replace ({name})" in err.decode()
        assert "what would be lost, in rows: " in out.decode()
    assert place.content() == place.vault.restored


def test_none_of_it_needs_dagster(place: Incident) -> None:
    shell = Shell((place.live.params["password"],), ("-c", WITHOUT_DAGSTER))
    name = place.live.dbname
    shell("list").ok()
    shell("verify", place.vault.backup).ok()
    shell("recover", "--database-only", "--confirm", name).ok()
    shell("undo", "--confirm", name).ok()
    shell("cleanup", "--plan").ok()
    assert len(shell("incidents").ok().out.splitlines()) >= 2
    shell("incidents", "--verify").ok()
