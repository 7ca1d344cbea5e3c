"""The kill matrix: a recovery, or its undo, is killed at every point, and what follows is judged.

Belongs here: the points, the server, the client that hammers, the verdicts and their table. Not
here: how a process is killed inside (``killed``). ``python -m kajovo_dr_tests.recovery.kill_matrix
FILE`` runs all of it and writes the table into a Markdown file.
"""

from __future__ import annotations

import json
import os
import platform
import select
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from kajovo_dr import doctor, process
from kajovo_dr.backups.take import take
from kajovo_dr.errors import DrError, TargetBusy
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.embedded import EmbeddedServer, _clean_environment
from kajovo_dr.postgres.server import Server
from kajovo_dr.recovery import leftovers
from kajovo_dr.recovery.conduct import run
from kajovo_dr.recovery.incident_log import IncidentLog
from kajovo_dr.recovery.journal import records, unfinished
from kajovo_dr.recovery.resume import abandon, find, resume, standings
from kajovo_dr.recovery.undo import begin_undo, last_swapped
from kajovo_dr.settings import PREFIX, Settings
from kajovo_dr_tests.conftest import _FAST, new_folder
from kajovo_dr_tests.recovery.http_servers import serving
from kajovo_dr_tests.recovery.other_app.library import CHECKOUT, FIRST_REVISION

#: The live name.
NAME = "hotel"
#: Rows by table of the content; each says which content it is. What the client writes is told
#: apart by its label.
ROWS = {"shelves": 400, "books": 20}
BEGINNING = f"""
    {FIRST_REVISION}
    INSERT INTO library.shelves (label) SELECT 'backup' FROM generate_series(1, 400);
    INSERT INTO library.books (title, shelf_id) SELECT 'backup', i FROM generate_series(1, 20) i;
"""
SINCE = "UPDATE library.shelves SET label = 'live'; UPDATE library.books SET title = 'live'"
CONTENT = """
    SELECT string_agg(DISTINCT label, '+'), count(*),
    (SELECT string_agg(DISTINCT title, '+') FROM library.books),
    (SELECT count(*) FROM library.books)
    FROM library.shelves WHERE label NOT LIKE 'zápis %'
"""
WRITE = "INSERT INTO library.shelves (label) VALUES ('zápis ' || %s::int)"
WRITTEN = "SELECT substr(label, 7)::int FROM library.shelves WHERE label ~ '^zápis'"
#: Seconds until a server that was killed must answer again, and the longest that a client may be
#: without an answer. A bound for a hanging one, not a measure of speed.
PATIENCE = 30.0


@dataclass(frozen=True)
class Point:
    """Where to kill. where: in words. The rest is of `killed.Strike`."""

    where: str
    what: str
    match: str
    when: str
    seconds: float = 0
    act: str = "recover"
    application: bool = False
    custom: bool = False


def _boundaries(phase: str) -> tuple[Point, ...]:
    """A phase's beginning and end, as the journal has them. Before its beginning is written it is
    as after the end of the one before.
    """
    return (
        Point(f"{phase}: its beginning is written", "journal", f"{phase} begins", "after"),
        Point(f"{phase}: done, not yet written", "journal", f"{phase} ends", "before"),
        Point(f"{phase}: its end is written", "journal", f"{phase} ends", "after"),
    )


