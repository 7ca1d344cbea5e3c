"""The text of a dump without a server: no command hides from the scan, nothing of pg_dump's is one.

Whether psql agrees is asked in ``test_meta_commands``.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from psycopg import sql

from kajovo_dr.backups.inspect import verify
from kajovo_dr.backups.load import load
from kajovo_dr.backups.psql_lexer import PsqlLexer
from kajovo_dr.backups.sql_scan import Finding, SqlScan
from kajovo_dr.backups.take import take
from kajovo_dr.postgres import client_tools, databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.progress import silent
from kajovo_dr.settings import Settings

HEADER = "--\n-- PostgreSQL database dump\n--\n\n"
RESTRICT = "\\restrict Klic1\n\n"
SETTINGS = "SET client_encoding = 'UTF8';\nSET standard_conforming_strings = on;\n\n"
ANNOUNCED = "--\n-- Data for Name: t; Type: TABLE DATA; Schema: public; Owner: kajovo\n--\n\n"
COPY = f"{ANNOUNCED}COPY public.t (a, b) FROM stdin;\n"
ROWS = f"{COPY}\\\\! id\t\\N\nžluťoučký\t\\\\.\n\\.\n\n\n"
TRAILER = "--\n-- PostgreSQL database dump complete\n--\n\n"
UNRESTRICT = "\\unrestrict Klic1\n\n"


def scanned(text: str, size: int = 1 << 20) -> SqlScan:
    scan = SqlScan()
    content = text.encode()
    for start in range(0, len(content), size):
        scan.feed(content[start : start + size])
    return scan


def commands(text: str) -> list[str]:
    """The findings of commands, as an operator reads them."""
    return [str(found) for found in scanned(text).finish() if found.rung == "commands"]


def dump(middle: str) -> str:
    """A dump with something between its settings and its rows: it begins in line 11."""
    return f"{HEADER}{RESTRICT}{SETTINGS}-- 10\n{middle}\n{ROWS}{TRAILER}{UNRESTRICT}"


@pytest.mark.parametrize("size", [1, 3, 1 << 20])
def test_a_dump_with_rows_full_of_backslashes_has_no_finding(size: int) -> None:
    scan = scanned(dump("CREATE TABLE t ();"), size)
    assert scan.finish() == []
    assert scan.counts == {("public", "t"): 2}


@pytest.mark.parametrize(
    ("middle", "told", "line"),
    [
        ("\\! id", r"\!", 11),
        ("CREATE VIEW v AS SELECT 1 \\! id", r"\!", 11),
        ("CREATE VIEW v AS SELECT 1;\\connect other", r"\connect", 11),
        ("CREATE VIEW v AS SELECT 'a''\n\\! b', 1;\n\\copy t from x", r"\copy", 13),
        ("\\i /etc/passwd", r"\i", 11),
        ("\\o |cat", r"\o", 11),
        ("CREATE VIEW v AS SELECT 'x' \\gexec", r"\gexec", 11),
        ("CREATE VIEW v AS SELECT 1 \\; SELECT 2;", r"\;", 11),
        ("\\setenv PATH /tmp", r"\setenv", 11),
        ("\\" + "x" * 300, "\\" + "x" * 19, 11),
        ("\\x\x1b[2J", r"\x", 11),
        ("-- a comment that a CR ends\r\\! id", r"\!", 11),
        ("/* /* nested */ ' */ \\! id", r"\!", 11),
        ("CREATE VIEW v AS SELECT E'\\'' \\! id", r"\!", 11),
        ("CREATE VIEW v AS SELECT '\\' \\! id", r"\!", 11),
        ("CREATE VIEW v AS SELECT $a$ $b$ $a$ \\! id", r"\!", 11),
        ('CREATE VIEW v AS SELECT "\\""" \\! id', r"\!", 11),
        ("CREATE VIEW v AS SELECT 1 -- '\n\\! id", r"\!", 12),
        ("INSERT INTO public.t VALUES ('\\', 1); \\! id", r"\!", 11),
        ("INSERT INTO public.t VALUES ('\\', 1);\n\\! id", r"\!", 12),
    ],
)
def test_a_meta_command_is_named_with_its_line(middle: str, told: str, line: int) -> None:
    expected = f"commands: {told} is a command to psql, not SQL (line {line})"
    assert commands(dump(middle)) == [expected]
    assert scanned(dump(middle), 1).finish() == scanned(dump(middle)).finish()


