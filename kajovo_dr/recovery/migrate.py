"""Lifting the restored database to the code's schema with the application's own Alembic.

Belongs here: running the configured command, proving before that it works on this database and
afterwards that it did what it said: one head, the database at it, models and tables equal. Not
here: any knowledge of the schema.

Exit codes prove little: ``check`` ends with 255 both for an old database and for drift, ``current``
with 0 on a database that was never stamped.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from psycopg import errors as pg
from psycopg import sql

from kajovo_dr import process
from kajovo_dr.errors import MigrationFailed, SettingError
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.progress import Progress, silent
from kajovo_dr.recovery.command_environment import command_environment
from kajovo_dr.redact import redacted
from kajovo_dr.settings import Settings

#: How a mark begins (see `_marked`); with 16 digits it fills Alembic's varchar(32).
_MARK = "kajovo_dr_probe_"
_UNKNOWN = re.compile(r"Can't locate revision identified by '(.*?)'")
#: A line of ``history``: ``0023_before -> 0024_this (head), what it does``.
_REVISION = re.compile(r"(?:<base>|\S+(?:, \S+)*) -> (\S+)((?: \([\w ]+\))*), ")
#: Lines in which Alembic and Python say what went wrong; the lines after them only explain.
_REASON = re.compile(r"^(FAILED:|[\w.]+(Error|Exception)\b|.*No module named )")
#: What ``check`` found; of serial columns it says that it detected a sequence, which is none.
_DIFFERENCE = re.compile(r" Detected (?!sequence named)(.*)")
#: How ``check`` begins its list of differences, and how each of them begins there.
_DRIFT = "New upgrade operations detected"
_OPERATION = re.compile(r"\('(add|remove|modify)_[a-z_]+', ")
#: What Alembic says -> what the operator can do about it.
_REMEDIES = {
    "No module named": "set KAJOVO_DR_MIGRATE_COMMAND to the Alembic of the application's own "
    'environment, such as ["/srv/app/.venv/bin/alembic"].',
    "Can't locate revision": "the code in KAJOVO_DR_MIGRATE_DIR is older than the backup: check "
    "out the version that the backup was made with, or a newer one.",
    "StringDataRightTruncation": "a revision's id may be longer than the version column: ALTER "
    "TABLE {table} ALTER COLUMN version_num TYPE varchar(128) in the restored database, then "
    "migrate again.",
    _DRIFT: "tables and models differ although the revision is the "
    "code's: restore with the code of the backup's time, or write the missing migration.",
}


@dataclass(frozen=True)
class Migration:
    """before: the revision that was restored (None: an empty database). steps: one per revision."""

    before: str | None
    after: str
    head: str
    steps: tuple[str, ...]
    seconds: float


def migrate(settings: Settings, server: Server, *, progress: Progress = silent) -> Migration:
    """Upgrade the database to the code's one head and verify it. Raises `MigrationFailed`."""
    began = time.monotonic()
    alembic = _Alembic(settings, server, progress)
    head, longest = alembic.history()
    before = _revisions(settings, server)
    if not before:
        _require_empty(settings, server)
    alembic.require_same_database(before)
    widened = _widen_version_column(settings, server, longest)
    steps = (*widened, *alembic.upgrade())
    after = _revisions(settings, server)
    if after != [head]:
        raise MigrationFailed(
            f"after the upgrade the database is at {after or 'no revision'}, the code at {head}",
            hint="the command ended well but left nothing behind: look whether the application's "
            "env.py commits.",
        )
    alembic.check()
    return Migration(
        before=", ".join(before) or None,
        after=after[0],
        head=head,
        steps=steps,
        seconds=time.monotonic() - began,
    )


