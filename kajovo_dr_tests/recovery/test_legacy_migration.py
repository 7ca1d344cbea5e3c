"""Under test: that a migration of legacy data is believed only when everything agrees.

Each of the eleven things that the facts say an orchestrator must detect is caused once; most by a
small tool that is honest until a test changes it, the rest by the sandbox hotel's own.
"""

from __future__ import annotations

import copy
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import kajovo_dr
from kajovo_dr.errors import (
    CommandMissing,
    DatabaseMissing,
    LegacyFailed,
    SettingError,
    ToolTimeout,
    UrlError,
)
from kajovo_dr.hotel import LegacyDomain
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.recovery import legacy_report
from kajovo_dr.recovery.legacy import LegacyMigration, configured, migrate_legacy
from kajovo_dr.recovery.legacy_report import Totals
from kajovo_dr.recovery.smoke import smoke
from kajovo_dr.sandbox import legacy_database, schema
from kajovo_dr.settings import Settings
from kajovo_dr_tests.recovery.legacy_tool import BOOKS, DOMAIN, NEW, OLD, Tool
from kajovo_dr_tests.sandbox.conftest import EMAIL, PASSWORD, execute, running

_GROWN = "new.execute(\"INSERT INTO books (title) VALUES ('navíc')\")"


@pytest.fixture
def tool(database: Server, new_database: Callable[[str], Server], tmp_path: Path) -> Tool:
    old = new_database("stará_knihovna")
    execute(old, OLD)
    execute(database, NEW)
    return Tool(old, database, tmp_path)


def failure(tool: Tool, settings: Settings | None = None) -> LegacyFailed:
    with pytest.raises(LegacyFailed) as failed:
        migrate_legacy(settings or tool.settings, tool.new)
    assert failed.value.hint
    return failed.value


def report_says(tool: Tool, code: str) -> LegacyFailed:
    """What is made of a report that this code has changed."""
    tool.does(report=code)
    return failure(tool)


def books(database: Server) -> int:
    [(count,)] = execute(database, "SELECT count(*) FROM books")
    assert isinstance(count, int)
    return count


def test_without_a_legacy_url_there_is_nothing_to_do(tool: Tool) -> None:
    assert configured(tool.settings)
    assert not configured(Settings())


def test_everything_is_imported_once_and_nothing_is_left_behind(
    tool: Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports = tmp_path / "dočasné"
    reports.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(reports))
    seen: list[str] = []
    done = migrate_legacy(tool.settings, tool.new, progress=lambda phase, *_: seen.append(phase))
    assert done.domains == {"knihy": Totals(scanned=6, imported=6, skipped=0, errors=0)}
    assert list(done.seconds) == ["look", "dry_run", "real_run", "second_run"]
    assert seen == [f"migrate_legacy: {step}" for step in ("dry run", "real run", "second run")]
    assert books(tool.new) == 1 + BOOKS
    assert list(reports.iterdir()) == []


def test_a_recovery_that_is_resumed_imports_what_is_missing(tool: Tool) -> None:
    migrate_legacy(tool.settings, tool.new)
    execute(tool.old, "INSERT INTO knihy VALUES (7, 'Svazek č. 7')")
    done = migrate_legacy(tool.settings, tool.new)
    assert done.domains == {"knihy": Totals(scanned=7, imported=1, skipped=6, errors=0)}
    again = migrate_legacy(tool.settings, tool.new)
    assert again.domains == {"knihy": Totals(scanned=7, imported=0, skipped=7, errors=0)}


# --- 1: the exit code ----------------------------------------------------------------------------


def test_a_failing_tool_is_told_with_its_reason(tool: Tool) -> None:
    tool.does(done="new.execute('SELECT * FROM nic')")
    failed = failure(tool)
    assert "the dry run of migrate_legacy failed (exit code 1): psycopg.errors." in str(failed)
    assert 'relation "nic" does not exist' in str(failed)
    assert "run it by hand in" in failed.hint
    assert books(tool.new) == 1


