"""Under test: that names are exchanged at once and wholly, whoever is in the databases meanwhile.

Clients that hammer, locks that others hold, and what cannot be done: nothing is changed then.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from kajovo_dr.errors import SwapFailed
from kajovo_dr.postgres import databases, swap
from kajovo_dr.postgres.embedded import EmbeddedServer
from kajovo_dr.postgres.server import Server
from kajovo_dr.postgres.swap import Exchange, Renaming
from kajovo_dr_tests.conftest import _FAST, new_folder

#: Rows of the table by which a content is known.
ROWS = 500
PLANTED = f"""
    CREATE TABLE obsah AS SELECT '%s' AS which FROM generate_series(1, {ROWS});
    GRANT SELECT, INSERT ON obsah TO PUBLIC
"""
_numbers = itertools.count()


def admin_of(server: Server) -> Any:
    return databases.connect(server.database("postgres"))


def plant(live: Server, which: str) -> None:
    with databases.connect(live) as session:
        session.execute((PLANTED % which).encode())


def content(session: psycopg.Connection[Any]) -> tuple[str, int]:
    found = session.execute("SELECT string_agg(DISTINCT which, '+'), count(*) FROM obsah")
    row = found.fetchone()
    assert row is not None
    return row[0], row[1]


def seen(live: Server) -> str:
    with psycopg.connect(live.conninfo()) as session:
        which, rows = content(session)
    assert rows == ROWS
    return which


@dataclass(frozen=True)
class Pair:
    """A live database and the room that is to take its name."""

    live: Server
    room: Server

    @property
    def kept(self) -> str:
        return f"{self.live.dbname}__before"

    def wanted(self, admin: databases.Connection) -> Exchange:
        old, new = (swap.oid_of(admin, each.dbname) for each in (self.live, self.room))
        assert new is not None
        there = [Renaming(old, self.live.dbname, self.kept)] if old else []
        renamings = (*there, Renaming(new, self.room.dbname, self.live.dbname))
        return Exchange(renamings, ((self.live.dbname, "mluví 'se'"),))

    def swap(self, server: Server) -> None:
        with admin_of(server) as admin:
            swap.exchange(admin, server, self.wanted(admin))

    def names(self, server: Server) -> set[str]:
        with admin_of(server) as admin:
            found = admin.execute(
                "SELECT datname FROM pg_database WHERE datname LIKE %s",
                [f"{self.live.dbname}%"],
            )
            return {name for (name,) in found}


@pytest.fixture
def pair(new_database: Callable[[str], Server]) -> Pair:
    name = f"Hotel č. {next(_numbers)}"
    made = Pair(new_database(name), new_database(f"{name}__restore"))
    plant(made.live, "old")
    plant(made.room, "new")
    return made


@pytest.fixture
def owner(pair: Pair, server: Server) -> Iterator[Server]:
    """The server as an ordinary role that owns the pair and may make databases."""
    with admin_of(server) as admin:
        admin.execute("CREATE ROLE vlastník LOGIN CREATEDB PASSWORD 'heslo'")
        for each in (pair.live, pair.room):
            admin.execute(f'ALTER DATABASE "{each.dbname}" OWNER TO vlastník'.encode())
    yield Server({**server.params, "user": "vlastník", "password": "heslo"})
    with admin_of(server) as admin:
        for name in pair.names(server):
            databases.drop(admin, name)
        admin.execute("DROP ROLE vlastník")


class Client(threading.Thread):
    """Reads and writes under a name all the time. keeps: one session as long as it lives."""

    def __init__(self, live: Server, *, keeps: bool) -> None:
        super().__init__(daemon=True)
        self._conninfo = live.conninfo()
        self._keeps = keeps
        self.over = threading.Event()
        self.seen: set[tuple[str, int]] = set()
        self.refused: Counter[str] = Counter()
        self.good = 0

    def run(self) -> None:
        while not self.over.is_set():
            try:
                session = psycopg.connect(self._conninfo, autocommit=True)
            except psycopg.OperationalError as refused:
                self.refused[str(refused).splitlines()[0]] += 1
                continue
            with suppress(psycopg.OperationalError), session:
                while not self.over.is_set():
                    self.seen.add(content(session))
                    self.good += 1
                    if not self._keeps:
                        break


@contextmanager
def hammering(live: Server, clients: int) -> Iterator[list[Client]]:
    """Clients that have all had an answer before the block, and one after it."""
    running = [Client(live, keeps=number % 2 == 0) for number in range(clients)]

    def all_have(answers: dict[Client, int]) -> None:
        deadline = time.monotonic() + 60
        while any(each.good <= answers[each] for each in running):
            assert time.monotonic() < deadline
            time.sleep(0.005)

    for each in running:
        each.start()
    try:
        all_have(dict.fromkeys(running, 0))
        yield running
        all_have({each: each.good for each in running})
    finally:
        for each in running:
            each.over.set()
        for each in running:
            each.join()


def strange(clients: list[Client]) -> set[str]:
    """Errors of connecting clients, but for those that were in the old database already."""
    refused = sum((each.refused for each in clients), Counter[str]())
    return {text for text in refused if "terminating connection due to administrator" not in text}


def test_clients_see_the_old_or_the_new_and_connecting_ones_no_error(
    pair: Pair, server: Server
) -> None:
    with hammering(pair.live, 8) as clients:
        pair.swap(server)
    assert set.union(*(each.seen for each in clients)) == {("old", ROWS), ("new", ROWS)}
    assert strange(clients) == set()
    assert seen(pair.live) == "new"
    assert seen(server.database(pair.kept)) == "old"
    assert pair.names(server) == {pair.live.dbname, pair.kept}


def test_the_comment_changes_with_the_name(pair: Pair, server: Server) -> None:
    pair.swap(server)
    with admin_of(server) as admin:
        assert databases.commented(admin, pair.live.dbname) == "mluví 'se'"


def test_a_flood_of_connections_neither_stops_it_nor_sees_a_part(
    pair: Pair, server: Server
) -> None:
    with hammering(pair.live, 50) as clients:
        pair.swap(server)
    assert set.union(*(each.seen for each in clients)) == {("old", ROWS), ("new", ROWS)}
    # the server has 100 connections, and a session that ends frees its own a little later
    assert {text for text in strange(clients) if "too many clients" not in text} == set()


def test_an_ordinary_role_can_do_it_too(pair: Pair, server: Server, owner: Server) -> None:
    with hammering(Server({**pair.live.params, **_login(owner)}), 4) as clients:
        pair.swap(owner)
    assert set.union(*(each.seen for each in clients)) == {("old", ROWS), ("new", ROWS)}
    assert seen(pair.live) == "new"
    assert seen(server.database(pair.kept)) == "old"


def _login(server: Server) -> dict[str, str]:
    return {key: server.params[key] for key in ("user", "password")}


def test_an_ordinary_role_ends_what_it_may_and_says_what_stays(
    pair: Pair, server: Server, owner: Server
) -> None:
    with ExitStack() as stack:
        superuser = stack.enter_context(psycopg.connect(pair.live.conninfo()))
        mine = Server({**pair.live.params, **_login(owner)})
        others = [psycopg.connect(mine.conninfo()) for _ in range(3)]
        for each in others:
            stack.callback(each.close)
        with pytest.raises(SwapFailed, match="is being accessed by other users") as failed:
            pair.swap(owner)
        assert "pg_stat_activity" in failed.value.hint
        assert superuser.execute("SELECT 1").fetchone() == (1,)
        for each in others:
            with pytest.raises(psycopg.OperationalError):
                each.execute("SELECT 1")
    assert seen(pair.live) == "old"
    assert pair.names(server) == {pair.live.dbname, pair.room.dbname}


def test_idle_transactions_in_the_databases_are_ended(pair: Pair, server: Server) -> None:
    with ExitStack() as stack:
        sessions = [psycopg.connect(each.conninfo()) for each in (pair.live, pair.room)]
        for session in sessions:
            stack.callback(session.close)
            session.execute("LOCK TABLE obsah IN ACCESS EXCLUSIVE MODE")
        pair.swap(server)
        for session in sessions:
            with pytest.raises(psycopg.OperationalError):
                session.execute("SELECT 1")
    assert seen(pair.live) == "new"


def test_a_transaction_in_the_live_database_that_holds_the_catalog_is_ended(
    pair: Pair, server: Server
) -> None:
    with psycopg.connect(pair.live.conninfo()) as holder:
        holder.execute("SELECT count(*) FROM pg_database")
        holder.execute("LOCK TABLE pg_database IN SHARE MODE")
        pair.swap(server)
        with pytest.raises(psycopg.OperationalError):
            holder.execute("SELECT 1")
    assert seen(pair.live) == "new"


def test_a_transaction_of_another_database_that_has_read_the_catalog_survives(
    pair: Pair, server: Server, new_database: Callable[[str], Server]
) -> None:
    elsewhere = new_database(f"jinde {next(_numbers)}")
    with psycopg.connect(elsewhere.conninfo()) as holder:
        holder.execute("SELECT count(*) FROM pg_database")
        with hammering(pair.live, 4) as clients:
            pair.swap(server)
        assert set.union(*(each.seen for each in clients)) == {("old", ROWS), ("new", ROWS)}
        assert holder.execute("SELECT 1").fetchone() == (1,)
    assert seen(pair.live) == "new"


def test_the_room_takes_a_name_that_nobody_has(pair: Pair, server: Server) -> None:
    with admin_of(server) as admin:
        databases.drop(admin, pair.live.dbname)
    pair.swap(server)
    assert seen(pair.live) == "new"
    assert pair.names(server) == {pair.live.dbname}


def test_the_session_has_no_time_limits_left(pair: Pair, server: Server) -> None:
    with admin_of(server) as admin:
        swap.exchange(admin, server, pair.wanted(admin))
        for name in ("lock_timeout", "statement_timeout"):
            assert admin.execute(f"SHOW {name}".encode()).fetchone() == ("0",)


@pytest.mark.parametrize("as_owner", [False, True], ids=["superuser", "ordinary"])
def test_a_database_that_was_renamed_meanwhile_is_left_alone(
    pair: Pair, server: Server, owner: Server, as_owner: bool
) -> None:
    with admin_of(owner if as_owner else server) as admin:
        wanted = pair.wanted(admin)
        databases.rename(admin, pair.room.dbname, f"{pair.room.dbname} jinak")
        databases.create(admin, pair.room.dbname, {})
        with pytest.raises(SwapFailed, match="is no longer the database that it was"):
            swap.exchange(admin, server, wanted)
    assert seen(pair.live) == "old"
    expected = {pair.live.dbname, pair.room.dbname, f"{pair.room.dbname} jinak"}
    assert pair.names(server) == expected


def test_a_second_rename_that_fails_takes_the_first_back(pair: Pair, server: Server) -> None:
    with admin_of(server) as admin:
        databases.create(admin, pair.kept, {})
        with pytest.raises(SwapFailed, match="already exists"):
            swap.exchange(admin, server, pair.wanted(admin))
    assert seen(pair.live) == "old"
    assert pair.names(server) == {pair.live.dbname, pair.room.dbname, pair.kept}


@pytest.fixture
def with_prepared_transactions() -> Iterator[Server]:
    folder = new_folder()
    options = {**_FAST, "max_prepared_transactions": "2"}
    with EmbeddedServer(folder / "state" / "c" / "x", "kajovo", options, disposable=True) as server:
        yield server


def test_a_prepared_transaction_is_told_and_nothing_is_changed(
    with_prepared_transactions: Server,
) -> None:
    server = with_prepared_transactions
    pair = Pair(server.database("hotel"), server.database("hotel__restore"))
    with admin_of(server) as admin:
        for each, which in ((pair.live, "old"), (pair.room, "new")):
            databases.create(admin, each.dbname, {})
            plant(each, which)
    with psycopg.connect(pair.live.conninfo(), autocommit=True) as session:
        session.execute("BEGIN; DELETE FROM obsah; PREPARE TRANSACTION 'platba č. 7'")
    with pytest.raises(SwapFailed, match=r"prepared transaction 'platba č\. 7' in hotel") as failed:
        pair.swap(server)
    assert "ROLLBACK PREPARED" in failed.value.hint
    assert seen(pair.live) == "old"
    with psycopg.connect(pair.live.conninfo(), autocommit=True) as session:
        session.execute("ROLLBACK PREPARED 'platba č. 7'")
    pair.swap(server)
    assert seen(pair.live) == "new"
