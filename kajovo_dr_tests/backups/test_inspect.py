"""Reading damaged dump files of both formats: every damage is found, named and placed."""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from psycopg import sql

from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.inspect import Inspection, inspect, kind_of, verify
from kajovo_dr.backups.sql_scan import SqlScan
from kajovo_dr.backups.store import sidecar
from kajovo_dr.backups.take import take
from kajovo_dr.errors import DumpDamaged
from kajovo_dr.postgres import client_tools, databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.settings import Settings

Damage = Callable[[bytes], bytes]


def look(path: Path, backup: Backup | None = None) -> Inspection:
    """Inspect a file; with a backup against its manifest."""
    return inspect(
        path,
        kind_of(path),
        manifest=backup.manifest if backup else None,
        transport=client_tools.transport_for(None),
        timeout=60,
    )


def damaged(backup: Backup, damage: Damage) -> Path:
    """A copy of the dump file, damaged, with no manifest that could tell."""
    path = backup.path.with_name(f"damaged{backup.path.suffix}")
    path.write_bytes(damage(backup.path.read_bytes()))
    return path


def cut_inside_copy(content: bytes) -> bytes:
    """At a line end among the rows, where psql notices nothing."""
    start = content.index(b"FROM stdin;\n") + len(b"FROM stdin;\n")
    return content[: content.index(b"\n", start) + 1]


def utf16(content: bytes) -> bytes:
    return content.decode().encode("utf-16")


PLAIN_DAMAGE: dict[str, tuple[Damage, str]] = {
    "empty": (lambda content: b"", "size: the file is empty"),
    "cut at a line end inside COPY": (cut_inside_copy, "copy: the rows of public."),
    "cut between statements": (
        lambda content: content[: content.index(b"\nCREATE INDEX")],
        "trailer: pg_dump's last line is missing",
    ),
    "cut inside a character": (
        lambda content: content[: content.index("ř".encode()) + 1],
        "encoding: the file ends inside a UTF-8 character",
    ),
    "trailer removed": (
        lambda content: content.replace(b"-- PostgreSQL database dump complete", b"--"),
        "trailer: pg_dump's last line is missing",
    ),
    "UTF-16": (utf16, "encoding: the file is UTF-16"),
    "byte order mark": (lambda content: b"\xef\xbb\xbf" + content, "byte order mark"),
    "CRLF": (lambda content: content.replace(b"\n", b"\r\n"), "encoding: CRLF line ends"),
    "lines joined": (lambda content: content.replace(b"\n", b" "), "lines: only 0 line ends"),
    "NUL": (lambda content: content.replace(b"tab", b"\0ab", 1), "encoding: a NUL byte"),
    "cp852": (
        lambda content: content.replace("Ř".encode(), "Ř".encode("cp852")),
        "encoding: not valid UTF-8 (byte ",
    ),
    "not a dump": (lambda content: b"SELECT 1;\n" * 50, "header: does not begin as"),
}


@pytest.mark.parametrize("name", PLAIN_DAMAGE)
def test_damage_of_a_plain_dump_is_found_without_a_manifest(backup: Backup, name: str) -> None:
    damage, expected = PLAIN_DAMAGE[name]
    found = look(damaged(backup, damage))
    assert expected in "; ".join(map(str, found.findings))


def test_a_whole_dump_has_no_findings_and_the_manifests_rows(
    each_format: Settings, small: Server
) -> None:
    backup = take(each_format, small, reason="test").backup
    found = look(backup.path, backup)
    assert found.findings == ()
    assert found.counts == backup.manifest.counts
    assert found.lines == backup.manifest.lines


