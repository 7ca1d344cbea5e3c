"""``kajovo-dr up``: the servers, the sandbox where nothing real is configured, and the Dagster UI.

Belongs here: the order of starting and stopping. Not here: what the servers are
(``sandbox.stack``).
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import ExitStack

from kajovo_dr import process, terminal
from kajovo_dr.errors import SettingError, ToolTimeout
from kajovo_dr.ports import listens
from kajovo_dr.sandbox import stack
from kajovo_dr.settings import PREFIX, Settings

#: Seconds until the UI must listen: code server, webserver and daemon start one after the other.
_START_S = 180
#: Seconds that `dagster dev` may take to end its children (2 to 5 normally, 29 seen).
_STOP_S = 60


def run(settings: Settings, *, port: int) -> None:
    """Run everything until Ctrl-C, or until the UI ends by itself, which is an error."""
    url = f"http://127.0.0.1:{port}"
    # a shell's background job ignores Ctrl-C, and a closed terminal must not leave anything running
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.default_int_handler)
    with ExitStack() as running:
        running.enter_context(stack.exclusive(settings, user=f"kajovo-dr up ({url})"))
        if listens(port):
            raise SettingError(
                f"port {port} of 127.0.0.1 is in use",
                hint="choose another one: kajovo-dr up --port N.",
            )
        with terminal.progress() as progress:
            complete = running.enter_context(stack.whole(settings, progress=progress))
        _serve(complete, port, url, own_storage=settings.dagster_url is None)
        terminal.tell("stopping the servers")


def _serve(settings: Settings, port: int, url: str, *, own_storage: bool) -> None:
    from kajovo_dr.defs import launch

    home = launch.dagster_home(settings)
    if own_storage:  # nobody else can run on it, so a run in progress died with its processes
        for job in launch.end_dead_runs(settings):
            terminal.tell(f"a run of {job} was cut off when kajovo_dr last ended; marked as failed")
    # the command is superseded by one of a package that operators need not install
    python = [sys.executable, "-W", "ignore:Function `dev_command`", "-m"]
    workspace = str(home / "workspace.yaml")
    dagster = process.start(
        [*python, "dagster", "dev", "-h", "127.0.0.1", "-p", str(port), "-w", workspace],
        # alerts link to the runs of this UI, unless it is known under another address
        env={**os.environ, f"{PREFIX}UI_URL": settings.ui_url or url, "DAGSTER_HOME": str(home)},
        log=None,
        cwd=home,
        tethered=True,
    )
    try:
        listening = process.wait_until(
            lambda: listens(port) or dagster.poll() is not None, timeout=_START_S
        )
        if not listening:
            raise ToolTimeout(f"the Dagster UI does not listen on port {port} after {_START_S} s")
        if dagster.poll() is None:
            terminal.say(f"\nDagster UI: {url}   (Ctrl-C stops everything)\n")
        code = dagster.wait()
        raise SettingError(
            f"the Dagster UI ended with exit code {code}", hint="the lines above say why."
        )
    except KeyboardInterrupt:
        terminal.tell("\nstopping the Dagster UI")
    finally:
        process.stop(dagster, timeout=_STOP_S)
