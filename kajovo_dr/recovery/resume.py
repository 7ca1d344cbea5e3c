"""A recovery that has not ended: how it stands, going on with it, or giving it up.

Belongs here: finding it, and what is done once with the whole of it. Not here: its phases
(``recover``).
"""

from __future__ import annotations

import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from kajovo_dr.errors import DrError, SettingError
from kajovo_dr.postgres import databases, swap
from kajovo_dr.postgres.server import Server, restore_target
from kajovo_dr.progress import Progress, silent
from kajovo_dr.recovery import control
from kajovo_dr.recovery.journal import RecoveryJournal, records, unfinished
from kajovo_dr.recovery.preflight import require_finished
from kajovo_dr.recovery.record import IncidentEntry, Phase, RecoveryRecord
from kajovo_dr.recovery.recover import (
    Recovery,
    administering,
    alone,
    exchanging,
    is_here,
    mark,
)
from kajovo_dr.recovery.restore import drop_left
from kajovo_dr.settings import Settings


@dataclass(frozen=True)
class Standing:
    """How a recovery stands. content: of the database under the live name, as the server says."""

    record: RecoveryRecord
    said: str
    hint: str


def find(settings: Settings, which: str = "") -> RecoveryRecord:
    """The newest recovery that has not ended well, or the one whose id begins so.

    One that failed, and whose place a later one has taken, must be named. Raises `SettingError`
    when there is none to go on with.
    """
    found = [each for each in _open(settings) if each.record.id.startswith(which)]
    # what failed and was overtaken is history; what was cut off still blocks new recoveries
    current = [each.record for each in found if which or not each.superseded]
    open_ones = current or [each.record for each in found if each.cut_off]
    if not open_ones:
        of = f" whose id begins with {which!r}" if which else ""
        raise SettingError(
            f"there is no recovery{of} to go on with: all have ended well or were given up",
            hint="kajovo-dr incidents lists them; kajovo-dr recover begins a new one.",
        )
    return open_ones[-1]


@dataclass(frozen=True)
class _Open:
    """A recovery that has not ended well. cut_off: without a word in the log. superseded: a later
    one has replaced the database since.
    """

    record: RecoveryRecord
    cut_off: bool
    superseded: bool


def _open(settings: Settings) -> list[_Open]:
    """Oldest first."""
    everything, cut_off = records(settings.state), {each.id for each in unfinished(settings.state)}
    return [
        _Open(record, record.id in cut_off, _superseded(record, everything[number:]))
        for number, record in enumerate(everything, 1)
        if record.id in cut_off or not (record.abandoned or _ended_well(record))
    ]


def _superseded(record: RecoveryRecord, later: list[RecoveryRecord]) -> bool:
    return any(
        each.swapped_at is not None
        and (each.database, each.identity) == (record.database, record.identity)
        for each in later
    )


def _ended_well(record: RecoveryRecord) -> bool:
    last = "swap" if record.database_only else "smoke"
    return record.failed_phase is None and record.done(last)


def require_open(settings: Settings, record: RecoveryRecord) -> None:
    """Raise `SettingError` for a recovery that nobody may go on with: it has ended well, was given
    up, or a later one has taken its place. A database that is older than the live one must not
    replace it because somebody pressed a button of last week.
    """
    found = {each.record.id: each for each in _open(settings)}.get(record.id)
    if found is not None and not record.abandoned and not found.superseded:
        return
    why = "was given up" if record.abandoned else "has ended well"
    if found is not None and found.superseded:
        why = "was overtaken by a later one"
    raise SettingError(
        f"{record.kind} {record.short} of {record.database!r} {why}",
        hint="begin a new one: kajovo-dr recover, or a new run of the job.",
    )


def resume(
    settings: Settings, record: RecoveryRecord, *, run: str = "", progress: Progress = silent
) -> Recovery:
    """Go on with a recovery: what failed or was cut off is in the log, and is done anew.

    run: Dagster's. Raises `SettingError` when nobody may go on with it (`require_open`), or the
    database that it restored has been replaced since; `RecoveryUnfinished` beside another one.
    """
    journal = RecoveryJournal(settings.state, record.id, settings)
    target = restore_target(settings, record.database)
    with alone(settings, target), exchanging(settings, target) as admin:
        _require_same_server(admin, target, record)
        if record.done("swap") and swap.oid_of(admin, record.database) != record.room_oid:
            raise SettingError(
                f"{record.kind} {record.short} has ended: {record.database!r} is no longer the"
                " database that it put in place",
                hint=f"kajovo-dr recover --abandon --id {record.short} closes it.",
            )
        require_open(settings, record)
        require_finished(settings, target, record.identity, but=record.id)
        journal.join(run or str(uuid.uuid4()))
    recovery = Recovery(settings, journal, progress=progress)
    recovery.forget_what_is_gone()
    recovery.count_losses_again()
    return recovery


