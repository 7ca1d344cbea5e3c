"""What the seed writes into each table: one SQL expression of the row number ``i`` per column.

Belongs here: expressions; the server evaluates them, so that millions of rows cost no traffic. Not
here: how many rows (``seed_plan``), words (``czech``), people and photos (``seed_people``).

No now(), no random(): the same number of rows always gives the same bytes.
"""

from __future__ import annotations

from kajovo_dr.sandbox.czech import WORDS

#: The seeded hotel's "today"; everything else lies before it.
BASE_DATE = "2026-11-15"
_YEAR_S = 31_536_000


def _pick(words: str, index: str = "i") -> str:
    """One of the Czech texts."""
    return f"(%({words})s::text[])[1 + ({index}) %% {len(WORDS[words])}]"


def _one(index: str, *values: str) -> str:
    """One of a few ASCII words of the application."""
    quoted = ", ".join(f"'{value}'" for value in values)
    return f"(ARRAY[{quoted}])[1 + ({index}) %% {len(values)}]"


def _when(condition: str, value: str) -> str:
    return f"CASE WHEN {condition} THEN {value} END"


def _ago(stride: int) -> str:
    """A moment of the past year; the stride scatters neighbours over it."""
    return (
        f"timestamptz '{BASE_DATE} 20:00:00+00' - (i * {stride} %% {_YEAR_S}) * interval '1 second'"
        " - (i %% 997) * interval '1 millisecond'"
    )


def _later(stride: int, hours: int = 72) -> str:
    """A moment at most so many hours after `_ago` of the same stride."""
    return f"{_ago(stride)} + (i %% {hours * 60}) * interval '1 minute'"


def _room(index: str) -> str:
    return f"(100 * (1 + ({index}) %% 4) + 1 + ({index}) %% 23)::text"


_GUEST = f"{_pick('first', 'i * 5 + i / 19')} || ' ' || {_pick('last', 'i * 7 + i / 17')}"
_CARD = "1 + (1 + i %% %(card_items)s - 1) %% %(cards)s"  # the card of a movement's card item
_ON_CARD = "i %% 4 < 3"  # the other movements are corrections without a document