class _Alembic:
    """The configured command in its folder, with the database's URL in its environment."""

    def __init__(self, settings: Settings, server: Server, progress: Progress) -> None:
        self._settings = settings
        self._server = server
        self._progress = progress
        self._folder = Path(settings.need("migrate_dir"))
        if not self._folder.is_dir():
            raise SettingError(
                f"KAJOVO_DR_MIGRATE_DIR: {self._folder} is not a folder",
                hint="name the folder of alembic.ini in a checkout of the application.",
            )

    def run(self, *arguments: str) -> process.Completed:
        """Run one command to its end; raises `MigrationFailed` unless it ends with 0."""
        done = self._ended(*arguments)
        if done.returncode != 0:
            raise self._failure(" ".join(arguments), done)
        return done

    def _ended(self, *arguments: str) -> process.Completed:
        self._progress(f"migrate: {' '.join(arguments)}", 0, None)
        return process.run(
            [*self._settings.migrate_command, *arguments],
            env=command_environment(
                self._server, self._settings.migrate_driver, self._settings.migrate_env
            ),
            timeout=self._settings.migrate_timeout_s,
            cwd=self._folder,
        )

    def history(self) -> tuple[str, int]:
        """The code's one head, and the characters of its longest revision id.

        Raises `MigrationFailed` for no head or several.
        """
        said = self.run("history").stdout.decode("utf-8", "replace")
        found = [match for line in said.splitlines() if (match := _REVISION.match(line))]
        heads = sorted({match[1] for match in found if "(head)" in match[2]})
        if len(heads) != 1:
            raise MigrationFailed(
                f"the code in {self._folder} has {len(heads)} heads: {', '.join(heads) or 'none'}",
                hint="merge them in the application (alembic merge heads), then migrate again.",
            )
        return heads[0], max(len(match[1]) for match in found)

    def check(self) -> None:
        """Compare tables and models; raises `MigrationFailed` for a difference.

        The table of a legacy migration's records is in no model, and is no drift.
        """
        done = self._ended("check")
        if done.returncode != 0 and not self._only_of_records(done):
            raise self._failure("check", done)

    def _only_of_records(self, done: process.Completed) -> bool:
        table = self._settings.legacy_audit_table.rpartition(".")[2]
        _, *operations = _OPERATION.split(_output(done).rpartition(_DRIFT)[2])
        of_it = (f"Table('{table}'", f"table=<{table}>")
        return bool(operations) and all(
            verb == "remove" and any(said in what for said in of_it)
            for verb, what in zip(operations[::2], operations[1::2], strict=True)
        )

    def upgrade(self) -> tuple[str, ...]:
        """Go to the head; returns what Alembic said of each revision on the way."""
        return tuple(
            re.findall(r"Running upgrade (.*)", self._clean(self.run("upgrade", "head").stderr))
        )

    def require_same_database(self, before: list[str]) -> None:
        """Refuse when the command looks at another database: it would upgrade that one.

        Equal revisions prove nothing, the live database has the restored one's; a mark does.
        """
        with _marked(self._settings, self._server) as mark:
            done = self._ended("current")
        said = _output(done)  # as it is: the password to be redacted may be a part of the mark
        if mark in said:
            return
        unknown = _UNKNOWN.search(said)
        if done.returncode != 0 and (unknown is None or unknown[1] in before):
            raise self._failure("current", done)
        names = ", ".join(self._settings.migrate_env) or "none"
        raise MigrationFailed(
            f"Alembic works on another database than {self._server.shown}",
            hint="the application must read its URL from a variable of KAJOVO_DR_MIGRATE_ENV "
            f"({names}) and its version table must be KAJOVO_DR_MIGRATE_VERSION_TABLE "
            f"({self._settings.migrate_version_table}).",
        )

    def _clean(self, text: str) -> str:
        return redacted(text, self._server.params.get("password"))

    def _failure(self, command: str, done: process.Completed) -> MigrationFailed:
        text = self._clean(_output(done))
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        telling = [line for line in lines if _REASON.match(line)][-1:] or lines[-3:]
        differences = [match[1] for line in lines if (match := _DIFFERENCE.search(line))]
        reason = (
            f"tables and models differ in {len(differences)} places: {'; '.join(differences[:3])}"
            if differences
            else " | ".join(telling)[:500]
        )
        table = self._settings.migrate_version_table
        remedies = [
            remedy.replace("{table}", table) for said, remedy in _REMEDIES.items() if said in text
        ]
        return MigrationFailed(
            f"{command} failed (exit code {done.returncode}): {reason or 'it said nothing'}",
            hint=remedies[0] if remedies else f"run it by hand in {self._folder}.",
        )


def _output(done: process.Completed) -> str:
    """Alembic logs to standard error and says FAILED on standard output."""
    return done.stderr + "\n" + done.stdout.decode("utf-8", "replace")