@pytest.mark.parametrize(
    "middle",
    [
        "-- \\! id",
        "/* \\! id\n\\! id */",
        "CREATE VIEW v AS SELECT '\\! id\n\\! id';",
        "CREATE VIEW v AS SELECT E'\\'\\! id\n\\! id\\\\', E'''\\! id';",
        'CREATE TABLE "\\! id\n\\! id" ();',
        "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $_$ \\! id $$ ' \n\\! id$_$;",
        "CREATE VIEW v AS SELECT '\\', $1, B'1', x'ff', N'\\', a::\"char\", 2e-1, 'C:\\';",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql\n    COST 1e+06\n    BEGIN ATOMIC\n"
        " SELECT CASE WHEN true THEN 1 ELSE 2 END;\n SELECT (CASE WHEN true THEN 1 END);\nEND;",
        "CREATE RULE r AS ON INSERT TO t DO INSTEAD (SELECT 1; SELECT 2;);",
        "BEGIN;\n\nSELECT pg_catalog.lowrite(0, '\\x00');\n\nCOMMIT;",
        "INSERT INTO public.t VALUES ('\\! id', 'it''s \\', NULL, -1.5, true);",
    ],
)
def test_a_backslash_in_quotes_or_comments_is_no_command(middle: str) -> None:
    assert scanned(dump(middle)).finish() == []


@pytest.mark.parametrize(
    ("middle", "told"),
    [
        ("COPY t FROM stdin;", "a COPY unlike"),
        ("CREATE VIEW v AS SELECT 1; copy t from STDIN;", "a COPY unlike"),
        ("/**/ COPY t FROM stdin;", "a COPY unlike"),
        (f"{ANNOUNCED}COPY public.t (a) FROM stdin WITH (FORMAT csv);", "a COPY unlike"),
        (f"{ANNOUNCED}COPY public.t (a) TO stdout; -- FROM stdin;", "a COPY unlike"),
        (f"{ANNOUNCED}COPY public.t (a) FROM stdin; -- FROM stdin;", "a COPY unlike"),
        # to psql the statement before is not over, so that no COPY begins
        ("CREATE VIEW v AS SELECT (1;", "a COPY unlike"),
        ("CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1;", "a COPY unlike"),
        ("CREATE OR REPLACE PROCEDURE f() BEGIN ATOMIC SELECT 1; SELECT 1end;", "a COPY unlike"),
        ("CREATE FUNCTION f() BEGIN ATOMIC SELECT CASE END;", "a COPY unlike"),
        ("CREATE VIEW v AS SELECT 1 COPY", "is a command to psql"),
        ("CREATE VIEW v AS SELECT U&'a';", "a quote right after an ampersand"),
        ("CREATE VIEW v AS SELECT 1e'a';", "a quote right after a word"),
        ("CREATE VIEW v AS SELECT :e'a';", "a quote right after a word"),
        ("CREATE VIEW v AS SELECT date'2026-11-23';", "a quote right after a word"),
        ("CREATE VIEW v AS SELECT :a$$b;", "an unquoted name with a dollar sign"),
        ("CREATE VIEW v AS SELECT 1e--1", "a comment right after a number"),
        ("CREATE VIEW v AS SELECT E'a'\n'b';", "a text in pieces"),
        ("CREATE VIEW v AS SELECT E'a' -- so\n\n 'b';", "a text in pieces"),
        ("SET standard_conforming_strings TO off;", "a SET unlike"),
        ("SET \"standard_conforming_strings\" = 'off';", "a SET unlike"),
        ("SELECT set_config('standard_conforming_strings', 'off', false);", "a SELECT unlike"),
        ("SELECT set_config(\n'Standard_Conforming_Strings', 'off', false);", "a SELECT unlike"),
        ("SET client_encoding = 'SJIS';", "a setting by which"),
        ("set names 'SJIS';", "a SET unlike"),
        ("ROLLBACK;", "ROLLBACK, which pg_dump does not write"),
        ("RESET ALL;", "RESET ALL, which pg_dump does not write"),
    ],
)
def test_what_psql_could_read_otherwise_is_refused(middle: str, told: str) -> None:
    (finding,) = commands(dump(middle))
    assert told in finding


