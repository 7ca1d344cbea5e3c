"""A plain dump from elsewhere is hostile code: psql runs none of its commands on this machine.

The scan refuses it before psql starts, psql's restricted mode stops what the scan would overlook,
and where psql reads a text as a command, the scan does too.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kajovo_dr.backups import catalog
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.load import load
from kajovo_dr.backups.sql_scan import SqlScan
from kajovo_dr.backups.store import sidecar
from kajovo_dr.errors import DumpDamaged, RestoreFailed
from kajovo_dr.postgres import client_tools, databases
from kajovo_dr.postgres.server import Server, restore_target
from kajovo_dr.progress import silent
from kajovo_dr.recovery.restore import restore
from kajovo_dr.settings import Settings

ANNOUNCED = "--\n-- Data for Name: t; Type: TABLE DATA; Schema: public; Owner: kajovo\n--\n\n"
COPY = f"{ANNOUNCED}COPY public.t (a) FROM stdin;\n"
ESCAPES = "SET standard_conforming_strings = off;\n"
#: A command that tells that psql took it for one.
RUN = "\\echo RUN\n"


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """A file that a command would make."""
    return tmp_path / "mark"


def hostile(backup: Backup, mark: Path) -> Backup:
    """The backup with a command inside, and every sidecar vouching for it."""
    place = b"\n--\n-- PostgreSQL database dump complete"
    command = f"\nCREATE VIEW v AS SELECT 1 \\! touch {mark}\n;\n".encode()
    content = backup.path.read_bytes().replace(place, command + place)
    backup.path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    manifest = sidecar(backup.path, ".json")
    truth = {
        "sha256": digest,
        "size_bytes": len(content),
        "lines": content.count(b"\n"),
    }
    document = json.loads(manifest.read_text(encoding="utf-8")) | truth
    manifest.write_text(json.dumps(document), encoding="utf-8")
    sidecar(backup.path, ".sha256").write_text(f"{digest} *{backup.name}\n", encoding="utf-8")
    return catalog.load(backup.path)


def names(server: Server) -> set[str]:
    with databases.connect(server) as session:
        return {name for (name,) in session.execute("SELECT datname FROM pg_database")}


def test_a_backup_with_a_command_is_refused_before_anything_is_made(
    settings: Settings, backup: Backup, mark: Path, new_database: Callable[[str], Server]
) -> None:
    published = hostile(backup, mark)
    target = restore_target(settings, f"obnovená {os.getpid()}")
    before = names(target.database("postgres"))
    with pytest.raises(DumpDamaged, match=r"commands: \\! is a command to psql, not SQL \(line "):
        restore(settings, published, target, named=True)
    assert not mark.exists()
    assert names(target.database("postgres")) == before


def test_psql_runs_no_command_even_when_nobody_read_the_file_before(
    settings: Settings, backup: Backup, mark: Path, new_database: Callable[[str], Server]
) -> None:
    target = new_database("obnovená")
    transport = client_tools.transport_for(None)
    with pytest.raises(RestoreFailed, match="backslash commands are restricted"):
        load(
            settings,
            transport,
            hostile(backup, mark),
            target,
            disposable=False,
            progress=silent,
        )
    assert not mark.exists()
    with databases.connect(target) as session:
        assert databases.content(session) == []


def by_psql(server: Server, script: str) -> bool:
    """Whether psql, unrestricted, runs a command of the script."""
    done = client_tools.transport_for(None).run(
        "psql", ["-Xq"], server=server, timeout=60, stdin=[script.encode()]
    )
    return b"RUN" in done.stdout.splitlines()


def by_us(script: str) -> bool:
    """Whether the scan finds a command in the script."""
    scan = SqlScan()
    scan.feed(script.encode())
    return "commands" in {finding.rung for finding in scan.finish()}


@pytest.mark.parametrize(
    "script",
    [
        RUN,
        f"CREATE VIEW v AS SELECT 1 {RUN}",
        f"-- x\r{RUN}",
        f"CREATE VIEW v AS SELECT '\\' {RUN}",
        f"CREATE VIEW v AS SELECT E'\\'' {RUN}",
        f"CREATE VIEW v AS SELECT B'1' {RUN}",
        f"/* /* */ */ {RUN}",
        f"CREATE VIEW v AS SELECT $a$ $$ $a$ {RUN}",
        f"{ESCAPES}CREATE VIEW v AS SELECT '\\'' {RUN}",
        f"{ESCAPES}CREATE VIEW v AS SELECT N'\\'' {RUN}",
        f"{ESCAPES}CREATE VIEW v AS SELECT B'1'\r'\\' {RUN}",
        f"{ESCAPES}INSERT INTO public.t VALUES ('\\', '); \\echo RUN \\\\ --');\n",
        f"CREATE VIEW v AS SELECT (\n{ESCAPES}CREATE VIEW v AS SELECT '\\' {RUN}",
        f"{COPY}x\n\\.\n{RUN}",
        # a COPY that we could take for one, and psql does not
        f"CREATE VIEW v AS SELECT (1;\n{COPY}{RUN}",
        f"CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1;\n{COPY}{RUN}",
        f"CREATE 5 + FUNCTION f BEGIN;\n{COPY}{RUN}",
        f"CREATE VIEW v AS SELECT 1; CREATE :x FUNCTION f BEGIN case :end;\n{COPY}{RUN}",
        f"{ANNOUNCED}COPY public.t (a) TO stdout; -- FROM stdin;\n{RUN}",
        # a COPY that psql takes for one, and we could overlook
        f"COPY t FROM stdin;\n'\n\\.\n{RUN}'\n",
        f"select 1; copy t from STDOUT;\n'\n\\.\n{RUN}'\n",
        # the end of rows for psql alone
        f"{COPY}x\n\\.\r\n{RUN}",
        # what only looks like an escape, a comment or a quote
        f"CREATE VIEW v AS SELECT :E'\\' {RUN}",
        f"CREATE VIEW v AS SELECT 1e--1 {RUN}",
        f"CREATE VIEW v AS SELECT :a$$ {RUN}".replace("$$ ", "$$ $$"),
        f"CREATE VIEW v AS SELECT E'a'\n'\\' {RUN}",
        # by encodings whose characters hold quotes
        f"SET client_encoding = 'SJIS';\nSELECT 'あ' ' {RUN}",
        f"SET NAMES 'SJIS';\nSELECT 'あ' ' {RUN}",
    ],
)
def test_a_command_that_psql_runs_is_one_that_we_find(database: Server, script: str) -> None:
    with databases.connect(database) as session:
        session.execute("CREATE TABLE t (a text)")
    assert by_psql(database, script)
    assert by_us(script)


@pytest.mark.parametrize(
    "script",
    [
        f"CREATE VIEW v AS SELECT '\n{RUN}';\n",
        f"CREATE VIEW v AS SELECT E'\\'\n{RUN}';\n",
        f'CREATE VIEW v AS SELECT "\n{RUN}";\n',
        f"CREATE VIEW v AS SELECT $a$ $$\n{RUN}$a$;\n",
        f"/*\n{RUN}/*\n*/ {RUN} */;\n",
        f"-- {RUN}",
        f"{ESCAPES}CREATE VIEW v AS SELECT '\\'\n{RUN}';\n",
        f"{ESCAPES}CREATE VIEW v AS SELECT N'\\'\n{RUN}';\n",
        f"{COPY}{RUN}\\.\n",
        f"{COPY}'\n\\.\nCREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC\nSELECT CASE WHEN"
        f" true THEN 1 END;\nEND;\n{COPY}{RUN}\\.\n",
        f"CREATE RULE r AS ON INSERT TO t DO ALSO (SELECT 1; SELECT 2);\n{COPY}{RUN}\\.\n",
    ],
)
def test_what_is_no_command_to_psql_is_none_to_us(database: Server, script: str) -> None:
    with databases.connect(database) as session:
        session.execute("CREATE TABLE t (a text)")
    assert not by_psql(database, script)
    assert not by_us(script)
