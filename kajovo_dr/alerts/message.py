"""A message to people: an id, how urgent it is, a title and a text.

Belongs here: the record, which waits in a file until it was delivered. Not here: its words
(``wording``), and who gets it (``channels``).
"""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

#: over: what was wrong is well again. test: nothing is wrong; it goes to every channel.
Kind = Literal["warning", "critical", "over", "test"]


class Message(BaseModel):
    """What is said. severity: of what it is about, whether that begins or ends: it decides who gets
    it. at: when it was written. A message holds no secret.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    kind: Kind
    severity: Literal["warning", "critical"]
    title: str
    body: str
    at: AwareDatetime
