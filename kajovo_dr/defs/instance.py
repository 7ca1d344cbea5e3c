"""Where Dagster keeps its own data, as ``dagster.yaml`` names it: PostgreSQL and the state folder.

``dagster.yaml`` can read an environment variable but has no default for one that is unset, and a
folder in it cannot depend on the user. These three classes fill in both, so that ``dagster dev``,
``dg dev`` and ``dagster definitions validate`` work in a fresh clone. Nothing else belongs here.
"""

import atexit
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._core.storage.root import LocalArtifactStorage
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage

from kajovo_dr.files import private_folder
from kajovo_dr.postgres import clusters
from kajovo_dr.postgres.server import Server
from kajovo_dr.settings import PREFIX, Settings

_VARIABLE = PREFIX + "DAGSTER_URL"


class PostgresStorage(DagsterPostgresStorage):
    """Runs, events and schedules in PostgreSQL: at KAJOVO_DR_DAGSTER_URL, else embedded."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """No options: the address is a secret and comes from the environment."""
        return {}

    @classmethod
    def from_config_value(  # type: ignore[override]
        cls, inst_data: ConfigurableClassData | None, config_value: dict[str, Any]
    ) -> Self:
        """The storage; psycopg2 because dagster-postgres cannot use psycopg 3."""
        return cls(_storage_server().url("postgresql+psycopg2"))


class StateArtifactStorage(LocalArtifactStorage):
    """Artifacts in the state folder."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """No options."""
        return {}

    @classmethod
    def from_config_value(  # type: ignore[override]
        cls, inst_data: ConfigurableClassData | None, config_value: dict[str, Any]
    ) -> Self:
        """The storage below the state folder."""
        return cls(str(_folder()), inst_data=inst_data)


class StateComputeLogManager(LocalComputeLogManager):
    """Standard output and error of the steps in the state folder."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """No options."""
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> Self:
        """The logs below the state folder."""
        return cls(str(_folder() / "logs"), inst_data=inst_data)


def _folder() -> Path:
    return private_folder(Settings.load().state / "dagster")


def _storage_server() -> Server:
    settings = Settings.load()
    if settings.dagster_url is not None:
        return Server.from_url(settings.dagster_url.get_secret_value(), setting=_VARIABLE)
    cluster = clusters.dagster_cluster(settings)
    server = clusters.ensure_database(cluster.open(), clusters.DAGSTER_DATABASE)
    atexit.register(cluster.close)
    # the processes that Dagster starts from here speak to the same server
    os.environ[_VARIABLE] = server.url()
    return server