def test_a_flipped_bit_is_found_by_its_digest(each_format: Settings, small: Server) -> None:
    backup = take(each_format, small, reason="test").backup
    content = bytearray(backup.path.read_bytes())
    content[len(content) // 2] ^= 1
    backup.path.write_bytes(content)
    assert look(backup.path, backup).findings[0].rung == "sha256"


def test_a_shorter_file_is_found_by_its_size(each_format: Settings, small: Server) -> None:
    backup = take(each_format, small, reason="test").backup
    backup.path.write_bytes(backup.path.read_bytes()[:-1])
    assert look(backup.path, backup).findings[0].rung == "size"


def test_a_row_too_many_is_found_even_when_the_digest_was_made_to_fit(backup: Backup) -> None:
    content = backup.path.read_bytes().replace(b"COPY x FROM stdin;\n", b"COPY x FROM stdin;\nx\n")
    path = damaged(backup, lambda _: content)
    digest = look(path).sha256
    manifest = backup.manifest.model_copy(update={"sha256": digest, "size_bytes": len(content)})
    found = look(path, replace(backup, manifest=manifest))
    assert str(found.findings[0]) == 'rows: public.Kniha "přání": 5 rows, the manifest says 4'


@pytest.mark.parametrize(
    ("name", "damage", "expected"),
    [
        (
            "half a file",
            lambda content: content[: len(content) // 2],
            "decode: pg_restore: exit code 1",
        ),
        ("no archive", lambda content: b"x" * 2000, "header: does not begin as an archive"),
        ("empty", lambda content: b"", "size: the file is empty"),
    ],
)
def test_damage_of_an_archive_is_found_without_a_manifest(
    settings: Settings, small: Server, name: str, damage: Damage, expected: str
) -> None:
    backup = take(settings.with_overrides(backup_format="custom"), small, reason="test").backup
    found = look(damaged(backup, damage))
    assert expected in "; ".join(map(str, found.findings))


def test_a_changed_file_of_roles_is_found(backup: Backup) -> None:
    roles = sidecar(backup.path, ".roles")
    roles.write_bytes(roles.read_bytes() + b"-- x\n")
    found = verify(backup, transport=client_tools.transport_for(None), timeout=60)
    assert [finding.rung for finding in found.findings] == ["roles"]
    with pytest.raises(DumpDamaged, match="roles was changed"):
        found.require(backup.name)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000, 1 << 20])
def test_the_scan_does_not_depend_on_where_chunks_end(backup: Backup, size: int) -> None:
    content = backup.path.read_bytes()
    scan = SqlScan()
    for start in range(0, len(content), size):
        scan.feed(content[start : start + size])
    assert scan.finish() == []
    assert scan.counts == backup.manifest.counts


#: What a function's text may hold and pg_dump writes as well.
ANNOUNCEMENT = "-- Data for Name: nic; Type: TABLE DATA; Schema: public; Owner: kajovo\n"
COPY = "COPY public.nic (a) FROM stdin;\n1\n"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(COPY, id="a COPY"),
        pytest.param(f"{ANNOUNCEMENT}{COPY}", id="announced"),
        pytest.param(f"\n--\n{ANNOUNCEMENT}--\n\n{COPY}", id="announced as by pg_dump"),
        pytest.param(f"$$ it's \"\n--\n{ANNOUNCEMENT}--\n\n{COPY}", id="with quotes inside"),
    ],
)
@pytest.mark.parametrize("words", ["FUNCTION", "COMMENT", "DEFAULT"])
def test_a_copy_in_a_text_of_the_schema_is_not_taken_for_rows(
    each_format: Settings, small: Server, body: str, words: str
) -> None:
    commands = {
        "FUNCTION": "CREATE FUNCTION f() RETURNS text LANGUAGE plpgsql AS {body}",
        "COMMENT": "COMMENT ON TABLE hosté IS {body}",
        "DEFAULT": "ALTER TABLE hosté ALTER poznámka SET DEFAULT {body}",
    }
    with databases.connect(small) as session:
        session.execute("SET check_function_bodies = off")
        session.execute(sql.SQL(commands[words]).format(body=body))
    backup = take(each_format, small, reason="test").backup
    found = look(backup.path, backup)
    assert found.findings == ()
    assert found.counts == backup.manifest.counts


