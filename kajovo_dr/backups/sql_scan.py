"""Reading pg_dump's SQL text as it streams by: its shape, its encoding, its rows.

Belongs here: what can be told from the text without a server and without keeping it. Not here:
files, manifests and archives (``inspect``), and what psql does with quotes and backslashes
(``psql_lexer``).
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field

from kajovo_dr.backups.pg_dump_sql import COPY, UNLIKE_PG_DUMP
from kajovo_dr.backups.psql_lexer import PsqlLexer

_HEADER = b"--\n-- PostgreSQL database dump\n--\n"
_TRAILER = b"-- PostgreSQL database dump complete"
_MARKS = {
    codecs.BOM_UTF8: "UTF-8 with a byte order mark",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
_PACKED = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zXZ": "xz",
    b"PK\x03\x04": "zip",
}
#: pg_dump's smallest output, of an empty database, has more lines than this.
_FEWEST_LINES = 10
#: Bytes kept of both ends of the text, for its header and its trailer.
_ENDS_KEPT = 512
#: Outside COPY no statement that pg_dump writes has a line of this length (bytes).
_LONGEST_LINE = 1 << 26
#: In rows every backslash of the data is doubled.
_COPY_END = b"\n\\."  # and a line end
#: In the buffer: a line end and a row that is none of these.
_GOES_ON = b"\nx"
#: What stands before a table's rows; more with --verbose, and where a partition's rows go into its
#: root, so that only these words name the table (a partition by hash of an enum).
_ANNOUNCED = re.compile(
    rb"(?m)^--\n(?:-- (?:TOC entry|Dependencies:) [^\n]*\n)*"
    rb"-- Data for Name: ([^\n]*); Type: TABLE DATA; Schema: ([^\n]*); Owner: [^\n]*\n--\n\n"
    rb"(-- load via partition root [^\n]*\n\n)?\Z"
)
_ANNOUNCEMENT_LINES = 8
#: In this order the findings help: a file re-encoded as a whole has more defects, which follow.
_RUNGS = ("encoding", "header", "lines", "copy", "trailer", "commands")


@dataclass(frozen=True)
class Finding:
    """One defect. rung: the check that found it; where: place in the file, or empty."""

    rung: str
    what: str
    where: str = ""

    def __str__(self) -> str:
        return f"{self.rung}: {self.what}" + (f" ({self.where})" if self.where else "")


def packed(head: bytes) -> Finding | None:
    """The finding that the file was compressed after pg_dump, by its first bytes."""
    for magic, name in _PACKED.items():
        if head.startswith(magic):
            what = f"the file is compressed with {name}: decompress it first"
            return Finding("encoding", what, "byte 0")
    return None


@dataclass
class SqlScan:
    """A reader of pg_dump's SQL text that is fed in chunks and never holds more than a few of them.

    lines: newlines; counts: rows between COPY and its end, by (schema, table). checks_encoding:
    False for what a server has just encoded, because that is most of the work.
    """

    checks_encoding: bool = True
    lines: int = 0
    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    _bytes: int = 0
    _line: int = 0  # of the last line that was read
    _findings: dict[str, Finding] = field(default_factory=dict)
    _decoder: codecs.IncrementalDecoder = field(
        default_factory=codecs.getincrementaldecoder("utf-8")
    )
    # Outside COPY: the start of a line. Inside: the line end before the next row, then that row.
    _buffer: bytes = b""
    _table: tuple[str, str] | None = None
    _copy_line: int = 0
    _lexer: PsqlLexer = field(default_factory=PsqlLexer)  # of the lines outside COPY
    _before: list[bytes] = field(default_factory=list)  # the last lines that began outside quotes
    _announced: re.Match[bytes] | None = None  # of the COPY that is being read
    _statement: bytes = b""
    _head: bytes = b""
    _tail: bytes = b""

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes."""
        self._check_bytes(chunk)
        self._bytes += len(chunk)
        if len(self._head) < _ENDS_KEPT:
            self._head = (self._head + chunk)[:_ENDS_KEPT]
        self._tail = (self._tail + chunk[-_ENDS_KEPT:])[-_ENDS_KEPT:]
        if not self._pass_rows(chunk):
            self._buffer += chunk
            while self._take_rows() if self._table else self._take_sql():
                pass
        self.lines = self._line

    def finish(self) -> list[Finding]:
        """The findings, after the last byte; the cheapest to understand first."""
        if finding := packed(self._head):
            return [finding]
        if self._buffer and self._table is None:
            self._line += 1
            self._take_line(self._buffer + b"\n")
            self._buffer = b""
        self._check_head()
        try:
            self._decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            self._note("encoding", "the file ends inside a UTF-8 character", f"byte {self._bytes}")
        if self.lines < _FEWEST_LINES:
            self._note(
                "lines",
                f"only {self.lines} line ends: joined lines are a comment and restore as nothing",
            )
        if self._table is not None:
            table, rows = ".".join(self._table), self.counts[self._table]
            self._note(
                "copy",
                f"the rows of {table} are not closed: the file ends after {rows}",
                f"COPY in line {self._copy_line}",
            )
        if _TRAILER not in self._tail:
            self._note(
                "trailer", "pg_dump's last line is missing: the file was cut", f"byte {self._bytes}"
            )
        elif self._lexer.restricted and "commands" not in self._findings:
            self._note(
                "trailer", r"\unrestrict is missing: the file was cut", f"byte {self._bytes}"
            )
        return [self._findings[rung] for rung in _RUNGS if rung in self._findings]

    def _check_bytes(self, chunk: bytes) -> None:
        if "encoding" in self._findings:
            return
        if (zero := chunk.find(b"\0")) >= 0:
            self._note(
                "encoding", "a NUL byte, which no SQL text has", f"byte {self._bytes + zero}"
            )
            return
        if not self.checks_encoding or (chunk.isascii() and not self._decoder.getstate()[0]):
            return
        try:
            self._decoder.decode(chunk)
        except UnicodeDecodeError as failure:
            # the failure counts from the start of what the decoder still held
            place = self._bytes + len(chunk) - len(failure.object) + failure.start
            self._note("encoding", "not valid UTF-8", f"byte {place}")

    def _check_head(self) -> None:
        for mark, name in _MARKS.items():
            if self._head.startswith(mark):
                self._findings.pop("encoding", None)
                self._note("encoding", f"the file is {name}: it was re-encoded", "byte 0")
        if b"\r\n" in self._head:
            self._note("encoding", "CRLF line ends: the file was rewritten as text", "line 1")
        if not self._head.startswith(_HEADER):
            self._note("header", "does not begin as pg_dump's output does", "line 1")

    def _pass_rows(self, chunk: bytes) -> bool:
        """Count the rows of a chunk that is nothing but rows, without copying it: most are.

        Searching from the end is four times as fast as from the start (CPython 3.11).
        """
        if self._table is None or chunk.rfind(_COPY_END) >= 0:
            return False
        if self._buffer != _GOES_ON and (self._buffer != b"\n" or chunk.startswith(b"\\")):
            return False
        rows = chunk.count(b"\n")
        self.counts[self._table] += rows
        self._line += rows
        if rows or self._buffer != _GOES_ON:
            self._buffer = _begun(chunk[chunk.rfind(b"\n") + 1 :])
        return True

    def _take_rows(self) -> bool:
        """Count the whole rows in the buffer; True when the COPY ended in it."""
        assert self._table is not None
        end = self._find_end()
        last = end if end >= 0 else self._buffer.rfind(b"\n")
        rows = self._buffer.count(b"\n", 1, last + 1)
        self.counts[self._table] += rows
        self._line += rows
        if end >= 0:
            self._buffer = self._buffer[end + 4 :]
            self._line += 1
            self._table = None
            return True
        self._buffer = _begun(self._buffer[last + 1 :])
        return False

    def _find_end(self) -> int:
        r"""The position before the line of the end mark; psql takes ``\.`` and CRLF for it too."""
        end = self._buffer.find(_COPY_END)
        while end >= 0 and (after := self._buffer[end + 3 : end + 4]) != b"\n":
            if after:
                line = self._line + self._buffer.count(b"\n", 1, end + 1) + 1
                self._note("commands", "a row that psql may take for the last one", f"line {line}")
            end = self._buffer.find(_COPY_END, end + 1)
        return end

    def _take_sql(self) -> bool:
        """Take whole lines out of the buffer; True when a COPY began in it."""
        position = 0
        while (newline := self._buffer.find(b"\n", position)) >= 0:
            self._line += 1
            self._take_line(self._buffer[position : newline + 1])
            position = newline + 1
            if self._table is not None:
                self._buffer = self._buffer[newline:]
                return True
        self._buffer = self._buffer[position:]
        if len(self._buffer) > _LONGEST_LINE:
            self._note(
                "lines", "a line longer than any that pg_dump writes", f"line {self._line + 1}"
            )
            self._buffer = b""
        return False

    def _take_line(self, text: bytes) -> None:
        # a COPY inside quotes, or without pg_dump's announcement before it, is text of a function
        lexer = self._lexer
        if lexer.fresh and text.startswith(b"COPY "):
            self._announced = _ANNOUNCED.search(b"".join(self._before))
        self._before = [] if lexer.quoted else [*self._before[1 - _ANNOUNCEMENT_LINES :], text]
        if refused := lexer.read(text, copy=self._announced is not None):
            self._note("commands", refused, f"line {self._line}")
        if self._announced:
            self._statement += text  # a hostile name may hold a line end
            if not lexer.quoted:
                self._begin_rows(self._announced)
                self._announced, self._statement = None, b""

    def _begin_rows(self, announced: re.Match[bytes]) -> None:
        match = COPY.fullmatch(self._statement)
        if match is None:
            self._note("commands", UNLIKE_PG_DUMP, f"line {self._line}")
            return
        schema, table = (announced[2], announced[1]) if announced[3] else match.groups()
        self._table = (_unquoted(schema), _unquoted(table))
        self.counts[self._table] = 0
        self._copy_line = self._line

    def _note(self, rung: str, what: str, where: str = "") -> None:
        self._findings.setdefault(rung, Finding(rung, what, where))


def _begun(row: bytes) -> bytes:
    """Of a row that goes on only matters whether it may become the end mark; rows reach 1 GB."""
    return b"\n" + row if _COPY_END.startswith(b"\n" + row) else _GOES_ON


def _unquoted(identifier: bytes) -> str:
    text = identifier.decode("utf-8", "replace")
    return text[1:-1].replace('""', '"') if text.startswith('"') else text
