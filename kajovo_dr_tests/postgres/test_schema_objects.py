"""Every change of a schema shows, under the name of what was changed and under no other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from kajovo_dr.errors import ServerError
from kajovo_dr.postgres import client_tools, databases, fingerprint, schema_objects
from kajovo_dr.postgres.databases import Connection
from kajovo_dr.postgres.schema_objects import SchemaObjects
from kajovo_dr.postgres.server import Server

#: One of everything.
SCHEMA = r"""
    CREATE ROLE schéma_host NOLOGIN;
    CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TYPE pair AS (a int, b text);
    CREATE TYPE span AS RANGE (subtype = int4);
    CREATE DOMAIN short AS text DEFAULT 'a' CONSTRAINT shorter CHECK (length(VALUE) < 9);
    CREATE TABLE "Pokoje ""x"" y" (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name text NOT NULL, floor int DEFAULT 1, m mood,
        double int GENERATED ALWAYS AS (floor * 2) STORED,
        CONSTRAINT floors CHECK (floor > 0));
    ALTER TABLE "Pokoje ""x"" y" RENAME TO rooms;
    CREATE TABLE stays (id serial, room int, at date, CONSTRAINT stays_key UNIQUE (id),
        CONSTRAINT of_room FOREIGN KEY (room) REFERENCES rooms ON DELETE CASCADE,
        CONSTRAINT apart EXCLUDE USING btree (at WITH =) DEFERRABLE);
    CREATE INDEX by_name ON rooms (name); CREATE UNIQUE INDEX by_floor ON rooms (floor, name);
    CREATE INDEX partial ON rooms (lower(name)) WHERE floor > 1;
    CREATE TABLE p (a int, b text) PARTITION BY RANGE (a);
    CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
    CREATE TABLE parent (a int); CREATE TABLE child () INHERITS (parent);
    CREATE FUNCTION twice(a int DEFAULT 1) RETURNS int LANGUAGE sql AS 'SELECT a * 2';
    CREATE PROCEDURE work() LANGUAGE plpgsql AS $$ BEGIN NULL; END $$;
    CREATE AGGREGATE total (int) (sfunc = int4pl, stype = int, initcond = '0');
    CREATE FUNCTION trig() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
    CREATE FUNCTION other() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN OLD; END $$;
    CREATE TRIGGER watch BEFORE UPDATE ON rooms FOR EACH ROW EXECUTE FUNCTION trig('x');
    CREATE FUNCTION event() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN NULL; END $$;
    CREATE EVENT TRIGGER guard ON sql_drop EXECUTE FUNCTION event();
    ALTER EVENT TRIGGER guard DISABLE;
    CREATE VIEW seen AS SELECT id, name FROM rooms;
    CREATE MATERIALIZED VIEW stored AS SELECT 1 AS one;
    CREATE RULE quiet AS ON DELETE TO stays DO INSTEAD NOTHING;
    ALTER TABLE rooms ENABLE ROW LEVEL SECURITY; CREATE POLICY mine ON rooms USING (id > 0);
    CREATE SEQUENCE loose; CREATE STATISTICS st ON floor, name FROM rooms;
    CREATE OPERATOR === (leftarg = int, rightarg = int, function = int4eq);
    CREATE CAST (mood AS int) WITH FUNCTION trig_cast(mood) AS ASSIGNMENT;
    CREATE COLLATION czech FROM "C"; CREATE SCHEMA "Jiné"; CREATE PUBLICATION pub FOR TABLE stays;
    CREATE TEXT SEARCH CONFIGURATION words (COPY = simple);
    CREATE TEXT SEARCH DICTIONARY dict (TEMPLATE = simple);
    CREATE FOREIGN DATA WRAPPER far;
    CREATE SERVER there FOREIGN DATA WRAPPER far OPTIONS (z '1', a 'b');
    CREATE FOREIGN TABLE outside (a int OPTIONS (y 'x', b 'c')) SERVER there
        OPTIONS (z '1', c 'd');
    CREATE USER MAPPING FOR schéma_host SERVER there;
    GRANT SELECT ON rooms TO schéma_host; GRANT UPDATE (floor) ON rooms TO schéma_host;
    ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO schéma_host;
    CREATE STATISTICS calculated ON (floor + 1), name FROM rooms;
    CREATE PUBLICATION part FOR TABLE rooms (id, name) WHERE (id > 3);
    CREATE TRANSFORM FOR int8 LANGUAGE sql (FROM SQL WITH FUNCTION prsd_lextype(internal),
        TO SQL WITH FUNCTION int8recv(internal));
    CREATE ACCESS METHOD tree TYPE INDEX HANDLER gisthandler;
    CREATE OPERATOR CLASS ordered FOR TYPE int USING btree AS OPERATOR 1 <,
        FUNCTION 1 btint4cmp(int, int);
    SELECT lo_from_bytea(4711, 'x');
    COMMENT ON TABLE rooms IS 'x'; COMMENT ON COLUMN rooms.name IS 'y';
