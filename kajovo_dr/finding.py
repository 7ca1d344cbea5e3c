"""One line of what was looked at, and how a question that fails becomes one.

Belongs here: what the doctor and the plan of a recovery say their findings in. Not here: the
questions, and how a line looks (``terminal``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from kajovo_dr.errors import DrError


@dataclass(frozen=True)
class Finding:
    """What was found, and the next step where there is one."""

    name: str
    verdict: Literal["ok", "warn", "fail"]
    said: str
    hint: str = ""


def failure(name: str, error: DrError) -> Finding:
    """The finding that one of our errors is."""
    return Finding(name, "fail", str(error), error.hint)


def asked(name: str, question: Callable[[], str]) -> Finding:
    """What a question answers; one of our errors is a failure with its hint."""
    try:
        return Finding(name, "ok", question())
    except DrError as error:
        return failure(name, error)
