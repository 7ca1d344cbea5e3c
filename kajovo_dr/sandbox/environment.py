"""The hotel API's settings, read from the KAJOVO_API_* variables of its environment.

Belongs here: names and defaults. Not here: kajovo_dr's own settings (``kajovo_dr.settings``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from kajovo_dr.errors import SettingError
from kajovo_dr.postgres.server import Server

PREFIX = "KAJOVO_API_"
_REQUIRED = ("DATABASE_URL", "ADMIN_EMAIL", "ADMIN_PASSWORD", "MEDIA_ROOT")
_HOSTS = '["localhost", "127.0.0.1", "hotel.hcasc.cz", "kajovohotel.local"]'
#: Seconds until a database that does not answer counts as down.
_CONNECT_TIMEOUT_S = 3


@dataclass(frozen=True)
class ApiSettings:
    """production: cookies are Secure, as behind the real hotel's proxy."""

    database: Server
    admin_email: str
    admin_password: str = field(repr=False)
    media_root: Path
    trusted_hosts: tuple[str, ...]
    production: bool

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> ApiSettings:
        """Raises `SettingError` naming what is missing."""
        values = {name: environment.get(PREFIX + name, "") for name in _REQUIRED}
        if missing := [PREFIX + name for name, value in values.items() if not value]:
            raise SettingError(f"the sandbox hotel's API needs {', '.join(missing)}")
        return cls(
            database=_database(values["DATABASE_URL"]),
            admin_email=values["ADMIN_EMAIL"],
            admin_password=values["ADMIN_PASSWORD"],
            media_root=Path(values["MEDIA_ROOT"]),
            trusted_hosts=_hosts(environment.get(PREFIX + "TRUSTED_HOSTS") or _HOSTS),
            production=environment.get(PREFIX + "ENVIRONMENT") == "production",
        )


def _database(text: str) -> Server:
    """SQLAlchemy's reading of the URL, not libpq's: they differ in the database's name."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise SettingError(f"{PREFIX}DATABASE_URL is not a database URL") from None
    named = url.translate_connect_args(username="user", database="dbname")
    params = {"connect_timeout": _CONNECT_TIMEOUT_S, **named, **url.query}
    return Server({name: str(value) for name, value in params.items()})


def _hosts(text: str) -> tuple[str, ...]:
    try:
        hosts = json.loads(text)
    except ValueError:
        hosts = None
    if not isinstance(hosts, list) or not all(isinstance(host, str) for host in hosts):
        raise SettingError(f"{PREFIX}TRUSTED_HOSTS is not a JSON list of host names")
    return tuple(hosts)