def test_a_tool_that_fails_with_a_good_report_fails(tool: Tool) -> None:
    tool.does(last="sys.exit(3)")
    assert str(failure(tool)).endswith("failed (exit code 3): it said nothing")


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("sqlalchemy.exc.NoSuchTableError: issues", "KAJOVO_DR_MIGRATE_DIR"),
        ("ModuleNotFoundError: No module named 'sqlalchemy'", "KAJOVO_DR_LEGACY_COMMAND"),
        (
            "sqlalchemy.exc.InvalidRequestError: This connection has already initialized a "
            "SQLAlchemy Transaction() object",
            "SQLAlchemy 2",
        ),
    ],
)
def test_known_failures_have_a_remedy(tool: Tool, said: str, remedy: str) -> None:
    tool.does(first=f"print({said!r}, 'DETAIL: jméno hosta', sep='\\n', file=sys.stderr); exit(1)")
    failed = failure(tool)
    assert str(failed).endswith(f"(exit code 1): {said}")
    assert remedy in failed.hint


# --- 2: errors of single rows --------------------------------------------------------------------

_ONE_FAILED = (
    "[each.update(imported=each['imported'] - 1, errors=1)"
    " for each in (report['totals'], totals)]\n"
    "report['errors'] = [dict(domain='knihy', legacy_table='knihy', legacy_pk='5',"
    " error='IntegrityError: ' + 'dlouhé\\x1b' * 50 + '\\nDETAIL: jméno hosta')] * 5"
)


def test_a_row_that_was_not_imported_is_a_failure_although_the_exit_code_is_0(tool: Tool) -> None:
    failed = report_says(tool, _ONE_FAILED)
    assert "could not import 1 of 6 rows (knihy 1): knihy knihy 5: IntegrityError" in str(failed)
    assert str(failed).count("IntegrityError") == 3
    assert max(map(len, str(failed).split("; "))) < 300
    assert str(failed).isprintable()
    assert "hosta" not in failed.described()
    assert "mend these rows" in failed.hint


def test_an_error_of_the_real_run_only_is_a_failure(tool: Tool) -> None:
    code = _ONE_FAILED.replace("\n", "\n    ")
    assert "could not import 1" in str(report_says(tool, f"if not dry_run:\n    {code}"))


def test_an_error_that_is_listed_but_not_counted_is_a_failure(tool: Tool) -> None:
    failed = report_says(tool, "report['errors'] = [dict(error='x')]")
    assert "could not import 1 of 6 rows (in no domain): ? ? ?: x" in str(failed)


def test_an_error_that_is_counted_but_not_listed_is_a_failure(tool: Tool) -> None:
    failed = report_says(tool, _ONE_FAILED + "\nreport['errors'] = []")
    assert "(knihy 1): it lists none of them" in str(failed)


# --- 3: the report -------------------------------------------------------------------------------


def test_a_missing_report_is_a_failure(tool: Tool) -> None:
    failed = report_says(tool, "sys.exit(0)")
    assert str(failed) == "migrate_legacy ended well but wrote no report"
    assert "--report-json" in failed.hint


def test_a_report_of_an_earlier_run_is_a_failure(tool: Tool) -> None:
    failed = report_says(tool, "report['started_at'] = '2026-04-03T10:00:00+02:00'")
    assert "is of a run that began at 2026-04-03 10:00:00" in str(failed)
    tool.does(last="os.utime(path, (1e9, 1e9))")
    assert "was written at 2001-09-09 01:46:40 UTC, before this run" in str(failure(tool))


def test_a_report_whose_clock_has_no_zone_is_not_older(tool: Tool) -> None:
    tool.does(report="report['started_at'] = '2026-04-03T10:00:00'")
    assert migrate_legacy(tool.settings, tool.new).domains


_SAID: dict[str, Any] = {
    "dry_run": True,
    "started_at": "2030-01-01T00:00:00+00:00",
    "finished_at": "2030-01-01T00:00:01+00:00",
    "totals": {"scanned": 6, "imported": 6, "skipped": 0, "errors": 0},
    "domains": {"knihy": {"scanned": 6, "imported": 6, "skipped": 0, "errors": 0}},
    "errors": [],
}


