"""Under test: that another application needs settings only.

The library is restored one revision behind, migrated, asked whether it is ready, and smoke tested,
with nothing but environment variables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from kajovo_dr.errors import LoginRefused
from kajovo_dr.postgres.server import Server
from kajovo_dr.progress import Progress
from kajovo_dr.recovery.migrate import migrate
from kajovo_dr.recovery.readiness import wait_until_ready
from kajovo_dr.recovery.smoke import smoke
from kajovo_dr.settings import Settings
from kajovo_dr_tests.recovery.http_servers import serving
from kajovo_dr_tests.recovery.other_app.library import FIRST_REVISION, Library, environment

RESTORED = f"""
{FIRST_REVISION}INSERT INTO library.shelves (label) VALUES ('Próza/česká'), ('Poezie');
INSERT INTO library.books (title, shelf_id)
    VALUES ('Žert', 1), ('Máj', 2), ('Válka s mloky', 1), ('Saturnin', 1), ('Kytice', 2);
"""


@pytest.fixture
def restored(database: Server) -> Server:
    with psycopg.connect(database.conninfo()) as connection:
        connection.execute(RESTORED.encode())
    return database


@pytest.fixture
def library(restored: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    library = Library(restored)
    with serving(library.app) as url:
        for name, value in environment(url).items():
            monkeypatch.setenv(name, value)
        yield library


def test_another_application_recovers_with_settings_only(
    library: Library, restored: Server
) -> None:
    settings = Settings.load()
    migration = migrate(settings, restored)
    readiness = wait_until_ready(settings)
    report = smoke(settings, restored)

    assert (migration.before, migration.after) == ("first_shelves", "second_isbn")
    assert readiness.body == {"alive": True}
    assert [(r.name, r.ok, r.count, r.expected) for r in report.results] == [
        ("books", True, 5, 5),
        ("shelves", True, 2, 2),
        ("shelf", True, None, None),
        ("same_database", True, None, None),
    ]
    assert library.tokens == set()
    assert [(method, path) for method, path, _ in library.log] == [
        ("GET", "/zdravi"),
        ("POST", "/session"),
        ("GET", "/v2/books"),
        ("GET", "/v2/shelves"),
        ("GET", "/v2/shelves/Próza/česká"),
        ("DELETE", "/session"),
    ]
    assert not any(cookie for _, _, cookie in library.log)


def test_its_refusal_of_a_login_is_final_too(
    library: Library, restored: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAJOVO_DR_APP_PASSWORD", "heslo jiného")
    with pytest.raises(LoginRefused, match=r"answered 403: .*denied"):
        smoke(Settings.load(), restored)
    assert [method for method, _, _ in library.log] == ["POST"]


def test_rows_that_its_lists_do_not_show_are_missed(library: Library, restored: Server) -> None:
    settings = Settings.load()
    with psycopg.connect(restored.conninfo(), autocommit=True) as connection:
        report = smoke(settings, restored, progress=_while(connection, "books", _HIDDEN))
    (books,) = report.failures
    assert books.detail == "the application lists 4, the database has 5"


def test_what_people_write_while_the_test_reads_is_no_failure(
    library: Library, restored: Server
) -> None:
    settings = Settings.load()
    with psycopg.connect(restored.conninfo(), autocommit=True) as connection:
        lost = (("DELETE FROM library.books WHERE id = 3",), ())
        report = smoke(settings, restored, progress=_while(connection, "books", lost))
    assert report.failures == ()
    (books,) = (result for result in report.results if result.name == "books")
    assert (books.count, books.expected) == (4, 4)


#: A row that is gone while the list is read, and there before and after it.
_HIDDEN = (
    (
        "CREATE TABLE aside AS SELECT * FROM library.books WHERE id = 3",
        "DELETE FROM library.books WHERE id = 3",
    ),
    ("INSERT INTO library.books SELECT * FROM aside", "DROP TABLE aside"),
)


def _while(
    connection: psycopg.Connection[Any],
    endpoint: str,
    statements: tuple[tuple[str, ...], tuple[str, ...]],
) -> Progress:
    """Runs the first statements right before the endpoint is read, the others after it."""
    left = list(statements)

    def act(phase: str, done: int, total: int | None) -> None:
        if phase == f"smoke: {endpoint}" or (left and len(left) < len(statements)):
            for statement in left.pop(0):
                connection.execute(statement.encode())

    return act


def test_a_database_that_the_application_does_not_use_proves_nothing(
    library: Library, restored: Server, new_database: Callable[[str], Server]
) -> None:
    # equal rows in another database: every count agrees, and says nothing of the application
    beside = new_database("vedle živé")
    with psycopg.connect(beside.conninfo()) as connection:
        connection.execute(RESTORED.encode())
    settings = Settings.load()
    migrate(settings, beside)
    migrate(settings, restored)
    report = smoke(settings, beside)
    assert [failed.name for failed in report.failures] == ["same_database"]
    assert "no session in 'vedle živé'" in report.failures[0].detail
    assert smoke(settings, restored).ok
