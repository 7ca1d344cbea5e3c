"""The two embedded clusters: one for Dagster's storage, one for the sandbox hotel.

Two, because the history of a recovery must never live in the database that is recovered. Not here:
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


def dagster_cluster(settings: Settings) -> EmbeddedServer:
    """The server of Dagster's runs and events."""
    return _cluster(settings, "dagster", "dagster")


def hotel_cluster(settings: Settings) -> EmbeddedServer:
    """The sandbox hotel's production server."""
    return _cluster(settings, "hotel", HOTEL_ROLE)


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