#: Table -> column -> expression, in an order that keeps foreign keys whole. ``id`` is ``i``.
TABLES: dict[str, dict[str, str]] = {
    "device_registrations": {
        "device_id": "'zařízení-' || lpad(i::text, 4, '0')",
        "display_name": "'Tablet snídaně 🍳 č. ' || i",
        "status": _one("i", "active", "pending", "blocked"),
        "secret_hash": "md5('tajemství' || i) || md5('zařízení' || i)",
        "registered_at": _ago(86_413),
        "last_seen_at": _when("i %% 3 > 0", _later(86_413)),
        "updated_at": _later(86_413),
    },
    "device_challenges": {
        "challenge_id": "md5('výzva' || i)",
        "device_id": "'zařízení-' || lpad(i::text, 4, '0')",
        "challenge": "md5('otázka' || i)",
        "issued_at": _ago(3_607),
        "expires_at": f"{_ago(3_607)} + interval '5 minutes'",
        "consumed_at": _when("i %% 2 = 0", f"{_ago(3_607)} + interval '9 seconds'"),
    },
    "device_access_tokens": {
        "device_id": "'zařízení-' || lpad(i::text, 4, '0')",
        "token_hash": "md5('žeton' || i) || md5('hash' || i)",
        "issued_at": _ago(7_211),
        "expires_at": f"{_ago(7_211)} + interval '90 days'",
        "last_used_at": _later(7_211),
        "revoked_at": _when("i %% 3 = 0", _later(7_211, 99)),
    },
    "auth_lockout_states": {
        "actor_type": _one("i", "portal", "admin"),
        "principal": "'host' || i || '@hotel.example'",
        "failed_attempts": "1 + i %% 3",
        "first_failed_at": _ago(5_003),
        "last_failed_at": _later(5_003, 1),
        "locked_until": _when("i %% 3 = 2", f"{_ago(5_003)} + interval '1 hour'"),
        "created_at": _ago(5_003),
        "updated_at": _later(5_003, 1),
    },
    "auth_unlock_tokens": {
        "actor_type": _one("i", "portal", "admin"),
        "principal": "'host' || i || '@hotel.example'",
        "purpose": _one("i", "unlock", "password_reset"),
        "token_hash": "md5('odemknout' || i) || md5('hash' || i)",
        "expires_at": f"{_ago(4_001)} + interval '24 hours'",
        "used_at": _when("i %% 2 = 0", _later(4_001, 1)),
        "created_at": _ago(4_001),
    },
    "breakfast_orders": {
        "service_date": f"date '{BASE_DATE}' + 3 - (i %% 180)::int",
        "room_number": _room("i * 3"),
        "guest_name": _GUEST,
        # A cancelled stay leaves an order for nobody; the list hides it.
        "guest_count": "CASE WHEN i %% 97 = 0 THEN 0 ELSE 1 + i %% 4 END",
        "status": _one("i / 3", "pending", "preparing", "served", "served", "cancelled"),
        "note": _when("i %% 3 > 0", _pick("breakfast_note", "i / 3")),
        "diet_no_gluten": "i %% 11 = 0",
        "diet_no_milk": "i %% 13 = 0",
        "diet_no_pork": "i %% 7 = 0",
        "created_at": _ago(613),
        "updated_at": _later(613),
    },
    "issues": {
        "title": f"{_pick('issue_title')} || ' – pokoj ' || {_room('i * 3')}",
        "description": _when("i %% 8 > 0", _pick("issue_text", "i / 3")),
        "location": _pick("place", "i * 3"),
        "room_number": _when("i %% 3 > 0", _room("i * 3")),
        "priority": _one("i / 2", "low", "medium", "high", "critical"),
        "status": _one("i", "new", "in_progress", "resolved", "closed"),
        "assignee": _when("i %% 4 > 0", _pick("assignee", "i / 4")),
        "in_progress_at": _when("i %% 4 > 0", _later(1_801, 24)),
        "resolved_at": _when("i %% 4 > 1", _later(1_801, 24) + " + interval '1 day'"),
        "closed_at": _when("i %% 4 = 3", _later(1_801, 24) + " + interval '3 days'"),
        "created_at": _ago(1_801),
        "updated_at": _later(1_801, 24) + " + interval '3 days'",
    },
    "lost_found_items": {
        "item_type": _one("i / 2", "found", "lost", "found"),
        "description": f"{_pick('thing')} || ', ' || {_pick('place', 'i * 3 + i / 11')}",
        "category": _pick("category", "i / 5"),
        "location": _pick("place", "i * 3 + i / 11"),
        "room_number": _when("i %% 2 = 0", _room("i")),
        "event_at": _ago(2_203),
        "status": _one("i", "new", "stored", "claimed", "returned", "disposed"),
        "tags_json": _pick("tags", "i / 2"),
        "claimant_name": _when("i %% 5 IN (2, 3)", _GUEST),
        "claimant_contact": _when(
            "i %% 5 IN (2, 3)", "'+420 60' || lpad((i %% 9999999)::text, 7, '1')"
        ),
        "handover_note": _when("i %% 5 = 3", _pick("handover", "i / 5")),
        "claimed_at": _when("i %% 5 IN (2, 3)", _later(2_203)),
        "returned_at": _when("i %% 5 = 3", _later(2_203) + " + interval '2 days'"),
        "created_at": _ago(2_203),
        "updated_at": _later(2_203) + " + interval '2 days'",
    },
    "reports": {
        "title": f"{_pick('report_title')} || ' č. ' || i",
        "description": _when("i %% 9 > 0", _pick("report_text", "i / 2")),
        "status": _one("i", "open", "in_progress", "closed"),
        "created_at": _ago(1_409),
        "updated_at": _later(1_409),
    },
    "inventory_items": {
        "name": f"{_pick('item', 'i - 1')} || {_one('(i - 1) / 23', '', ' BIO', ' velké balení')}"
        " || CASE WHEN i > 69 THEN ' č. ' || i ELSE '' END",
        "unit": _one("i", "ks", "g", "l"),
        "min_stock": "5 + i %% 20",
        "current_stock": "i * 37 %% 400",
        "supplier": _when("i %% 6 > 0", _pick("supplier")),
        "amount_per_piece_base": "(i %% 5) * 250",
        "created_at": _ago(90_007),
        "updated_at": _later(90_007),
    },
    "inventory_cards": {
        "card_type": _one("i", "out", "in"),
        "number": _one("i", "V-", "P-") + " || lpad(i::text, 8, '0')",
        "card_date": f"date '{BASE_DATE}' - (i %% 360)::int",
        "supplier": _when("i %% 2 = 1", _pick("supplier", "i / 2")),
        "reference": _when("i %% 3 = 0", "'DL-' || 2026 || '/' || i"),
        "note": _when("i %% 5 = 0", _pick("movement_note")),
        "created_at": _ago(4_799),
        "updated_at": _later(4_799),
    },
    "inventory_card_items": {
        "card_id": "1 + (i - 1) %% %(cards)s",
        "ingredient_id": "1 + i * 7919 %% %(items)s",
        "quantity_base": "10 + i %% 990",
        "quantity_pieces": "i %% 24",
        "note": _when("i %% 6 = 0", _pick("movement_note", "i / 6")),
        "created_at": _ago(2_999),
        "updated_at": _later(2_999),
    },
    "inventory_movements": {
        "item_id": "1 + (1 + i %% %(card_items)s) * 7919 %% %(items)s",
        "card_id": _when(_ON_CARD, _CARD),
        "card_item_id": _when(_ON_CARD, "1 + i %% %(card_items)s"),
        "movement_type": f"CASE WHEN {_ON_CARD} THEN {_one(_CARD, 'out', 'in')} ELSE 'adjust' END",
        "document_number": _when(
            _ON_CARD, f"{_one(_CARD, 'V-', 'P-')} || lpad(({_CARD})::text, 8, '0')"
        ),
        "document_reference": _when("i %% 12 = 0", "'inventura ' || i %% 12"),
        "document_date": _when(_ON_CARD, f"date '{BASE_DATE}' - (({_CARD}) %% 360)::int"),
        "quantity": "1 + i %% 480",
        "quantity_pieces": "i %% 24",
        "note": _when("i %% 3 > 0", _pick("movement_note", "i / 3")),
        "created_at": _ago(601),
        "updated_at": _later(601, 1),
    },
    "inventory_audit_logs": {
        "entity": _one("i", "item", "card", "movement"),
        "resource_id": "1 + i %% %(items)s",
        "action": _one("i / 3", "create", "update", "delete"),
        "detail": _pick("audit_detail"),
        "created_at": _ago(3_001),
        "updated_at": _ago(3_001),
    },
    "audit_trail": {
        "request_id": "md5(i::text)::uuid::text",
        "actor": "(%(emails)s::text[])[1 + i %% %(people)s]",
        "actor_id": "(1 + i %% %(people)s)::text",
        "actor_role": "(%(roles)s::text[])[1 + i %% %(people)s]",
        "module": _one("i / 7", "breakfast", "lost_found", "issues", "inventory", "reports"),
        "action": _one("i", "POST", "PUT", "DELETE", "POST"),
        "resource": "'/api/v1/' || "
        + _one("i / 7", "breakfast", "lost-found", "issues", "inventory", "reports")
        + " || '/' || i",
        "status_code": "(ARRAY[201, 200, 204, 201, 422, 200, 403])[1 + i %% 7]",
        "detail": _when("i %% 5 > 0", _pick("audit_detail", "i / 5")),
        "created_at": _ago(487),
    },
}


def statement(table: str) -> str:
    """INSERT of the rows ``lo`` to ``hi``; the parameters are `WORDS` and the seed's counts."""
    columns = {"id": "i", **TABLES[table]}
    expressions = ",\n       ".join(columns.values())
    return (
        f"INSERT INTO {table} ({', '.join(columns)})\nSELECT {expressions}\n"
        "FROM generate_series(%(lo)s::bigint, %(hi)s::bigint) AS i"
    )
