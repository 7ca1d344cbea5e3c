"""Logging in and out of the hotel, and the lockout after three failures.

Belongs here: credentials, lockout rows, cookies, the administrator of the environment. Not here:
what a session may do (``access``).
"""

from __future__ import annotations

import secrets

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from kajovo_dr.sandbox import access, passwords, web
from kajovo_dr.sandbox.environment import ApiSettings
from kajovo_dr.sandbox.models import Credentials
from kajovo_dr.sandbox.pool import Pool, Row, Session

_FAILURES = 3


def synchronise_admin(pool: Pool, settings: ApiSettings) -> None:
    """Make row 1 of admin_profile the administrator of the environment; once, at start."""
    with pool.session() as session:
        row = session.execute("SELECT * FROM admin_profile WHERE id = 1").fetchone()
        if row and _is(row, settings):
            return
        session.execute(
            "INSERT INTO admin_profile (id, email, password_hash, display_name,"
            " password_changed_at) VALUES (1, %s, %s, 'Správce hotelu 🔑', now())"
            " ON CONFLICT (id) DO UPDATE SET email = excluded.email,"
            " password_hash = excluded.password_hash, password_changed_at = now(),"
            " updated_at = now()",
            (settings.admin_email, passwords.hashed(settings.admin_password)),
        )
        session.execute(
            "SELECT setval('admin_profile_id_seq', (SELECT max(id) FROM admin_profile))"
        )


def _is(row: Row, settings: ApiSettings) -> bool:
    return row["email"] == settings.admin_email and passwords.matches(
        settings.admin_password, row["password_hash"]
    )


def try_login(pool: Pool, given: Credentials) -> access.Actor | int:
    """The new session, or the status of the refusal (its lockout row is committed)."""
    with pool.session() as session:
        account = _account(session, given.email)
        if account and passwords.matches(given.password, account[0]):
            session.execute(
                "UPDATE auth_lockout_states SET failed_attempts = 0, locked_until = NULL,"
                " updated_at = now() WHERE actor_type = 'admin' AND principal = %s",
                (given.email,),
            )
            return access.open_admin_session(session, given.email, account[1])
        return 423 if _count_failure(session, given.email) else 401


def _account(session: Session, email: str) -> tuple[str, int | None] | None:
    """Password hash and portal user: the environment's administrator, or a user who is one."""
    row = session.execute(
        "SELECT password_hash, NULL AS user_id FROM admin_profile"
        " WHERE id = 1 AND email = %(email)s"
        " UNION ALL SELECT u.password_hash, u.id FROM portal_users u"
        " JOIN portal_user_roles r ON r.user_id = u.id AND r.role = 'admin'"
        " WHERE u.email = %(email)s AND u.is_active LIMIT 1",
        {"email": email},
    ).fetchone()
    return (row["password_hash"], row["user_id"]) if row else None


def _count_failure(session: Session, email: str) -> bool:
    """Write the failure down; whether the account was locked before it."""
    row = session.execute(
        "SELECT id, failed_attempts, first_failed_at > now() - interval '1 hour' AS recent,"
        " coalesce(locked_until > now(), false) AS locked FROM auth_lockout_states"
        " WHERE actor_type = 'admin' AND principal = %s ORDER BY id LIMIT 1 FOR UPDATE",
        (email,),
    ).fetchone()
    if row is None:
        session.execute(
            "INSERT INTO auth_lockout_states (actor_type, principal, failed_attempts,"
            " first_failed_at, last_failed_at) VALUES ('admin', %s, 1, now(), now())",
            (email,),
        )
        return False
    go_on = row["locked"] or (row["recent"] and row["failed_attempts"] > 0)
    attempts = row["failed_attempts"] + 1 if go_on else 1
    session.execute(
        "UPDATE auth_lockout_states SET failed_attempts = %(attempts)s, last_failed_at = now(),"
        " first_failed_at = CASE WHEN %(attempts)s = 1 THEN now() ELSE first_failed_at END,"
        " locked_until = CASE WHEN %(attempts)s >= %(limit)s THEN now() + interval '100 years' END,"
        " updated_at = now() WHERE id = %(id)s",
        {"attempts": attempts, "limit": _FAILURES, "id": row["id"]},
    )
    return bool(row["locked"])


async def _login(request: Request) -> Response:
    given = web.parsed(Credentials, await request.body())
    result = await run_in_threadpool(try_login, request.app.state.pool, given)
    if isinstance(result, int):
        raise HTTPException(result, "Account locked" if result == 423 else "Invalid credentials")
    response = web.answer(result.shown())
    secure = request.app.state.settings.production
    for name, value in (
        (web.SESSION_COOKIE, result.session_id),
        (web.CSRF_COOKIE, secrets.token_urlsafe(32)),
    ):
        response.set_cookie(
            name,
            value,
            max_age=access.SESSION_S,
            secure=secure,
            httponly=name == web.SESSION_COOKIE,
            samesite="lax",
        )
    return response


def _me(request: Request) -> Response:
    return web.answer(access.actor_of(request).shown())


def _logout(request: Request) -> Response:
    access.revoke(request.app.state.pool, access.actor_of(request).session_id)
    response = JSONResponse({"ok": True})
    response.delete_cookie(web.SESSION_COOKIE)
    response.delete_cookie(web.CSRF_COOKIE)
    return response


ROUTES = [
    Route("/api/auth/admin/login", _login, methods=["POST"]),
    Route("/api/auth/admin/logout", _logout, methods=["POST"]),
    Route("/api/auth/logout", _logout, methods=["POST"]),
    web.get("/api/auth/me", _me),
]
