"""A recovery that has not ended: how it stands, going on with it, or giving it up.

Belongs here: finding it, and what is done once with the whole of it. Not here: its phases
(``recover``).
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from kajovo_dr.errors import DrError, SettingError
from kajovo_dr.postgres import databases, swap
from kajovo_dr.postgres.server import restore_target
from kajovo_dr.progress import Progress, silent
from kajovo_dr.recovery import control
from kajovo_dr.recovery.journal import RecoveryJournal, records, unfinished
from kajovo_dr.recovery.record import IncidentEntry, Phase, RecoveryRecord
from kajovo_dr.recovery.recover import Recovery, alone, mark
from kajovo_dr.settings import Settings


@dataclass(frozen=True)
class Standing:
    """How a recovery stands. content: of the database under the live name, as the server says."""

    record: RecoveryRecord
    said: str
    hint: str


def find(settings: Settings, which: str = "") -> RecoveryRecord:
    """The newest recovery that has not ended well, or the one whose id begins so.

    Raises `SettingError` when there is none to go on with.
    """
    open_ones = [
        record
        for record in records(settings.state)
        if record.id.startswith(which) and not record.abandoned and not _ended_well(record)
    ]
    if not open_ones:
        of = f" whose id begins with {which!r}" if which else ""
        raise SettingError(
            f"there is no recovery{of} to go on with: all have ended well or were given up",
            hint="kajovo-dr incidents lists them; kajovo-dr recover begins a new one.",
        )
    return open_ones[-1]


def _ended_well(record: RecoveryRecord) -> bool:
    last = "swap" if record.database_only else "smoke"
    return record.failed_phase is None and record.done(last)


def resume(settings: Settings, record: RecoveryRecord, *, progress: Progress = silent) -> Recovery:
    """Go on with a recovery: what failed or was cut off is in the log, and is done anew."""
    journal = RecoveryJournal(settings.state, record.id, settings)
    with alone(settings, restore_target(settings, record.database)):
        journal.join(str(uuid.uuid4()))
    return Recovery(settings, journal, progress=progress)


def abandon(settings: Settings, record: RecoveryRecord) -> IncidentEntry:
    """Give a recovery up: its database is dropped, the application started again, the end logged.

    Raises `SettingError` when it has replaced the live database already.
    """
    target = restore_target(settings, record.database)
    maintenance = target.database(settings.maintenance_database)
    journal = RecoveryJournal(settings.state, record.id, settings)
    with alone(settings, target):
        with databases.connect(maintenance) as admin:
            holder = swap.oid_of(admin, record.database)
            if record.done("swap") or (holder is not None and holder == record.room_oid):
                raise SettingError(
                    f"{record.kind} {record.short} has replaced {record.database!r} already",
                    hint="go on with it: kajovo-dr recover --resume; or put the former database"
                    " back: kajovo-dr undo.",
                )
            ours = databases.commented(admin, record.room) == mark(record)
            if record.kind == "recovery" and ours:
                databases.drop(admin, record.room)
        if record.done("stop") and holder is not None:
            control.start(settings)
        now = datetime.now(UTC)
        journal.update(abandoned=True)
        journal.add(
            Phase(name="abandoned", began_at=now, ended_at=now, ok=False, detail="given up")
        )
        return journal.log()


def standings(settings: Settings) -> list[Standing]:
    """Every recovery without an end in the log, each with what to do."""
    return [_standing(settings, record) for record in unfinished(settings.state)]


def _standing(settings: Settings, record: RecoveryRecord) -> Standing:
    begun = [phase.name for phase in record.phases if phase.ok is None]
    where = f"in phase {begun[-1]}" if begun else "between two phases"
    said = f"{record.kind} {record.short} of {record.database} by {record.who} stopped {where}"
    try:
        content = _content(settings, record)
    except DrError as error:
        return Standing(record, f"{said}; {error}", error.hint)
    hint = "kajovo-dr recover --resume goes on with it"
    if "as it was before" in content:
        hint += "; kajovo-dr recover --abandon gives it up"
    elif record.live_oid is not None and record.kind == "recovery":
        hint += "; kajovo-dr undo puts the former database back"
    return Standing(record, f"{said}; {content}", f"{hint}, unless it still runs.")


def _content(settings: Settings, record: RecoveryRecord) -> str:
    target = restore_target(settings, record.database)
    with databases.connect(target.database(settings.maintenance_database)) as admin:
        holder = swap.oid_of(admin, record.database)
    if holder is None:
        return f"there is no database {record.database!r}, as it was before"
    if holder == record.room_oid:
        kind = "restored" if record.kind == "recovery" else "former"
        return f"{record.database!r} is the {kind} database, whole"
    return f"{record.database!r} is as it was before"
