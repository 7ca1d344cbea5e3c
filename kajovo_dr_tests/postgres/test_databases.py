"""Under test: what the catalog queries see, the mutex, and that each failure of a real server
becomes the one error of ours that tells the operator what to do.

A server of its own is shut down under a session; nothing imitates psycopg.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psycopg
import pytest

from kajovo_dr import process
from kajovo_dr.errors import (
    DatabaseMissing,
    ServerError,
    ServerLost,
    TargetBusy,
    TargetNotEmpty,
    Unreachable,
    WrongCredentials,
)
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.embedded import EmbeddedServer
from kajovo_dr.postgres.server import Server
from kajovo_dr_tests.conftest import new_folder


def _with(server: Server, **params: str) -> Server:
    return Server({**server.params, **params})


@pytest.fixture
def throw_away() -> Iterator[EmbeddedServer]:
    """A server that a test may shut down."""
    folder = new_folder()
    server = EmbeddedServer(folder / "state" / "embedded" / "throw-away", "kajovo")
    server.open()
    yield server
    server.close()
    shutil.rmtree(folder, ignore_errors=True)


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _ask_after(event: Callable[[int], None], server: Server, *, failures_before: int = 0) -> None:
    """Ask something in a session after an event that gets the session's process id."""
    with databases.connect(server) as session:
        event(session.info.backend_pid)
        for _ in range(failures_before):
            with pytest.raises(psycopg.OperationalError):
                session.execute("SELECT 1")
        session.execute("SELECT 1")


def _answers(server: Server) -> bool:
    try:
        with databases.connect(server):
            return True
    except (Unreachable, ServerLost):
        return False


def _end_session(server: Server, pid: int) -> None:
    with databases.connect(server) as administrator:
        administrator.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])


# --- failures


def test_a_wrong_password_is_wrong_credentials(server: Server) -> None:
    with (
        pytest.raises(WrongCredentials) as refused,
        databases.connect(_with(server, password="Tajné42")),
    ):
        pass
    assert str(refused.value) == f"the server refused user 'kajovo': {server.shown}"
    assert "Tajné42" not in refused.value.described()
    assert refused.value.__suppress_context__


def test_an_unknown_role_is_wrong_credentials(server: Server) -> None:
    with pytest.raises(WrongCredentials), databases.connect(_with(server, user="nikdo")):
        pass


@pytest.mark.parametrize("name", ["není", 'není "tu"', "není' tu"])
def test_a_missing_database_is_named(server: Server, name: str) -> None:
    with pytest.raises(DatabaseMissing) as missing, databases.connect(server.database(name)):
        pass
    assert str(missing.value).startswith(f"database {name!r} does not exist: kajovo@")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "neznámý-hostitel.invalid"])
def test_a_port_or_host_where_nobody_listens_is_unreachable(server: Server, host: str) -> None:
    nowhere = _with(server, host=host, port=str(_closed_port()))
    with pytest.raises(Unreachable) as unreachable, databases.connect(nowhere):
        pass
    assert nowhere.shown in str(unreachable.value)
    assert "\n" not in str(unreachable.value)
    assert server.params["password"] not in unreachable.value.described()


def test_something_that_listens_but_is_no_server_is_unreachable(server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = str(silent.getsockname()[1])
        deaf = _with(server, port=port, connect_timeout="2")  # libpq's shortest
        with pytest.raises(Unreachable), databases.connect(deaf):
            pass


def test_a_server_shut_down_under_a_session_is_lost(throw_away: EmbeddedServer) -> None:
    server = throw_away._address()
    with pytest.raises(ServerLost) as lost:
        _ask_after(lambda pid: throw_away.close(), server)
    assert str(lost.value).startswith(f"the connection to {server.shown} broke: ")
    with pytest.raises(Unreachable), databases.connect(server):
        pass


def test_a_killed_server_is_lost_too(throw_away: EmbeddedServer) -> None:
    server = throw_away._address()
    with pytest.raises(ServerLost):
        _ask_after(lambda pid: os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM)), server)
    # asked to stop during its crash recovery, PostgreSQL 17 waits for ever
    assert process.wait_until(lambda: _answers(server), timeout=60)


def test_a_session_that_an_administrator_ended_is_lost(server: Server) -> None:
    with pytest.raises(ServerLost):
        _ask_after(lambda pid: _end_session(server, pid), server)


def test_a_session_that_broke_stays_lost_and_never_looks_like_a_missing_server(
    server: Server,
) -> None:
    with pytest.raises(ServerLost):
        _ask_after(lambda pid: _end_session(server, pid), server, failures_before=2)


