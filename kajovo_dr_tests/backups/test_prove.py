"""A backup is proven by a real restore into a scratch server, and by nothing less."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from pydantic import SecretStr

from kajovo_dr import process
from kajovo_dr.backups import catalog
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.compare import compare
from kajovo_dr.backups.manifest import DIGEST_SUFFIX, MANIFEST_SUFFIX, digest_line
from kajovo_dr.backups.proof import PROOF_SUFFIX, VERDICTS, Proof, read_proof
from kajovo_dr.backups.prove import prove, require_proven
from kajovo_dr.backups.scratch import scratch_server
from kajovo_dr.backups.sql_smoke import ask
from kajovo_dr.backups.store import open_store, sidecar
from kajovo_dr.backups.take import take
from kajovo_dr.errors import DrError, ProofFailed, ProofImpossible, TargetBusy
from kajovo_dr.hotel import SqlCheck
from kajovo_dr.postgres import clusters, databases, fingerprint
from kajovo_dr.postgres.server import Server
from kajovo_dr.settings import Settings

HOSTILE = r'''
    CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN short AS char(5) CHECK (VALUE <> 'x');
    CREATE TABLE typed (id serial PRIMARY KEY, m mood, d short, n numeric, j jsonb, x xml, mo money,
        f float8, at timestamptz DEFAULT now(), moods mood[], c bpchar, iv interval, e float4[],
        b bytea, g int GENERATED ALWAYS AS (id * 2) STORED, i int8 GENERATED ALWAYS AS IDENTITY);
    INSERT INTO typed (m, d, n, j, x, mo, f, moods, c, iv, e, b)
        SELECT 'ok', 'q', 1.00, '{"a": 1}', '<a/>', 3, '-0', ARRAY['ok', 'sad']::mood[], 'x ',
        '1 mon', ARRAY['NaN', '-0']::float4[], '\x00ff' FROM generate_series(1, 100);
    CREATE TABLE part (a int, b mood) PARTITION BY HASH (b);
    CREATE TABLE part1 PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 0);
    CREATE TABLE part2 PARTITION OF part FOR VALUES WITH (MODULUS 2, REMAINDER 1);
    INSERT INTO part VALUES (1, 'ok'), (2, 'sad');
    CREATE TABLE ranged (a int PRIMARY KEY, t text) PARTITION BY RANGE (a);
    CREATE TABLE ranged1 PARTITION OF ranged FOR VALUES FROM (0) TO (10);
    CREATE INDEX ON ranged (t);
    CREATE TABLE nothing (); INSERT INTO nothing DEFAULT VALUES;
    CREATE TABLE parent (a int, "Šílený ""název""" text); CREATE TABLE child (b int);
    ALTER TABLE child ADD a int; ALTER TABLE child ADD "Šílený ""název""" text;
    ALTER TABLE child INHERIT parent;
    INSERT INTO child VALUES (1, 2, 'ž');
    ALTER TABLE parent ADD z int;
    CREATE UNLOGGED TABLE unlogged (a int); INSERT INTO unlogged VALUES (1);
    CREATE VIEW seen AS SELECT id, m FROM typed WHERE n > 0;
    CREATE MATERIALIZED VIEW stored AS SELECT count(*) FROM typed;
    CREATE MATERIALIZED VIEW empty AS SELECT 1 AS one WITH NO DATA;
    CREATE FUNCTION twice(a int DEFAULT 1) RETURNS int LANGUAGE sql AS 'SELECT a * 2';
    CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN NULL; END $$;
    CREATE FUNCTION trig() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
    CREATE TRIGGER changed BEFORE UPDATE ON typed FOR EACH ROW WHEN (OLD.n > 0)
        EXECUTE FUNCTION trig();
    CREATE AGGREGATE total (int) (sfunc = int4pl, stype = int, initcond = '0');
    CREATE TYPE span AS RANGE (subtype = int4); CREATE TYPE pair AS (a int, b text);
    CREATE EXTENSION citext; CREATE STATISTICS st ON n, f FROM typed;
    ALTER TABLE typed ENABLE ROW LEVEL SECURITY; CREATE POLICY mine ON typed USING (id > 0);
    CREATE TABLE ref (id int REFERENCES typed (id) ON DELETE CASCADE, e int);
    ALTER TABLE ref ADD CHECK (e > 0) NOT VALID;
    CREATE RULE quiet AS ON DELETE TO ref DO INSTEAD NOTHING;
    COMMENT ON TABLE typed IS 'x'; COMMENT ON COLUMN typed.id IS 'y';
    GRANT SELECT ON typed TO PUBLIC;
    GRANT UPDATE (n) ON typed TO PUBLIC;
    REVOKE ALL ON FUNCTION twice FROM PUBLIC;
    ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC;
    SELECT lo_from_bytea(0, 'abc'), lo_from_bytea(0, decode(repeat('00', 9000000), 'hex'));
    CREATE OPERATOR === (leftarg = int, rightarg = int, function = int4eq);
    CREATE SCHEMA "Jiné"; CREATE TABLE "Jiné"."t" (c citext, p pair, s span);
    INSERT INTO "Jiné".t VALUES ('Abc', (1, 'x'), '[1,5)');
