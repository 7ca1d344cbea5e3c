"""Undoing a recovery: the database that it replaced takes its name back.

Belongs here: whether that is possible, and the record of it. Not here: the phases (``recover``): an
undo is the same exchange the other way round, and can be undone itself.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from kajovo_dr.errors import SettingError, UndoImpossible
from kajovo_dr.postgres import swap
from kajovo_dr.postgres.server import restore_target
from kajovo_dr.progress import Progress, silent
from kajovo_dr.recovery.journal import RecoveryJournal, records
from kajovo_dr.recovery.preflight import require_finished
from kajovo_dr.recovery.record import RecoveryRecord
from kajovo_dr.recovery.recover import Recovery, administering, alone, is_here
from kajovo_dr.recovery.request import UNDONE, beside, require_confirmed
from kajovo_dr.settings import Settings


def last_swapped(settings: Settings, which: str = "", *, database: str = "") -> RecoveryRecord:
    """The recovery or undo whose id begins so; without an id the last recovery that replaced the
    database (empty: any): an undo that is repeated must not do the opposite.

    Raises `UndoImpossible` when there is none.
    """
    swapped = [
        record
        for record in records(settings.state)
        if (record.id.startswith(which) if which else record.kind == "recovery")
        and (which or database in ("", record.database))
        and _has_swapped(settings, record)
    ]
    if not swapped:
        of = f" whose id begins with {which!r}" if which else ""
        what = repr(database) if database and not which else "a database"
        raise UndoImpossible(
            f"no recovery{of} has replaced {what}",
            hint="kajovo-dr incidents lists the recoveries.",
        )
    if which and len(swapped) > 1:
        raise UndoImpossible(
            f"{len(swapped)} recoveries have an id that begins with {which!r}",
            hint="type more of it: kajovo-dr incidents.",
        )
    return swapped[-1]


def _has_swapped(settings: Settings, record: RecoveryRecord) -> bool:
    """What a process could no longer write down because it was killed, the server knows."""
    if record.swapped_at is not None or record.live_oid is None:
        return record.swapped_at is not None
    with administering(settings) as admin:
        return swap.oid_of(admin, record.database) == record.room_oid


def require_possible(settings: Settings, of: RecoveryRecord) -> str:
    """The name that the replaced database has now; raises `UndoImpossible` unless both databases
    are where the recovery left them.
    """
    if of.live_oid is None:
        raise UndoImpossible(
            f"recovery {of.short} replaced nothing: there was no database {of.database!r}",
            hint="recover an older backup instead: kajovo-dr recover --before TIME.",
        )
    with administering(settings) as admin:
        if not is_here(admin, restore_target(settings, of.database), of):
            raise UndoImpossible(
                f"recovery {of.short} is of another server, {of.server}",
                hint="set KAJOVO_DR_RESTORE_URL or KAJOVO_DR_DATABASE_URL as they were then.",
            )
        holder = swap.oid_of(admin, of.database)
        former = swap.name_of(admin, of.live_oid)
    if holder != of.room_oid:
        raise UndoImpossible(
            f"{of.database!r} is no longer the database that recovery {of.short} restored",
            hint="a later recovery or undo has replaced it: kajovo-dr incidents lists them. An undo"
            " that failed is gone on with by kajovo-dr recover --resume, and undone by its id.",
        )
    if former is None:
        raise UndoImpossible(
            f"{of.replaced!r}, the database that recovery {of.short} replaced, is gone",
            hint="it is dropped when it is no longer needed; recover an older backup instead.",
        )
    return former


def begin_undo(
    settings: Settings,
    of: RecoveryRecord,
    *,
    who: str,
    confirm: str,
    note: str = "",
    undo_id: str = "",
    within: Recovery | None = None,
    progress: Progress = silent,
) -> Recovery:
    """Write the journal of an undo; nothing else is touched yet. Raises `NotConfirmed`,
    `UndoImpossible`, `TargetBusy`.

    within: the recovery whose lock is held already.
    """
    if not who.strip():
        raise SettingError(
            "who is empty: the incident log names who undoes a recovery",
            hint="fill in a name and launch again; nothing was changed.",
        )
    require_confirmed(of.database, confirm)
    target = restore_target(settings, of.database)
    with within.alone() if within else alone(settings, target):
        former = require_possible(settings, of)
        require_finished(settings, target, of.identity, but=of.id)
        undo_id = undo_id or str(uuid.uuid4())
        record = RecoveryRecord(
            kind="undo",
            id=undo_id,
            runs=(undo_id,),
            started_at=datetime.now(UTC),
            who=who,
            note=note,
            database=of.database,
            server=target.address,
            identity=of.identity,
            database_only=of.database_only,
            room=former,
            room_oid=of.live_oid,
            undoes=of.id,
        )
        replaced = beside(record.database, UNDONE, record.short)
        record = record.model_copy(update={"replaced": replaced})
        _end(settings, of)
        journal = RecoveryJournal.begin(settings.state, record, settings)
        return Recovery(settings, journal, within=within, progress=progress)


def _end(settings: Settings, of: RecoveryRecord) -> None:
    """A recovery that was cut off behind its swap ends where it is undone."""
    journal = RecoveryJournal(settings.state, of.id, settings)
    if of.swapped_at is None:
        journal.update(swapped_at=datetime.now(UTC))
    journal.interrupt()