@pytest.mark.parametrize(
    ("middle", "told"),
    [
        ("DO $$BEGIN END$$;", "DO, which pg_dump does not write (line 11)"),
        ("-- x\n/* y */ do\n$$BEGIN END$$;", "DO, which pg_dump does not write (line 12)"),
        ("CREATE TABLE t (); DO $$BEGIN END$$;", "DO, which"),
        ("CREATE ROLE zlo SUPERUSER;", "CREATE ROLE, which pg_dump does not write"),
        ("create role zlo;", "CREATE ROLE, which"),
        ("CREATE\nROLE zlo;", "CREATE, which"),
        ("CREATE/**/ROLE zlo;", "CREATE, which"),
        ("CREATE OR  REPLACE FUNCTION f() BEGIN ATOMIC;", "CREATE OR, which"),
        ("CREATE OR REPLACE\nFUNCTION f() BEGIN ATOMIC;", "CREATE OR, which"),
        ("ALTER USER kajovo SUPERUSER;", "ALTER USER, which"),
        ("CREATE USER mapping;", "CREATE USER, which"),
        ("DROP GROUP zlo;", "DROP GROUP, which"),
        ("ALTER SYSTEM SET a = b;", "ALTER SYSTEM, which"),
        ("CREATE TABLESPACE a LOCATION 'b';", "CREATE TABLESPACE, which"),
        ("ALTER DATABASE a SET b = c;", "ALTER DATABASE, which only pg_dump --create writes"),
        ("GRANT pg_execute_server_program TO public;", "a GRANT unlike those of pg_dump"),
        ("REVOKE hotel FROM recepce;", "a REVOKE unlike"),
        ("LOAD 'x';", "LOAD, which"),
        ("UPDATE pg_settings SET setting = 'off';", "UPDATE, which"),
        ("WITH x AS (SELECT 1) SELECT zlo();", "WITH X, which"),
        ("(SELECT zlo());", "a statement that begins with no word"),
        ("SELECT zlo();", "a SELECT unlike those of pg_dump"),
        ("SELECT pg_catalog.set_config('search_path', 'zlo', false);", "a SELECT unlike"),
        ("SELECT pg_catalog.pg_read_file('x');", "a SELECT unlike"),
        ("žal x;", "a statement, which"),
        ("BEGIN;", "a transaction around more than large objects"),
        ("BEGIN;\n\nCREATE TABLE t ();\n\nCOMMIT;", "a transaction around more"),
        ("BEGIN;\nBEGIN;", "BEGIN, which pg_dump does not write (line 12)"),
        ("COMMIT;", "COMMIT, which"),
        ("COMMIT; CREATE ROLE zlo SUPERUSER; BEGIN;", "COMMIT, which"),
        (" COMMIT;", "COMMIT, which"),
        ("START TRANSACTION;", "START TRANSACTION, which"),
        ("PREPARE TRANSACTION 'x';", "PREPARE TRANSACTION, which"),
        ("SAVEPOINT x;", "SAVEPOINT X, which"),
        ("END;", "END, which"),
        # what hides in a body that psql sees and the server does not
        ("CREATE FUNCTION public.begin() AS 'x';\nDO $$$$;", "an unquoted name begin"),
        ("CREATE FUNCTION f() BEGIN ATOMIC SELECT 1 AS begin; DO $$$$; END;", "an unquoted name"),
        ("CREATE FUNCTION f() BEGIN ATOMIC SELECT 1; DO $$$$; END;", "DO inside a body"),
        ("CREATE TRIGGER t EXECUTE FUNCTION begin();\nDO $$$$;", "DO, which"),
    ],
)
def test_a_statement_that_pg_dump_never_writes_is_refused(middle: str, told: str) -> None:
    (finding,) = commands(dump(middle))
    assert finding.startswith(f"commands: {told}")


