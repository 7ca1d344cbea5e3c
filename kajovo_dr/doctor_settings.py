"""``kajovo-dr doctor --settings``: every setting with its value in force, and no secret.

Belongs here: what of a value may be shown. Not here: what a value is worth (``doctor``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from pydantic import SecretStr

from kajovo_dr import terminal
from kajovo_dr.settings import PREFIX, Settings

#: Stands for what is not shown.
MASK = "…"
#: ``user:password@`` behind ``//``: greedy, because a raw password may itself hold ``@`` or ``/``.
_LOGIN = re.compile(r"//\S*@")
#: The value of a parameter in a URL's query, which may be a token.
_PARAMETER = re.compile(r"([?&;][^=&;\s]*=)[^&;\s]+")
#: Words of a command that hold no secret: an option by its name, a word or a dotted name of
#: letters, a path, a number of few digits, a template.
_HARMLESS = re.compile(
    r"-[A-Za-z]{1,3}|--[A-Za-z][A-Za-z-]*|[A-Za-z][A-Za-z._-]*|([A-Za-z]:)?[\\/~.][\w\\/.~-]*"
    r"|[0-9]{1,5}|\{\w+\}"
)
#: Words whose next one may be a secret of letters alone.
_BEFORE_SECRET = re.compile(r"-p|.*(pass|pwd|token|secret|key|auth|cred|cookie).*", re.IGNORECASE)


def show_settings(settings: Settings, *, as_json: bool) -> None:
    """Print every setting: variable, value in force (secrets only as ``set``), meaning."""
    rows = [
        [PREFIX + name.upper(), shown(getattr(settings, name)), field.description or ""]
        for name, field in type(settings).model_fields.items()
    ]
    if as_json:
        terminal.show_json({variable: said for variable, said, _ in rows})
    else:
        for variable, said, meaning in rows:
            terminal.say(f"{variable} = {said}\n    {meaning}")


def shown(value: Any) -> str:
    """A value without what may be secret in it: tables by their keys, URLs without a login."""
    if value is None:
        return "(unset)"
    if isinstance(value, SecretStr):
        return "(set)"
    if isinstance(value, dict):
        return f"keys: {', '.join(value)}"
    if isinstance(value, tuple):
        named = [each.name for each in value if not isinstance(each, str)]
        return ", ".join(named or command(value))
    return _PARAMETER.sub(rf"\1{MASK}", _LOGIN.sub(f"//{MASK}@", str(value)))


def command(words: Sequence[str]) -> Iterator[str]:
    """The words of a command that are harmless for certain, in place of every other one a mask.

    What a secret looks like nobody knows, so these are the words that do not look like one.
    """
    if not words:
        return
    yield program(words)
    for before, word in pairwise(words):
        name, given, _ = word.partition("=")
        if _BEFORE_SECRET.fullmatch(before) or not _HARMLESS.fullmatch(name):
            yield MASK
        else:
            yield name + given + (MASK if given else "")


def program(words: Sequence[str]) -> str:
    """The program that a command starts; of a whole line given as one word, its first."""
    first, space, _ = words[0].partition(" ")
    return shown(first) + (f" {MASK}" if space else "")
