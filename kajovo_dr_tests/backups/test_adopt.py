"""Under test: judging what the old scripts left.

The dumps are made by the real pg_dump with the runbook's arguments, and damaged as those scripts,
Windows and full disks did it.
"""

from __future__ import annotations

import gzip
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from kajovo_dr.backups.adopt import Adoption, Judged, adopt
from kajovo_dr.backups.dump_facts import DumpFacts
from kajovo_dr.backups.store import sidecar
from kajovo_dr.errors import FileRefused
from kajovo_dr.postgres import client_tools, databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.settings import Settings

Damage = Callable[[bytes], bytes]


NAME = "kajovo-postgres-20260403-031000.sql"


def pg_dump(server: Server, *arguments: str) -> bytes:
    """What pg_dump writes with the runbook's arguments and these."""
    done = client_tools.transport_for(None).run("pg_dump", arguments, server=server, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as Windows users name them."""
    path = tmp_path / "staré zálohy"
    path.mkdir()
    return path


@pytest.fixture
def plain(settings: Settings, small: Server) -> bytes:
    """A dump as the runbook makes it."""
    return pg_dump(small)


@pytest.fixture
def look(settings: Settings, folder: Path) -> Callable[[bytes], Judged]:
    """Judge one content, adopting nothing."""

    def judged(content: bytes, name: str = NAME) -> Judged:
        (folder / name).write_bytes(content)
        (file,) = adopt(settings, folder, dry_run=True).files
        return file

    return judged


def by_name(adoption: Adoption) -> dict[str, Judged]:
    return {file.name: file for file in adoption.files}


def joined(content: bytes) -> bytes:
    """PowerShell: an array of lines cast to a string."""
    return " ".join(content.decode().splitlines()).encode()


def read_as(page: str) -> Damage:
    """PowerShell: the console's code page is decoded, UTF-8 is written."""

    def through(content: bytes) -> bytes:
        characters = (bytes([byte]).decode(page, "ignore") or chr(byte) for byte in content)
        return "".join(characters).encode()

    return through


def changed(content: bytes) -> bytes:
    """One letter of one guest."""
    return content.replace("Řehoř".encode(), "Řehor".encode(), 1)


def after_rows(count: int) -> Damage:
    """The disk was full in the middle of the guests."""

    def cut(content: bytes) -> bytes:
        at = content.index(b"\n", content.index(b'COPY public."host'))
        for _ in range(count):
            at = content.index(b"\n", at + 1)
        return content[: at + 1]

    return cut


NOTHING = "would restore to nothing: "
STRANGE = "has what no dump of one database has"


DAMAGE: dict[str, tuple[Damage, str, str]] = {
    "lines joined": (
        joined,
        "nothing",
        f"{NOTHING}its lines were joined, the whole file is a comment",
    ),
    "lines joined, through cp852, with a byte order mark": (
        lambda content: b"\xef\xbb\xbf" + read_as("cp852")(joined(content)),
        "nothing",
        f"{NOTHING}its lines were joined, the whole file is a comment",
    ),
    "empty": (lambda content: b"", "nothing", f"{NOTHING}the file is empty"),
    "only its first lines": (
        lambda content: b"".join(content.splitlines(keepends=True)[:5]),
        "nothing",
        f"{NOTHING}the file ends after 5 lines",
    ),
    "cut among the rows": (
        after_rows(34),
        "half",
        "would restore half: it was cut after 34 rows of public.hosté",
    ),
    "cut after the rows": (
        lambda content: content[: content.index(b"\nCREATE INDEX") + 1],
        "half",
        "would restore half: it was cut after the rows of public.prázdná",
    ),
    "UTF-16": (
        lambda content: content.decode().encode("utf-16"),
        "unusable",
        "is not as pg_dump wrote it: the file is UTF-16: it was re-encoded (byte 0)",
    ),
    "byte order mark": (
        lambda content: b"\xef\xbb\xbf" + content,
        "unusable",
        "is not as pg_dump wrote it: the file is UTF-8 with a byte order mark",
    ),
    "CRLF": (
        lambda content: content.replace(b"\n", b"\r\n"),
        "unusable",
        "is not as pg_dump wrote it: CRLF line ends",
    ),
    "gzip": (gzip.compress, "unusable", "is compressed with gzip: decompress it first"),
    "no dump": (
        lambda content: b"SELECT 1;\n" * 50,
        "unusable",
        "is nothing that kajovo_dr restores: does not begin as pg_dump's output does",
    ),
    "a whole cluster": (
        lambda content: b"--\n-- PostgreSQL database cluster dump\n--\n" + content,
        "unusable",
        "is a dump of a whole cluster (pg_dumpall)",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_dump_is_said_to_be_worth_what_it_is(
    look: Callable[[bytes], Judged], plain: bytes, name: str
) -> None:
    damage, outcome, words = DAMAGE[name]
    judged = look(damage(plain))
    assert (judged.outcome, judged.worth[: len(words)]) == (outcome, words)


@pytest.mark.parametrize("page", ["cp852", "cp1250", "cp1252"])
def test_letters_broken_by_a_code_page_are_counted_and_placed(
    look: Callable[[bytes], Judged], plain: bytes, page: str
) -> None:
    damaged = read_as(page)(plain)
    first = plain[: plain.index("Řehoř".encode())].count(b"\n") + 1
    judged = look(damaged)
    assert judged.outcome == "unusable"
    assert judged.rows == 54  # which is why counting finds nothing
    # per guest: Ř ř Šť ý řá and the bell
    words = f"Czech letters were broken by a console code page ({page}) in 300 places"
    assert judged.worth.startswith(f"{words} (the first in line {first}, public.")


def test_letters_that_a_decoder_gave_up_are_found(
    look: Callable[[bytes], Judged], plain: bytes
) -> None:
    judged = look(plain.decode("ascii", "replace").encode())
    assert judged.worth.startswith("Czech letters were broken by a code page that lost them")


def test_a_few_broken_texts_of_the_source_are_noted_and_the_dump_is_whole(
    look: Callable[[bytes], Judged], small: Server
) -> None:
    with databases.connect(small) as session:
        broken = "Údržba".encode().decode("cp852")
        session.execute("UPDATE hosté SET poznámka = %s WHERE id = 7", (broken,))
    content = pg_dump(small)
    line = content[: content.index(broken.encode())].count(b"\n") + 1
    judged = look(content)
    assert judged.outcome == "whole"
    assert judged.notes[0] == (
        "texts that look broken, in the source already: 2 of them,"
        f' the first in line {line}, public."hosté"'
    )


def test_czech_texts_frames_and_quotes_are_not_taken_for_broken(
    look: Callable[[bytes], Judged], small: Server
) -> None:
    with databases.connect(small) as session:
        session.execute(
            "UPDATE hosté SET jméno = 'x', poznámka ="
            " 'těžký zítřejší ┌──┐│ ÄÖÜ „POKOJ Č. 5“ – ŽLUŤOUČKÝ KŮŇ Ă Ĺ ÁÉÍÓÚ ŠŤASTNÝ! 5 € 20 °C'"
        )
    assert look(pg_dump(small)).notes == (f"nothing tells its database: taken for {small.dbname}",)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--create"], f"{STRANGE}: CREATE DATABASE, which only pg_dump --create writes (line "),
        (["--create", "--clean"], f"{STRANGE}: DROP DATABASE, which only pg_dump --create writes"),
        (["--inserts"], "its rows are INSERT statements"),
        (["--schema-only"], "has no table's rows, only definitions"),
    ],
)
def test_a_dump_of_other_arguments_is_not_adopted(
    look: Callable[[bytes], Judged], small: Server, arguments: list[str], words: str
) -> None:
    judged = look(pg_dump(small, *arguments))
    assert (judged.outcome, judged.worth[: len(words)]) == ("unusable", words)


def test_a_dump_that_connects_elsewhere_is_not_adopted(
    look: Callable[[bytes], Judged], plain: bytes
) -> None:
    judged = look(plain.replace(b"\nCREATE TABLE", b"\n\\connect jinam\n\nCREATE TABLE", 1))
    words = rf"{STRANGE}: \connect is a command to psql, not SQL (line "
    assert (judged.outcome, judged.worth[: len(words)]) == ("unusable", words)
    assert judged.worth.endswith("; made with --create, or by a stranger")


def test_a_dump_that_only_drops_what_it_makes_is_whole(
    look: Callable[[bytes], Judged], small: Server
) -> None:
    assert look(pg_dump(small, "--clean", "--if-exists")).outcome == "whole"


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (b"DO $$BEGIN EXECUTE 'CREATE ROLE zlo SUPERUSER'; END$$;", "DO, which pg_dump does not"),
        (b"CREATE ROLE zlo SUPERUSER;", "CREATE ROLE, which pg_dump does not write"),
        (b"COPY (SELECT 1) TO PROGRAM 'id';", "a COPY unlike those of pg_dump"),
        (b"COPY public.x TO PROGRAM 'id'; -- FROM stdin;", "a COPY unlike those of pg_dump"),
    ],
)
@pytest.mark.parametrize("kind", ["plain", "custom"])
def test_a_statement_of_a_stranger_is_not_adopted(
    look: Callable[..., Judged], small: Server, kind: str, statement: bytes, words: str
) -> None:
    with databases.connect(small) as session:
        session.execute(f"COMMENT ON TABLE hosté IS '{'x' * 99}'".encode())
    content = pg_dump(small, f"--format={kind}")
    comment = f"COMMENT ON TABLE public.\"hosté\" IS '{'x' * 99}';\n".encode()
    assert comment in content  # an archive's statements are not compressed
    content = content.replace(comment, statement.ljust(len(comment) - 1) + b"\n")
    judged = look(content, "cizí.dump" if kind == "custom" else "cizí.sql")
    assert judged.outcome == "unusable"
    assert judged.worth.startswith(f"{STRANGE}: {words}")


