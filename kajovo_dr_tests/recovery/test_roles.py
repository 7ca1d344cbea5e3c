"""Under test: that roles which a server lacks come from the backup's own file of roles, whatever
they are called, and that nothing else comes with them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.manifest import ROLES_SUFFIX
from kajovo_dr.backups.store import sidecar
from kajovo_dr.backups.take import take
from kajovo_dr.errors import ManifestError, RolesMissing
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.recovery import roles
from kajovo_dr.settings import Settings

HOSTILE = 'Šéf "U Kájy"; DROP ROLE recepce; --'
ROLES = ("recepce", "čtenáři", HOSTILE)


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def drop(session: databases.Connection, *names: str) -> None:
    for name in names:
        session.execute(f"DROP ROLE IF EXISTS {quoted(name)}".encode())


@pytest.fixture
def admin(server: Server) -> Iterator[databases.Connection]:
    """A session in the maintenance database; the roles of these tests are gone after it."""
    with databases.connect(server) as session:
        drop(session, *ROLES)
        yield session
        drop(session, *ROLES)


@pytest.fixture
def stored(settings: Settings, small: Server, admin: databases.Connection) -> Backup:
    """A backup of a server that had the roles; they are gone since."""
    for name in ROLES:
        admin.execute(f"CREATE ROLE {quoted(name)}".encode())
    for statement in (
        "ALTER ROLE recepce LOGIN CREATEDB CONNECTION LIMIT 7 PASSWORD 'tajné heslo'",
        "ALTER ROLE recepce VALID UNTIL '2031-01-02 03:04:05+00'",
        'ALTER ROLE recepce SET search_path TO "$user", "Kniha ""přání"""',
        "ALTER ROLE recepce SET application_name TO 'a; b'",
        "GRANT čtenáři TO recepce WITH ADMIN OPTION",
        f"GRANT čtenáři TO {quoted(HOSTILE)}",
    ):
        admin.execute(statement.encode())
    with databases.connect(small) as session:
        for name in ROLES:
            session.execute(f"GRANT SELECT ON prázdná TO {quoted(name)}".encode())
    backup = take(settings, small, reason="test").backup
    assert set(ROLES) <= set(backup.manifest.roles)
    with databases.connect(small) as session:
        for name in ROLES:
            session.execute(f"DROP OWNED BY {quoted(name)}".encode())
    drop(admin, *ROLES)
    return backup


def attributes(admin: databases.Connection, name: str) -> tuple[object, ...]:
    row = admin.execute(
        "SELECT rolcanlogin, rolcreatedb, rolsuper, rolconnlimit, rolconfig, rolpassword IS NULL,"
        " date_part('year', rolvaliduntil)::int"
        " FROM pg_authid LEFT JOIN pg_roles USING (oid, rolname, rolcanlogin, rolcreatedb,"
        " rolsuper, rolconnlimit) WHERE rolname = %s".replace(
            "rolpassword", "pg_authid.rolpassword"
        ).replace("rolvaliduntil", "pg_authid.rolvaliduntil"),
        [name],
    ).fetchone()
    assert row is not None
    return tuple(row)


def members(admin: databases.Connection) -> set[tuple[str, str, bool]]:
    found = admin.execute(
        "SELECT r.rolname, m.rolname, a.admin_option FROM pg_auth_members a"
        " JOIN pg_roles r ON r.oid = a.roleid JOIN pg_roles m ON m.oid = a.member"
        " WHERE r.rolname = 'čtenáři'"
    )
    return set(found.fetchall())


def there(admin: databases.Connection) -> set[str]:
    return set(ROLES) - set(databases.missing_roles(admin, list(ROLES)))


def rewritten(backup: Backup, change: tuple[str, str]) -> Backup:
    """The backup with a changed file of roles, as if it had been taken so."""
    path = sidecar(backup.path, ROLES_SUFFIX)
    text = path.read_text(encoding="utf-8")
    assert text.count(change[0]) == 1
    content = text.replace(*change).encode()
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    return Backup(backup.path, backup.manifest.model_copy(update={"roles_sha256": digest}))


