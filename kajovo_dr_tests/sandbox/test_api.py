"""The hotel API's contract over a real socket, on a hotel that these tests leave as it was."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from kajovo_dr.settings import Settings
from kajovo_dr_tests.sandbox.conftest import EMAIL, Hotel, execute, login

_STATUSES = ("new", "stored", "claimed", "returned", "disposed")
_MODULES = {
    "breakfast": "breakfast_orders WHERE guest_count > 0",
    "issues": "issues",
    "inventory": "inventory_items",
    "reports": "reports",
    "inventory/movements": "inventory_movements",
    "inventory/cards": "inventory_cards",
    "users": "portal_users",
}
_KEPT = "id created_at updated_at "
_SHAPES = {
    "breakfast": _KEPT + "service_date room_number guest_name guest_count status note"
    " diet_no_gluten diet_no_milk diet_no_pork",
    "lost-found": _KEPT + "item_type description category location room_number event_at status"
    " tags claimant_name claimant_contact handover_note claimed_at returned_at photos",
    "issues": _KEPT + "title description location room_number priority status assignee"
    " in_progress_at resolved_at closed_at photos",
    "inventory": _KEPT + "name unit min_stock current_stock amount_per_piece_base pictogram_path"
    " pictogram_thumb_path",
    "reports": _KEPT + "title description status photos",
    "inventory/movements": "id created_at item_id item_name unit card_id card_item_id card_number"
    " movement_type quantity quantity_pieces document_number document_date document_reference"
    " note",
    "inventory/cards": _KEPT + "card_type number card_date supplier reference note",
}


def test_health_and_readiness_answer_json_with_the_request_id(stranger: httpx.Client) -> None:
    ready = stranger.get("/ready")
    assert ready.status_code == 200
    assert ready.json()["status"] == "ready"
    for path in ("/health", "/api/health"):
        answer = stranger.get(path, headers={"x-request-id": "muj-1"})
        assert answer.json() == {"status": "ok", "request_id": "muj-1"}
        assert answer.headers["x-request-id"] == "muj-1"


@pytest.mark.parametrize("path", ["/", "/healthz", "/api/ready", "/api/v1/nic"])
def test_unknown_paths_are_404_in_json(stranger: httpx.Client, path: str) -> None:
    answer = stranger.get(path)
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})


def test_health_is_for_get_alone(stranger: httpx.Client) -> None:
    assert stranger.head("/health").status_code == 405
    assert stranger.options("/health").status_code == 405


@pytest.mark.parametrize("host", ["api", "192.168.0.7:8202", "evil.example"])
def test_an_unknown_host_is_refused_everywhere(stranger: httpx.Client, host: str) -> None:
    for path in ("/health", "/api/v1/issues"):
        answer = stranger.get(path, headers={"host": host})
        assert (answer.status_code, answer.text) == (400, "Invalid host header")
        assert answer.headers["content-type"].startswith("text/plain")


def test_the_port_of_a_known_host_does_not_matter(stranger: httpx.Client) -> None:
    assert stranger.get("/health", headers={"host": "localhost:9999"}).status_code == 200


@pytest.mark.parametrize("module", [*_MODULES, "lost-found", "admin/settings/smtp"])
def test_strangers_get_401(stranger: httpx.Client, module: str) -> None:
    answer = stranger.get(f"/api/v1/{module}")
    assert (answer.status_code, answer.json()) == (401, {"detail": "Authentication required"})


def test_the_login_gives_an_admin_with_sixteen_permissions(stranger: httpx.Client) -> None:
    me = login(stranger).json()
    assert len(me.pop("permissions")) == 16
    assert me == {
        "email": EMAIL,
        "role": "admin",
        "roles": [],
        "active_role": None,
        "actor_type": "admin",
    }
    assert stranger.get("/api/auth/me").json()["email"] == EMAIL


def test_the_cookies_are_those_of_the_hotel(stranger: httpx.Client) -> None:
    session, csrf = login(stranger).headers.get_list("set-cookie")
    assert session.startswith("kajovo_session=")
    assert csrf.startswith("kajovo_csrf=")
    for cookie in (session, csrf):
        assert "Max-Age=3600; Path=/; SameSite=lax" in cookie
        assert "Secure" not in cookie
    assert ("HttpOnly" in session, "HttpOnly" in csrf) == (True, False)


def test_a_portal_user_who_is_an_admin_may_log_in_and_others_may_not(
    stranger: httpx.Client, shared_hotel: Hotel
) -> None:
    password = "Žluťoučký-kůň-2026"
    assert login(stranger, "bozena@hotel.example", password).status_code == 200
    assert login(stranger, "eliska@hotel.example", password).status_code == 401


def test_a_login_that_is_no_json_is_422(stranger: httpx.Client) -> None:
    answer = stranger.post("/api/auth/admin/login", data={"email": EMAIL, "password": "x"})
    assert answer.status_code == 422


@pytest.mark.parametrize("module", _MODULES)
def test_a_list_counts_what_its_table_holds(
    admin: httpx.Client, count: Callable[[str], int], module: str
) -> None:
    answer = admin.get(f"/api/v1/{module}")
    assert answer.status_code == 200
    assert len(answer.json()) == count(_MODULES[module]) > 0


def test_breakfast_hides_orders_for_nobody(count: Callable[[str], int]) -> None:
    assert count("breakfast_orders WHERE guest_count <= 0") > 0


def test_lost_found_shows_only_what_is_new_until_a_status_is_named(
    admin: httpx.Client, count: Callable[[str], int]
) -> None:
    unfiltered = admin.get("/api/v1/lost-found").json()
    assert {item["status"] for item in unfiltered} == {"new"}
    by_status = [admin.get("/api/v1/lost-found", params={"status": s}).json() for s in _STATUSES]
    assert len(unfiltered) < sum(map(len, by_status)) == count("lost_found_items")
    assert admin.get("/api/v1/lost-found?status=nic").status_code == 422


@pytest.mark.parametrize("module", _SHAPES)
def test_items_have_the_shape_of_the_hotel(admin: httpx.Client, module: str) -> None:
    items = admin.get(f"/api/v1/{module}").json()
    assert {frozenset(item) for item in items} == {frozenset(_SHAPES[module].split())}
    assert items[0]["created_at"].endswith("Z")


def test_texts_travel_as_raw_utf_8(admin: httpx.Client) -> None:
    body = admin.get("/api/v1/issues").content.decode()
    assert "výtah" in body
    assert "\\u" not in body


def test_every_endpoint_of_the_smoke_test_answers(admin: httpx.Client, shared_hotel: Hotel) -> None:
    settings = Settings()
    for endpoint in (*settings.app_modules, *settings.app_extras):
        values: dict[str, object] = {}
        if endpoint.params_sql:
            columns = "SELECT row_to_json(t) FROM (" + endpoint.params_sql + ") t"
            [(found,)] = execute(shared_hotel.database, columns)
            assert isinstance(found, dict)
            values = found
        answers = [admin.get(path.format(**values)) for path in endpoint.paths]
        assert [answer.status_code for answer in answers] == [200] * len(answers), endpoint.name
        if endpoint.count_sql:
            total = sum(len(answer.json()) for answer in answers)
            assert [(total,)] == execute(shared_hotel.database, endpoint.count_sql)


def test_one_item_brings_its_movements(admin: httpx.Client) -> None:
    item = admin.get("/api/v1/inventory/2").json()
    assert item["id"] == 2
    assert {movement["item_id"] for movement in item["movements"]} == {2}
    assert admin.get("/api/v1/inventory/99999999999").status_code == 404


def test_the_daily_summary_needs_a_day(admin: httpx.Client, count: Callable[[str], int]) -> None:
    assert admin.get("/api/v1/breakfast/daily-summary").status_code == 422
    day = "2026-11-15"
    summary = admin.get(f"/api/v1/breakfast/daily-summary?service_date={day}").json()
    counted = count(f"breakfast_orders WHERE guest_count > 0 AND service_date = '{day}'")
    assert summary["total_orders"] == sum(summary["status_counts"].values()) == counted > 0


def test_the_mail_settings_hide_the_password(admin: httpx.Client) -> None:
    settings = admin.get("/api/v1/admin/settings/smtp").json()
    assert settings["from_email"] == "recepce@hotel.example"
    assert settings["password_masked"] == "t****P"
    assert "password_encrypted" not in settings


@pytest.mark.parametrize("module", ["issues", "reports", "lost-found"])
def test_photos_are_served_from_the_media_root(
    admin: httpx.Client, stranger: httpx.Client, module: str
) -> None:
    query = "?status=stored" if module == "lost-found" else ""
    items = admin.get(f"/api/v1/{module}{query}").json()
    item = next(item for item in items if item["photos"])
    photo = item["photos"][0]
    path = f"/api/v1/{module}/{item['id']}/photos/{photo['id']}"
    original = admin.get(f"{path}/original")
    assert original.headers["content-type"] == "image/jpeg"
    assert len(original.content) == photo["size_bytes"]
    assert admin.get(f"{path}/thumb").content.startswith(b"\xff\xd8")
    assert admin.get(f"{path}/jiný").status_code == 404
    assert admin.get(f"/api/v1/{module}/{item['id']}/photos/9999/thumb").status_code == 404
    assert stranger.get(f"{path}/thumb").status_code == 401


def test_pictograms_are_served_too(admin: httpx.Client) -> None:
    original = admin.get("/api/v1/inventory/1/pictogram/original")
    assert original.headers["content-type"] == "image/png"
    assert admin.get("/api/v1/inventory/1/pictogram/thumb").content.startswith(b"\xff\xd8")
    assert admin.get("/api/v1/inventory/7/pictogram/thumb").status_code == 404


def test_writing_needs_the_csrf_pair_before_it_needs_a_login(
    admin: httpx.Client, stranger: httpx.Client
) -> None:
    body = {"title": "Zkouška"}
    refused = admin.post("/api/v1/reports", json=body, headers={"x-csrf-token": "jiny"})
    assert (refused.status_code, refused.json()) == (403, {"detail": "CSRF validation failed"})
    assert stranger.post("/api/v1/reports", json=body).status_code == 403
    pair = {"x-csrf-token": "a", "cookie": "kajovo_csrf=a"}
    assert stranger.post("/api/v1/reports", json=body, headers=pair).status_code == 401


def test_a_report_can_be_written_read_and_deleted_leaving_two_audit_rows(
    admin: httpx.Client, count: Callable[[str], int]
) -> None:
    before = count("audit_trail")
    made = admin.post("/api/v1/reports", json={"title": "Zkouška obnovy 🧪"})
    path = f"/api/v1/reports/{made.json()['id']}"
    assert made.status_code == 201
    assert admin.get(path).json() == made.json()
    assert admin.delete(path).status_code == 204
    assert admin.get(path).status_code == 404
    assert admin.delete(path).status_code == 404
    assert count("audit_trail") == before + 2


def test_a_report_with_a_short_title_is_422(
    admin: httpx.Client, count: Callable[[str], int]
) -> None:
    before = count("reports")
    assert admin.post("/api/v1/reports", json={"title": "ab"}).status_code == 422
    assert count("reports") == before


def test_every_request_with_a_session_moves_its_last_seen(
    admin: httpx.Client, shared_hotel: Hotel
) -> None:
    session = admin.cookies["kajovo_session"]
    query = f"SELECT last_seen_at FROM auth_sessions WHERE session_id = '{session}'"
    before = execute(shared_hotel.database, query)
    admin.get("/api/v1/reports")
    assert execute(shared_hotel.database, query) > before


def test_a_logged_out_session_is_dead_even_if_the_cookie_lives(admin: httpx.Client) -> None:
    cookie = {"cookie": f"kajovo_session={admin.cookies['kajovo_session']}"}
    assert admin.post("/api/auth/admin/logout").json() == {"ok": True}
    assert httpx.get(admin.base_url.join("/api/auth/me"), headers=cookie).status_code == 401


def test_a_portal_session_reads_only_what_its_role_may(shared_hotel: Hotel) -> None:
    owners = "SELECT session_id FROM auth_sessions WHERE active_role = 'údržba'"
    revoked = "UPDATE auth_sessions SET revoked_at = NULL, expires_at = now() + interval '1 hour'"
    shared_hotel.sql(f"{revoked} WHERE active_role = 'údržba'")
    [(session,)] = execute(shared_hotel.database, owners)
    with shared_hotel.client(logged_in=False) as client:
        client.cookies["kajovo_session"] = str(session)
        issues = client.get("/api/v1/issues").json()
        assert {issue["status"] for issue in issues} == {"new", "in_progress"}
        assert client.get("/api/v1/reports").status_code == 403
        assert client.get("/api/v1/users").json() == {"detail": "Missing actor type: admin"}


def test_a_trailing_slash_is_redirected(admin: httpx.Client) -> None:
    assert admin.get("/api/v1/issues/").status_code == 307
