"""The address of a database: read from a URL, handed to libpq, SQLAlchemy and the client tools.

Belongs here: parsing, quoting, and what may be shown. Not here: connections (``databases``).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import quote

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from kajovo_dr.errors import SettingError, UrlError
from kajovo_dr.settings import PREFIX, Settings

#: libpq parameter -> the environment variable by which client tools read it. Others are refused,
#: because a tool would silently not honour them.
_VARIABLES = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "gssencmode": "PGGSSENCMODE",
    "channel_binding": "PGCHANNELBINDING",
    "options": "PGOPTIONS",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "application_name": "PGAPPNAME",
}
#: What a URL's query leaves out: its other parts, and what we say of ourselves only.
_NOT_IN_QUERY = frozenset(
    ("host", "port", "user", "password", "dbname", "connect_timeout", "application_name")
)
#: Bytes of an identifier; PostgreSQL would silently cut a longer one.
LONGEST_NAME = 63
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_SCHEMES = ("postgresql://", "postgres://")


@dataclass(frozen=True)
class Server:
    """One database on one server. `params` are libpq's; the password never appears in repr."""

    params: Mapping[str, str] = field(repr=False)

    @classmethod
    def from_url(
        cls, url: str, *, setting: str = "the database URL", connect_timeout: int = 10
    ) -> Server:
        """Read a libpq URL or ``key=value`` text; SQLAlchemy's ``postgresql+driver://`` will do.

        Raises `UrlError`, whose message never repeats the text: a mistyped URL is mostly password.
        """
        head, separator, rest = url.strip().partition("://")
        if separator and "=" not in head:  # else the :// lies in a value of key=value text
            url = f"{head.split('+')[0]}://{rest}"
            _refuse_unescaped(url, rest, setting)
        try:
            read = conninfo_to_dict(url)
        except ProgrammingError:
            raise UrlError(f"{setting} is not a PostgreSQL URL") from None
        params = {key: str(value) for key, value in read.items() if value is not None}
        if unknown := sorted(set(params) - set(_VARIABLES)):
            raise UrlError(
                f"{setting} has parameters that the client tools cannot be given: {unknown}"
            )
        for key, word in (("host", "host"), ("user", "user"), ("dbname", "database")):
            if not params.get(key) and not (key == "host" and params.get("hostaddr")):
                # libpq would choose one by its own rules, the client tools perhaps another
                raise UrlError(f"{setting} names no {word}")
        port = params.get("port", "5432")
        if not (port.isascii() and port.isdigit() and 0 < int(port) < 65_536):
            raise UrlError(f"{setting} has a port that is none: 1 to 65535")
        if params.get("sslmode", "prefer") not in _SSL_MODES:
            raise UrlError(f"{setting} has an sslmode that is none of {', '.join(_SSL_MODES)}")
        return cls(
            {"connect_timeout": str(connect_timeout), "application_name": "kajovo_dr"} | params
        )

    @property
    def address(self) -> str:
        """``host:port``."""
        return f"{self.params.get('host', 'localhost')}:{self.params.get('port', '5432')}"

    @property
    def shown(self) -> str:
        """``user@host:port/database``, for messages: without the password."""
        return f"{self.user}@{self.address}/{self.dbname}"

    @property
    def dbname(self) -> str:
        """The database's name, unquoted."""
        return self.params["dbname"]

    @property
    def user(self) -> str:
        """The role that connects; libpq's default is the system user."""
        return self.params.get("user", "")

    def setting(self, name: str, value: str) -> Server:
        """The same, with a setting of the server's for every session there."""
        options = f"{self.params.get('options', '')} -c {name}={value}".strip()
        return replace(self, params={**self.params, "options": options})

    def database(self, name: str) -> Server:
        """The same server and login, another database."""
        return replace(self, params={**self.params, "dbname": name})

    def conninfo(self) -> str:
        """For psycopg; quoted by libpq's own rules."""
        return make_conninfo(**self.params)

    def sqlalchemy_url(self) -> str:
        """For SQLAlchemy with psycopg 3. Secret: holds the password."""
        return self.url("postgresql+psycopg")

    def environment(self) -> dict[str, str]:
        """The environment of a client tool: ours without ``PG*``, plus this database.

        The password travels in PGPASSWORD, never in argv. Messages in English, whatever the locale.
        """
        clean = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
        ours = {_VARIABLES[key]: value for key, value in self.params.items()}
        return {**clean, **ours, "LC_ALL": "C", "PGCLIENTENCODING": "UTF8"}

    def url(self, scheme: str = "postgresql") -> str:
        """A URL with every part percent-encoded. Secret: holds the password.

        scheme: ``postgresql`` for libpq, ``postgresql+DRIVER`` for SQLAlchemy.
        """
        user, password = (quote(self.params.get(key, ""), safe="") for key in ("user", "password"))
        login = f"{user}:{password}@" if password else f"{user}@" if user else ""
        host = self.params.get("host", "")
        query = {key: value for key, value in self.params.items() if key not in _NOT_IN_QUERY}
        if host.startswith("/"):  # a folder of Unix sockets
            query["host"], host = host, ""
        elif ":" in host:  # IPv6
            host = f"[{host}]"
        port = f":{self.params['port']}" if "port" in self.params else ""
        dbname = self.params.get("dbname", "")
        if "+" not in scheme:
            dbname = quote(dbname, safe="")
        elif "?" in dbname:  # SQLAlchemy decodes a query but not a database's name
            query["dbname"], dbname = dbname, ""
        extra = "&".join(f"{key}={quote(value, safe='')}" for key, value in query.items())
        return f"{scheme}://{login}{host}{port}/{dbname}" + (f"?{extra}" if extra else "")


def forget_libpq_variables() -> None:
    """Drop ``PG*`` from this process's environment.

    libpq would fill what a URL leaves out from them, in our own sessions but not in the client
    tools, whose environment we make: the two could end on different servers.
    """
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]


def source(settings: Settings) -> Server:
    """The database that is protected; raises `NotConfigured` when none is named."""
    return _of_setting(settings, "database_url")


def restore_target(settings: Settings, database: str) -> Server:
    """A database on the server that restores go to."""
    if not database or "\0" in database or len(database.encode()) > LONGEST_NAME:
        raise SettingError(
            f"{database!r} cannot name a database",
            hint=f"a name has 1 to {LONGEST_NAME} bytes of UTF-8.",
        )
    name = "restore_url" if settings.restore_url else "database_url"
    return _of_setting(settings, name).database(database)


def _of_setting(settings: Settings, name: str) -> Server:
    return Server.from_url(
        settings.need(name),
        setting=PREFIX + name.upper(),
        connect_timeout=settings.connect_timeout_s,
    )


def _refuse_unescaped(url: str, rest: str, setting: str) -> None:
    """Catch what libpq would read as something else: a raw ``/`` or ``@`` in a password moves the
    borders of host and database.
    """
    if not url.startswith(_SCHEMES):
        raise UrlError(f"{setting} does not begin with postgresql://")
    authority, _, path = rest.partition("/")
    if authority.count("@") > 1 or "@" in path.partition("?")[0] or "#" in rest:
        raise UrlError(
            f"{setting} has a character in its user or password that must be percent-encoded"
        )