def test_whatever_else_the_server_refuses_is_said_in_its_words(server: Server) -> None:
    with pytest.raises(ServerError) as refused, databases.connect(server) as session:
        session.execute("SELECT * FROM není")
    assert type(refused.value) is ServerError
    assert 'relation "není" does not exist' in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_error_of_our_own_passes_unchanged(server: Server) -> None:
    with pytest.raises(KeyError, match="mine"), databases.connect(server):
        raise KeyError("mine")


# --- the mutex


def test_a_second_session_is_refused_while_the_first_holds_the_mutex(database: Server) -> None:
    with databases.mutex(database, "postgres"):
        with pytest.raises(TargetBusy) as busy, databases.mutex(database, "postgres"):
            pass
        assert str(busy.value) == f"another backup or recovery of {database.shown} is running"
    with databases.mutex(database, "postgres"):
        pass


def test_the_mutex_of_another_database_is_free(server: Server, database: Server) -> None:
    with (
        databases.mutex(database, "postgres"),
        databases.mutex(server.database("není ještě"), "postgres"),
    ):
        pass


@pytest.mark.parametrize("number", range(4))  # of keys, one half is negative
def test_whether_the_mutex_is_held_can_be_seen_without_trying_it(
    server: Server, number: int
) -> None:
    target = server.database(f"není {number}")
    assert not databases.is_held(target, "postgres", purpose="x")
    with databases.mutex(target, "postgres", purpose="x"):
        assert databases.is_held(target, "postgres", purpose="x")
        assert not databases.is_held(target, "postgres")
        assert not databases.is_held(target, "template1", purpose="x")
    assert not databases.is_held(target, "postgres", purpose="x")


def test_the_mutex_is_let_go_when_the_block_fails(database: Server) -> None:
    with pytest.raises(ZeroDivisionError), databases.mutex(database, "postgres"):
        _ = 1 / 0
    with databases.mutex(database, "postgres"):
        pass


def test_the_mutex_needs_no_target_and_outlives_its_rename(database: Server) -> None:
    other = f"{database.dbname}_jiný"
    with databases.mutex(database, "postgres") as session:
        session.execute(f'ALTER DATABASE "{database.dbname}" RENAME TO "{other}"'.encode())
        with pytest.raises(TargetBusy), databases.mutex(database, "postgres"):
            pass


HOLDER = """
import sys, time
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.server import Server
with databases.mutex(Server.from_url(sys.stdin.readline()), "postgres"):
    print("held", flush=True)
    time.sleep(120)
"""


def test_the_mutex_dies_with_the_process_that_held_it(database: Server, tmp_path: Path) -> None:
    log, script = tmp_path / "holder.log", HOLDER.replace("sys.stdin.readline()", "sys.argv[1]")
    holder = process.start(
        [sys.executable, "-c", script, database.url()],
        env=dict(os.environ),
        log=log,
        cwd=Path(__file__).parents[2],
    )
    try:
        assert process.wait_until(lambda: log.read_bytes().startswith(b"held"), timeout=60)
        with pytest.raises(TargetBusy), databases.mutex(database, "postgres"):
            pass
    finally:
        holder.kill()
        holder.wait()

    def free() -> bool:
        try:
            with databases.mutex(database, "postgres"):
                return True
        except TargetBusy:
            return False  # the server has not noticed yet

    assert process.wait_until(free, timeout=60)


# --- what is in a database


def _execute(server: Server, script: str) -> None:
    with databases.connect(server) as session:
        session.execute(script.encode())


def test_rows_are_counted_under_hostile_names(small: Server) -> None:
    _execute(
        small,
        'CREATE SCHEMA "Sklad; DROP"; CREATE TABLE "Sklad; DROP"."%s {} \'x\'" AS SELECT 1;'
        'CREATE TABLE "řádek\ndva" ();INSERT INTO "řádek\ndva" DEFAULT VALUES;'
        "CREATE VIEW pohled AS SELECT 1; CREATE MATERIALIZED VIEW souhrn AS SELECT 1;"
        "CREATE UNLOGGED TABLE rychlá AS SELECT generate_series(1, 3);",
    )
    with databases.connect(small) as session:
        session.execute("CREATE TEMP TABLE dočasná AS SELECT 1")
        counts = databases.row_counts(session)
    assert counts == {
        ("Sklad; DROP", "%s {} 'x'"): 1,
        ("public", 'Kniha "přání"'): 4,
        ("public", "hosté"): 50,
        ("public", "prázdná"): 0,
        ("public", "rychlá"): 3,
        ("public", "řádek\ndva"): 1,
    }


