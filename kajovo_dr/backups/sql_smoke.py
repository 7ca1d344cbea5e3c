"""The operator's own queries, asked of a restored copy in every proof.

Belongs here: asking, and judging the answers. Not here: what a failed one says of the backup
(``prove``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from psycopg import Error as PsycopgError

from kajovo_dr.backups.proof import Verdict
from kajovo_dr.hotel import SqlCheck
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.server import Server


def ask(checks: tuple[SqlCheck, ...], target: Server, timeout_s: float) -> Verdict:
    """Ask the operator's queries; each in a transaction of its own that changes nothing."""
    failed = []
    with databases.connect(target) as session:
        session.execute(f"SET statement_timeout = '{max(1, int(timeout_s * 1000))}ms'".encode())
        session.read_only = True
        for check in checks:
            if problem := _asked(check, session):
                failed.append(f"{check.name}: {problem}")
    return Verdict(
        name="sql_smoke",
        passed=not failed,
        detail="; ".join(failed),
        figures={"queries": len(checks), "failed": len(failed)},
    )


def _asked(check: SqlCheck, session: databases.Connection) -> str:
    """What is wrong with the answer; empty when it is as expected."""
    try:
        with session.transaction():
            row = session.execute(check.sql.encode()).fetchone()
    except PsycopgError as failure:
        if session.broken:  # the server's end says nothing of the backup
            raise
        return " ".join(str(failure).split())
    if row is None:
        return "no row"
    value = row[0]
    judged: list[tuple[Any, Callable[[Any], bool], str]] = [
        (check.expect, lambda limit: value == limit or str(value) == str(limit), "expected"),
        (check.at_least, lambda limit: value is not None and value >= limit, "at least"),
        (check.at_most, lambda limit: value is not None and value <= limit, "at most"),
    ]
    try:
        for limit, holds, words in judged:
            if limit is not None and not holds(limit):
                return f"{value}, {words} {limit}"
    except (TypeError, ArithmeticError):  # a numeric NaN refuses to be compared
        return f"{value!r} is no number"
    return ""
