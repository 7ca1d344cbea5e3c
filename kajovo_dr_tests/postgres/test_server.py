"""Under test: that an address written by a person reaches libpq, SQLAlchemy and the client tools
unchanged, whatever stands in names and passwords, and that no message ever shows the password.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from psycopg import sql

from kajovo_dr.errors import NotConfigured, SettingError, UrlError
from kajovo_dr.postgres import client_tools, databases
from kajovo_dr.postgres.server import Server, restore_target, source
from kajovo_dr.settings import Settings

HOSTILE = ["/", "@", ":", "%", "#", " ", "?", "[", "'", '"', "\\", "=", "&", "+", "%41", "řž", "$€"]
CORE = "Tajné42"
HOSTILE_ROLES = ["noční recepční", 'role "v uvozovkách"', "o'neil", "a@b:c/d", "Řehoř=%41"]
HOSTILE_DATABASES = [
    "hotel s mezerou",
    'hotel "Růže"',
    "hotel'; --",
    "a=b dbname=postgres",
    "Žižkov",
]
_numbers = itertools.count()


@contextmanager
def _role(server: Server, name: str, password: str) -> Iterator[None]:
    identifier = sql.Identifier(name)
    create = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(identifier, sql.Literal(password))
    with databases.connect(server) as session:
        session.execute(create)
        try:
            yield
        finally:
            session.execute(sql.SQL("DROP ROLE {}").format(identifier))


def _typed(server: Server, user: str, password: str, dbname: str = "postgres") -> str:
    """The URL that a careful operator types."""
    user, password, dbname = (quote(part, safe="") for part in (user, password, dbname))
    return f"postgresql://{user}:{password}@{server.address}/{dbname}"


def _who_by_psycopg(server: Server) -> tuple[str, str]:
    with databases.connect(server) as session:
        row = session.execute("SELECT current_user, current_database()").fetchone()
    assert row is not None
    return row[0], row[1]


def _who_by_sqlalchemy(server: Server) -> tuple[str, str]:
    engine = sa.create_engine(server.sqlalchemy_url(), poolclass=sa.NullPool)
    with engine.connect() as session:
        row = session.execute(sa.text("SELECT current_user, current_database()")).one()
    return row[0], row[1]


def _who_by_psql(server: Server) -> tuple[str, str]:
    query = "SELECT current_user, current_database()"
    arguments = [
        *client_tools.psql_arguments(),
        "--tuples-only",
        "--no-align",
        "--field-separator=\t",
    ]
    transport = client_tools.transport_for(None)
    done = transport.run("psql", [*arguments, f"-c{query}"], server=server, timeout=60)
    assert done.returncode == 0, done.stderr
    user, dbname = done.stdout.decode().rstrip("\r\n").split("\t")
    return user, dbname


@pytest.mark.parametrize("part", HOSTILE)
def test_a_percent_encoded_password_opens_the_real_server(server: Server, part: str) -> None:
    password = f"{part}{CORE}{part}x{part}"
    name = f"clerk_{next(_numbers)}"
    with _role(server, name, password):
        read = Server.from_url(_typed(server, name, password))
        assert read.params["password"] == password
        assert _who_by_psycopg(read) == (name, "postgres")
        again = Server.from_url(read.url())
        assert again == read


@pytest.mark.parametrize("name", HOSTILE_ROLES)
@pytest.mark.parametrize("who", [_who_by_psycopg, _who_by_sqlalchemy, _who_by_psql])
def test_a_hostile_role_reaches_the_server_by_every_way(
    server: Server, name: str, who: Callable[[Server], tuple[str, str]]
) -> None:
    password = "".join(HOSTILE)
    with _role(server, name, password):
        assert who(Server.from_url(_typed(server, name, password))) == (name, "postgres")


@pytest.mark.parametrize("name", HOSTILE_DATABASES)
@pytest.mark.parametrize("who", [_who_by_psycopg, _who_by_sqlalchemy, _who_by_psql])
def test_a_hostile_database_name_reaches_the_server_by_every_way(
    new_database: Callable[[str], Server], name: str, who: Callable[[Server], tuple[str, str]]
) -> None:
    database = new_database(name)
    assert who(database)[1] == name
    read = Server.from_url(
        _typed(database, database.user, database.params["password"], database.dbname)
    )
    assert read.dbname == name


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://jana:Tajné/42@db:5432/hotel",
        "postgresql://jana:Tajné42/@db:5432/hotel",
        "postgresql://jana:/Tajné42@db/hotel",
        "postgresql://jana:42/Tajné?@db/hotel",
        "postgresql://jana:42/Tajné?x=@db/hotel",
        "postgresql://jana:Tajné@42@db:5432/hotel",
        "postgresql://ja@na:Tajné42@db:5432/hotel",
        "postgresql://jana:Tajné%42%@db:5432/hotel",
        "postgresql://jana:100%Tajné@db:5432/hotel",
        "postgresql://jana:Tajné%00@db:5432/hotel",
        "postgresql://jana:Tajné#42@db:5432/hotel",
        "postgresql://jana:Tajné42@db:5432",
        "postgresql://jana:Tajné42@db:5432/",
        "postgresql://jana:Tajné42@db:port/hotel",
        "postgresql://jana:Tajné42@db:5432/hotel?sslmod=require",
        "postgresql://jana:Tajné42@db:5432/hotel?service=Tajné42",
        "postgresql://jana:Tajné42@[::1/hotel",
        "mysql://jana:Tajné42@db/hotel",
        "http://jana:Tajné42@db/hotel",
        "//jana:Tajné42@db/hotel",
        "host=db password=Tajné42",
        "host=db password='Tajné42 dbname=hotel",
        "host=db passwd=Tajné42 dbname=hotel",
        "Tajné42",
        "",
        " ",
    ],
)
def test_what_is_not_a_readable_url_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(UrlError) as refused:
        Server.from_url(url, setting="KAJOVO_DR_DATABASE_URL")
    error = refused.value
    assert str(error).startswith("KAJOVO_DR_DATABASE_URL ")
    assert "Tajné" not in error.described()
    assert "42" not in error.described()
    assert "percent-encode" in error.hint
    assert error.__suppress_context__ or error.__context__ is None


@pytest.mark.parametrize("password", ["a:b", "a?b", "a=b", "a&b", "a+b", "a'b", "ř"])
def test_characters_that_are_harmless_in_a_url_may_stand_raw(password: str) -> None:
    read = Server.from_url(f"postgresql://jana:{password}@db/hotel")
    assert read.params["password"] == password
    assert (read.params["host"], read.dbname) == ("db", "hotel")


def test_a_raw_space_is_refused_or_kept_but_never_moves_the_borders() -> None:
    try:
        read = Server.from_url("postgresql://jana:Tajné 42@db/hotel")
    except UrlError:
        return  # libpq's newer versions
    assert read.params["password"] == "Tajné 42"
    assert (read.params["host"], read.dbname) == ("db", "hotel")


@pytest.mark.parametrize(
    "text",
    [
        "host=db port=5433 user=jana password='Tajné 42/@#' dbname=hotel",
        "  dbname=hotel user=jana host=db port=5433 password='Tajné 42/@#'  ",
        "postgresql://jana:Tajn%C3%A9%2042%2F%40%23@db:5433/hotel",
        "postgres://jana:Tajn%C3%A9%2042%2F%40%23@db:5433/hotel",
        "postgresql+psycopg://jana:Tajn%C3%A9%2042%2F%40%23@db:5433/hotel",
        "postgresql+psycopg2://jana:Tajn%C3%A9%2042%2F%40%23@db:5433/hotel",
        "\npostgresql+asyncpg://jana:Tajn%C3%A9%2042%2F%40%23@db:5433/hotel\n",
    ],
)
def test_every_way_of_writing_an_address_means_the_same(text: str) -> None:
    read = Server.from_url(text, connect_timeout=3)
    assert read.params == {
        "host": "db",
        "port": "5433",
        "user": "jana",
        "password": "Tajné 42/@#",
        "dbname": "hotel",
        "connect_timeout": "3",
        "application_name": "kajovo_dr",
    }


def test_a_password_of_key_value_text_may_look_like_a_url() -> None:
    read = Server.from_url("host=db user=u dbname=hotel password=a+b://c/d@e#f")
    assert read.params["password"] == "a+b://c/d@e#f"


def test_an_ipv6_address_keeps_its_brackets_in_a_url() -> None:
    read = Server.from_url("postgresql://jana:x@[fe80::1]:5433/hotel")
    assert read.params["host"] == "fe80::1"
    assert read.url() == "postgresql://jana:x@[fe80::1]:5433/hotel"
    assert sa.make_url(read.sqlalchemy_url()).host == "fe80::1"
    assert Server.from_url(read.url()) == read


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://jana:x@%2Fvar%2Frun%2Fpostgresql/hotel",
        "postgresql://jana:x@/hotel?host=/var/run/postgresql",
        "host=/var/run/postgresql user=jana password=x dbname=hotel",
    ],
)
def test_a_folder_of_sockets_stands_in_the_query_of_a_url(text: str) -> None:
    read = Server.from_url(text)
    assert read.params["host"] == "/var/run/postgresql"
    assert read.url() == "postgresql://jana:x@/hotel?host=%2Fvar%2Frun%2Fpostgresql"
    assert Server.from_url(read.url()) == read
    made = sa.make_url(read.sqlalchemy_url())
    assert (made.host, made.query) == (None, {"host": "/var/run/postgresql"})


def test_a_url_keeps_every_parameter_that_decides_what_is_reached() -> None:
    text = (
        "postgresql://jana:x@db/hotel?sslmode=verify-full&sslrootcert=/etc/ca+1.pem"
        "&options=-csearch_path%3Dhotel%2Cpublic&hostaddr=10.0.0.7&channel_binding=require"
    )
    read = Server.from_url(text)
    assert Server.from_url(read.url()) == read
    query = sa.make_url(read.sqlalchemy_url()).query
    assert query["options"] == "-csearch_path=hotel,public"
    assert query["hostaddr"] == "10.0.0.7"
    assert "application_name" not in query  # what connects by it is not us


def test_options_of_the_url_are_in_force_by_every_way(server: Server) -> None:
    url = f"{server.url()}?options=-csearch_path%3Dhotel%2Cpublic"
    read = Server.from_url(url)
    with databases.connect(read) as session:
        assert session.execute("SHOW search_path").fetchone() == ("hotel,public",)
    engine = sa.create_engine(read.sqlalchemy_url(), poolclass=sa.NullPool)
    with engine.connect() as connection:
        assert connection.execute(sa.text("SHOW search_path")).scalar() == "hotel,public"
    done = client_tools.transport_for(None).run(
        "psql", ["-Atc", "SHOW search_path"], server=read, timeout=60
    )
    assert done.stdout.strip() == b"hotel,public"


def test_a_name_of_63_bytes_can_be_restored_to(
    settings: Settings, new_database: Callable[[str], Server]
) -> None:
    name = "ř" * 31 + "x"
    assert len(name.encode()) == 63
    new_database(name)
    assert _who_by_psycopg(restore_target(settings, name))[1] == name


@pytest.mark.parametrize("name", ["ř" * 32, "x" * 64, "", "hotel\0"])
def test_a_name_that_postgresql_would_cut_or_cannot_have_is_refused(
    settings: Settings, name: str
) -> None:
    with pytest.raises(SettingError) as refused:
        restore_target(settings, name)
    assert str(refused.value) == f"{name!r} cannot name a database"
    assert "63 bytes" in refused.value.hint


def test_restores_go_to_the_server_of_restores_when_there_is_one() -> None:
    here, there = "postgresql://a:x@here/hotel", "postgresql://b:y@there:5433/postgres"
    settings = Settings.load(database_url=here)
    assert restore_target(settings, "new").shown == "a@here:5432/new"
    settings = Settings.load(database_url=here, restore_url=there)
    assert restore_target(settings, "new").shown == "b@there:5433/new"
    assert source(settings).shown == "a@here:5432/hotel"


def test_a_bad_url_names_the_setting_that_holds_it() -> None:
    settings = Settings.load(database_url="postgresql://a:b@c@d/e", restore_url="mysql://x")
    with pytest.raises(UrlError, match=r"^KAJOVO_DR_DATABASE_URL "):
        source(settings)
    with pytest.raises(UrlError, match=r"^KAJOVO_DR_RESTORE_URL "):
        restore_target(settings, "new")
    with pytest.raises(NotConfigured, match=r"^KAJOVO_DR_DATABASE_URL is not set"):
        source(Settings.load())


def test_the_password_is_in_nothing_that_is_shown() -> None:
    server = Server.from_url(f"postgresql://jana:{CORE}@db:5433/hotel")
    assert server.shown == "jana@db:5433/hotel"
    shown = [repr(server), str(server), f"{server}", server.shown, server.address]
    assert CORE not in " ".join(shown)
    assert CORE in server.conninfo()


def test_another_database_keeps_the_login() -> None:
    server = Server.from_url("postgresql://jana:x@db/hotel?sslmode=require")
    other = server.database("jiný hotel")
    assert (other.dbname, server.dbname) == ("jiný hotel", "hotel")
    assert {**other.params, "dbname": "hotel"} == server.params


def test_client_tools_see_this_database_and_nothing_of_the_shell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("PGHOST", "PGPASSFILE", "PGSERVICE", "PGOPTIONS", "PGCLIENTENCODING"):
        monkeypatch.setenv(name, "from the shell")
    monkeypatch.setenv("LC_ALL", "cs_CZ.UTF-8")
    server = Server.from_url("postgresql://jana:x@db:5433/hotel?sslmode=require")
    environment = server.environment()
    ours = {name: value for name, value in environment.items() if name.startswith("PG")}
    assert ours == {
        "PGHOST": "db",
        "PGPORT": "5433",
        "PGUSER": "jana",
        "PGPASSWORD": "x",
        "PGDATABASE": "hotel",
        "PGSSLMODE": "require",
        "PGCONNECT_TIMEOUT": "10",
        "PGAPPNAME": "kajovo_dr",
        "PGCLIENTENCODING": "UTF8",
    }
    assert environment["LC_ALL"] == "C"
    assert "PATH" in environment


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql:///hotel", "names no host"),
        ("postgresql://db/hotel", "names no user"),
        ("postgresql://u@db", "names no database"),
        ("postgresql://u@db:99999/hotel", "1 to 65535"),
        ("postgresql://u@db:٥٤٣٢/hotel", "1 to 65535"),
        ("postgresql://u@db/hotel?sslmode=banana", "sslmode"),
    ],
)
def test_what_libpq_and_the_tools_might_fill_in_differently_is_refused(url: str, said: str) -> None:
    with pytest.raises(UrlError, match=said):
        Server.from_url(url)


def test_a_setting_joins_those_that_the_url_has() -> None:
    server = Server.from_url("postgresql://u@h/d?options=-c%20lock_timeout%3D5")
    both = server.setting("work_mem", "64MB").environment()["PGOPTIONS"]
    assert both == "-c lock_timeout=5 -c work_mem=64MB"
    assert "PGOPTIONS" not in Server.from_url("postgresql://u@h/d").environment()
