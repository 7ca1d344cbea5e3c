"""What a whole dump tells of its source: versions, roles, and whether its letters are sound.

Belongs here: reading SQL text that was found whole already. Not here: whether it is whole
(``inspect``, which is strict where this is not).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from kajovo_dr.backups.manifest import Kind
from kajovo_dr.backups.mojibake import Letters
from kajovo_dr.backups.pg_dump_sql import COPY, UNLIKE_PG_DUMP
from kajovo_dr.backups.psql_lexer import PsqlLexer
from kajovo_dr.errors import DumpDamaged
from kajovo_dr.files import chunks
from kajovo_dr.postgres.client_tools import decode_arguments
from kajovo_dr.postgres.server import Server
from kajovo_dr.postgres.transport import Transport
from kajovo_dr.progress import Progress

_NAME = rb'(?:"(?:[^"]|"")+"|[a-z_][a-z0-9_]*)'
_KEPT = (b"ALTER ", b"COPY ", b"CREATE POLICY ", b"GRANT ", b"REVOKE ")
_VERSION = re.compile(rb"-- Dumped (from database|by pg_dump) version (\d[\w.]*)")
#: pg_dump writes both into its first lines.
_FIRST_LINES = 10
#: Where statements of pg_dump name roles; PUBLIC is none, and stands there in capitals.
_ROLES = (
    re.compile(rb"ALTER .* OWNER TO (%b);\n\Z" % _NAME, re.DOTALL),
    re.compile(rb"ALTER DEFAULT PRIVILEGES FOR ROLE (%b) " % _NAME),
    re.compile(
        rb"(?:GRANT|ALTER DEFAULT PRIVILEGES) .* TO (%b)(?: WITH GRANT OPTION)?;\n\Z" % _NAME,
        re.DOTALL,
    ),
    re.compile(rb"(?:REVOKE|ALTER DEFAULT PRIVILEGES) .* FROM (%b);\n\Z" % _NAME, re.DOTALL),
    re.compile(
        rb"CREATE POLICY %b ON %b\.%b(?: AS \w+)?(?: FOR \w+)? TO (%b(?:, %b)*)"
        % (_NAME, _NAME, _NAME, _NAME, _NAME)
    ),
)
_ROW_END = b"\n\\.\n"
#: Bytes of one row after which it is read in pieces.
_LONGEST_ROW = 1 << 24
_LIST_TIMEOUT_S = 300
_DATABASE = re.compile(rb"(?m)^; +dbname: (.+)$")


@dataclass
class DumpFacts:
    """A reader of SQL text, fed in chunks. inserts: rows are statements, so nobody counted them.

    refused: what no dump of pg_dump has, and where; an archive may have it as well.
    """

    server_version: str = ""
    client_version: str = ""
    inserts: bool = False
    refused: tuple[str, str] | None = None
    roles: set[str] = field(default_factory=set)
    letters: Letters = field(default_factory=Letters)
    _lexer: PsqlLexer = field(default_factory=PsqlLexer)
    _line: int = 0  # of the last line taken out of the buffer
    # Outside COPY: the start of a line. Inside: the line end before the next row, then that row.
    _buffer: bytes = b""
    _statement: bytes = b""
    _kept: bool = False
    _table: str = ""  # whose rows are being read

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes."""
        self._buffer += chunk
        while self._take_rows() if self._table else self._take_sql():
            pass

    def _take_rows(self) -> bool:
        """Read the letters of the rows in the buffer; True when the COPY ended in it."""
        end = self._buffer.find(_ROW_END)
        last = end if end >= 0 else self._buffer.rfind(b"\n")
        if end < 0 and len(self._buffer) - last > _LONGEST_ROW:
            last = len(self._buffer) - len(_ROW_END)
        rows = self._buffer[1 : last + 1]
        self.letters.read(rows, line=self._line + 1, where=self._table)
        self._line += rows.count(b"\n")
        if end < 0:
            self._buffer = self._buffer[last:]
            return False
        self._buffer = self._buffer[end + len(_ROW_END) :]
        self._line += 1
        self._table = ""
        return True

    def _take_sql(self) -> bool:
        """Take whole lines out of the buffer; True when a COPY began in it."""
        position = 0
        while (newline := self._buffer.find(b"\n", position)) >= 0:
            self._line += 1
            self._take_line(self._buffer[position : newline + 1])
            position = newline + 1
            if self._table:
                self._buffer = self._buffer[newline:]
                return True
        self._buffer = self._buffer[position:]
        return False

    def _take_line(self, line: bytes) -> None:
        if self._line <= _FIRST_LINES and (version := _VERSION.match(line)):
            self._take_version(version[1], version[2].decode())
        if self._lexer.fresh:
            self._statement = b""
            self._kept = line.startswith(_KEPT)
            self.inserts |= line.startswith(b"INSERT INTO ")
        if told := self._lexer.read(line, copy=self._kept):
            self._refuse(told)
        if self._kept:
            self._statement += line
            if self._lexer.fresh:
                self._take_statement(self._statement)

    def _take_version(self, of: bytes, version: str) -> None:
        if of == b"by pg_dump":
            self.client_version = version
        else:
            self.server_version = version

    def _refuse(self, what: str) -> None:
        self.refused = self.refused or (what, f"line {self._line}")

    def _take_statement(self, text: bytes) -> None:
        if copy := COPY.fullmatch(text):
            self._table = b".".join(copy.groups()).decode("utf-8", "replace")
            return
        if text.startswith(b"COPY "):
            self._refuse(UNLIKE_PG_DUMP)
        for pattern in _ROLES:
            if named := pattern.match(text):
                names = re.findall(_NAME, named[1])
                self.roles.update(map(_unquoted, names))


def read_facts(
    path: Path, kind: Kind, transport: Transport, timeout: float, progress: Progress
) -> DumpFacts:
    """Read a whole dump file; an archive is decoded. timeout: seconds for that."""
    facts = DumpFacts()
    done = 0
    total = path.stat().st_size if kind == "plain" else None  # decoded text is longer

    def feed(chunk: bytes) -> None:
        nonlocal done
        facts.feed(chunk)
        done += len(chunk)
        progress("letters", done, total)

    if kind == "plain":
        for chunk in chunks(path):
            feed(chunk)
        return facts
    ended = transport.run(
        "pg_restore", decode_arguments(path), server=_NOWHERE, timeout=timeout, stdout=feed
    )
    if ended.returncode != 0:
        raise DumpDamaged(f"{path.name} changed while it was being read: {ended.reason}")
    return facts


def archive_database(path: Path, transport: Transport) -> str:
    """The name of the database that an archive was made of; plain dumps do not tell it."""
    arguments = ["--list", str(path.absolute())]
    done = transport.run("pg_restore", arguments, server=_NOWHERE, timeout=_LIST_TIMEOUT_S)
    found = _DATABASE.search(done.stdout)
    return found[1].decode("utf-8", "replace").strip() if found else ""


#: pg_restore to standard output connects to no server.
_NOWHERE = Server({"dbname": "none"})


def _unquoted(identifier: bytes) -> str:
    text = identifier.decode("utf-8", "replace")
    return text[1:-1].replace('""', '"') if text.startswith('"') else text
