"""Recoveries in processes of their own, in which the process or the server is killed at one point.

Run as ``python -m kajovo_dr_tests.recovery.killed``: reads orders, one JSON line each, and forks
for each, so that everything is imported once. Belongs here: the points, put around what the package
calls, never into it. Not here: which points, and what must be true afterwards (``kill_matrix``).
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from kajovo_dr import process
from kajovo_dr.errors import DrError
from kajovo_dr.recovery.application import Application
from kajovo_dr.recovery.conduct import run
from kajovo_dr.recovery.incident_log import IncidentLog
from kajovo_dr.recovery.journal import RecoveryJournal
from kajovo_dr.recovery.preflight import plan
from kajovo_dr.recovery.record import RecoveryRecord
from kajovo_dr.recovery.recover import Recovery
from kajovo_dr.recovery.request import Request
from kajovo_dr.recovery.resume import abandon, find, resume
from kajovo_dr.recovery.undo import begin_undo, last_swapped
from kajovo_dr.settings import Settings


class Strike:
    """One blow at one point. what: the kind of point, match: which one, when: before, during (so
    many seconds after its beginning), after. postmaster: whose file names the server to kill;
    empty: this process is killed.
    """

    def __init__(
        self, what: str, match: str, when: str, seconds: float = 0, postmaster: str = ""
    ) -> None:
        self._match, self._when, self._seconds = match, when, seconds
        self._postmaster = postmaster
        self._done = False
        self.around: dict[str, Callable[[], None]] = {
            "journal": self._around_the_journal,
            "statement": self._around_statements,
            "tool": self._around_tools,
            "request": self._around_requests,
            "log": self._around_the_log,
        }
        self.around[what]()

    def _kill(self) -> None:
        if self._done:
            return
        self._done = True
        pid = int(Path(self._postmaster).read_text().splitlines()[0]) if self._postmaster else 0
        os.kill(pid or os.getpid(), signal.SIGKILL)

    def _at(self, here: str, work: Callable[[], Any]) -> Any:
        """Do the work, killing where it is the point."""
        if self._done or self._match not in here:
            return work()
        if self._when == "before":
            self._kill()
        blow = threading.Timer(self._seconds, self._kill)
        if self._when == "during":
            blow.start()
        try:
            return work()
        finally:
            if self._when == "during":
                blow.join()
            elif self._when == "after":
                self._kill()

    def _around_the_journal(self) -> None:
        write = RecoveryJournal._write

        def marked(journal: RecoveryJournal, record: RecoveryRecord) -> None:
            self._at(_what_is_new(journal, record), lambda: write(journal, record))

        _put(RecoveryJournal, "_write", marked)

    def _around_statements(self) -> None:
        execute = psycopg.Cursor.execute

        def marked(cursor: Any, query: Any, *args: Any, **options: Any) -> Any:
            text = query.as_string(None) if isinstance(query, sql.Composable) else query
            text = text.decode() if isinstance(text, bytes) else str(text)
            return self._at(text, lambda: execute(cursor, query, *args, **options))

        _put(psycopg.Cursor, "execute", marked)

    def _around_tools(self) -> None:
        """Inside a tool that reads from us: when it has half of it."""
        whole = process.run

        def marked(argv: Any, **options: Any) -> Any:
            here = " ".join([Path(os.fspath(argv[0])).name, *map(os.fspath, argv[1:])])
            if self._match in here and self._when == "half" and options.get("stdin"):
                options["stdin"] = self._half(options["stdin"])
            return self._at(here, lambda: whole(argv, **options))

        _put(process, "run", marked)

    def _half(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        everything = b"".join(chunks)
        yield everything[: len(everything) // 2]
        time.sleep(self._seconds)  # what it has must have reached the server
        self._kill()
        yield everything[len(everything) // 2 :]

    def _around_requests(self) -> None:
        get = Application.get

        def marked(application: Application, path: str) -> Any:
            return self._at(path, lambda: get(application, path))

        _put(Application, "get", marked)

    def _around_the_log(self) -> None:
        append = IncidentLog.append

        def marked(log: IncidentLog, entry: Any) -> None:
            self._at("append", lambda: append(log, entry))

        _put(IncidentLog, "append", marked)


def _put(owner: Any, name: str, work: Callable[..., Any]) -> None:
    setattr(owner, name, work)


def _what_is_new(journal: RecoveryJournal, record: RecoveryRecord) -> str:
    """``restore begins``, ``restore ends``, ``restore fails``, or the fields that change."""
    if not journal._path.exists():
        return "the journal begins"
    before = journal.record
    changed = {
        name
        for name in RecoveryRecord.model_fields
        if getattr(before, name) != getattr(record, name)
    }
    if changed != {"phases"} or not record.phases:
        return ", ".join(sorted(changed))
    last = record.phases[-1]
    return f"{last.name} {({None: 'begins', True: 'ends', False: 'fails'})[last.ok]}"


def recover(settings: Settings, order: dict[str, Any]) -> None:
    request = Request(who="Řehoř", confirm=order["request"]["database"], **order["request"])
    looked = plan(settings, request)
    looked.require()
    run(settings, Recovery.begin(settings, looked))


def undo(settings: Settings, order: dict[str, Any]) -> None:
    of = last_swapped(settings)
    run(settings, begin_undo(settings, of, who="Řehoř", confirm=of.database))


def go_on(settings: Settings, order: dict[str, Any]) -> None:
    run(settings, resume(settings, find(settings)))


def give_up(settings: Settings, order: dict[str, Any]) -> None:
    abandon(settings, find(settings))


ACTS = {"recover": recover, "undo": undo, "resume": go_on, "abandon": give_up}


def _forked(order: dict[str, Any]) -> str:
    os.environ.update(order["environment"])
    if order["strike"]:
        Strike(**order["strike"])
    try:
        ACTS[order["act"]](Settings.load(), order)
    except DrError as failure:
        return failure.described()
    except BaseException as failure:  # noqa: BLE001 - the matrix shows it
        return f"TRACEBACK {failure!r}"
    return ""


def main() -> None:
    for line in sys.stdin:
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reader)
            os.write(writer, _forked(json.loads(line)).encode())
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as said:
            answer: dict[str, Any] = {"said": said.read().decode()}
        answer["code"] = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
