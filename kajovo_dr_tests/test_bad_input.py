"""Under test: what operators and their surroundings get wrong, through the real command line: each
mistake has its exit code and a sentence, and leaves everything as it was.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kajovo_dr import process
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.prove import prove
from kajovo_dr.backups.take import take
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.settings import PREFIX, Settings
from kajovo_dr_tests.shell import ROOT, Ended, Shell


@pytest.fixture
def shell(settings: Settings, small: Server) -> Shell:
    return Shell((small.params["password"],))


def _is_said(ended: Ended, code: int) -> None:
    assert (ended.code, ended.out) == (code, ""), ended.err
    if code != 2:
        first, second = ended.err.splitlines()[-2:]
        assert first.startswith("error: ")
        assert second.startswith("hint: ")


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every file"
)
def test_a_dump_that_may_not_be_read_is_refused(shell: Shell, backup: Backup) -> None:
    backup.path.chmod(0)
    _is_said(shell("verify", backup.name), 36)
    _is_said(shell("verify", str(backup.path)), 36)


def test_a_folder_in_place_of_a_dump_is_no_backup(shell: Shell, tmp_path: Path) -> None:
    _is_said(shell("verify", str(tmp_path)), 33)


@pytest.mark.parametrize("command", [["backup"], ["list"]])
def test_a_file_in_place_of_the_state_folder_is_refused(
    shell: Shell, tmp_path: Path, command: list[str]
) -> None:
    path = tmp_path / "soubor"
    path.write_text("x")
    ended = shell(*command, state=str(path))
    _is_said(ended, 36)
    assert "soubor" in ended.err
    assert path.read_text() == "x"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["up", "--port", "99999"], 2, "99999"),
        (["up", "--port", "0"], 2, "--port"),
        (["restore", "--into", "x", "--before", ""], 10, "--before is ''"),
        (["restore", "--into", "x", "--before", "0001-01-01T00:00+14:00"], 10, "--before"),
        (["restore", "jméno", "--into", "x", "--before", "2026-11-01T00:00Z"], 2, "--before"),
        (["restore", "--into", "template1"], 50, "template1"),
        (["restore", "--into", "postgres"], 50, "postgres"),
    ],
)
def test_impossible_words_are_refused(
    shell: Shell, proven: Backup, words: list[str], code: int, said: str
) -> None:
    ended = shell(*words)
    _is_said(ended, code)
    assert said in ended.err


def test_a_moment_in_the_future_is_a_mistake(shell: Shell, backup: Backup) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    ended = shell("restore", "--into", "x", "--before", tomorrow)
    _is_said(ended, 10)
    assert "future" in ended.err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows passes text, not bytes")
def test_a_reason_that_is_not_utf8_is_refused(shell: Shell, settings: Settings) -> None:
    _is_said(shell("backup", "--reason", os.fsdecode(b"p\xf8ed")), 10)
    assert not [path for path in settings.store_dir.rglob("*") if path.is_file()]


def test_variables_of_libpq_lead_nowhere_else(
    shell: Shell,
    small: Server,
    new_database: Callable[[str], Server],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {
        "PGHOST": "192.0.2.1",
        "PGHOSTADDR": "192.0.2.1",
        "PGPORT": "1",
        "PGUSER": "nikdo",
        "PGDATABASE": "jinam",
        "PGOPTIONS": "-c search_path=nikam -c default_transaction_read_only=on",
        "PGSERVICE": "nikde",
        "PGSSLMODE": "verify-full",
        "PGCLIENTENCODING": "LATIN2",
    }.items():
        monkeypatch.setenv(name, value)
    taken = shell("backup", "--prove", "--json").ok().json()
    assert taken["database"] == small.dbname
    target = f"{small.dbname}_zpět"
    restored = shell("restore", "--into", target, "--json").ok().json()
    assert restored["rows"] == 54


def test_without_a_name_only_backups_of_the_protected_database_are_restored(
    shell: Shell,
    settings: Settings,
    proven: Backup,
    small: Server,
    new_database: Callable[[str], Server],
) -> None:
    other = new_database(f"{small.dbname}_jiná")
    with databases.connect(other) as session:
        session.execute("CREATE TABLE jiná AS SELECT 1 AS a")
    newer = take(settings, other, reason="test").backup
    prove(settings, newer)
    assert newer.manifest.created_at > proven.manifest.created_at
    restored = shell("restore", "--into", f"{small.dbname}_zpět", "--json").ok().json()
    assert restored["backup"] == proven.name


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM that can be handled")
def test_sigterm_during_a_backup_leaves_nothing(settings: Settings, small: Server) -> None:
    waiting = (
        "SELECT FROM pg_stat_activity WHERE datname = current_database()"
        " AND wait_event_type = 'Lock'"
    )
    with databases.connect(small) as session, session.transaction():
        session.execute("LOCK TABLE hosté IN ACCESS EXCLUSIVE MODE")
        running = subprocess.Popen(
            [sys.executable, "-m", "kajovo_dr.cli", "backup"],
            env={**os.environ, f"{PREFIX}LOCK_TIMEOUT_S": "600"},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        with databases.connect(small) as watcher:
            assert process.wait_until(
                lambda: watcher.execute(waiting.encode()).fetchone() is not None, timeout=60
            )
        running.send_signal(signal.SIGTERM)
        out, err = running.communicate(timeout=60)
    assert (running.returncode, out) == (130, b"")
    assert b"Traceback" not in err
    assert not [path for path in settings.store_dir.rglob("*") if path.is_file()]
