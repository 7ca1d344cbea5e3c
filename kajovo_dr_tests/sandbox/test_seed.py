"""The seeded data: repeatable, Czech, valid, of the wanted size."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from kajovo_dr.errors import SandboxError
from kajovo_dr.postgres.server import Server
from kajovo_dr.sandbox import pictures, schema
from kajovo_dr.sandbox.seed import seed
from kajovo_dr.sandbox.seed_plan import plan
from kajovo_dr_tests.sandbox.conftest import execute

_TABLES = sorted(schema.metadata.tables)
_CZECH = re.compile("[ěščřžůďťňáéíóúý]", re.IGNORECASE)
_EMOJI = re.compile("[\U0001f300-\U0001faff]")
_TEXTS = {
    "breakfast_orders": ("guest_name", "note"),
    "issues": ("title", "description", "location", "assignee"),
    "lost_found_items": ("description", "category", "tags_json", "handover_note"),
    "reports": ("title", "description"),
    "inventory_items": ("name", "supplier"),
    "inventory_movements": ("note",),
    "audit_trail": ("detail",),
    "portal_users": ("last_name", "note"),
}


def digests(database: Server) -> dict[str, object]:
    """Table -> hash of all rows, in the order in which they lie on disk."""
    query = "SELECT md5(string_agg(t::text, chr(10) ORDER BY ctid)) FROM {} t"
    return {table: execute(database, query.format(table))[0][0] for table in _TABLES}


@pytest.fixture
def seeded(database: Server) -> Server:
    schema.upgrade(database.sqlalchemy_url())
    seed(database, rows=1000)
    return database


@pytest.fixture(scope="module")
def untouched(server: Server) -> Iterator[Server]:
    """A seeded database for all tests that only look."""
    execute(server, "DROP DATABASE IF EXISTS hotel_untouched WITH (FORCE)")
    execute(server, "CREATE DATABASE hotel_untouched")
    database = server.database("hotel_untouched")
    schema.upgrade(database.sqlalchemy_url())
    seed(database, rows=1000)
    yield database
    execute(server, "DROP DATABASE hotel_untouched WITH (FORCE)")


def test_two_hotels_of_one_size_are_equal_byte_for_byte(server: Server, seeded: Server) -> None:
    execute(server, "DROP DATABASE IF EXISTS hotel_twin WITH (FORCE)")
    execute(server, "CREATE DATABASE hotel_twin")
    twin = server.database("hotel_twin")
    try:
        schema.upgrade(twin.sqlalchemy_url())
        seed(twin, rows=1000)
        assert digests(twin) == digests(seeded)
        sequences = "SELECT sequencename, last_value FROM pg_sequences ORDER BY 1"
        assert execute(twin, sequences) == execute(seeded, sequences)
    finally:
        execute(server, "DROP DATABASE hotel_twin WITH (FORCE)")


@pytest.mark.parametrize("rows", [200, 1234, 30_000])
def test_the_size_knob_gives_exactly_the_rows_it_promises(database: Server, rows: int) -> None:
    schema.upgrade(database.sqlalchemy_url())
    counts = seed(database, rows=rows)
    found = {t: execute(database, f"SELECT count(*) FROM {t}")[0][0] for t in counts}
    assert found == counts
    assert sum(counts.values()) == rows
    assert set(counts) == set(_TABLES) - {"admin_profile"}  # that row is the API's


def test_tens_of_millions_go_mostly_into_the_large_tables() -> None:
    counts = plan(50_000_000)
    assert sum(counts.values()) == 50_000_000
    assert counts["breakfast_orders"] > counts["inventory_movements"] > counts["issues"] > 1_000_000


def test_every_module_has_czech_letters_and_emoji(untouched: Server) -> None:
    for table, columns in _TEXTS.items():
        texts = " || ".join(f"coalesce({column}, '')" for column in columns)
        [(text,)] = execute(untouched, f"SELECT string_agg({texts}, ' ') FROM {table}")
        assert isinstance(text, str)
        assert len(set(_CZECH.findall(text.lower()))) > 5, table
        assert _EMOJI.search(text), table


def test_every_role_has_a_user(untouched: Server) -> None:
    found = {role for (role,) in execute(untouched, "SELECT role FROM portal_user_roles")}
    assert found == {"admin", "pokojská", "údržba", "recepce", "snídaně", "sklad"}


def test_seeding_leaves_every_index_and_a_schema_without_drift(untouched: Server) -> None:
    indexes = "SELECT count(*) FROM pg_indexes WHERE schemaname = 'public'"
    assert execute(untouched, indexes) == [(100,)]


def test_the_next_insert_gets_a_free_id(seeded: Server) -> None:
    for table in ("issues", "reports", "breakfast_orders", "issue_photos", "portal_users"):
        [(last, following)] = execute(
            seeded,
            f"SELECT max(id), nextval(pg_get_serial_sequence('{table}', 'id')) FROM {table}",
        )
        assert isinstance(last, int)
        assert following == last + 1, table


def test_a_movement_agrees_with_its_document(untouched: Server) -> None:
    joined = (
        "SELECT count(*), count(*) FILTER (WHERE m.document_number = c.number"
        " AND m.movement_type = c.card_type AND m.document_date = c.card_date"
        " AND l.card_id = c.id AND l.ingredient_id = m.item_id) FROM inventory_movements m"
        " JOIN inventory_cards c ON c.id = m.card_id"
        " JOIN inventory_card_items l ON l.id = m.card_item_id"
    )
    [(all_rows, agreeing)] = execute(untouched, joined)
    assert all_rows == agreeing
    assert isinstance(all_rows, int)
    assert all_rows > 50


def test_photos_lie_where_their_rows_say(database: Server, tmp_path: Path) -> None:
    schema.upgrade(database.sqlalchemy_url())
    seed(database, rows=600, media_root=tmp_path)
    photos = " UNION ALL ".join(
        f"SELECT file_path, thumb_path, size_bytes FROM {table}"
        for table in ("issue_photos", "report_photos", "lost_found_photos")
    )
    found = execute(database, photos)
    assert len(found) > 20
    for original, thumb, size in found:
        assert re.fullmatch(r"(reports|issues|lost-found)/\d+/[0-9a-f]{32}\.jpg", str(original))
        content = (tmp_path / str(original)).read_bytes()
        assert (content[:2], content[-2:], len(content)) == (b"\xff\xd8", b"\xff\xd9", size)
        assert (tmp_path / str(thumb)).is_file()
    named = "SELECT pictogram_path FROM inventory_items WHERE pictogram_path IS NOT NULL"
    for (pictogram,) in execute(database, named):
        assert (tmp_path / str(pictogram)).read_bytes().startswith(b"\x89PNG")


def test_pictures_are_the_same_every_time_and_differ_from_each_other() -> None:
    assert pictures.jpeg(5, "č") == pictures.jpeg(5, "č") != pictures.jpeg(6, "č")
    assert pictures.png(1, 2, 3) == pictures.png(1, 2, 3) != pictures.png(3, 2, 1)


def test_progress_tells_of_every_large_table(database: Server) -> None:
    schema.upgrade(database.sqlalchemy_url())
    seen: dict[str, tuple[int, int | None]] = {}
    seed(
        database, rows=300, progress=lambda phase, done, total: seen.update({phase: (done, total)})
    )
    done, total = seen["seed breakfast_orders"]
    assert done == total
    assert done > 0
    assert "seed audit_trail" in seen


def test_a_seeded_hotel_is_not_seeded_again(untouched: Server) -> None:
    before = digests(untouched)
    with pytest.raises(SandboxError, match=r"portal_users .* already has rows"):
        seed(untouched, rows=300)
    assert digests(untouched) == before


def test_a_database_without_tables_is_not_seeded(database: Server) -> None:
    with pytest.raises(SandboxError, match="has no hotel tables"):
        seed(database, rows=300)


def test_too_few_rows_are_refused(database: Server) -> None:
    with pytest.raises(SandboxError, match="199 rows are too few"):
        seed(database, rows=199)


def test_a_failed_seed_leaves_the_database_empty(database: Server) -> None:
    schema.upgrade(database.sqlalchemy_url())

    def interrupt(phase: str, done: int, total: int | None) -> None:
        if phase == "seed issues":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        seed(database, rows=300, progress=interrupt)
    assert execute(database, "SELECT count(*) FROM portal_users") == [(0,)]
    indexes = "SELECT count(*) FROM pg_indexes WHERE schemaname = 'public'"
    assert execute(database, indexes) == [(100,)]
