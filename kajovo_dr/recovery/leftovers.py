"""The databases that recoveries leave beside the live one: whose they are, and when they may go.

Belongs here: explaining and dropping them. Not here: making them (``restore``, ``recover``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from kajovo_dr.backups import catalog
from kajovo_dr.backups.candidates import identities_of
from kajovo_dr.backups.store import open_store
from kajovo_dr.errors import DrError, ServerError, ServerLost, TargetBusy, Unreachable
from kajovo_dr.postgres import databases, disposable, swap
from kajovo_dr.postgres.databases import Connection
from kajovo_dr.postgres.server import Server, restore_target
from kajovo_dr.recovery.journal import records, unfinished
from kajovo_dr.recovery.record import RecoveryRecord
from kajovo_dr.recovery.report import human_duration
from kajovo_dr.recovery.request import REPLACED, ROOM, UNDONE
from kajovo_dr.settings import Settings

#: How names of databases end that a recovery made.
_OURS = re.compile(rf"(?:{ROOM}|{REPLACED}|{UNDONE})[0-9a-f]{{8}}$")


@dataclass(frozen=True)
class Kept:
    """A database that a recovery or an undo replaced. why: it must stay; empty: it may go."""

    name: str
    oid: int
    record: RecoveryRecord
    since: datetime
    bytes_on_disk: int
    why: str


def unexplained(settings: Settings, admin: Connection) -> Iterator[str]:
    """Databases with a recovery's kind of name that no recovery of this state folder knows."""
    every = records(settings.state)
    known = {name for record in every for name in (record.database, record.room, record.replaced)}
    for (name,) in admin.execute("SELECT datname FROM pg_database ORDER BY 1").fetchall():
        if _OURS.search(name) and name not in known:
            yield name


def kept(settings: Settings, admin: Connection, server: Server) -> list[Kept]:
    """The replaced databases that are still on this server, oldest first."""
    now, busy = datetime.now(UTC), {record.id for record in unfinished(settings.state)}
    found = []
    for record in records(settings.state):
        oid, since = record.live_oid, record.swapped_at
        here = databases.identity(admin, server.database(record.database))
        if record.identity != here or oid is None or since is None:
            continue
        if swap.name_of(admin, oid) != record.replaced:
            continue  # it was undone, or dropped by hand
        failed = record.failed_phase is not None and not record.abandoned
        why = "its recovery has not ended well" if record.id in busy or failed else ""
        why = why or _why_to_keep(settings, record, since, now)
        size = databases.size(admin, record.replaced)
        found.append(Kept(record.replaced, oid, record, since, size, why))
    return found


def _why_to_keep(settings: Settings, record: RecoveryRecord, since: datetime, now: datetime) -> str:
    until = since + timedelta(days=settings.keep_replaced_days)
    if now < until:
        left = human_duration((until - now).total_seconds())
        return f"kept {left} more (KAJOVO_DR_KEEP_REPLACED_DAYS={settings.keep_replaced_days:g})"
    if not _proven_since(settings, record, since):
        return f"no backup of {record.database} since then is proven"
    return ""


def _proven_since(settings: Settings, record: RecoveryRecord, since: datetime) -> bool:
    """Whether what took its place can be brought back itself."""
    with suppress(DrError):
        store = open_store(settings)
        server = restore_target(settings, record.database)
        identities = identities_of(settings, store, server)
        return any(
            backup.state == "proven"
            and not backup.manifest.of_incident
            and backup.manifest.created_at > since
            for backup in catalog.backups(store, record.database, identities)
        )
    return False


def cleanup(settings: Settings) -> tuple[list[Kept], list[Kept]]:
    """Drop the replaced databases that may go; those that were dropped, and those that stay.

    One is dropped only if it is the very database that was replaced, by name and oid.
    """
    server = restore_target(settings, settings.maintenance_database)
    dropped, stay = [], []
    with databases.connect(server) as admin:
        for each in kept(settings, admin, server):
            if why := each.why or _not_dropped(settings, admin, server, each):
                stay.append(replace(each, why=why))
            else:
                dropped.append(each)
    return dropped, stay


def _not_dropped(settings: Settings, admin: Connection, server: Server, each: Kept) -> str:
    """Drop a replaced database; why that could not be, which keeps no other from going."""
    target = server.database(each.record.database)
    try:
        with databases.mutex(target, settings.maintenance_database, purpose="recovery"):
            if swap.name_of(admin, each.oid) != each.name:
                return "it has been renamed this moment"
            disposable.drop(admin, server, each.name)
    except (ServerLost, Unreachable):
        raise
    except TargetBusy:
        return f"another recovery of {each.record.database} runs"
    except ServerError as refused:
        return f"it could not be dropped: {refused}"
    # whose passwords went back in time has been told by now
    (settings.state / "recoveries" / f"{each.record.id}.accounts").unlink(missing_ok=True)
    return ""
