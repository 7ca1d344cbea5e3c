"""The incident log: one JSON line per recovery in ``incidents.jsonl``, never rewritten, each with
the hash of the one before; ``incidents.head`` with that of the last; and a page in ``incidents.md``
that is rendered from it.

Belongs here: the three files. Not here: what an entry says (``record``), the rules of the chain
(``chain``) and looks (``report``). A line that a crash cut short stays as it is; the next entry
begins on a line of its own. A broken chain never keeps an incident from being logged.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from pydantic import ValidationError

from kajovo_dr import private_file
from kajovo_dr.errors import LogBroken, LogUnwritable
from kajovo_dr.recovery import chain, report
from kajovo_dr.recovery.chain import Break, Chain, Head, Line, Noticed
from kajovo_dr.recovery.record import IncidentEntry
from kajovo_dr.recovery.report_words import Language, Words
from kajovo_dr.settings import Settings

#: Breaks that an error names; the rest are counted.
_NAMED = 5


class IncidentLog:
    """The log in a folder. timezone, language, rto (minutes of warning and failure): the page's."""

    def __init__(
        self,
        folder: Path,
        *,
        timezone: str = "Europe/Prague",
        language: Language = "en",
        rto: tuple[float, float] | None = None,
    ) -> None:
        self.lines = folder / "incidents.jsonl"
        self.head = folder / "incidents.head"
        self.page = folder / "incidents.md"
        self._words = Words(timezone, language, rto)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The log of these settings, its page as they want it."""
        words = Words.of(settings)
        return cls(settings.state, timezone=words.timezone, language=words.language, rto=words.rto)

    def append(self, entry: IncidentEntry) -> None:
        """Add an entry, once per id, and render the page. Raises `LogUnwritable`."""
        with private_file.locked(self.lines):
            content = private_file.read(self.lines)
            lines = chain.lines_of(content)
            noticed = self._noticed(lines)
            if entry.id not in {known.id for known in _entries(lines)[0]}:
                self._begin_head(lines)
                # the new line must follow what is there, whatever that is
                line = _written(entry, chain.last_digest(lines))
                torn = bool(content) and not content.endswith(b"\n")
                private_file.append(self.lines, b"\n" + line if torn else line)
            content = private_file.read(self.lines)
            self._write_head(chain.lines_of(content), noticed)
            self._render(content)

    def read(self) -> list[IncidentEntry]:
        """Every entry that can be read, oldest first."""
        return _entries(chain.lines_of(private_file.read(self.lines)))[0]

    def unreadable(self) -> list[int]:
        """Numbers of lines that cannot be read: cut short, damaged, or of a newer kajovo_dr."""
        return _entries(chain.lines_of(private_file.read(self.lines)))[1]

    def verify(self) -> Chain:
        """Examine every line and the head; says where the log is not as it was written."""
        found = self._examined()
        # a writer may have come between the reading of head and lines, never twice the same way
        return found if found.ok else self._examined()

    def require_intact(self) -> Chain:
        """The same; raises `LogBroken` that names the lines."""
        found = self.verify()
        if not found.ok:
            named = "; ".join(map(str, found.breaks[:_NAMED]))
            more = len(found.breaks) - _NAMED
            rest = f"; and {more} more" if more > 0 else ""
            raise LogBroken(f"{self.lines} is not as it was written: {named}{rest}")
        return found

    def _examined(self) -> Chain:
        head = self._read_head()  # before the lines: it may be behind them, not they behind it
        return _examined(private_file.read(self.lines), head)

    def _noticed(self, lines: Sequence[Line]) -> tuple[Noticed, ...]:
        """What the head is to remember: a new line at the end would hide that others are gone."""
        head = self._read_head()
        known = chain.head_from(head)
        earlier = known.noticed if known else ()
        found = chain.broken_end(lines, head)
        return (*earlier, *(Noticed(line=each.line, what=each.what) for each in found))

    def _begin_head(self, lines: Sequence[Line]) -> None:
        """Before the first line of the chain, so that a log with a chain always has its head."""
        if not self.head.exists() and all(line.previous is None for line in lines):
            with contextlib.suppress(LogUnwritable):  # first of all the incident must be logged
                self._write_head(lines, ())

    def _write_head(self, lines: Sequence[Line], noticed: tuple[Noticed, ...]) -> None:
        head = Head(lines=len(lines), sha256=chain.last_digest(lines), noticed=noticed)
        private_file.replace(self.head, head.model_dump_json() + "\n")

    def _read_head(self) -> bytes:
        """The head's file; what cannot be read is no head, and must not stop an incident."""
        try:
            return private_file.read(self.head)
        except LogUnwritable as failure:
            return str(failure).encode()

    def _render(self, content: bytes) -> None:
        found = _examined(content, self._read_head())
        entries = _entries(chain.lines_of(content))[0]
        text = report.page(
            entries,
            self._words.timezone,
            found.unreadable,
            language=self._words.language,
            rto=self._words.rto,
            breaks=found.breaks,
        )
        private_file.replace(self.page, text)


def _examined(content: bytes, head: bytes) -> Chain:
    lines = chain.lines_of(content)
    entries, unreadable = _entries(lines)
    known = chain.head_from(head)
    noticed = known.noticed if known else ()
    breaks = (
        *chain.broken_links(lines),
        *(Break(each.line, each.what) for each in noticed),
        *chain.broken_end(lines, head),
    )
    unique = sorted(dict.fromkeys(breaks), key=lambda each: each.line)
    return Chain(len(entries), tuple(unique), tuple(unreadable), chain.last_digest(lines))


def _written(entry: IncidentEntry, previous: str) -> bytes:
    """The line of an entry. A text that is no UTF-8, such as a file's name in an error, must not
    keep it from being logged.
    """
    fields = entry.model_dump(mode="json") | {"format": 2, "previous": previous}
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace") + b"\n"


def _entries(lines: Sequence[Line]) -> tuple[list[IncidentEntry], list[int]]:
    entries, unreadable = [], []
    for line in lines:
        try:
            entries.append(IncidentEntry.model_validate_json(line.content))
        except ValidationError:
            unreadable.append(line.number)
    return entries, unreadable
