"""Writing through the hotel API: a report is made, read, deleted. Each write leaves an audit row.

Belongs here: the endpoints of /api/v1/reports. Not here: the other lists (``modules``).
"""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kajovo_dr.sandbox import access, models, modules, web
from kajovo_dr.sandbox.pool import Row, Session

_SELECT = modules.with_photos("reports", "report_photos", "report_id")
#: Characters of the request's body that the audit trail keeps.
_DETAIL = 2000


def _list(request: Request) -> Response:
    access.require(request, "reports:read")
    return web.answers(models.REPORTS, modules.rows(request, _SELECT + "ORDER BY t.id"))


def _read(request: Request) -> Response:
    access.require(request, "reports:read")
    found = modules.rows(request, _SELECT + "WHERE t.id = %s", request.path_params["id"])
    return web.answer(models.Report.model_validate(_one(found)))


async def _create(request: Request) -> Response:
    actor = access.require(request, "reports:write")
    body = await request.body()
    wanted = web.parsed(models.NewReport, body)
    return await run_in_threadpool(_store, request, actor, wanted, body)


def _store(
    request: Request, actor: access.Actor, wanted: models.NewReport, body: bytes
) -> Response:
    with request.app.state.pool.session() as session:
        row = session.execute(
            "INSERT INTO reports (title, description, status)"
            " VALUES (%(title)s, %(description)s, %(status)s) RETURNING *, '[]'::json AS photos",
            wanted.model_dump(),
        ).fetchone()
        _audit(session, request, actor, 201, body.decode(errors="replace")[:_DETAIL])
    return web.answer(models.Report.model_validate(row), 201)


def _delete(request: Request) -> Response:
    actor = access.require(request, "reports:write")
    with request.app.state.pool.session() as session:
        gone = session.execute(
            "DELETE FROM reports WHERE id = %s RETURNING *", (request.path_params["id"],)
        ).fetchall()
        if gone:
            _audit(session, request, actor, 204, None)
    _one(gone)
    return Response(status_code=204)


def _one(found: list[Row]) -> Row:
    if not found:
        raise HTTPException(404, "Report not found")
    return found[0]


def _audit(
    session: Session, request: Request, actor: access.Actor, status: int, detail: str | None
) -> None:
    session.execute(
        "INSERT INTO audit_trail (request_id, actor, actor_id, actor_role, module, action,"
        " resource, status_code, detail) VALUES (%s, %s, %s, %s, 'reports', %s, %s, %s, %s)",
        (
            request.state.request_id[:64],
            actor.principal,
            str(actor.portal_user_id or 1),
            actor.role,
            request.method,
            request.url.path,
            status,
            detail,
        ),
    )


ROUTES = [
    web.get("/api/v1/reports", _list),
    Route("/api/v1/reports", _create, methods=["POST"]),
    web.get("/api/v1/reports/{id:int}", _read),
    Route("/api/v1/reports/{id:int}", _delete, methods=["DELETE"]),
]