def _version_table(settings: Settings) -> tuple[sql.Identifier, sql.Identifier]:
    """Its schema, and itself with it."""
    schema, _, table = settings.migrate_version_table.rpartition(".")
    return sql.Identifier(schema or "public"), sql.Identifier(schema or "public", table)


def _missing(connection: databases.Connection, kind: str, name: sql.Identifier) -> bool:
    query = sql.SQL("SELECT {}(%s)").format(sql.Identifier(f"to_reg{kind}"))
    return connection.execute(query, [name.as_string(connection)]).fetchone() == (None,)


def _revisions(settings: Settings, server: Server) -> list[str]:
    """The rows of the version table, without marks; none when it is missing."""
    _, table = _version_table(settings)
    query = "SELECT version_num FROM {} WHERE NOT starts_with(version_num, {}) ORDER BY 1"
    with databases.connect(server) as connection:
        if _missing(connection, "class", table):
            return []
        found = connection.execute(sql.SQL(query).format(table, _MARK))
        return [str(revision) for (revision,) in found]


def _widen_version_column(settings: Settings, server: Server, longest: int) -> tuple[str, ...]:
    """Make room for ids longer than Alembic's varchar(32): an upgrade past one would be rolled
    back. What was done, if anything.
    """
    _, table = _version_table(settings)
    with databases.connect(server) as connection:
        row = connection.execute(
            "SELECT atttypmod - 4 FROM pg_attribute WHERE attrelid = to_regclass(%s)"
            " AND attname = 'version_num' AND atttypid = 'varchar'::regtype AND atttypmod > 0",
            [table.as_string(connection)],
        ).fetchone()
        if row is None or row[0] >= longest:
            return ()
        widen = sql.SQL("ALTER TABLE {} ALTER COLUMN version_num TYPE varchar({})")
        connection.execute(widen.format(table, sql.Literal(longest)))
    return (f"version column widened from {row[0]} to {longest} characters",)


@contextmanager
def _marked(settings: Settings, server: Server) -> Iterator[str]:
    """A revision that only this database can name, in its version table while the block runs.

    It stands beside the restored rows, which are never touched: they outlive a power cut. A mark
    that one left behind is removed by the next run.
    """
    schema, table = _version_table(settings)
    mark = _MARK + secrets.token_hex(8)
    unmark = sql.SQL("DELETE FROM {} WHERE starts_with(version_num, {})").format(table, _MARK)
    with databases.connect(server, autocommit=False) as connection:
        new_schema = _missing(connection, "namespace", schema)
        new_table = _missing(connection, "class", table)
        if new_schema:
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
        if new_table:
            create = sql.SQL("CREATE TABLE {} (version_num varchar(32) PRIMARY KEY)")
            connection.execute(create.format(table))
        connection.execute(unmark)
        connection.execute(sql.SQL("INSERT INTO {} (version_num) VALUES ({})").format(table, mark))
    try:
        yield mark
    finally:
        with databases.connect(server, autocommit=False) as connection:
            connection.execute(sql.SQL("DROP TABLE {}").format(table) if new_table else unmark)
            if new_schema:
                _drop_if_empty(connection, schema)


def _drop_if_empty(connection: databases.Connection, schema: sql.Identifier) -> None:
    """What the application's env.py put into the schema meanwhile, it wants there."""
    with suppress(pg.DependentObjectsStillExist), connection.transaction():
        connection.execute(sql.SQL("DROP SCHEMA {}").format(schema))


def _require_empty(settings: Settings, server: Server) -> None:
    """Without a revision only a database without tables may be upgraded."""
    with databases.connect(server) as connection:
        found = connection.execute(
            "SELECT n.nspname || '.' || c.relname FROM pg_class c"
            " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p')"
            " AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1"
        ).fetchall()
    tables = [name for (name,) in found if name != settings.migrate_version_table]
    if tables:
        raise MigrationFailed(
            f"the database has {len(tables)} tables ({', '.join(tables[:3])}, …) "
            f"but no revision in {settings.migrate_version_table}",
            hint="find out which revision they are, then: alembic stamp REVISION; never stamp head "
            "unchecked, it hides what is missing.",
        )
