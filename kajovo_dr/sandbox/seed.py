"""Fills a migrated, empty hotel database with the same Czech data every time.

Belongs here: order, batches, progress. Not here: rows (``seed_tables``, ``seed_people``), amounts
(``seed_plan``). The server makes the rows; about 10 million take a few minutes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, LiteralString

from psycopg.sql import SQL, Identifier

from kajovo_dr.errors import SandboxError
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.databases import Connection
from kajovo_dr.postgres.server import Server
from kajovo_dr.progress import Progress, silent
from kajovo_dr.sandbox import seed_people, seed_tables
from kajovo_dr.sandbox.czech import STAFF, WORDS
from kajovo_dr.sandbox.seed_plan import plan

#: Rows per statement: short enough for progress, long enough to cost nothing.
_BATCH = 250_000
_DATABASE_SIZE: LiteralString = "SELECT pg_database_size(current_database())"


def seed(
    server: Server,
    *,
    rows: int = 1000,
    media_root: Path | None = None,
    progress: Progress = silent,
) -> dict[str, int]:
    """Fill the database, all or nothing; returns table -> rows, in sum exactly `rows`.

    media_root: where the files of the photos are written; without it their rows point nowhere.
    progress: per table, bytes on disk so far and bytes expected.
    """
    counts = plan(rows)
    with databases.connect(server, autocommit=False) as connection:
        _require_empty(connection)
        parameters = _parameters(counts)
        seed_people.staff(connection)
        seed_people.mail(connection)
        indexes = _drop_indexes(connection)
        for table in seed_tables.TABLES:
            _fill(connection, table, counts[table], parameters, progress)
        for table in seed_people.PHOTOS:
            seed_people.photos(connection, table, counts[table], media_root)
        seed_people.pictograms(connection, media_root)
        for definition in indexes:
            connection.execute(definition)
            progress("seed indexes", _number(connection, _DATABASE_SIZE), None)
        _advance_sequences(connection, counts)
        connection.execute("ANALYZE")
    return counts


def _require_empty(connection: Connection) -> None:
    """Refuse a database without the hotel's tables, and one that somebody uses."""
    found = connection.execute(
        "SELECT to_regclass('public.portal_users'), to_regclass('public.audit_trail')"
    ).fetchone()
    assert found
    if None in found:
        raise SandboxError(
            f"the database {connection.info.dbname} has no hotel tables",
            hint="run the sandbox's migrations first: alembic upgrade head.",
        )
    for table in ("portal_users", *seed_tables.TABLES):
        query = SQL("SELECT EXISTS (SELECT FROM {})").format(Identifier(table))
        if connection.execute(query).fetchone() == (True,):
            raise SandboxError(
                f"the table {table} of the database {connection.info.dbname} already has rows",
                hint="the sandbox is seeded once; make a new database to seed again.",
            )


def _parameters(counts: dict[str, int]) -> dict[str, Any]:
    return {
        **WORDS,
        "cards": counts["inventory_cards"],
        "card_items": counts["inventory_card_items"],
        "items": counts["inventory_items"],
        "emails": [email for _, _, email, _, _ in STAFF],
        "roles": [roles[0] for *_, roles in STAFF],
        "people": len(STAFF),
    }


def _drop_indexes(connection: Connection) -> list[str]:
    """Drop what keeps no constraint; returns the statements that bring it back.

    Building an index once is several times faster than keeping it up for every row.
    """
    found = connection.execute(
        "SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) FROM pg_index i"
        " JOIN pg_class c ON c.oid = i.indrelid WHERE c.relnamespace = 'public'::regnamespace"
        " AND NOT i.indisunique ORDER BY 1"
    ).fetchall()
    for name, _ in found:
        connection.execute(SQL("DROP INDEX {}").format(Identifier(name)))
    return [definition for _, definition in found]


def _fill(
    connection: Connection,
    table: str,
    count: int,
    parameters: dict[str, Any],
    progress: Progress,
) -> None:
    statement = seed_tables.statement(table)
    for low in range(1, count + 1, _BATCH):
        high = min(low + _BATCH - 1, count)
        connection.execute(statement.encode(), {**parameters, "lo": low, "hi": high})
        size = _number(connection, "SELECT pg_relation_size(%s::regclass)", table)
        progress(f"seed {table}", size, size * count // high)


def _number(connection: Connection, query: LiteralString, *values: str) -> int:
    found = connection.execute(query, values).fetchone()
    assert found
    return int(found[0])


def _advance_sequences(connection: Connection, counts: dict[str, int]) -> None:
    """Ids were given explicitly; the next insert of the application must not meet them."""
    for table, count in counts.items():
        if table != "portal_user_roles":  # no id
            connection.execute(
                "SELECT setval(pg_get_serial_sequence(%s, 'id'), %s)", (table, count)
            )
