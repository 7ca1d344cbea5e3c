"""A backup is proven by a real restore into a scratch server, and by nothing less."""

from __future__ import annotations

import pytest

from kajovo_dr.backups import catalog
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.manifest import MANIFEST_SUFFIX
from kajovo_dr.backups.proof import PROOF_SUFFIX, VERDICTS, read_proof
from kajovo_dr.backups.prove import prove, require_proven
from kajovo_dr.backups.store import open_store, sidecar
from kajovo_dr.backups.take import take
from kajovo_dr.errors import ProofFailed, ProofImpossible
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.settings import Settings, SqlCheck

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
    ALTER TABLE child INHERIT parent; INSERT INTO child VALUES (1, 2, 'ž'); ALTER TABLE parent ADD z int;
    CREATE UNLOGGED TABLE unlogged (a int); INSERT INTO unlogged VALUES (1);
    CREATE VIEW seen AS SELECT id, m FROM typed WHERE n > 0;
    CREATE MATERIALIZED VIEW stored AS SELECT count(*) FROM typed;
    CREATE MATERIALIZED VIEW empty AS SELECT 1 AS one WITH NO DATA;
    CREATE FUNCTION twice(a int DEFAULT 1) RETURNS int LANGUAGE sql AS 'SELECT a * 2';
    CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN NULL; END $$;
    CREATE FUNCTION trig() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
    CREATE TRIGGER changed BEFORE UPDATE ON typed FOR EACH ROW WHEN (OLD.n > 0) EXECUTE FUNCTION trig();
    CREATE AGGREGATE total (int) (sfunc = int4pl, stype = int, initcond = '0');
    CREATE TYPE span AS RANGE (subtype = int4); CREATE TYPE pair AS (a int, b text);
    CREATE EXTENSION citext; CREATE STATISTICS st ON n, f FROM typed;
    ALTER TABLE typed ENABLE ROW LEVEL SECURITY; CREATE POLICY mine ON typed USING (id > 0);
    CREATE TABLE ref (id int REFERENCES typed (id) ON DELETE CASCADE, e int); ALTER TABLE ref ADD CHECK (e > 0) NOT VALID;
    CREATE RULE quiet AS ON DELETE TO ref DO INSTEAD NOTHING;
    COMMENT ON TABLE typed IS 'x'; COMMENT ON COLUMN typed.id IS 'y';
    GRANT SELECT ON typed TO PUBLIC; GRANT UPDATE (n) ON typed TO PUBLIC; REVOKE ALL ON FUNCTION twice FROM PUBLIC;
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
