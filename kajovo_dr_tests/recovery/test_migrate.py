"""Under test: that a migration proves itself, and that Alembic's failures become clear errors.

A real Alembic of the library (not the hotel) works on a real database.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
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
#: A database one revision behind the code.
RESTORED = (
    "CREATE SCHEMA library",
    "CREATE TABLE library.changes (version_num varchar(32) PRIMARY KEY)",
    f"INSERT INTO library.changes VALUES ('{FIRST}')",
    "CREATE TABLE library.shelves (id serial PRIMARY KEY, label text NOT NULL)",
    "CREATE TABLE library.books (id serial PRIMARY KEY, title text NOT NULL,"
    " shelf_id int NOT NULL REFERENCES library.shelves)",
    "INSERT INTO library.shelves (label) VALUES ('Světová próza')",
)


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
    execute(database, *RESTORED)
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
    assert seen == [f"migrate: {step}" for step in ("history", "current", "upgrade head", "check")]


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


def test_the_version_column_is_widened_for_ids_that_are_longer(
    settings: Settings, current: Server, checkout: Path
) -> None:
    longest = "third_" + "x" * 40
    revision(checkout, longest, SECOND)
    done = migrate(settings, current)
    assert done.after == longest
    assert done.steps[0] == "version column widened from 32 to 46 characters"
    assert migrate(settings, current).steps == ()


def test_ids_too_long_for_a_column_that_the_upgrade_makes_have_a_remedy(
    settings: Settings, database: Server, checkout: Path
) -> None:
    revision(checkout, "third_" + "x" * 40, SECOND)
    failed = failure(settings, database)
    assert "StringDataRightTruncation" in str(failed)
    assert "ALTER TABLE library.changes ALTER COLUMN version_num" in failed.hint


@pytest.fixture
def live(new_database: Callable[[str], Server]) -> Server:
    """The database that a wrong setting leads to; its schema exists, env.py would make it."""
    live = new_database("živá")
    execute(live, "CREATE SCHEMA library")
    return live


def led_astray(settings: Settings, live: Server) -> Settings:
    """The variable that counts leads to the live database, another one to the restored."""
    env = {"LIBRARY_DSN": live.sqlalchemy_url(), "WRONG_NAME": "{sqlalchemy_url}"}
    return settings.with_overrides(migrate_env=env)


def contents(database: Server) -> list[Any]:
    """Schemas, tables, columns and version rows."""
    with psycopg.connect(database.conninfo()) as connection:
        found: list[Any] = connection.execute(
            "SELECT nspname, relname, attname FROM pg_namespace n LEFT JOIN pg_class c"
            " ON relnamespace = n.oid LEFT JOIN pg_attribute ON attrelid = c.oid"
            " WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' ORDER BY 1, 2, 3"
        ).fetchall()
        if ("library", "changes", "version_num") in found:
            found += connection.execute("TABLE library.changes").fetchall()
        return found


@pytest.mark.parametrize("at", [FIRST, SECOND])
def test_a_command_that_looks_at_a_live_database_of_the_same_revision_changes_nothing(
    settings: Settings, old: Server, live: Server, at: str
) -> None:
    if at == SECOND:
        migrate(settings, old)
    execute(live, "DROP SCHEMA library", *RESTORED)
    execute(live, f"UPDATE library.changes SET version_num = '{at}'")
    before = contents(old), contents(live)
    failed = failure(led_astray(settings, live), old)
    assert str(failed) == f"Alembic works on another database than {old.shown}"
    assert "KAJOVO_DR_MIGRATE_ENV (LIBRARY_DSN, WRONG_NAME)" in failed.hint
    assert (contents(old), contents(live)) == before


def test_a_live_database_at_a_revision_that_the_code_does_not_know_is_another_one_too(
    settings: Settings, old: Server, live: Server
) -> None:
    execute(live, "DROP SCHEMA library", *RESTORED)
    execute(live, "UPDATE library.changes SET version_num = 'third_readers'")
    failed = failure(led_astray(settings, live), old)
    assert str(failed) == f"Alembic works on another database than {old.shown}"


def test_an_empty_database_is_told_from_an_empty_live_one(
    settings: Settings, database: Server, live: Server
) -> None:
    before = contents(database), contents(live)
    failed = failure(led_astray(settings, live), database)
    assert str(failed) == f"Alembic works on another database than {database.shown}"
    assert (contents(database), contents(live)) == before


def test_what_env_py_makes_in_a_new_schema_stays(
    settings: Settings, database: Server, checkout: Path
) -> None:
    env = checkout / "migrations" / "env.py"
    more = "EXISTS library; CREATE SEQUENCE IF NOT EXISTS library.cards"
    env.write_text(env.read_text(encoding="utf-8").replace("EXISTS library", more), "utf-8")
    assert migrate(settings, database).after == SECOND


def test_the_mark_that_a_power_cut_left_behind_is_no_revision(
    settings: Settings, old: Server
) -> None:
    execute(old, "INSERT INTO library.changes VALUES ('kajovo_dr_probe_0123456789abcdef')")
    done = migrate(settings, old)
    assert (done.before, done.after) == (FIRST, SECOND)


@pytest.fixture
def clerk(server: Server, old: Server) -> Iterator[Server]:
    """The restored database for a role whose password is a part of every mark."""
    execute(server, "CREATE ROLE clerk SUPERUSER LOGIN PASSWORD 'kajovo'")
    yield Server({**old.params, "user": "clerk", "password": "kajovo"})
    execute(server, "DROP ROLE clerk")


def test_a_password_that_is_a_part_of_the_mark_does_not_hide_it(
    settings: Settings, clerk: Server
) -> None:
    assert migrate(settings, clerk).after == SECOND


def test_a_live_database_out_of_reach_is_told_with_its_reason(
    settings: Settings, old: Server, server: Server
) -> None:
    before = contents(old)
    failed = failure(led_astray(settings, server.database("ztracená")), old)
    assert 'database "ztracená" does not exist' in str(failed)
    assert contents(old) == before


def test_an_upgrade_that_left_nothing_behind_is_no_success(
    settings: Settings, old: Server, tmp_path: Path
) -> None:
    command = alembic_says(tmp_path, "'upgrade' in sys.argv and sys.exit(0)")
    failed = failure(settings.with_overrides(migrate_command=command), old)
    assert "the database is at ['first_shelves'], the code at second_isbn" in str(failed)
    assert "commits" in failed.hint


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
    assert "history failed (exit code 255): FAILED: No " in str(failed)


def test_an_unset_folder_is_named(old: Server) -> None:
    with pytest.raises(NotConfigured, match="KAJOVO_DR_MIGRATE_DIR"):
        migrate(Settings.load(migrate_dir=None), old)


def test_a_command_that_hangs_is_stopped(settings: Settings, old: Server, tmp_path: Path) -> None:
    command = alembic_says(tmp_path, "import time; time.sleep(3600)")
    overrides: dict[str, Any] = {"migrate_command": command, "migrate_timeout_s": 0.5}
    with pytest.raises(ToolTimeout):
        migrate(settings.with_overrides(**overrides), old)


def test_the_records_of_a_legacy_migration_are_no_drift_but_other_tables_are(
    settings: Settings, current: Server
) -> None:
    execute(
        current,
        "CREATE TABLE library.legacy_migration_audit (id serial PRIMARY KEY, domain text)",
        "CREATE INDEX ON library.legacy_migration_audit (domain)",
    )
    assert migrate(settings, current).after == SECOND
    execute(current, "CREATE TABLE library.leftover (id int)")
    assert "leftover" in str(failure(settings, current))
