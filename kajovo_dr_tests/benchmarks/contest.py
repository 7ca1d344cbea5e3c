"""Who runs against whom: our work in processes of its own, the bare client tools beside it.

Belongs here: one round of each kind, the bare tools' arguments, and the rows of the table with
their targets. Not here: what our side does (``worker``), where (``stage``).
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from kajovo_dr import process
from kajovo_dr.backups.manifest import SUFFIXES, Kind
from kajovo_dr.errors import DumpFailed, RestoreFailed
from kajovo_dr.files import private_folder
from kajovo_dr.postgres import client_tools, databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.settings import PREFIX
from kajovo_dr_tests.benchmarks.stage import Stage, Tell
from kajovo_dr_tests.benchmarks.table import Line, Samples

FORMATS: tuple[Kind, ...] = ("plain", "custom")
#: Seconds for one piece of work, of whatever size.
_TIMEOUT_S = 8 * 3600


def lines() -> list[Line]:
    """The rows of the table, in its order."""
    found = []
    for kind, tool in (("plain", "psql"), ("custom", "pg_restore")):
        found += [
            Line(f"{kind}: backup with sha256, roles and manifest, without fingerprint and "
                 "inspection / pg_dump", f"dump {kind}", f"pg_dump {kind}", 1.05),
            Line(f"{kind}: dump with the fingerprint beside it / pg_dump",
                 f"dump beside fingerprint {kind}", f"pg_dump {kind}", 1.35),
            Line(f"{kind}: whole backup, with fingerprint and inspection / pg_dump",
                 f"take {kind}", f"pg_dump {kind}", 1.35),
            Line(f"{kind}: loading / {tool}", f"load {kind}", f"{tool} {kind}", 1.05),
            Line(f"{kind}: whole restore of a proven backup / {tool}",
                 f"restore {kind}", f"{tool} {kind}"),
            Line(f"{kind}: of it, reading the file first", f"restore: verify {kind}",
                 f"{tool} {kind}"),
            Line(f"{kind}: whole proof / {tool}, scratch settings", f"prove {kind}",
                 f"scratch {kind}", 1.5),
            Line(f"{kind}: of it, reading and decoding the file first",
                 f"prove: verify {kind}", f"scratch {kind}"),
            Line(f"{kind}: of it, loading", f"prove: restore {kind}", f"scratch {kind}"),
            Line(f"{kind}: of it, the fingerprint", f"prove: compare {kind}", f"scratch {kind}"),
        ]  # fmt: skip
    return [
        *found,
        Line("large databases, custom / the runbook's pg_dump to SQL: backup",
             "dump custom", "pg_dump plain", 1.0),
        Line("the same: size of the dump file", "bytes custom", "bytes plain", 1 / 3),
        Line("the same: loading / the runbook's psql", "load custom", "runbook psql", 0.7),
    ]  # fmt: skip


@dataclass
class Contest:
    """Rounds on one stage; `measured` grows with each."""

    held: Stage
    tell: Tell
    measured: dict[str, Samples] = field(default_factory=lambda: defaultdict(Samples))

    def run(self, runs: int) -> None:
        """All rounds. Every second one in reverse, so that no side always follows the same."""
        for name, works in (("backups", self._backups()), ("restores", self._restores())):
            for number in range(runs):
                self.tell(f"{name}, round {number + 1} of {runs}")
                for work in works if number % 2 == 0 else reversed(works):
                    work()

    def _backups(self) -> list[Callable[[], None]]:
        self._tool("warm the file cache", "pg_dump", self._dump_words("plain"), self.held.source)
        self.measured.clear()
        return [
            work
            for kind in FORMATS
            for work in (
                partial(self._pg_dump, kind),
                partial(self._ours, "dump", kind, fresh=True),
                partial(self._ours, "take", kind, fresh=True),
            )
        ]

    def _restores(self) -> list[Callable[[], None]]:
        """Proofs come first: what is restored afterwards is proven, as it is in an emergency."""
        works: list[Callable[[], None]] = []
        for kind in FORMATS:
            works += [
                partial(self._bare_restore, f"scratch {kind}", kind, self.held.scratch),
                partial(self._ours, "prove", kind),
            ]
        for kind, tool in zip(FORMATS, ("psql", "pg_restore"), strict=True):
            works += [
                partial(self._bare_restore, f"{tool} {kind}", kind, self.held.source),
                partial(self._ours, "load", kind, database="ours"),
                partial(self._ours, "restore", kind, database="ours"),
            ]
        runbook = partial(
            self._bare_restore, "runbook psql", "plain", self.held.source, autocommit=True
        )
        return [*works, runbook]

    def _store(self, task: str, kind: Kind) -> Path:
        """Where our backups lie; the last one that `take` made is restored later."""
        return self.held.folder / f"{'dump' if task == 'dump' else 'take'}-{kind}"

    def _taken(self, kind: Kind) -> Path:
        [path] = self._store("take", kind).glob(f"*{SUFFIXES[kind]}")
        return path

    def _dump_words(self, kind: Kind) -> list[str]:
        compress = ["--compress=zstd:1"] if kind == "custom" else []
        file = self.held.folder / f"bare.{kind}"
        return [f"--format={kind}", *compress, "--encoding=UTF8", f"--file={file}", "--no-password"]

    def _pg_dump(self, kind: Kind) -> None:
        (self.held.folder / f"bare.{kind}").unlink(missing_ok=True)
        self._tool(f"pg_dump {kind}", "pg_dump", self._dump_words(kind), self.held.source)
        size = (self.held.folder / f"bare.{kind}").stat().st_size
        self.measured[f"bytes {kind}"].add(size)

    def _bare_restore(
        self, name: str, kind: Kind, server: Server, *, autocommit: bool = False
    ) -> None:
        with self._empty(server, "bare") as target:
            if kind == "custom":
                jobs, file = os.cpu_count() or 1, self._taken(kind)
                words = client_tools.restore_arguments(file, dbname="bare", jobs=jobs)
                self._tool(name, "pg_restore", words, target)
                return
            words = [*client_tools.psql_arguments(), f"--file={self._taken(kind)}"]
            words += [] if autocommit else ["--single-transaction"]
            self._tool(name, "psql", words, target)

    def _tool(self, name: str, tool: str, words: list[str], server: Server) -> None:
        begun = time.monotonic()
        done = self.held.transport.run(tool, words, server=server, timeout=_TIMEOUT_S)
        seconds = time.monotonic() - begun
        if done.returncode != 0:
            raise (DumpFailed if tool == "pg_dump" else RestoreFailed)(done.reason)
        self.measured[name].add(seconds)
        self.tell(f"  {name}: {seconds:.2f} s")

    def _ours(self, task: str, kind: Kind, *, fresh: bool = False, database: str = "") -> None:
        store = self._store(task, kind)
        if fresh:
            shutil.rmtree(store, ignore_errors=True)
            private_folder(store)
        if not database:
            self._worker(task, kind, "")
            return
        with self._empty(self.held.source, database, make=task == "load"):
            self._worker(task, kind, database)

    def _worker(self, task: str, kind: Kind, database: str) -> None:
        done = process.run(
            [sys.executable, "-m", "kajovo_dr_tests.benchmarks.worker", task, database],
            env=self._environment(task, kind),
            timeout=_TIMEOUT_S,
        )
        if done.returncode != 0:
            raise (DumpFailed if task in ("dump", "take") else RestoreFailed)(
                f"{task} of a {kind} backup: {done.stderr.strip().splitlines()[-1]}"
            )
        said = json.loads(done.stdout)
        for name, seconds in said["laps"].items():
            self.measured[f"{name} {kind}"].add(seconds, said["peak_bytes"])
        laps = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in said["laps"].items())
        peak = said["peak_bytes"] / 1e6
        self.tell(f"  {kind}: {laps}; own processor {said['cpu']:.2f} s, peak {peak:.0f} MB")

    def _environment(self, task: str, kind: Kind) -> dict[str, str]:
        clean = {key: value for key, value in os.environ.items() if not key.startswith(PREFIX)}
        ours = {
            "STATE": str(self.held.settings.state),
            "DATABASE_URL": self.held.source.url(),
            "BACKUP_DIR": str(self._store(task, kind)),
            "BACKUP_FORMAT": kind,
        }
        return clean | {PREFIX + name: value for name, value in ours.items()}

    @contextmanager
    def _empty(self, server: Server, name: str, *, make: bool = True) -> Iterator[Server]:
        """An empty database (or just its name), on a server with nothing left to write out."""
        with databases.connect(server.database("postgres")) as admin:
            if make:
                databases.create(admin, name, {})
            admin.execute("CHECKPOINT")
            try:
                yield server.database(name)
            finally:
                databases.drop(admin, name)
