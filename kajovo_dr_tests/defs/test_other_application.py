"""Under test: that the whole recovery of another application, through Dagster, takes settings only.

The definitions are loaded by a new process, as an operator's code location would, whose environment
names a real server, another API and another checkout.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from kajovo_dr.postgres import databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.recovery.incident_log import IncidentLog
from kajovo_dr_tests.recovery.http_servers import serving
from kajovo_dr_tests.recovery.other_app.library import Library, environment
from kajovo_dr_tests.recovery.test_other_app import RESTORED

RUN = """
import json
from dataclasses import asdict
from kajovo_dr.defs.launch import run_job
from kajovo_dr.progress import silent
from kajovo_dr.settings import Settings
form = {"who": "knihovnice", "database": "knihovna č. 2", "confirm": "knihovna č. 2"}
outcome = run_job(Settings.load(), "incident_recovery_job", form, partition=None, watch=silent)
print(json.dumps(asdict(outcome)))
"""


def test_a_lost_library_comes_back(
    new_database: Callable[[str], Server], state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = new_database("knihovna č. 2")
    with psycopg.connect(lost.conninfo()) as connection:
        connection.execute(RESTORED.encode())
    library = Library(lost)
    with serving(library.app) as url:
        for name, value in environment(url).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("KAJOVO_DR_STATE", str(state))
        monkeypatch.setenv("KAJOVO_DR_DATABASE_URL", lost.url())
        monkeypatch.setenv("KAJOVO_DR_DAGSTER_URL", new_database("dagster").url())
        monkeypatch.setenv("KAJOVO_DR_BACKUP_FORMAT", "custom")
        monkeypatch.setenv("PYTHONWARNINGS", "ignore")
        run("-m", "kajovo_dr.cli", "backup", "--prove")
        with databases.connect(lost.database("postgres")) as session:
            databases.drop(session, lost.dbname)
        outcome = json.loads(run("-c", RUN).splitlines()[-1])
    assert outcome["success"], outcome["failure"]
    assert outcome["checks"] == {
        "api_ready": True,
        "smoke_books": True,
        "smoke_shelves": True,
        "smoke_extras": True,
        "within_rto": True,
    }
    (entry,) = IncidentLog(state).read()
    assert entry.succeeded
    assert entry.who == "knihovnice"
    details = {phase.name: phase.detail for phase in entry.phases}
    assert details["migrate"] == "first_shelves to second_isbn"


def run(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, *words],
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
