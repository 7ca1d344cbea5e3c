"""Under test: that what a recovery takes away is counted exactly, without touching anything."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import psycopg
import pytest

from kajovo_dr.backups.catalog import Backup
from kajovo_dr.errors import DatabaseMissing, SettingError
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.recovery import losses
from kajovo_dr.recovery.losses import Account, accounts_taken_back, lost_rows
from kajovo_dr.settings import Settings

QUERY = "SELECT kdo, hash FROM účty"
HASH = "scrypt$sůl$otisk"


def execute(server: Server, *statements: str) -> None:
    with databases.connect(server) as session:
        for statement in statements:
            session.execute(statement.encode())


def test_an_unchanged_database_loses_nothing(small: Server, backup: Backup) -> None:
    assert lost_rows(small, backup) == {}


def test_rows_are_counted_by_table_both_ways(small: Server, backup: Backup) -> None:
    execute(
        small,
        "INSERT INTO hosté (jméno) SELECT 'nový' FROM generate_series(1, 7)",
        'DELETE FROM "Kniha ""přání""" WHERE text IS NULL',
        "CREATE SCHEMA nové",
        "CREATE TABLE nové.pokoje AS SELECT 1 AS číslo",
        "CREATE TABLE nové.bez AS SELECT 1 AS číslo WHERE false",
        "CREATE TEMPORARY TABLE chvíle AS SELECT 1 AS číslo",
        "CREATE VIEW pohled AS SELECT * FROM hosté",
    )
    assert lost_rows(small, backup) == {
        "public.hosté": 7,
        'public.Kniha "přání"': -1,
        "nové.pokoje": 1,
    }
    execute(small, "DROP TABLE hosté CASCADE")
    assert lost_rows(small, backup)["public.hosté"] == -50


def test_a_table_that_cannot_be_counted_is_left_out(
    small: Server, backup: Backup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses, "_LOCKED_S", 0.2)
    execute(small, "INSERT INTO prázdná VALUES (1)", "DELETE FROM hosté")
    with closing(psycopg.connect(small.conninfo())) as other:
        other.execute("LOCK TABLE hosté IN ACCESS EXCLUSIVE MODE")
        assert lost_rows(small, backup) == {"public.prázdná": 1}
    monkeypatch.setattr(losses, "_COUNTED_WITHIN_S", 0.0)
    assert lost_rows(small, backup) == {}


def test_a_slow_count_is_cut_off(
    small: Server, backup: Backup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses, "_COUNTED_WITHIN_S", 0.3)
    monkeypatch.setattr(losses, "_LOCKED_S", 60)
    execute(small, "DELETE FROM hosté")
    with closing(psycopg.connect(small.conninfo())) as other:
        other.execute("LOCK TABLE hosté IN ACCESS EXCLUSIVE MODE")
        assert lost_rows(small, backup) == {}


def test_rows_that_a_policy_hides_are_not_taken_for_lost(
    small: Server, backup: Backup, server: Server
) -> None:
    execute(
        small,
        "INSERT INTO prázdná VALUES (1)",
        "ALTER TABLE hosté ENABLE ROW LEVEL SECURITY",
        "CREATE ROLE nahlížitel LOGIN PASSWORD 'x'",
        "GRANT SELECT ON hosté, prázdná TO nahlížitel",
    )
    try:
        params = {**small.params, "user": "nahlížitel", "password": "x"}
        assert lost_rows(Server(params), backup) == {"public.prázdná": 1}
    finally:
        execute(small, "DROP OWNED BY nahlížitel", "DROP ROLE nahlížitel")


def test_a_database_that_is_gone_cannot_be_counted(small: Server, backup: Backup) -> None:
    with pytest.raises(DatabaseMissing):
        lost_rows(small.database("nikde"), backup)


@pytest.fixture
def both(small: Server, new_database: Callable[[str], Server]) -> tuple[Server, Server]:
    """A live database with accounts, and a restored one with those of yesterday."""
    restored = new_database("obnovená")
    for server, rows in (
        (small, "('stejný', 'a'), ('změněný', 'nový'), ('přibyl', 'b'), ('bez', NULL)"),
        (restored, "('stejný', 'a'), ('změněný', 'starý'), ('vrací se', 'c'), ('bez', NULL)"),
    ):
        execute(
            server, "CREATE TABLE účty (kdo text, hash text)", f"INSERT INTO účty VALUES {rows}"
        )
    return small, restored


def asked(query: str) -> Settings:
    return Settings.load(password_hashes_sql=query)


def test_accounts_that_go_back_in_time_are_named(both: tuple[Server, Server]) -> None:
    assert accounts_taken_back(asked(QUERY), *both) == [
        Account("přibyl", "deleted"),
        Account("vrací se", "returns"),
        Account("změněný", "password"),
    ]


def test_equal_databases_take_nothing_back(both: tuple[Server, Server]) -> None:
    assert accounts_taken_back(asked(QUERY), both[0], both[0]) == []


def test_an_account_with_a_hash_less_is_changed(both: tuple[Server, Server]) -> None:
    execute(both[1], "UPDATE účty SET hash = NULL WHERE kdo = 'stejný'")
    execute(both[0], "INSERT INTO účty VALUES ('bez', 'd'), ('bez', NULL)")  # one of three has one
    found = accounts_taken_back(asked(QUERY), *both)
    assert Account("stejný", "password") in found
    assert Account("bez", "password") in found


def test_no_query_and_no_table_are_no_accounts(both: tuple[Server, Server]) -> None:
    assert accounts_taken_back(asked("none"), *both) == []
    assert accounts_taken_back(Settings.load(), *both) == []  # no hotel here
    execute(both[1], "DROP TABLE účty")
    assert accounts_taken_back(asked(QUERY), *both) == []


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("SELECT kdo FROM účty", "it returns 1 columns, not two"),
        ("SET search_path = public", "it returns 0 columns, not two"),
        ("SELECT kdo, heslo FROM účty", 'column "heslo" does not exist'),
        ("SELECT kdo FROM", "syntax error"),
        ("DELETE FROM účty RETURNING kdo, hash", "ReadOnlySqlTransaction"),
        (f"SELECT kdo, '{HASH}'::int FROM účty", "InvalidTextRepresentation"),
    ],
)
def test_a_query_that_fails_is_named_without_a_hash(
    both: tuple[Server, Server], query: str, why: str
) -> None:
    with pytest.raises(SettingError, match=rf"^KAJOVO_DR_PASSWORD_HASHES_SQL: .*{why}") as refused:
        accounts_taken_back(asked(query), *both)
    assert HASH not in str(refused.getrepr(chain=False, style="native"))
    assert refused.value.__suppress_context__ or refused.value.__context__ is None
    with databases.connect(both[0]) as session:
        assert session.execute("SELECT count(*) FROM účty".encode()).fetchone() == (4,)


def test_a_database_that_is_gone_is_no_mistake_of_the_query(both: tuple[Server, Server]) -> None:
    with pytest.raises(DatabaseMissing):
        accounts_taken_back(asked(QUERY), both[0].database("nikde"), both[1])
