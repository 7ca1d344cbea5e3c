r"""Damage to the SQL text of a plain dump that happened before its digest was taken.

Belongs here: mutants that edit lines or characters and then vouch for the result, as a console's
code page, a text-mode transfer or a hostile author would. Not here: damage that the digest sees
(``bits``), and what is easier said in SQL (``contents``).
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Iterator

from kajovo_dr.backups.zoo.bits import POST_DATA
from kajovo_dr.backups.zoo.mutants import PLAIN, Damage, Family, vouched
from kajovo_dr.backups.zoo.specimen import NotApplicable, Specimen

FAMILY = Family()
_TRAILER = b"-- PostgreSQL database dump complete\n"
_COPY_END = b"\\.\n"
_NO_ROWS = "no table has rows"
#: Takes the lines of a dump, gives those of the damaged one.
Edit = Callable[[Iterator[bytes]], Iterable[bytes]]


def edited(name: str, *, rung: str, imitates: str) -> Callable[[Edit], Damage]:
    """Register an edit of the lines, vouched for, as a mutant of plain dumps."""

    def register(edit: Edit) -> Damage:
        def damage(specimen: Specimen) -> None:
            specimen.rewrite_lines(edit)

        return FAMILY.mutant(name, PLAIN, rung=rung, imitates=imitates)(vouched(damage))

    return register


def in_rows(lines: Iterator[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Each line with the COPY statement that it is a row of; an empty one for all other lines."""
    statement = b""
    for line in lines:
        if line == _COPY_END:
            statement = b""
        yield line, statement
        if not statement and line.startswith(b"COPY ") and line.endswith(b" FROM stdin;\n"):
            statement = line


@edited("cut-inside-copy", rung="copy", imitates="a cut at a line end, which psql takes for whole")
def cut_inside_copy(lines: Iterator[bytes]) -> Iterator[bytes]:
    for line, statement in in_rows(lines):
        yield line
        if statement:
            return
    raise NotApplicable(_NO_ROWS)


@edited("cut-mid-row", rung="copy", imitates="the connection broke while a row was sent")
def cut_mid_row(lines: Iterator[bytes]) -> Iterator[bytes]:
    for line, statement in in_rows(lines):
        if statement:
            yield line[:1] if line[0] < 128 else b""
            return
        yield line
    raise NotApplicable(_NO_ROWS)


@edited("cut-before-indexes", rung="trailer", imitates="a cut between statements: psql exits 0")
def cut_before_indexes(lines: Iterator[bytes]) -> Iterator[bytes]:
    for line, statement in in_rows(lines):
        if not statement and any(words in line for words in POST_DATA):
            return
        yield line
    raise NotApplicable("no index and no constraint")


@edited("trailer-removed", rung="trailer", imitates="the last block was never written")
def trailer_removed(lines: Iterator[bytes]) -> Iterator[bytes]:
    return (line for line in lines if line != _TRAILER)


@edited("header-removed", rung="header", imitates="a log line or a script's greeting came first")
def header_removed(lines: Iterator[bytes]) -> Iterator[bytes]:
    yield b"pg_dump: warning: there are circular foreign-key constraints\n"
    yield from lines


@edited("lines-joined", rung="header", imitates="a shell's variable held the dump")
def lines_joined(lines: Iterator[bytes]) -> Iterator[bytes]:
    return (line.replace(b"\n", b" ") for line in lines)


@edited("crlf", rung="encoding", imitates="a transfer in text mode")
def crlf(lines: Iterator[bytes]) -> Iterator[bytes]:
    return (line.replace(b"\n", b"\r\n") for line in lines)


@edited("byte-order-mark", rung="encoding", imitates="saved again by a Windows editor")
def byte_order_mark(lines: Iterator[bytes]) -> Iterator[bytes]:
    yield codecs.BOM_UTF8
    yield from lines


@edited("utf-16", rung="encoding", imitates="Windows PowerShell redirected the output")
def utf_16(lines: Iterator[bytes]) -> Iterator[bytes]:
    yield codecs.BOM_UTF16_LE
    for line in lines:
        yield line.decode("utf-8").encode("utf-16-le")


@edited("nul-bytes", rung="encoding", imitates="a block of zeros after a power cut")
def nul_bytes(lines: Iterator[bytes]) -> Iterator[bytes]:
    for line, statement in in_rows(lines):
        yield line
        if statement:
            yield bytes(512)
            yield from lines
            return
    raise NotApplicable(_NO_ROWS)


@edited("cp852-bytes", rung="encoding", imitates="a console of code page 852 wrote the output")
def cp852_bytes(lines: Iterator[bytes]) -> Iterator[bytes]:
    changed = False
    for line in lines:
        if line.isascii():
            yield line
            continue
        changed = True
        yield line.decode("utf-8").encode("cp852", "replace")
    if not changed:
        raise NotApplicable("every character is ASCII, which no code page changes")


@edited("copy-emptied", rung="rows", imitates="a filter in the pipe removed a table's rows")
def copy_emptied(lines: Iterator[bytes]) -> Iterator[bytes]:
    emptied = b""
    for line, statement in in_rows(lines):
        emptied = emptied or statement
        if not statement or statement != emptied:
            yield line
    if not emptied:
        raise NotApplicable(_NO_ROWS)


@edited("row-repeated", rung="rows", imitates="a retried transfer repeated a block")
def row_repeated(lines: Iterator[bytes]) -> Iterator[bytes]:
    for line, statement in in_rows(lines):
        yield line
        if statement:
            yield line
            yield from lines
            return
    raise NotApplicable(_NO_ROWS)


@edited("meta-command", rung="commands", imitates="a hostile author has psql start a shell")
def meta_command(lines: Iterator[bytes]) -> Iterator[bytes]:
    for line in lines:
        if line == _TRAILER:
            yield b"\\! echo kajovo_dr\n"
        yield line


@edited("rows-deleted-at-the-end", rung="commands", imitates="a statement was appended")
def rows_deleted_at_the_end(lines: Iterator[bytes]) -> Iterator[bytes]:
    emptied = b""
    for line, statement in in_rows(lines):
        emptied = statement or emptied
        if line == _TRAILER:
            if not emptied:
                raise NotApplicable(_NO_ROWS)
            yield b"SET session_replication_role = replica;\n"  # no foreign key may refuse it
            yield b"DELETE FROM ONLY " + _table(emptied) + b";\n"
        yield line


def _table(statement: bytes) -> bytes:
    """The quoted name of a COPY statement's table."""
    return statement.removeprefix(b"COPY ").rpartition(b" (")[0]


def rows_swapped(specimen: Specimen) -> None:
    """Two rows of tables of different widths change places."""
    pair = _two_rows(specimen)
    swap = {pair[0]: pair[1][1], pair[1]: pair[0][1]}

    def swapped(lines: Iterator[bytes]) -> Iterator[bytes]:
        for line, statement in in_rows(lines):
            yield swap.pop((statement, line), line) if statement else line

    specimen.rewrite_lines(swapped)


def _two_rows(specimen: Specimen) -> tuple[tuple[bytes, bytes], tuple[bytes, bytes]]:
    first: tuple[bytes, bytes] | None = None
    with specimen.path.open("rb") as lines:
        for line, statement in in_rows(iter(lines)):
            if not statement:
                continue
            first = first or (statement, line)
            if line.count(b"\t") != first[1].count(b"\t"):
                return first, (statement, line)
    raise NotApplicable("no two tables of different widths have rows")


FAMILY.mutant(
    "rows-swapped-between-tables", PLAIN, rung="restores", imitates="blocks written in wrong order"
)(vouched(rows_swapped))
