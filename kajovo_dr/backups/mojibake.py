"""Letters broken by a code page: UTF-8 read as another encoding, and written as UTF-8 again.

Belongs here: telling such text from sound text as it streams by. Row counts are equal in such a
dump, and every Czech string in it is damaged. Not here: where text begins in a dump
(``dump_facts``).
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache

#: Neighbours that are not ASCII: a code page turns each such run into another one, whole.
_RUN = re.compile(rb"[\x80-\xff]+")
#: Consoles and editors that a Czech hotel may have, the likeliest first.
_PAGES = ("cp852", "cp1250", "cp1252", "cp850", "cp437")
#: Latin letters, punctuation, signs and emoji. Without it sound letters would pass for broken ones:
#: those of a common Czech syllable are an Arabic letter to cp852.
_LIKELY = re.compile("[\u00a0-\u017f\u2000-\u2bff\ufe0f\U0001f000-\U0001faff]+")
#: What a decoder writes for bytes that it cannot read: what stood there is lost.
_REPLACED = "U+FFFD"


@dataclass
class Letters:
    """Counts of broken and sound runs of letters. first: where the first broken one stands."""

    broken: int = 0
    sound: int = 0
    first: str = ""
    _pages: Counter[str] = field(default_factory=Counter)

    def read(self, text: bytes, *, line: int, where: str) -> None:
        """Take text that begins with a line; only whole lines, or a run is taken for two."""
        for run, count in Counter(_RUN.findall(text)).items():
            pages = _pages(run)
            self._pages.update(dict.fromkeys(pages, count))
            if pages:
                self.broken += count
            else:
                self.sound += count
        if self.broken and not self.first:
            begin = next(run.start() for run in _RUN.finditer(text) if _pages(run[0]))
            place = line + text.count(b"\n", 0, begin)
            self.first = f"line {place}, {where}"

    @property
    def page(self) -> str:
        """The code page that explains the most."""
        return max(self._pages, key=self._pages.__getitem__) if self._pages else ""

    @property
    def lost(self) -> bool:
        """Whether most of what stood there cannot be told any more."""
        return self.page == _REPLACED

    @property
    def throughout(self) -> bool:
        """Whether the file was broken as a whole, and not a few texts in the source already."""
        return self.broken > self.sound


def _table(page: str) -> dict[str, int]:
    """Character -> byte; Windows reads an undefined byte as the control character of its number."""
    table = {}
    for byte in range(0x80, 0x100):
        try:
            table[bytes([byte]).decode(page)] = byte
        except UnicodeDecodeError:
            table[chr(byte)] = byte
    return table


_TABLES = {page: _table(page) for page in _PAGES}


@lru_cache(maxsize=1 << 16)
def _pages(run: bytes) -> tuple[str, ...]:
    """The code pages through which a run may have come: those that turn it into letters."""
    text = run.decode("utf-8", "replace")
    if "\ufffd" in text:
        return (_REPLACED,)
    return tuple(page for page, table in _TABLES.items() if _are_letters(text, table))


def _are_letters(text: str, table: dict[str, int]) -> bool:
    try:
        original = bytes(table[character] for character in text).decode("utf-8")
    except (KeyError, UnicodeDecodeError):
        return False
    return _LIKELY.fullmatch(original) is not None
