"""What is watched, as it is at one moment: well, or how bad, and what a person must know of it.

Belongs here: the record that a source makes and a message is made of. Not here: the sources
(``watch``), and what people were told already (``ledger``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

#: unknown: nobody can say how it is, which is worse than a warning: silence is not success.
Level = Literal["ok", "warning", "unknown", "critical"]
#: From the best to the worst.
LEVELS: tuple[Level, ...] = ("ok", "warning", "unknown", "critical")


def rank(level: Level) -> int:
    """How bad it is; 0 is well."""
    return LEVELS.index(level)


@dataclass(frozen=True)
class Worse:
    """What nobody saw while it lasted: how bad it had been between two looks."""

    level: Level
    since: datetime
    until: datetime


@dataclass(frozen=True)
class Condition:
    """One thing that is watched, and how it is.

    key: ``FAMILY`` or ``FAMILY:NAME``; its texts are for people, in the language of the settings.
    what: a sentence without its full stop; figure and limit: with their units; next: a command.
    since: when it began, at the latest. link: to the run. cause: a trouble with another cause is
    another trouble, and is told although the level is the same. covered_by: keys; while one of
    them is as bad, this is known with it and not told by itself. patience_s: seconds that it must
    last before it is told. lasting: False for what has happened and is over with that, so that
    nobody is told of its end. at: of which moment this is known; None: of now. memo: what its
    source wants to know at its next look. worse: what it was meanwhile.
    """

    key: str
    level: Level
    what: str
    figure: str = ""
    limit: str = ""
    next: str = ""
    since: datetime | None = None
    link: str = ""
    cause: str = ""
    covered_by: tuple[str, ...] = ()
    patience_s: float = 0
    lasting: bool = True
    at: datetime | None = None
    memo: str = ""
    worse: Worse | None = None

    @property
    def family(self) -> str:
        """What it is one of."""
        return self.key.partition(":")[0]
