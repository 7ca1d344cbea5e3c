"""Reading damaged dump files of both formats: every damage is found, named and placed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.inspect import Inspection, inspect, kind_of, verify
from kajovo_dr.backups.sql_scan import SqlScan
from kajovo_dr.backups.store import sidecar
from kajovo_dr.backups.take import take
from kajovo_dr.errors import DumpDamaged
from kajovo_dr.postgres import client_tools
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


def test_a_copy_in_a_functions_text_is_not_taken_for_rows(
    settings: Settings, small: Server
) -> None:
    from kajovo_dr.postgres import databases

    body = "COPY public.nic (a) FROM stdin;\n1\n"
    with databases.connect(small) as session:
        session.execute(
            f"CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$ SELECT '{body}' $$".encode()
        )
    backup = take(settings, small, reason="test").backup
    assert ("public", "nic") not in look(backup.path).counts
