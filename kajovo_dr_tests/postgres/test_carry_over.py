"""Under test: that a database gets all of another's that no dump of it holds, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest

from kajovo_dr.postgres import carry_over, databases
from kajovo_dr.postgres.carry_over import Attributes, Grant, Setting
from kajovo_dr.postgres.server import Server

HOSTILE = 'Řehoř "šéf"; DROP TABLE x --'
QUOTED = '"Řehoř ""šéf""; DROP TABLE x --"'
OLD, NEW = 'hotel "U Kájy"', "hotel; nový"


@pytest.fixture
def admin(server: Server, new_database: Callable[[str], Server]) -> Iterator[databases.Connection]:
    """A session in the maintenance database, with two databases and three roles."""
    with databases.connect(server) as session:
        for role in (QUOTED, "recepce", "úklid"):
            session.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'heslo'".encode())
        new_database(OLD)
        new_database(NEW)
        yield session
        for name in (OLD, NEW):
            databases.drop(session, name)
        for role in (QUOTED, "recepce", "úklid"):
            session.execute(f"DROP ROLE {role}".encode())


def do(admin: databases.Connection, *statements: str) -> None:
    """Each on the old database, whose name stands for {}."""
    for statement in statements:
        admin.execute(statement.format('"hotel ""U Kájy"""').encode())


def carried(admin: databases.Connection) -> Attributes:
    """What the new database has after it was given the old one's; its comment stays its own."""
    wanted = carry_over.read(admin, OLD)
    comment = databases.commented(admin, NEW)
    carry_over.give(admin, NEW, wanted)
    has = carry_over.read(admin, NEW)
    assert databases.commented(admin, NEW) == comment
    assert (has.owner, has.connection_limit) == (wanted.owner, wanted.connection_limit)
    assert (has.grants, has.settings) == (wanted.grants, wanted.settings)
    return has


def in_force(server: Server, name: str, setting: str) -> str:
    with psycopg.connect(server.database(name).conninfo()) as session:
        row = session.execute(f"SHOW {setting}".encode()).fetchone()
    assert row is not None
    return str(row[0])


def test_a_plain_database_stays_plain(admin: databases.Connection) -> None:
    assert carried(admin) == Attributes("kajovo", "pg_default", -1, None, None, ())


def test_owner_limit_and_privileges_are_those_of_the_other(admin: databases.Connection) -> None:
    do(
        admin,
        f"ALTER DATABASE {{}} OWNER TO {QUOTED}",
        "ALTER DATABASE {} CONNECTION LIMIT 7",
        "REVOKE ALL ON DATABASE {} FROM PUBLIC",
        "GRANT CONNECT ON DATABASE {} TO recepce WITH GRANT OPTION",
        "GRANT TEMPORARY, CREATE ON DATABASE {} TO úklid",
    )
    has = carried(admin)
    assert has.owner == HOSTILE
    assert has.connection_limit == 7
    assert has.grants is not None
    assert Grant("recepce", "CONNECT", True) in has.grants
    assert not [grant for grant in has.grants if grant.role is None]


def test_privileges_that_several_granted_are_granted_once(admin: databases.Connection) -> None:
    do(
        admin,
        "GRANT CONNECT ON DATABASE {} TO recepce WITH GRANT OPTION",
        "GRANT CONNECT ON DATABASE {} TO úklid",
        "SET ROLE recepce",
        "GRANT CONNECT ON DATABASE {} TO úklid WITH GRANT OPTION",
        "RESET ROLE",
    )
    has = carried(admin)
    assert has.grants is not None
    assert [grant for grant in has.grants if grant.role == "úklid"] == [
        Grant("úklid", "CONNECT", True)
    ]


def test_an_owner_without_privileges_has_none(admin: databases.Connection) -> None:
    do(admin, "REVOKE ALL ON DATABASE {} FROM PUBLIC", "REVOKE ALL ON DATABASE {} FROM kajovo")
    assert carried(admin).grants == ()


def test_what_the_new_one_had_is_gone(admin: databases.Connection) -> None:
    new = '"hotel; nový"'
    for statement in (
        f"GRANT CREATE ON DATABASE {new} TO úklid",
        f"ALTER DATABASE {new} SET work_mem = '1MB'",
        f"ALTER ROLE úklid IN DATABASE {new} SET work_mem = '2MB'",
        f"ALTER DATABASE {new} CONNECTION LIMIT 3",
        f"COMMENT ON DATABASE {new} IS 'kajovo_dr: not in use'",
    ):
        admin.execute(statement.encode())
    do(admin, "GRANT CREATE ON DATABASE {} TO recepce")
    has = carried(admin)
    assert has.grants is not None
    assert not [grant for grant in has.grants if grant.role == "úklid"]
    assert has.settings == ()


def test_privileges_by_default_take_those_away_that_the_new_one_had(
    admin: databases.Connection,
) -> None:
    admin.execute('GRANT CREATE ON DATABASE "hotel; nový" TO úklid')
    admin.execute('REVOKE CONNECT ON DATABASE "hotel; nový" FROM PUBLIC')
    carry_over.give(admin, NEW, carry_over.read(admin, OLD))
    assert may(admin, "úklid") == {"CONNECT", "TEMPORARY"}
    assert may(admin, "kajovo") == {"CONNECT", "TEMPORARY", "CREATE"}


