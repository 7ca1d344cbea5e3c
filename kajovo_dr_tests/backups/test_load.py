"""Feeding the client tools: the same database comes back, in one transaction, by any psql."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

from kajovo_dr.backups import feed
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.load import load
from kajovo_dr.backups.scratch import room
from kajovo_dr.backups.take import take
from kajovo_dr.errors import DumpDamaged, RestoreFailed
from kajovo_dr.files import chunks
from kajovo_dr.postgres import client_tools, databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.process import Completed
from kajovo_dr.progress import silent
from kajovo_dr.settings import Settings

OWN_LINE = re.compile(rb"^\\(?:un)?restrict \w+$", re.MULTILINE)


def fed(*content: bytes) -> bytes:
    """What psql gets of a content in chunks, by a client that knows no restricted mode."""
    script = b"".join(feed.script(iter(content), restricted=False))
    begin, end = b"BEGIN;\n" + feed._READING, b"\nCOMMIT;\n"
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
    script = list(feed.script(chunks(backup.path), restricted=restricted))
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
    done = psql(empty, feed.script(iter(content), restricted=True))
    assert done.returncode == 3
    with databases.connect(empty) as session:
        assert databases.content(session) == []


def test_a_command_ends_a_restricted_psql_and_its_key_is_not_to_be_guessed(empty: Server) -> None:
    content = [b"CREATE TABLE t ();\n\\unrestrict abc\n\\echo RUN\n"]
    done = psql(empty, feed.script(iter(content), restricted=True))
    assert done.returncode != 0
    assert b"RUN" not in done.stdout
    keys = {b"".join(feed.script(iter([]), restricted=True)) for _ in range(3)}
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
        load(settings, transport, backup, empty, disposable=False, progress=silent)
    backup.path.write_bytes(content)
    load(settings, transport, backup, empty, disposable=False, progress=silent)


def test_quotes_are_read_as_the_scan_reads_them_whatever_the_target_prefers(empty: Server) -> None:
    with databases.connect(empty) as session:
        session.execute('ALTER DATABASE "prázdná" SET standard_conforming_strings = off'.encode())
    content = b"CREATE TABLE t AS SELECT '\\' AS a;\n"
    done = psql(empty, feed.script(iter([content]), restricted=False))
    assert (done.returncode, done.stderr) == (0, "")
    with databases.connect(empty) as session:
        assert session.execute("SELECT a FROM t").fetchall() == [("\\",)]


LARGE_OBJECTS = b"""--
-- Data for Name: 16425; Type: BLOBS; Schema: -; Owner: kajovo
--

BEGIN;

SELECT pg_catalog.lo_open('16425', 131072);
SELECT pg_catalog.lowrite(0, '\\x0102');
SELECT pg_catalog.lo_close(0);

COMMIT;

