"""Under test: ``kajovo-dr drill`` as a process: the sandbox hotel, failures, the history."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kajovo_dr.errors import DatabaseMissing, DrillFailed, FileRefused
from kajovo_dr.postgres import clusters, databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.recovery import drill_history
from kajovo_dr.recovery.drill_record import PHASES
from kajovo_dr.sandbox import legacy_database, schema
from kajovo_dr.sandbox.seed import seed
from kajovo_dr.settings import Settings
from kajovo_dr_tests.alerts.receivers import HttpReceiver
from kajovo_dr_tests.conftest import new_folder
from kajovo_dr_tests.recovery.drills import drill
from kajovo_dr_tests.shell import WITHOUT_DAGSTER, Shell


@pytest.fixture
def shell(settings: Settings, small: Server) -> Shell:
    (settings.state / "backups").mkdir()
    return Shell((small.params["password"], "tajné heslo"))


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """A state folder of its own with nothing configured: the sandbox hotel."""
    folder = new_folder()
    monkeypatch.setenv("KAJOVO_DR_STATE", str(folder / "state"))
    yield Settings.load()
    shutil.rmtree(folder, ignore_errors=True)


def test_a_drill_of_the_sandbox_hotel_needs_no_setting(sandbox: Settings, tmp_path: Path) -> None:
    with clusters.hotel_cluster(sandbox) as server:
        hotel = clusters.ensure_database(server, clusters.HOTEL_DATABASE)
        schema.upgrade(hotel.sqlalchemy_url(), schema.OLD_REVISION)
        seed(hotel, rows=300, media_root=sandbox.state / "sandbox" / "media")
        legacy_database.create(hotel)
        with databases.connect(server) as session:
            names = session.execute("SELECT datname FROM pg_database ORDER BY 1").fetchall()
        copy = tmp_path / "zpráva.html"
        shell = Shell((server.params["password"],), ("-c", WITHOUT_DAGSTER))
        words = ("--who", "Řehoř", "--lang", "cs", "--report", str(copy))
        with HttpReceiver() as receiver:
            done = shell("drill", *words, alert_urls=receiver.url).ok()
        assert len(receiver.requests) == 1
        with databases.connect(server) as session:
            after = session.execute("SELECT datname FROM pg_database ORDER BY 1").fetchall()
    assert after == names

    (record,) = drill_history.read(sandbox.state).drills
    assert (record.ok, record.who, record.database) == (True, "Řehoř", "kajovo_hotel")
    assert {phase.verdict for phase in record.phases} == {"passed"}
    facts = {phase.name: phase.facts for phase in record.phases}
    assert facts["zoo"]["caught"] > 40  # type: ignore[operator]
    assert facts["smoke"] == {"passed": 13, "endpoints": 13}  # the photo's file was found, too
    lines = done.out.splitlines()
    assert facts["legacy"] == {"imported": 140, "scanned": 140, "domains": 4}
    assert lines[0].split() == ["FÁZE", "TRVÁNÍ", "VÝSLEDEK", "PODROBNOSTI"]
    assert all("  v pořádku  " in line for line in lines[1 : 1 + len(PHASES)])
    assert lines[1 + PHASES.index("leftovers")].startswith("hledání pozůstatků")
    assert any(line.startswith("   Celá obnova: záloha + obnova databáze + ") for line in lines)
    assert any(re.match(r"   Doba obnovy \(RTO\): .+, dodrženo \(varování nad", li) for li in lines)
    assert not [line for line in lines if re.match(r"(ok|warn|FAIL) ", line)]
    assert lines[-1] == f"   zpráva: {sandbox.state / 'drills' / f'{record.id}.html'}"
    assert copy.read_bytes() == (sandbox.state / "drills" / f"{record.id}.html").read_bytes()
    assert not list(sandbox.state.glob("drill-*"))
    assert not (sandbox.state / "embedded" / "scratch" / "data").exists()


def test_a_lost_hotel_is_a_failed_drill(sandbox: Settings) -> None:
    done = Shell(())("drill")
    assert done.code == DrillFailed.exit_code
    assert (
        "the drill failed in the phase backup: database 'kajovo_hotel' does not exist" in done.err
    )
    assert DatabaseMissing.hint.split(";")[0] in done.err
    assert "  failed  " in done.out
    (record,) = drill_history.read(sandbox.state).drills
    assert (record.ok, record.failed_phase) == (False, "backup")


def test_half_a_configuration_is_a_failed_drill(sandbox: Settings) -> None:
    done = Shell(())("drill", "--json", app_base_url="http://127.0.0.1:1")
    assert done.code == DrillFailed.exit_code
    document = done.json()
    assert (document["ok"], document["failed_phase"]) == (False, "prepare")
    assert "DATABASE_URL is not set" in document["phases"][0]["detail"]
    assert Path(document["report"]).is_file()
    assert len(drill_history.read(sandbox.state).drills) == 1


def test_a_drill_without_a_command_for_the_application_fails_and_says_what_to_set(
    shell: Shell, settings: Settings
) -> None:
    done = replace(shell, program=("-c", WITHOUT_DAGSTER))("drill")
    assert done.code == DrillFailed.exit_code
    assert "KAJOVO_DR_DRILL_APP_COMMAND is not set" in done.err
    assert "KAJOVO_DR_DRILL_APPLICATION=false ends the drill with the database" in done.err
    assert [line.split("  ")[0] for line in done.out.splitlines()[1:3]] == ["preparation", "backup"]
    assert "not run" in done.out
    assert not list((settings.state / "backups").iterdir())


def test_the_history_lists_all_drills_and_what_cannot_be_read(
    shell: Shell, settings: Settings
) -> None:
    assert shell("drill", "--history").ok().out == "No drill was run yet.\n"
    for record in (drill(0), drill(1, failed="migrate")):
        drill_history.append(settings.state, record)
    with drill_history.path_of(settings.state).open("ab") as lines:
        lines.write(b"torn\n")
    listed = shell("drill", "--history").ok()
    rows = listed.out.splitlines()
    assert [row.split()[0] for row in rows] == ["DRILL", "00000001", "00000000"]
    assert "failed: migration" in rows[1]
    assert "cannot be read and were kept: 3" in listed.err
    drill_history.bequeath(settings.state, drill(2, failed="zoo"))
    czech = shell("drill", "--history", "--lang", "cs").ok()
    assert "selhalo: zkouška poškozených kopií" in czech.out
    assert "selhalo: migrace" in czech.out
    document = shell("drill", "--history", "--json").ok().json()
    assert [each["id"] for each in document["drills"]] == ["00000000", "00000001", "00000002"]
    assert document["unreadable"] == [3]


@pytest.mark.parametrize(
    "words",
    [
        ("a.sql",),
        ("--mutants", "--history"),
        ("--history", "--report", "x"),
        ("--mutants", "--report", "x"),
        ("--history", "a.sql"),
        ("--lang", "de"),
    ],
)
def test_options_that_do_not_go_together_are_refused_before_anything_is_done(
    shell: Shell, settings: Settings, words: tuple[str, ...]
) -> None:
    assert shell("drill", *words).code == 2
    assert not drill_history.path_of(settings.state).exists()


def test_a_copy_of_the_report_that_cannot_be_written_is_refused_before_the_drill(
    shell: Shell, settings: Settings, tmp_path: Path
) -> None:
    done = shell("drill", "--report", str(tmp_path / "nowhere" / "x.html"))
    assert done.code == FileRefused.exit_code
    assert "nowhere" in done.err
    assert not drill_history.path_of(settings.state).exists()
    assert not list(tmp_path.iterdir())
