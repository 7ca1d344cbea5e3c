"""Where the contest is held: servers of its own and one large database, removed at the end.

Belongs here: folders, servers, making the database, facts about the machine. Not here: what is
measured (``contest``).
"""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from kajovo_dr.errors import DumpFailed, StoreFull
from kajovo_dr.postgres import clusters, databases
from kajovo_dr.postgres.client_tools import transport_for
from kajovo_dr.postgres.embedded import EmbeddedServer
from kajovo_dr.postgres.server import Server
from kajovo_dr.postgres.transport import Transport
from kajovo_dr.progress import human_bytes
from kajovo_dr.sandbox import schema
from kajovo_dr.sandbox.seed import seed
from kajovo_dr.sandbox.seed_plan import MINIMUM
from kajovo_dr.settings import Settings

Tell = Callable[[str], None]

#: Bytes on disk of one unit of pgbench's scale, and of a hotel's row with its indexes.
_BYTES_PER_SCALE = 15_000_000
_BYTES_PER_ROW = 250
#: Times the database's size: the source, two copies being restored, four dumps, WAL.
_SPACE = 8
#: A production-like server, but for two things that come and go by themselves.
_STEADY = {"autovacuum": "off", "max_wal_size": "4GB"}


@dataclass(frozen=True)
class Stage:
    """source: the large database. scratch: a server with the settings of proofs' own."""

    folder: Path
    settings: Settings
    transport: Transport
    source: Server
    scratch: Server
    bytes: int
    version: str


@contextmanager
def stage(gigabytes: float, tell: Tell) -> Iterator[Stage]:
    """Start the servers and make the database; all of it is gone when the block ends."""
    folder = Path(tempfile.mkdtemp(prefix="kajovo-dr-benchmark-"))
    folder.chmod(0o711)  # the servers' unprivileged user must reach its data
    try:
        _require_space(folder, gigabytes)
        settings = Settings(state=folder / "state")
        other = settings.with_overrides(state=folder / "bare")
        embedded = EmbeddedServer(folder / "state" / "embedded" / "source", options=_STEADY)
        with embedded as server, clusters.scratch_cluster(other) as scratch:
            transport = transport_for(settings.pg_bin)
            database = _make(server, transport, gigabytes, tell)
            with databases.connect(database) as session:
                size = databases.size(session, database.dbname)
                version = session.info.parameter_status("server_version") or ""
            tell(f"the database has {human_bytes(size)}")
            try:
                yield Stage(folder, settings, transport, database, scratch, size, version)
            finally:
                _stop_orphan(settings)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def facts(held: Stage, runs: int) -> dict[str, str]:
    """The machine's shape, without its name."""
    memory = "unknown"
    if hasattr(os, "sysconf"):
        memory = human_bytes(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return {
        "date": datetime.now(UTC).astimezone(ZoneInfo("Europe/Prague")).date().isoformat(),
        "machine": f"{os.cpu_count()} cores, {memory} memory, {platform.system()} "
        f"{platform.machine()}",
        "PostgreSQL": f"{held.version}, server and client tools",
        "database": f"{human_bytes(held.bytes)} on disk, half pgbench and half sandbox hotel",
        "runs": f"medians of {runs}, ours and bare in turn, file cache warm",
    }


def _require_space(folder: Path, gigabytes: float) -> None:
    free, needed = shutil.disk_usage(folder).free, gigabytes * 1e9 * _SPACE
    if free < needed:
        raise StoreFull(
            f"{human_bytes(free)} free in {folder.parent}, about {human_bytes(needed)} are needed",
            hint="free some, point TMPDIR at a larger disk, or ask for fewer --gigabytes.",
        )


def _make(server: Server, transport: Transport, gigabytes: float, tell: Tell) -> Server:
    half = gigabytes * 1e9 / 2
    scale, rows = round(half / _BYTES_PER_SCALE) or 1, max(MINIMUM, round(half / _BYTES_PER_ROW))
    tell(f"make the database: pgbench at scale {scale}, a hotel of {rows} rows")
    with databases.connect(server) as admin:
        databases.create(admin, "benchmark", {})
    database = server.database("benchmark")
    done = transport.run(
        "pgbench", ["--initialize", f"--scale={scale}", "--quiet"], server=database, timeout=7200
    )
    if done.returncode != 0:
        raise DumpFailed(f"no database to measure with: {done.reason}")
    schema.upgrade(database.sqlalchemy_url())
    seed(database, rows=rows)
    with databases.connect(database) as session:
        session.execute("VACUUM ANALYZE")  # or the first reader alone would set the hint bits
        session.execute("CHECKPOINT")
    return database


def _stop_orphan(settings: Settings) -> None:
    """End the server of a proof that was killed: whoever finds it running owns it."""
    cluster = clusters.scratch_cluster(settings)
    if (cluster.folder / "data" / "postmaster.pid").exists():
        with cluster:
            pass