def test_half_an_archive_is_said_to_be_none(look: Callable[..., Judged], small: Server) -> None:
    content = pg_dump(small, "--format=custom")
    judged = look(content[: len(content) // 2], "hotel.backup")
    assert judged.outcome == "unusable"
    assert judged.worth.startswith("would restore half at best: its archive cannot be read")


def test_the_kind_is_that_of_the_bytes_not_of_the_name(
    settings: Settings, folder: Path, plain: bytes, small: Server
) -> None:
    (folder / "archiv.sql").write_bytes(pg_dump(small, "--format=custom"))
    (folder / "text.dump").write_bytes(plain)
    (folder / "bez přípony").write_bytes(plain + b"\n")
    files = adopt(settings, folder, dry_run=True).files
    assert [(file.outcome, file.rows) for file in files] == [("whole", 54)] * 3


def test_what_else_lies_in_the_folder_is_named_and_left(
    settings: Settings, folder: Path, plain: bytes
) -> None:
    (folder / NAME).write_bytes(plain)
    sidecar(folder / NAME, ".sha256").write_text(hashlib.sha256(plain).hexdigest())
    (folder / "poznámky.txt").write_text("ahoj")
    (folder / "starší").mkdir()
    expected = {"poznámky.txt": "no dump file", "starší": "a folder"}
    if hasattr(os, "mkfifo"):
        (folder / "odkaz.sql").symlink_to(folder / NAME)
        os.mkfifo(folder / "roura.sql")
        expected |= {"odkaz.sql": "a symbolic link", "roura.sql": "no regular file"}
    adoption = adopt(settings, folder, dry_run=True)
    assert [file.name for file in adoption.files] == [NAME]
    assert {each.name: each.why for each in adoption.skipped} == expected


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every file"
)
def test_a_file_that_may_not_be_read_is_said_and_the_others_are_judged(
    settings: Settings, folder: Path, plain: bytes
) -> None:
    (folder / "a.sql").write_bytes(plain)
    (folder / "a.sql").chmod(0)
    (folder / "b.sql").write_bytes(plain)
    files = by_name(adopt(settings, folder, dry_run=True))
    assert files["a.sql"].worth == "cannot be read: permission denied"
    assert files["b.sql"].outcome == "whole"


@pytest.mark.parametrize("name", ["není", "soubor", "nul\0"])
def test_what_is_no_folder_is_refused(settings: Settings, tmp_path: Path, name: str) -> None:
    (tmp_path / "soubor").write_text("x")
    with pytest.raises(FileRefused):
        adopt(settings, tmp_path / name)


def test_a_folder_without_dumps_has_none(settings: Settings, folder: Path) -> None:
    adoption = adopt(settings, folder)
    assert (adoption.files, adoption.whole, adoption.summary) == ((), True, "no dump files")


def test_the_reader_of_letters_does_not_depend_on_where_chunks_end(plain: bytes) -> None:
    whole = DumpFacts()
    whole.feed(read_as("cp852")(plain))
    for size in (1, 7, 64, 1000):
        facts = DumpFacts()
        content = read_as("cp852")(plain)
        for start in range(0, len(content), size):
            facts.feed(content[start : start + size])
        assert facts.letters == whole.letters
        assert facts.roles == whole.roles
