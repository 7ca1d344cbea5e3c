"""What follows when a phase of a recovery fails: nobody is left worse off than before.

Belongs here: starting the application again, undoing by setting, and the operator's next step. Not
here: the phases (``recover``).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from kajovo_dr.errors import DrError, TargetBusy
from kajovo_dr.postgres import swap
from kajovo_dr.progress import Progress, silent
from kajovo_dr.recovery import control
from kajovo_dr.recovery.record import IncidentEntry, Phase
from kajovo_dr.recovery.recover import PHASES, Recovery, administering
from kajovo_dr.recovery.undo import begin_undo
from kajovo_dr.settings import Settings

#: Phases whose failure says that the restored database does not do.
_UNDONE_FOR = frozenset(("readiness", "smoke"))


def run(
    settings: Settings,
    recovery: Recovery,
    *,
    told: Callable[[Phase], None] = lambda phase: None,
    progress: Progress = silent,
) -> IncidentEntry:
    """Go through all phases; the log's entry. Raises what a phase raises, when that is dealt with.

    told: each phase when it has ended well.
    """
    with recovery.alone():
        for name in PHASES[recovery.record.kind]:
            if phase := do(settings, recovery, name, progress=progress):
                told(phase)
        recovery.require_complete()
        return recovery.journal.log()


def do(
    settings: Settings, recovery: Recovery, name: str, *, progress: Progress = silent
) -> Phase | None:
    """One phase, as `Recovery.do`."""
    try:
        return recovery.do(name)
    except TargetBusy:  # whoever is at it knows what the application may do
        raise
    except DrError as failure:
        follow = (
            partial(_after_the_swap, name) if recovery.record.done("swap") else _before_the_swap
        )
        try:
            said = follow(settings, recovery, progress)
        except DrError as also:
            said = f"And that failed, too: {also}. {also.hint}"
        failure.hint = f"{failure.hint} {said}".strip()
        raise
    except BaseException as interrupted:  # Ctrl-C, a run that is terminated in the UI
        try:
            if recovery.record.done("swap"):
                control.start(settings, progress=progress)  # the database in place is whole
                interrupted.add_note("Go on with it: kajovo-dr recover --resume.")
            else:
                interrupted.add_note(_before_the_swap(settings, recovery, progress))
        except DrError as also:
            interrupted.add_note(f"{also}. {also.hint}")
        raise


def _before_the_swap(settings: Settings, recovery: Recovery, progress: Progress) -> str:
    """The live database is as it was, so the application may as well go on with it."""
    record, said = recovery.record, []
    # one that failed or was interrupted may have stopped it
    stopped = any(phase.name == "stop" and not phase.skipped for phase in record.phases)
    with administering(settings) as admin:
        holder = swap.oid_of(admin, record.database)
    there = holder is not None
    if there and holder == record.room_oid:  # the server had done it when the connection broke
        return f"{record.database!r} is the restored one. Go on: kajovo-dr recover --resume."
    if there:
        said.append(f"{record.database!r} is as it was.")
    if stopped and there:
        try:
            control.start(settings, progress=progress)
            recovery.watch_until_it_answers()
        finally:
            _take_back(recovery)
        said.append("The application was started again on it.")
    return " ".join([*said, "Go on with the recovery: kajovo-dr recover --resume."])


def _take_back(recovery: Recovery) -> None:
    """Whoever goes on has to stop it again, and to back up what is written meanwhile."""
    kept = tuple(
        phase
        for phase in recovery.record.phases
        if not (phase.ok and phase.name in ("safety", "stop"))
    )
    recovery.journal.update(phases=kept)


def _after_the_swap(name: str, settings: Settings, recovery: Recovery, progress: Progress) -> str:
    record = recovery.record
    possible = record.kind == "recovery" and record.live_oid is not None
    if not possible:
        return "When it is mended: kajovo-dr recover --resume."
    if not settings.auto_undo or name not in _UNDONE_FOR:
        return (
            f"The restored database is in place, the former one is kept as {record.replaced!r}: "
            "mend it and go on with kajovo-dr recover --resume, or put the former one back with "
            "kajovo-dr undo."
        )
    undo = begin_undo(
        settings,
        record,
        who=record.who,
        confirm=record.database,
        note="undone by KAJOVO_DR_AUTO_UNDO",
        within=recovery,
        progress=progress,
    )
    with recovery.alone():
        try:
            for each in PHASES["undo"]:
                undo.do(each)
        except DrError as failure:
            return _half_undone(undo, failure)
        undo.journal.log()
    return f"It was undone: {record.database!r} is the former database again."


def _half_undone(undo: Recovery, failure: DrError) -> str:
    record = undo.record
    if record.done("swap"):
        said = f"It was undone: {record.database!r} is the former database again, but"
    else:
        said = f"{record.database!r} is still the restored database: undoing it failed, too:"
    return f"{said} {failure}. When it is mended: kajovo-dr recover --resume."
