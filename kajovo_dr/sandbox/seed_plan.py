"""How many rows each table gets for a wanted total: the size knob.

Belongs here: arithmetic. Not here: SQL.
"""

from __future__ import annotations

from kajovo_dr.errors import SandboxError
from kajovo_dr.sandbox.czech import STAFF

#: Below this, some table would stay empty or some column would never vary.
MINIMUM = 200

#: Tables that do not grow with the hotel.
_FIXED = {
    "portal_users": len(STAFF),
    "portal_user_roles": sum(len(roles) for *_, roles in STAFF),
    "auth_sessions": len(STAFF),
    "portal_smtp_settings": 1,
    "device_registrations": 4,
    "device_challenges": 4,
    "device_access_tokens": 4,
    "auth_lockout_states": 4,
    "auth_unlock_tokens": 4,
}
#: Thousandths of the rest; breakfast also takes what rounding leaves.
_SHARES = {
    "breakfast_orders": 320,
    "inventory_movements": 200,
    "audit_trail": 180,
    "issues": 90,
    "reports": 80,
    "lost_found_items": 70,
    "inventory_card_items": 30,
    "inventory_audit_logs": 20,
    "inventory_cards": 10,
}


def plan(rows: int) -> dict[str, int]:
    """Table -> rows; the sum is exactly `rows`. admin_profile belongs to the API."""
    if rows < MINIMUM:
        raise SandboxError(
            f"{rows} rows are too few for the sandbox hotel", hint=f"ask for {MINIMUM} at least."
        )
    counts = dict(_FIXED)
    left = rows - sum(counts.values())
    counts["issue_photos"] = min(24, left // 30)
    counts["report_photos"] = min(16, left // 40)
    counts["lost_found_photos"] = min(12, left // 50)
    counts["inventory_items"] = min(500, 12 + left // 200)
    left = rows - sum(counts.values())
    counts |= {table: max(1, left * share // 1000) for table, share in _SHARES.items()}
    counts["breakfast_orders"] += rows - sum(counts.values())
    return counts