def may(admin: databases.Connection, role: str) -> set[str]:
    privileges = ("CONNECT", "TEMPORARY", "CREATE")
    return {
        each
        for each in privileges
        if admin.execute("SELECT has_database_privilege(%s, %s, %s)", [role, NEW, each]).fetchone()
        == (True,)
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("search_path", '"$user", public'),
        ("search_path", '"Kniha ""přání""", public'),
        ("search_path", "''"),
        ("DateStyle", "'ISO, DMY'"),
        ("temp_tablespaces", "''"),
        ("session_preload_libraries", "'auto_explain', 'plpgsql'"),
        ("hotel.jméno", "'U \"Kájy\" ''s'', \\ a = b'"),
        ("application_name", "'a, b'"),
        ("statement_timeout", "'90s'"),
        ("jit", "off"),
    ],
)
def test_a_setting_means_the_same_there(
    admin: databases.Connection, server: Server, name: str, value: str
) -> None:
    quoted = ".".join(f'"{part}"' for part in name.split("."))
    do(admin, f"ALTER DATABASE {{}} SET {quoted} TO {value}")
    assert len(carried(admin).settings) == 1
    assert in_force(server, NEW, quoted) == in_force(server, OLD, quoted)


def test_settings_of_a_role_in_the_database_go_with_it(admin: databases.Connection) -> None:
    do(
        admin,
        f'ALTER ROLE {QUOTED} IN DATABASE {{}} SET search_path TO "Já", public',
        "ALTER ROLE recepce IN DATABASE {} SET work_mem TO '7MB'",
        "ALTER DATABASE {} SET work_mem TO '5MB'",
    )
    assert {setting.role for setting in carried(admin).settings} == {HOSTILE, "recepce", None}


def test_a_list_cannot_smuggle_a_statement(admin: databases.Connection, server: Server) -> None:
    do(admin, "ALTER DATABASE {} OWNER TO recepce")
    mine = Server({**server.database(OLD).params, "user": "recepce", "password": "heslo"})
    with psycopg.connect(mine.conninfo(), autocommit=True) as session:
        smuggled = "x;ALTER/**/ROLE/**/recepce/**/SUPERUSER"
        session.execute("SELECT set_config('search_path', %s, false)", [smuggled])
        session.execute('ALTER DATABASE "hotel ""U Kájy""" SET search_path FROM CURRENT')
    carry_over.give(admin, NEW, carry_over.read(admin, OLD))
    row = admin.execute("SELECT rolsuper FROM pg_roles WHERE rolname = 'recepce'").fetchone()
    assert row == (False,)
    assert in_force(server, NEW, "search_path") == f'"{smuggled.lower()}"'


def test_giving_twice_is_giving_once(admin: databases.Connection) -> None:
    do(admin, "ALTER DATABASE {} OWNER TO úklid", "ALTER DATABASE {} SET work_mem TO '5MB'")
    assert carried(admin) == carried(admin)


def test_what_the_server_refuses_is_named_and_the_rest_is_given(
    admin: databases.Connection, server: Server
) -> None:
    do(
        admin,
        "ALTER DATABASE {} SET log_min_messages TO error",  # for superusers alone
        "ALTER DATABASE {} SET work_mem TO '5MB'",
        "ALTER ROLE úklid IN DATABASE {} SET work_mem TO '7MB'",
        "ALTER DATABASE {} CONNECTION LIMIT 5",
        "ALTER DATABASE {} OWNER TO recepce",
    )
    admin.execute('ALTER DATABASE "hotel; nový" OWNER TO recepce')
    role = Server({**server.params, "user": "recepce", "password": "heslo"})
    with databases.connect(role) as session:
        refused = carry_over.give(session, NEW, carry_over.read(session, OLD))
    assert set(refused) == {"setting 'log_min_messages'", "setting 'work_mem' of role 'úklid'"}
    has = carry_over.read(admin, NEW)
    assert (has.settings, has.connection_limit) == ((Setting(None, "work_mem", "5MB"),), 5)


def test_whoever_may_nothing_is_told_so_and_changes_nothing(
    admin: databases.Connection, server: Server
) -> None:
    do(admin, "ALTER DATABASE {} CONNECTION LIMIT 5", "ALTER DATABASE {} OWNER TO recepce")
    before = carry_over.read(admin, NEW)
    role = Server({**server.params, "user": "recepce", "password": "heslo"})
    with databases.connect(role) as session:
        refused = carry_over.give(session, NEW, carry_over.read(session, OLD))
    assert {"owner 'recepce'", "connection limit"} <= set(refused)
    assert carry_over.read(admin, NEW) == before


def test_values_of_an_applications_own_settings_are_not_told(admin: databases.Connection) -> None:
    do(
        admin,
        "ALTER DATABASE {} SET app.jwt_secret TO 'klíč'",
        "ALTER DATABASE {} SET work_mem TO 99",
    )
    told = carry_over.read(admin, OLD).without_secrets()
    assert "klíč" not in repr(told)
    assert carry_over.give(admin, NEW, told) == ["setting 'app.jwt_secret'"]
    assert carry_over.read(admin, NEW).settings == (Setting(None, "work_mem", "99"),)
