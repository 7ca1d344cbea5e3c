"""The database of the hotel's old system, from which migrate_legacy imports.

Belongs here: its documented tables and the same Czech rows every time, all of them such that the
new application accepts what becomes of them. Not here: the import (``migrate_legacy``).
"""

from __future__ import annotations

from typing import LiteralString

from kajovo_dr.errors import SandboxError
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.sandbox.czech import WORDS

LEGACY_DATABASE = "kajovo_legacy"
#: Below this some domain would stay empty, or no breakfast be for nobody.
MINIMUM = 30

_TABLES: tuple[LiteralString, ...] = (
    "CREATE TYPE report_type AS ENUM ('FIND', 'ISSUE')",
    "CREATE TYPE report_status AS ENUM ('OPEN', 'DONE')",
    # the new application knows neither KG nor ML
    "CREATE TYPE ingredient_unit AS ENUM ('KG', 'G', 'L', 'ML', 'KS')",
    "CREATE TYPE stock_card_type AS ENUM ('IN', 'OUT')",
    """CREATE TABLE breakfast_days (
        id serial PRIMARY KEY, day date NOT NULL UNIQUE,
        created_at timestamptz NOT NULL DEFAULT now())""",
    """CREATE TABLE breakfast_entries (
        id serial PRIMARY KEY, breakfast_day_id int NOT NULL REFERENCES breakfast_days,
        room varchar(16) NOT NULL, breakfast_count int NOT NULL, guest_name varchar(120),
        note text, checked_at timestamptz)""",
    """CREATE TABLE reports (
        id serial PRIMARY KEY, report_type report_type NOT NULL, status report_status NOT NULL,
        room varchar(16), description varchar(50) NOT NULL, done_at timestamptz,
        created_at timestamptz NOT NULL)""",
    """CREATE TABLE inventory_ingredients (
        id serial PRIMARY KEY, name varchar(120) NOT NULL, unit ingredient_unit NOT NULL,
        stock_qty_base int NOT NULL, amount_per_piece_base int)""",
    """CREATE TABLE inventory_stock_cards (
        id serial PRIMARY KEY, card_type stock_card_type NOT NULL,
        number varchar(32) NOT NULL UNIQUE, card_date date NOT NULL)""",
    """CREATE TABLE inventory_stock_card_lines (
        id serial PRIMARY KEY, card_id int NOT NULL REFERENCES inventory_stock_cards,
        ingredient_id int NOT NULL REFERENCES inventory_ingredients,
        qty_delta_base int NOT NULL, qty_pieces int)""",
)
# No now(), no random(): the same number of rows always gives the same ones. A day has five
# breakfasts, a card three lines; every sixth breakfast is for nobody.
_ROWS: tuple[LiteralString, ...] = (
    """INSERT INTO breakfast_days (day, created_at)
        SELECT date '2025-01-10' + i, timestamptz '2025-01-09 18:00:00+00' + i * interval '1 day'
        FROM generate_series(0, (%(breakfasts)s - 1) / 5) AS i""",
    """INSERT INTO breakfast_entries
            (breakfast_day_id, room, breakfast_count, guest_name, note, checked_at)
        SELECT 1 + (i - 1) / 5, (100 * (1 + i %% 4) + 1 + i %% 23)::text,
            CASE WHEN i %% 6 = 0 THEN 0 ELSE 1 + i %% 4 END,
            CASE WHEN i %% 9 > 0 THEN (%(first)s::text[])[1 + i %% %(firsts)s]
                || ' ' || (%(last)s::text[])[1 + i * 7 %% %(lasts)s] END,
            CASE WHEN i %% 3 > 0 THEN (%(note)s::text[])[1 + i %% %(notes)s] END,
            CASE WHEN i %% 4 > 0
                THEN timestamptz '2025-01-10 07:30:00+00' + (i - 1) / 5 * interval '1 day' END
        FROM generate_series(1, %(breakfasts)s) AS i""",
    """INSERT INTO reports (report_type, status, room, description, done_at, created_at)
        SELECT (ARRAY['FIND', 'ISSUE'])[1 + i %% 2]::report_type,
            (ARRAY['OPEN', 'DONE', 'DONE'])[1 + i %% 3]::report_status,
            CASE WHEN i %% 5 > 0 THEN (100 * (1 + i %% 4) + 1 + i %% 23)::text END,
            CASE WHEN i %% 2 = 0 THEN (%(thing)s::text[])[1 + i %% %(things)s]
                ELSE (%(issue)s::text[])[1 + i %% %(issues)s] END,
            CASE WHEN i %% 3 > 0
                THEN timestamptz '2025-01-12 09:00:00+00' + i * interval '3 hours' END,
            timestamptz '2025-01-10 09:00:00+00' + i * interval '3 hours'
        FROM generate_series(1, %(reports)s) AS i""",
    """INSERT INTO inventory_ingredients (name, unit, stock_qty_base, amount_per_piece_base)
        SELECT (%(item)s::text[])[1 + (i - 1) %% %(items)s]
                || CASE WHEN i > %(items)s THEN ' č. ' || i ELSE '' END,
            (ARRAY['KS', 'G', 'L'])[1 + i %% 3]::ingredient_unit, i * 37 %% 400,
            CASE WHEN i %% 3 > 0 THEN i %% 5 * 250 END
        FROM generate_series(1, %(ingredients)s) AS i""",
    """INSERT INTO inventory_stock_cards (card_type, number, card_date)
        SELECT (ARRAY['OUT', 'IN'])[1 + i %% 2]::stock_card_type, 'SK-' || lpad(i::text, 5, '0'),
            date '2025-01-10' + i
        FROM generate_series(1, 1 + (%(lines)s - 1) / 3) AS i""",
    """INSERT INTO inventory_stock_card_lines
            (card_id, ingredient_id, qty_delta_base, qty_pieces)
        SELECT 1 + (i - 1) / 3, 1 + i * 7 %% %(ingredients)s,
            CASE WHEN (1 + (i - 1) / 3) %% 2 = 1 THEN 1 ELSE -1 END * (10 + i %% 490),
            CASE WHEN i %% 4 > 0 THEN i %% 24 END
        FROM generate_series(1, %(lines)s) AS i""",
)


