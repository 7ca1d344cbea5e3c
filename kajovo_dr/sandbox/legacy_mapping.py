"""What becomes of a row of the old system: its query, its table in the hotel, its new values.

Belongs here: one `Import` per legacy table, with the documented oddities (a breakfast for nobody
becomes one for one guest, an open find is stored). Not here: running them (``migrate_legacy``).
Nothing is validated: a unit that the API does not know is imported as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from kajovo_dr.sandbox import schema

Row = Mapping[str, Any]
#: (legacy table, its key) -> key of what it became.
Targets = Mapping[tuple[str, str], int]
#: New values, and what is to be noted about them.
Mapped = tuple[dict[str, Any], str | None]

_NOWHERE = "neuvedeno"


@dataclass(frozen=True)
class Import:
    """mapped: may raise LookupError when something that the row needs was not imported."""

    domain: str
    legacy_table: str
    query: str
    target: sa.Table
    mapped: Callable[[Row, Targets], Mapped]


def _place(row: Row) -> str:
    return f"Pokoj {row['room']}" if row["room"] else _NOWHERE


def _breakfast(row: Row, _: Targets) -> Mapped:
    count = row["breakfast_count"]
    values = {
        "service_date": row["day"],
        "room_number": row["room"],
        "guest_name": row["guest_name"] or _NOWHERE,
        "guest_count": max(1, count),
        "status": "served" if row["checked_at"] else "pending",
        "note": row["note"],
        "diet_no_gluten": False,
        "diet_no_milk": False,
        "diet_no_pork": False,
    }
    return values, None if count > 0 else f"breakfast_count {count} -> guest_count 1"


def _find(row: Row, _: Targets) -> Mapped:
    done = row["status"] == "DONE"
    values = {
        "item_type": "found",
        "description": row["description"],
        "category": "ostatní",
        "location": _place(row),
        "room_number": row["room"],
        "event_at": row["created_at"],
        "status": "returned" if done else "stored",
        "tags_json": "[]",
        "returned_at": row["done_at"],
    }
    return values, None if done else "status OPEN -> stored"


def _issue(row: Row, _: Targets) -> Mapped:
    values = {
        "title": row["description"],
        "location": _place(row),
        "room_number": row["room"],
        "priority": "medium",
        "status": "resolved" if row["status"] == "DONE" else "new",
        "resolved_at": row["done_at"],
    }
    return values, None


def _ingredient(row: Row, _: Targets) -> Mapped:
    values = {
        "name": row["name"],
        "unit": row["unit"].lower(),
        "min_stock": 0,
        "current_stock": row["stock_qty_base"],
        "amount_per_piece_base": row["amount_per_piece_base"] or 0,
    }
    return values, None


def _line(row: Row, targets: Targets) -> Mapped:
    ingredient = "inventory_ingredients", str(row["ingredient_id"])
    if ingredient not in targets:
        raise LookupError("missing migrated ingredient for line")
    values = {
        "item_id": targets[ingredient],
        "movement_type": row["card_type"].lower(),
        "document_number": row["number"],
        "document_date": row["card_date"],
        "quantity": abs(row["qty_delta_base"]),
        "quantity_pieces": abs(row["qty_pieces"] or 0),
    }
    return values, None


_REPORTS = (
    "SELECT id, status::text, room, description, done_at, created_at FROM reports"
    " WHERE report_type = '{}' ORDER BY id"
)
#: In this order: a line needs its ingredient.
IMPORTS = (
    Import(
        "snidane",
        "breakfast_entries",
        "SELECT e.id, d.day, e.room, e.breakfast_count, e.guest_name, e.note, e.checked_at"
        " FROM breakfast_entries e JOIN breakfast_days d ON d.id = e.breakfast_day_id"
        " ORDER BY e.id",
        schema.breakfast_orders,
        _breakfast,
    ),
    Import("ztraty-a-nalezy", "reports", _REPORTS.format("FIND"), schema.lost_found_items, _find),
    Import("zavady", "reports", _REPORTS.format("ISSUE"), schema.issues, _issue),
    Import(
        "sklad",
        "inventory_ingredients",
        "SELECT id, name, unit::text, stock_qty_base, amount_per_piece_base"
        " FROM inventory_ingredients ORDER BY id",
        schema.inventory_items,
        _ingredient,
    ),
    Import(
        "sklad",
        "inventory_stock_card_lines",
        "SELECT l.id, l.ingredient_id, l.qty_delta_base, l.qty_pieces, c.card_type::text,"
        " c.number, c.card_date FROM inventory_stock_card_lines l"
        " JOIN inventory_stock_cards c ON c.id = l.card_id ORDER BY l.id",
        schema.inventory_movements,
        _line,
    ),
)