def test_missing_roles_are_created_as_they_were_but_without_passwords(
    admin: databases.Connection, stored: Backup
) -> None:
    assert roles.create(admin, stored, list(ROLES)) == sorted(ROLES)
    settings = ['search_path="$user", "Kniha ""přání"""', "application_name=a; b"]
    assert attributes(admin, "recepce") == (True, True, False, 7, settings, True, 2031)
    assert attributes(admin, HOSTILE)[:3] == (False, False, False)
    assert members(admin) == {("čtenáři", "recepce", True), ("čtenáři", HOSTILE, False)}


def test_only_the_missing_ones_are_created_and_existing_ones_are_left_alone(
    admin: databases.Connection, stored: Backup
) -> None:
    admin.execute("CREATE ROLE čtenáři")
    admin.execute("CREATE ROLE recepce CONNECTION LIMIT 1")
    assert roles.create(admin, stored, [HOSTILE]) == [HOSTILE]
    assert attributes(admin, "recepce")[:4] == (False, False, False, 1)
    assert members(admin) == {("čtenáři", HOSTILE, False)}


def test_a_membership_whose_role_or_grantor_this_server_lacks_stops_nothing(
    admin: databases.Connection, stored: Backup
) -> None:
    line = next(
        line
        for line in sidecar(stored.path, ROLES_SUFFIX).read_text(encoding="utf-8").splitlines()
        if line.startswith('GRANT "čtenáři" TO recepce')
    )
    assert line.endswith("GRANTED BY kajovo;")
    others = f"{line.replace('BY kajovo', 'BY nikdo')}\nGRANT cizí TO recepce;"
    assert roles.create(admin, rewritten(stored, (line, others)), list(ROLES)) == sorted(ROLES)
    assert members(admin) == {("čtenáři", "recepce", True), ("čtenáři", HOSTILE, False)}


def test_all_are_created_or_none(admin: databases.Connection, stored: Backup) -> None:
    changed = rewritten(stored, ("CONNECTION LIMIT 7", "CONNECTION LIMIT lots"))
    with pytest.raises(Exception, match="syntax error"):
        roles.create(admin, changed, list(ROLES))
    assert there(admin) == set()


def test_a_role_that_the_file_does_not_know_is_named(
    admin: databases.Connection, stored: Backup
) -> None:
    with pytest.raises(RolesMissing, match="does not know nikdo") as refused:
        roles.create(admin, stored, ["recepce", "nikdo"])
    assert "by hand" in refused.value.hint
    assert there(admin) == set()


@pytest.mark.parametrize("gone", [False, True], ids=["changed", "gone"])
def test_a_file_that_is_not_the_one_that_was_backed_up_is_refused(
    admin: databases.Connection, stored: Backup, gone: bool
) -> None:
    path = sidecar(stored.path, ROLES_SUFFIX)
    text = path.read_bytes()
    path.unlink()
    if not gone:
        path.write_bytes(text.replace(b"NOSUPERUSER", b"SUPERUSER"))
    with pytest.raises(ManifestError, match=r"is not the file|cannot be read"):
        roles.create(admin, stored, ["recepce"])
    assert there(admin) == set()


def test_a_line_with_a_second_statement_makes_nothing(
    admin: databases.Connection, stored: Backup
) -> None:
    name = re.escape("CREATE ROLE recepce;")
    assert re.search(name, sidecar(stored.path, ROLES_SUFFIX).read_text(encoding="utf-8"))
    smuggled = rewritten(
        stored, ("SET application_name TO 'a; b';", "SET jit TO off; CREATE ROLE zloděj SUPERUSER;")
    )
    with pytest.raises(Exception, match="multiple commands"):
        roles.create(admin, smuggled, list(ROLES))
    assert there(admin) == set()
    assert databases.missing_roles(admin, ["zloděj"]) == ["zloděj"]


def test_lines_about_other_roles_are_not_run(
    admin: databases.Connection, stored: Backup, tmp_path: Path
) -> None:
    changed = rewritten(
        stored,
        ("CREATE ROLE recepce;", "DROP ROLE kajovo;\nCREATE ROLE zloděj;\nCREATE ROLE recepce;"),
    )
    assert roles.create(admin, changed, ["recepce", "čtenáři"]) == ["recepce", "čtenáři"]
    assert databases.missing_roles(admin, ["zloděj"]) == ["zloděj"]
