"""The hotel API when something is broken: rows, passwords, files, the database itself."""

from __future__ import annotations

import httpx

from kajovo_dr.postgres.server import Server
from kajovo_dr.sandbox import schema
from kajovo_dr.sandbox.seed import seed
from kajovo_dr_tests.sandbox.conftest import ROWS, Hotel, login

_BAD_ROWS = {
    "issues": "UPDATE issues SET title = 'ab' WHERE id = 7",
    "breakfast": "UPDATE breakfast_orders SET guest_count = 21 WHERE id = 7",
    "reports": "UPDATE reports SET status = 'OPEN' WHERE id = 7",
    "lost-found": "UPDATE lost_found_items SET description = 'ab' WHERE status = 'new'",
    "users": "UPDATE portal_user_roles SET role = '├║dr┼żba' WHERE role = 'údržba'",
    "inventory/movements": "ALTER TABLE inventory_movements DROP COLUMN document_reference",
    "inventory/cards": "UPDATE inventory_cards SET card_type = 'IN' WHERE id = 1",
    # last of its three: the unit shows in the movements too
    "inventory": "UPDATE inventory_items SET unit = 'KG' WHERE id = 7",
    "admin/settings/smtp": "ALTER TABLE portal_smtp_settings DROP COLUMN from_email",
}


def server_error(answer: httpx.Response) -> bool:
    return (answer.status_code, answer.text) == (500, "Internal Server Error") and (
        answer.headers["content-type"].startswith("text/plain")
    )


def test_one_bad_row_or_a_lost_column_turns_its_whole_list_into_a_500(hotel: Hotel) -> None:
    with hotel.client() as client:
        for module, damage in _BAD_ROWS.items():
            assert client.get(f"/api/v1/{module}").status_code == 200, module
            hotel.sql(damage)
            assert server_error(client.get(f"/api/v1/{module}")), module
        assert client.get("/ready").status_code == 200


def test_three_wrong_passwords_lock_the_account_until_the_right_one(hotel: Hotel) -> None:
    with hotel.client(logged_in=False) as client:
        answers = [login(client, password="špatně") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [401, 401, 401, 423]
        assert answers[0].json() == {"detail": "Invalid credentials"}
        assert answers[3].json() == {"detail": "Account locked"}
        assert login(client).status_code == 200
        assert login(client, password="špatně").status_code == 401
        unknown = [login(client, "nikdo@hotel.example").status_code for _ in range(4)]
        assert unknown == [401, 401, 401, 423]


def test_photos_without_their_file_or_outside_the_root_are_404(hotel: Hotel) -> None:
    missing = {"detail": "Media file not found"}
    outside = hotel.media.parent / "tajné.jpg"
    outside.write_bytes(b"\xff\xd8")
    hotel.sql("UPDATE issue_photos SET file_path = '../tajné.jpg' WHERE id = 1")
    hotel.sql(f"UPDATE issue_photos SET thumb_path = '{outside}' WHERE id = 1")
    for file in (hotel.media / "reports" / "1").iterdir():
        file.unlink()
    with hotel.client() as client:
        for path in ("issues/1/photos/1/original", "issues/1/photos/1/thumb"):
            assert client.get(f"/api/v1/{path}").json() == missing
        assert client.get("/api/v1/reports/1/photos/1/original").json() == missing
        assert client.get("/api/v1/reports").status_code == 200


def test_without_its_database_the_api_is_alive_but_not_ready_and_recovers_by_itself(
    hotel: Hotel, server: Server
) -> None:
    name = hotel.database.dbname
    with hotel.client() as client, hotel.client(logged_in=False) as stranger:
        Hotel(server, hotel.api, hotel.media).sql(f'DROP DATABASE "{name}" WITH (FORCE)')
        assert stranger.get("/health").status_code == 200
        unready = stranger.get("/ready")
        assert (unready.status_code, unready.json()) == (503, {"detail": "database not ready"})
        assert stranger.get("/api/v1/issues").status_code == 401
        assert server_error(login(stranger))
        for path in ("/health", "/ready", "/api/v1/issues"):
            assert server_error(client.get(path))  # a session cookie makes every path ask

        Hotel(server, hotel.api, hotel.media).sql(f'CREATE DATABASE "{name}"')
        assert stranger.get("/ready").status_code == 200  # of an empty database
        assert server_error(login(stranger))
        schema.upgrade(hotel.database.sqlalchemy_url())
        seed(hotel.database, rows=ROWS)
        assert login(stranger).status_code == 401  # the admin's row comes back at the next start


def test_after_its_sessions_were_ended_the_first_request_fails_and_the_next_succeeds(
    hotel: Hotel, server: Server
) -> None:
    with hotel.client(logged_in=False) as stranger:
        assert stranger.get("/ready").status_code == 200
        Hotel(server, hotel.api, hotel.media).sql(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            f" WHERE datname = '{hotel.database.dbname}'"
        )
        assert [stranger.get("/ready").status_code for _ in range(2)] == [503, 200]


def test_a_dropped_table_is_a_500_while_ready_stays_200(hotel: Hotel) -> None:
    with hotel.client() as client:
        for table in ("issues", "reports"):
            hotel.sql(f"DROP TABLE {table} CASCADE")
            assert server_error(client.get(f"/api/v1/{table}"))
        assert client.get("/ready").status_code == 200
        assert client.get("/api/v1/inventory").status_code == 200
