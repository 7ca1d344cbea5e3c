"""The history of drills: one JSON line per drill in ``<state>/drills.jsonl``, never rewritten.

Belongs here: the file. Not here: what a record says (``drill_record``). A line that cannot be read
(cut short by a crash, damaged, of a newer kajovo_dr) stays as it is and is counted; the next record
begins on a line of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from kajovo_dr import files, private_file
from kajovo_dr.recovery.drill_record import DrillRecord


@dataclass(frozen=True)
class History:
    """All drills that can be read, oldest first, and the numbers of lines that cannot."""

    drills: tuple[DrillRecord, ...]
    unreadable: tuple[int, ...] = ()


def path_of(state: Path) -> Path:
    """The file below a state folder."""
    return state / "drills.jsonl"


def folder(state: Path) -> Path:
    """Where the reports lie, and the output of applications that failed."""
    return files.private_folder(state / "drills")


def append(state: Path, record: DrillRecord) -> None:
    """Add a drill and wait until it is on the disk. Raises `LogUnwritable`."""
    path = path_of(state)
    with private_file.locked(path):
        content = private_file.read(path)
        torn = bool(content) and not content.endswith(b"\n")
        line = record.model_dump_json().encode() + b"\n"
        private_file.append(path, b"\n" + line if torn else line)


def bequeath(state: Path, record: DrillRecord) -> None:
    """Keep what is to be written down of the drill that runs, should it be killed."""
    private_file.replace(_will(state), record.model_dump_json())


def inherit(state: Path) -> DrillRecord | None:
    """What a killed drill has bequeathed; whoever calls is sure that none runs."""
    try:
        return DrillRecord.model_validate_json(private_file.read(_will(state)))
    except ValidationError:
        return None


def close(state: Path) -> None:
    """The drill has its record: there is nothing left to bequeath."""
    _will(state).unlink(missing_ok=True)


def _will(state: Path) -> Path:
    return folder(state) / "running.json"


def read(state: Path) -> History:
    """The history; empty when no drill was run yet. Raises `LogUnwritable` when it is closed."""
    drills, unreadable = [], []
    # only \n ends a line here: str.splitlines knows others, which may stand inside a JSON string
    for number, line in enumerate(private_file.read(path_of(state)).split(b"\n"), start=1):
        if line.strip():
            try:
                drills.append(DrillRecord.model_validate_json(line))
            except ValidationError:
                unreadable.append(number)
    return History(tuple(sorted(drills, key=lambda drill: drill.started_at)), tuple(unreadable))
