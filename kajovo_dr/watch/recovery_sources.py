"""What is wrong with recovering: drills that failed or are overdue, recoveries that did not end.

Belongs here: conditions that the state folder tells. Not here: drills and recoveries themselves
(``recovery``), and telling anybody (``look``).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

from kajovo_dr.alerts.condition import Condition
from kajovo_dr.errors import DrError
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.server import Server, restore_target
from kajovo_dr.recovery import drill, drill_history
from kajovo_dr.recovery.drill_record import RTO, DrillRecord
from kajovo_dr.recovery.journal import unfinished
from kajovo_dr.recovery.preflight import LOCK
from kajovo_dr.recovery.record import RecoveryRecord
from kajovo_dr.settings import Settings
from kajovo_dr.watch.protected import protected
from kajovo_dr.watch.scene import Scene

FAMILIES = ("drill", "recovery")
_DRILL = "kajovo-dr drill"
#: Between two phases a recovery is nobody's for an instant; one that is nobody's now and then is
#: looked at again before anybody is told.
_PATIENCE_S = 60.0


def conditions(scene: Scene) -> Iterator[Condition]:
    """All of them."""
    yield _drill(scene)
    try:
        open_ones = unfinished(scene.settings.state)
    except DrError as failure:
        what = scene.words("recovery_unknown", why=failure)
        yield Condition("recovery", "unknown", what, next="kajovo-dr doctor")
        yield from (each for each in scene.kept("recovery") if each.key != "recovery")
        return
    for record in open_ones:
        yield from _unended(scene, record)


def _drill(scene: Scene) -> Condition:
    """A drill that was killed is written down first: it has failed."""
    settings, words = scene.settings, scene.words
    limit = timedelta(days=settings.drill_overdue_days)
    allowed = words("days", days=words.days(settings.drill_overdue_days))
    try:
        with suppress(OSError):  # a state folder that is read-only now: what it holds is told
            drill.log_killed(settings)
        history = drill_history.read(settings.state)
    except DrError as failure:
        return _unknown_drill(scene, str(failure))
    drills = history.drills
    if history.unreadable and not drills:
        return _unknown_drill(scene, words("drill_unreadable"))
    if not drills:
        return Condition("drill", "warning", words("drill_none"), limit=allowed, next=_DRILL)
    last = drills[-1]
    if not last.ok:
        return _failed_drill(scene, last)
    age = scene.now - last.finished_at
    if age <= limit:
        return Condition("drill", "ok", words("drill_ok"))
    return Condition(
        "drill",
        "warning",
        words("drill_overdue"),
        words("days", days=words.days(age / timedelta(days=1))),
        allowed,
        _DRILL,
        last.finished_at + limit,
    )


def _unknown_drill(scene: Scene, why: str) -> Condition:
    what = scene.words("drill_unknown", why=why)
    return Condition("drill", "unknown", what, next="kajovo-dr drill --history")


def _failed_drill(scene: Scene, last: DrillRecord) -> Condition:
    """Each one that fails is another trouble."""
    words, failure = scene.words, last.failure
    why = f"{failure.name}: {failure.detail}" if failure else words("drill_rto")
    missed = last.failed_phase == RTO and last.rto_s is not None
    return Condition(
        "drill",
        "critical",
        words("drill_failed", id=last.id[:8], why=why),
        words.duration(last.rto_s) if missed and last.rto_s is not None else "",
        words.duration(last.objectives.rto_s) if missed else "",
        "kajovo-dr drill --history",
        last.finished_at,
        cause=last.id,
    )


def _unended(scene: Scene, record: RecoveryRecord) -> Iterator[Condition]:
    """One that somebody carries out is told of only when it takes longer than the RTO."""
    settings, words = scene.settings, scene.words
    took_s = (scene.now - record.started_at).total_seconds()
    rto_s = settings.rto_minutes * 60
    if took_s <= rto_s and is_carried_out(settings, record):
        return
    phases = [phase.name for phase in record.phases]
    yield Condition(
        f"recovery:{record.short}",
        "critical",
        words(
            "recovery",
            id=record.short,
            database=record.database,
            who=record.who,
            phase=phases[-1] if phases else words("between"),
        ),
        words.duration(took_s),
        words.duration(rto_s),
        "kajovo-dr recover --resume",
        record.started_at,
        patience_s=_PATIENCE_S,
    )


def is_carried_out(settings: Settings, record: RecoveryRecord) -> bool:
    """Whether somebody carries it out this moment, by the lock that is held meanwhile."""
    try:
        target = _target(settings, record)
        return databases.is_held(target, settings.maintenance_database, purpose=LOCK)
    except DrError:  # nobody carries out a recovery on a server that does not answer
        return False


def _target(settings: Settings, record: RecoveryRecord) -> Server:
    """That of the sandbox hotel when no database is configured."""
    if settings.restore_url is None and settings.database_url is None:
        return protected(settings).database(record.database)
    return restore_target(settings, record.database)
