"""The two commands of a newcomer, as processes: the whole river, and the servers behind the UI."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from kajovo_dr import process
from kajovo_dr.errors import SandboxError, SettingError
from kajovo_dr.ports import free_port
from kajovo_dr.recovery.incident_log import IncidentLog

COMMAND = [sys.executable, "-m", "kajovo_dr.cli"]


def environment(state: Path, **settings: str) -> dict[str, str]:
    return os.environ | {"KAJOVO_DR_STATE": str(state), "PYTHONWARNINGS": "ignore"} | settings


def demo(state: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "demo", "--rows", "300"],
        env=environment(state, **settings),
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


def servers_of(state: Path) -> list[Path]:
    """Clusters of a state folder whose server still runs."""
    files = state.glob("embedded/*/data/postmaster.pid")
    return [path for path in files if process.is_alive(int(path.read_text().split()[0]))]


def test_the_demo_holds_twice_and_stops_its_servers(state: Path) -> None:
    for run in (1, 2):
        done = demo(state)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "All of it held." in done.stdout
        assert "FAIL" not in done.stdout
        entries = IncidentLog(state).read()
        assert [entry.succeeded for entry in entries] == [True] * run
        assert servers_of(state) == []
    assert not any(word in done.stderr for word in ("Traceback", "Warning"))


def test_the_demo_fails_when_an_objective_is_missed(state: Path) -> None:
    done = demo(state, KAJOVO_DR_RTO_WARN_MINUTES="0.0001", KAJOVO_DR_RTO_MINUTES="0.0002")
    assert done.returncode == SandboxError.exit_code
    assert "within_rto" in done.stderr
    assert "All of it held." not in done.stdout
    assert servers_of(state) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KAJOVO_DR_DATABASE_URL", "postgresql://u:p@127.0.0.1:1/real"),
        ("KAJOVO_DR_RESTORE_URL", "postgresql://u:p@127.0.0.1:1/real"),
        ("KAJOVO_DR_APP_BASE_URL", "http://127.0.0.1:1"),
        ("KAJOVO_DR_MIGRATE_DIR", "."),
        ("KAJOVO_DR_BACKUP_DIR", "."),
        ("KAJOVO_DR_DAGSTER_URL", "postgresql://u:p@127.0.0.1:1/real"),
    ],
)
def test_the_demo_never_leaves_the_sandbox(state: Path, name: str, value: str) -> None:
    done = demo(state, **{name: value})
    assert done.returncode == SettingError.exit_code
    assert f"{name} may be real" in done.stderr
    assert not state.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT as Ctrl-C does")
def test_one_ctrl_c_stops_the_ui_and_all_servers(state: Path) -> None:
    port = free_port()
    log = state.parent / "up.log"
    with log.open("wb") as sink:
        running = subprocess.Popen(
            [*COMMAND, "up", "--port", str(port)],
            env=environment(state),
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
    try:
        assert process.wait_until(lambda: "Dagster UI: http" in log.read_text(), timeout=120)
        query = "{ assetNodes { assetKey { path } } instance { daemonHealth { id } } }"
        url = f"http://127.0.0.1:{port}/graphql"
        with httpx.Client(trust_env=False) as client:
            assets = client.post(url, json={"query": query}, timeout=60).json()["data"][
                "assetNodes"
            ]
        assert ["incident_log_entry"] in [asset["assetKey"]["path"] for asset in assets]
        second = subprocess.run(
            [*COMMAND, "up", "--port", str(port)],
            env=environment(state),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert second.returncode == SettingError.exit_code
        assert f"kajovo-dr up (http://127.0.0.1:{port}) runs on the state folder" in second.stderr
        assert len(servers_of(state)) == 2
    finally:
        running.send_signal(signal.SIGINT)
        code = running.wait(90)
    assert code == 0, log.read_text()
    assert servers_of(state) == []
    assert "Traceback" not in log.read_text()
