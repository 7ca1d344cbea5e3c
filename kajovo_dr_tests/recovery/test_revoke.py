"""Under test: that a restore brings no session back to life; revoking is all or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from kajovo_dr.errors import DatabaseMissing, ServerLost, SettingError
from kajovo_dr.hotel import Statement
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.recovery.revoke import revoke
from kajovo_dr.sandbox import schema, seed
from kajovo_dr.settings import Settings

RENAME = Statement(name="rename", sql="UPDATE hosté SET jméno = 'nikdo' WHERE id <= 3")


def given(*statements: Statement) -> Settings:
    return Settings.load(revocations=statements)


def renamed(server: Server) -> int:
    with databases.connect(server) as session:
        found = session.execute("SELECT count(*) FROM hosté WHERE jméno = 'nikdo'").fetchone()
    assert found is not None
    return int(found[0])


def test_the_hotels_sessions_tokens_challenges_and_locks_are_ended(
    database: Server, tmp_path: Path
) -> None:
    schema.upgrade(database.sqlalchemy_url())
    seed.seed(database, rows=300, media_root=tmp_path)
    open_ones = {
        "sessions": "auth_sessions WHERE revoked_at IS NULL",
        "unlock_tokens": "auth_unlock_tokens WHERE used_at IS NULL",
        "device_tokens": "device_access_tokens WHERE revoked_at IS NULL",
        "device_challenges": "device_challenges WHERE consumed_at IS NULL",
        "lockouts": "auth_lockout_states WHERE failed_attempts > 0 OR locked_until IS NOT NULL",
    }

    def left() -> dict[str, int]:
        with databases.connect(database) as session:
            found = {
                name: session.execute(f"SELECT count(*) FROM {rows}".encode()).fetchone()
                for name, rows in open_ones.items()
            }
        return {name: row[0] for name, row in found.items() if row}

    with databases.connect(database) as session:
        session.execute(
            "INSERT INTO device_challenges (challenge_id, device_id, challenge, expires_at)"
            " VALUES ('a', 'b', 'c', now() + interval '1 day')"
        )
        session.execute(
            "INSERT INTO auth_lockout_states (actor_type, principal, failed_attempts, locked_until)"
            " VALUES ('admin', 'a@b.cz', 0, now() + interval '100 years')"
        )
        session.execute(
            "INSERT INTO auth_unlock_tokens (actor_type, principal, purpose, token_hash,"
            " expires_at) VALUES ('admin', 'a@b.cz', 'unlock', 'x', now() + interval '1 day')"
        )
    before = left()
    assert before["sessions"] > 0
    assert all(before[name] for name in ("unlock_tokens", "device_challenges", "lockouts"))
    assert revoke(Settings.load(), database) == before
    assert left() == dict.fromkeys(open_ones, 0)
    assert revoke(Settings.load(), database) == dict.fromkeys(open_ones, 0)


def test_a_statement_whose_table_is_missing_is_left_out(small: Server) -> None:
    absent = Statement(name="tokens", sql="UPDATE tokens SET used = true", table="tokens")
    here = RENAME.model_copy(update={"name": "there", "table": "public.hosté"})
    assert revoke(given(absent, here), small) == {"there": 3}
    assert renamed(small) == 3


def test_without_statements_nothing_is_done(small: Server) -> None:
    assert revoke(given(), small) == {}


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("UPDATE tokens SET used = true", 'relation "tokens" does not exist'),
        ("UPDATE hosté SET id = 1", "duplicate key value"),
        ("COMMIT", "it ends the transaction"),
        ("SELECT 1; SELECT 2", "cannot insert multiple commands"),
        ("VACUUM", "cannot run inside a transaction block"),
    ],
)
def test_a_failing_statement_is_named_and_nothing_is_changed(
    small: Server, statement: str, why: str
) -> None:
    settings = given(RENAME, Statement(name="broken", sql=statement))
    with pytest.raises(SettingError, match=rf"^KAJOVO_DR_REVOCATIONS.broken: .*{why}") as refused:
        revoke(settings, small)
    done = statement == "COMMIT"
    assert ("nothing was revoked" in refused.value.hint) is not done
    assert renamed(small) == (3 if done else 0)


def test_the_servers_end_is_not_the_statements_fault(small: Server) -> None:
    end = Statement(name="end", sql="SELECT pg_terminate_backend(pg_backend_pid())")
    with pytest.raises(ServerLost):
        revoke(given(RENAME, end), small)
    assert renamed(small) == 0
    with pytest.raises(DatabaseMissing):
        revoke(given(RENAME), small.database("nikde"))