'''


@pytest.fixture
def hostile(small: Server, settings: Settings) -> Server:
    """`small` with one of everything that a fingerprint could stumble over."""
    with databases.connect(small) as session:
        session.execute(HOSTILE)
    return small


def test_a_database_with_one_of_everything_is_proven(
    each_format: Settings, hostile: Server
) -> None:
    backup = take(each_format, hostile, reason="test").backup
    assert backup.state == "taken"
    proof = prove(each_format, backup)
    assert [(each.name, each.passed, each.detail) for each in proof.verdicts] == [
        (name, True, "") for name in VERDICTS
    ]
    assert proof.state == "proven"
    again = catalog.by_name(open_store(each_format), backup.name)
    assert (again.state, again.proof) == ("proven", proof)


def names(server: Server, query: str) -> set[str]:
    with databases.connect(server) as session:
        return {name for (name,) in session.execute(query.encode()).fetchall()}


def left(scratch: Server) -> set[str]:
    """Databases and roles that no proof should leave."""
    return names(
        scratch,
        "SELECT datname FROM pg_database"
        " WHERE datname NOT IN ('postgres', 'template0', 'template1')"
        " UNION ALL SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' AND rolname <> 'postgres'",
    )


def vouched(backup: Backup, before: bytes, after: bytes) -> Backup:
    """The backup with other bytes, for which all sidecars vouch: nothing but a restore can tell."""
    text = backup.path.read_bytes()
    assert text.count(before) == 1
    changed = text.replace(before, after)
    manifest = backup.manifest.model_copy(
        update={
            "sha256": hashlib.sha256(changed).hexdigest(),
            "size_bytes": len(changed),
            "lines": changed.count(b"\n"),
        }
    )
    backup.path.write_bytes(changed)
    sidecar(backup.path, MANIFEST_SUFFIX).write_bytes(manifest.to_bytes())
    sidecar(backup.path, DIGEST_SUFFIX).write_bytes(digest_line(manifest.sha256, backup.name))
    return catalog.load(backup.path)


def failing(proof: Proof) -> dict[str, str]:
    return {each.name: each.detail for each in proof.verdicts if each.passed is False}


def test_a_damaged_file_is_named_by_the_rung_that_saw_it(
    settings: Settings, backup: Backup, scratch: Server
) -> None:
    size = backup.path.stat().st_size
    with backup.path.open("r+b") as file:
        file.seek(size // 2)
        file.write(b"\x00")
    proof = prove(settings, backup)
    assert proof.state == "damaged"
    first, *others = proof.verdicts
    assert first.passed is False
    assert first.detail.startswith("sha256: ")
    assert [(each.name, each.passed) for each in others] == [(name, None) for name in VERDICTS[1:]]
    with pytest.raises(ProofFailed, match="sha256"):
        require_proven(backup.name, proof)
    assert catalog.by_name(open_store(settings), backup.name).state == "damaged"
    assert left(scratch) == set()


@pytest.mark.parametrize(
    ("before", "after", "verdict", "detail"),
    [
        ("Řehoř Šťastný 7\t", "Řehoř Šťastný 8\t", "content_equal", "public.hosté: other content"),
        ("_seq\"', 50, true)", "_seq\"', 49, true)", "sequences_equal", "hosté_id_seq: at 49, promised 50"),  # noqa: E501
        ("_seq\"', 50, true)", "_seq\"', 50, false)", "sequences_equal", "gives another value next"),  # noqa: E501
        ("CREATE INDEX", "-- CREATE INDEX", "schema_equal", 'index public."hosté_jméno_idx": missing'),  # noqa: E501
        ("\"poznámka\" text\n", "\"poznámka\" varchar\n", "schema_equal", 'table public."hosté": differs'),  # noqa: E501
        ("CREATE INDEX", "CREATE VIEW public.navíc AS SELECT 1;\nCREATE INDEX", "schema_equal", "not in the source"),  # noqa: E501
        ("CREATE INDEX", "CREATE INDEX ON public.neznám (a);\nCREATE INDEX", "restores", "neznám"),
    ],
)  # fmt: skip
def test_what_a_restored_copy_has_otherwise_is_named(
    settings: Settings, backup: Backup, before: str, after: str, verdict: str, detail: str
) -> None:
    proof = prove(settings, vouched(backup, before.encode(), after.encode()))
    assert proof.state == "damaged"
    assert list(failing(proof)) == [verdict]
    assert detail in failing(proof)[verdict]
    assert failing(proof)[verdict] in proof.reason


def test_values_that_two_rows_exchanged_are_found(settings: Settings, backup: Backup) -> None:
    swapped = vouched(backup, "Šťastný 7\t".encode(), "Šťastný X\t".encode())
    swapped = vouched(swapped, "Šťastný 8\t".encode(), "Šťastný 7\t".encode())
    swapped = vouched(swapped, "Šťastný X\t".encode(), "Šťastný 8\t".encode())
    assert list(failing(prove(settings, swapped))) == ["content_equal"]


def test_roles_are_made_for_the_proof_and_dropped_with_its_database(
    settings: Settings, backup: Backup, scratch: Server
) -> None:
    assert "kajovo" in backup.manifest.roles
    proof = prove(settings, backup)
    assert (proof.state, proof.reason, proof.notes) == ("proven", "", ())
    assert left(scratch) == set()


def test_the_record_says_what_was_done_and_no_password(
    settings: Settings, backup: Backup, scratch: Server
) -> None:
    proof = prove(settings, backup)
    assert set(proof.seconds) == {"verify", "restore", "compare", "sql_smoke"}
    assert proof.server_version.split(".")[0] == proof.client_version.split(".")[0]
    assert (proof.backup_file, proof.sha256) == (backup.name, backup.manifest.sha256)
    text = sidecar(backup.path, PROOF_SUFFIX).read_text(encoding="utf-8")
    assert scratch.params["password"] not in text
    assert read_proof(backup.path) == proof


def test_an_extension_that_the_scratch_server_lacks_says_nothing_of_the_backup(
    settings: Settings, backup: Backup
) -> None:
    proven = prove(settings, backup)
    fingerprint = backup.manifest.fingerprint
    assert fingerprint is not None
    needing = backup.manifest.model_copy(
        update={"fingerprint": fingerprint.model_copy(update={"extensions": {"dálava": "1.0"}})}
    )
    again = catalog.load(backup.path)
    with pytest.raises(ProofImpossible, match="dálava"):
        prove(settings, replace(again, manifest=needing))
    assert catalog.load(backup.path).proof == proven
    sidecar(backup.path, PROOF_SUFFIX).unlink()
    with pytest.raises(ProofImpossible, match="dálava"):
        prove(settings, replace(again, manifest=needing, proof=None, state="taken"))
    recorded = catalog.load(backup.path)
    assert recorded.state == "unproven"
    assert recorded.proof is not None
    assert "dálava" in recorded.proof.reason


def test_a_locale_that_the_scratch_server_lacks_is_noted(
    settings: Settings, backup: Backup
) -> None:
    locale = backup.manifest.locale | {"LC_COLLATE": "cs_XX.UTF-8", "LC_CTYPE": "cs_XX.UTF-8"}
    foreign = backup.manifest.model_copy(update={"locale": locale})
    proof = prove(settings, replace(backup, manifest=foreign))
    assert proof.state == "proven"
    assert proof.notes == ("restored with locale C: the scratch server has no cs_XX.UTF-8",)


def test_production_is_no_scratch_server(settings: Settings, backup: Backup) -> None:
    production = Server.from_url(settings.need("database_url"))
    other = Server({**production.params, "host": "localhost"})
    before = names(production, "SELECT datname FROM pg_database")  # the zoo's among them, perhaps
    for server in (production, other, other.database("template1")):
        with pytest.raises(ProofImpossible, match="production's own server"):
            prove(settings.with_overrides(proof_url=SecretStr(server.url())), backup)
    assert catalog.load(backup.path).state == "unproven"
    assert names(production, "SELECT datname FROM pg_database") == before


def test_one_proof_at_a_time(settings: Settings, backup: Backup) -> None:
    with scratch_server(settings), pytest.raises(TargetBusy):
        prove(settings, backup)
    assert read_proof(backup.path) is None


def test_what_a_killed_proof_left_is_removed_by_the_next_and_nothing_else(
    settings: Settings, scratch: Server
) -> None:
    with databases.connect(scratch) as admin:
        for name in ("kajovo_dr_proof_left", "kajovo_dr_proof_of_mine"):
            databases.create(admin, name, {})
        databases.comment(
            admin, "kajovo_dr_proof_left", "kajovo_dr: restored for a proof, may be dropped"
        )
        try:
            with scratch_server(settings):
                assert left(scratch) == {"kajovo_dr_proof_of_mine"}
        finally:
            databases.drop(admin, "kajovo_dr_proof_of_mine")


def test_the_embedded_server_is_for_any_maintenance_database(
    settings: Settings, backup: Backup
) -> None:
    managed = settings.with_overrides(maintenance_database="defaultdb", proof_url=None)
    assert prove(managed, backup).state == "proven"
    assert not (settings.state / "embedded" / "scratch" / "data").exists()


def test_a_killed_proofs_server_is_adopted_and_stopped(settings: Settings, backup: Backup) -> None:
    settings = settings.with_overrides(proof_url=None)
    killed = clusters.scratch_cluster(settings)
    server = killed.open()
    with databases.connect(server) as admin:
        databases.create(admin, "kajovo_dr_proof_left", {})
        databases.comment(
            admin, "kajovo_dr_proof_left", "kajovo_dr: restored for a proof, may be dropped"
        )
    killed._lock.release()  # what the system does when a process dies
    with scratch_server(settings) as again:
        assert again.address == server.address
        assert "kajovo_dr_proof_left" not in names(again, "SELECT datname FROM pg_database")
    child = killed._process
    assert child is not None
    assert process.wait_until(lambda: child.poll() is not None, timeout=30)


@pytest.mark.parametrize("suffix", [MANIFEST_SUFFIX, ""])
def test_a_proof_is_of_these_bytes_alone(settings: Settings, backup: Backup, suffix: str) -> None:
    assert prove(settings, backup).state == "proven"
    if suffix:
        manifest = backup.manifest.model_copy(update={"reason": "jiný"})
        sidecar(backup.path, suffix).write_bytes(manifest.to_bytes())
        assert catalog.load(backup.path).state == "unproven"
    else:
        assert vouched(backup, "Šťastný 7\t".encode(), "Šťastný 8\t".encode()).state == "unproven"
    assert catalog.newest_proven(open_store(settings)) is None


def test_a_backup_whose_file_vanished_is_told_so(settings: Settings, backup: Backup) -> None:
    backup.path.unlink()
    with pytest.raises(DrError):
        prove(settings, backup)


def test_a_source_without_the_schema_public_is_proven(
    settings: Settings, new_database: Callable[[str], Server]
) -> None:
    database = new_database("bez public")
    with databases.connect(database) as session:
        session.execute(
            "DROP SCHEMA public; CREATE SCHEMA app; CREATE TABLE app.t AS SELECT 1 AS a"
        )
    proof = prove(settings, take(settings, database, reason="test").backup)
    assert failing(proof) == {}
    assert proof.state == "proven"


def test_a_sampled_table_is_proven_with_a_note(settings: Settings, small: Server) -> None:
    with databases.connect(small) as session:
        session.execute("CREATE TABLE velká AS SELECT i FROM generate_series(1, 200000) AS i")
    hasty = settings.with_overrides(fingerprint_table_s=0.002)
    backup = take(hasty, small, reason="test").backup
    sampled = {table.name for table in backup.manifest.tables if table.sampled}
    assert "velká" in sampled
    proof = prove(settings, backup)
    assert (proof.state, proof.reason) == ("proven", "")
    content = proof.verdicts[VERDICTS.index("content_equal")]
    assert content.figures["sampled"] == len(sampled)
    assert "public.velká" in proof.notes[0]
    assert "sample" in proof.notes[0]


WRITE = """
    UPDATE velká SET t = md5(random()::text) WHERE i = (random() * 60000)::int;
    DELETE FROM velká WHERE i = (random() * 60000)::int;
    INSERT INTO velká VALUES (nextval('velká_číslo'), 'nový')
"""


def test_a_backup_taken_among_writers_is_proven_and_holds_its_snapshot(
    settings: Settings, small: Server
) -> None:
    with databases.connect(small) as session:
        session.execute(
            "CREATE SEQUENCE velká_číslo START 100000; CREATE TABLE velká AS"
            " SELECT i, md5(i::text) AS t FROM generate_series(1, 60000) AS i;"
            "CREATE INDEX ON velká (i)"
        )
    ended = threading.Event()

    def write() -> int:
        done = 0
        with databases.connect(small) as session:
            while not ended.is_set():
                session.execute(WRITE)
                done += 1
        return done

    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(write) for _ in range(4)]
        try:
            backup = take(settings, small, reason="test").backup
        finally:
            ended.set()
        assert all(writer.result() > 0 for writer in writers)
    with databases.connect(small) as session:
        now, rest = fingerprint.restored(session, sampled=frozenset(), version_table="v")
    verdicts = {each.name: each.passed for each in compare(backup.manifest, now, rest, 17)}
    assert verdicts["content_equal"] is False
    proof = prove(settings, backup)
    assert (proof.state, proof.reason) == ("proven", "")


CHECKS = {
    "equal": (SqlCheck(name="q", sql="SELECT count(*) FROM hosté", expect=50), ""),
    "equal text": (SqlCheck(name="q", sql="SELECT 'ž'", expect="ž"), ""),
    "equal decimal": (SqlCheck(name="q", sql="SELECT 1.1", expect=1.1), ""),
    "equal date": (SqlCheck(name="q", sql="SELECT date '2026-11-23'", expect="2026-11-23"), ""),
    "other": (SqlCheck(name="q", sql="SELECT 49", expect=50), "q: 49, expected 50"),
    "enough": (SqlCheck(name="q", sql="SELECT 5", at_least=5, at_most=5), ""),
    "few": (SqlCheck(name="q", sql="SELECT 4", at_least=5), "q: 4, at least 5"),
    "many": (SqlCheck(name="q", sql="SELECT 6", at_most=5), "q: 6, at most 5"),
    "nothing": (SqlCheck(name="q", sql="SELECT NULL", at_least=5), "q: None, at least 5"),
    "no number": (SqlCheck(name="q", sql="SELECT 'x'", at_least=5), "q: 'x' is no number"),
    "not a number": (SqlCheck(name="q", sql="SELECT 'NaN'::numeric", at_least=5), "is no number"),
    "no row": (SqlCheck(name="q", sql="SELECT 1 WHERE false", expect=1), "q: no row"),
    "error": (SqlCheck(name="q", sql="SELECT x", expect=1), 'column "x" does not exist'),
    "no query": (SqlCheck(name="q", sql="SET x.y = 1", expect=1), "q: "),
    "writes": (
        SqlCheck(name="q", sql="DELETE FROM hosté RETURNING 1", expect=1),
        "cannot execute DELETE in a read-only transaction",
    ),
}


@pytest.mark.parametrize(("check", "detail"), CHECKS.values(), ids=CHECKS.keys())
def test_an_answer_is_judged_as_the_operator_expects(
    small: Server, check: SqlCheck, detail: str
) -> None:
    verdict = ask((check,), small, 60)
    assert verdict.passed is (detail == "")
    assert detail in verdict.detail
    assert verdict.figures == {"queries": 1, "failed": int(detail != "")}


def test_a_query_without_an_end_is_ended(small: Server) -> None:
    endless = SqlCheck(name="q", sql="SELECT pg_sleep(100)", expect=1)
    assert "statement timeout" in ask((endless,), small, 0.1).detail


def test_a_failing_query_of_the_operator_leaves_the_backup_unproven(
    settings: Settings, backup: Backup
) -> None:
    check = SqlCheck(name="hosté".replace("é", "e"), sql="SELECT count(*) FROM hosté", expect=51)
    proof = prove(settings.with_overrides(sql_smoke=(check,)), backup)
    assert (proof.state, proof.reason) == ("unproven", "sql_smoke: hoste: 50, expected 51")
    assert list(failing(proof)) == ["sql_smoke"]
    with pytest.raises(ProofImpossible, match="hoste: 50") as refused:
        require_proven(backup.name, proof)
    assert "mend the query" in refused.value.hint