def test_rows_of_partitions_and_of_children_are_counted_once(database: Server) -> None:
    _execute(
        database,
        "CREATE TABLE pobyt (den int) PARTITION BY RANGE (den);"
        "CREATE TABLE pobyt_1 PARTITION OF pobyt FOR VALUES FROM (0) TO (10);"
        "CREATE TABLE pobyt_2 PARTITION OF pobyt FOR VALUES FROM (10) TO (99)"
        " PARTITION BY LIST (den);"
        "CREATE TABLE pobyt_2_x PARTITION OF pobyt_2 DEFAULT;"
        "INSERT INTO pobyt SELECT generate_series(0, 19);"
        "CREATE TABLE rodič (id int); CREATE TABLE dítě () INHERITS (rodič);"
        "INSERT INTO rodič VALUES (1); INSERT INTO dítě VALUES (2), (3);",
    )
    with databases.connect(database) as session:
        counts = {name: rows for (_, name), rows in databases.row_counts(session).items()}
    assert counts == {"pobyt_1": 10, "pobyt_2_x": 10, "rodič": 1, "dítě": 2}


def test_counts_stay_those_of_the_exported_snapshot(small: Server) -> None:
    with databases.connect(small, autocommit=False) as session:
        snapshot = databases.export_snapshot(session, lock_timeout_s=60)
        _execute(small, "DELETE FROM hosté")
        assert databases.row_counts(session)["public", "hosté"] == 50
        with databases.connect(small, autocommit=False) as other:
            other.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            other.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'".encode())
            assert databases.row_counts(other)["public", "hosté"] == 50
    with databases.connect(small) as session:
        assert databases.row_counts(session)["public", "hosté"] == 0


def test_a_role_that_may_not_see_all_rows_fails_instead_of_counting_fewer(
    small: Server, role: str
) -> None:
    _execute(
        small,
        f"ALTER TABLE hosté ENABLE ROW LEVEL SECURITY; GRANT SELECT ON hosté TO {role};"
        f"CREATE POLICY p ON hosté TO {role} USING (id < 3)",
    )
    with databases.connect(small, autocommit=False) as session:
        session.execute(f"SET SESSION AUTHORIZATION {role}".encode())
        databases.export_snapshot(session, lock_timeout_s=60)
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
            session.execute("SELECT count(*) FROM hosté")


@pytest.mark.parametrize(
    ("script", "seen"),
    [
        ("CREATE TABLE t ()", "public.t"),
        ("CREATE VIEW v AS SELECT 1", "public.v"),
        ("CREATE SEQUENCE s", "public.s"),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "public.f()"),
        ("CREATE TYPE barva AS ENUM ('červená')", "public.barva"),
        ("CREATE DOMAIN psč AS text", "public.psč"),
        ("CREATE TYPE dvojice AS (a int)", "public.dvojice"),
        ('CREATE SCHEMA "Sklad 2"', "schema Sklad 2"),
        ('CREATE SCHEMA pgúčty; CREATE TABLE pgúčty."T" ()', "pgúčty.T"),
        ("SELECT lo_create(4242)", "large object 4242"),
        ("CREATE TABLE t (); CREATE TABLE u ()", "public.u"),
    ],
)
def test_content_sees(database: Server, script: str, seen: str) -> None:
    _execute(database, script)
    with databases.connect(database) as session:
        assert seen in databases.content(session)


def test_an_empty_database_has_no_content_and_a_full_one_names_ten(database: Server) -> None:
    with databases.connect(database) as session:
        assert databases.content(session) == []
        session.execute("CREATE TEMP TABLE dočasná ()")
        assert databases.content(session) == []
        session.execute("DROP SCHEMA public")
        assert databases.content(session) == []
        session.execute("CREATE SCHEMA public")
        for number in range(20):
            session.execute(f"CREATE TABLE t{number} ()".encode())
        assert len(databases.content(session)) == 10


@pytest.fixture
def role(server: Server, database: Server) -> Iterator[str]:
    """A role without any right; what it got in any database goes with it."""
    name = f"host_{os.getpid()}_{database.dbname}"
    _execute(server, f"CREATE ROLE {name} LOGIN PASSWORD 'x'")
    yield name
    with databases.connect(server) as session:
        open_ones = session.execute("SELECT datname FROM pg_database WHERE datallowconn").fetchall()
    for (dbname,) in open_ones:
        _execute(server.database(dbname), f"DROP OWNED BY {name}")
    _execute(server, f"DROP ROLE {name}")


