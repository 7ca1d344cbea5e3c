"""Under test: that the write probe leaves nothing behind, or says what and where."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from kajovo_dr.errors import LoginRefused, NotReady, SmokeFailed
from kajovo_dr.postgres.server import Server
from kajovo_dr.recovery.application import Application
from kajovo_dr.recovery.write_probe import write_probe
from kajovo_dr.sandbox import schema, seed
from kajovo_dr.sandbox.launcher import start_api
from kajovo_dr.settings import Settings
from kajovo_dr_tests.recovery.conftest import settings_for
from kajovo_dr_tests.recovery.front_desk import EMAIL, PASSWORD
from kajovo_dr_tests.recovery.http_servers import misbehaving, nobody, say, serving_last

ERROR = PlainTextResponse("Internal Server Error", 500)
OK = JSONResponse({"ok": True})


class Shelf:
    """An application in whose reports one can write; `answers`: "METHOD nth" -> its answer."""

    def __init__(self) -> None:
        self.rows: dict[str, Any] = {}
        self.asked: list[str] = []
        self.answers: dict[str, Response] = {}
        self.interrupt = False
        self.made: Any = 7
        self.app = Starlette(
            routes=[
                Route("/api/auth/admin/{what}", self._door, methods=["POST"]),
                Route("/api/v1/reports", self._create, methods=["POST"]),
                Route("/api/v1/reports/{id:path}", self._row, methods=["GET", "DELETE"]),
            ]
        )

    def _door(self, request: Request) -> Response:
        self.asked.append(request.path_params["what"])
        answer = JSONResponse({"ok": True})
        answer.set_cookie("kajovo_session", "s3ssion", secure=True)
        answer.set_cookie("kajovo_csrf", "cs/rf", secure=True)
        return self.answers.get(self.asked[-1]) or answer

    async def _create(self, request: Request) -> Response:
        if refused := self._seen(request):
            return refused
        self.rows[str(self.made)] = await request.json()
        return JSONResponse({"id": self.made}, 201)

    def _row(self, request: Request) -> Response:
        row = request.path_params["id"]
        if refused := self._seen(request):
            return refused
        if row not in self.rows:
            return JSONResponse({"detail": "Report not found"}, 404)
        if request.method == "DELETE":
            del self.rows[row]
            return Response(status_code=204)
        return JSONResponse({"id": row, **self.rows[row]})

    def _seen(self, request: Request) -> Response | None:
        self.asked.append(request.method)
        if not request.cookies.get("kajovo_session"):
            return JSONResponse({"detail": "Authentication required"}, 401)
        if request.method != "GET" and request.headers.get("x-csrf-token") != "cs/rf":
            return JSONResponse({"detail": "CSRF validation failed"}, 403)
        return self.answers.get(f"{request.method} {self.asked.count(request.method)}")


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[str, list[Shelf]]]:
    each: list[Shelf] = []
    with serving_last(each) as url:
        yield url, each


@pytest.fixture
def shelf(place: tuple[str, list[Shelf]]) -> Shelf:
    place[1].append(Shelf())
    return place[1][-1]


@pytest.fixture
def settings(place: tuple[str, list[Shelf]], shelf: Shelf) -> Settings:
    return settings_for(place[0])


def test_a_row_is_written_read_deleted_and_missed(settings: Settings, shelf: Shelf) -> None:
    seen: list[str] = []
    said = write_probe(settings, progress=lambda phase, done, total: seen.append(phase))
    assert said == "row 7 written, read and deleted at /api/v1/reports"
    assert shelf.asked == ["login", "POST", "GET", "DELETE", "GET", "logout"]
    assert shelf.rows == {}
    assert seen == ["write probe"]


def test_the_body_of_the_settings_is_written_as_it_is(settings: Settings, shelf: Shelf) -> None:
    shelf.answers["DELETE 1"] = Response(status_code=204)  # deletes nothing
    with pytest.raises(SmokeFailed, match="reading after deleting answered 200"):
        write_probe(settings.with_overrides(write_probe_body={"název": "Řehoř", "počet": 1}))
    assert shelf.rows == {"7": {"název": "Řehoř", "počet": 1}}


@pytest.mark.parametrize("made", ["7/ř ?", 0])
def test_an_id_may_be_a_text_or_zero(settings: Settings, shelf: Shelf, made: Any) -> None:
    shelf.made = made
    assert write_probe(settings).startswith(f"row {made} written")
    assert shelf.rows == {}


def test_a_refused_row_is_told_and_nothing_is_left(settings: Settings, shelf: Shelf) -> None:
    shelf.answers["POST 1"] = JSONResponse({"detail": "read-only"}, 500)
    with pytest.raises(SmokeFailed, match=r"writing to /api/v1/reports answered 500: .*read-only"):
        write_probe(settings)
    assert shelf.asked == ["login", "POST", "logout"]


@pytest.mark.parametrize(
    "answer",
    [
        JSONResponse({"ok": True}, 201),
        JSONResponse({"id": True}, 201),
        JSONResponse([7], 201),
        PlainTextResponse("<html>", 200),
    ],
)
def test_an_answer_without_an_id_is_no_success(
    settings: Settings, shelf: Shelf, answer: Response
) -> None:
    shelf.answers["POST 1"] = answer
    with pytest.raises(SmokeFailed, match=r"without an id; the row was left behind$"):
        write_probe(settings)


def test_a_row_that_cannot_be_read_is_deleted_again(settings: Settings, shelf: Shelf) -> None:
    shelf.answers["GET 1"] = ERROR
    with pytest.raises(
        SmokeFailed, match=r"reading answered 500: .*, not 200; row 7 was deleted again$"
    ):
        write_probe(settings)
    assert shelf.rows == {}
    assert shelf.asked[-1] == "logout"


def test_a_row_that_cannot_be_deleted_is_named(settings: Settings, shelf: Shelf) -> None:
    shelf.answers |= {"GET 1": ERROR, "DELETE 1": ERROR}
    with pytest.raises(
        SmokeFailed,
        match=r"reading answered 500: .*; deleting answered 500: .*; "
        r"row 7 was left behind at /api/v1/reports/7$",
    ) as refused:
        write_probe(settings)
    assert "delete it by hand" in refused.value.hint
    assert list(shelf.rows) == ["7"]
    assert shelf.asked[-1] == "logout"


def test_a_row_is_deleted_when_we_are_interrupted(
    settings: Settings, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Application, "get", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_probe(settings)
    assert shelf.rows == {}
    assert shelf.asked == ["login", "POST", "DELETE", "logout"]


def test_a_write_without_an_answer_may_have_left_a_row() -> None:
    login = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: a=b\r\n\r\n{}"

    def answer(connection: Any, over: Any) -> None:
        if len(requests) == 1:
            say(login)(connection, over)

    with misbehaving(answer) as (url, requests):
        with pytest.raises(SmokeFailed, match="whether a row was left behind is not known"):
            write_probe(settings_for(url))
        assert [request.partition(b" HTTP")[0] for request in requests[:2]] == [
            b"POST /api/auth/admin/login",
            b"POST /api/v1/reports",
        ]


def test_a_refused_login_and_a_dead_application_are_told(settings: Settings, shelf: Shelf) -> None:
    shelf.answers["login"] = JSONResponse({"detail": "Invalid credentials"}, 401)
    with pytest.raises(LoginRefused):
        write_probe(settings)
    assert shelf.asked == ["login"]
    with nobody() as url, pytest.raises(NotReady):
        write_probe(settings_for(url))


def test_an_application_without_a_login_is_written_to_at_once(
    settings: Settings, shelf: Shelf
) -> None:
    with pytest.raises(SmokeFailed, match="answered 401"):
        write_probe(settings.with_overrides(app_login_path=""))
    assert shelf.asked == ["POST"]


def test_the_hotel_can_be_written_with_the_default_settings(
    database: Server, tmp_path: Path
) -> None:
    schema.upgrade(database.sqlalchemy_url())
    seed.seed(database, rows=300, media_root=tmp_path / "media")
    count = "SELECT count(*) FROM reports"
    with psycopg.connect(database.conninfo(), autocommit=True) as connection:
        before = connection.execute(count).fetchall()
        api = start_api(
            database, folder=tmp_path, email=EMAIL, password=PASSWORD, media_root=tmp_path / "media"
        )
        try:
            settings = settings_for(api.base_url)
            assert "written, read and deleted" in write_probe(settings)
            connection.execute("CREATE RULE kept AS ON DELETE TO reports DO INSTEAD NOTHING")
            with pytest.raises(SmokeFailed, match=r"row \d+ was left behind"):
                write_probe(settings)
        finally:
            api.stop()
        kept = connection.execute("SELECT title FROM reports ORDER BY id DESC LIMIT 1").fetchall()
        assert kept == [("kajovo_dr: zkouška zápisu",)]
        assert connection.execute(f"SELECT ({count}) - 1".encode()).fetchall() == before
        sessions = "SELECT count(*) FROM auth_sessions WHERE revoked_at IS NULL AND principal = %s"
        assert connection.execute(sessions.encode(), [EMAIL]).fetchall() == [(0,)]
