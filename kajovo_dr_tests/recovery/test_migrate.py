"""Under test: that a migration proves itself, and that Alembic's failures become clear errors.

A real Alembic of the library (not the hotel) works on a real database.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from kajovo_dr.errors import (
    CommandMissing,
    MigrationFailed,
    NotConfigured,
    SettingError,
    ToolTimeout,
)
from kajovo_dr.postgres.server import Server
from kajovo_dr.recovery.migrate import Migration, migrate
from kajovo_dr.settings import Settings
from kajovo_dr_tests.recovery.other_app.library import CHECKOUT

FIRST, SECOND = "first_shelves", "second_isbn"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout of the library that a test may change."""
    return shutil.copytree(CHECKOUT, tmp_path / "knihovna č. 2")


@pytest.fixture
def settings(checkout: Path) -> Settings:
    return Settings.load(
        migrate_dir=checkout,
        migrate_env={"LIBRARY_DSN": "{sqlalchemy_url}"},
        migrate_version_table="library.changes",
    )


def execute(database: Server, *statements: str) -> None:
    with psycopg.connect(database.conninfo()) as connection:
        for statement in statements:
            connection.execute(statement.encode())


@pytest.fixture
def old(database: Server) -> Server:
    """A restored database one revision behind the code."""
    execute(
        database,
        "CREATE SCHEMA library",
        "CREATE TABLE library.changes (version_num varchar(32) PRIMARY KEY)",
        f"INSERT INTO library.changes VALUES ('{FIRST}')",
        "CREATE TABLE library.shelves (id serial PRIMARY KEY, label text NOT NULL)",
        "CREATE TABLE library.books (id serial PRIMARY KEY, title text NOT NULL,"
        " shelf_id int NOT NULL REFERENCES library.shelves)",
        "INSERT INTO library.shelves (label) VALUES ('Světová próza')",
    )
    return database


@pytest.fixture
def current(old: Server) -> Server:
    """A restored database at the code's head."""
    execute(
        old,
        "ALTER TABLE library.books ADD isbn varchar(17)",
        f"UPDATE library.changes SET version_num = '{SECOND}'",
    )
    return old


def revision(checkout: Path, name: str, down: str, code: str = "pass") -> None:
    (checkout / "migrations" / "versions" / f"{name}.py").write_text(
        f"revision, down_revision = {name!r}, {down!r}\n\n\ndef upgrade():\n    {code}\n",
        encoding="utf-8",
    )


def alembic_says(tmp_path: Path, code: str) -> tuple[str, ...]:
    """A command that runs this code and then Alembic."""
    script = tmp_path / "wrapped.py"
    script.write_text(
        f"import os, sys\n{code}\nfrom alembic.config import main\nmain(sys.argv[1:])\n",
        encoding="utf-8",
    )
    return (sys.executable, str(script))


def failure(settings: Settings, server: Server) -> MigrationFailed:
    with pytest.raises(MigrationFailed) as failed:
        migrate(settings, server)
    return failed.value


def test_an_older_database_is_lifted_to_the_head(settings: Settings, old: Server) -> None:
    seen: list[str] = []
    done = migrate(settings, old, progress=lambda phase, now, total: seen.append(phase))
    assert (done.before, done.after, done.head) == (FIRST, SECOND, SECOND)
    assert done.steps == (f"{FIRST} -> {SECOND}, Books have an ISBN.",)
    assert seen == [f"migrate: {step}" for step in ("heads", "current", "upgrade head", "check")]


def test_a_database_at_the_head_stays_there(settings: Settings, current: Server) -> None:
    done = migrate(settings, current)
    assert done == Migration(SECOND, SECOND, SECOND, (), done.seconds)


def test_an_empty_database_gets_the_whole_schema(settings: Settings, database: Server) -> None:
    done = migrate(settings, database)
    assert (done.before, done.after) == (None, SECOND)
    assert len(done.steps) == 2


def test_another_driver_is_a_setting(settings: Settings, old: Server) -> None:
    assert migrate(settings.with_overrides(migrate_driver="psycopg2"), old).after == SECOND