def create(server: Server, *, rows: int = 140) -> Server:
    """Make `LEGACY_DATABASE` anew on the server, in place of one that is there; its address.

    server: with another database than that one. rows: that migrate_legacy scans, in all domains.
    """
    amounts = _amounts(rows)
    with databases.connect(server) as session:
        databases.drop(session, LEGACY_DATABASE)
        databases.create(session, LEGACY_DATABASE, {})
    legacy = server.database(LEGACY_DATABASE)
    parameters = amounts | _words()
    with databases.connect(legacy, autocommit=False) as session:
        for table in _TABLES:
            session.execute(table)
        for statement in _ROWS:
            session.execute(statement, parameters)
    return legacy


def _amounts(rows: int) -> dict[str, object]:
    if rows < MINIMUM:
        raise SandboxError(
            f"{rows} rows are too few for the legacy database", hint=f"ask for {MINIMUM} at least."
        )
    counts = {"breakfasts": rows // 3, "reports": rows * 2 // 5, "ingredients": rows // 12}
    return {**counts, "lines": rows - sum(counts.values())}


def _words() -> dict[str, object]:
    """Texts of the hotel by the names above, and how many there are of each."""
    names = {"first": "first", "last": "last", "note": "breakfast_note"}
    names |= {"thing": "thing", "issue": "issue_title", "item": "item"}
    texts = {name: WORDS[words] for name, words in names.items()}
    return {**texts, **{f"{name}s": len(words) for name, words in texts.items()}}
