"""What all tests share: one real PostgreSQL server per session, a fresh database per test.

KAJOVO_DR variables of the shell never reach a test; each gets a state folder of its own.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kajovo_dr.backups import catalog
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.prove import prove
from kajovo_dr.backups.take import take
from kajovo_dr.errors import DrError
from kajovo_dr.postgres import clusters, databases
from kajovo_dr.postgres.embedded import EmbeddedServer
from kajovo_dr.postgres.server import Server
from kajovo_dr.settings import Settings

_numbers = itertools.count()
# a background job of a shell ignores Ctrl-C, and so would every server that a test stops with it
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
#: Tests may lose what a power cut would take; everything else is as in production.
_FAST = {"fsync": "off", "full_page_writes": "off", "max_wal_size": "2GB"}
#: Bytes that a memory disk must have free to be used: the whole suite needs less than half of it.
_MEMORY = 4 << 30
#: What a hotel's night clerk types, and what breaks naive code.
SMALL_DATABASE = r'''
    CREATE TABLE hosté (id serial PRIMARY KEY, jméno text NOT NULL, poznámka text);
    INSERT INTO hosté (jméno, poznámka)
        SELECT 'Řehoř Šťastný ' || i, E'tab\t, řádek\n a 🛎️' FROM generate_series(1, 50) AS i;
    CREATE TABLE "Kniha ""přání""" (text text);
    INSERT INTO "Kniha ""přání""" VALUES ('\.'), ('COPY x FROM stdin;'), (NULL), ('');
    CREATE TABLE prázdná (id int);
    CREATE INDEX ON hosté (jméno);
'''


@pytest.fixture(scope="session", autouse=True)
def _no_settings_of_the_shell() -> Iterator[None]:
    """A setting exported in the developer's shell must not steer a test."""
    ours = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("KAJOVO_DR")}
    yield
    os.environ.update(ours)


def new_folder() -> Path:
    """A folder that the server's unprivileged user can reach; pytest's own are closed to it."""
    folder = Path(tempfile.mkdtemp(prefix="kajovo-dr-test-", dir=_in_memory()))
    folder.chmod(0o711)
    return folder


def _in_memory() -> Path | None:
    """Linux's memory disk, where it has room: a database is some 300 files, and each test makes
    one (9 ms there, 340 ms on a slow disk). None: the usual place of temporary folders.
    """
    place = Path("/dev/shm")
    if place.is_dir() and os.access(place, os.W_OK) and shutil.disk_usage(place).free > _MEMORY:
        return place
    return None


@pytest.fixture(scope="session")
def cluster() -> Iterator[EmbeddedServer]:
    """The session's server."""
    folder = new_folder()
    server = EmbeddedServer(folder / "state" / "embedded" / "tests", "kajovo", _FAST)
    try:
        server.open()
    except DrError as error:
        pytest.exit(f"no PostgreSQL, no tests: {error.described()}", returncode=3)
    yield server
    server.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def server(cluster: EmbeddedServer) -> Server:
    """The address of the session's server, database postgres."""
    return cluster._address()


@pytest.fixture(scope="session")
def scratch() -> Iterator[Server]:
    """A second server, for proofs: they refuse production's."""
    folder = new_folder()
    cluster = clusters.scratch_cluster(Settings(state=folder / "state"))
    yield cluster.open()
    cluster.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def new_database(server: Server) -> Iterator[Callable[[str], Server]]:
    """Makes databases of any name; they are dropped after the test."""
    with databases.connect(server) as session:
        before = {name for (name,) in session.execute("SELECT datname FROM pg_database")}

        def create(name: str) -> Server:
            databases.create(session, name, {})
            return server.database(name)

        yield create
        for (name,) in session.execute("SELECT datname FROM pg_database").fetchall():
            if name not in before:
                databases.drop(session, name)


@pytest.fixture
def database(new_database: Callable[[str], Server]) -> Server:
    """A fresh, empty database."""
    return new_database(f"test_{os.getpid()}_{next(_numbers)}")


@pytest.fixture
def small(database: Server) -> Server:
    """A database of three small tables with hostile names and contents."""
    with databases.connect(database) as session:
        session.execute(SMALL_DATABASE)
    return database


@pytest.fixture
def state() -> Iterator[Path]:
    """A state folder."""
    folder = new_folder()
    yield folder / "state"
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def settings(
    state: Path, small: Server, scratch: Server, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """Settings that protect `small`, exported to the environment as well."""
    state.mkdir()
    monkeypatch.setenv("KAJOVO_DR_PROOF_URL", scratch.url())
    monkeypatch.setenv("KAJOVO_DR_STATE", str(state))
    monkeypatch.setenv("KAJOVO_DR_DATABASE_URL", small.url())
    return Settings.load()


@pytest.fixture(params=["plain", "custom"])
def each_format(request: pytest.FixtureRequest, settings: Settings) -> Settings:
    """The settings, once per dump format."""
    return settings.with_overrides(backup_format=request.param)


@pytest.fixture
def backup(settings: Settings, small: Server) -> Backup:
    """A plain backup of `small` in the store, as it is when it was just taken."""
    return take(settings, small, reason="test").backup


@pytest.fixture
def proven(settings: Settings, backup: Backup) -> Backup:
    """The same, proven."""
    prove(settings, backup)
    return catalog.load(backup.path)