EXCHANGE = "LOCK TABLE pg_catalog.pg_database"
DATABASE = (
    Point("begin: before the journal is written", "journal", "the journal begins", "before"),
    Point("begin: the journal is written", "journal", "the journal begins", "after"),
    *_boundaries("safety"),
    Point("safety: inside pg_dump", "tool", "pg_dump --format", "during", 0.01),
    *_boundaries("restore"),
    Point("restore: before CREATE DATABASE", "statement", "CREATE DATABASE", "before"),
    Point("restore: inside CREATE DATABASE", "statement", "CREATE DATABASE", "during", 0.01),
    Point("restore: created, not yet marked", "statement", "CREATE DATABASE", "after"),
    Point("restore: marked, empty", "statement", "COMMENT ON DATABASE", "after"),
    Point("restore: half of it in psql", "tool", "psql --no-psqlrc", "half", 0.05),
    Point("restore: inside pg_restore", "tool", "pg_restore --dbname", "during", 0.05, custom=True),
    Point("restore: loaded, not compared", "tool", "psql --no-psqlrc", "after"),
    Point("restore: compared, before ANALYZE", "statement", "ANALYZE", "before"),
    Point("restore: before its oid is written", "journal", "room_oid", "before"),
    *_boundaries("revoke"),
    *_boundaries("swap"),
    Point("swap: before attributes are carried over", "statement", "CONNECTION LIMIT", "before"),
    Point("swap: attributes carried over in part", "statement", "CONNECTION LIMIT", "after"),
    Point("swap: before the exchange is sent", "statement", EXCHANGE, "before"),
    Point("swap: 1 ms inside the exchange", "statement", EXCHANGE, "during", 0.001),
    Point("swap: 4 ms inside the exchange", "statement", EXCHANGE, "during", 0.004),
    Point("swap: the exchange is done, not written", "statement", EXCHANGE, "after"),
    Point("swap: before it is written when", "journal", "swapped_at", "before"),
    Point("end: before the incident log", "log", "append", "before"),
    Point("end: after the incident log", "log", "append", "after"),
)
UNDO = (
    Point("undo: its journal is written", "journal", "the journal begins", "after", act="undo"),
    Point("undo: 1 ms inside the exchange", "statement", EXCHANGE, "during", 0.001, act="undo"),
    Point("undo: the exchange is done, not written", "statement", EXCHANGE, "after", act="undo"),
    Point("undo: before the incident log", "log", "append", "before", act="undo"),
)
_APPLICATION: tuple[Any, ...] = (
    ("stop: inside the command", "tool", "unlink", "during", 0.25),
    ("stop: done, not yet written", "journal", "stop ends", "before"),
    ("migrate: inside alembic upgrade", "tool", "upgrade head", "during", 0.6),
    ("migrate: done, not yet written", "journal", "migrate ends", "before"),
    ("legacy: its end is written", "journal", "legacy ends", "after"),
    ("start: inside the command", "tool", "touch", "during", 0.25),
    ("start: done, not yet written", "journal", "start ends", "before"),
    ("readiness: its beginning is written", "journal", "readiness begins", "after"),
    ("smoke: before a module is read", "request", "/books", "before"),
    ("smoke: its end is written", "journal", "smoke ends", "after"),
)
APPLICATION = tuple(replace(Point(*point), application=True) for point in _APPLICATION)
#: What a test has time for; the table has all. What is only written is the process's matter alone,
#: and Alembic takes seconds.
OF_THE_APPLICATION = tuple(
    each for each in APPLICATION if each.what != "journal" or each.where.startswith("smoke")
)
OF_THE_SERVER = (
    *(each for each in DATABASE if each.what != "journal" or each.when == "before"),
    *UNDO[1:3],
    *OF_THE_APPLICATION[:2],
)


@dataclass(frozen=True)
class Row:
    """One line of the table. wrong: what is not as it must be."""

    point: Point
    killed: str
    content: str
    doctor: str
    done: str
    result: str
    seconds: float
    silence: float
    wrong: tuple[str, ...]


