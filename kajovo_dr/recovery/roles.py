"""Creating the roles that a backup names and a server lacks, from the backup's own file of roles.

Belongs here: which lines of that file concern them. Not here: which roles are missing
(``postgres.databases``). Roles that exist are never touched.
"""

from __future__ import annotations

import hashlib
import re

from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.manifest import ROLES_SUFFIX
from kajovo_dr.backups.store import sidecar
from kajovo_dr.errors import ManifestError, RolesMissing
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.databases import Connection

#: A role as pg_dumpall writes it: quoted when it must be.
_NAME = r'(?:"(?:[^"]|"")+"|[^\s";]+)'
#: The lines that make a role, its attributes and settings, and its memberships; without who granted
#: those, because this server may be somebody else's.
_LINE = re.compile(
    rf"(?:CREATE ROLE (?P<created>{_NAME});"
    rf"|ALTER ROLE (?P<altered>{_NAME}) (?:WITH|SET) .*;"
    rf"|(?P<grant>GRANT (?P<group>{_NAME}) TO (?P<member>{_NAME})(?: WITH [A-Z, ]+?)?)"
    rf"(?: GRANTED BY {_NAME})?;)"
)


def create(connection: Connection, backup: Backup, missing: list[str]) -> list[str]:
    """Create the missing roles, without passwords; the names of those that were made.

    All of them or none; a membership in a role that this server lacks, and that the backup does not
    need, is left out. Raises `ManifestError` when the file is not the one that was backed up, and
    `RolesMissing` when it does not know a role.
    """
    lines = _lines(backup)
    wanted = set(missing)
    if unknown := sorted(wanted - {_plain(line["created"]) for line in lines if line["created"]}):
        raise RolesMissing(
            f"{backup.name}{ROLES_SUFFIX} does not know {', '.join(unknown)}",
            hint="create them by hand on the server, then recover again.",
        )
    groups = {_plain(line["group"]) for line in lines if line["group"]} - wanted
    lacking = databases.missing_roles(connection, list(groups))
    with connection.transaction():
        for line in lines:
            named = line["created"] or line["altered"] or line["member"]
            of_nobody = line["group"] is not None and _plain(line["group"]) in lacking
            if _plain(named) in wanted and not of_nobody:
                # by the extended protocol, in which a line cannot hide a second statement
                connection.execute((line["grant"] or line[0]).encode(), binary=True)
    return sorted(wanted)


def _lines(backup: Backup) -> list[re.Match[str]]:
    path = sidecar(backup.path, ROLES_SUFFIX)
    try:
        content = path.read_bytes()
    except OSError as failure:
        raise ManifestError(f"{path} cannot be read: {failure.strerror}") from None
    if hashlib.sha256(content).hexdigest() != backup.manifest.roles_sha256:
        raise ManifestError(
            f"{path} is not the file that was backed up",
            hint="create the roles by hand on the server, then recover again.",
        )
    text = content.decode("utf-8", "replace")
    return [match for line in text.splitlines() if (match := _LINE.fullmatch(line.strip()))]


def _plain(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