def abandon(settings: Settings, record: RecoveryRecord) -> IncidentEntry:
    """Give a recovery up: its database is dropped, the application started again, the end logged.

    Raises `SettingError` when it has replaced the live database already; and what the application's
    start raises, when everything else is done.
    """
    target = restore_target(settings, record.database)
    with alone(settings, target), exchanging(settings, target) as admin:
        _require_same_server(admin, target, record)
        holder = swap.oid_of(admin, record.database)
        if holder is not None and holder == record.room_oid:
            raise SettingError(
                f"{record.kind} {record.short} has replaced {record.database!r} already",
                hint="go on with it: kajovo-dr recover --resume; or put the former database"
                " back: kajovo-dr undo.",
            )
        if record.kind == "recovery" and record.room:
            drop_left(admin, target.database(record.room), mark(record))
        try:
            if holder is not None and _stopped(record):
                control.start(settings)
                journal = RecoveryJournal(settings.state, record.id, settings)
                Recovery(settings, journal).watch_until_it_answers()
        finally:
            entry = _given_up(settings, record)
    return entry


def _require_same_server(
    admin: databases.Connection, target: Server, record: RecoveryRecord
) -> None:
    """Raise `SettingError` when the settings name another server than the recovery's."""
    if not is_here(admin, target, record):
        raise SettingError(
            f"{record.kind} {record.short} is of another server, {record.server}",
            hint="set KAJOVO_DR_RESTORE_URL or KAJOVO_DR_DATABASE_URL as they were then.",
        )


def _stopped(record: RecoveryRecord) -> bool:
    """Whether the application is down for it; a stop that was cut off may have stopped it."""
    skipped = [phase.skipped for phase in record.phases if phase.name == "stop"]
    return bool(skipped) and not skipped[-1] and not record.done("swap")


def _given_up(settings: Settings, record: RecoveryRecord) -> IncidentEntry:
    journal = RecoveryJournal(settings.state, record.id, settings)
    if record.id not in {each.id for each in unfinished(settings.state)}:
        journal.join(str(uuid.uuid4()))  # its failure is in the log already, this is an entry more
    now = datetime.now(UTC)
    journal.add(Phase(name="abandoned", began_at=now, ended_at=now, ok=False, detail="given up"))
    entry = journal.log()
    journal.update(abandoned=True)  # last: until then it can be given up again
    return entry


def _holder(settings: Settings, record: RecoveryRecord) -> int | None:
    """Which database has the live name now."""
    with administering(settings) as admin:
        return swap.oid_of(admin, record.database)


def standings(settings: Settings) -> list[Standing]:
    """Every recovery that has not ended, or not well, each with what to do.

    Of those whose place a later one took: the ones that left their database.
    """
    return [
        _standing(settings, each)
        for each in _open(settings)
        if not each.superseded or _left(settings, each.record)
    ]


def _left(settings: Settings, record: RecoveryRecord) -> bool:
    """Whether its database is there, under the name that it had while it was made ready."""
    with suppress(DrError), administering(settings) as admin:
        return databases.exists(admin, record.room)
    return False


def _standing(settings: Settings, one: _Open) -> Standing:
    record = one.record
    said = f"{record.kind} {record.short} of {record.database} by {record.who} {_where(one)}"
    if one.superseded:
        said += f", a later one has taken its place; {record.room!r} is left of it"
        return Standing(record, said, f"kajovo-dr recover --abandon --id {record.short} drops it.")
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


def _where(one: _Open) -> str:
    begun = [phase.name for phase in one.record.phases if phase.ok is None]
    if begun:
        return f"stopped in phase {begun[-1]}"
    if one.cut_off:
        return "stopped between two phases"
    failed = one.record.failed_phase
    return f"failed in phase {failed}" if failed else "has not ended well"


def _content(settings: Settings, record: RecoveryRecord) -> str:
    holder = _holder(settings, record)
    if holder is None:
        return f"there is no database {record.database!r}, as it was before"
    if holder == record.room_oid:
        kind = "restored" if record.kind == "recovery" else "former"
        return f"{record.database!r} is the {kind} database, whole"
    return f"{record.database!r} is as it was before"