def unreadable(folder: Path, content: bytes) -> str:
    """What is said of a report that holds this."""
    path = folder / "zpráva.json"
    path.write_bytes(content)
    with pytest.raises(LegacyFailed) as failed:
        legacy_report.read(path, datetime.now(UTC))
    assert "JSON in UTF-8" in failed.value.hint
    said = str(failed.value)
    assert said.startswith("the report of migrate_legacy cannot be read: ")
    assert len(said) < 300
    return said.removeprefix("the report of migrate_legacy cannot be read: ")


def test_a_report_may_say_more_than_is_judged(tmp_path: Path) -> None:
    path = tmp_path / "zpráva.json"
    path.write_text(json.dumps(_SAID | {"verze": [1, {"č": None}]}), encoding="utf-8")
    assert legacy_report.read(path, datetime.now(UTC)).totals.scanned == BOOKS


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe{}",
        b"null",
        b"[]",
        b"{}",
        b'{"dry_run": true',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        '{"názvy": "č"}'.encode("cp1250"),
        b"1" * 10_000,
        b"\0" * 1000,
        b"<html>OK</html>",
        json.dumps(_SAID).encode("utf-16"),
        json.dumps(_SAID).encode("utf-8-sig"),
        json.dumps(_SAID).encode()[:-1],
        json.dumps(_SAID).encode().replace(b"6", b"9" * 5000),
        json.dumps(_SAID).encode().replace(b"[]", b"[" + b"[" * 50_000 + b"]" * 50_000 + b"]"),
    ],
    ids=lambda content: repr(content[:12]),
)
def test_what_is_no_report_is_a_failure_and_no_traceback(tmp_path: Path, content: bytes) -> None:
    assert unreadable(tmp_path, content)


def test_a_report_that_is_no_report_stops_the_migration(tool: Tool) -> None:
    tool.does(last="path.write_bytes(b'<html>')")
    assert str(failure(tool)).startswith("the report of migrate_legacy cannot be read: invalid")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("dry_run", "yes"),
        ("dry_run", 1),
        ("dry_run", None),
        ("started_at", "včera"),
        ("started_at", None),
        ("totals.scanned", True),
        ("totals.imported", 6.5),
        ("totals.imported", "6"),
        ("totals.errors", -1),
        ("totals.errors", float("nan")),
        ("totals.errors", {}),
        ("domains", [1]),
        ("domains.knihy", None),
        ("domains.knihy.skipped", None),
        ("errors", 0),
        ("errors.0", "heslo hosta"),
    ],
)
def test_a_report_of_another_shape_is_told_by_its_place(
    tmp_path: Path, place: str, value: Any
) -> None:
    document = copy.deepcopy(_SAID)
    *above, last = place.split(".")
    parent = document
    for name in above:
        parent = parent[name]
    if isinstance(parent, list):
        parent.append(value)
    else:
        parent[last] = value
    said = unreadable(tmp_path, json.dumps(document).encode())
    assert said.startswith(f"{place}: ")
    assert "hosta" not in said


@pytest.mark.parametrize("name", sorted(_SAID.keys() - {"finished_at"}))
def test_a_report_that_lacks_something_is_told_by_its_place(tmp_path: Path, name: str) -> None:
    document = {key: value for key, value in _SAID.items() if key != name}
    assert unreadable(tmp_path, json.dumps(document).encode()).startswith(f"{name}: ")


def test_a_folder_in_place_of_the_report_is_a_failure(tool: Tool) -> None:
    tool.does(last="path.unlink(); path.mkdir()")
    assert "wrote no report" in str(failure(tool))


# --- 4: dry or real ------------------------------------------------------------------------------


