"""Under test: a restored copy is judged by definitions as well as rows, whatever major spells them.

Every kind of definition goes through a real backup and restore, from a server of the scratch
server's major version and from an older one.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from kajovo_dr.backups import catalog
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.compare import compare, notes
from kajovo_dr.backups.manifest import DIGEST_SUFFIX, MANIFEST_SUFFIX, digest_line
from kajovo_dr.backups.prove import prove
from kajovo_dr.backups.store import sidecar
from kajovo_dr.backups.take import take
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.embedded import EmbeddedServer
from kajovo_dr.postgres.fingerprint import Table
from kajovo_dr.postgres.server import Server
from kajovo_dr.settings import Settings
from kajovo_dr_tests.backups.definitions import CHANGES, MORE_CHANGES, SCHEMA
from kajovo_dr_tests.backups.stored import fingerprint, manifest, table
from kajovo_dr_tests.conftest import new_folder

Change = tuple[str, str, str, str]
#: Publications of schemas and rows are new in 15.
OLD = next(
    (
        folder
        for major in (16, 15)
        if (folder := Path(f"/usr/lib/postgresql/{major}/bin")).joinpath("initdb").exists()
    ),
    None,
)
#: A verdict names ten objects, and some of these changes show in two.
AT_A_TIME = 6
GROUPS = [
    pytest.param(changes[at : at + AT_A_TIME], id=changes[at][0])
    for changes in (CHANGES, MORE_CHANGES)
    for at in range(0, len(changes), AT_A_TIME)
]


@pytest.fixture(scope="module")
def old_server() -> Iterator[Server]:
    """An older server than the scratch server."""
    if OLD is None:
        pytest.skip("no PostgreSQL 15 or 16 of the distribution is installed here")
    folder = new_folder()
    with EmbeddedServer(folder / "state" / "embedded" / "old", "kajovo", bin_setting=OLD) as server:
        yield server
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module", params=["same major", "older major"])
def production(request: pytest.FixtureRequest) -> Server:
    """The session's server, and an older one."""
    name = "server" if request.param == "same major" else "old_server"
    server: Server = request.getfixturevalue(name)
    return server


@pytest.fixture(scope="module")
def source(production: Server) -> Iterator[Server]:
    """A database with all kinds of definitions."""
    with databases.connect(production) as admin:
        databases.create(admin, "definice", {})
        try:
            with databases.connect(production.database("definice")) as session:
                session.execute(SCHEMA.encode())
            yield production.database("definice")
        finally:
            databases.drop(admin, "definice")


def altered(backup: Backup, changes: tuple[Change, ...]) -> Backup:
    """The plain backup with other definitions, for which all its sidecars vouch."""
    text = backup.path.read_text(encoding="utf-8")
    for _, where, before, after in changes:
        head, anchor, tail = text.partition(where)
        assert before in tail, f"{where}: {tail[:500]}"
        text = head + anchor + tail.replace(before, after, 1)
    content = text.encode()
    made = backup.manifest.model_copy(
        update={
            "sha256": hashlib.sha256(content).hexdigest(),
            "size_bytes": len(content),
            "lines": content.count(b"\n"),
        }
    )
    backup.path.write_bytes(content)
    sidecar(backup.path, MANIFEST_SUFFIX).write_bytes(made.to_bytes())
    sidecar(backup.path, DIGEST_SUFFIX).write_bytes(digest_line(made.sha256, backup.name))
    return catalog.load(backup.path)


def test_a_database_with_all_kinds_of_definitions_is_proven(
    each_format: Settings, source: Server
) -> None:
    proof = prove(each_format, take(each_format, source, reason="test").backup)
    assert proof.reason == ""
    assert proof.state == "proven"


@pytest.mark.parametrize("changes", GROUPS)
def test_changed_definitions_are_damage_and_are_named(
    settings: Settings, source: Server, changes: tuple[Change, ...]
) -> None:
    backup = altered(take(settings, source, reason="test").backup, changes)
    proof = prove(settings, backup)
    assert proof.state == "damaged"
    (schema,) = [each for each in proof.verdicts if each.passed is False]
    assert schema.name == "schema_equal", schema
    named = {line.rpartition(":")[0] for line in schema.detail.split("; ")}
    assert named == {name for name, *_ in changes}


