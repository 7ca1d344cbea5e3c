"""Under test: whose fault a proof that fails is. What the scratch server lacks, or another locale
explains, damages no backup; what must be there is brought, and nothing of it is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from kajovo_dr.backups import catalog
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.load import load
from kajovo_dr.backups.proof import PROOF_SUFFIX
from kajovo_dr.backups.prove import prove
from kajovo_dr.backups.scratch import room, scratch_server
from kajovo_dr.backups.store import sidecar
from kajovo_dr.backups.take import take
from kajovo_dr.errors import ProofImpossible, RestoreFailed
from kajovo_dr.postgres import client_tools, databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.progress import silent
from kajovo_dr.settings import Settings
from kajovo_dr_tests.backups.test_prove import failing, left, vouched

# --- a restore that fails, and whose fault it is


def without_roles(backup: Backup) -> Backup:
    """The backup under a manifest that forgot the roles: the scratch server will lack one."""
    return replace(backup, manifest=backup.manifest.model_copy(update={"roles": ()}))


def test_what_the_scratch_server_lacks_leaves_the_backup_unproven(
    each_format: Settings, small: Server, scratch: Server
) -> None:
    backup = take(each_format, small, reason="test").backup
    with pytest.raises(ProofImpossible, match='role "kajovo" does not exist') as refused:
        prove(each_format, without_roles(backup))
    assert str(refused.value).startswith(backup.name)
    assert "KAJOVO_DR_PROOF_URL" in refused.value.hint
    recorded = catalog.load(backup.path)
    assert recorded.state == "unproven"
    assert recorded.proof is not None
    assert 'role "kajovo" does not exist' in recorded.proof.reason
    assert left(scratch) == set()


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("CREATE COLLATION public.k (provider = icu, locale = 'cs')", "ICU"),
        ("SET lc_messages = 'cs_XX'", "lc_messages"),
        ('CREATE INDEX x ON public."hosté" ((1 / (id - 7)))', ""),
    ],
)
def test_a_statement_is_the_dumps_fault_only_if_no_server_would_take_it(
    settings: Settings, backup: Backup, statement: str, said: str
) -> None:
    changed = vouched(backup, b"CREATE INDEX", f"{statement};\nCREATE INDEX".encode())
    if said:
        with pytest.raises(ProofImpossible, match=said):
            prove(settings, changed)
    else:
        assert prove(settings, changed).state == "damaged"


def test_a_scratch_database_speaks_english(scratch: Server, backup: Backup) -> None:
    with room(scratch, backup) as (database, _), databases.connect(database) as session:
        asked = "SELECT setting, source FROM pg_settings WHERE name = 'lc_messages'"
        assert session.execute(asked).fetchone() == ("C", "database")


def test_a_proven_backup_stays_proven_when_a_server_cannot_take_it(
    settings: Settings, proven: Backup
) -> None:
    with pytest.raises(ProofImpossible):
        prove(settings, without_roles(proven))
    assert catalog.load(proven.path).state == "proven"


def test_a_cut_archive_for_which_all_sidecars_vouch_is_damaged(
    settings: Settings, small: Server
) -> None:
    custom = settings.with_overrides(backup_format="custom")
    backup = take(custom, small, reason="test").backup
    text = backup.path.read_bytes()
    cut = vouched(backup, text, text[: len(text) * 2 // 3])
    proof = prove(custom, cut)
    assert proof.state == "damaged"
    assert list(failing(proof)) == ["restores"]
    # by the restore itself: to decode it before would be to decode it twice
    assert failing(proof)["restores"].startswith(f"{cut.name} into ")


def test_a_script_is_looked_through_before_psql_sees_it(settings: Settings, backup: Backup) -> None:
    commanding = vouched(backup, b"CREATE INDEX", b"\\! exit\nCREATE INDEX")
    assert failing(prove(settings, commanding))["restores"].startswith("commands: ")


@pytest.fixture
def humble(scratch: Server) -> Iterator[Callable[[str], Server]]:
    """Logins on the scratch server with some attributes, not a superuser's."""
    made: list[str] = []

    def make(attributes: str) -> Server:
        name = f"humble{len(made)}"
        made.append(name)
        with databases.connect(scratch) as admin:
            admin.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'x' CREATEDB {attributes}".encode())
        return Server({**scratch.params, "user": name, "password": "x"})

    yield make
    with databases.connect(scratch) as admin:
        for name in made:
            admin.execute(f"DROP ROLE {name}".encode())


