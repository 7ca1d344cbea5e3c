"""Where a drill works: its database and roles on the scratch server, and its folder.

Belongs here: their names and marks, making them, dropping them, and finding what is left of them.
Not here: the scratch server itself (``backups.scratch``), and what is done in the room (``drill``).

Whoever looks for leftovers holds the scratch server's mutex (`scratch_server`): then no drill,
proof or exercise works there, and whatever bears one of our marks was left behind.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from kajovo_dr.backups.catalog import Backup
from kajovo_dr.errors import ServerError
from kajovo_dr.files import private_folder
from kajovo_dr.postgres import clusters, databases, disposable
from kajovo_dr.postgres.server import Server
from kajovo_dr.recovery.read import Read
from kajovo_dr.recovery.restore import drop_left
from kajovo_dr.settings import Settings

#: How the names of a drill's databases and folders begin; the id follows.
DATABASE, FOLDER = "kajovo_dr_drill_", "drill-"
#: Comment of the databases: with it they are ours to drop.
MARK = "kajovo_dr: restored for a drill, may be dropped"
ROLE_MARK = "kajovo_dr: made for a drill, may be dropped"
#: Folders that the zoo makes and deletes (``backups.zoo``); one that is there now was left.
_FOLDERS = (f"{FOLDER}*", "zoo-*")


@contextmanager
def kept_running(settings: Settings) -> Iterator[None]:
    """Let the embedded scratch server run for the whole drill: proof, zoo and drill then attach to
    it, each for itself, instead of making a new cluster each.
    """
    if settings.proof_url is not None:
        yield
        return
    with clusters.scratch_cluster(settings):
        yield


def make_folder(settings: Settings, drill_id: str) -> Path:
    """The drill's folder."""
    return private_folder(private_folder(settings.state) / f"{FOLDER}{drill_id}")


def make_roles(scratch: Server, backup: Backup) -> list[str]:
    """Make the roles that the backup names and the scratch server lacks."""
    with databases.connect(scratch) as admin:
        missing = databases.missing_roles(admin, list(backup.manifest.roles))
        for role in missing:
            disposable.make_role(admin, role, ROLE_MARK)
    return missing


def fitting(scratch: Server, was_read: Read, name: str) -> Read:
    """What was read, with a locale that the scratch server can make a database with: another
    machine may lack the source's. Contents do not depend on it.
    """
    manifest = was_read.backup.manifest
    with databases.connect(scratch) as admin:
        try:
            databases.create(admin, name, manifest.locale)
        except ServerError:
            encoding = manifest.locale.get("ENCODING", "UTF8")
            plain = {"ENCODING": encoding, "LC_COLLATE": "C", "LC_CTYPE": "C"}
            manifest = manifest.model_copy(update={"locale": plain})
            return replace(was_read, backup=replace(was_read.backup, manifest=manifest))
        databases.drop(admin, name)
    return was_read


def drop(scratch: Server, name: str) -> None:
    """Drop the drill's database, whoever uses it, and the roles that a drill made."""
    with databases.connect(scratch) as admin:
        disposable.drop(admin, scratch, name)
        for role in disposable.marked_roles(admin, ROLE_MARK):
            disposable.drop_role(admin, role)


def remains(settings: Settings, scratch: Server) -> tuple[str, ...]:
    """What of a drill or of its zoo is there, in words."""
    with databases.connect(scratch) as admin:
        found = [f"database {name}" for name in _databases(admin, marked=False)]
        found += [f"role {name}" for name in disposable.marked_roles(admin, ROLE_MARK)]
    return (*found, *(f"folder {folder.name}" for folder in _folders(settings)))


def sweep(settings: Settings, scratch: Server) -> tuple[str, ...]:
    """Remove what a killed drill left; what that was, in words. Without its mark a database is
    somebody else's, whatever its name, unless it is empty: then it was left before it got the mark.
    """
    removed = []
    with databases.connect(scratch) as admin:
        for name in _databases(admin, marked=True):
            disposable.drop(admin, scratch, name)
            removed.append(f"database {name}")
        for name in _databases(admin, marked=False):
            if re.fullmatch(rf"{DATABASE}[0-9a-f]{{8}}", name) and drop_left(
                admin, scratch.database(name), MARK
            ):
                removed.append(f"database {name}")
        for role in disposable.marked_roles(admin, ROLE_MARK):
            disposable.drop_role(admin, role)
            removed.append(f"role {role}")
    for folder in _folders(settings):
        shutil.rmtree(folder)
        removed.append(f"folder {folder.name}")
    return tuple(removed)


def _databases(admin: databases.Connection, *, marked: bool) -> list[str]:
    found = admin.execute(
        "SELECT datname, shobj_description(oid, 'pg_database') FROM pg_database"
        " WHERE starts_with(datname, %s) ORDER BY 1",
        [DATABASE],
    ).fetchall()
    return [name for name, comment in found if comment == MARK or not marked]


def _folders(settings: Settings) -> list[Path]:
    return sorted(
        path
        for pattern in _FOLDERS
        for path in settings.state.glob(pattern)
        if path.is_dir() and not path.is_symlink()
    )
