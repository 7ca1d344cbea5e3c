"""The hotel's lists: the five modules and the endpoints that catch what those miss.

Belongs here: GET endpoints and their queries. Not here: shapes (``models``), writing (``reports``),
files (``media``).
"""

from __future__ import annotations

import base64
import binascii
from datetime import date
from typing import Any

from pydantic import TypeAdapter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from kajovo_dr.sandbox import access, models, web
from kajovo_dr.sandbox.pool import Row

_DAY = TypeAdapter(date)
_STATUS: TypeAdapter[str] = TypeAdapter(models.LostFoundStatus)
_MOVEMENTS = (
    "SELECT m.*, i.name AS item_name, i.unit, c.number AS card_number FROM inventory_movements m"
    " JOIN inventory_items i ON i.id = m.item_id LEFT JOIN inventory_cards c ON c.id = m.card_id"
)


def with_photos(table: str, photos: str, parent: str) -> str:
    """SELECT of a table, named t, with the photos of each row as JSON."""
    return (
        f"SELECT t.*, coalesce(f.photos, '[]') AS photos FROM {table} t LEFT JOIN"  # noqa: S608
        f" (SELECT {parent}, json_agg(p ORDER BY sort_order, id) AS photos FROM {photos} p"
        f" GROUP BY {parent}) f ON f.{parent} = t.id "
    )


def rows(request: Request, sql: str, *values: Any) -> list[Row]:
    """The rows of a query, in a transaction of its own."""
    with request.app.state.pool.session() as session:
        found: list[Row] = session.execute(sql, values).fetchall()
        return found


def _breakfast(request: Request) -> Response:
    access.require(request, "breakfast:read")
    sql = "SELECT * FROM breakfast_orders WHERE guest_count > 0 ORDER BY id"
    return web.answers(models.BREAKFAST, rows(request, sql))


def _breakfast_summary(request: Request) -> Response:
    access.require(request, "breakfast:read")
    day = web.query(request, "service_date", _DAY)
    counted = rows(
        request,
        "SELECT status, count(*) AS orders, sum(guest_count) AS guests FROM breakfast_orders"
        " WHERE service_date = %s AND guest_count > 0 GROUP BY status ORDER BY status",
        day,
    )
    summary = models.BreakfastSummary(
        service_date=day,
        total_orders=sum(row["orders"] for row in counted),
        total_guests=sum(row["guests"] for row in counted),
        status_counts={row["status"]: row["orders"] for row in counted},
    )
    return web.answer(summary)


def _lost_found(request: Request) -> Response:
    """Without a status only what is new: the trap that a count has to know."""
    access.require(request, "lost_found:read")
    named = "status" in request.query_params
    status = web.query(request, "status", _STATUS) if named else "new"
    sql = with_photos("lost_found_items", "lost_found_photos", "item_id")
    found = rows(request, sql + "WHERE t.status = %s ORDER BY t.id", status)
    return web.answers(models.LOST_FOUND, found)


def _issues(request: Request) -> Response:
    actor = access.require(request, "issues:read")
    only = "WHERE t.status IN ('new', 'in_progress') " if actor.active_role == "údržba" else ""
    sql = with_photos("issues", "issue_photos", "issue_id") + only + "ORDER BY t.id"
    return web.answers(models.ISSUES, rows(request, sql))


def _inventory(request: Request) -> Response:
    access.require(request, "inventory:read")
    return web.answers(models.INVENTORY, rows(request, "SELECT * FROM inventory_items ORDER BY id"))


def _inventory_item(request: Request) -> Response:
    access.require(request, "inventory:read")
    number = request.path_params["id"]
    found = rows(request, "SELECT * FROM inventory_items WHERE id = %s", number)
    if not found:
        raise HTTPException(404, "Inventory item not found")
    moved = rows(request, _MOVEMENTS + " WHERE m.item_id = %s ORDER BY m.id", number)
    return web.answer(models.InventoryItemDetail(**found[0], movements=moved))


def _movements(request: Request) -> Response:
    access.require(request, "inventory:read")
    return web.answers(models.MOVEMENTS, rows(request, _MOVEMENTS + " ORDER BY m.id"))


def _cards(request: Request) -> Response:
    access.require(request, "inventory:read")
    return web.answers(models.CARDS, rows(request, "SELECT * FROM inventory_cards ORDER BY id"))


def _users(request: Request) -> Response:
    access.require_admin(request)
    sql = (
        "SELECT u.*, ARRAY(SELECT role FROM portal_user_roles r WHERE r.user_id = u.id"
        " ORDER BY role) AS roles FROM portal_users u ORDER BY u.id"
    )
    return web.answers(models.USERS, rows(request, sql))


def _smtp(request: Request) -> Response:
    """Names its columns: a database that was not migrated to head answers 500."""
    access.require_admin(request)
    found = rows(
        request,
        "SELECT from_email, host, port, username, password_encrypted, use_tls, use_ssl,"
        " last_tested_at, last_test_success, last_test_error FROM portal_smtp_settings"
        " ORDER BY id LIMIT 1",
    )
    if not found:
        raise HTTPException(404, "SMTP settings not found")
    masked = _masked(found[0].pop("password_encrypted"))
    return web.answer(models.SmtpSettings(**found[0], password_masked=masked))


def _masked(stored: str) -> str:
    try:
        secret = base64.b64decode(stored, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return f"{secret[0]}****{secret[-1]}" if secret else ""


ROUTES = [
    web.get("/api/v1/breakfast", _breakfast),
    web.get("/api/v1/breakfast/daily-summary", _breakfast_summary),
    web.get("/api/v1/lost-found", _lost_found),
    web.get("/api/v1/issues", _issues),
    web.get("/api/v1/inventory", _inventory),
    web.get("/api/v1/inventory/movements", _movements),
    web.get("/api/v1/inventory/cards", _cards),
    web.get("/api/v1/inventory/{id:int}", _inventory_item),
    web.get("/api/v1/users", _users),
    web.get("/api/v1/admin/settings/smtp", _smtp),
]
