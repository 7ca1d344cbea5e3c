"""Which entries of the log are of one recovery, and what became of an entry afterwards.

Belongs here: what the entries say of each other. Not here: words (``incident_outcome``), pages
(``incident_pages``).

A recovery that is gone on with gets an entry for each attempt: ``X``, ``X-2``, ``X-3``.
"""

from __future__ import annotations

from collections.abc import Sequence

from kajovo_dr.errors import SettingError
from kajovo_dr.recovery.record import SHORT, IncidentEntry

#: Characters of a recovery's id that its later attempts keep: the number must have a place.
_KEPT = 60
#: An id up to this long is short enough for people.
_TYPED = 12


def recovery_of(entry: IncidentEntry, entries: Sequence[IncidentEntry]) -> str:
    """The id of its recovery (or undo): that of the first attempt."""
    stem, _, number = entry.id.rpartition("-")
    if stem and number.isdecimal():
        for each in entries:
            if each.id != entry.id and _is_attempt(entry.id, each.id):
                return each.id
    return entry.id


def attempts(entry: IncidentEntry, entries: Sequence[IncidentEntry]) -> list[IncidentEntry]:
    """All entries of its recovery, oldest first."""
    recovery = recovery_of(entry, entries)
    return [each for each in entries if _is_attempt(each.id, recovery)]


def short_id(entry: IncidentEntry, entries: Sequence[IncidentEntry]) -> str:
    """As people type it: ``c077bd0b``, ``c077bd0b-2``."""
    recovery = recovery_of(entry, entries)
    if len(recovery) <= _TYPED:
        return entry.id
    number = "" if entry.id == recovery else entry.id[len(recovery[:_KEPT]) :]
    return recovery.replace("-", "")[:SHORT] + number


def given_up(entry: IncidentEntry) -> bool:
    """Whether this entry is the end of a recovery that was given up."""
    return bool(entry.phases) and entry.phases[-1].name == "abandoned"


def next_attempt(entry: IncidentEntry, entries: Sequence[IncidentEntry]) -> IncidentEntry | None:
    """The entry that goes on with this one, which failed or was cut off."""
    found = attempts(entry, entries)
    place = found.index(entry) + 1 if entry in found else len(found)
    return found[place] if place < len(found) else None


def undone_by(entry: IncidentEntry, entries: Sequence[IncidentEntry]) -> IncidentEntry | None:
    """The entry that undid this one: of the attempts at a recovery that which swapped."""
    undos = [each for each in entries if each.kind == "undo" and each.succeeded and each.undoes]
    for undo in reversed(undos):
        of_it = [each for each in entries if _is_attempt(each.id, undo.undoes or "")]
        if entry in ([each for each in of_it if each.swapped_at] or of_it):
            return undo
    return None


def chosen(entries: Sequence[IncidentEntry], wanted: str) -> list[IncidentEntry]:
    """All entries of the recovery whose id begins so, with its hyphens or without; or the one
    attempt that is named with its number. Raises `SettingError` for none and for several.
    """
    for each in entries:
        named = (each.id, short_id(each, entries))
        if wanted in named and recovery_of(each, entries) != each.id:
            return [each]
    found: dict[str, list[IncidentEntry]] = {}
    for each in entries:
        if wanted and (each.id.startswith(wanted) or each.id.replace("-", "").startswith(wanted)):
            found[recovery_of(each, entries)] = attempts(each, entries)
    if wanted in found:
        return found[wanted]
    if len(found) == 1:
        return next(iter(found.values()))
    if not found:
        raise SettingError(
            f"the incident log has no entry {wanted!r}", hint="kajovo-dr incidents lists them."
        )
    raise SettingError(f"{wanted!r} may be each of {', '.join(found)}", hint="type more of the id.")


def _is_attempt(entry_id: str, recovery: str) -> bool:
    """Whether an entry is of that recovery: its id, or that with the attempt's number."""
    if entry_id == recovery:
        return True
    stem, _, number = entry_id.rpartition("-")
    return bool(stem) and number.isdecimal() and stem == recovery[:_KEPT]
