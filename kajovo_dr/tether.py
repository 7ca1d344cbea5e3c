"""Runs one server and ends it, with all that it started, when the process that wanted it is gone.

A killed parent cannot stop its children. This small process stands between them: its standard input
is a pipe from the parent, and the end of that pipe means that the parent ended, in whatever way.
Run as a script by ``process.start(tethered=True)``; it imports nothing of kajovo_dr.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from types import FrameType

#: Seconds that the server may take to end by itself after its parent is gone.
_GRACE_S = 15
#: Windows: CREATE_NEW_PROCESS_GROUP, without which Ctrl-Break would reach us too.
_NEW_PROCESS_GROUP = 0x200


def main() -> int:
    """Run argv[1:] until it ends; its exit code, or 128 and the signal that killed it."""
    posix = os.name == "posix"
    asked = threading.Event()
    started: list[subprocess.Popen[bytes]] = []

    def forward(number: int, frame: FrameType | None) -> None:
        asked.set()
        for each in started:
            _ask(each)

    # before the server starts: interrupted between the two, we would leave it behind
    for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), forward)
    child: subprocess.Popen[bytes] = subprocess.Popen(
        sys.argv[1:],
        stdin=subprocess.DEVNULL,
        start_new_session=posix,
        creationflags=0 if posix else _NEW_PROCESS_GROUP,
    )
    started.append(child)
    if asked.is_set():
        _ask(child)
    threading.Thread(target=_watch_parent, args=(child,), daemon=True).start()
    code = int(child.wait())
    _kill_group(child.pid)
    return code if code >= 0 else 128 - code


def _watch_parent(child: subprocess.Popen[bytes]) -> None:
    while os.read(0, 1024):
        pass
    _ask(child)
    try:
        child.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        child.kill()


def _ask(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGINT))


def _kill_group(group: int) -> None:
    """What the server left behind: workers that outlive it would serve a system that is gone."""
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
