"""Which database is watched. Nothing else."""

from __future__ import annotations

from kajovo_dr.errors import NotConfigured
from kajovo_dr.postgres import clusters
from kajovo_dr.postgres.server import Server, source
from kajovo_dr.settings import PREFIX, Settings


def protected(settings: Settings) -> Server:
    """The database of the settings, else that of the sandbox hotel while it runs.

    No connection is made. Raises `NotConfigured` when there is neither.
    """
    if settings.database_url is not None:
        return source(settings)
    hotel = clusters.hotel_cluster(settings).running()
    if hotel is None:
        raise NotConfigured(
            "no database is configured, and the sandbox hotel does not run",
            hint=f"set {PREFIX}DATABASE_URL; or start the sandbox: kajovo-dr up.",
        )
    return hotel.database(clusters.HOTEL_DATABASE)
