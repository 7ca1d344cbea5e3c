"""Under test: the old system's database and the stand-in of migrate_legacy, as documented."""

from __future__ import annotations

import csv
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kajovo_dr import process
from kajovo_dr.errors import SandboxError
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.sandbox import schema
from kajovo_dr.sandbox.legacy_database import LEGACY_DATABASE, create
from kajovo_dr.sandbox.migrate_legacy import AUDIT_TABLE
from kajovo_dr.settings import Settings
from kajovo_dr_tests.sandbox.conftest import Hotel, execute

_TABLES = {
    "breakfast_days",
    "breakfast_entries",
    "reports",
    "inventory_ingredients",
    "inventory_stock_cards",
    "inventory_stock_card_lines",
}
_ROOT = Path(schema.__file__).parents[2]


@pytest.fixture
def legacy(server: Server) -> Iterator[Server]:
    yield create(server)
    execute(server, f"DROP DATABASE {LEGACY_DATABASE} WITH (FORCE)")


@pytest.fixture
def new(database: Server) -> Server:
    """The hotel's tables without rows."""
    schema.upgrade(database.sqlalchemy_url())
    return database


def run(legacy: Server | None, new: Server | None, *arguments: str) -> process.Completed:
    urls = {"LEGACY_DB_URL": legacy, "DATABASE_URL": new}
    given = {name: server.sqlalchemy_url() for name, server in urls.items() if server}
    return process.run(
        [sys.executable, "-m", "kajovo_dr.sandbox.migrate_legacy", *arguments],
        env={**{name: value for name, value in os.environ.items() if name not in urls}, **given},
        timeout=60,
        cwd=_ROOT,
    )


def reported(legacy: Server, new: Server, folder: Path, *arguments: str) -> dict[str, Any]:
    path = folder / "zpráva.json"
    path.unlink(missing_ok=True)
    done = run(legacy, new, "--report-json", str(path), *arguments)
    assert done.returncode == 0, done.stderr
    report = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(report, dict)
    return report


def counts(database: Server) -> dict[str, int]:
    with databases.connect(database) as session:
        return {table: rows for (_, table), rows in databases.row_counts(session).items()}


def everything(database: Server) -> list[object]:
    """Every row as text, in the order in which it lies on disk."""
    return [
        row
        for table in sorted(_TABLES)
        for row in execute(database, f"SELECT t::text FROM {table} t ORDER BY ctid")
    ]


@pytest.mark.parametrize("rows", [30, 139, 140, 5000])
def test_the_domains_of_the_settings_count_the_rows_that_were_asked_for(
    server: Server, legacy: Server, rows: int
) -> None:
    create(server, rows=rows)
    assert counts(legacy).keys() == _TABLES
    found = [execute(legacy, each.count_sql)[0][0] for each in Settings().legacy_domains]
    assert sum(int(str(count)) for count in found) == rows
    assert 0 not in found


def test_making_it_again_gives_the_same_rows(server: Server, legacy: Server) -> None:
    before = everything(legacy)
    execute(legacy, "DELETE FROM breakfast_entries")
    create(server)
    assert everything(legacy) == before
    assert len(before) > 140


def test_the_default_rows_are_such_that_the_new_application_takes_them(legacy: Server) -> None:
    units = execute(legacy, "SELECT DISTINCT unit::text FROM inventory_ingredients ORDER BY 1")
    assert units == [("G",), ("KS",), ("L",)]
    [(short,)] = execute(legacy, "SELECT min(length(description)) FROM reports")
    [(least, most)] = execute(
        legacy, "SELECT min(breakfast_count), max(breakfast_count) FROM breakfast_entries"
    )
    assert isinstance(short, int)
    assert short >= 3
    assert least == 0
    assert isinstance(most, int)
    assert 1 < most <= 20


def test_units_that_the_api_does_not_know_exist_in_the_old_system(legacy: Server) -> None:
    units = execute(legacy, "SELECT unnest(enum_range(NULL::ingredient_unit))::text ORDER BY 1")
    assert units == [("G",), ("KG",), ("KS",), ("L",), ("ML",)]


def test_too_few_rows_are_refused(server: Server) -> None:
    with pytest.raises(SandboxError, match="29 rows are too few"):
        create(server, rows=29)


def test_a_dry_run_reports_everything_and_keeps_nothing(
    legacy: Server, new: Server, tmp_path: Path
) -> None:
    before = counts(new)
    report = reported(legacy, new, tmp_path, "--dry-run")
    assert report["dry_run"] is True
    assert report["totals"] == {"scanned": 140, "imported": 140, "skipped": 0, "errors": 0}
    assert counts(new) == before
    assert AUDIT_TABLE not in before


def test_a_real_run_imports_everything_and_a_second_one_nothing(
    legacy: Server, new: Server, tmp_path: Path
) -> None:
    first = reported(legacy, new, tmp_path)
    assert first["dry_run"] is False
    assert first["started_at"] <= first["finished_at"]
    assert first["errors"] == []
    assert sorted(first["domains"]) == sorted(each.name for each in Settings().legacy_domains)
    after = counts(new)
    assert after[AUDIT_TABLE] == first["totals"]["imported"] == 140
    second = reported(legacy, new, tmp_path)
    assert second["totals"] == {"scanned": 140, "imported": 0, "skipped": 140, "errors": 0}
    assert counts(new) == after


