r"""What psql is fed of a plain dump: one transaction, and of the dump's own lines all but a few.

Belongs here: the frame of that transaction, and the lines of pg_dump that would break it or that a
server does not know. Not here: running psql (``load``), and whether the dump is sound: it was read
to its end before (``inspect``).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from kajovo_dr.backups.pg_dump_sql import BEGIN, COMMIT
from kajovo_dr.backups.psql_lexer import PsqlLexer

#: Lines that pg_dump writes for psql, and of which an older one knows nothing. Ours take their
#: place.
_RESTRICT = re.compile(rb"^\\restrict [A-Za-z0-9]+\n", re.MULTILINE)
_UNRESTRICT = re.compile(rb"^\\unrestrict [A-Za-z0-9]+\s*\Z", re.MULTILINE)
#: The settings stand at the very beginning of a dump.
_PREAMBLE = 4096
#: The end of a dump, in which the second of them stands.
_ENDING = 4096
#: How the scan and psql read quotes, whatever the target's own settings are.
_READING = b"SET standard_conforming_strings = on;\nSET client_encoding = 'UTF8';\n"
#: pg_dump sets it since version 17; an older server does not know it and would end the restore.
TIMEOUT_SINCE_17 = b"SET transaction_timeout = 0;\n"
#: What stands before all that pg_dump puts into another tablespace; nothing else names one.
TABLESPACE = b"SET default_tablespace = "
#: In rows every backslash of the data is doubled.
_ROWS_END = b"\n\\.\n"


def script(
    content: Iterable[bytes], *, restricted: bool, without: tuple[bytes, ...] = ()
) -> Iterator[bytes]:
    """The content as one transaction. restricted: a meta-command in it is an error to psql.

    without: beginnings of statements that are left out.
    """
    key = secrets.token_hex(32).encode()
    yield b"BEGIN;\n" + _READING
    if restricted:
        yield b"\\restrict " + key + b"\n"
    lines = _Lines((BEGIN, COMMIT, *without))  # its own would end ours too early
    yield from lines.left(_without_restriction(content))
    if restricted:
        yield b"\n\\unrestrict " + key
    yield b"\nCOMMIT;\n"


def _without_restriction(content: Iterable[bytes]) -> Iterator[bytes]:
    r"""The content without pg_dump's own ``\restrict`` and ``\unrestrict``, its first and last."""
    held = b""
    for number, chunk in enumerate(content):
        if number == 0:
            held = _RESTRICT.sub(b"", chunk[:_PREAMBLE], count=1) + chunk[_PREAMBLE:]
        else:
            held += chunk
        yield held[:-_ENDING]
        held = held[-_ENDING:]
    yield _UNRESTRICT.sub(b"", held)


@dataclass
class _Lines:
    """A filter of statements that passes rows on at one look for their end (GB/s).

    What the lexer refuses does not matter here: such a dump is not fed, or psql refuses it too.
    """

    unwanted: tuple[bytes, ...]
    # Outside rows: the start of a line. Inside: as much as may be the start of their end.
    _buffer: bytes = b""
    _rows: bool = False
    _copying: bool = False  # a COPY whose statement goes on in the next line: a name with line ends
    _leaving: bool = False  # an unwanted statement goes on in the next line
    _lexer: PsqlLexer = field(default_factory=PsqlLexer)

    def left(self, content: Iterable[bytes]) -> Iterator[bytes]:
        """What is left of the content."""
        for chunk in content:
            self._buffer += chunk
            while self._buffer:
                was_rows = self._rows
                yield self._take_rows() if was_rows else self._take_statements()
                if self._rows == was_rows:
                    break
        yield self._buffer

    def _take_rows(self) -> bytes:
        end = self._buffer.find(_ROWS_END)
        self._rows = end < 0
        taken = end + len(_ROWS_END) if end >= 0 else max(len(self._buffer) - len(_ROWS_END), 0)
        rows, self._buffer = self._buffer[:taken], self._buffer[taken:]
        return rows

    def _take_statements(self) -> bytes:
        """Take whole lines up to rows."""
        kept = []
        position = 0
        while not self._rows and (newline := self._buffer.find(b"\n", position)) >= 0:
            line = self._buffer[position : newline + 1]
            position = newline + 1
            if self._wanted(line):
                kept.append(line)
        if self._rows:  # the line end before the first row may belong to the end of all
            position -= 1
            kept[-1] = kept[-1][:-1]
        self._buffer = self._buffer[position:]
        return b"".join(kept)

    def _wanted(self, line: bytes) -> bool:
        lexer = self._lexer
        if lexer.fresh:
            self._copying = line.startswith(b"COPY ")
            self._leaving = line.startswith(self.unwanted)
        lexer.read(line, copy=self._copying)
        wanted = not self._leaving
        self._rows = self._copying and lexer.fresh
        return wanted
