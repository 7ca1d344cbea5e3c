"""Feeding psql: the same database comes back, whether or not this psql knows a restricted mode."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

from kajovo_dr.backups import load as loading
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.errors import DumpDamaged
from kajovo_dr.files import chunks
from kajovo_dr.postgres import client_tools, databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.process import Completed
from kajovo_dr.progress import silent
from kajovo_dr.settings import Settings

OWN_LINE = re.compile(rb"^\\(?:un)?restrict \w+$", re.MULTILINE)


def fed(*content: bytes) -> bytes:
    """What psql gets of a content in chunks, by a client that knows no restricted mode."""
    script = b"".join(loading._script(iter(content), restricted=False))
    begin, end = b"BEGIN;\n" + loading._READING, b"\nCOMMIT;\n"
    assert script.startswith(begin)
    assert script.endswith(end)
    return script[len(begin) : -len(end)]


def in_pieces(content: bytes, size: int) -> Iterator[bytes]:
    """A first chunk that holds the settings, as that of a file does, then small ones."""
    yield content[:1000]
    for start in range(1000, len(content), size):
        yield content[start : start + size]


def psql(server: Server, script: Iterator[bytes]) -> Completed:
    return client_tools.transport_for(None).run(
        "psql", client_tools.psql_arguments(), server=server, timeout=60, stdin=script
    )


@pytest.fixture
def empty(new_database: Callable[[str], Server]) -> Server:
    return new_database("prázdná")


@pytest.mark.parametrize("size", [1, 7, 5000, 1 << 20])
def test_the_dumps_own_restriction_is_taken_out_and_nothing_else(backup: Backup, size: int) -> None:
    content = backup.path.read_bytes()
    assert len(OWN_LINE.findall(content)) == 2
    head, middle, tail = OWN_LINE.split(content)
    assert fed(*in_pieces(content, size)) == head + middle[1:] + tail.strip()


@pytest.mark.parametrize("content", [b"", b"SELECT 1;\n" * 1000, b"\\unrestrict a\n-- x\n"])
def test_a_content_without_restriction_is_fed_as_it_is(content: bytes) -> None:
    assert fed(content) == content
    assert fed(*in_pieces(content, 10)) == content


def test_a_line_of_rows_that_looks_like_a_restriction_stays() -> None:
    content = b"x\n" * 5000 + b"\\restrict abc\n\\unrestrict abc\n" + b"x\n" * 5000
    assert fed(content) == content
    assert fed(*in_pieces(content, 3000)) == content


@pytest.mark.parametrize("restricted", [True, False])
def test_the_stream_restores_with_the_real_psql(
    backup: Backup, small: Server, empty: Server, restricted: bool
) -> None:
    script = list(loading._script(chunks(backup.path), restricted=restricted))
    lines = OWN_LINE.findall(b"".join(script))
    assert len(lines) == (2 if restricted else 0)
    done = psql(empty, iter(script))
    assert (done.returncode, done.stderr) == (0, "")
    query = b'SELECT count(*) FROM "host\xc3\xa9"'
    with databases.connect(small) as here, databases.connect(empty) as there:
        assert there.execute(query).fetchall() == here.execute(query).fetchall()
        assert set(databases.content(there)) == set(databases.content(here))


def test_a_content_that_ends_in_quotes_is_not_committed(empty: Server) -> None:
    # the quotes swallow our own end of the script; psql must not take the rest for a whole one
    content = [b"CREATE TABLE t ();\nSELECT '"]
    done = psql(empty, loading._script(iter(content), restricted=True))
    assert done.returncode == 3
    with databases.connect(empty) as session:
        assert databases.content(session) == []


def test_a_command_ends_a_restricted_psql_and_its_key_is_not_to_be_guessed(empty: Server) -> None:
    content = [b"CREATE TABLE t ();\n\\unrestrict abc\n\\echo RUN\n"]
    done = psql(empty, loading._script(iter(content), restricted=True))
    assert done.returncode != 0
    assert b"RUN" not in done.stdout
    keys = {b"".join(loading._script(iter([]), restricted=True)) for _ in range(3)}
    assert len(keys) == 3
    with databases.connect(empty) as session:
        assert databases.content(session) == []


def test_the_digest_is_that_of_the_file_with_its_restriction(
    settings: Settings, backup: Backup, empty: Server
) -> None:
    transport = client_tools.transport_for(None)
    content = backup.path.read_bytes()
    backup.path.write_bytes(OWN_LINE.sub(b"", content))
    with pytest.raises(DumpDamaged, match="changed while it was being restored"):
        loading.load(settings, transport, backup, empty, disposable=False, progress=silent)
    backup.path.write_bytes(content)
    loading.load(settings, transport, backup, empty, disposable=False, progress=silent)


def test_quotes_are_read_as_the_scan_reads_them_whatever_the_target_prefers(empty: Server) -> None:
    with databases.connect(empty) as session:
        session.execute('ALTER DATABASE "prázdná" SET standard_conforming_strings = off'.encode())
    content = b"CREATE TABLE t AS SELECT '\\' AS a;\n"
    done = psql(empty, loading._script(iter([content]), restricted=False))
    assert (done.returncode, done.stderr) == (0, "")
    with databases.connect(empty) as session:
        assert session.execute("SELECT a FROM t").fetchall() == [("\\",)]