"""
#: Where the same lines are somebody's text.
QUOTED = (
    b"COMMENT ON TABLE public.t IS 'a\nBEGIN;\nCOMMIT;\nSET default_tablespace = ts;\n';\n",
    b"CREATE FUNCTION public.f() AS $$\nBEGIN;\nCOMMIT;\n$$;\n",
    b'CREATE TABLE public."\nBEGIN;\nCOMMIT;\n" ();\n',
    b"/*\nCOMMIT;\n*/\n",
    b"COPY public.t (a) FROM stdin;\nBEGIN;\nCOMMIT;\nSET default_tablespace = ts;\n\\.\n",
    b'COPY public."\nBEGIN;\n" ("a\nCOMMIT;\n") FROM stdin;\nBEGIN;\n\\\\.\nCOMMIT;\n\\.\n',
    b"COPY public.t (a) FROM stdin;\n\\.\n",
)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 64, 1 << 20])
def test_the_dumps_own_transactions_are_left_out_and_texts_like_them_are_not(size: int) -> None:
    ours = LARGE_OBJECTS.replace(b"BEGIN;\n", b"").replace(b"COMMIT;\n", b"")
    for text in QUOTED:
        content = text + LARGE_OBJECTS + text + text + LARGE_OBJECTS + text
        pieces = [content[at : at + size] for at in range(0, len(content), size)]
        assert fed(*pieces) == text + ours + text + text + ours + text


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_unwanted_statements_are_left_out_to_their_end(size: int) -> None:
    place = b'SET default_tablespace = "M\xc3\xadsto\n1";\n'
    content = (
        b"CREATE TABLE t ();\n" + place + QUOTED[0] + place + QUOTED[4] + b"CREATE TABLE u ();"
    )
    pieces = [content[at : at + size] for at in range(0, len(content), size)]
    script = b"".join(feed.script(pieces, restricted=False, without=(feed.TABLESPACE,)))
    assert content.replace(place, b"") in script
    assert content in b"".join(feed.script(pieces, restricted=False))


TEXTS = "SELECT a FROM texty", "SELECT lo_get(oid) FROM pg_largeobject_metadata ORDER BY 1"


def test_large_objects_and_texts_like_transactions_come_back(
    settings: Settings, small: Server, empty: Server
) -> None:
    with databases.connect(small) as session:
        session.execute(
            "CREATE TABLE texty (a text); INSERT INTO texty VALUES ('BEGIN;'), ('COMMIT;'),"
            "('SET default_tablespace = x;'), ('SET transaction_timeout = 0;');"
            "SELECT lo_from_bytea(0, decode(repeat('00ff', i * 20000), 'hex'))"
            " FROM generate_series(1, 3) AS i; SELECT lo_from_bytea(0, '')"
        )
    backup = take(settings, small, reason="test").backup
    assert b"\nBEGIN;\n\nSELECT pg_catalog.lo_open" in backup.path.read_bytes()
    transport = client_tools.transport_for(None)
    load(settings, transport, backup, empty, disposable=False, progress=silent, tablespaces=False)
    with databases.connect(small) as here, databases.connect(empty) as there:
        for query in TEXTS:
            rows = there.execute(query.encode()).fetchall()
            assert rows == here.execute(query.encode()).fetchall()
            assert len(rows) == 4


@pytest.fixture
def spread(small: Server) -> Iterator[Server]:
    """A database with tables, indexes and views in a tablespace that no other server has."""
    with databases.connect(small) as session:
        session.execute("SET allow_in_place_tablespaces = on")
        session.execute("CREATE TABLESPACE \"Místo\n1\" LOCATION ''")
    with databases.connect(small) as session:
        session.execute('SET default_tablespace = "Místo\n1"')
        session.execute(
            "CREATE TABLE a (i int PRIMARY KEY); CREATE INDEX ON a (i); INSERT INTO a VALUES (7);"
            "CREATE MATERIALIZED VIEW m AS SELECT * FROM a; CREATE TABLE p (i int, UNIQUE (i))"
            " PARTITION BY RANGE (i); CREATE TABLE p1 PARTITION OF p DEFAULT;"
            "CREATE INDEX ON hosté (jméno)"
        )
    yield small
    with databases.connect(small) as session:
        session.execute("DROP TABLE a, p CASCADE; DROP TABLE hosté")
        session.execute('DROP TABLESPACE "Místo\n1"')


@pytest.mark.parametrize("disposable", [True, False])
def test_a_server_without_the_tablespaces_takes_a_dump_that_names_them(
    each_format: Settings, spread: Server, scratch: Server, disposable: bool
) -> None:
    backup = take(each_format, spread, reason="test").backup
    transport = client_tools.transport_for(None)
    with room(scratch, backup) as (target, _):
        with pytest.raises(RestoreFailed, match="Místo"):
            load(each_format, transport, backup, target, disposable=False, progress=silent)
        load(
            each_format,
            transport,
            backup,
            target,
            disposable=disposable,
            progress=silent,
            tablespaces=False,
        )
        with databases.connect(target) as session:
            assert session.execute("SELECT m.i FROM m JOIN a USING (i)").fetchall() == [(7,)]


@pytest.mark.parametrize(("jobs", "workers"), [(2, "0"), (16, "2")])
def test_jobs_that_have_all_of_a_few_cores_build_an_index_alone(
    settings: Settings, small: Server, empty: Server, jobs: int, workers: str
) -> None:
    with databases.connect(small) as session:
        session.execute(
            "CREATE FUNCTION workers() RETURNS text IMMUTABLE LANGUAGE sql"
            " AS $$ SELECT current_setting('max_parallel_maintenance_workers') $$;"
            "CREATE TABLE seen"
            " (id int, workers text GENERATED ALWAYS AS (public.workers()) STORED);"
            "INSERT INTO seen VALUES (1)"
        )
    several = settings.with_overrides(backup_format="custom", restore_jobs=jobs)
    backup = take(several, small, reason="test").backup
    transport = client_tools.transport_for(None)
    load(several, transport, backup, empty, disposable=True, progress=silent)
    with databases.connect(empty) as session:
        assert session.execute("SELECT workers FROM seen").fetchall() == [(workers,)]
