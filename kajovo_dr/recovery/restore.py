"""A backup becomes a database again: read, loaded, compared, analyzed, or not there at all.

Belongs here: the order of a restore and what is undone when it fails. Not here: choosing the backup
(``choose``), reading it (``read``), migrating (``migrate``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.load import load, require_server
from kajovo_dr.backups.prove import compared
from kajovo_dr.errors import (
    DrError,
    RestoredDiffers,
    RolesMissing,
    TargetNotEmpty,
)
from kajovo_dr.postgres import client_tools, databases, disposable
from kajovo_dr.postgres.server import LONGEST_NAME, Server
from kajovo_dr.progress import Progress, silent
from kajovo_dr.recovery.read import Read, read
from kajovo_dr.settings import Settings
from kajovo_dr.stopwatch import Stopwatch

#: Marks a database as ours to drop.
_ROOM_COMMENT = "kajovo_dr: being restored, not whole"


@dataclass(frozen=True)
class Restored:
    """A restored database. seconds: by step (verify, load, compare, analyze)."""

    backup: str
    database: str
    tables: int
    rows: int
    seconds: dict[str, float]


def restore(
    settings: Settings,
    backup: Backup,
    target: Server,
    *,
    named: bool = False,
    progress: Progress = silent,
) -> Restored:
    """Read a backup, and restore it as `restore_read` does; raises what either raises."""
    was_read = read(settings, backup, named=named, progress=progress)
    return restore_read(settings, was_read, target, progress=progress)


def restore_read(
    settings: Settings, was_read: Read, target: Server, *, progress: Progress = silent
) -> Restored:
    """Restore a backup that was read into a database that does not exist yet or is empty.

    Raises `TargetNotEmpty`, `RolesMissing`, `RestoreFailed`, `RestoredDiffers`, `TargetBusy`. A
    database that this call created is dropped again when it fails; an empty one that was there
    stays empty, unless its rows differ at the end.
    """
    backup = was_read.backup
    with databases.mutex(target, settings.maintenance_database) as admin:
        databases.refuse_reserved(admin, target.dbname)
        require_server(admin, backup, client_tools.transport_for(settings.pg_bin), target)
        _require_roles(admin, backup, target)
        with _room(admin, target, backup) as room:
            return _filled(settings, was_read, room, target.dbname, progress)


def restore_beside(
    settings: Settings,
    was_read: Read,
    room: Server,
    *,
    mark: str,
    tablespace: str = "",
    tablespaces: bool = True,
    progress: Progress = silent,
) -> Restored:
    """Restore a backup into a new database that will take another's place; raises as above.

    mark: its comment, which tells that it is ours to drop: one that an earlier attempt left is
    replaced. tablespace: of the database whose place it takes. tablespaces: False for a server that
    lacks those of the source. Dropped again when this fails.
    """
    backup = was_read.backup
    transport = client_tools.transport_for(settings.pg_bin)
    with databases.mutex(room, settings.maintenance_database) as admin:
        require_server(admin, backup, transport, room)
        _require_roles(admin, backup, room)
        _clear(admin, room, mark)
        databases.create(admin, room.dbname, backup.manifest.locale, tablespace=tablespace)
        try:
            databases.comment(admin, room.dbname, mark)
            made = _Room(room, made_here=True, tablespaces=tablespaces)
            return _filled(settings, was_read, made, room.dbname, progress)
        except BaseException as failure:
            _drop_again(admin, room, failure)
            raise


def _filled(
    settings: Settings, was_read: Read, room: _Room, name: str, progress: Progress
) -> Restored:
    """Load the backup into its room, compare and analyze it."""
    backup, manifest = was_read.backup, was_read.backup.manifest
    watch = Stopwatch()
    watch.seconds["verify"] = was_read.seconds
    transport = client_tools.transport_for(settings.pg_bin)
    with watch.step("load"):
        load(
            settings,
            transport,
            backup,
            room.server,
            disposable=room.made_here,
            progress=progress,
            tablespaces=room.tablespaces,
        )
    with watch.step("compare"):
        _compare(settings, backup, room.server, progress)
    with watch.step("analyze"), databases.connect(room.server) as session:
        progress("analyze", 0, None)
        session.execute("ANALYZE")  # without statistics the first hours are slow
    return Restored(backup.name, name, len(manifest.tables), manifest.rows, dict(watch.seconds))


def _require_roles(admin: databases.Connection, backup: Backup, target: Server) -> None:
    if missing := databases.missing_roles(admin, list(backup.manifest.roles)):
        raise RolesMissing(
            f"{target.address} lacks roles that the backup names: {', '.join(missing)}",
            hint=f"create them there, for instance with psql --file={backup.name}.roles, "
            "and run this again; nothing was changed.",
        )


@dataclass(frozen=True)
class _Room:
    """Where a backup is loaded. made_here: under a name of its own, until it is whole."""

    server: Server
    made_here: bool
    tablespaces: bool = True


@contextmanager
def _room(admin: databases.Connection, target: Server, backup: Backup) -> Iterator[_Room]:
    """An empty database to load into; a new one gets the target's name as the very last step.

    A process that is killed, or its pg_restore that works on, then leaves a database of a telling
    name, which the next restore removes; the target's name is never that of half a database.
    """
    if databases.exists(admin, target.dbname):
        with databases.connect(target) as session:
            if found := databases.content(session):
                raise TargetNotEmpty(
                    f"{target.shown} is not empty: it holds {', '.join(map(repr, found[:5]))}"
                    f"{', …' if len(found) > 5 else ''}"
                )
        yield _Room(target, made_here=False)
        return
    room = target.database(_room_name(target.dbname))
    _clear(admin, room, _ROOM_COMMENT)
    databases.create(admin, room.dbname, backup.manifest.locale)
    databases.comment(admin, room.dbname, _ROOM_COMMENT)
    try:
        yield _Room(room, made_here=True)
        databases.comment(admin, room.dbname, None)
        databases.rename(admin, room.dbname, target.dbname)
    except BaseException as failure:
        _drop_again(admin, room, failure)
        raise


def _room_name(database: str) -> str:
    name = f"{database}__restoring"
    if len(name.encode()) <= LONGEST_NAME:
        return name
    return f"kajovo_dr_restoring_{hashlib.sha256(database.encode()).hexdigest()[:16]}"


def _clear(admin: databases.Connection, room: Server, mark: str) -> None:
    if not drop_left(admin, room, mark):
        raise TargetNotEmpty(
            f"{room.shown} is in the way: the restore needs this name until it is whole",
            hint="rename that database, or restore into another name.",
        )


def drop_left(admin: databases.Connection, room: Server, mark: str) -> bool:
    """Drop what a killed restore left; whether nothing of the name is there now.

    The comment tells it from a database of somebody else. One without a comment and without content
    was left between its creation and the comment: nothing is lost with it.
    """
    if not databases.exists(admin, room.dbname):
        return True
    comment = databases.commented(admin, room.dbname)
    ours = comment == mark or (comment is None and _is_empty(room))
    if ours:
        disposable.drop(admin, room, room.dbname)
    return ours


def _is_empty(room: Server) -> bool:
    with databases.connect(room) as session:
        return not databases.content(session)


def _drop_again(admin: databases.Connection, room: Server, failure: BaseException) -> None:
    try:
        disposable.drop(admin, room, room.dbname)
    except Exception:  # noqa: BLE001 - the server is gone too; the first failure is the one to tell
        if isinstance(failure, DrError):
            failure.hint = (
                f"{failure.hint} The half-restored {room.dbname!r} could not be dropped;"
                " the next restore into the same name drops it."
            ).strip()


def _compare(settings: Settings, backup: Backup, target: Server, progress: Progress) -> None:
    """Rows, content, schema and sequences against the manifest; raises `RestoredDiffers` naming
    what differs. What the manifest says nothing of (adopted backups) is not judged.
    """
    verdicts, _ = compared(settings, backup, target, progress)
    differing = [verdict for verdict in verdicts if verdict.passed is False]
    if differing:
        said = "; ".join(f"{verdict.name}: {verdict.detail}" for verdict in differing)
        raise RestoredDiffers(f"{target.shown} differs from {backup.name}: {said}")