@pytest.mark.parametrize(
    "middle",
    [
        "SELECT pg_catalog.setval('public.client_encoding_id_seq', 1, true);",
        "REFRESH MATERIALIZED VIEW public.standard_conforming_strings;",
        "SELECT pg_catalog.lo_unlink(oid) FROM pg_catalog.pg_largeobject_metadata;",
        "SELECT * FROM pg_catalog.pg_restore_relation_stats(\n\t'version', '180001'::integer\n);",
        "SET SESSION AUTHORIZATION 'recepce';",
        'SET default_tablespace = "Místo\n1";',
        "SET search_path = public, pg_catalog;",
        "DROP USER MAPPING IF EXISTS FOR recepce SERVER s;",
        "ALTER TABLE IF EXISTS ONLY public.t DROP CONSTRAINT IF EXISTS x;",
        "GRANT ALL ON TABLE public.t TO recepce;",
        "REVOKE GRANT OPTION FOR SELECT ON TABLE public.t FROM recepce;",
        "SECURITY LABEL FOR x ON TABLE public.t IS 'y';",
        "CREATE TRIGGER t BEFORE INSERT ON public.t FOR EACH ROW EXECUTE FUNCTION begin();\n"
        "CREATE TABLE u ();",
    ],
)
def test_a_statement_of_pg_dump_has_no_finding(middle: str) -> None:
    assert scanned(dump(middle)).finish() == []


def test_a_row_that_ends_the_rows_for_psql_alone_is_refused() -> None:
    text = dump("").replace("žluť", "\\.\r\n\\! id\nžluť")
    told = "commands: a row that psql may take for the last one (line 18)"
    assert commands(text) == [told]
    assert scanned(text, 1).finish() == scanned(text).finish()


@pytest.mark.parametrize(
    ("setting", "found"), [("off", [r"\!"]), ("on", [])], ids=["escapes", "standard"]
)
def test_the_text_is_read_by_the_setting_of_its_database(setting: str, found: list[str]) -> None:
    text = dump("CREATE VIEW v AS SELECT '\\', ' \\! id --';").replace(
        "strings = on", f"strings = {setting}"
    )
    assert [told.split()[1] for told in commands(text)] == found


RESTRICTED = HEADER + RESTRICT + SETTINGS + "CREATE TABLE t ();\n" + TRAILER


@pytest.mark.parametrize(
    ("text", "rung", "told"),
    [
        (RESTRICTED, "trailer", r"\unrestrict is missing"),
        (RESTRICTED + "\\unrestrict Jiny1\n", "commands", r"\unrestrict where"),
        (RESTRICTED + UNRESTRICT * 2, "commands", r"\unrestrict stands before"),
        (
            RESTRICTED + UNRESTRICT + "SELECT 1;",
            "commands",
            r"\unrestrict stands before",
        ),
        (RESTRICTED + UNRESTRICT + "\\! id", "commands", r"\unrestrict stands before"),
        (HEADER + RESTRICT + RESTRICTED[3:], "commands", r"\restrict where"),
        (HEADER + SETTINGS + RESTRICT + TRAILER, "commands", r"\restrict where"),
        (HEADER + "--\n" * 7 + RESTRICT + TRAILER, "commands", r"\restrict where"),
        (HEADER + SETTINGS + TRAILER + UNRESTRICT, "commands", r"\unrestrict where"),
        (HEADER + "\\restrict a b\n" + TRAILER, "commands", r"\restrict is a command"),
        (HEADER + "\\restrict\n" + TRAILER, "commands", r"\restrict is a command"),
    ],
)
def test_only_one_pair_that_embraces_the_dump_is_allowed(text: str, rung: str, told: str) -> None:
    found = [str(one) for one in scanned(text).finish() if one.rung == rung]
    assert len(found) == 1
    assert told in found[0]


def test_a_command_in_a_last_line_without_an_end_is_found() -> None:
    assert commands(HEADER + SETTINGS + TRAILER + "\\! id") == [
        "commands: \\! is a command to psql, not SQL (line 12)"
    ]


def test_damage_of_the_whole_file_is_told_before_commands_that_follow_from_it() -> None:
    rungs = [found.rung for found in scanned(dump("").replace("\n", "\r\n")).finish()]
    assert rungs[0] == "encoding"
    assert "commands" in rungs


def test_a_restriction_that_a_command_hides_is_not_taken_for_a_cut_file() -> None:
    text = dump("CREATE FUNCTION public.begin() RETURNS int LANGUAGE sql AS 'SELECT 1';")
    (finding,) = scanned(text).finish()  # psql waits for its END, a known flaw, and runs the rows
    assert finding.rung == "commands"


def test_a_finding_is_told_in_one_line() -> None:
    assert str(Finding("commands", "what", "line 1")) == "commands: what (line 1)"


