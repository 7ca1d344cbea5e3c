"""What the smoke test must find: counts and path parameters, read from the database.

Belongs here: the queries of the settings, run read-only on one snapshot. Not here: the application.
A query that fails spoils its own endpoint only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

import psycopg

from kajovo_dr.hotel import Endpoint
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.server import Server

#: Seconds for one query: counting a table of a hotel takes milliseconds.
_QUERY_TIMEOUT_S = 60


@dataclass(frozen=True)
class Expectation:
    """count: None when the endpoint counts nothing. trouble: why it cannot be read."""

    paths: tuple[str, ...]
    count: int | None = None
    skipped: str = ""
    trouble: str = ""


def expectations(server: Server, endpoints: Sequence[Endpoint]) -> tuple[Expectation, ...]:
    """One for each endpoint, in their order. To be called before the login, which writes."""
    if not any(endpoint.count_sql or endpoint.params_sql for endpoint in endpoints):
        return tuple(Expectation(endpoint.paths) for endpoint in endpoints)
    with databases.connect(server, autocommit=False) as connection:
        connection.read_only = True
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute(f"SET LOCAL statement_timeout = '{_QUERY_TIMEOUT_S}s'")
        return tuple(_expectation(connection, endpoint) for endpoint in endpoints)


def _expectation(connection: databases.Connection, endpoint: Endpoint) -> Expectation:
    try:
        # a savepoint: an error must not end the transaction that the others still need
        with connection.transaction():
            paths = _filled(connection, endpoint)
            if paths is None:
                return Expectation((), skipped="the database has no row to read it with")
            return Expectation(paths, _count(connection, endpoint.count_sql))
    except psycopg.Error as failure:
        if connection.broken:
            raise
        return Expectation((), trouble=f"its query failed: {' '.join(str(failure).split())}")
    except _Misconfigured as wrong:
        return Expectation((), trouble=str(wrong))


class _Misconfigured(Exception):
    """An endpoint's query and its other settings do not fit together."""


def _filled(connection: databases.Connection, endpoint: Endpoint) -> tuple[str, ...] | None:
    """The paths with the query's row in them; None when there is no row."""
    if not endpoint.params_sql:
        return endpoint.paths
    cursor = connection.execute(endpoint.params_sql.encode())
    row = cursor.fetchone()
    if row is None or None in row:
        return None
    names = [column.name for column in cursor.description or ()]
    values = {name: quote(str(value), safe="") for name, value in zip(names, row, strict=True)}
    try:
        return tuple(path.format_map(values) for path in endpoint.paths)
    except (LookupError, ValueError) as unknown:
        raise _Misconfigured(
            f"its paths ask for {unknown}, its query returns {sorted(values)}"
        ) from None


def _count(connection: databases.Connection, query: str) -> int | None:
    if not query:
        return None
    row = connection.execute(query.encode()).fetchone()
    if row is None or len(row) != 1 or not isinstance(row[0], int):
        raise _Misconfigured(f"its query returns {row}, not one number")
    return row[0]