""".replace(
    "CREATE CAST",
    "CREATE FUNCTION trig_cast(mood) RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE CAST",
)

ROOMS_ID = 'sequence public."Pokoje ""x"" y_id_seq"'
#: Change -> names of the objects that show it.
CHANGES = {
    "ALTER TABLE rooms ADD x int": "table public.rooms",
    "ALTER TABLE rooms DROP m": "table public.rooms",
    "ALTER TABLE rooms ALTER m TYPE text": "table public.rooms",
    "ALTER TABLE stays ALTER at TYPE timestamp": "table public.stays",
    "ALTER TABLE rooms ALTER m SET NOT NULL": "table public.rooms",
    "ALTER TABLE rooms ALTER name DROP NOT NULL": "table public.rooms",
    "ALTER TABLE rooms ALTER floor SET DEFAULT 2": "table public.rooms",
    "ALTER TABLE rooms ALTER floor DROP DEFAULT": "table public.rooms",
    "ALTER TABLE rooms ALTER double SET EXPRESSION AS (floor * 3)": "table public.rooms",
    "ALTER TABLE rooms ALTER double DROP EXPRESSION": "table public.rooms",
    "ALTER TABLE rooms ALTER id SET GENERATED BY DEFAULT": "table public.rooms",
    "ALTER TABLE rooms ALTER id DROP IDENTITY": ("table public.rooms, " + ROOMS_ID),
    "ALTER TABLE rooms ALTER m SET STATISTICS 9": "table public.rooms",
    "ALTER TABLE rooms ALTER m SET (n_distinct = 5)": "table public.rooms",
    "ALTER TABLE rooms ALTER name SET STORAGE external": "table public.rooms",
    "ALTER TABLE rooms ALTER name SET COMPRESSION pglz": "table public.rooms",
    'ALTER TABLE stays ADD c text COLLATE "C"': "table public.stays",
    "ALTER TABLE p DROP b; ALTER TABLE p ADD b text": "",
    "ALTER TABLE rooms DROP m; ALTER TABLE rooms ADD m mood": "table public.rooms",
    "ALTER TABLE parent ALTER a TYPE bigint": "table public.parent, table public.child",
    "ALTER TABLE child NO INHERIT parent": "table public.child",
    "ALTER TABLE rooms SET (fillfactor = 50)": "table public.rooms",
    "ALTER TABLE child SET UNLOGGED": "table public.child",
    "ALTER TABLE rooms REPLICA IDENTITY FULL": "table public.rooms",
    "ALTER TABLE rooms DISABLE ROW LEVEL SECURITY": "table public.rooms",
    "ALTER TABLE rooms FORCE ROW LEVEL SECURITY": "table public.rooms",
    "ALTER TABLE parent OWNER TO schéma_host": "table public.parent",
    "REVOKE SELECT ON rooms FROM schéma_host": "table public.rooms",
    "GRANT SELECT ON rooms TO schéma_host WITH GRANT OPTION": "table public.rooms",
    "REVOKE UPDATE (floor) ON rooms FROM schéma_host": "table public.rooms",
    "REVOKE ALL ON parent FROM CURRENT_USER": "table public.parent",
    "DROP TABLE child": "table public.child",
    "ALTER TABLE p DETACH PARTITION p1": "table public.p1",
    "ALTER TABLE p DETACH PARTITION p1;"
    "ALTER TABLE p ATTACH PARTITION p1 FOR VALUES FROM (0) TO (11)": "table public.p1",
    "ALTER TABLE rooms DROP CONSTRAINT floors": "constraint public.rooms.floors",
    "ALTER TABLE rooms DROP CONSTRAINT floors, ADD CONSTRAINT floors CHECK (floor > 1)": (
        "constraint public.rooms.floors"
    ),
    "ALTER TABLE rooms DROP CONSTRAINT floors,"
    "ADD CONSTRAINT floors CHECK (floor > 0) NOT VALID": "constraint public.rooms.floors",
    "ALTER TABLE stays DROP CONSTRAINT of_room": "constraint public.stays.of_room",
    "ALTER TABLE stays DROP CONSTRAINT of_room, ADD CONSTRAINT of_room"
    " FOREIGN KEY (room) REFERENCES rooms": "constraint public.stays.of_room",
    "ALTER TABLE stays ALTER CONSTRAINT of_room DEFERRABLE": "constraint public.stays.of_room",
    "ALTER TABLE stays DROP CONSTRAINT stays_key": (
        "constraint public.stays.stays_key, index public.stays_key"
    ),
    "ALTER TABLE stays DROP CONSTRAINT apart": (
        "constraint public.stays.apart, index public.apart"
    ),
    "DROP INDEX by_name": "index public.by_name",
    "DROP INDEX by_floor; CREATE INDEX by_floor ON rooms (floor, name)": "index public.by_floor",
    "DROP INDEX by_floor; CREATE UNIQUE INDEX by_floor ON rooms (name, floor)": (
        "index public.by_floor"
    ),
    "DROP INDEX by_name; CREATE INDEX by_name ON rooms (name DESC)": "index public.by_name",
    "DROP INDEX by_name; CREATE INDEX by_name ON rooms USING hash (name)": "index public.by_name",
    "DROP INDEX partial; CREATE INDEX partial ON rooms (lower(name)) WHERE floor > 2": (
        "index public.partial"
    ),
    "ALTER TABLE rooms CLUSTER ON by_name": "index public.by_name",
    "ALTER INDEX partial ALTER 1 SET STATISTICS 9": "index public.partial",
    "ALTER TABLE rooms DISABLE TRIGGER watch": "trigger public.rooms.watch",
    "ALTER TABLE rooms ENABLE ALWAYS TRIGGER watch": "trigger public.rooms.watch",
    "DROP TRIGGER watch ON rooms": "trigger public.rooms.watch",
    "CREATE OR REPLACE TRIGGER watch BEFORE UPDATE ON rooms FOR EACH ROW"
    " EXECUTE FUNCTION trig('y')": "trigger public.rooms.watch",
    "CREATE OR REPLACE TRIGGER watch AFTER UPDATE ON rooms FOR EACH ROW"
    " EXECUTE FUNCTION trig('x')": "trigger public.rooms.watch",
    "CREATE OR REPLACE TRIGGER watch BEFORE UPDATE ON rooms FOR EACH ROW WHEN (OLD.id > 1)"
    " EXECUTE FUNCTION trig('x')": "trigger public.rooms.watch",
    "CREATE OR REPLACE FUNCTION twice(a int DEFAULT 1) RETURNS int LANGUAGE sql"
    " AS 'SELECT a * 3'": "function public.twice(a integer)",
    "CREATE OR REPLACE FUNCTION twice(a int DEFAULT 2) RETURNS int LANGUAGE sql"
    " AS 'SELECT a * 2'": "function public.twice(a integer)",
    "ALTER FUNCTION twice SECURITY DEFINER": "function public.twice(a integer)",
    "ALTER FUNCTION twice SET work_mem = '9MB'": "function public.twice(a integer)",
    "REVOKE ALL ON FUNCTION twice FROM PUBLIC": "function public.twice(a integer)",
    "ALTER PROCEDURE work() SECURITY DEFINER": "procedure public.work()",
    "DROP AGGREGATE total (int)": "aggregate public.total(integer)",
    "CREATE OR REPLACE AGGREGATE total (int) (sfunc = int4pl, stype = int, initcond = '1')": (
        "aggregate public.total(integer)"
    ),
    "CREATE OR REPLACE VIEW seen AS SELECT id, name FROM rooms WHERE id > 0": "view public.seen",
    "ALTER VIEW seen SET (security_barrier)": "view public.seen",
    "DROP VIEW seen; CREATE VIEW seen AS SELECT name, id FROM rooms": "view public.seen",
    "DROP MATERIALIZED VIEW stored; CREATE MATERIALIZED VIEW stored AS SELECT 2 AS one": (
        "materialized view public.stored"
    ),
    "REFRESH MATERIALIZED VIEW stored WITH NO DATA": "materialized view public.stored",
    "CREATE OR REPLACE RULE quiet AS ON DELETE TO stays WHERE OLD.id > 1 DO INSTEAD NOTHING": (
        "rule public.stays.quiet"
    ),
    "ALTER TABLE stays DISABLE RULE quiet": "rule public.stays.quiet",
    "DROP POLICY mine ON rooms": "policy public.rooms.mine",
    "ALTER POLICY mine ON rooms USING (id > 1)": "policy public.rooms.mine",
    "ALTER POLICY mine ON rooms TO schéma_host": "policy public.rooms.mine",
    "ALTER SEQUENCE loose INCREMENT 5": "sequence public.loose",
    "ALTER SEQUENCE loose CYCLE": "sequence public.loose",
    "ALTER SEQUENCE loose OWNED BY stays.at": "sequence public.loose",
    "ALTER SEQUENCE stays_id_seq OWNED BY NONE": "sequence public.stays_id_seq",
    "DROP SEQUENCE loose": "sequence public.loose",
    "ALTER TYPE mood ADD VALUE 'great'": "type public.mood",
    "ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'": "type public.mood",
    "ALTER TYPE pair ADD ATTRIBUTE c int": "type public.pair",
    "ALTER TYPE span OWNER TO schéma_host": "type public.span",
    "DROP TYPE span; CREATE TYPE span AS RANGE (subtype = int8)": "type public.span",
    "ALTER DOMAIN short SET NOT NULL": "domain public.short",
    "ALTER DOMAIN short SET DEFAULT 'b'": "domain public.short",
    "ALTER DOMAIN short DROP CONSTRAINT shorter": "constraint public.short.shorter",
    "ALTER DOMAIN short DROP CONSTRAINT shorter;"
    "ALTER DOMAIN short ADD CONSTRAINT shorter CHECK (length(VALUE) < 8)": (
        "constraint public.short.shorter"
    ),
    "ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM schéma_host": (
        "default privileges kajovo r"
    ),
    "COMMENT ON TABLE rooms IS 'z'": "comment on table public.rooms",
    "COMMENT ON COLUMN rooms.name IS NULL": "comment on table column public.rooms.name",
    'ALTER SCHEMA "Jiné" OWNER TO schéma_host': 'schema "Jiné"',
    "GRANT USAGE ON SCHEMA public TO schéma_host": "schema public",
    "DROP STATISTICS st": "statistics object public.st",
    "DROP STATISTICS st; CREATE STATISTICS st (ndistinct) ON floor, name FROM rooms": (
        "statistics object public.st"
    ),
    "DROP OPERATOR === (int, int)": "operator public.===(integer,integer)",
    "DROP OPERATOR === (int, int);"
    "CREATE OPERATOR === (leftarg = int, rightarg = int, function = int4ne)": (
        "operator public.===(integer,integer)"
    ),
    "DROP CAST (mood AS int)": "cast (public.mood AS integer)",
    "DROP CAST (mood AS int); CREATE CAST (mood AS int) WITH FUNCTION trig_cast(mood)": (
        "cast (public.mood AS integer)"
    ),
    'DROP COLLATION czech; CREATE COLLATION czech FROM "POSIX"': "collation public.czech",
    "ALTER EVENT TRIGGER guard ENABLE": "event trigger guard",
    "DROP EVENT TRIGGER guard": "event trigger guard",
    "ALTER PUBLICATION pub SET (publish = 'insert')": "publication pub",
    "ALTER PUBLICATION pub ADD TABLE parent": "publication pub",
    "ALTER TEXT SEARCH CONFIGURATION words ALTER MAPPING FOR word WITH english_stem": (
        "text search configuration public.words"
    ),
    "ALTER TEXT SEARCH DICTIONARY dict (accept = false)": "text search dictionary public.dict",
    "ALTER SERVER there OPTIONS (SET a 'c')": "server there",
    "ALTER FOREIGN TABLE outside OPTIONS (SET c 'e')": "foreign table public.outside",
    "ALTER FOREIGN DATA WRAPPER far OPTIONS (x 'y')": "foreign-data wrapper far",
    "DROP USER MAPPING FOR schéma_host SERVER there": 'user mapping "schéma_host" on server there',
}
#: As above, of kinds that few databases have, and of parts that are easily forgotten.
CHANGES |= {
    "DROP DOMAIN short; CREATE DOMAIN short AS text COLLATE \"C\" DEFAULT 'a'"
    " CONSTRAINT shorter CHECK (length(VALUE) < 9)": "domain public.short",
    "DROP STATISTICS calculated; CREATE STATISTICS calculated ON (floor + 2), name FROM rooms": (
        "statistics object public.calculated"
    ),
    'ALTER PUBLICATION pub ADD TABLES IN SCHEMA "Jiné"': "publication pub",
    "ALTER PUBLICATION part SET TABLE rooms (id, name) WHERE (id > 4)": "publication part",
    "ALTER PUBLICATION part SET TABLE rooms (id) WHERE (id > 3)": "publication part",
    "CREATE SUBSCRIPTION sub CONNECTION 'dbname=x' PUBLICATION p WITH (connect = false)": (
        "subscription sub"
    ),
    "DROP TRANSFORM FOR int8 LANGUAGE sql; CREATE TRANSFORM FOR int8 LANGUAGE sql"
    " (FROM SQL WITH FUNCTION prsd_lextype(internal))": "transform for bigint language sql",
    "DROP ACCESS METHOD tree; CREATE ACCESS METHOD tree TYPE INDEX HANDLER spghandler": (
        "access method tree"
    ),
    "ALTER OPERATOR FAMILY ordered USING btree ADD OPERATOR 3 = (int, int)": (
        "operator family public.ordered USING btree"
    ),
    "ALTER LARGE OBJECT 4711 OWNER TO schéma_host": "large objects owners and privileges",
    "GRANT SELECT ON LARGE OBJECT 4711 TO schéma_host": "large objects owners and privileges",
    "GRANT USAGE ON FOREIGN SERVER there TO schéma_host": "server there",
    "ALTER FOREIGN TABLE outside ALTER a OPTIONS (SET b 'd')": "foreign table public.outside",
    "ALTER TABLE rooms SET (toast.autovacuum_enabled = off)": "table public.rooms",
    "DROP INDEX by_name; CREATE INDEX by_name ON rooms (name NULLS FIRST)": "index public.by_name",
    "ALTER POLICY mine ON rooms WITH CHECK (id > 0)": "policy public.rooms.mine",
    "CREATE OR REPLACE TRIGGER watch BEFORE UPDATE OF name ON rooms FOR EACH ROW"
    " EXECUTE FUNCTION trig('x')": "trigger public.rooms.watch",
    "DROP FUNCTION twice; CREATE FUNCTION twice(b int DEFAULT 1) RETURNS int LANGUAGE sql"
    " AS 'SELECT b * 2'": "function public.twice(a integer), function public.twice(b integer)",
    "CREATE OR REPLACE FUNCTION twice(a int DEFAULT 1) RETURNS int LANGUAGE sql"
    """ AS 'SELECT "a" * 2'""": "function public.twice(a integer)",
    "COMMENT ON TABLE rooms IS '\"x\"'": "comment on table public.rooms",
}
#: What these say is that nothing of the schema was changed.
SAME = (
    "ALTER TABLE stays ADD c text; ALTER TABLE stays DROP c",
    "INSERT INTO rooms (name) VALUES ('x')",
    "ALTER SERVER there OPTIONS (DROP z); ALTER SERVER there OPTIONS (ADD z '1')",
    "ALTER FOREIGN TABLE outside OPTIONS (DROP z); ALTER FOREIGN TABLE outside OPTIONS (z '1')",
    "ALTER FOREIGN TABLE outside ALTER a OPTIONS (DROP y);"
    "ALTER FOREIGN TABLE outside ALTER a OPTIONS (ADD y 'x')",
    "SELECT setval('loose', 9)",
    "CREATE TEMP TABLE mine (a int); CREATE INDEX ON mine (a)",
    "REINDEX TABLE rooms",
    "ANALYZE",
    "SET LOCAL quote_all_identifiers = on",
    "SET LOCAL search_path = public",
)


@pytest.fixture(scope="module")
def place(server: Server) -> Iterator[Server]:
    """The database of `SCHEMA`; every test rolls its change back."""
    with databases.connect(server) as admin:
        databases.create(admin, "schéma", {})
        try:
            with databases.connect(server.database("schéma")) as session:
                session.execute(SCHEMA.encode())
            yield server.database("schéma")
        finally:
            databases.drop(admin, "schéma")
            admin.execute("DROP ROLE IF EXISTS schéma_host")


@pytest.fixture(scope="module")
def before(place: Server) -> SchemaObjects:
    """The objects as they were made."""
    with changed(place, "SELECT 1") as found:
        return found


@contextmanager
def changed(place: Server, change: str) -> Iterator[SchemaObjects]:
    with databases.connect(place, autocommit=False) as session:
        session.execute(change.encode())
        yield read(session)
        session.rollback()


def read(session: Connection) -> SchemaObjects:
    fingerprint.pin(session)
    return schema_objects.read(session)


def differing(before: SchemaObjects, after: SchemaObjects) -> set[str]:
    return {
        name
        for was, now in ((before.facts, after.facts), (before.wording, after.wording))
        for name in was.keys() | now.keys()
        if was.get(name) != now.get(name)
    }


@pytest.mark.parametrize(("change", "names"), CHANGES.items(), ids=CHANGES.keys())
def test_a_change_shows_under_the_name_of_what_was_changed(
    place: Server, before: SchemaObjects, change: str, names: str
) -> None:
    with changed(place, change) as after:
        assert differing(before, after) == set(filter(None, names.split(", ")))
        assert (after.sha256 != before.sha256) is bool(names)


@pytest.mark.parametrize("statement", SAME)
def test_what_changes_no_schema_shows_nowhere(
    place: Server, before: SchemaObjects, statement: str
) -> None:
    with changed(place, statement) as after:
        assert after == before


def test_a_schema_rebuilt_by_the_client_tools_is_the_same(
    place: Server, before: SchemaObjects, server: Server
) -> None:
    transport = client_tools.transport_for(None)
    dump = bytearray()
    rebuilt = server.database("schéma_znovu")
    with databases.connect(server) as admin:
        databases.create(admin, rebuilt.dbname, {})
        try:
            made = transport.run("pg_dump", [], server=place, timeout=60, stdout=dump.extend)
            assert made.returncode == 0, made.reason
            arguments = client_tools.psql_arguments()
            done = transport.run("psql", arguments, server=rebuilt, timeout=60, stdin=[bytes(dump)])
            assert done.returncode == 0, done.reason
            with changed(rebuilt, "SELECT 1") as after:
                assert differing(before, after) == set()
        finally:
            databases.drop(admin, rebuilt.dbname)


def test_a_function_replaced_meanwhile_is_seen_as_the_snapshot_has_it(
    place: Server, before: SchemaObjects
) -> None:
    made = "CREATE OR REPLACE FUNCTION twice(a int DEFAULT {0}) RETURNS int LANGUAGE sql AS '{1}'"
    with databases.connect(place, autocommit=False) as session, databases.connect(place) as other:
        session.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        session.execute("SELECT 1")
        other.execute(made.format(2, "SELECT 3").encode())
        try:
            assert read(session) == before
        finally:
            other.execute(made.format(1, "SELECT a * 2").encode())


def test_columns_of_statistics_have_names_that_outlive_dropped_columns(
    place: Server, before: SchemaObjects
) -> None:
    change = (
        "DROP STATISTICS st; ALTER TABLE rooms ADD later int; ALTER TABLE rooms DROP later;"
        "ALTER TABLE rooms ADD last int; CREATE STATISTICS st ON floor, last FROM rooms"
    )
    anew = change.replace("ADD later int; ALTER TABLE rooms DROP later;", "ADD last int;")
    anew = anew.replace("ALTER TABLE rooms ADD last int; CREATE", "CREATE")
    with changed(place, change) as old:
        pass
    with changed(place, anew) as new:
        assert old == new


def test_a_server_too_old_to_be_read_completely_is_refused() -> None:
    schema_objects.require_known(14)
    with pytest.raises(ServerError, match="PostgreSQL 13") as old:
        schema_objects.require_known(13)
    assert "upgrade it to 14" in old.value.hint
