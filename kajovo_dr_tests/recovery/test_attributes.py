"""What no dump holds of a database comes back with it when the live one is gone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kajovo_dr.backups.take import take
from kajovo_dr.postgres import carry_over, databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.recovery import conduct, preflight
from kajovo_dr.recovery.record import IncidentEntry
from kajovo_dr.recovery.recover import Recovery
from kajovo_dr.recovery.request import Request
from kajovo_dr.settings import Settings


@pytest.fixture
def owner(server: Server, small: Server) -> Iterator[str]:
    """A role that owns the database, which is dropped after it."""
    with databases.connect(server) as admin:
        admin.execute("CREATE ROLE recepční NOLOGIN")
        yield "recepční"
        databases.drop(admin, small.dbname)
        admin.execute("DROP ROLE recepční")


def recovered(settings: Settings, small: Server, backup: str) -> IncidentEntry:
    request = Request(
        database=small.dbname,
        confirm=small.dbname,
        who="noční směna",
        backup=backup,
        database_only=True,
    )
    plan = preflight.plan(settings, request)
    plan.require()
    return conduct.run(settings, Recovery.begin(settings, plan))


def test_a_lost_database_gets_its_owner_limit_settings_privileges_and_comment_back(
    settings: Settings, server: Server, small: Server, owner: str
) -> None:
    quoted = f'"{small.dbname}"'
    with databases.connect(server) as admin:
        for statement in (
            f"ALTER DATABASE {quoted} OWNER TO {owner}",
            f"ALTER DATABASE {quoted} CONNECTION LIMIT 40",
            f"ALTER DATABASE {quoted} SET search_path TO hotel, public",
            f"ALTER DATABASE {quoted} SET app.jwt_secret TO 'klíč'",
            f"REVOKE CONNECT ON DATABASE {quoted} FROM PUBLIC",
            f"COMMENT ON DATABASE {quoted} IS 'hotel č. 1'",
        ):
            admin.execute(statement.encode())
        before = carry_over.read(admin, small.dbname)
        backup = take(settings, small, reason="test").backup
        assert "klíč" not in backup.path.with_name(f"{backup.name}.json").read_text("utf-8")
        databases.drop(admin, small.dbname)
        entry = recovered(settings, small, backup.name)
        after = carry_over.read(admin, small.dbname)
    (swapped,) = (phase for phase in entry.phases if phase.name == "swap")
    assert swapped.detail.endswith("not carried over, set by hand: setting 'app.jwt_secret'")
    kept = tuple(each for each in before.settings if each.name != "app.jwt_secret")
    assert (after.settings, after.owner, after.connection_limit) == (kept, owner, 40)
    assert (after.grants, after.comment) == (before.grants, "hotel č. 1")


def test_an_owner_that_the_server_lacks_is_told_and_keeps_nothing_down(
    settings: Settings, server: Server, small: Server
) -> None:
    with databases.connect(server) as admin:
        admin.execute("CREATE ROLE odešel NOLOGIN")
        admin.execute(f'ALTER DATABASE "{small.dbname}" OWNER TO odešel'.encode())
        backup = take(settings, small, reason="test").backup
        databases.drop(admin, small.dbname)
        admin.execute("DROP ROLE odešel")
        entry = recovered(settings, small, backup.name)
        assert databases.exists(admin, small.dbname)
    (swapped,) = (phase for phase in entry.phases if phase.name == "swap")
    assert "set by hand: owner 'odešel'" in swapped.detail