def test_a_tool_that_does_not_know_the_dry_run_is_found(tool: Tool) -> None:
    tool.does(first="dry_run = False")
    failed = failure(tool)
    assert str(failed) == "migrate_legacy was asked for a dry run and reports a real one"
    assert "--dry-run" in failed.hint


def test_a_tool_that_never_imports_is_found(tool: Tool) -> None:
    tool.does(first="dry_run = True")
    failed = failure(tool)
    assert str(failed) == "migrate_legacy was asked for a real run and reports a dry one"


def test_a_dry_run_that_keeps_something_is_found_whatever_it_reports(tool: Tool) -> None:
    tool.does(end=f"if dry_run: {_GROWN}; new.commit()")
    failed = failure(tool)
    assert str(failed) == (
        "a dry run of migrate_legacy changed the restored database: "
        "public.books 1 -> 8 rows, public.legacy_migration_audit none -> 6 rows"
    )


# --- 5: an empty or another legacy database ------------------------------------------------------


def test_an_empty_legacy_database_is_a_failure_although_everything_adds_up(tool: Tool) -> None:
    execute(tool.old, "TRUNCATE knihy")
    failed = failure(tool)
    assert str(failed) == "migrate_legacy scanned no row at all"
    assert "KAJOVO_DR_LEGACY_URL" in failed.hint


def test_a_missing_legacy_database_is_named(tool: Tool) -> None:
    url = tool.old.database("ztracená").url()
    with pytest.raises(DatabaseMissing, match="ztracená"):
        migrate_legacy(Settings.load(legacy_url=url), tool.new)


def test_a_wrong_legacy_url_is_named_without_showing_it(tool: Tool) -> None:
    with pytest.raises(UrlError, match="KAJOVO_DR_LEGACY_URL") as failed:
        migrate_legacy(Settings.load(legacy_url="mysql://root:tajné@starý/hotel"), tool.new)
    assert "tajné" not in failed.value.described()


def test_the_restored_database_is_no_legacy_database(tool: Tool) -> None:
    settings = Settings.load(legacy_url=tool.new.url())
    with pytest.raises(SettingError, match="KAJOVO_DR_LEGACY_URL names the restored database"):
        migrate_legacy(settings, tool.new)


# --- 6: sums -------------------------------------------------------------------------------------


def test_a_domain_must_add_up(tool: Tool) -> None:
    failed = report_says(tool, "totals['imported'] -= 1; report['totals']['imported'] -= 1")
    assert "does not add up, knihy: scanned 6, imported 5, skipped 0, errors 0" in str(failed)


def test_the_totals_must_add_up(tool: Tool) -> None:
    failed = report_says(tool, "report['totals']['skipped'] += 1")
    assert "does not add up, totals: scanned 6, imported 6, skipped 1, errors 0" in str(failed)


def test_the_totals_must_be_those_of_the_domains(tool: Tool) -> None:
    code = "report['totals'].update(scanned=7, imported=7)"
    assert "scanned is 7 in all, 6 in its domains together" in str(report_says(tool, code))


# --- 7: the rows that there are ------------------------------------------------------------------


def test_a_row_that_was_never_scanned_is_missed(tool: Tool) -> None:
    tool.does(end="for each in (totals,): each.update(scanned=5, imported=5)")
    failed = failure(tool)
    assert "scanned other rows than the legacy database has: knihy 5 of 6" in str(failed)


def test_a_domain_that_nobody_knows_is_told(tool: Tool) -> None:
    failed = report_says(tool, "report['domains']['mapy'] = dict.fromkeys(totals, 0)")
    assert str(failed) == "the report of migrate_legacy has mapy in addition"
    assert "KAJOVO_DR_LEGACY_DOMAINS" in failed.hint


