"""The migrations as an operator runs them: Alembic's command line in the sandbox folder."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from kajovo_dr.postgres.server import Server
from kajovo_dr.process import Completed, run
from kajovo_dr.sandbox import schema
from kajovo_dr.sandbox.seed import seed
from kajovo_dr_tests.sandbox.conftest import execute

_TYPES = {
    "int": "integer",
    "bool": "boolean",
    "timestamptz": "timestamp with time zone",
    "text": "text",
    "date": "date",
}
_FOREIGN_KEYS = {
    ("auth_sessions", "portal_user_id", "portal_users", "CASCADE"),
    ("inventory_card_items", "card_id", "inventory_cards", "CASCADE"),
    ("inventory_card_items", "ingredient_id", "inventory_items", "CASCADE"),
    ("inventory_movements", "item_id", "inventory_items", "CASCADE"),
    ("inventory_movements", "card_id", "inventory_cards", "SET NULL"),
    ("inventory_movements", "card_item_id", "inventory_card_items", "SET NULL"),
    ("issue_photos", "issue_id", "issues", "CASCADE"),
    ("report_photos", "report_id", "reports", "CASCADE"),
    ("lost_found_photos", "item_id", "lost_found_items", "CASCADE"),
    ("portal_user_roles", "user_id", "portal_users", "CASCADE"),
}
_UNIQUE = {
    ("inventory_cards", "number"),
    ("device_registrations", "device_id"),
    ("device_challenges", "challenge_id"),
    ("device_access_tokens", "token_hash"),
    ("portal_users", "email"),
    ("admin_profile", "email"),
    ("auth_unlock_tokens", "token_hash"),
    ("auth_sessions", "session_id"),
}


def alembic(database: Server | None, *words: str) -> Completed:
    env = dict(database.environment()) if database else {}
    env.pop("KAJOVO_API_DATABASE_URL", None)
    if database:
        env["KAJOVO_API_DATABASE_URL"] = database.sqlalchemy_url()
    env["PATH"] = env.get("PATH", "")
    argv = [sys.executable, "-m", "alembic", *words]
    return run(argv, env=env, timeout=60, cwd=schema.FOLDER)


def described() -> dict[str, list[tuple[str, str, bool, bool]]]:
    """The production tables: name -> (column, type, not null, default now())."""
    tables = {}
    for line in Path(__file__).with_name("hotel_tables.txt").read_text("utf-8").splitlines():
        table, columns = line.split(": ", 1)
        tables[table] = [_column(column) for column in columns.split(", ")]
    return tables


def _column(text: str) -> tuple[str, str, bool, bool]:
    name, kind = text.split(" ")
    plain = kind.removesuffix("=now()").removesuffix("!")
    length = re.fullmatch(r"varchar(\(\d+\))", plain)
    known = f"character varying{length[1]}" if length else _TYPES[plain]
    return name, known, "!" in kind, kind.endswith("=now()")


def test_an_empty_database_becomes_the_hotels_at_head_and_a_second_run_changes_nothing(
    database: Server,
) -> None:
    for _ in range(2):
        assert alembic(database, "upgrade", "head").returncode == 0
    assert alembic(database, "current").stdout.split() == [b"0025_add_smtp_from_email", b"(head)"]
    found = execute(database, "SELECT version_num FROM alembic_version")
    assert found == [(schema.HEAD_REVISION,)]


def test_there_is_one_head_and_every_revision_fits_its_column() -> None:
    heads = alembic(None, "heads").stdout.decode().split()
    assert heads == [schema.HEAD_REVISION, "(head)"]
    assert max(len(schema.HEAD_REVISION), len(schema.OLD_REVISION)) <= 32


def test_alembic_check_finds_no_difference_at_head_and_a_dropped_column_otherwise(
    database: Server,
) -> None:
    schema.upgrade(database.sqlalchemy_url())
    clean = alembic(database, "check")
    assert (clean.returncode, b"No new upgrade operations" in clean.stdout) == (0, True)
    execute(database, "ALTER TABLE inventory_movements DROP COLUMN updated_at")
    assert alembic(database, "check").returncode != 0


def test_without_a_database_url_the_command_says_so_in_one_line() -> None:
    refused = alembic(None, "current")
    assert refused.returncode != 0
    said = (refused.stdout.decode() + refused.stderr).strip()
    assert "KAJOVO_API_DATABASE_URL is not set" in said
    assert "Traceback" not in said


def test_columns_are_those_of_production(database: Server) -> None:
    schema.upgrade(database.sqlalchemy_url())
    found: dict[object, set[object]] = {}
    for table, *column in execute(
        database,
        "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,"
        " coalesce(pg_get_expr(d.adbin, d.adrelid) = 'now()', false)"
        " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0"
        " LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum"
        " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'"
        " AND c.relname <> 'alembic_version' AND NOT a.attisdropped",
    ):
        found.setdefault(table, set()).add(tuple(column))
    wanted = {table: set(columns) for table, columns in described().items()}
    assert len(wanted) == 23
    assert found == wanted


def test_keys_and_indexes_are_those_of_production(database: Server) -> None:
    schema.upgrade(database.sqlalchemy_url())
    foreign = execute(
        database,
        "SELECT conrelid::regclass::text, a.attname, confrelid::regclass::text,"
        " CASE confdeltype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' END"
        " FROM pg_constraint JOIN pg_attribute a ON a.attrelid = conrelid"
        " AND a.attnum = conkey[1] WHERE contype = 'f'",
    )
    unique = execute(
        database,
        "SELECT conrelid::regclass::text, a.attname FROM pg_constraint JOIN pg_attribute a"
        " ON a.attrelid = conrelid AND a.attnum = conkey[1]"
        " WHERE contype = 'u' AND connamespace = 'public'::regnamespace",
    )
    assert set(foreign) == _FOREIGN_KEYS
    assert set(unique) == _UNIQUE
    indexes = "SELECT count(*) FROM pg_indexes WHERE schemaname = 'public'"
    assert execute(database, indexes) == [(100,)]


def test_a_hotel_of_the_older_revision_is_upgraded_with_its_data(database: Server) -> None:
    schema.upgrade(database.sqlalchemy_url(), schema.OLD_REVISION)
    counts = seed(database, rows=300)
    assert alembic(database, "check").returncode != 0  # not up to date
    assert alembic(database, "upgrade", "head").returncode == 0
    assert alembic(database, "check").returncode == 0
    for table, rows in counts.items():
        assert execute(database, f"SELECT count(*) FROM {table}") == [(rows,)], table
    assert execute(database, "SELECT from_email FROM portal_smtp_settings") == [(None,)]


def test_a_password_with_every_special_character_can_be_used(
    server: Server, database: Server
) -> None:
    execute(server, """CREATE ROLE "hostinský" LOGIN SUPERUSER PASSWORD '50 %/@:#?''ž'""")
    try:
        params = {**database.params, "user": "hostinský", "password": "50 %/@:#?'ž"}
        assert alembic(Server(params), "upgrade", "head").returncode == 0
        assert len(execute(database, "SELECT * FROM alembic_version")) == 1
    finally:
        execute(server, f'DROP DATABASE "{database.dbname}" WITH (FORCE)')
        execute(server, 'DROP ROLE "hostinský"')