class Hammer(threading.Thread):
    """A client that reads and writes under the live name all the time, in sessions of its own."""

    def __init__(self, live: Server) -> None:
        super().__init__(daemon=True)
        self.live = live
        self._over = threading.Event()
        self._good = 0.0
        self.seen: set[str] = set()
        self.acknowledged: list[int] = []
        self.silence = 0.0
        self._number = 0

    def run(self) -> None:
        conninfo = self.live.conninfo()
        self._good = time.monotonic()
        while not self._over.is_set():
            with suppress(psycopg.Error), psycopg.connect(conninfo, autocommit=True) as session:
                for _ in range(10):
                    self._ask(session)
                    if self._over.wait(0.02):
                        break
            self._over.wait(0.01)

    def _ask(self, session: psycopg.Connection[Any]) -> None:
        self.seen.add(content_of(session))
        self._number += 1
        session.execute(WRITE, [self._number])
        self.acknowledged.append(self._number)
        now = time.monotonic()
        self.silence, self._good = max(self.silence, now - self._good), now

    def end(self) -> None:
        self._over.set()
        self.join()


def content_of(session: psycopg.Connection[Any]) -> str:
    """``live``, ``backup``, or what is in it that must never be seen."""
    found = session.execute(CONTENT.encode()).fetchone()
    for content in ("live", "backup"):
        if found == (content, ROWS["shelves"], content, ROWS["books"]):
            return content
    return f"MIXED {found}"


class Reception:
    """An application that is ready while its file lies there."""

    def __init__(self) -> None:
        self.file = Path("missing")
        routes = [Route("/ready", self._ready), Route("/books", self._books)]
        self.app = Starlette(routes=routes)

    def _ready(self, request: Request) -> Response:
        up = self.file.exists()
        return JSONResponse({"status": "ready" if up else "down"}, 200 if up else 503)

    def _books(self, request: Request) -> Response:
        return JSONResponse(list(range(ROWS["books"])))


def _command(what: str, file: Path) -> list[str]:
    """Does it at once, and then is not finished for a while."""
    code = f"import pathlib, sys, time; pathlib.Path(sys.argv[1]).{what}; time.sleep(0.4)"
    return [sys.executable, "-I", "-S", "-c", code, str(file)]


@dataclass
class Field:
    """A server with the database that every case gets a copy of, and its backup."""

    folder: Path
    cluster: EmbeddedServer
    server: Server
    reception: Reception
    url: str
    killer: subprocess.Popen[bytes]
    backups: dict[bool, str] = field(default_factory=dict)
    cases: int = 0
    deaths: int = 0

    def execute(self, statement: str) -> None:
        with databases.connect(self.server) as session:
            session.execute(statement.encode())

    def plant(self) -> None:
        """Make the database, back it up in both formats, and let it live on."""
        self.execute(f"CREATE DATABASE {NAME}")
        source = self.server.database(NAME)
        with databases.connect(source) as session:
            session.execute(BEGINNING.encode())
        for custom in (False, True):
            settings = Settings.load(
                state=self.folder / "state",
                backup_dir=self.folder / "backups",
                backup_format="custom" if custom else "plain",
                database_url=source.url(),
                min_tables=0,
                min_dump_bytes=0,
            )
            (self.folder / "backups").mkdir(exist_ok=True)
            self.backups[custom] = take(settings, source, reason="matrix").backup.name
        with databases.connect(source) as session:
            session.execute(SINCE.encode())
        self.execute(f"ALTER DATABASE {NAME} RENAME TO předloha")

    def revive(self) -> None:
        """Start the server again when it was killed, at the same port."""
        killed = self.cluster._process
        assert killed is not None
        if killed.poll() is None:
            return
        self.deaths += 1
        words = shlex.split((self.cluster._data / "postmaster.opts").read_text())
        deadline = time.monotonic() + PATIENCE
        while True:  # the old server's last process may still end
            started = process.start(
                words,
                env=_clean_environment(),
                log=self.cluster._log,
                cwd=self.cluster._data,
                run_as=self.cluster._user,
            )
            self.cluster._process = started
            while started.poll() is None and not self.cluster._running():
                time.sleep(0.01)
            if started.poll() is None:
                return
            assert time.monotonic() < deadline, self.cluster._log.read_text()[-2000:]
            time.sleep(0.05)

    def dead_since(self, deaths: int) -> bool:
        """Whether it was killed more often than that; it is up again then."""
        self.revive()
        return self.deaths > deaths

    def ordered(self, order: dict[str, Any]) -> dict[str, Any]:
        """Have a process do something, and the server started again whenever it dies."""
        assert self.killer.stdin is not None
        assert self.killer.stdout is not None
        self.killer.stdin.write(json.dumps(order).encode() + b"\n")
        self.killer.stdin.flush()
        while not select.select([self.killer.stdout], [], [], 0.02)[0]:
            self.revive()
        answer: dict[str, Any] = json.loads(self.killer.stdout.readline())
        self.revive()
        return answer