DEFINITIONS = r"""
    CREATE SCHEMA "it's";
    CREATE TABLE "it's"."a ""b"" $x$
--" (a text DEFAULT E'\\''--', "č'" text CHECK ("č'" <> '$q$'));
    INSERT INTO "it's"."a ""b"" $x$
--" VALUES ('''', '$$'), ('"', '--');
    CREATE TYPE "n'" AS ENUM ('it''s', '"', '$a$');
    CREATE VIEW v AS SELECT E'\\''"' AS a, '--' AS "b'", '/*' AS c, 1 - -1 AS d;
    CREATE FUNCTION g(a int DEFAULT 1, b text DEFAULT '''') RETURNS text
        LANGUAGE sql BEGIN ATOMIC SELECT '$$"' || $1 || $2; END;
    CREATE FUNCTION h() RETURNS void LANGUAGE plpgsql AS $a$ BEGIN -- it's
        EXECUTE $$ SELECT '"' $$; EXECUTE $_$ SELECT 1 $_$; END $a$;
    COMMENT ON SCHEMA "it's" IS E'it''s \\ $$ "\n--\n';
    CREATE RULE r AS ON INSERT TO v DO INSTEAD NOTHING;
    CREATE INDEX "i'" ON hosté ((jméno || ''''));
"""


def test_quotes_in_all_sorts_of_definitions_hide_no_rows(
    each_format: Settings, small: Server
) -> None:
    with databases.connect(small) as session:
        session.execute(DEFINITIONS)
    backup = take(each_format, small, reason="test").backup
    found = look(backup.path, backup)
    assert found.findings == ()
    assert found.counts == backup.manifest.counts
    assert found.counts["it's", 'a "b" $x$\n--'] == 2


def test_rows_of_a_partition_that_go_into_its_root_are_those_of_the_partition(
    each_format: Settings, small: Server
) -> None:
    with databases.connect(small) as session:
        session.execute(
            """
            CREATE TYPE druh AS ENUM ('pokoj', 'stůl', 'sál');
            CREATE TABLE místa (d druh) PARTITION BY HASH (d);
            CREATE TABLE místa_0 PARTITION OF místa FOR VALUES WITH (MODULUS 2, REMAINDER 0);
            CREATE TABLE místa_1 PARTITION OF místa FOR VALUES WITH (MODULUS 2, REMAINDER 1);
            INSERT INTO místa SELECT unnest(enum_range(NULL::druh)) FROM generate_series(1, 5);
            """
        )
    backup = take(each_format, small, reason="test").backup
    if backup.manifest.kind == "plain":
        assert "-- load via partition root" in backup.path.read_text(encoding="utf-8")
    found = look(backup.path, backup)
    assert found.findings == ()
    assert sum(rows for (_, name), rows in found.counts.items() if name.startswith("místa")) == 15


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("gzip", gzip.compress),
        ("xz", lzma.compress),
        ("zstd", lambda content: b"\x28\xb5\x2f\xfd" + content),
        ("zip", lambda content: b"PK\x03\x04" + content),
    ],
)
@pytest.mark.parametrize("suffix", [".sql", ".dump", ".sql.gz"])
def test_a_compressed_dump_is_told_from_a_damaged_one(
    backup: Backup, name: str, pack: Damage, suffix: str
) -> None:
    path = backup.path.with_name(f"sbaleno{suffix}")
    path.write_bytes(pack(backup.path.read_bytes()))
    (finding,) = look(path).findings
    expected = f"encoding: the file is compressed with {name}: decompress it first (byte 0)"
    assert str(finding) == expected


def test_an_archive_whose_name_looks_like_an_option_is_read(
    settings: Settings, small: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup = take(settings.with_overrides(backup_format="custom"), small, reason="test").backup
    monkeypatch.chdir(backup.path.parent)
    backup.path.rename("--list.dump")
    found = look(Path("--list.dump"))
    assert found.findings == ()
    assert found.counts == backup.manifest.counts