def test_a_row_is_read_alike_at_one_look_and_word_by_word() -> None:
    row = b"INSERT INTO public.t VALUES ('it''s \\', NULL, -1.5, true);\n"
    fast, slow = PsqlLexer(), PsqlLexer()
    assert fast.read(row) == slow.read(row.replace(b"INTO ", b"INTO  ")) == ""
    assert fast.fresh
    assert slow.fresh
    late = b"\\restrict a\n"
    assert fast.read(late) == slow.read(late) == r"\restrict where pg_dump writes none"


NASTY = r"""
    CREATE SCHEMA "\! schéma";
    CREATE TABLE "\! schéma"."\.
\! id" ("\N" text DEFAULT '\', "a""\" text CHECK ("a""\" ~ '^\d+(\.\w)*$'),
    c text DEFAULT E'\'\n\\!');
    INSERT INTO "\! schéma"."\.
\! id" VALUES ('\', '1', '\.'), ('\.', '2', E'\\.\r\n\\! id'), (NULL, '3', E'\x01\b\t');
    CREATE TABLE copy (begin int, "end" int, "case" text, names text, copy text);
    INSERT INTO copy VALUES (1, 2, '\! id', 'COPY public.t FROM stdin;', E'\\.\n\\.');
    CREATE TABLE nic ();
    INSERT INTO nic DEFAULT VALUES;
    CREATE TYPE "\typ" AS ENUM ('\', '\!', 'it''s');
    CREATE DOMAIN cesta AS text DEFAULT 'C:\' CHECK (VALUE !~ E'[\'\\\\]' AND VALUE <> '$$\');
    CREATE VIEW v AS SELECT regexp_replace('a\', '\\(.)', '\1', 'g') AS "x\", '--' || '/*' AS c,
        CASE WHEN 1 - -1 > 0 THEN '\' ELSE E'\'' END AS d, B'101' AS b, begin, "end", copy,
        '\d' AS e
        FROM copy WHERE names LIKE '\C%' ESCAPE '\';
    CREATE MATERIALIZED VIEW m AS SELECT E'a\\' AS a, U&'\0161' AS b, 1e10 AS c;
    CREATE FUNCTION tělo(a text DEFAULT '\') RETURNS text LANGUAGE plpgsql COST 1000000
        SET standard_conforming_strings = off AS $f$
        BEGIN RETURN E'\'' || $$ \! id $$; -- \! it's
        END $f$;
    CREATE FUNCTION crlf() RETURNS text LANGUAGE sql AS E'SELECT ''\\''\r\n; -- \\! id\r\n';
    CREATE FUNCTION blok(begin int, "end" int) RETURNS int LANGUAGE sql BEGIN ATOMIC
        SELECT CASE WHEN begin > 1 THEN (CASE "end" WHEN 1 THEN 2 ELSE 3 END) ELSE $2 END;
        SELECT CASE '\' WHEN '\d' THEN 1 END; END;
    CREATE PROCEDURE "\p"() LANGUAGE sql BEGIN ATOMIC INSERT INTO copy (names) VALUES ('\'); END;
    CREATE FUNCTION spoušť() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
    CREATE TRIGGER "t\" BEFORE UPDATE OF begin ON copy FOR EACH ROW
        WHEN (NEW.names <> '\') EXECUTE FUNCTION spoušť('\', 'a\');
    CREATE RULE r AS ON DELETE TO copy DO ALSO (INSERT INTO nic DEFAULT VALUES; NOTIFY "a\"; );
    CREATE POLICY p ON copy USING (names ~ '\w\');
    CREATE INDEX ON copy ((names || '\')) WHERE names <> E'\\\'';
    CREATE OPERATOR @#/ (FUNCTION = int4eq, LEFTARG = int, RIGHTARG = int);
    CREATE FOREIGN DATA WRAPPER w OPTIONS (a 'C:\', b E'\\''', c 'x');
    CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (cesta '\\server\', b '\''', c E'\\');
    COMMENT ON TABLE copy IS E'\\! id\n\\! id '' \\';
    COMMENT ON COLUMN copy.begin IS '\';
    COMMENT ON OPERATOR @#/ (int, int) IS '/* \';
    COMMENT ON VIEW v IS E'--\n\\restrict abc\n\\unrestrict abc\n';
    CREATE SEQUENCE "s\";
    SELECT lo_from_bytea(0, '\x5c21206964'::bytea);
    CREATE TABLE díl (k text) PARTITION BY LIST (k);
    CREATE TABLE díl_1 PARTITION OF díl FOR VALUES IN ('\', 'a\');
    CREATE STATISTICS st ON (names || '\'), (copy || E'\'') FROM copy;
    CREATE AGGREGATE ag (text) (SFUNC = textcat, STYPE = text, INITCOND = '\');
    CREATE TABLE g (a text, b text GENERATED ALWAYS AS (a || '\') STORED);
    INSERT INTO g VALUES (E'\n\\.\n');
    CREATE TABLE client_encoding (id serial, standard_conforming_strings text DEFAULT 'DO $$');
    INSERT INTO client_encoding VALUES (DEFAULT, 'BEGIN;'), (DEFAULT, 'COMMIT;');
    CREATE FUNCTION sql() RETURNS int LANGUAGE sql BEGIN ATOMIC (SELECT 1) UNION (SELECT 2);
        VALUES (3); WITH x AS (SELECT 4) SELECT client_encoding.id FROM client_encoding; END;
    CREATE FUNCTION po() RETURNS int LANGUAGE sql RETURN (SELECT 1);
    COMMENT ON FUNCTION sql() IS E'x\nBEGIN;\nCOMMIT;\nDO $$\nCREATE ROLE x;\n';
    CREATE USER MAPPING FOR public SERVER s OPTIONS ("user" 'a');
    GRANT UPDATE (a) ON g TO public; GRANT ALL ON SCHEMA "\! schéma" TO public;
    REVOKE EXECUTE ON FUNCTION po() FROM public; REVOKE ALL ON g FROM CURRENT_USER;
    ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO public;
    SELECT lo_from_bytea(0, 'druhý'); SELECT lo_create(0);
    CREATE EVENT TRIGGER et ON ddl_command_start WHEN TAG IN ('DROP OPERATOR CLASS')
        EXECUTE FUNCTION et();
"""


