"""The chain of the incident log: each line carries the hash of the one before, a head that of the
last. What was changed, removed, moved or inserted shows.

Belongs here: the rules, on bytes alone. Not here: files (``incident_log``) and what an entry says
(``record``).

Lines of format 1 have no chain and are taken as they are, in front of all others. A line that a
crash cut short is no break: the next one follows it. A head may be behind: a crash can come between
the line and the head. Whoever can write both files can forge both; a copy of the last hash
elsewhere (``kajovo-dr incidents --verify`` prints it) tells that too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

CHANGED = "the line before it was changed, moved or removed"
MOVED = "it does not follow the line before it: lines were moved, inserted or removed"
UNCHAINED = "it has no chain, and stands behind lines that have one"
FOREIGN = "it is no entry, and no crash leaves such a line"
OTHER = "it is not the line that was written there last"
MISSING = "lines are missing from here on"
NO_HEAD = "incidents.head is missing"
BAD_HEAD = "incidents.head cannot be read"

#: What a line that a crash cut short begins with, or is the beginning of.
_BEGINNING = b'{"format":'
_CARRIED = re.compile(rb'\{"format":[0-9]+,"previous":"([0-9a-f]{0,64})"')


@dataclass(frozen=True)
class Break:
    """A place where the log is not as it was written. line: of the file; 0: its head."""

    line: int
    what: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.what}" if self.line else self.what


@dataclass(frozen=True)
class Chain:
    """What examining a log found. last: sha256 of its last line. unreadable: lines that hold no
    entry that this version can read, broken or not.
    """

    entries: int
    breaks: tuple[Break, ...] = ()
    unreadable: tuple[int, ...] = ()
    last: str = ""

    @property
    def ok(self) -> bool:
        """Whether every line is as it was written, and none is missing."""
        return not self.breaks


class Noticed(BaseModel):
    """A break at the log's end that was met when an entry was added, and would not show since."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    line: int
    what: str


class Head(BaseModel):
    """What the head file remembers. lines: without blank ones; sha256: of the last of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lines: int = Field(ge=0)
    sha256: str = Field(pattern=r"^([0-9a-f]{64})?$")
    noticed: tuple[Noticed, ...] = ()


@dataclass(frozen=True)
class Line:
    """A line that is not blank. torn: it is no JSON, so parsed is nothing."""

    number: int
    content: bytes
    parsed: Any = None
    torn: bool = False

    @classmethod
    def of(cls, number: int, content: bytes) -> Line:
        """The line, parsed when it can be."""
        try:
            return cls(number, content, json.loads(content))
        except (ValueError, RecursionError):
            return cls(number, content, torn=True)

    @property
    def foreign(self) -> bool:
        """Whether no crash leaves such a line; a power cut may leave zeros where bytes were due."""
        left = self.content.rstrip(b"\0")
        return self.torn and not (left.startswith(_BEGINNING) or _BEGINNING.startswith(left))

    @property
    def previous(self) -> str | None:
        """The hash that it carries, None for none; what is left of a torn line may hold one."""
        if self.torn:
            found = _CARRIED.match(self.content)
            return found[1].decode() if found else None
        carried = self.parsed.get("previous") if isinstance(self.parsed, dict) else None
        # format 1 had no such field, and the model gives it an empty one
        return carried if isinstance(carried, str) and self.parsed.get("format") != 1 else None

    @property
    def digest(self) -> str:
        """The hash that the next line carries."""
        return sha256(self.content).hexdigest()


def lines_of(content: bytes) -> list[Line]:
    """The lines that are not blank."""
    # only \n ends a line here: str.splitlines knows others, which may stand inside a JSON string
    numbered = enumerate(content.split(b"\n"), start=1)
    return [Line.of(number, line) for number, line in numbered if line.strip()]


def last_digest(lines: Sequence[Line]) -> str:
    """What the next entry carries."""
    return lines[-1].digest if lines else ""


def head_from(content: bytes) -> Head | None:
    """The head; None when this is none."""
    try:
        return Head.model_validate_json(content)
    except ValidationError:
        return None


def broken_links(lines: Sequence[Line]) -> Iterator[Break]:
    """Lines that do not follow the line before them."""
    digests = {line.digest for line in lines}
    before, chained = "", False
    for line in lines:
        carried = line.previous
        if carried is not None:
            chained = True
            if carried != before:
                yield Break(line.number, MOVED if carried in {*digests, ""} else CHANGED)
        elif chained and not line.torn:
            yield Break(line.number, UNCHAINED)
        before = line.digest


def broken_end(lines: Sequence[Line], head: bytes) -> Iterator[Break]:
    """What the head says against the lines. head: its file, empty for none."""
    known = head_from(head)
    if known is None:
        if head.strip():
            yield Break(0, BAD_HEAD)
        elif any(line.previous is not None for line in lines):
            yield Break(0, NO_HEAD)
        return
    if known.lines > len(lines):
        yield Break(lines[-1].number + 1 if lines else 1, MISSING)
    elif known.lines and lines[known.lines - 1].digest != known.sha256:
        yield Break(lines[known.lines - 1].number, OTHER)
    else:
        behind = (line for line in lines[known.lines :] if line.foreign)
        yield from (Break(line.number, FOREIGN) for line in behind)
