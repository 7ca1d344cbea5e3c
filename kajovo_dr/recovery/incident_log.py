"""The incident log: one JSON line per recovery in ``incidents.jsonl``, never rewritten, and a page
in ``incidents.md`` that is rendered from it.

Belongs here: the two files. Not here: what an entry says (``record``) and its looks (``report``).
A line that a crash cut short stays as it is; the next entry begins on a line of its own.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from kajovo_dr.recovery import private_file, report
from kajovo_dr.recovery.record import IncidentEntry


class IncidentLog:
    """The log in a folder. timezone: of the times on the page."""

    def __init__(self, folder: Path, *, timezone: str = "Europe/Prague") -> None:
        self.lines = folder / "incidents.jsonl"
        self.page = folder / "incidents.md"
        self._timezone = timezone

    def append(self, entry: IncidentEntry) -> None:
        """Add an entry, once per id, and render the page. Raises `LogUnwritable`."""
        with private_file.locked(self.lines):
            content = private_file.read(self.lines)
            entries, _ = _parsed(content)
            if entry.id not in {known.id for known in entries}:
                torn = bool(content) and not content.endswith(b"\n")
                line = entry.model_dump_json().encode() + b"\n"
                private_file.append(self.lines, b"\n" + line if torn else line)
            self._render()

    def read(self) -> list[IncidentEntry]:
        """Every entry that can be read, oldest first."""
        return _parsed(private_file.read(self.lines))[0]

    def unreadable(self) -> list[int]:
        """Numbers of lines that cannot be read: cut short, damaged, or of a newer kajovo_dr."""
        return _parsed(private_file.read(self.lines))[1]

    def _render(self) -> None:
        entries, unreadable = _parsed(private_file.read(self.lines))
        private_file.replace(self.page, report.page(entries, self._timezone, unreadable))


def _parsed(content: bytes) -> tuple[list[IncidentEntry], list[int]]:
    entries, unreadable = [], []
    # only \n ends a line here: str.splitlines knows others, which may stand inside a JSON string
    for number, line in enumerate(content.split(b"\n"), start=1):
        if line.strip():
            try:
                entries.append(IncidentEntry.model_validate_json(line))
            except ValidationError:
                unreadable.append(number)
    return entries, unreadable
