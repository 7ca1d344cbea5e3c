"""Where damage through SQL is done: the backup restored once, and clones of it.

Belongs here: the databases of one exercise on the scratch server, and dumps of them. Not here: the
damages, or anything about a server that is not scratch.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from psycopg import sql

from kajovo_dr.backups.manifest import Kind
from kajovo_dr.errors import DumpFailed
from kajovo_dr.files import open_private
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.postgres.transport import Transport
from kajovo_dr.settings import Settings


@dataclass(frozen=True)
class Bench:
    """scratch: the server's maintenance database; base: the backup, restored and undamaged.

    sampled: (schema, name) of tables of which only a sample of the rows is compared.
    """

    settings: Settings
    transport: Transport
    scratch: Server
    base: Server
    sampled: frozenset[tuple[str, str]] = frozenset()

    @contextmanager
    def clone(self) -> Iterator[Server]:
        """A copy of the base that may be damaged; dropped afterwards."""
        name = f"{self.base.dbname}_clone"
        with databases.connect(self.scratch) as admin:
            databases.drop(admin, name)
            admin.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                    sql.Identifier(name), sql.Identifier(self.base.dbname)
                )
            )
            self._mark(admin, name)
            try:
                yield self.base.database(name)
            finally:
                databases.drop(admin, name)

    @contextmanager
    def empty(self) -> Iterator[Server]:
        """A database that has nothing to do with the backup; dropped afterwards."""
        name = f"{self.base.dbname}_other"
        with databases.connect(self.scratch) as admin:
            databases.drop(admin, name)
            databases.create(admin, name, {})
            self._mark(admin, name)
            try:
                yield self.base.database(name)
            finally:
                databases.drop(admin, name)

    @contextmanager
    def role(self, name: str) -> Iterator[None]:
        """A role that may read everything; dropped afterwards, with what it was given."""
        identifier = sql.Identifier(name)
        with databases.connect(self.scratch) as admin:
            admin.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(identifier))
            admin.execute(sql.SQL("CREATE ROLE {} IN ROLE pg_read_all_data").format(identifier))
            try:
                yield
            finally:
                admin.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(identifier))

    def dump(self, database: Server, kind: Kind, path: Path, *options: str) -> None:
        """Dump a database of the scratch server in place of a file."""
        path.unlink(missing_ok=True)
        words = [f"--format={kind}", "--encoding=UTF8", "--no-password", *options]
        with open_private(path) as handle:

            def sink(chunk: bytes) -> None:
                handle.write(chunk)

            done = self.transport.run(
                "pg_dump",
                words,
                server=database,
                timeout=self.settings.dump_timeout_s,
                stdout=sink,
            )
        if done.returncode != 0:
            raise DumpFailed(f"{database.shown}: {done.reason}")

    def _mark(self, admin: databases.Connection, name: str) -> None:
        """Comment it as the base is, so that what a killed exercise leaves is dropped with it."""
        databases.comment(admin, name, databases.commented(admin, self.base.dbname))