@pytest.mark.parametrize(
    "script",
    [
        "ALTER TABLE hosté OWNER TO {}",
        "GRANT SELECT ON hosté TO {}",
        "GRANT SELECT (jméno) ON hosté TO {}",
        "CREATE SCHEMA AUTHORIZATION {}",
        "GRANT USAGE ON SCHEMA public TO {}",
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {}",
        "CREATE POLICY p ON hosté TO {}",
        "SELECT lo_create(4243); ALTER LARGE OBJECT 4243 OWNER TO {}",
    ],
)
def test_owners_and_grantees_are_roles_that_a_dump_names(
    small: Server, role: str, script: str
) -> None:
    with databases.connect(small) as session:
        assert databases.roles_needed(session) == ["kajovo"]
        session.execute(script.format(role).encode())
        assert databases.roles_needed(session) == sorted(["kajovo", role])


@pytest.mark.parametrize(
    "script",
    [
        "CREATE TABLE t ()",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE TYPE barva AS ENUM ()",
        "CREATE SCHEMA s",
        "CREATE OPERATOR === (leftarg = int, rightarg = int, function = int4eq)",
        "CREATE OPERATOR FAMILY f USING btree",
        "CREATE OPERATOR CLASS c FOR TYPE int USING btree AS STORAGE int",
        "CREATE COLLATION k (locale = 'C')",
        "CREATE CONVERSION k FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8",
        "CREATE STATISTICS s ON id, jméno FROM hosté",
        "CREATE TEXT SEARCH CONFIGURATION c (PARSER = default)",
        "CREATE TEXT SEARCH DICTIONARY d (TEMPLATE = simple)",
        "CREATE LANGUAGE jazyk HANDLER plpgsql_call_handler",
        "CREATE FOREIGN DATA WRAPPER w",
        "CREATE PUBLICATION p",
        "CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';"
        "ALTER FUNCTION f() OWNER TO {}; CREATE EVENT TRIGGER e ON sql_drop EXECUTE FUNCTION f()",
        "SELECT lo_create(4244)",
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
        "GRANT SELECT ON hosté TO kajovo",
        "GRANT SELECT (jméno) ON hosté TO kajovo",
        "CREATE POLICY p ON hosté TO kajovo",
        "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;"
        "CREATE USER MAPPING FOR kajovo SERVER s; ALTER ROLE {0} SUPERUSER;"
        "ALTER FOREIGN DATA WRAPPER w OWNER TO {0}; ALTER SERVER s OWNER TO {0}",
    ],
)
def test_what_initdbs_superuser_has_is_needed_too_though_nothing_depends_on_it(
    small: Server, role: str, script: str
) -> None:
    _give_tables(small, role)
    with databases.connect(small) as session:
        # neither what initdb made, nor members of extensions, nor what a session keeps for itself
        session.execute("CREATE EXTENSION citext; CREATE TEMP TABLE dočasná (id serial)")
        assert databases.roles_needed(session) == [role]
        session.execute(script.format(role).encode())
        assert databases.roles_needed(session) == sorted(["kajovo", role])
        session.execute(f"DROP OWNED BY {role} CASCADE".encode())


def test_the_owner_of_a_subscription_is_needed(small: Server, role: str) -> None:
    _give_tables(small, role)
    with databases.connect(small) as session:
        session.execute(
            "CREATE SUBSCRIPTION odběr CONNECTION 'host=není' PUBLICATION p WITH (connect = false)"
        )
        try:
            assert databases.roles_needed(session) == sorted(["kajovo", role])
            other = small.database("postgres")
            with databases.connect(other) as elsewhere:
                assert role not in databases.roles_needed(elsewhere)
        finally:
            session.execute("ALTER SUBSCRIPTION odběr SET (slot_name = NONE)")
            session.execute("DROP SUBSCRIPTION odběr")


def _give_tables(small: Server, role: str) -> None:
    with databases.connect(small) as session:
        for name in ("hosté", '"Kniha ""přání"""', "prázdná"):
            session.execute(f"ALTER TABLE {name} OWNER TO {role}".encode())


def test_roles_of_other_databases_are_not_needed(
    small: Server, role: str, new_database: Callable[[str], Server]
) -> None:
    other = new_database("jiná databáze")
    _execute(other, f"CREATE SCHEMA AUTHORIZATION {role}")
    with databases.connect(small) as session:
        assert databases.roles_needed(session) == ["kajovo"]
        assert databases.missing_roles(session, ["kajovo", role, "chybí"]) == ["chybí"]


# --- whole databases


