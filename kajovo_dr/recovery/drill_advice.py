"""What to do after a drill: sentences and commands to type, by what failed and what is near.

Belongs here: which advice follows from which finding. Not here: its words (``drill_texts``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from kajovo_dr.recovery.drill_history import History
from kajovo_dr.recovery.drill_record import RTO, RTO_PHASES, DrillRecord
from kajovo_dr.recovery.drill_words import Words
from kajovo_dr.recovery.forecast import Forecast

#: A forecast nearer than this is worth planning for.
_SOON = timedelta(days=180)
_DRILL = "kajovo-dr drill"
#: By the phase that failed; {backup} is the drill's own.
_COMMANDS = {
    "prepare": ("kajovo-dr doctor", "kajovo-dr doctor --settings"),
    "backup": ("kajovo-dr doctor", "kajovo-dr backup"),
    "proof": ("kajovo-dr verify {backup} --restore", "kajovo-dr backup --prove"),
    "zoo": ("kajovo-dr drill --mutants {backup}",),
    "restore": ("kajovo-dr restore {backup} --into drill_by_hand",),
    "migrate": (
        "kajovo-dr restore {backup} --into drill_by_hand",
        "alembic upgrade head && alembic check",
    ),
    "legacy": ("kajovo-dr doctor --settings",),
    "revoke": ("kajovo-dr doctor --settings",),
    "start": ("kajovo-dr doctor --settings",),
    "alert": ("kajovo-dr doctor --settings", "kajovo-dr alert --test"),
    RTO: ("KAJOVO_DR_BACKUP_FORMAT=custom kajovo-dr drill",),
}


@dataclass(frozen=True)
class Advice:
    """A sentence, a message of the program, commands."""

    text: str
    quote: str = ""
    commands: tuple[str, ...] = ()


def advice(
    record: DrillRecord, history: History, seen: Forecast, words: Words
) -> tuple[Advice, ...]:
    """What to do next, most urgent first."""
    found = [*_failed(record, words), *_near(record, seen, words)]
    if history.unreadable:
        found.append(Advice(words("next_unreadable")))
    if not record.ok:
        found.append(Advice(words("next_again"), commands=(_DRILL,)))
    return tuple(found) or (Advice(words("next_nothing"), commands=(_DRILL,)),)


def _failed(record: DrillRecord, words: Words) -> list[Advice]:
    if record.failed_phase is None:
        return []
    name, failure = record.failed_phase, record.failure
    commands = tuple(
        command.format(backup=record.backup or "NAME") for command in _COMMANDS.get(name, ())
    )
    text = words(f"next_{name}", **({"slowest": _slowest(record, words)} if name == RTO else {}))
    found = [Advice(text, commands=commands)]
    if failure is not None:
        said = words("next_said", phase=words.phase(name))
        found.insert(0, Advice(said, quote=failure.detail))
    if failure is not None and failure.hint:
        found.append(Advice(words("next_hint"), quote=failure.hint))
    return found


def _near(record: DrillRecord, seen: Forecast, words: Words) -> list[Advice]:
    """What held this time and may not hold the next time."""
    found = []
    if record.rto_verdict == "warn":
        found.append(Advice(words("next_rto_warn", slowest=_slowest(record, words))))
    often = ("kajovo-dr backup --prove",)
    if record.rpo_verdict in ("warn", "fail"):
        age = words.duration(record.data_age_s)
        found.append(Advice(words("next_rpo", age=age), commands=often))
    elif record.rpo_verdict == "none" and record.failed_phase != "prepare":
        found.append(Advice(words("next_rpo_none"), commands=("kajovo-dr up",)))
    if seen.kind == "missed" or (seen.day and seen.day < record.finished_at.date() + _SOON):
        found.append(Advice(words("next_forecast")))
    return found


def _slowest(record: DrillRecord, words: Words) -> str:
    seconds = {name: taken for name, taken in record.seconds.items() if name in RTO_PHASES}
    return words.phase(max(seconds, key=seconds.__getitem__)) if seconds else "–"