@pytest.mark.parametrize(
    ("attributes", "said"),
    [("", "may not create the role 'kajovo'"), ("CREATEROLE", "must be able to SET ROLE")],
)
def test_a_humble_role_on_the_scratch_server_is_no_fault_of_the_backup(
    each_format: Settings,
    small: Server,
    humble: Callable[[str], Server],
    scratch: Server,
    attributes: str,
    said: str,
) -> None:
    backup = take(each_format, small, reason="test").backup
    login = humble(attributes)
    with pytest.raises(ProofImpossible, match=said) as refused:
        prove(each_format.with_overrides(proof_url=SecretStr(login.url())), backup)
    assert "SUPERUSER" in refused.value.hint
    assert left(scratch) == {login.user}


# --- what a database may hold that a scratch server has never seen


def test_owners_that_must_be_superusers_are_so_on_the_scratch_server(
    each_format: Settings, small: Server, scratch: Server
) -> None:
    with databases.connect(small) as session:
        session.execute("CREATE ROLE šéf SUPERUSER")
        try:
            session.execute(
                "CREATE FUNCTION hlídej() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';"
                "CREATE EVENT TRIGGER hlídač ON sql_drop EXECUTE FUNCTION hlídej();"
                "ALTER EVENT TRIGGER hlídač OWNER TO šéf;"
                "CREATE FOREIGN DATA WRAPPER obal; ALTER FOREIGN DATA WRAPPER obal OWNER TO šéf"
            )
            backup = take(each_format, small, reason="test").backup
        finally:
            session.execute("DROP OWNED BY šéf; DROP ROLE šéf")
    proof = prove(each_format, backup)
    assert (proof.state, proof.reason) == ("proven", "")
    assert left(scratch) == set()


def test_what_initdbs_superuser_owns_beside_an_applications_tables_is_proven(
    each_format: Settings, database: Server, scratch: Server
) -> None:
    with databases.connect(database) as session:
        session.execute("CREATE ROLE hotel")
        try:
            session.execute(
                "CREATE TABLE t AS SELECT 1 AS a; ALTER TABLE t OWNER TO hotel;"
                "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; SELECT lo_create(77)"
            )
            backup = take(each_format, database, reason="test").backup
        finally:
            session.execute("DROP OWNED BY hotel; DROP ROLE hotel")
    assert backup.manifest.roles == ("hotel", "kajovo")
    proof = prove(each_format, backup)
    assert (proof.state, proof.reason) == ("proven", "")


SUBSCRIPTION = (
    "CREATE SUBSCRIPTION odběr CONNECTION 'host=není' PUBLICATION p"
    " WITH (connect = false, slot_name = 'cizi')"
)


def unsubscribe(server: Server) -> None:
    with databases.connect(server) as session:
        session.execute("ALTER SUBSCRIPTION odběr SET (slot_name = NONE)")
        session.execute("DROP SUBSCRIPTION odběr")


def test_a_database_with_a_subscription_is_proven_and_dropped(
    each_format: Settings, small: Server, scratch: Server
) -> None:
    with databases.connect(small) as session:
        session.execute(SUBSCRIPTION)
    try:
        proof = prove(each_format, take(each_format, small, reason="test").backup)
    finally:
        unsubscribe(small)
    assert (proof.state, proof.reason) == ("proven", "")
    assert left(scratch) == set()


MARK = "kajovo_dr: restored for a proof, may be dropped"


def test_subscriptions_and_roles_that_a_killed_proof_left_are_removed_by_the_next(
    settings: Settings, scratch: Server
) -> None:
    with databases.connect(scratch) as admin:
        databases.create(admin, "kajovo_dr_proof_left", {})
        databases.comment(admin, "kajovo_dr_proof_left", MARK)
        with databases.connect(scratch.database("kajovo_dr_proof_left")) as session:
            session.execute(SUBSCRIPTION)
            session.execute("CREATE ROLE zbylá; CREATE ROLE cizí; CREATE TABLE t ()")
            session.execute(
                "COMMENT ON ROLE zbylá IS 'kajovo_dr: made for a proof, may be dropped'"
            )
            session.execute("ALTER TABLE t OWNER TO zbylá")
        try:
            with scratch_server(settings):
                assert left(scratch) == {"cizí"}
        finally:
            admin.execute("DROP ROLE cizí")


