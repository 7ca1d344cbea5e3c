"""A message to people: an id, how urgent it is, a title and a text.

Belongs here: the record, which waits in a file until it was delivered. Not here: its words
(``watch.message_text``), and who gets it (``channels``).
"""

from __future__ import annotations

import platform
import secrets
from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

#: over: what was wrong is well again. test: nothing is wrong; it goes to every channel.
Kind = Literal["warning", "critical", "over", "test"]


Severity = Literal["warning", "critical"]
#: Characters of a title: what a telephone shows of it.
_TITLE = 120


class Message(BaseModel):
    """What is said. severity: of what it is about, whether that begins or ends. audience: who gets
    it, by what they want to hear of: whoever was told that it is bad is told that it is over. at:
    when it was written. A message holds no secret.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    kind: Kind
    severity: Severity
    audience: tuple[Severity, ...]
    title: str
    body: str
    at: AwareDatetime


def compose(
    kind: Kind,
    severity: Severity,
    audience: tuple[Severity, ...],
    title: str,
    body: str,
    at: datetime,
) -> Message:
    """A message of this machine: with a number by which it is told from others, as its last word.

    body: its last line says who sends it.
    """
    number = secrets.token_hex(3)
    line = " ".join(f"[kajovo_dr {platform.node()}] {title}".split())
    return Message(
        id=number,
        kind=kind,
        severity=severity,
        audience=audience,
        title=line if len(line) <= _TITLE else line[: _TITLE - 1] + "…",
        body=f"{body}, #{number}",
        at=at,
    )
