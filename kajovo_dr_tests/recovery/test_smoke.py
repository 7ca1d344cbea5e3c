"""Under test: that a smoke test tells the truth about each endpoint, and logs in exactly once."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from starlette.responses import JSONResponse, PlainTextResponse, Response

from kajovo_dr.errors import LoginRefused, NotConfigured, NotReady, SmokeFailed, Unreachable
from kajovo_dr.hotel import Endpoint
from kajovo_dr.postgres.server import Server
from kajovo_dr.recovery.application import Application
from kajovo_dr.recovery.smoke import EndpointResult, SmokeReport, smoke
from kajovo_dr_tests.recovery.conftest import Desk, settings_for
from kajovo_dr_tests.recovery.front_desk import EMAIL, ERROR_500, HTML, PASSWORD
from kajovo_dr_tests.recovery.http_servers import hang, misbehaving, nobody

LOGIN, LOGOUT = "/api/auth/admin/login", "/api/auth/admin/logout"


def run(desk: Desk, server: Server, **overrides: object) -> dict[str, EndpointResult]:
    report = smoke(desk.settings(**overrides), server)
    return {result.name: result for result in report.results}


@pytest.fixture
def photo(desk: Desk) -> Endpoint:
    endpoint = Endpoint(
        name="photo",
        paths=("/photos/{id}",),
        params_sql="SELECT 7 AS id",
        expect="bytes",
        required=False,
    )
    desk.extras = (endpoint,)
    return endpoint


def test_a_whole_application_passes(desk: Desk, server: Server) -> None:
    seen: list[str] = []
    report = smoke(desk.settings(), server, progress=lambda phase, done, total: seen.append(phase))
    assert report.ok
    assert (report.failures, report.warnings) == ((), ())
    assert [(r.name, r.module, r.status, r.count, r.expected) for r in report.results] == [
        ("guests", True, 200, 3, 3),
        ("rooms", True, 200, 2, 2),
    ]
    assert seen == ["smoke: guests", "smoke: rooms"]
    report.raise_for_failures()


def test_the_session_is_closed_at_the_end(desk: Desk, server: Server) -> None:
    run(desk, server)
    assert (desk.front.logins, desk.front.open_sessions) == (1, 0)


def test_the_session_is_closed_after_a_crash_of_ours(desk: Desk, server: Server) -> None:
    def interrupt(phase: str, done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        smoke(desk.settings(), server, progress=interrupt)
    assert (desk.front.logins, desk.front.open_sessions) == (1, 0)


def test_a_refused_logout_is_a_warning(desk: Desk, server: Server) -> None:
    desk.front.answers[LOGOUT] = ERROR_500
    report = smoke(desk.settings(), server)
    assert report.ok
    assert [(r.name, r.detail) for r in report.warnings] == [
        ("logout", "answered 500: Internal Server Error")
    ]


def test_one_module_with_500_fails_alone_and_is_named(desk: Desk, server: Server) -> None:
    desk.front.answers["/guests"] = ERROR_500
    report = smoke(desk.settings(), server)
    assert [(r.name, r.ok, r.status) for r in report.results] == [
        ("guests", False, 500),
        ("rooms", True, 200),
    ]
    with pytest.raises(SmokeFailed, match=r"1 of 2 .*guests: /guests answered 500: Internal"):
        report.raise_for_failures()


def test_a_crash_in_one_module_does_not_spoil_the_next(desk: Desk, server: Server) -> None:
    desk.front.crashing.add("/guests")
    results = run(desk, server)
    assert (results["guests"].ok, results["guests"].status) == (False, 500)
    assert results["rooms"].ok
    # after an unhandled error uvicorn closes the connection without having said so, so that a
    # second request on it fails now and then: none is used twice
    assert len(set(desk.front.connections)) == len(desk.front.connections) == 5


def test_every_failed_endpoint_is_named(desk: Desk, server: Server) -> None:
    desk.front.answers["/guests"] = ERROR_500
    desk.front.answers["/rooms?free=0"] = HTML
    report = smoke(desk.settings(), server)
    with pytest.raises(SmokeFailed, match=r"2 of 2 .*guests: .*; rooms: /rooms\?free=0 .*HTML"):
        report.raise_for_failures()


def test_a_hung_module_fails_alone(desk: Desk, server: Server) -> None:
    desk.front.hung.add("/guests")
    results = run(desk, server, app_timeout_s=1)
    assert "did not answer within 1 s" in results["guests"].detail
    assert results["rooms"].ok
    assert desk.front.open_sessions == 0


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (HTML, "answered 200 with HTML instead of json"),
        (PlainTextResponse("[1, 2, 3]"), "answered 200 with text/plain instead of JSON"),
        (Response(b"[1, 2", media_type="application/json"), "answered 200 with broken JSON"),
        (Response('["ř"]'.encode("cp1250"), media_type="application/json"), "broken JSON"),
        (JSONResponse({"items": []}), "the answer is no list"),
        (JSONResponse([1, "P\ufffdib\ufffdk", 3]), "holds 2 replacement characters"),
        (Response(b'["\\ufffd",2,3]', media_type="application/json"), "1 replacement characters"),
        (JSONResponse([1, 2]), "the application lists 2, the database has 3"),
        (JSONResponse([]), "the application lists 0, the database has 3"),
        (JSONResponse([1], 206), "answered 206"),
        (JSONResponse({}, 307, {"location": "/guests/"}), "a redirect to /guests/"),
    ],
)
def test_a_wrong_list_fails(desk: Desk, server: Server, answer: Response, detail: str) -> None:
    desk.front.answers["/guests"] = answer
    guests = run(desk, server)["guests"]
    assert not guests.ok
    assert detail in guests.detail


def test_wrong_credentials_are_tried_exactly_once(desk: Desk, server: Server) -> None:
    wrong = "špatné heslo"
    with pytest.raises(LoginRefused, match=r"answered 401: .*Invalid credentials") as refused:
        smoke(desk.settings(app_password=wrong), server)
    assert desk.front.logins == 1
    assert wrong not in refused.value.described()


def test_a_login_is_never_tried_twice_even_when_asked_to(desk: Desk) -> None:
    with Application(desk.settings(app_password="wrong")) as application:
        for _ in range(3):
            with pytest.raises(LoginRefused):
                application.login({"email": EMAIL, "password": "wrong"})
    assert desk.front.logins == 1


def test_a_locked_account_is_told_after_one_attempt(desk: Desk, server: Server) -> None:
    desk.front.answers[LOGIN] = JSONResponse({"detail": "Account locked"}, 423)
    with pytest.raises(LoginRefused, match=r"423: .*Account locked"):
        smoke(desk.settings(), server)
    assert desk.front.logins == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (ERROR_500, "answered 500"),
        (HTML, "answered 200 with HTML"),
        (JSONResponse({"detail": "Not Found"}, 404), "answered 404"),
        (JSONResponse({}, 307, {"location": "/login"}), "a redirect to /login"),
    ],
)
def test_a_login_that_does_not_work_is_no_refusal(
    desk: Desk, server: Server, answer: Response, reason: str
) -> None:
    desk.front.answers[LOGIN] = answer
    with pytest.raises(NotReady, match=reason):
        smoke(desk.settings(), server)
    assert desk.front.logins == 1


def test_a_login_without_a_session_is_refused(desk: Desk, server: Server) -> None:
    desk.front.answers[LOGIN] = JSONResponse({"ok": False})
    with pytest.raises(LoginRefused, match="gave no session"):
        smoke(desk.settings(), server)


def test_a_refused_host_is_named(desk: Desk, server: Server) -> None:
    with pytest.raises(NotReady, match="Invalid host header") as refused:
        smoke(desk.settings(app_host_header="elsewhere.cz"), server)
    assert "KAJOVO_DR_APP_HOST_HEADER" in refused.value.hint


@pytest.mark.parametrize("login", [LOGIN, "none"])
def test_an_application_that_is_down_is_not_ready(server: Server, login: str) -> None:
    with nobody() as url, pytest.raises(NotReady, match="no answer from"):
        smoke(settings_for(url, app_login_path=login), server)


def test_an_application_that_hangs_gets_one_login(server: Server) -> None:
    with misbehaving(hang) as (url, requests):
        with pytest.raises(NotReady, match="did not answer within"):
            smoke(settings_for(url, app_timeout_s=0.2), server)
        assert len(requests) == 1


@pytest.mark.parametrize("missing", ["app_email", "app_password", "app_base_url"])
def test_a_missing_setting_is_named_before_anything_is_asked(
    desk: Desk, server: Server, missing: str
) -> None:
    settings = desk.settings(**{missing: "" if missing == "app_base_url" else None})
    with pytest.raises(NotConfigured, match=f"KAJOVO_DR_{missing.upper()}"):
        smoke(settings, server)
    assert desk.front.logins == 0


def test_nothing_to_test_is_refused(desk: Desk, server: Server) -> None:
    with pytest.raises(NotConfigured, match="nothing would be tested"):
        smoke(desk.settings(app_modules=(), app_extras=()), server)
    assert not SmokeReport(results=(), seconds=0).ok


def test_a_database_that_is_down_is_told_before_the_login(desk: Desk, server: Server) -> None:
    with nobody() as url:
        port = url.rpartition(":")[2]
        gone = Server({**server.params, "port": port})
        with pytest.raises(Unreachable):
            smoke(desk.settings(), gone)
    assert desk.front.logins == 0


def test_a_missing_photo_is_a_warning_only(desk: Desk, server: Server, photo: Endpoint) -> None:
    report = smoke(desk.settings(), server)
    assert report.ok
    assert [(r.name, r.status) for r in report.warnings] == [("photo", 404)]


def test_a_photo_that_is_there_passes(desk: Desk, server: Server, photo: Endpoint) -> None:
    desk.front.answers["/photos/7"] = Response(b"\xff\xd8\xff", media_type="image/jpeg")
    assert run(desk, server)["photo"].ok


@pytest.mark.parametrize("answer", [HTML, Response(b"", media_type="image/jpeg")])
def test_a_photo_that_is_no_photo_is_a_warning(
    desk: Desk, server: Server, photo: Endpoint, answer: Response
) -> None:
    desk.front.answers["/photos/7"] = answer
    assert not run(desk, server)["photo"].ok


@pytest.mark.parametrize("query", ["SELECT 7 AS id WHERE false", "SELECT NULL::int AS id"])
def test_without_a_row_for_its_path_an_endpoint_is_skipped(
    desk: Desk, server: Server, query: str
) -> None:
    desk.extras = (Endpoint(name="item", paths=("/items/{id}",), params_sql=query),)
    item = run(desk, server)["item"]
    assert (item.ok, item.skipped, item.status) == (True, True, None)


def test_values_in_paths_are_quoted(desk: Desk, server: Server) -> None:
    query = "SELECT 'a/b?č' AS name"
    desk.extras = (Endpoint(name="item", paths=("/items?name={name}",), params_sql=query),)
    desk.front.lists["/items?name=a%2Fb%3F%C4%8D"] = {}
    assert run(desk, server)["item"].ok


@pytest.mark.parametrize(
    ("endpoint", "detail"),
    [
        ({"count_sql": "SELECT count(*) FROM nowhere"}, "its query failed: .*nowhere"),
        ({"count_sql": "SELECT NULL"}, "its query returns .*, not one number"),
        ({"count_sql": "SELECT 1, 2"}, "its query returns .*, not one number"),
        ({"count_sql": "CREATE TABLE t ()"}, "read-only transaction"),
        ({"params_sql": "SELECT 1 AS other", "paths": ["/x/{id}"]}, "ask for 'id'.*'other'"),
    ],
)
def test_a_wrong_query_spoils_its_endpoint_only(
    desk: Desk, server: Server, endpoint: dict[str, object], detail: str
) -> None:
    odd = Endpoint.model_validate({"name": "odd", "paths": ["/guests"]} | endpoint)
    desk.modules = (odd, *desk.modules)
    results = run(desk, server)
    assert [result.ok for result in results.values()] == [False, True, True]
    with pytest.raises(AssertionError, match=detail):
        raise AssertionError(results["odd"].detail)


@pytest.fixture
def visits(database: Server) -> Iterator[psycopg.Connection[tuple[int]]]:
    with psycopg.connect(database.conninfo(), autocommit=True) as connection:
        connection.execute("CREATE TABLE visits (id serial)")
        yield connection


def test_counts_are_taken_before_the_login_changes_them(
    desk: Desk, database: Server, visits: psycopg.Connection[tuple[int]]
) -> None:
    desk.extras = (
        Endpoint(name="visits", paths=("/visits",), count_sql="SELECT count(*) FROM visits"),
    )
    desk.front.lists["/visits"] = []

    def visit(phase: str, done: int, total: int | None) -> None:
        visits.execute("INSERT INTO visits DEFAULT VALUES")

    assert smoke(desk.settings(), database, progress=visit).ok


def test_an_application_without_a_login_is_read_anonymously(desk: Desk, server: Server) -> None:
    settings = desk.settings(app_login_path="none", app_email=None, app_password=None)
    report = smoke(settings, server)
    assert desk.front.logins == 0
    assert {result.status for result in report.results} == {401}


def test_a_report_survives_json(desk: Desk, server: Server, photo: Endpoint) -> None:
    report = smoke(desk.settings(), server)
    assert SmokeReport.model_validate_json(report.model_dump_json()) == report


def test_the_password_is_in_no_report(desk: Desk, server: Server) -> None:
    desk.front.answers["/guests"] = ERROR_500
    assert PASSWORD not in smoke(desk.settings(), server).model_dump_json()
