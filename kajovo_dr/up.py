"""``kajovo-dr up``: the servers, the sandbox where nothing real is configured, and the Dagster UI.

Belongs here: the order of starting and stopping. Not here: what the servers are
(``sandbox.stack``).
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from contextlib import ExitStack

from kajovo_dr import process, terminal
from kajovo_dr.errors import SettingError, ToolTimeout
from kajovo_dr.sandbox import stack
from kajovo_dr.settings import Settings

#: Seconds until the UI must listen: code server, webserver and daemon start one after the other.
_START_S = 180
#: Seconds that `dagster dev` may take to end its children (2 to 5 normally, 29 seen).
_STOP_S = 60


def run(settings: Settings, *, port: int) -> None:
    """Run everything until Ctrl-C, or until the UI ends by itself, which is an error."""
    if _listens(port):
        raise SettingError(
            f"port {port} of 127.0.0.1 is in use", hint="choose another one: kajovo-dr up --port N."
        )
    # a shell's background job ignores Ctrl-C, and would leave everything running
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ExitStack() as running:
        with terminal.progress() as progress:
            complete = running.enter_context(stack.whole(settings, progress=progress))
        _serve(complete, port)
        terminal.tell("stopping the servers")


def _serve(settings: Settings, port: int) -> None:
    from kajovo_dr.defs.launch import dagster_home

    module = "kajovo_dr.definitions"
    dagster = process.start(
        [sys.executable, "-m", "dagster", "dev", "-h", "127.0.0.1", "-p", str(port), "-m", module],
        env={**os.environ, "DAGSTER_HOME": str(dagster_home(settings))},
        log=None,
    )
    try:
        listening = process.wait_until(
            lambda: _listens(port) or dagster.poll() is not None, timeout=_START_S
        )
        if not listening:
            raise ToolTimeout(f"the Dagster UI does not listen on port {port} after {_START_S} s")
        if dagster.poll() is None:
            terminal.say(f"\nDagster UI: http://127.0.0.1:{port}   (Ctrl-C stops everything)\n")
        code = dagster.wait()
        raise SettingError(
            f"the Dagster UI ended with exit code {code}", hint="the lines above say why."
        )
    except KeyboardInterrupt:
        terminal.tell("\nstopping the Dagster UI")
    finally:
        process.stop(dagster, timeout=_STOP_S)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