def test_a_domain_that_was_left_out_is_told(tool: Tool) -> None:
    maps = LegacyDomain(name="mapy", count_sql="SELECT 0")
    settings = tool.settings.with_overrides(legacy_domains=(DOMAIN, maps))
    assert str(failure(tool, settings)) == "the report of migrate_legacy lacks mapy"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT count(*) FROM nic", 'failed: relation "nic" does not exist'),
        ("SELECT název FROM knihy", "does not return one number"),
        ("SELECT true", "does not return one number"),
        ("SELECT 1, 2", "does not return one number"),
        ("SELECT 1 WHERE false", "does not return one number"),
        ("DELETE FROM knihy RETURNING 1", "failed: cannot execute DELETE in a read-only"),
    ],
)
def test_a_wrong_query_of_a_domain_is_named(tool: Tool, query: str, said: str) -> None:
    domains = (LegacyDomain(name="knihy", count_sql=query),)
    failed = failure(tool, tool.settings.with_overrides(legacy_domains=domains))
    assert str(failed).startswith(f"the query of the legacy domain knihy {said}")
    assert execute(tool.old, DOMAIN.count_sql) == [(BOOKS,)]


# --- 8: the second run ---------------------------------------------------------------------------


def test_a_second_run_that_imports_again_is_found(tool: Tool) -> None:
    tool.does(done="done = set()")
    failed = failure(tool)
    assert "second run of migrate_legacy did not skip every row: scanned 6, imported 6" in str(
        failed
    )
    assert "recover anew" in failed.hint


def test_a_second_run_that_imports_again_and_reports_that_it_did_not_is_found(tool: Tool) -> None:
    tool.does(end=f"if done and not dry_run: {_GROWN}")
    failed = failure(tool)
    assert str(failed) == (
        "a second run of migrate_legacy imported rows again: public.books 7 -> 8 rows"
    )


# --- 9: records of rows that do not exist --------------------------------------------------------


@pytest.fixture
def imported(tool: Tool) -> Tool:
    migrate_legacy(tool.settings, tool.new)
    return tool


@pytest.mark.parametrize("loss", ["DELETE FROM books WHERE id > 1", "DROP TABLE books"])
def test_records_that_survived_the_rows_are_found_before_anything_runs(
    imported: Tool, loss: str
) -> None:
    execute(imported.new, loss)
    imported.does(first="sys.exit(9)")
    failed = failure(imported)
    assert "legacy_migration_audit records 6 rows imported into books, 6 of them do not" in str(
        failed
    )
    assert "delete these records" in failed.hint


def test_a_row_that_was_deleted_since_is_told_and_not_imported_again(imported: Tool) -> None:
    execute(imported.new, "DELETE FROM books WHERE id = (SELECT max(id) FROM books)")
    done = migrate_legacy(imported.settings, imported.new)
    assert "1 of 6 rows imported into books are gone" in done.notes[0]
    assert books(imported.new) == BOOKS


def test_a_tool_that_records_what_it_does_not_import_is_found(tool: Tool) -> None:
    tool.does(end="new.execute('DELETE FROM books WHERE id = (SELECT max(id) FROM books)')")
    failed = failure(tool)
    assert str(failed) == ("migrate_legacy has recorded 6 rows in books, 1 of them do not exist")


def test_a_tool_that_does_not_commit_is_found(tool: Tool) -> None:
    tool.does(end="new.rollback()")
    failed = failure(tool)
    assert "reports 6 rows imported, legacy_migration_audit has 0 more" in str(failed)
    assert "commits" in failed.hint


def test_records_of_hostile_names_are_compared(tool: Tool) -> None:
    name = 'Kniha "přání"; DROP TABLE books'
    quoted = name.replace('"', '""')
    execute(tool.new, f'CREATE TABLE "{quoted}" ("č." int PRIMARY KEY)')
    execute(tool.new, f'INSERT INTO "{quoted}" VALUES (1), (2), (3)')
    execute(tool.new, 'CREATE TABLE "audit; \'" (target_table text, target_pk int)')
    execute(tool.new, f"INSERT INTO \"audit; '\" SELECT '{name}', i FROM generate_series(2, 4) i")
    tool.does(first="sys.exit(9)")
    settings = tool.settings.with_overrides(legacy_audit_table="audit; '")
    assert "exit code 9" in str(failure(tool, settings))  # one of three was deleted since
    execute(tool.new, f'DELETE FROM "{quoted}" WHERE "č." = 2')
    assert "records 3 rows imported into Kniha" in str(failure(tool, settings))