@pytest.mark.parametrize(
    "locale",
    [
        {"ENCODING": "UTF8", "LC_COLLATE": "C", "LC_CTYPE": "C"},
        {"ENCODING": "LATIN2", "LC_COLLATE": "C", "LC_CTYPE": "C"},
        {
            "ENCODING": "UTF8",
            "LC_COLLATE": "C",
            "LC_CTYPE": "C",
            "LOCALE_PROVIDER": "builtin",
            "BUILTIN_LOCALE": "C.UTF-8",
        },
    ],
    ids=["libc", "latin2", "builtin"],
)
def test_a_database_is_created_with_the_locale_of_another_one(
    server: Server, new_database: Callable[[str], Server], locale: Mapping[str, str]
) -> None:
    name = f"locale_{locale.get('LOCALE_PROVIDER', locale['ENCODING'])}"
    with databases.connect(server) as session:
        databases.create(session, name, {**locale, "TABLESPACE": "není"})
        assert databases.exists(session, name)
    with databases.connect(server.database(name)) as session:
        facts = databases.facts(session)
    assert facts.locale == locale
    assert facts.server_major >= 13
    assert facts.server_version.startswith(str(facts.server_major))
    assert facts.bytes_on_disk > 1_000_000


def _built_with_icu(session: databases.Connection) -> bool:
    row = session.execute("SELECT setting FROM pg_config WHERE name = 'CONFIGURE'").fetchone()
    assert row is not None
    return "--without-icu" not in row[0]


def test_an_icu_locale_is_kept_by_a_server_built_with_icu_and_refused_by_others(
    server: Server, new_database: Callable[[str], Server]
) -> None:
    locale = {"LC_COLLATE": "C", "LC_CTYPE": "C", "LOCALE_PROVIDER": "icu", "ICU_LOCALE": "cs"}
    with databases.connect(server) as session:
        if not _built_with_icu(session):
            with pytest.raises(ServerError, match="'locale_icu' with the backup's locale") as said:
                databases.create(session, "locale_icu", {"ENCODING": "UTF8", **locale})
            assert "create the database empty" in said.value.hint
            return
        databases.create(session, "locale_icu", {"ENCODING": "UTF8", **locale})
    with databases.connect(server.database("locale_icu")) as session:
        assert databases.facts(session).locale == {"ENCODING": "UTF8", **locale}


@pytest.mark.parametrize(
    "locale",
    [
        {"ENCODING": "UTF8", "LC_COLLATE": "Klingon"},
        {"ENCODING": "KLINGON"},
        {"LOCALE_PROVIDER": "klingon"},
        {"LOCALE_PROVIDER": "builtin", "BUILTIN_LOCALE": "tlh"},
    ],
)
def test_a_locale_that_this_server_lacks_is_refused_with_a_next_step(
    server: Server, locale: Mapping[str, str]
) -> None:
    with databases.connect(server) as session, pytest.raises(ServerError) as refused:
        databases.create(session, "nevznikne", locale)
    assert "cannot create 'nevznikne' with the backup's locale" in str(refused.value)
    assert "create the database empty" in refused.value.hint


def test_a_database_that_appeared_meanwhile_is_not_taken_over(database: Server) -> None:
    with (
        databases.connect(database.database("postgres")) as session,
        pytest.raises(TargetNotEmpty, match="created by somebody else meanwhile"),
    ):
        databases.create(session, database.dbname, {})


def test_a_role_that_may_not_create_databases_is_told_so(server: Server, role: str) -> None:
    clerk = _with(server, user=role, password="x")
    with databases.connect(clerk) as session, pytest.raises(ServerError) as refused:
        databases.create(session, "nevznikne", {})
    assert str(refused.value) == f"user {role!r} may not create databases"
    assert "CREATEDB" in refused.value.hint


def test_a_database_is_dropped_under_its_sessions_and_twice(
    new_database: Callable[[str], Server],
) -> None:
    doomed = new_database('na "odpis"')
    with (
        psycopg.connect(doomed.conninfo()),
        databases.connect(doomed.database("postgres")) as session,
    ):
        assert databases.size(session, doomed.dbname) > 1_000_000
        databases.drop(session, doomed.dbname)
        assert not databases.exists(session, doomed.dbname)
        databases.drop(session, doomed.dbname)


def test_time_limits_of_the_role_do_not_bind_our_sessions(server: Server) -> None:
    limits = ("statement_timeout", "idle_session_timeout", "transaction_timeout")
    with databases.connect(server) as session:
        for limit in limits:
            session.execute(f"ALTER ROLE kajovo SET {limit} = '10min'".encode())
        try:
            with databases.connect(server, autocommit=False) as other:
                for limit in limits:
                    assert other.execute(f"SHOW {limit}".encode()).fetchone() == ("0",)
        finally:
            session.execute("ALTER ROLE kajovo RESET ALL")
