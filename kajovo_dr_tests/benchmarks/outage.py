"""How long a recovery is felt: ``python -m kajovo_dr_tests.benchmarks.outage --help``.

Belongs here: what is done to a database under busy clients, by the runbook's way and by ours, and
the command line. Not here: the clients (``hammer``), what they heard (``heard``), the page
(``outage_page``). No time is judged by a test: it depends on the machine.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import click

from kajovo_dr.backups.prove import prove, require_proven
from kajovo_dr.backups.take import take
from kajovo_dr.errors import DumpFailed, RestoreFailed
from kajovo_dr.postgres import client_tools, databases
from kajovo_dr.postgres.embedded import EmbeddedServer
from kajovo_dr.postgres.server import Server
from kajovo_dr.recovery import conduct, preflight
from kajovo_dr.recovery.journal import records
from kajovo_dr.recovery.record import Phase
from kajovo_dr.recovery.recover import Recovery
from kajovo_dr.recovery.request import Request
from kajovo_dr.recovery.undo import begin_undo, last_swapped
from kajovo_dr.settings import Settings
from kajovo_dr_tests.benchmarks import outage_page, stage
from kajovo_dr_tests.benchmarks.command import gigabytes_option, output_option, show, tell
from kajovo_dr_tests.benchmarks.hammer import RATE, Answer, Hammer
from kajovo_dr_tests.benchmarks.heard import Heard, heard
from kajovo_dr_tests.benchmarks.outage_page import CLIENTS, Step, Way, Whole

#: Who owns the database and asks it: no superuser, so that it can be ended and can own a swap.
_ROLE = "hotel"
_TIMEOUT_S = 8 * 3600


@dataclass
class Outages:
    """One database, and all that is done to it. live: as its clients know it. calm_s: seconds of
    requests before and after each.
    """

    settings: Settings
    admin: Server
    live: Server
    folder: Path
    repeat: int
    calm_s: float
    tell: stage.Tell
    ways: list[Way] = field(default_factory=list)

    def run(self) -> Whole:
        """Everything, in one run; what the whole recovery was like."""
        few, many = CLIENTS
        for clients in CLIENTS:
            self._calm(clients)
        dump = self._dumped()
        self._backed_up()
        self._runbook(dump, few)
        whole = self._recovery(few)
        for ordinary in (False, True):
            for clients in (few, many):
                for _ in range(self.repeat):
                    self._swap(clients, ordinary=ordinary)
        return whole

    @contextmanager
    def _hammered(self, clients: int) -> Iterator[list[Answer]]:
        """Yields what will have been heard when the block has ended."""
        hammer = Hammer(clients, self.live, self.folder)
        answers: list[Answer] = []
        with hammer.beating(self.calm_s):
            yield answers
        answers += hammer.heard

    def _add(self, name: str, clients: int, found: Heard) -> None:
        self.tell(f"  {name}, {clients} clients: {found}")
        self.ways.append(Way(name, clients, found))

    def _calm(self, clients: int) -> None:
        for _ in range(self.repeat):
            with self._hammered(clients) as answers:
                time.sleep(self.calm_s)
            self._add("calm", clients, heard(answers))

    def _dumped(self) -> Path:
        file = self.folder / "runbook.sql"
        self._tool("pg_dump", ["--format=plain", f"--file={file}", "--no-password"])
        return file

    def _backed_up(self) -> None:
        self.tell("backup and its proof")
        backup = take(self.settings, self._source(), reason="benchmark").backup
        require_proven(backup.name, prove(self.settings, backup))

    def _source(self) -> Server:
        return self.admin.database(self.live.dbname)

    def _tool(self, tool: str, words: list[str]) -> None:
        transport = client_tools.transport_for(self.settings.pg_bin)
        done = transport.run(tool, words, server=self._source(), timeout=_TIMEOUT_S)
        if done.returncode != 0:
            raise (DumpFailed if tool == "pg_dump" else RestoreFailed)(done.reason)

    def _runbook(self, dump: Path, clients: int) -> None:
        """Drop and create, then the plain dump into the live name."""
        words = [*client_tools.psql_arguments(), "--single-transaction", f"--file={dump}"]
        with self._hammered(clients) as answers:
            with databases.connect(self.admin) as session:
                databases.drop(session, self.live.dbname)
                databases.create(session, self.live.dbname, {})
                session.execute(f'ALTER DATABASE "{self.live.dbname}" OWNER TO {_ROLE}'.encode())
            self._tool("psql", words)
        self._add("runbook", clients, heard(answers))

    def _recovery(self, clients: int) -> Whole:
        """A whole recovery, of which the clients notice the swap."""
        asked = Request(self.live.dbname, self.live.dbname, "benchmark", database_only=True)
        with self._hammered(clients) as answers:
            plan = preflight.plan(self.settings, asked)
            plan.require()
            entry = conduct.run(self.settings, Recovery.begin(self.settings, plan))
        self._add("recovery", clients, heard(answers))
        swap = next(each for each in entry.phases if each.name == "swap")
        # a client finds out with its next request that it was disconnected
        self._add("swap", clients, _within(swap, answers, later=clients / RATE))
        return Whole(entry, [Step(each, _within(each, answers)) for each in entry.phases])

    def _swap(self, clients: int, *, ordinary: bool) -> None:
        """The databases change places: an undo, or the undo of an undo."""
        server = self.live if ordinary else self._source()
        settings = self.settings.with_overrides(restore_url=server.url())
        name = "ordinary" if ordinary else "swap"
        with self._hammered(clients) as answers:
            last = last_swapped(settings, records(settings.state)[-1].id)
            undo = begin_undo(settings, last, who="benchmark", confirm=self.live.dbname)
            conduct.run(settings, undo)
        self._add(name, clients, heard(answers))


def _within(phase: Phase, answers: list[Answer], *, later: float = 0.0) -> Heard:
    assert phase.began_at is not None
    assert phase.ended_at is not None
    return heard(answers, phase.began_at.timestamp(), phase.ended_at.timestamp() + later)


@contextmanager
def _prepared(gigabytes: float, repeat: int, calm_s: float, tell: stage.Tell) -> Iterator[Outages]:
    """A server as PostgreSQL comes, so with fsync and autovacuum, and the database on it."""
    folder = Path(tempfile.mkdtemp(prefix="kajovo-dr-outage-"))
    folder.chmod(0o711)  # the server's unprivileged user must reach its data
    try:
        stage._require_space(folder, gigabytes)
        bare = Settings(state=folder / "state")
        with EmbeddedServer(folder / "state" / "embedded" / "source", "kajovo") as admin:
            transport = client_tools.transport_for(bare.pg_bin)
            live = stage._make(_role(admin), transport, gigabytes, tell)
            url = admin.database(live.dbname).url()
            settings = Settings.model_validate({"state": bare.state, "database_url": url})
            try:
                yield Outages(settings, admin, live, folder, repeat, calm_s, tell)
            finally:
                stage._stop_orphan(settings)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _role(admin: Server) -> Server:
    password = secrets.token_urlsafe(16)
    with databases.connect(admin) as session:
        words = f"CREATE ROLE {_ROLE} LOGIN CREATEDB PASSWORD '{password}' IN ROLE pg_checkpoint"
        session.execute(words.encode())
    return replace(admin, params={**admin.params, "user": _ROLE, "password": password})


def _measured(gigabytes: float, repeat: int, calm_s: float, note: str, tell: stage.Tell) -> str:
    began = outage_page.load()
    with _prepared(gigabytes, repeat, calm_s, tell) as outages:
        whole = outages.run()
        loads = f"{began} at the beginning, {outage_page.load()} at the end"
        facts = outage_page.facts(outages.live, loads)
    if note:
        facts["beside it"] = note
    again = f"--gigabytes {gigabytes:g} --repeat {repeat}"
    return outage_page.render(facts, outages.ways, whole, again)


@click.command()
@gigabytes_option
@click.option(
    "--repeat",
    type=click.IntRange(1, 100),
    default=5,
    show_default=True,
    help="Swaps of each kind.",
)
@click.option(
    "--calm",
    type=click.FloatRange(0.01, 600),
    default=1.0,
    show_default=True,
    help="Seconds of requests before and after what is measured.",
)
@click.option("--note", default="", help="What else ran on the machine, for the page.")
@output_option
def main(gigabytes: float, repeat: int, calm: float, note: str, output: Path | None) -> None:
    """Measure how long clients of a database notice that it is recovered, as a Markdown page.

    Starts servers of its own in a temporary folder, which is removed at the end and needs about
    eight times the database's size. Progress goes to standard error.
    """
    show(lambda: _measured(gigabytes, repeat, calm, note, tell), output)


if __name__ == "__main__":
    main()
