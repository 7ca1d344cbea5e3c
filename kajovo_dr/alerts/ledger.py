"""What people were told already, and what waits to be told: one file, whoever looks.

The daemon's sensor and the watchdog look at the same things; the file, changed under a lock, is how
each trouble is told once by whoever sees it first, over restarts and kills. A message is written
here before it is sent. The worst that a kill can do is that it is sent again, which it says then.

Belongs here: the file's form, and changes of it. Not here: the rules of a transition
(``transitions``) and sending (``channels``, ``delivery``).
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from kajovo_dr import private_file
from kajovo_dr.alerts.condition import Condition, Level, rank
from kajovo_dr.alerts.message import Message
from kajovo_dr.alerts.transitions import Notice, Rules, Standing, forgotten, missing, seen
from kajovo_dr.errors import FormatUnknown, LogUnwritable

#: Raised when an older reader would misunderstand the file.
FORMAT = 1
#: Bytes that are kept free for the file on a full disk: that it is full must be told.
_RESERVE = 1 << 18
#: Who looks.
Observer = Literal["daemon", "watchdog"]


class Attempt(BaseModel):
    """How far a message is on its way to one channel. sending: it was being sent when this was
    written; said: what came of the last attempt.
    """

    model_config = ConfigDict(extra="forbid")

    tries: int = 0
    next_at: AwareDatetime
    sending: bool = False
    said: str = ""


class Waiting(BaseModel):
    """A message and the channels that have not got it yet. key: of what it tells."""

    model_config = ConfigDict(extra="forbid")

    key: str
    message: Message
    channels: dict[str, Attempt]


class Seen(BaseModel):
    """When somebody looked last. uptime_s: seconds since the machine was started, then;
    boot: which start that was, where the system can tell; settings: digests of those that the
    judgements depend on, by name.
    """

    model_config = ConfigDict(extra="forbid")

    at: AwareDatetime
    uptime_s: float
    boot: str = ""
    settings: dict[str, str] = Field(default_factory=dict)


class Trouble(BaseModel):
    """A channel that does not take messages: since when, and what it said last."""

    model_config = ConfigDict(extra="forbid")

    since: AwareDatetime
    said: str


class Ledger(BaseModel):
    """All of it. id: of this ledger; another one has not seen what this one has. looks: by
    observer. lost: messages that were given up. renewed_at: when it took the place of one that
    could not be read.
    """

    model_config = ConfigDict(extra="forbid")

    format: Literal[1] = 1
    id: str = Field(default_factory=lambda: secrets.token_hex(8))
    renewed_at: AwareDatetime | None = None
    standings: dict[str, Standing] = Field(default_factory=dict)
    waiting: list[Waiting] = Field(default_factory=list)
    looks: dict[str, Seen] = Field(default_factory=dict)
    troubles: dict[str, Trouble] = Field(default_factory=dict)
    lost: int = 0

    def observe(
        self, conditions: Sequence[Condition], families: Collection[str], rules: Rules
    ) -> list[Notice]:
        """Take over what was seen now; what is to be said, in order.

        families: what was looked for; one of theirs that is no longer named is over. An event-fed
        one is over by an event alone.
        """
        conditions = [_printable(condition) for condition in conditions]
        named = {condition.key for condition in conditions}
        unnamed = [each for each in self.standings.values() if each.key not in named]
        notices = list(self._end(unnamed, families, rules))  # first: what they cover is loose then
        for condition in conditions:
            notices.extend(self._see(condition, conditions, rules))
        for standing in unnamed:
            if forgotten(standing, rules):
                del self.standings[standing.key]
            elif standing.stays:
                notices.extend(self._see(standing.unchanged(), conditions, rules))
            elif self._is_untold(standing):  # another observer's, who could tell nobody
                again = replace(standing.unchanged(), at=None)
                notices.extend(self._see(again, conditions, rules))
        return notices

    @property
    def active(self) -> list[Standing]:
        """What is wrong as far as is known, the worst and oldest first; not what is known with
        something else.
        """
        levels = {key: each.level for key, each in self.standings.items()}
        wrong = [
            each
            for each in self.standings.values()
            if each.level != "ok" and each.lasting and not _covered(each, levels)
        ]
        return sorted(wrong, key=lambda each: (-rank(each.level), each.since))

    def _end(
        self, unnamed: Sequence[Standing], families: Collection[str], rules: Rules
    ) -> Iterator[Notice]:
        for each in unnamed:
            if not each.stays and each.key.partition(":")[0] in families:
                yield from self._put(each.key, *missing(each, rules))

    def _is_untold(self, standing: Standing) -> bool:
        wrong = standing.key in self.standings and standing.level != "ok"
        return wrong and standing.told == "ok" and not standing.patience_s

    def _see(
        self, condition: Condition, now: Sequence[Condition], rules: Rules
    ) -> Iterator[Notice]:
        levels: dict[str, Level] = {key: each.level for key, each in self.standings.items()}
        levels.update({each.key: each.level for each in now})
        covered = _covered(condition, levels)
        standing = self.standings.get(condition.key)
        return self._put(condition.key, *seen(standing, condition, rules, covered=covered))

    def _put(self, key: str, standing: Standing | None, notice: Notice | None) -> Iterator[Notice]:
        if standing is None:
            self.standings.pop(key, None)
        else:
            self.standings[key] = standing
        if notice is not None:
            yield notice


def _covered(one: Condition | Standing, levels: Mapping[str, Level]) -> bool:
    """Whether something else that is as bad tells of it, too."""
    return any(rank(levels.get(key, "ok")) >= rank(one.level) > 0 for key in one.covered_by)


def path_of(state: Path) -> Path:
    """The file below a state folder."""
    return state / "alerts.json"


def read(state: Path) -> Ledger:
    """The ledger; an empty one where there is none yet. Raises as `change` does."""
    return _parsed(path_of(state), private_file.read(path_of(state)))


@contextlib.contextmanager
def change(state: Path) -> Iterator[Ledger]:
    """The ledger to be changed, alone; written when the block ends without an error.

    Raises `LogUnwritable`, and `FormatUnknown` when a newer kajovo_dr wrote it. One that cannot be
    read is put aside, and everything is told anew: twice is better than never.
    """
    path = path_of(state)
    with private_file.locked(path):
        content = private_file.read(path)
        ledger = _parsed(path, content, put_aside=True)
        yield ledger
        text = ledger.model_dump_json(indent=1) + "\n"
        if text.encode() != content:
            _write(path, text)


def _write(path: Path, text: str) -> None:
    """Write it, on a full disk into the room that was kept for it."""
    reserve = path.with_name(f"{path.name}.reserve")
    try:
        private_file.replace(path, text)
    except LogUnwritable:
        with contextlib.suppress(OSError):
            reserve.unlink(missing_ok=True)
        private_file.replace(path, text)
    with contextlib.suppress(OSError, LogUnwritable):
        # what there was no room for is added when there is; zeros take none where disks compress
        lacking = _RESERVE - (reserve.stat().st_size if reserve.exists() else 0)
        if lacking > 0:
            private_file.append(reserve, os.urandom(lacking))


def _parsed(path: Path, content: bytes, *, put_aside: bool = False) -> Ledger:
    if not content:
        return Ledger()
    try:
        document = json.loads(content)
        number = document.get("format") if isinstance(document, dict) else None
        if isinstance(number, int) and number > FORMAT:
            raise FormatUnknown(
                f"{path} has format {number}, this version reads up to {FORMAT}",
                hint="upgrade kajovo_dr to at least the version that wrote this file.",
            )
        return Ledger.model_validate_json(content)
    except (ValueError, ValidationError, RecursionError):
        if not put_aside:
            return Ledger()
        with contextlib.suppress(OSError):  # then it is lost: it is about to be replaced
            path.replace(path.with_name(f"{path.name}.damaged"))
        return Ledger(renewed_at=datetime.now(UTC))


def _printable(condition: Condition) -> Condition:
    """Without what no file of UTF-8 takes: the name of a file may be any bytes, and one that is
    strange must not silence everything.
    """
    return replace(condition, **{name: _clean(each) for name, each in vars(condition).items()})


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    return tuple(_clean(each) for each in value) if isinstance(value, tuple) else value


def queue(
    ledger: Ledger, key: str, message: Message, takers: Collection[str], now: datetime
) -> None:
    """Write a message about something down for the channels that take it."""
    if takers:
        attempts = {name: Attempt(next_at=now) for name in takers}
        ledger.waiting.append(Waiting(key=key, message=message, channels=attempts))