@pytest.fixture(params=["on", "off"])
def nasty(request: pytest.FixtureRequest, small: Server) -> Server:
    """A database whose definitions and rows are full of backslashes and quotes.

    Once with standard_conforming_strings off, by which pg_dump writes every text otherwise.
    """
    with databases.connect(small) as session:
        session.execute(
            "CREATE FUNCTION et() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'"
        )
        session.execute(NASTY.encode())
        name = sql.Identifier(small.dbname)
        command = "ALTER DATABASE {} SET standard_conforming_strings = {}"
        session.execute(sql.SQL(command).format(name, sql.Literal(request.param)))
    return small


def test_a_real_dump_of_a_nasty_database_has_no_finding(
    each_format: Settings, nasty: Server
) -> None:
    backup = take(each_format, nasty, reason="test").backup
    found = verify(backup, transport=client_tools.transport_for(None), timeout=60)
    assert found.findings == ()
    assert found.counts == backup.manifest.counts


def test_a_nasty_database_comes_back_by_psql(
    settings: Settings, nasty: Server, new_database: Callable[[str], Server]
) -> None:
    backup = take(settings, nasty, reason="test").backup
    target = new_database("obnovená")
    transport = client_tools.transport_for(None)
    load(settings, transport, backup, target, disposable=True, progress=silent)
    with databases.connect(nasty) as here, databases.connect(target) as there:
        for query in (
            'SELECT t FROM "\\! schéma"."\\.\n\\! id" AS t',
            "SELECT v FROM v",
            "SELECT m FROM m",
            "SELECT prosrc FROM pg_proc WHERE oid > 16383 ORDER BY 1",
            "SELECT description FROM pg_description WHERE objoid > 16383 ORDER BY 1",
            "SELECT lo_get(oid) FROM pg_largeobject_metadata",
        ):
            came_back = there.execute(query.encode()).fetchall()
            assert came_back == here.execute(query.encode()).fetchall()
            assert came_back


@pytest.mark.parametrize("rows", ["--inserts", "--rows-per-insert=2", "--column-inserts"])
def test_a_real_dump_by_inserts_has_no_finding_of_commands(nasty: Server, rows: str) -> None:
    scan = SqlScan()
    done = client_tools.transport_for(None).run(
        "pg_dump", [rows, "--clean", "--if-exists"], server=nasty, timeout=60, stdout=scan.feed
    )
    assert done.returncode == 0
    assert scan.finish() == []
