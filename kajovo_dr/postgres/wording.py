"""What a server spells out of stored expressions, made comparable after a restore.

PostgreSQL does not keep the text of a view or a check, it spells it anew when asked, and reading
its own words it may spell them otherwise: ``status IN ('a', 'b')`` on a varchar gets its casts at
other places after one dump and restore. Newer major versions also leave out qualifiers that older
ones write. So two hashes are kept of a definition:

* *ordered*: its words in their order, without casts, parentheses and white space: what servers of
  one major version spell alike;
* *essence*: the set of its names, constants and operators, without what qualifies a name: what no
  major version spells otherwise.

What is lost: a mere regrouping by parentheses and a changed cast are not seen at all; between major
versions neither are the order of words, how often one occurs, and the schema or table of a name.

Belongs here: reading the words of a definition. Not here: where definitions come from
(``schema_objects``) and which of the hashes must be equal (``backups.compare``).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

#: Hexadecimal digits kept of a hash: 64 bits, against accidents, not against a forger.
DIGITS = 16
#: Stands between the parts of a definition: words of one do not count for another.
PART = "\x1e"
_TOKEN = re.compile(
    r"""
    (?P<text> [eE]'(?:[^'\\]|\\.|'')*' | [bBxX]?'(?:[^']|'')*' )
    | (?P<name> [^\W\d][\w$]* | "(?:[^"]|"")*" )
    | (?P<number> \d+(?:\.\d+)?(?:[eE][+-]?\d+)? | \$\d+ )
    | (?P<cast> :: )
    | (?P<operator> [-+*/<>=~!@#%^&|`?]+ )
    | (?P<mark> \x1e | \S )
    """,
    re.VERBOSE | re.DOTALL,
)
#: Second and further words of type names. Keywords of statements are in capitals.
_OF_TYPES = frozenset(
    (
        *("varying", "precision", "with", "without", "time", "zone"),
        *("year", "month", "day", "hour", "minute", "second", "to"),
    )
)
#: What newer versions add to a definition that older ones leave as it was (XMLSERIALIZE, in 16).
_ADDED = frozenset(("NO", "INDENT"))


class _Token(NamedTuple):
    kind: str
    text: str


_END = _Token("mark", "")


def hashes(definition: str) -> str:
    """``ordered:essence``."""
    words = list(_words(definition))
    return f"{digest(map(_shown, words))}:{digest(map(_essence, _parts(words)))}"


def ordered(wording: str) -> str:
    """The hash that servers of one major version must agree on."""
    return wording.partition(":")[0]


def essence(wording: str) -> str:
    """The hash that servers of all major versions must agree on."""
    return wording.partition(":")[2]


def digest(texts: Iterable[str]) -> str:
    """A short hash of texts in their order."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:DIGITS]


def _words(definition: str) -> Iterator[_Token]:
    """All tokens but casts and parentheses."""
    tokens = [_Token(str(each.lastgroup), each[0]) for each in _TOKEN.finditer(definition)]
    at = 0
    while at < len(tokens):
        if tokens[at].kind == "cast":
            at = _after_type(tokens, at + 1)
            continue
        if tokens[at].text not in ("(", ")"):
            yield tokens[at]
        at += 1


def _after_type(tokens: list[_Token], at: int) -> int:
    """Where the name of a type ends, with its modifiers and brackets: ``numeric(10,2)[]``."""
    while _text(tokens, at + 1) == ".":
        at += 2
    at += 1
    while True:
        if _text(tokens, at) in _OF_TYPES:
            at += 1
        elif _text(tokens, at) == "(":
            at = next((n for n in range(at, len(tokens)) if tokens[n].text == ")"), at) + 1
        elif (_text(tokens, at), _text(tokens, at + 1)) == ("[", "]"):
            at += 2
        else:
            return at


def _parts(words: list[_Token]) -> Iterator[list[_Token]]:
    part: list[_Token] = []
    for word in words:
        if word.text == PART:
            yield part
            part = []
        else:
            part.append(word)
    yield part


def _essence(part: list[_Token]) -> str:
    """Its names, constants and operators, each once, in no order of theirs."""
    kept = {
        _shown(word)
        for word, following in zip(part, [*part, _END][1:], strict=True)
        if word.kind != "mark"
        and word.text not in _ADDED
        and not (word.kind == "name" and following.text == ".")
    }
    return "\1".join(sorted(kept))


def _shown(word: _Token) -> str:
    """Without quotes around a name, which depend on the keywords that a version knows."""
    if word.kind == "name" and word.text.startswith('"'):
        return word.text[1:-1].replace('""', '"')
    return word.text


def _text(tokens: list[_Token], at: int) -> str:
    return tokens[at].text if at < len(tokens) else ""
