"""Busy clients in a process of their own, which write down how each of their requests ended.

Started by ``outage`` as ``python -m kajovo_dr_tests.benchmarks.hammer CLIENTS ANSWERS``, with the
database's URL in the environment; ends when it is interrupted. Not here: what is done to the
database meanwhile, and what the answers mean (``heard``).

A client is one connection of a pool: what breaks is opened again by the next request. Together the
clients ask 200 times a second. A failed request is repeated at once, then at growing pauses, up to
the client's usual one: asking faster would take the processor from the restore that is waited for.
"""

from __future__ import annotations

import json
import math
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

from kajovo_dr import process
from kajovo_dr.errors import ServerError
from kajovo_dr.postgres.server import Server

#: Requests per second of all clients together.
RATE = 200
#: Every so many requests a client also writes.
_WRITES = 4
#: Seconds until a failed request is repeated for the second time; doubled for each one after it.
_FIRST_PAUSE_S = 0.0025
#: Seconds in which all clients must have had a first good answer, and in which they must end.
_TIMEOUT_S = 60
_URL = "HAMMERED_URL"
_READ = "SELECT id, title, status FROM reports WHERE id = %s"
_WRITE = "UPDATE reports SET updated_at = now() WHERE id = %s"

#: Reason -> how the server says it.
_REASONS = {
    "session ended": "terminating connection|server closed the connection",
    "no such database": 'database ".*" does not exist',
    "no such table": 'relation ".*" does not exist',
}


class Answer(NamedTuple):
    """How one request ended. began, ended: seconds of the epoch. why: empty when it was good."""

    client: int
    began: float
    ended: float
    why: str


class Hammer:
    """The clients, as their parent sees them. heard: every answer from when each had its first good
    one to the end of the block.
    """

    def __init__(self, clients: int, database: Server, folder: Path) -> None:
        self.heard: list[Answer] = []
        self._clients = clients
        self._database = database
        self._answers = folder / "answers.json"
        self._log = folder / "hammer.log"

    @contextmanager
    def beating(self, calm_s: float) -> Iterator[None]:
        """Hammer while the block runs, and for some calm seconds before and after it."""
        ready = _ready(self._answers)
        ready.unlink(missing_ok=True)
        running = process.start(
            [sys.executable, "-m", __name__, str(self._clients), str(self._answers)],
            env=os.environ | {_URL: self._database.url()},
            log=self._log,
            tethered=True,
        )

        def settled() -> bool:
            return ready.exists() or running.poll() is not None

        try:
            process.wait_until(settled, timeout=_TIMEOUT_S)
            if not ready.exists():
                raise ServerError(f"the clients did not begin: {self._log.read_text()[-500:]}")
            time.sleep(calm_s)
            yield
            time.sleep(calm_s)
        finally:
            process.stop(running, timeout=_TIMEOUT_S)
        self.heard = [Answer(*each) for each in json.loads(self._answers.read_text())]


class _Client:
    def __init__(self, number: int, clients: int) -> None:
        self.answers: list[Answer] = []
        self._number = number
        self._clients = clients
        self._connection: psycopg.Connection[Any] | None = None

    def work(self, ended: threading.Event) -> None:
        usual = self._clients / RATE
        due = time.monotonic() + self._number / RATE  # not all at the same moment
        while not ended.wait(max(0.0, due - time.monotonic())):
            pause = 0.0
            while not self._ask() and not ended.wait(pause):
                pause = min(usual, max(_FIRST_PAUSE_S, 2 * pause))
            missed = max(0, math.ceil((time.monotonic() - due) / usual) - 1)
            due += (1 + missed) * usual  # or clients that waited together would ask together

    def _ask(self) -> bool:
        """Whether the request got a good answer."""
        began, why = time.monotonic(), ""
        try:
            self._request()
        except psycopg.Error as failure:
            why = _why(failure)
            self._let_go()
        self.answers.append(Answer(self._number, began + _EPOCH, time.monotonic() + _EPOCH, why))
        return not why

    def _request(self) -> None:
        if self._connection is None:
            self._connection = psycopg.connect(os.environ[_URL], autocommit=True)
        number = len(self.answers)
        key = 1 + (number * self._clients + self._number) % 50
        if self._connection.execute(_READ, [key]).fetchone() is None:
            raise psycopg.DataError("a row is missing")
        if number % _WRITES == 0:
            self._connection.execute(_WRITE, [key])

    def _let_go(self) -> None:
        if self._connection is not None and self._connection.broken:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None


def _why(failure: psycopg.Error) -> str:
    """In a few words; what a server says while one connects has no SQLSTATE."""
    said = " ".join(str(failure).split())
    return next((word for word, sign in _REASONS.items() if re.search(sign, said)), said[-80:])


#: What a monotonic reading lacks to the epoch: another process has other clocks, but the same time.
_EPOCH = time.time() - time.monotonic()


def _ready(answers: Path) -> Path:
    return answers.with_suffix(".ready")


def main() -> None:
    clients, answers = int(sys.argv[1]), Path(sys.argv[2])
    ended = threading.Event()
    signal.signal(getattr(signal, "SIGBREAK", signal.SIGINT), lambda number, frame: ended.set())
    busy = [_Client(number, clients) for number in range(clients)]
    threads = [threading.Thread(target=each.work, args=(ended,), daemon=True) for each in busy]
    for thread in threads:
        thread.start()
    while not all(each.answers and not each.answers[-1].why for each in busy):
        if ended.wait(0.02):
            return
    began = time.time()
    _ready(answers).touch()
    ended.wait()
    for thread in threads:
        thread.join(_TIMEOUT_S / 2)
    heard = [answer for each in busy for answer in each.answers if answer.began >= began]
    answers.write_text(json.dumps(heard))


if __name__ == "__main__":
    main()
