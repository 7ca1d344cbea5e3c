"""Who is asking, and what a role may do.

Belongs here: sessions, roles and permissions. Not here: passwords and lockout (``login``).
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request

from kajovo_dr.sandbox.models import Me
from kajovo_dr.sandbox.pool import Pool, Session

_AREAS = ("breakfast", "lost_found", "issues", "inventory", "reports", "users", "settings", "audit")
_BY_ROLE = {
    "admin": _AREAS,
    "recepce": ("breakfast", "lost_found", "reports"),
    "údržba": ("issues",),
    "pokojská": (),
    "sklad": ("inventory", "reports"),
    "snídaně": ("breakfast",),
}
#: Seconds; also the cookies' Max-Age.
SESSION_S = 3600


@dataclass(frozen=True)
class Actor:
    """Somebody with a valid session."""

    session_id: str
    actor_type: str
    principal: str
    portal_user_id: int | None
    role: str
    roles: tuple[str, ...]
    active_role: str | None

    @property
    def permissions(self) -> list[str]:
        """``area:read`` and ``area:write`` of the role in force; an unknown role is a KeyError."""
        role = "admin" if self.actor_type == "admin" else self.active_role
        areas = _BY_ROLE[role] if role else ()
        return [f"{area}:{right}" for area in areas for right in ("read", "write")]

    def shown(self) -> Me:
        """As /api/auth/me answers it."""
        return Me(
            email=self.principal,
            role=self.role,
            roles=list(self.roles),
            active_role=self.active_role,
            permissions=self.permissions,
            actor_type=self.actor_type,
        )


def find(pool: Pool, session_id: str) -> Actor | None:
    """The session's owner while it is valid. Every look-up writes: last_seen_at moves."""
    with pool.session() as session:
        row = session.execute(
            "UPDATE auth_sessions SET last_seen_at = now() WHERE session_id = %s"
            " AND revoked_at IS NULL AND expires_at > now() RETURNING actor_type, principal,"
            " portal_user_id, role, roles_json, active_role",
            (session_id,),
        ).fetchone()
    if row is None:
        return None
    roles = tuple(json.loads(row.pop("roles_json")))
    return Actor(session_id=session_id, roles=roles, **row)


def open_admin_session(session: Session, email: str, portal_user_id: int | None) -> Actor:
    """A new session of an administrator. The id is stored as it is, like the hotel does."""
    actor = Actor(secrets.token_urlsafe(32), "admin", email, portal_user_id, "admin", (), None)
    session.execute(
        "INSERT INTO auth_sessions (session_id, actor_type, principal, portal_user_id, role,"
        " roles_json, expires_at, last_seen_at)"
        " VALUES (%s, %s, %s, %s, %s, '[]', now() + %s * interval '1 second', now())",
        (actor.session_id, actor.actor_type, email, portal_user_id, actor.role, SESSION_S),
    )
    return actor


def revoke(pool: Pool, session_id: str) -> None:
    """End a session."""
    with pool.session() as session:
        session.execute(
            "UPDATE auth_sessions SET revoked_at = now(), updated_at = now() WHERE session_id = %s",
            (session_id,),
        )


def actor_of(request: Request) -> Actor:
    """Who is asking; 401 for a stranger, which needs no database."""
    actor: Actor | None = request.state.actor
    if actor is None:
        raise HTTPException(401, "Authentication required")
    return actor


def require(request: Request, permission: str) -> Actor:
    """Who is asking, when they may; 401 or 403 otherwise."""
    actor = actor_of(request)
    if actor.actor_type != "admin" and actor.active_role is None:
        raise HTTPException(403, "Active role must be selected")
    if permission not in actor.permissions:
        raise HTTPException(403, f"Missing permission: {permission}")
    return actor


def require_admin(request: Request) -> Actor:
    """Who is asking, when they are an administrator."""
    actor = actor_of(request)
    if actor.actor_type != "admin":
        raise HTTPException(403, "Missing actor type: admin")
    return actor