@contextmanager
def field_of_cases() -> Iterator[Field]:
    with ExitStack() as stack:
        folder = new_folder()
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        cluster = EmbeddedServer(folder / "state" / "embedded" / "matrix", "kajovo", _FAST)
        server = stack.enter_context(cluster)
        reception = Reception()
        url = stack.enter_context(serving(reception.app))
        clean = {k: v for k, v in os.environ.items() if not k.startswith(PREFIX)}
        killer = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-m", "kajovo_dr_tests.recovery.killed"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=clean,
                cwd=Path(__file__).parents[2],
            )
        )
        place = Field(folder, cluster, server, reception, url, killer)
        place.plant()
        yield place


class Case:
    """One point: killed there, looked at, brought to an end, and looked at again."""

    def __init__(
        self, place: Field, point: Point, *, server: bool = False, where: str = "", **given: Any
    ) -> None:
        """where: of CREATE DATABASE. given: settings."""
        place.cases += 1
        self.place = place
        self._point = point
        self._kills_server = server
        self.live = place.server.database(NAME)
        self.folder = place.folder / str(place.cases)
        self._up = self.folder / "up"
        self._before, self._after = ("live", "backup")
        if point.act == "undo":
            self._before, self._after = ("backup", "live")
        self._wrong: list[str] = []
        place.execute(f"CREATE DATABASE {NAME} TEMPLATE předloha {where}")
        self.folder.mkdir(mode=0o700)
        shutil.copytree(place.folder / "backups", self.folder / "backups")
        self._up.touch()
        place.reception.file = self._up
        self._given: dict[str, Any] = {
            "state": str(self.folder),
            "backup_dir": str(self.folder / "backups"),
            "database_url": self.live.url(),
        }
        if point.application:
            self._given |= _application(place.url, self._up)
        self._given |= given
        self.settings = Settings.load(**self._given)

    def judged(self) -> Row:
        began = time.monotonic()
        hammer = Hammer(self.live)
        if self._point.act == "undo":
            self.order("recover", strike=False)
        hammer.start()
        try:
            answer = self.failed()
            content = self._content()
            said, what_to_do = self._doctor(answer, content)
            done, expected = self._brought_to_an_end(content, what_to_do)
            result = self._content()
        finally:
            hammer.end()
        self._require(result == expected, f"{done}: {result} instead of {expected}")
        self._require(hammer.seen <= {"live", "backup"}, f"a client saw {hammer.seen}")
        self._require(hammer.silence < PATIENCE, f"no answer for {hammer.silence:.1f} s")
        self._end_is_clean(hammer)
        return Row(
            self._point,
            "server" if self._kills_server else "process",
            {"live": "old", "backup": "new"}.get(content, content),
            said,
            done,
            {"live": "old", "backup": "new"}.get(result, result),
            time.monotonic() - began,
            hammer.silence,
            tuple(self._wrong),
        )

    def failed(self) -> dict[str, Any]:
        """Let it fail; what it said, and its exit code."""
        return self.order(self._point.act, strike=True)

    def _require(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self._wrong.append(otherwise)

    def order(self, act: str, *, strike: bool) -> dict[str, Any]:
        point = self._point
        blow = None
        if strike:
            pid_file = self.place.cluster._data / "postmaster.pid" if self._kills_server else ""
            blow = {name: getattr(point, name) for name in ("what", "match", "when", "seconds")}
            blow["postmaster"] = str(pid_file)
        order = {
            "act": act,
            "strike": blow,
            "environment": {
                PREFIX + name.upper(): value if isinstance(value, str) else json.dumps(value)
                for name, value in self._given.items()
            },
            "request": {
                "database": NAME,
                "backup": self.place.backups[point.custom],
                "database_only": not point.application,
            },
        }
        deaths = self.place.deaths
        answer = self.place.ordered(order)
        if strike and self._kills_server:
            killed = process.wait_until(lambda: self.place.dead_since(deaths), timeout=PATIENCE)
            self._require(killed, f"the server was not killed: {answer}")
        self._require("TRACEBACK" not in answer["said"], answer["said"])
        if strike and not self._kills_server:
            self._require(answer["code"] == -9, f"it was not killed: {answer}")
        return answer

    def _content(self) -> str:
        """What the live name answers, as soon as it does."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                with psycopg.connect(self.live.conninfo()) as session:
                    return content_of(session)
            except psycopg.Error as refused:
                if time.monotonic() > deadline:
                    return f"REFUSED {refused}"
                time.sleep(0.02)

    def _doctor(self, answer: dict[str, Any], content: str) -> tuple[str, str]:
        """What the doctor says, and which way on it leaves."""
        found = standings(self.settings)
        strange = [each.said for each in doctor._beside(self.settings) if each.name == "leftover"]
        self._require(strange == [], f"doctor: {strange}")
        self._require(len(found) < 2, f"doctor: {found}")
        begun = [each for each in records(self.settings.state) if each.kind == self._kind]
        if not found:
            if not begun:
                self._require(content == self._before, f"not begun, but {content}")
                return "nothing was begun", "again"
            self._require(content == self._after, f"doctor says nothing, but it is {content}")
            return "it has ended", "nothing"
        one = found[0]
        words = "as it was before" if content == self._before else ", whole"
        self._require(words in one.said, f"doctor: {one.said}, but it is {content}")
        said = one.said.partition(" by Řehoř ")[2]
        self._require("--resume" in one.hint, f"doctor: {one.hint}")
        return said, "open"

    @property
    def _kind(self) -> str:
        return "undo" if self._point.act == "undo" else "recovery"

    def _brought_to_an_end(self, content: str, way: str) -> tuple[str, str]:
        """What was done, and the content that it must lead to. Every other case goes back."""
        if way == "nothing":
            return "nothing", self._after
        if way == "again":
            self.order(self._point.act, strike=False)
            return "begun again", self._after
        back = self.place.cases % 2 == 0
        if not back:
            return self._tried("resume", self._resume), self._after
        if content == self._before:
            return self._tried("abandon", self._abandon), self._before
        return self._tried("undo", self._undo), self._before

    def _tried(self, name: str, act: Callable[[], Any]) -> str:
        """What the killed process had sent may still hold the lock of its target: then again."""
        for attempt in range(1, 6):
            try:
                act()
            except TargetBusy:
                time.sleep(0.2)
            except DrError as failure:
                self._wrong.append(f"{name}: {failure.described()}")
                return name
            else:
                return name if attempt == 1 else f"{name}, attempt {attempt}"
        self._wrong.append(f"{name}: the target stays busy")
        return name

    def _resume(self) -> None:
        run(self.settings, resume(self.settings, find(self.settings)))

    def _abandon(self) -> None:
        abandon(self.settings, find(self.settings))

    def _undo(self) -> None:
        # an undo is only undone by its id
        which = find(self.settings).id if self._point.act == "undo" else ""
        of = last_swapped(self.settings, which)
        run(self.settings, begin_undo(self.settings, of, who="Řehoř", confirm=of.database))

    def _end_is_clean(self, hammer: Hammer) -> None:
        """Nothing open, no database that nobody knows, no write lost, the application up."""
        settings = self.settings
        self._require(unfinished(settings.state) == [], "a recovery has not ended")
        self._require(standings(settings) == [], f"doctor: {standings(settings)}")
        self._require(IncidentLog.of(settings).verify().ok, "the incident log is broken")
        self._require(self._up.exists(), "the application is down")
        with databases.connect(self.place.server) as admin:
            strange = list(leftovers.unexplained(settings, admin))
            kept = {each.name for each in leftovers.kept(settings, admin, self.place.server)}
            query = "SELECT datname FROM pg_database WHERE datname LIKE %s"
            there = {name for (name,) in admin.execute(query, [f"{NAME}%"])}
            self._require(strange == [], f"unexplained: {strange}")
            self._require(there == kept | {NAME}, f"left: {there - kept - {NAME}}")
            written: set[int] = set()
            for name in there:
                with databases.connect(self.place.server.database(name)) as session:
                    written |= {n for (n,) in session.execute(WRITTEN).fetchall()}
            lost = set(hammer.acknowledged) - written
            self._require(not lost, f"{len(lost)} writes are lost")
            self._require(len(hammer.acknowledged) > 0, "nobody wrote")
            for name in there:
                databases.drop(admin, name)


def _application(url: str, up: Path) -> dict[str, Any]:
    return {
        "app_base_url": url,
        "app_stop_command": _command("unlink(missing_ok=True)", up),
        "app_start_command": _command("touch()", up),
        "app_ready_pause_s": 0.05,
        "app_login_path": "none",
        "app_logout_path": "none",
        "app_csrf_cookie": "none",
        "app_uses_database": False,
        "app_modules": [
            {"name": "b", "paths": ["/books"], "count_sql": "SELECT count(*) FROM library.books"}
        ],
        "app_extras": [],
        "migrate_dir": str(CHECKOUT),
        "migrate_env": {"LIBRARY_DSN": "{sqlalchemy_url}"},
        "migrate_version_table": "library.changes",
    }


def judged(place: Field, points: Sequence[Point], *, server: bool) -> list[Row]:
    return [Case(place, point, server=server).judged() for point in points]


def table(rows: list[Row]) -> str:
    """The rows as Markdown."""
    head = ("killed", "where", "content then", "what the doctor says", "done", "content at the end")
    lines = [[*head, "s", "longest silence, s"]]
    lines.append(["---"] * 6 + ["---:"] * 2)
    for row in rows:
        cells = [row.killed, row.point.where, row.content, row.doctor, row.done, row.result]
        lines.append([*cells, f"{row.seconds:.1f}", f"{row.silence:.2f}"])
        lines.extend([["", "**WRONG**", wrong, *[""] * 5] for wrong in row.wrong])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    began = time.monotonic()
    with field_of_cases() as place:
        rows = [
            *judged(place, (*DATABASE, *UNDO, *APPLICATION), server=False),
            *judged(place, (*DATABASE, *UNDO, *APPLICATION), server=True),
        ]
        with databases.connect(place.server) as session:
            version = databases.facts(session).server_version
    wrong = sum(bool(row.wrong) for row in rows)
    text = f"""# The kill matrix

What is left when a recovery is killed: {len(rows)} points, {wrong} of them with something wrong.
Written by `python -m kajovo_dr_tests.recovery.kill_matrix docs/kill-matrix.md` on
{datetime.now(UTC):%Y-%m-%d} (PostgreSQL {version}, {platform.system()}, {os.cpu_count()} cores,
other work beside; {time.monotonic() - began:.0f} s).

At each point the process of the recovery, or the server with it, gets SIGKILL; the server is
started again at once. All the while a client reads and writes under the live name. "old" is the
content that the name had before, "new" that of the backup; every answer that the client got was
wholly one of the two. Then the recovery is resumed, or given up or undone, in turns. At the end no
recovery is open, every database on the server is the live one or one that was replaced and is kept
for undo, every write that was acknowledged is in one of them, the application is up, and the
incident log's chain is whole.

{table(rows)}
"""
    Path(sys.argv[1]).write_text(text, encoding="utf-8")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