def test_what_rows_become_is_noted(legacy: Server, new: Server, tmp_path: Path) -> None:
    reported(legacy, new, tmp_path)
    [(nobody,)] = execute(
        legacy, "SELECT count(*) FROM breakfast_entries WHERE breakfast_count = 0"
    )
    noted = "SELECT count(*) FROM legacy_migration_audit WHERE mapping_note LIKE '{}%'"
    assert execute(new, noted.format("breakfast_count 0")) == [(nobody,)]
    assert execute(new, "SELECT min(guest_count) FROM breakfast_orders") == [(1,)]
    stored = execute(new, "SELECT count(*) FROM lost_found_items WHERE status = 'stored'")
    assert execute(new, noted.format("status OPEN")) == stored != [(0,)]


def test_a_movement_belongs_to_the_item_that_its_ingredient_became(
    legacy: Server, new: Server, tmp_path: Path
) -> None:
    execute(new, "SELECT setval('inventory_items_id_seq', 500)")
    reported(legacy, new, tmp_path)
    old = execute(
        legacy,
        "SELECT i.name, abs(l.qty_delta_base) FROM inventory_stock_card_lines l"
        " JOIN inventory_ingredients i ON i.id = l.ingredient_id ORDER BY 1, 2",
    )
    assert old == execute(
        new,
        "SELECT i.name, m.quantity FROM inventory_movements m"
        " JOIN inventory_items i ON i.id = m.item_id ORDER BY 1, 2",
    )


def test_a_row_that_fails_costs_only_itself_and_what_needs_it(
    legacy: Server, new: Server, tmp_path: Path
) -> None:
    execute(new, "ALTER TABLE inventory_items ADD CHECK (name NOT LIKE 'Mouka%')")
    report = reported(legacy, new, tmp_path)
    stock = report["domains"]["sklad"]
    assert stock["scanned"] == stock["imported"] + stock["errors"]
    assert stock["errors"] == len(report["errors"]) > 1
    told = {each["error"].partition(":")[0] for each in report["errors"]}
    assert told == {"IntegrityError", "LookupError"}
    assert report["totals"]["errors"] == stock["errors"]
    execute(new, "ALTER TABLE inventory_items DROP CONSTRAINT inventory_items_name_check")
    again = reported(legacy, new, tmp_path)["totals"]
    assert (again["imported"], again["errors"]) == (stock["errors"], 0)


def test_the_table_for_people_has_one_line_per_domain(
    legacy: Server, new: Server, tmp_path: Path
) -> None:
    path = tmp_path / "zpráva.csv"
    assert run(legacy, new, "--dry-run", "--report-csv", str(path)).returncode == 0
    header, *lines = csv.reader(path.read_text(encoding="utf-8").splitlines())
    assert header == ["domain", "scanned", "imported", "skipped", "errors"]
    assert [line[0] for line in lines] == ["sklad", "snidane", "zavady", "ztraty-a-nalezy"]
    assert sum(int(line[1]) for line in lines) == 140


@pytest.mark.parametrize(
    ("missing", "said"), [("legacy", "LEGACY_DB_URL"), ("new", "DATABASE_URL")]
)
def test_a_missing_variable_is_named(legacy: Server, new: Server, missing: str, said: str) -> None:
    given = {"legacy": legacy, "new": new} | {missing: None}
    done = run(given["legacy"], given["new"])
    assert done.returncode == 1
    assert done.stderr.splitlines() == [f"RuntimeError: {said} is not set"]


def test_a_target_without_tables_is_refused(legacy: Server, database: Server) -> None:
    done = run(legacy, database)
    assert done.returncode == 1
    assert done.stderr.startswith("NoSuchTableError: breakfast_orders, inventory_items")
    assert counts(database) == {}


def test_a_report_that_cannot_be_written_is_told(
    legacy: Server, new: Server, tmp_path: Path
) -> None:
    done = run(legacy, new, "--report-json", str(tmp_path / "nikde" / "zpráva.json"))
    assert done.returncode == 1
    assert done.stderr.startswith("cannot write the report")


def test_the_api_answers_with_what_was_imported_until_a_unit_is_unknown_to_it(
    hotel: Hotel, legacy: Server, tmp_path: Path
) -> None:
    lists = ("breakfast", "lost-found?status=stored", "issues", "inventory", "inventory/movements")
    reported(legacy, hotel.database, tmp_path)
    with hotel.client() as client:
        assert {client.get(f"/api/v1/{each}").status_code for each in lists} == {200}
        execute(
            legacy,
            "INSERT INTO inventory_ingredients (name, unit, stock_qty_base)"
            " VALUES ('Rýže', 'KG', 5)",
        )
        report = reported(legacy, hotel.database, tmp_path)
        assert report["totals"]["errors"] == 0  # a clean report, a broken application
        assert client.get("/api/v1/inventory").status_code == 500
