"""The embedded clusters: Dagster's storage, the sandbox hotel, and scratch room for proofs.

Apart, because the history of a recovery must never live in the database that is recovered, and
because a proof must never touch production. Not here:
how a cluster runs (``embedded``), what the hotel's database holds (``sandbox``).
"""

from __future__ import annotations

from kajovo_dr.postgres import databases
from kajovo_dr.postgres.embedded import EmbeddedServer
from kajovo_dr.postgres.server import Server
from kajovo_dr.settings import Settings

DAGSTER_DATABASE = "dagster"
#: Names of the stack that the sandbox stands in for.
HOTEL_DATABASE = "kajovo_hotel"
HOTEL_ROLE = "kajovo"
#: What makes loading fast and would lose data in a power cut: WAL is hardly written, nothing is
#: flushed.
_FOR_SPEED = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "8GB",
    "maintenance_work_mem": "256MB",
    "shared_buffers": "512MB",
    # A plain dump is one transaction, which locks each table and index: the default ends at 2,600
    # tables, this at 40,000. Four times more would cost 170 MB.
    "max_locks_per_transaction": "1024",
}


def dagster_cluster(settings: Settings) -> EmbeddedServer:
    """The server of Dagster's runs and events."""
    return _cluster(settings, "dagster", "dagster")


def hotel_cluster(settings: Settings) -> EmbeddedServer:
    """The sandbox hotel's production server."""
    return _cluster(settings, "hotel", HOTEL_ROLE)


def scratch_cluster(settings: Settings) -> EmbeddedServer:
    """A server whose data nobody needs after the proof."""
    return EmbeddedServer(
        settings.state / "embedded" / "scratch",
        options=_FOR_SPEED,
        bin_setting=settings.pg_bin,
        run_as=settings.run_as,
        disposable=True,
    )


def ensure_database(server: Server, name: str) -> Server:
    """The named database of a server, created empty when it is missing."""
    with databases.connect(server) as session:
        if not databases.exists(session, name):
            databases.create(session, name, {})
    return server.database(name)


def _cluster(settings: Settings, name: str, superuser: str) -> EmbeddedServer:
    return EmbeddedServer(
        settings.state / "embedded" / name,
        superuser,
        bin_setting=settings.pg_bin,
        run_as=settings.run_as,
    )
