"""Under test: that a server never outlives the process that wanted it, however that one ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kajovo_dr import process

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")
#: Seconds; a server that outlives its parent would never end.
LIMIT = 60
#: A server with a worker; both write their process ids.
SERVER = """
import os, subprocess, sys, time
from pathlib import Path
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
Path(sys.argv[1]).write_text(f"{os.getpid()} {worker.pid}")
time.sleep(600)
"""
#: A parent that starts the server and waits.
PARENT = """
import os, sys, time
from pathlib import Path
from kajovo_dr import process
process.start([sys.executable, "-c", sys.argv[1], sys.argv[2]], env=dict(os.environ),
              log=Path(sys.argv[2] + ".log"), tethered=True)
time.sleep(600)
"""

#: A tether that needs a second between the start of its server and its next step.
SLOW = """
import subprocess, sys, time
from kajovo_dr import tether
class Slow(subprocess.Popen):
    def __init__(self, *words, **options):
        super().__init__(*words, **options)
        time.sleep(1)
tether.subprocess.Popen = Slow
sys.exit(tether.main())
"""


@pytest.fixture
def pids(tmp_path: Path) -> Callable[[], list[int]]:
    """Process ids of server and worker, once they run."""
    path = tmp_path / "pids"

    def read() -> list[int]:
        assert process.wait_until(lambda: path.exists() and " " in path.read_text(), timeout=LIMIT)
        return [int(word) for word in path.read_text().split()]

    return read


def gone(found: list[int]) -> bool:
    """Ended; a zombie that its new parent has not reaped yet has ended too."""

    def ended(pid: int) -> bool:
        status = Path(f"/proc/{pid}/stat")
        if not process.is_alive(pid):
            return True
        return status.exists() and ") Z " in status.read_text()

    return process.wait_until(lambda: all(map(ended, found)), timeout=LIMIT)


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_parent_takes_its_server_and_the_servers_worker_along(
    tmp_path: Path, pids: Callable[[], list[int]], sig: signal.Signals
) -> None:
    command = [sys.executable, "-c", PARENT, SERVER, str(tmp_path / "pids")]
    with subprocess.Popen(command, env=dict(os.environ)) as parent:
        found = pids()
        parent.send_signal(sig)
    assert gone(found)


def test_a_stopped_server_leaves_no_worker(tmp_path: Path, pids: Callable[[], list[int]]) -> None:
    command = [sys.executable, "-c", SERVER, str(tmp_path / "pids")]
    log = tmp_path / "log"
    running = process.start(command, env=dict(os.environ), log=log, tethered=True)
    found = pids()
    process.stop(running, timeout=LIMIT)
    assert gone(found)
    assert running.returncode != 0


@pytest.mark.parametrize(("script", "code"), [("raise SystemExit(7)", 7), ("pass", 0)])
def test_the_servers_exit_code_is_passed_on(tmp_path: Path, script: str, code: int) -> None:
    command = [sys.executable, "-c", script]
    running = process.start(command, env=dict(os.environ), log=tmp_path / "log", tethered=True)
    assert running.wait(LIMIT) == code
    process.stop(running, timeout=LIMIT)


def test_a_tether_that_is_stopped_while_it_starts_its_server_leaves_none(
    tmp_path: Path, pids: Callable[[], list[int]]
) -> None:
    command = [sys.executable, "-c", SLOW, sys.executable, "-c", SERVER, str(tmp_path / "pids")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as tether:
        found = pids()
        tether.send_signal(signal.SIGINT)
        assert gone(found)