def test_the_parts_of_the_address_are_there_too(
    settings: Settings, old: Server, checkout: Path
) -> None:
    env = checkout / "migrations" / "env.py"
    url = "sa.URL.create('postgresql+psycopg', *(os.environ[n] for n in 'UWHPD'))"
    code = env.read_text(encoding="utf-8").replace('os.environ["LIBRARY_DSN"]', url)
    env.write_text(code, encoding="utf-8")
    parts = {"U": "{user}", "W": "{password}", "H": "{host}", "P": "{port}", "D": "{dbname}"}
    assert migrate(settings.with_overrides(migrate_env=parts), old).after == SECOND


def test_variables_of_libpq_and_our_own_secrets_do_not_reach_the_command(
    settings: Settings, old: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c search_path=elsewhere")
    monkeypatch.setenv("KAJOVO_DR_APP_PASSWORD", "tajné")
    code = "assert not [n for n in os.environ if n.startswith(('PG', 'KAJOVO_DR_'))]"
    command = alembic_says(tmp_path, code)
    assert migrate(settings.with_overrides(migrate_command=command), old).after == SECOND


def test_drift_is_found_although_the_revision_is_right(settings: Settings, current: Server) -> None:
    execute(current, "ALTER TABLE library.books DROP title, ADD author text")
    failed = failure(settings, current)
    assert "check failed (exit code 255): tables and models differ in 2 places" in str(failed)
    assert "library.books.title" in str(failed)
    assert "missing migration" in failed.hint


def test_drift_is_found_when_alembic_logs_nothing(
    settings: Settings, current: Server, checkout: Path
) -> None:
    ini = checkout / "alembic.ini"
    quiet = ini.read_text(encoding="utf-8").replace("level = INFO", "level = ERROR")
    ini.write_text(quiet, encoding="utf-8")
    execute(current, "ALTER TABLE library.books DROP title")
    failed = failure(settings, current)
    assert "New upgrade operations detected" in str(failed)
    assert "missing migration" in failed.hint


def test_two_heads_in_the_code_are_refused_before_anything_changes(
    settings: Settings, old: Server, checkout: Path
) -> None:
    revision(checkout, "second_shelf", FIRST)
    failed = failure(settings, old)
    assert "has 2 heads: second_isbn, second_shelf" in str(failed)
    assert "merge" in failed.hint
    with psycopg.connect(old.conninfo()) as connection:
        assert connection.execute("TABLE library.changes").fetchall() == [(FIRST,)]


def test_code_without_revisions_is_refused(settings: Settings, old: Server, checkout: Path) -> None:
    for file in (checkout / "migrations" / "versions").glob("*.py"):
        file.unlink()
    assert "has 0 heads: none" in str(failure(settings, old))


def test_a_database_newer_than_the_code_is_named(settings: Settings, current: Server) -> None:
    execute(current, "UPDATE library.changes SET version_num = 'third_readers'")
    failed = failure(settings, current)
    assert "Can't locate revision identified by 'third_readers'" in str(failed)
    assert "older than the backup" in failed.hint


@pytest.mark.parametrize("unstamp", ["DROP TABLE library.changes", "TRUNCATE library.changes"])
def test_tables_without_a_revision_are_refused(
    settings: Settings, current: Server, unstamp: str
) -> None:
    execute(current, unstamp)
    failed = failure(settings, current)
    assert "2 tables (library.books, library.shelves, …) but no revision" in str(failed)
    assert "stamp" in failed.hint


def test_a_failing_revision_is_told_with_its_reason(
    settings: Settings, current: Server, checkout: Path
) -> None:
    revision(checkout, "third_broken", SECOND, "__import__('alembic').op.drop_table('nothing')")
    failed = failure(settings, current)
    assert "upgrade head failed (exit code 1)" in str(failed)
    assert 'table "nothing" does not exist' in str(failed)


def test_an_id_too_long_for_the_version_column_has_a_remedy(
    settings: Settings, current: Server, checkout: Path
) -> None:
    revision(checkout, "third_" + "x" * 40, SECOND)
    failed = failure(settings, current)
    assert "StringDataRightTruncation" in str(failed)
    assert "ALTER TABLE library.changes ALTER COLUMN version_num" in failed.hint


def test_a_command_that_looks_at_another_database_is_stopped_before_it_upgrades_that(
    settings: Settings, old: Server, server: Server, checkout: Path
) -> None:
    other = server.database("postgres").sqlalchemy_url()
    env = {"LIBRARY_DSN": other, "WRONG_NAME": "{sqlalchemy_url}"}
    failed = failure(settings.with_overrides(migrate_env=env), old)
    assert "it works on another database" in str(failed)
    assert "WRONG_NAME" in failed.hint
    execute(server, "DROP SCHEMA library")  # made by its env.py; it would fail if it held a table


def test_an_upgrade_that_did_not_reach_the_database_is_no_success(
    settings: Settings, database: Server, server: Server
) -> None:
    # nothing is restored in the server's own database, so that no revision tells them apart before
    env = {"LIBRARY_DSN": database.sqlalchemy_url()}
    failed = failure(settings.with_overrides(migrate_env=env), server)
    assert "after the upgrade the database is at no revision, the code at second_isbn" in str(
        failed
    )


@pytest.mark.parametrize("spelling", ["{sqlalchemy_url}", "{password}", "{user}:{password}@"])
def test_the_password_is_never_told_even_when_alembic_prints_it(
    settings: Settings,
    server: Server,
    database: Server,
    tmp_path: Path,
    spelling: str,
    with_password: Callable[[Server, str], Server],
) -> None:
    secret = "tajné/heslo @1%:#'\"\\"
    login = with_password(database, secret)
    code = "sys.exit('FAILED: cannot use ' + os.environ['TOLD'])"
    wrong = settings.with_overrides(
        migrate_command=alembic_says(tmp_path, code), migrate_env={"TOLD": spelling}
    )
    told = failure(wrong, login).described()
    assert "FAILED: cannot use" in told
    assert "***" in told
    assert not any(part in told for part in ("tajn", "heslo", "%25"))


@pytest.fixture
def with_password(server: Server) -> Callable[[Server, str], Server]:
    def change(database: Server, secret: str) -> Server:
        return Server({**database.params, "password": secret})

    return change


@pytest.mark.parametrize("command", [("no-such-alembic",), ("./no/such/alembic",)])
def test_a_missing_command_is_named(
    settings: Settings, old: Server, command: tuple[str, ...]
) -> None:
    with pytest.raises(CommandMissing, match=r"no.such.alembic"):
        migrate(settings.with_overrides(migrate_command=command), old)


def test_an_interpreter_without_alembic_has_a_remedy(
    settings: Settings, old: Server, tmp_path: Path
) -> None:
    command = (sys.executable, "-m", "alembic_of_somebody_else")
    failed = failure(settings.with_overrides(migrate_command=command), old)
    assert "No module named alembic_of_somebody_else" in str(failed)
    assert "KAJOVO_DR_MIGRATE_COMMAND" in failed.hint


def test_a_missing_folder_is_named(settings: Settings, old: Server, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"KAJOVO_DR_MIGRATE_DIR: .*nowhere is not a folder"):
        migrate(settings.with_overrides(migrate_dir=tmp_path / "nowhere"), old)


def test_a_folder_without_alembic_ini_is_told(
    settings: Settings, old: Server, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    failed = failure(settings.with_overrides(migrate_dir=tmp_path / "empty"), old)
    assert "heads failed (exit code 255): FAILED: No " in str(failed)


def test_an_unset_folder_is_named(old: Server) -> None:
    with pytest.raises(NotConfigured, match="KAJOVO_DR_MIGRATE_DIR"):
        migrate(Settings.load(migrate_dir=None), old)


def test_a_command_that_hangs_is_stopped(settings: Settings, old: Server, tmp_path: Path) -> None:
    command = alembic_says(tmp_path, "import time; time.sleep(3600)")
    overrides: dict[str, Any] = {"migrate_command": command, "migrate_timeout_s": 0.5}
    with pytest.raises(ToolTimeout):
        migrate(settings.with_overrides(**overrides), old)
