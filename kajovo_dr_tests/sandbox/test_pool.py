"""The API's sessions with its database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from kajovo_dr.postgres.server import Server
from kajovo_dr.process import wait_until
from kajovo_dr.sandbox.pool import Pool
from kajovo_dr_tests.sandbox.conftest import execute


def test_one_broken_session_takes_all_idle_ones_with_it(database: Server) -> None:
    pool = Pool(database)
    with pool.session() as one, pool.session() as two:
        pids = [one.info.backend_pid, two.info.backend_pid]
    execute(database, f"SELECT pg_terminate_backend(pid, 5000) FROM unnest(ARRAY{pids}) AS pid")
    with pytest.raises(psycopg.OperationalError), pool.session() as broken:
        broken.execute("SELECT 1")
    with pool.session() as fresh:
        assert fresh.execute("SELECT 1 AS one").fetchone() == {"one": 1}
    pool.close()


def test_a_session_is_kept_for_the_next_request_and_undone_by_a_failure(database: Server) -> None:
    execute(database, "CREATE TABLE hosté (id int)")
    pool = Pool(database)
    with pool.session() as session:
        session.execute("INSERT INTO hosté VALUES (1)")
    with pytest.raises(psycopg.errors.DivisionByZero), pool.session() as again:
        again.execute("INSERT INTO hosté SELECT id / (2 - id) FROM generate_series(1, 2) AS id")
    assert again is session
    assert execute(database, "SELECT id FROM hosté") == [(1,)]
    pool.close()


def test_the_end_of_the_pool_ends_a_query_that_waits(database: Server) -> None:
    waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    pool = Pool(database)

    def wait() -> None:
        with pool.session() as session:
            session.execute("SELECT pg_sleep(600)")

    with ThreadPoolExecutor(1) as threads:
        waits = threads.submit(wait)
        assert wait_until(lambda: bool(execute(database, waiting)), timeout=30)
        pool.end()
        with pytest.raises(psycopg.OperationalError):
            waits.result(timeout=60)