def test_a_transaction_may_lock_thousands_of_tables_on_the_embedded_server(scratch: Server) -> None:
    with databases.connect(scratch) as admin:
        databases.create(admin, "kajovo_dr_proof_many", {})
        try:
            with databases.connect(scratch.database("kajovo_dr_proof_many")) as session:
                session.execute(
                    "DO $$ BEGIN FOR i IN 1..9000 LOOP"
                    " EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY)', i);"
                    " END LOOP; END $$"
                )
        finally:
            databases.drop(admin, "kajovo_dr_proof_many")


def test_a_server_that_may_lock_fewer_tables_says_so_with_the_next_step(
    settings: Settings, backup: Backup, new_database: Callable[[str], Server]
) -> None:
    tables = "".join(f"CREATE TABLE public.t{number} ();\n" for number in range(20_000))
    many = vouched(backup, b"CREATE INDEX", f"{tables}CREATE INDEX".encode())
    transport = client_tools.transport_for(None)
    target = new_database("málo zámků")
    with pytest.raises(RestoreFailed, match="out of shared memory") as refused:
        load(settings, transport, many, target, disposable=True, progress=silent)
    assert "max_locks_per_transaction" in refused.value.hint


def test_a_proof_says_that_it_asked_a_foreign_server(
    each_format: Settings, small: Server, new_database: Callable[[str], Server]
) -> None:
    far = new_database("daleko")
    with databases.connect(far) as session:
        session.execute("CREATE TABLE cizí AS SELECT 1 AS a")
    with databases.connect(small) as session:
        session.execute("CREATE EXTENSION postgres_fdw")
        options = {"host": "host", "port": "port", "dbname": "dbname"}
        words = ", ".join(f"{word} '{far.params[key]}'" for key, word in options.items())
        session.execute(
            f"CREATE SERVER dálava FOREIGN DATA WRAPPER postgres_fdw OPTIONS ({words});"
            f"CREATE USER MAPPING FOR kajovo SERVER dálava OPTIONS (user '{far.user}',"
            f" password '{far.params['password']}');"
            "CREATE FOREIGN TABLE cizí (a int) SERVER dálava;"
            "CREATE VIEW přes AS SELECT a FROM cizí;"
            "CREATE MATERIALIZED VIEW souhrn AS SELECT sum(a) FROM přes".encode()
        )
    backup = take(each_format, small, reason="test").backup
    proof = prove(each_format, backup)
    assert proof.state == "proven"
    assert proof.notes == ("restoring asked other systems for rows: dálava",)
    with databases.connect(small) as session:
        databases.drop(session, far.dbname)
    sidecar(backup.path, PROOF_SUFFIX).unlink()
    with pytest.raises(ProofImpossible, match="could not connect to server"):
        prove(each_format, catalog.load(backup.path))
    assert catalog.load(backup.path).state == "unproven"


def test_a_state_folder_that_does_not_exist_yet_is_made(
    settings: Settings, backup: Backup, state: Path
) -> None:
    fresh = settings.with_overrides(state=state.parent / "nový", proof_url=None)
    assert prove(fresh, backup).state == "proven"


# --- another locale


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("Řehoř Šťastný 7\t", "Řehoř Šťastný 8\t", "unproven"),
        ('"poznámka" text\n', '"poznámka" varchar\n', "unproven"),
        ("_seq\"', 50, true)", "_seq\"', 49, true)", "damaged"),
        ("CREATE INDEX", 'CREATE UNIQUE INDEX x ON public."hosté" ((1));\nCREATE INDEX', "raised"),
    ],
)
def test_what_another_locale_may_explain_is_no_damage(
    settings: Settings, backup: Backup, before: str, after: str, expected: str
) -> None:
    locale = backup.manifest.locale | {"LC_COLLATE": "cs_XX.UTF-8", "LC_CTYPE": "cs_XX.UTF-8"}
    changed = vouched(backup, before.encode(), after.encode())
    foreign = replace(changed, manifest=changed.manifest.model_copy(update={"locale": locale}))
    if expected == "raised":
        with pytest.raises(ProofImpossible, match=r"23505.*locale C"):
            prove(settings, foreign)
        return
    proof = prove(settings, foreign)
    assert proof.state == expected
    assert ("the scratch server has no cs_XX.UTF-8" in proof.reason) is (expected == "unproven")
    assert bool(failing(proof)) is (expected == "damaged")
