"""Under test: the command line as scripts and people meet it: exit codes, output in a pipe, and
that a restore works without Dagster.

Every test starts a real process (``shell``). What proofs change is in ``test_cli_proof``.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import click
import pytest

from kajovo_dr import __version__, process, terminal
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.cli import cli
from kajovo_dr.errors import DumpDamaged
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.recovery import drill_history
from kajovo_dr.settings import PREFIX, Settings
from kajovo_dr_tests.conftest import SMALL_DATABASE
from kajovo_dr_tests.recovery.drills import drill
from kajovo_dr_tests.shell import ROOT, WITHOUT_DAGSTER, Shell, failed_checks


@pytest.fixture(scope="module")
def small(server: Server) -> Iterator[Server]:
    """The small database, once for all: no command ever changes the database that it protects.

    What a test restores has a name that begins with that of this one, and goes with it.
    """
    database = server.database(f"cli_{os.getpid()}")
    with databases.connect(server) as session:
        databases.create(session, database.dbname, {})
        with databases.connect(database) as inside:
            inside.execute(SMALL_DATABASE.encode())
        yield database
        for (name,) in session.execute("SELECT datname FROM pg_database").fetchall():
            if name.startswith(database.dbname):
                databases.drop(session, name)


@pytest.fixture
def shell(settings: Settings, small: Server) -> Shell:
    return Shell((small.params["password"], "Tajné42"))


@pytest.fixture
def dead_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def _url(server: Server, **params: str) -> str:
    return Server({**server.params, **params}).url()


def _count(server: Server) -> int:
    with databases.connect(server) as session:
        row = session.execute("SELECT count(*) FROM hosté").fetchone()
    assert row is not None
    return int(row[0])


# --- the commands


def test_a_backup_is_taken_listed_verified_and_restored(shell: Shell, small: Server) -> None:
    taken = shell("backup", "--prove", "--reason", "před změnou").ok()
    assert taken.out.startswith("ok ")
    assert "54 rows in 3 tables" in taken.out
    path = Path(taken.out.split()[1])
    assert path.is_file()

    listed = shell("list").ok()
    head, line = listed.out.splitlines()
    columns = ["BACKUP", "STATE", "SNAPSHOT", "AGE", "SIZE", "ROWS", "DATABASE", "REASON"]
    assert head.split() == columns
    assert line.split()[:2] == [path.name, "proven"]
    assert line.endswith("před změnou")

    for named in (path.name, path.stem, str(path)):
        assert f"ok {path.name}: whole, 54 rows" in shell("verify", named).ok().out

    target = small.database(f"{small.dbname} znovu")
    restored = shell("restore", "--into", target.dbname).ok()
    assert restored.out.startswith(f"ok {path.name} of ")
    assert f" is now {target.shown}\n" in restored.out
    assert _count(target) == 50


def test_json_is_for_scripts(shell: Shell, small: Server) -> None:
    taken = shell("backup", "--json", "--format", "custom").ok().json()
    assert taken["kind"] == "custom"
    counts = [(each["schema"], each["name"], each["rows"]) for each in taken["tables"]]
    assert ("public", "hosté", 50) in counts
    (listed,) = shell("list", "--json").ok().json()
    assert listed.pop("ok") is True
    assert listed.pop("name") == taken["backup_file"]
    assert (listed.pop("state_reason"), listed.pop("sampled_tables")) == ("", [])
    assert listed == taken
    verified = shell("verify", taken["path"], "--json").ok().json()
    assert verified["ok"] is True
    assert verified["sha256"] == taken["sha256"]
    restored = (
        shell("restore", taken["backup_file"], "--into", f"{small.dbname}_j", "--json").ok().json()
    )
    assert restored["rows"] == 54
    assert set(restored["seconds"]) == {"verify", "load", "compare", "analyze"}


def test_a_json_manifest_holds_what_the_manifest_file_holds(shell: Shell) -> None:
    taken = shell("backup", "--json").ok().json()
    path = Path(taken.pop("path"))
    assert taken.pop("state") == "taken"
    assert json.loads(path.with_name(path.name + ".json").read_text(encoding="utf-8")) == taken


def test_an_empty_store_is_no_error(shell: Shell, settings: Settings) -> None:
    listed = shell("list").ok()
    assert listed.out.strip().endswith(str(settings.store_dir))
    assert shell("list", "--json").ok().json() == []


def test_the_backup_before_a_moment_is_chosen(shell: Shell, proven: Backup, small: Server) -> None:
    later = shell("backup", "--prove", "--json").ok().json()
    until = later["created_at"]
    restored = shell("restore", "--before", until, "--into", f"{small.dbname}_b", "--json").ok()
    assert restored.json()["backup"] == proven.name


def test_output_is_utf8_whatever_the_console_speaks(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    monkeypatch.setenv("LC_ALL", "C")
    shell("backup", "--reason", "před změnou 🛎️").ok()
    assert "před změnou 🛎️" in shell("list").ok().out
    assert "před změnou 🛎️" in shell("list", "--json").ok().out


def test_in_a_pipe_the_output_stands_alone_and_nothing_is_drawn(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FORCE_COLOR", "CLICOLOR_FORCE"):
        monkeypatch.setenv(name, "1")
    taken = shell("backup").ok()
    assert len(taken.out.splitlines()) == 2
    lines = taken.err.splitlines()
    assert "snapshot" in lines
    phases = "snapshot|fingerprint|dump|inspect"
    assert all(re.fullmatch(rf"({phases})( [\d.]+ k?B)?( \d+ %)?", x) for x in lines)
    assert "\r" not in taken.out + taken.err


HOSTILE = "půlnoc\x1b[2J\x1b]0;x\x07\nkajovo-postgres-x\r\u202e"


def test_a_cell_keeps_its_colour_and_loses_what_steers_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    terminal.table(["NOC"], [[HOSTILE], [terminal.mark(ok=False)], ["Žofín\u00a0🛎️"]])
    assert capsys.readouterr().out.splitlines()[1:] == [
        "půlnoc\ufffd[2J\ufffd]0;x\ufffd\ufffdkajovo-postgres-x\ufffd\ufffd",
        "FAIL",
        "Žofín\u00a0🛎️",
    ]
    assert terminal.clean(terminal.mark(ok=False)) == terminal.mark(ok=False)
    assert "\x1b" not in terminal.clean("\x1b[8mskryté\x1b[1A")


def test_an_error_keeps_its_lines_and_no_escape(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.show_error(DumpDamaged(f"{HOSTILE}"))
    shown = capsys.readouterr().err
    assert shown.startswith("error: půlnoc\ufffd[2J\ufffd]0;x\ufffd\nkajovo-postgres-x")


def test_a_hostile_reason_stays_in_its_line_of_the_list(shell: Shell) -> None:
    shell("backup", "--reason", "klidná noc").ok()
    (path,) = Settings.load().store_dir.glob("*.json")
    document = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**document, "reason": HOSTILE}), encoding="utf-8")
    listed = shell("list").ok().out
    assert len(listed.splitlines()) == 2
    assert not any(character in listed for character in "\r\x07\u202e")


# --- exit codes


def _edited(backup: Backup) -> None:
    content = bytearray(backup.path.read_bytes())
    content[len(content) // 2] ^= 1
    backup.path.write_bytes(content)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["backup", "--format", "tar"], 2, "tar"),
        (["restore"], 2, "--into"),
        (["verify"], 2, "FILE|NAME"),
        (["no-such-command"], 2, "no-such-command"),
        (["restore", "--into", "x", "--before", "yesterday"], 10, "--before is 'yesterday'"),
        (["restore", "--into", "x", "--before", "2026-11-01T10:00"], 10, "with an offset"),
        (["restore", "--into", "ř" * 32], 10, "cannot name a database"),
        (["restore", "--into", ""], 10, "cannot name a database"),
        (["verify", "kajovo-postgres-20200101-000000.sql"], 33, "no backup"),
        (["verify", "../no/such/file.sql"], 33, "is not a file"),
        (["restore", "kajovo-postgres-20200101-000000", "--into", "x"], 33, "no backup"),
        (["restore", "../x", "--into", "x"], 33, "no backup '../x'"),
        (["restore", "--into", "x", "--before", "2020-01-01T00:00+01:00"], 54, "no valid backup"),
    ],
)
def test_wrong_words_have_their_exit_code(
    shell: Shell, words: list[str], code: int, said: str
) -> None:
    ended = shell(*words)
    assert (ended.code, ended.out) == (code, "")
    assert said in ended.err
    if code != 2:
        assert ended.err.splitlines()[0].startswith("error: ")
        assert ended.err.splitlines()[1].startswith("hint: ")


@pytest.mark.parametrize("command", [["backup"], ["list"], ["doctor"], ["verify", "x"]])
def test_an_unknown_setting_stops_every_command(shell: Shell, command: list[str]) -> None:
    ended = shell(*command, database_ulr="Tajné42")
    assert (ended.code, ended.out) == (10, "")
    assert "unknown environment variable: KAJOVO_DR_DATABASE_ULR" in ended.err
    assert "did you mean KAJOVO_DR_DATABASE_URL?" in ended.err


@pytest.mark.parametrize("command", [["backup"], ["restore", "--into", "x"]])
def test_a_url_that_cannot_be_read_is_never_repeated(shell: Shell, command: list[str]) -> None:
    ended = shell(*command, database_url="postgresql://jana:Tajné42/@127.0.0.1/hotel")
    assert (ended.code, ended.out) == (11, "")
    assert "KAJOVO_DR_DATABASE_URL has a character" in ended.err


@pytest.mark.parametrize("command", [["backup"], ["restore", "--into", "x"]])
def test_a_database_that_is_down_is_unreachable(
    shell: Shell, proven: Backup, small: Server, dead_port: str, command: list[str]
) -> None:
    ended = shell(*command, database_url=_url(small, port=dead_port))
    assert (ended.code, ended.out) == (20, "")
    assert "no answer from kajovo@127.0.0.1:" in ended.err


@pytest.mark.parametrize("command", [["backup"], ["restore", "--into", "x"]])
def test_a_wrong_password_is_told_from_a_missing_server(
    shell: Shell, proven: Backup, small: Server, command: list[str]
) -> None:
    ended = shell(*command, database_url=_url(small, password="Tajné42"))
    assert (ended.code, ended.out) == (21, "")
    assert "the server refused user 'kajovo'" in ended.err


def test_a_missing_database_and_missing_tools_have_their_codes(
    shell: Shell, small: Server, tmp_path: Path
) -> None:
    assert shell("backup", database_url=_url(small, dbname="není")).code == 25
    assert shell("backup", pg_bin=str(tmp_path)).code == 23
    assert shell("backup", backup_dir=str(tmp_path / "unmounted")).code == 30
    assert shell("backup", min_tables="4").code == 42
    assert shell("backup", min_dump_bytes="10000000").code == 45
    assert shell("list").ok().out.startswith("no backups")


def test_a_damaged_backup_is_refused_by_verify_and_restore(
    shell: Shell, proven: Backup, small: Server
) -> None:
    _edited(proven)
    for command in (
        ["restore", "--into", f"{small.dbname}_d"],
        ["verify", proven.name],
        ["verify", str(proven.path)],
        ["restore", proven.name, "--into", f"{small.dbname}_d"],
    ):
        ended = shell(*command)
        assert (ended.code, ended.out) == (41, "")
        assert "the bytes were changed" in ended.err
    ended = shell("verify", proven.name, "--json")
    assert ended.code == 41
    assert ended.json()["ok"] is False
    assert ended.json()["findings"]
    with databases.connect(small) as session:
        assert not databases.exists(session, f"{small.dbname}_d")


def test_a_cut_backup_is_shown_in_the_list_and_never_chosen(
    shell: Shell, backup: Backup, small: Server
) -> None:
    backup.path.write_bytes(backup.path.read_bytes()[:500])
    line = shell("list").ok().out.splitlines()[1]
    assert line.split()[:2] == [backup.name, "damaged"]
    assert "has 500 bytes" in line
    (entry,) = shell("list", "--json").ok().json()
    assert (entry["ok"], entry["state"]) == (False, "damaged")
    assert "has 500 bytes" in entry["problem"]
    assert shell("verify", backup.name).code == 34
    assert shell("restore", "--into", f"{small.dbname}_c").code == 54


def test_a_database_that_is_not_empty_is_never_touched(
    shell: Shell, backup: Backup, small: Server
) -> None:
    ended = shell("restore", backup.name, "--into", small.dbname)
    assert (ended.code, ended.out) == (50, "")
    assert "is not empty" in ended.err
    assert _count(small) == 50


def test_a_second_backup_of_the_same_database_is_refused(shell: Shell, small: Server) -> None:
    with databases.mutex(small, "postgres"):
        assert shell("backup").code == 24
    shell("backup").ok()


def test_debug_shows_where_an_error_came_from(settings: Settings) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kajovo_dr.cli", "--debug", "verify", "nothing"],
        cwd=ROOT,
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 33
    assert b"Traceback" in done.stderr
    assert b"error: no backup 'nothing'" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_ctrl_c_leaves_nothing_and_says_so(settings: Settings, small: Server) -> None:
    # the shell that runs the tests may have told its jobs to ignore Ctrl-C
    script = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from kajovo_dr.cli import main; main()"
    )
    blocked = (
        "SELECT FROM pg_stat_activity WHERE datname = current_database()"
        " AND wait_event_type = 'Lock'"
    )
    with databases.connect(small) as session, session.transaction():
        session.execute("LOCK TABLE hosté IN ACCESS EXCLUSIVE MODE")
        running = subprocess.Popen(
            [sys.executable, "-c", script, "backup"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        with databases.connect(small) as watcher:

            def waits() -> bool:
                return watcher.execute(blocked.encode()).fetchone() is not None

            assert process.wait_until(waits, timeout=60)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
    assert (running.returncode, out) == (130, b"")
    assert b"interrupted; nothing half-done was published" in err
    assert b"Traceback" not in err
    assert [path for path in settings.store_dir.rglob("*") if path.is_file()] == []


# --- words about words


@pytest.mark.parametrize("name", [(), *([each] for each in sorted(cli.commands))])
def test_every_command_explains_itself(shell: Shell, name: list[str]) -> None:
    told = shell(*name, "--help").ok().out
    assert told.startswith("Usage: ")
    command = cli.commands[name[0]] if name else cli
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name
            assert parameter.opts[0] in told


def test_the_version_is_that_of_the_package(shell: Shell) -> None:
    assert shell("--version").ok().out.strip() == f"kajovo-dr, version {__version__}"


def test_the_demo_refuses_to_destroy_a_real_database(shell: Shell, small: Server) -> None:
    ended = shell("demo")
    assert ended.code == 10
    assert "the demo destroys a database" in ended.err
    assert _count(small) == 50


# --- without Dagster


def test_everything_but_up_and_demo_works_when_dagster_is_gone(
    shell: Shell, small: Server, dead_port: str
) -> None:
    dead = _url(small, port=dead_port, dbname="dagster")
    shell = replace(shell, program=("-c", WITHOUT_DAGSTER))
    taken = shell("backup", "--prove", "--json", dagster_url=dead).ok().json()
    name, target = taken["backup_file"], small.database(f"{small.dbname}_w")
    assert name in shell("list", dagster_url=dead).ok().out
    shell("verify", name, dagster_url=dead).ok()
    assert f"ok {name} is proven" in shell("verify", name, "--restore", dagster_url=dead).ok().out
    shell("restore", "--into", target.dbname, dagster_url=dead).ok()
    assert _count(target) == 50
    looked = shell("doctor", "--json", dagster_url=dead)
    assert looked.code == 80
    assert failed_checks(looked) == ["Dagster storage"]


def test_the_guard_against_dagster_notices_an_import(shell: Shell, tmp_path: Path) -> None:
    script = WITHOUT_DAGSTER.replace("from kajovo_dr.cli import main\nmain()", "import dagster")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=120)
    assert done.returncode == 1
    assert b"dagster was imported" in done.stderr


# --- the doctor


@pytest.fixture
def application() -> Iterator[str]:
    """The base URL of something that answers as a ready application does."""

    class Ready(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b'{"status": "ready"}'
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Ready) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


@pytest.fixture
def configured(application: str, tmp_path: Path) -> dict[str, str]:
    """Everything that a recovery needs."""
    return {
        "app_base_url": application,
        "app_email": "jana@hotel.example",
        "app_password": "Tajné42",
        "migrate_dir": str(tmp_path),
        "app_stop_url": f"{application}/stop",
        "app_start_url": f"{application}/start",
        "drill_application": "false",
        "alert_urls": f"{application.replace('http', 'json')}/alerts",
        "heartbeat_url": f"{application}/heartbeat",
    }


def test_a_complete_installation_is_found_healthy(
    shell: Shell, settings: Settings, proven: Backup, configured: dict[str, str]
) -> None:
    drill_history.append(settings.state, drill(started_at=datetime.now(UTC)))
    shell("watchdog", **configured, watch_dagster="false").ok()
    looked = shell("doctor", **configured).ok()
    assert {line[:5] for line in looked.out.splitlines()} == {"ok   "}
    for name in (
        "settings",
        "client tools",
        "store",
        "recovery point",
        "database",
        "server of restores",
        "Dagster storage",
        "application's control",
        "Alembic",
        "readiness",
        "drill",
        "incident log",
    ):
        assert f"ok   {name}: " in looked.out
    assert looked.err == ""


@pytest.mark.parametrize(
    ("variables", "names"),
    [
        ({"pg_bin": "{tmp}"}, ["client tools", "database"]),
        ({"backup_dir": "{tmp}/unmounted"}, ["store"]),
        ({"backup_prefix": "other"}, ["recovery point"]),
        ({"rpo_hours": "0.0000001", "rpo_warn_hours": "0.00000001"}, ["recovery point"]),
        ({"database_url": "{down}"}, ["database", "server of restores"]),
        ({"database_url": "{wrong}"}, ["database", "server of restores"]),
        ({"database_url": "postgresql://jana:Tajné42/@db/x"}, ["database", "server of restores"]),
        ({"restore_url": "{down}"}, ["server of restores"]),
        ({"restore_url": "mysql://jana:Tajné42@db/x"}, ["server of restores"]),
        ({"maintenance_database": "není"}, ["server of proofs", "server of restores"]),
        ({"dagster_url": "{down}"}, ["Dagster storage"]),
        ({"dagster_url": "postgresql://jana:Tajné42@db"}, ["Dagster storage"]),
        ({"dagster_url": "{same}"}, ["Dagster storage"]),
        ({"dagster_url": "{same_by_another_name}"}, ["Dagster storage"]),
        ({"app_base_url": "http://127.0.0.1:{dead}"}, ["readiness"]),
    ],
)
def test_the_doctor_names_each_failure_with_its_next_step(
    shell: Shell,
    proven: Backup,
    small: Server,
    configured: dict[str, str],
    dead_port: str,
    tmp_path: Path,
    variables: dict[str, str],
    names: list[str],
) -> None:
    places = {
        "tmp": str(tmp_path),
        "dead": dead_port,
        "down": _url(small, port=dead_port),
        "wrong": _url(small, password="Tajné42"),
        "same": small.url(),
        "same_by_another_name": _url(small, host="localhost") + "?sslmode=prefer",
    }
    given = {name: value.format(**places) for name, value in variables.items()}
    looked = shell("doctor", "--json", **{**configured, **given})
    assert looked.code == 80
    assert failed_checks(looked) == names
    assert all(each["hint"] for each in looked.json() if each["verdict"] != "ok")
    assert f"error: {len(names)} of " in looked.err
    assert ", ".join(names) in looked.err


def test_a_failure_is_shown_to_people_with_its_next_step(shell: Shell, small: Server) -> None:
    looked = shell("doctor", dagster_url=small.url())
    assert looked.code == 80
    lines = looked.out.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("FAIL Dagster storage: "))
    assert lines[at].endswith("is the protected database itself")
    assert lines[at + 1].startswith("     hint: give Dagster a database of its own")
    assert "FAIL recovery point: there is no backup" in lines


def test_another_database_of_the_same_server_may_hold_dagsters_storage(
    shell: Shell, server: Server
) -> None:
    looked = shell("doctor", "--json", dagster_url=server.url())
    assert "Dagster storage" not in failed_checks(looked)


def test_what_is_not_configured_is_a_warning_with_the_setting_to_set(
    shell: Shell, proven: Backup
) -> None:
    looked = shell("doctor").ok()
    for name in ("KAJOVO_DR_APP_BASE_URL", "KAJOVO_DR_MIGRATE_DIR", "KAJOVO_DR_APP_EMAIL"):
        assert name in looked.out
    assert looked.out.count("warn application: ") == 3


def test_a_backup_that_cannot_be_trusted_is_a_warning(shell: Shell, backup: Backup) -> None:
    shell("backup", "--prove").ok()
    backup.path.write_bytes(b"")
    looked = shell("doctor").ok()
    assert f"warn backup: {backup.name} has 0 bytes" in looked.out
    assert "1 backups in " in looked.out


def test_without_a_database_the_doctor_looks_and_starts_nothing(
    shell: Shell, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KAJOVO_DR_DATABASE_URL")
    looked = shell("doctor").ok()
    assert "warn database: not configured" in looked.out
    assert "warn recovery point: not judged: not configured" in looked.out
    assert not (settings.state / "embedded").exists()


def test_all_settings_are_listed_and_no_secret_is(
    shell: Shell, configured: dict[str, str], tmp_path: Path
) -> None:
    told = shell("doctor", "--settings", **configured).ok().out
    for name, field in Settings.model_fields.items():
        assert f"{PREFIX}{name.upper()} = " in told
        assert f"    {field.description}\n" in told
    assert "KAJOVO_DR_APP_PASSWORD = (set)" in told
    assert "KAJOVO_DR_DATABASE_URL = (set)" in told
    assert "KAJOVO_DR_RESTORE_URL = (unset)" in told
    listed = shell("doctor", "--settings", "--json", **configured).ok().json()
    assert set(listed) == {PREFIX + name.upper() for name in Settings.model_fields}
    assert listed["KAJOVO_DR_MIGRATE_DIR"] == str(tmp_path)


def test_a_secret_inside_a_table_or_a_url_is_not_listed_either(
    shell: Shell, configured: dict[str, str]
) -> None:
    hidden = {
        "MIGRATE_ENV": '{"KEY": "tajné1"}',
        "APP_LOGIN_BODY": '{"pin": "tajné2"}',
        "APP_BASE_URL": "http://admin:tajné3@127.0.0.1:1",
    }
    told = shell("doctor", "--settings", **{**configured, **hidden}).ok().out
    assert "tajné" not in told
    assert "KAJOVO_DR_MIGRATE_ENV = keys: KEY" in told
    assert "KAJOVO_DR_APP_BASE_URL = http://…@127.0.0.1:1" in told
