"""A database whose dump does not fit into a pipe, so that pg_dump waits for its reader."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kajovo_dr.postgres import databases
from kajovo_dr.postgres.server import Server

#: About 20 MB of SQL text.
LARGE_TABLE = (
    "CREATE TABLE velká AS SELECT i, repeat('ěščřžýáíé', 6) AS t"
    " FROM generate_series(1, 150000) AS i"
)


@pytest.fixture
def large(new_database: Callable[[str], Server]) -> Server:
    """A database of one large table."""
    database = new_database("velká databáze")
    with databases.connect(database) as session:
        session.execute(LARGE_TABLE)
    return database