def test_a_table_that_is_no_audit_is_named(tool: Tool) -> None:
    settings = tool.settings.with_overrides(legacy_audit_table="public.books")
    failed = failure(tool, settings)
    assert str(failed) == "the table public.books has no column target_pk"
    assert "KAJOVO_DR_LEGACY_AUDIT_TABLE" in failed.hint


def test_a_table_without_a_simple_key_cannot_be_judged_and_is_told(imported: Tool) -> None:
    execute(imported.new, "ALTER TABLE books DROP CONSTRAINT books_pkey")
    done = migrate_legacy(imported.settings, imported.new)
    assert "imported rows of books cannot be looked for" in done.notes[0]


# --- 10 and 11: the hotel's own ------------------------------------------------------------------


@pytest.fixture
def legacy_hotel(server: Server) -> Iterator[Server]:
    yield legacy_database.create(server)
    execute(server, f"DROP DATABASE {legacy_database.LEGACY_DATABASE} WITH (FORCE)")


def hotel_settings(legacy: Server, **more: Any) -> Settings:
    """As the sandbox has to set them."""
    return Settings.load(
        legacy_url=legacy.url(),
        legacy_command=(sys.executable, "-m", "kajovo_dr.sandbox.migrate_legacy"),
        legacy_dir=Path(kajovo_dr.__file__).parents[1],
        **more,
    )


def migrated(legacy: Server, database: Server) -> LegacyMigration:
    return migrate_legacy(hotel_settings(legacy), database)


def test_the_hotels_own_is_imported_and_its_changes_of_meaning_are_told(
    legacy_hotel: Server, database: Server
) -> None:
    schema.upgrade(database.sqlalchemy_url())
    done = migrated(legacy_hotel, database)
    assert sum(each.imported for each in done.domains.values()) == 140
    assert sorted(done.domains) == ["sklad", "snidane", "zavady", "ztraty-a-nalezy"]
    assert "snidane: breakfast_count 0 -> guest_count 1 (7 rows)" in done.notes
    assert any("OPEN -> stored" in note for note in done.notes)


def test_a_clean_report_of_rows_that_break_the_application_is_judged_by_the_smoke_test(
    legacy_hotel: Server, database: Server, tmp_path: Path
) -> None:
    execute(legacy_hotel, "UPDATE inventory_ingredients SET unit = 'KG' WHERE id = 1")
    with running(database, tmp_path) as hotel:
        assert migrated(legacy_hotel, database).domains["sklad"].errors == 0
        login = {"app_base_url": hotel.api.base_url, "app_email": EMAIL, "app_password": PASSWORD}
        report = smoke(hotel_settings(legacy_hotel, **login), database)
    assert "inventory" in {each.name for each in report.failures}


def test_a_note_of_one_row_alone_is_counted_and_not_shown(tool: Tool) -> None:
    done = migrate_legacy(tool.settings, tool.new)
    assert done.notes == ("knihy: bez autora (4 rows)", "other notes: 1 rows")


# --- the command ---------------------------------------------------------------------------------


def test_a_command_that_looks_at_another_database_never_runs_for_good(
    tool: Tool, new_database: Callable[[str], Server]
) -> None:
    live = new_database("živá")
    execute(live, NEW)
    env = {"OLD": "{legacy_url}", "NEW": live.sqlalchemy_url(), "WRONG": "{sqlalchemy_url}"}
    failed = failure(tool, tool.settings.with_overrides(legacy_env=env))
    assert str(failed) == f"migrate_legacy works on another database than {tool.new.shown}"
    assert "KAJOVO_DR_LEGACY_ENV (OLD, NEW, WRONG)" in failed.hint
    assert books(live) == 1


