"""A wall clock that a test sets and moves, for real processes while they run.

Belongs here: the clock's file, the environment that makes a Python process follow it, and what such
a process does at its start. Not here: which processes (``daemons``). Only the wall clock is moved:
`time.monotonic`, sockets and locks go on in real seconds, and so does the clock between two moves.
"""

from __future__ import annotations

import importlib
import mmap
import os
import struct
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

ROOT = Path(__file__).parents[2]
PRAGUE = ZoneInfo("Europe/Prague")
_VARIABLE = "TEST_CLOCK_FILE"
_OFFSET = struct.Struct("q")  # nanoseconds ahead of the machine's clock
#: Dagster's loops wait in threads of this name.
_DAEMON_THREADS = "dagster-daemon-"
#: Seconds at most until such a wait notices that the clock was moved.
_NOTICE_S = 0.1


class Clock:
    """The test's end: sets and moves the time of every process that has `environment`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "offset"
        self._file.write_bytes(_OFFSET.pack(0))
        self._map = _mapped(self._file, write=True)
        # Python imports this module by itself, before anything of its program
        hook = "from kajovo_dr_tests.defs import clock\nclock.follow()\n"
        (folder / "sitecustomize.py").write_text(hook, encoding="utf-8")
        self._path = os.pathsep.join([str(folder), str(ROOT)])
        self.set(_tomorrow(hour=5))

    @property
    def environment(self) -> dict[str, str]:
        """Variables of a process that follows this clock."""
        return {"PYTHONPATH": self._path, _VARIABLE: str(self._file)}

    def now(self) -> datetime:
        """The time that those processes see."""
        ahead = _OFFSET.unpack_from(self._map)[0]
        return datetime.fromtimestamp((_real_time_ns() + ahead) / 1e9, UTC)

    def set(self, moment: datetime) -> None:
        """Make it this moment now, in every process at once."""
        ahead = round(moment.timestamp() * 1e9) - _real_time_ns()
        _OFFSET.pack_into(self._map, 0, ahead)

    def move(self, **duration: float) -> None:
        """Move it forwards, such as by hours=6."""
        self.set(self.now() + timedelta(**duration))

    def move_to(self, hour: int, minute: int = 0, *, days: int = 0) -> None:
        """Move it to a local time (Europe/Prague) of its day, or of some days after it."""
        day = self.now().astimezone(PRAGUE) + timedelta(days=days)
        self.set(day.replace(hour=hour, minute=minute, second=0, microsecond=0))

    @contextmanager
    def here(self) -> Iterator[None]:
        """This process follows it, too, while the block runs."""
        travelled = _travel(self._map)
        try:
            yield
        finally:
            travelled.stop()


def follow() -> None:
    """What a process does at its start: from now on it sees the test's time."""
    sys.modules["pytest"] = None  # type: ignore[assignment] # time-machine would import it: 0.3 s
    _travel(_mapped(Path(os.environ[_VARIABLE])))
    del sys.modules["pytest"]
    _spare_grpc()
    _wait_by_the_clock()


def _travel(ahead: mmap.mmap) -> Any:
    import time_machine

    class Follower(time_machine.Traveller):
        def time_ns(self) -> int:
            return _real_time_ns() + int(_OFFSET.unpack_from(ahead)[0])

    travel = time_machine.travel(0.0)
    travel.start()
    time_machine.traveller_stack[-1] = Follower(0, None, True)
    return travel


def _spare_grpc() -> None:
    """Its deadlines are moments of the wall clock, which its core compares with the machine's."""
    machine: Any = SimpleNamespace(**vars(time))
    machine.time = lambda: _real_time_ns() / 1e9
    for name in ("_cython.cygrpc", "_channel", "_common", "_server", "_utilities"):
        module: Any = importlib.import_module(f"grpc.{name}")
        module.time = machine


def _wait_by_the_clock() -> None:
    """A daemon that waits for the next minute notices that it has come when the clock is moved."""
    wait_really = threading.Event.wait

    def wait(event: threading.Event, timeout: float | None = None) -> bool:
        ours = threading.current_thread().name.startswith(_DAEMON_THREADS)
        if not ours or timeout is None or timeout <= _NOTICE_S:
            return wait_really(event, timeout)
        end = time.time() + timeout
        while (left := end - time.time()) > 0 and not event.is_set():
            wait_really(event, min(left, _NOTICE_S))
        return event.is_set()

    threading.Event.wait = wait  # type: ignore[assignment,method-assign]


def _mapped(path: Path, *, write: bool = False) -> mmap.mmap:
    with path.open("r+b" if write else "rb") as file:
        access = mmap.ACCESS_WRITE if write else mmap.ACCESS_READ
        return mmap.mmap(file.fileno(), _OFFSET.size, access=access)


def _real_time_ns() -> int:
    machine = sys.modules.get("time_machine")
    if machine is None or not machine.traveller_stack:
        return time.time_ns()
    return int(machine.escape_hatch.time.time_ns())


def _tomorrow(hour: int) -> datetime:
    day = datetime.now(PRAGUE) + timedelta(days=1)
    return day.replace(hour=hour, minute=0, second=0, microsecond=0)