def test_a_view_that_another_major_spells_otherwise_is_noted_with_what_was_compared() -> None:
    objects = {"view public.v": "1"}
    promised = manifest(fingerprint=fingerprint(objects, wording={"view public.v": "a:same"}))
    found = fingerprint(objects, wording={"view public.v": "b:same"})
    (verdict,) = [each for each in compare(promised, (), found, 17) if each.name == "schema_equal"]
    assert verdict.passed
    assert notes(promised, found, 17) == (
        "PostgreSQL 16 and 17 spell definitions differently; compared by their names, constants"
        " and operators alone: view public.v",
    )
    same = [each for each in compare(promised, (), found, 16) if each.name == "schema_equal"]
    assert same[0].detail == "view public.v: other definition"
    assert notes(promised, found, 16) == ()
    assert notes(promised, fingerprint(objects, wording={"view public.v": "b:other"}), 17) == ()


def test_rights_on_the_schema_public_are_judged_within_one_major_only() -> None:
    objects = {"schema public": "1"}
    promised = manifest(fingerprint=fingerprint(objects, wording={"schema public": "a:b"}))
    found = fingerprint(objects, wording={"schema public": "c:d"})
    details = [compare(promised, (), found, major)[2].detail for major in (16, 17)]
    assert details == ["schema public: other definition", ""]


def test_tables_whose_dotted_names_coincide_are_judged_one_by_one() -> None:
    def pair(first: str, second: str) -> tuple[Table, ...]:
        return (
            Table(schema="a", name="b.c", rows=int(first), hash=first),
            Table(schema="a.b", name="c", rows=int(second), hash=second),
        )

    promised = manifest(tables=pair("1", "2"), fingerprint=fingerprint({}))
    swapped = compare(promised, pair("2", "1"), fingerprint({}), 16)
    details = {each.name: each.detail for each in swapped if not each.passed}
    assert details == {
        "rows_equal": "a.b.c: 2 rows, promised 1 rows; a.b.c: 1 rows, promised 2 rows",
        "content_equal": "a.b.c: other content; a.b.c: other content",
    }
    assert all(each.passed for each in compare(promised, pair("1", "2"), fingerprint({}), 16))


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ("1", "compared by a sample of their rows: public.velká"),
        (
            "2",
            "public.velká: other content; compared by a sample of their rows: public.velká",
        ),
    ],
)
def test_a_verdict_on_a_sample_says_so(found: str, said: str) -> None:
    taken = (table("velká", 9, hash="1", sampled=True), table("malá", 1, hash="1"))
    restored = (table("velká", 9, hash=found, sampled=True), table("malá", 1, hash="1"))
    promised = manifest(tables=taken, fingerprint=fingerprint({}))
    verdict = compare(promised, restored, fingerprint({}), 16)[1]
    assert (verdict.name, verdict.passed) == ("content_equal", found == "1")
    assert (verdict.detail, verdict.figures["sampled"]) == (said, 1)


@pytest.fixture
def owned(production: Server) -> Iterator[Server]:
    """A database as its owner reaches it, who is no superuser."""
    with databases.connect(production) as admin:
        admin.execute("CREATE ROLE majitel LOGIN PASSWORD 'heslo'")
        try:
            databases.create(admin, "vlastní", {})
            with databases.connect(production.database("vlastní")) as session:
                session.execute(
                    "CREATE FOREIGN DATA WRAPPER daleko; CREATE SERVER tam FOREIGN DATA WRAPPER"
                    " daleko; CREATE USER MAPPING FOR majitel SERVER tam OPTIONS (password 'x');"
                    " ALTER SCHEMA public OWNER TO majitel; SET ROLE majitel;"
                    " CREATE TABLE public.t (id serial PRIMARY KEY, a varchar CHECK (a IN ('b')));"
                    " INSERT INTO public.t (a) VALUES ('b'); SELECT lo_from_bytea(0, 'abc')"
                )
            known = production.database("vlastní").params
            yield Server({**known, "user": "majitel", "password": "heslo"})
        finally:
            databases.drop(admin, "vlastní")
            admin.execute("DROP ROLE majitel")


def test_an_owner_who_is_no_superuser_takes_a_backup_that_is_proven(
    each_format: Settings, owned: Server
) -> None:
    backup = take(each_format, owned, reason="test").backup
    fingerprint = backup.manifest.fingerprint
    assert fingerprint is not None
    assert "user mapping majitel on server tam" in fingerprint.objects
    proof = prove(each_format, backup)
    assert proof.reason == ""
    assert proof.state == "proven"