def test_variables_of_libpq_and_our_own_secrets_do_not_reach_the_command(
    tool: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGTZ", "Asia/Tokyo")
    monkeypatch.setenv("KAJOVO_DR_LEGACY_URL", "postgresql://u:tajné@h/d")
    tool.does(first="assert not [n for n in os.environ if n.startswith(('PG', 'KAJOVO_DR_'))]")
    assert migrate_legacy(tool.settings, tool.new).domains


_SECRET = "tajné/heslo @1%:#'\"\\"


@pytest.fixture
def clerk(tool: Tool) -> Iterator[Server]:
    """The restored database for a role whose password is hard to quote."""
    password = _SECRET.replace("'", "''")
    execute(tool.new, f"CREATE ROLE legacy_clerk SUPERUSER LOGIN PASSWORD '{password}'")
    yield Server({**tool.new.params, "user": "legacy_clerk", "password": _SECRET})
    execute(tool.new, "DROP ROLE legacy_clerk")


@pytest.mark.parametrize("spelling", ["{legacy_url}", "{sqlalchemy_url}", "{password}"])
def test_no_password_is_in_the_command_line_or_in_a_message(
    tool: Tool, clerk: Server, spelling: str
) -> None:
    legacy = Server({**clerk.params, "dbname": tool.old.dbname})
    env = {**tool.settings.legacy_env, "TOLD": spelling}
    settings = Settings.load(
        **tool.settings.model_dump(include={"legacy_command", "legacy_dir", "legacy_domains"}),
        legacy_url=legacy.url(),
        legacy_env=env,
    )
    tool.does(first="sys.exit('ValueError: ' + ' '.join(sys.argv[1:2] + [os.environ['TOLD']]))")
    with pytest.raises(LegacyFailed) as failed:
        migrate_legacy(settings, clerk)
    tool.does(report=_ONE_FAILED.replace("'IntegrityError: '", "'Error: ' + os.environ['TOLD']"))
    with pytest.raises(LegacyFailed) as of_row:
        migrate_legacy(settings, clerk)
    for told in (failed.value.described(), of_row.value.described()):
        assert "Error: " in told
        assert "***" in told
        assert not any(part in told for part in ("tajn", "heslo", "%25"))


@pytest.mark.parametrize("command", [("no-such-tool",), ("./no/such/tool",)])
def test_a_missing_command_is_named(tool: Tool, command: tuple[str, ...]) -> None:
    with pytest.raises(CommandMissing, match=r"no.such.tool"):
        migrate_legacy(tool.settings.with_overrides(legacy_command=command), tool.new)


def test_a_missing_script_has_a_remedy(tool: Tool) -> None:
    (tool.folder / "migrate.py").unlink()
    failed = failure(tool)
    assert "can't open file" in str(failed)
    assert "KAJOVO_DR_LEGACY_DIR" in failed.hint


def test_a_missing_folder_is_named(tool: Tool) -> None:
    settings = tool.settings.with_overrides(legacy_dir=tool.folder / "nikde")
    with pytest.raises(SettingError, match=r"KAJOVO_DR_LEGACY_DIR: .*nikde is not a folder"):
        migrate_legacy(settings, tool.new)


def test_without_a_folder_it_runs_in_the_current_one(
    tool: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tool.folder)
    settings = tool.settings.with_overrides(legacy_dir=None)
    assert migrate_legacy(settings, tool.new).domains


def test_a_tool_that_hangs_is_stopped_and_leaves_no_folder(
    tool: Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports = tmp_path / "dočasné"
    reports.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(reports))
    tool.does(first="import time; time.sleep(3600)")
    with pytest.raises(ToolTimeout):
        migrate_legacy(tool.settings.with_overrides(legacy_timeout_s=1), tool.new)
    assert list(reports.iterdir()) == []


def test_the_restored_database_is_looked_at_before_the_command_runs(tool: Tool) -> None:
    with databases.connect(tool.new) as session:
        before = databases.row_counts(session)
    tool.does(first="sys.exit(9)")
    failure(tool)
    with databases.connect(tool.new) as session:
        assert databases.row_counts(session) == before
