"""Starts the hotel's API as a process of its own and stops it.

Belongs here: port, environment, waiting until it answers. Not here: the API (``api``), or the
database server that it needs.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import httpx

import kajovo_dr
from kajovo_dr.errors import SandboxError
from kajovo_dr.ports import free_port
from kajovo_dr.postgres.server import Server
from kajovo_dr.process import Running, start, stop, wait_until
from kajovo_dr.sandbox.environment import PREFIX

#: Seconds until a started API must answer; it takes about one.
_START_S = 30.0
_STOP_S = 10.0
_TAIL_LINES = 5


@dataclass(frozen=True)
class RunningApi:
    """An API that answers on base_url."""

    base_url: str
    process: Running
    log: Path

    def stop(self) -> None:
        """End it; a second call does nothing."""
        stop(self.process, timeout=_STOP_S)


def start_api(
    server: Server,
    *,
    folder: Path,
    port: int | None = None,
    email: str,
    password: str,
    media_root: Path,
) -> RunningApi:
    """Start the API on a database and wait until it answers.

    folder: where its log is written. port: None takes a free one. email, password: the admin's.
    Raises `SandboxError` with the end of the log when it does not come up.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "hotel-api.log"
    port = port or free_port()
    process = start(
        [sys.executable, "-m", "kajovo_dr.sandbox.api", "--port", str(port)],
        env=_environment(server, email, password, media_root),
        log=log,
        tethered=True,
    )
    running = RunningApi(f"http://127.0.0.1:{port}", process, log)
    try:
        _wait(running)
    except BaseException:
        running.stop()
        raise
    return running


def _environment(server: Server, email: str, password: str, media_root: Path) -> dict[str, str]:
    inherited = {
        name: value
        for name, value in server.environment().items()
        if not name.startswith(("PG", PREFIX))
    }
    # A checkout that is not installed is found from any working directory.
    package = str(Path(kajovo_dr.__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, (package, inherited.get("PYTHONPATH"))))
    return {
        **inherited,
        "PYTHONPATH": path,
        "PYTHONUTF8": "1",
        PREFIX + "DATABASE_URL": server.sqlalchemy_url(),
        PREFIX + "ADMIN_EMAIL": email,
        PREFIX + "ADMIN_PASSWORD": password,
        PREFIX + "MEDIA_ROOT": str(media_root),
    }


def _wait(running: RunningApi) -> None:
    def answers() -> bool:
        if running.process.poll() is not None:
            return True  # it will never answer
        try:
            return httpx.get(f"{running.base_url}/health", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    in_time = wait_until(answers, timeout=_START_S)
    # A dead process first: another one may have taken the port and answered in its place.
    if running.process.poll() is not None:
        how = f"ended at once with exit code {running.process.returncode}"
    elif not in_time:
        how = f"did not answer within {_START_S:g} s"
    else:
        return
    raise SandboxError(
        f"the hotel's API {how}: {_tail(running.log)}", hint=f"its log is {running.log}."
    )


def _tail(log: Path) -> str:
    with log.open(encoding="utf-8", errors="replace") as lines:
        return " | ".join(deque((line.strip() for line in lines if line.strip()), _TAIL_LINES))
