r"""What psql reads as SQL, what as text in quotes, and what as a command to itself.

Belongs here: psql's rules for quotes, comments and ends of statements, as far as they decide
whether a backslash is a meta-command (``\!`` is a shell) and whether a COPY is one. Not here: what
a dump looks like and its rows (``sql_scan``), and which statements pg_dump writes
(``pg_dump_sql``).

Where psql's versions, or settings that we cannot see, could read a text differently, it is
refused: pg_dump writes none of that. What a hostile function does to the settings while it runs
cannot be seen from here; psql's own restricted mode is the answer to it (``load``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kajovo_dr.backups import pg_dump_sql
from kajovo_dr.backups.pg_dump_sql import BEGIN, COMMIT, LARGE_OBJECTS, UNLIKE_PG_DUMP

_TAG = rb"\$(?:[A-Za-z_\x80-\xff][\w\x80-\xff]*)?\$"
_TOKEN = re.compile(
    rb"[A-Za-z_\x80-\xff][\w$\x80-\xff]*'?|&'|[\\'\"();]|--[^\r\n]*|/\*|" + _TAG,
)
#: What an open text is closed by. A doubled quote closes it and opens it again; in E'' that would
#: lose the E.
_PLAIN, _ESCAPING, _COMMENT = b"'", b"E'", b"/*"
_PUNCTUATION = frozenset((b"(", b")", b";"))
#: First bytes of the tokens that are no words and no comments.
_MARKS = frozenset(b"\\'\"$&();")
_IN_ESCAPING = re.compile(rb"''|'|\\.", re.DOTALL)
_IN_COMMENT = re.compile(rb"/\*|\*/")
#: Between two parts of one text.
_GAP = re.compile(rb"\s*(?:--[^\r\n]*\s*)*")
#: After these psql's versions disagree where a word begins, or take it for a variable.
_BLURRING = frozenset(b"0123456789.:$")
#: B'', E'', N'' and X''.
_PREFIXED = frozenset((b"b'", b"e'", b"n'", b"x'"))

_COMMAND = re.compile(rb"\\[!-\[\]-~]{0,19}")
_PAIR = re.compile(rb"\\(restrict|unrestrict) ([A-Za-z0-9]+)\n")
#: pg_dump writes \restrict into the fifth line.
_FIRST_LINES = 10

#: A row of ``pg_dump --inserts``: gigabytes of them are read in one look each.
_VALUE = rb"(?:'[^']*+(?:''[^']*+)*+'|-?[0-9][0-9.]*+|NULL|true|false)"
_PART = rb'(?:"[^"]++"|[a-z_][a-z0-9_]*+)'
_ROW = re.compile(
    rb"INSERT INTO %b\.%b(?: \([a-z0-9_, ]++\))? VALUES \(%b(?:, %b)*+\);\n"
    % (_PART, _PART, _VALUE, _VALUE)
)
#: In a routine it begins a body, or else it is a name, for whose END psql would wait.
_BODY = re.compile(rb"BEGIN ATOMIC\b", re.IGNORECASE)


@dataclass
class PsqlLexer:
    """A reader of all lines of a script except the rows of COPY, as psql reads them."""

    _lines: int = 0
    _open: bytes = b""  # what is open: _PLAIN, _ESCAPING, _COMMENT, a double quote, $tag$
    _comments: int = 0  # they nest
    _resumable: bool = False  # only whitespace since an E'' ended, which the next quote may resume
    _escapes: bool = False  # standard_conforming_strings = off: every text is an E''
    _parens: int = 0
    _blocks: int = 0  # BEGIN and CASE of a routine's body: no semicolon in them ends it
    _first: bytes = b""  # first word since a semicolon
    _routine: bool = False
    _transaction: bool = False  # pg_dump's own, around large objects
    _spoke: bool = False  # there was SQL
    _key: bytes = b""  # of \restrict
    _ended: bool = False  # by \unrestrict

    @property
    def quoted(self) -> bool:
        """Whether a text, a quoted name or a comment is open."""
        return bool(self._open)

    @property
    def fresh(self) -> bool:
        """Whether the next line begins a statement."""
        return not (self._open or self._first or self._nested)

    @property
    def _nested(self) -> bool:
        """Whether a semicolon ends no statement of psql's."""
        return bool(self._parens or self._blocks)

    @property
    def restricted(self) -> bool:
        r"""Whether ``\restrict`` has not met its ``\unrestrict`` yet."""
        return bool(self._key) and not self._ended

    def read(self, line: bytes, *, copy: bool = False) -> str:
        """Take one line with its end; what must be refused in it, or nothing.

        copy: a COPY may begin in this line. What follows a refused line means nothing.
        """
        self._lines += 1
        if self._ended and not line.isspace():
            return r"\unrestrict stands before the end of the file"
        if not self.fresh:
            return self._tokens(line, copy)
        if not self._escapes and _ROW.fullmatch(line):
            self._spoke = True
            return ""
        if pair := _PAIR.fullmatch(line):
            return self._pair(pair[1], pair[2])
        if line in (BEGIN, COMMIT):
            return self._embrace(line == BEGIN)
        escapes = pg_dump_sql.escapes(line)
        told = self._tokens(line, copy)
        self._escapes = self._escapes if escapes is None else escapes
        return told

    def _embrace(self, begins: bool) -> str:
        word = "BEGIN" if begins else "COMMIT"
        told = f"{word}, which pg_dump does not write" if begins == self._transaction else ""
        self._transaction = begins
        return told

    def _pair(self, command: bytes, key: bytes) -> str:
        if command == b"unrestrict" and self.restricted and key == self._key:
            self._ended = True
        elif command == b"restrict" and not (
            self._key or self._spoke or self._lines > _FIRST_LINES
        ):
            self._key = key
        else:
            return f"\\{command.decode()} where pg_dump writes none"
        return ""

    def _tokens(self, line: bytes, copy: bool) -> str:
        at = 0
        told = self._resumed(line, 0) if self._resumable else ""
        while True:
            if self._open:
                escapes = self._open == _ESCAPING or (self._escapes and self._open == _PLAIN)
                at = self._close(line, at)
                if at < 0:
                    return told
                if escapes:
                    told = told or self._resumed(line, at)
            found = _TOKEN.search(line, at)
            if found is None:
                return told
            at = found.end()
            refused = self._token(line, found, copy)
            told = told or refused

    def _resumed(self, line: bytes, at: int) -> str:
        """psql, which reads by lines, and the server disagree where a text goes on after a gap."""
        gap = _GAP.match(line, at)
        assert gap is not None
        self._resumable = gap.end() == len(line)
        return "a text in pieces" if line.startswith(b"'", gap.end()) else ""

    def _close(self, line: bytes, at: int) -> int:
        """The position after what is open, or -1 when it stays open."""
        if self._open == _ESCAPING:
            return self._close_escaping(line, at)
        if self._open == _COMMENT:
            return self._close_comment(line, at)
        end = line.find(self._open, at)
        if end < 0:
            return -1
        end += len(self._open)
        self._open = b""
        return end

    def _close_escaping(self, line: bytes, at: int) -> int:
        for found in _IN_ESCAPING.finditer(line, at):
            if found[0] == b"'":
                self._open = b""
                return found.end()
        return -1

    def _close_comment(self, line: bytes, at: int) -> int:
        for found in _IN_COMMENT.finditer(line, at):
            self._comments += 1 if found[0] == b"/*" else -1
            if not self._comments:
                self._open = b""
                return found.end()
        return -1

    def _token(self, line: bytes, found: re.Match[bytes], copy: bool) -> str:
        token = found[0]
        if token == _COMMENT:
            self._open, self._comments = token, 1
        elif not token.startswith(b"--"):
            self._spoke = True
            if token[0] in _MARKS:
                return self._mark(line, token, found.start())
            return self._word(line, found, copy)
        return ""

    def _mark(self, line: bytes, token: bytes, at: int) -> str:
        if token == b"\\":
            return self._command(line, at)
        if token == b"&'":
            return "a quote right after an ampersand"
        wordless = not (self._first or self._nested or token == b";")
        if token in _PUNCTUATION:
            self._punctuate(token)
        elif token == _PLAIN:
            self._open = _ESCAPING if self._escapes else _PLAIN
        else:
            self._open = token
        return "a statement that begins with no word" if wordless else ""

    @staticmethod
    def _command(line: bytes, at: int) -> str:
        found = _COMMAND.match(line, at)
        assert found is not None
        return f"{found[0].decode()} is a command to psql, not SQL"

    def _punctuate(self, mark: bytes) -> None:
        if mark == b"(":
            self._parens += 1
        elif mark == b")":
            self._parens = max(self._parens - 1, 0)
        else:
            self._first = b""
            self._routine &= self._nested

    def _word(self, line: bytes, found: re.Match[bytes], copy: bool) -> str:
        word = found[0].lower()
        blurred = found.start() > 0 and line[found.start() - 1] in _BLURRING
        if told := self._odd(line, found, word, blurred):
            return told
        if word.endswith(_PLAIN):
            escaping = word == b"e'" or (word == b"n'" and self._escapes)
            self._open = _ESCAPING if escaping else _PLAIN
            return ""
        begins, inside = not self._first, self._nested
        told = ""
        if self._routine and not self._parens:
            told = self._nest(line, found.start(), word, blurred)
        if not begins:
            return told
        self._first = word
        if inside:
            return told or pg_dump_sql.refused_inside(word)
        return self._begin(line, found.start(), word, copy)

    @staticmethod
    def _odd(line: bytes, found: re.Match[bytes], word: bytes, blurred: bool) -> str:
        """What psql's versions would read as other tokens."""
        if b"$" in word:
            return "an unquoted name with a dollar sign"
        if word.endswith(_PLAIN) and (blurred or word not in _PREFIXED):
            return "a quote right after a word"
        if blurred and word == b"e" and line.startswith(b"--", found.end()):
            return "a comment right after a number"  # or a minus of its exponent, and no comment
        return ""

    def _nest(self, line: bytes, at: int, word: bytes, blurred: bool) -> str:
        """Count blocks as psql does, or deeper: then a COPY is refused that psql would take."""
        if word == b"begin":
            inner = self._blocks > 0
            self._blocks += 1
            if inner or not _BODY.match(line, at):
                return "an unquoted name begin, after which psql would wait for an END"
        elif word == b"case" and self._blocks:
            self._blocks += 1
        elif word == b"end" and self._blocks and not blurred:
            self._blocks -= 1
        return ""

    def _begin(self, line: bytes, at: int, word: bytes, copy: bool) -> str:
        self._routine = pg_dump_sql.begins_routine(line, at)
        if self._transaction and not LARGE_OBJECTS.match(line, at):
            return "a transaction around more than large objects"
        if word == b"copy":
            return "" if copy else UNLIKE_PG_DUMP
        return pg_dump_sql.refused(line, at, word)
