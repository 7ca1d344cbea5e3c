"""Under test: what the doctor says of proofs to come: of their server, of the tools, and of what to
do when the newest backup is no good; and what of a setting it shows. Its other findings:
``test_doctor_recovery``, ``test_cli`` and ``test_cli_proof``.
"""

from __future__ import annotations

import shutil
import socket
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.scratch import scratch_server
from kajovo_dr.backups.store import open_store
from kajovo_dr.doctor_settings import program, shown
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.client_tools import find_bin
from kajovo_dr.postgres.embedded import EmbeddedServer
from kajovo_dr.postgres.server import Server
from kajovo_dr.settings import Settings
from kajovo_dr_tests.backups.stored import judge, put
from kajovo_dr_tests.conftest import new_folder
from kajovo_dr_tests.recovery.test_old_server import OLD
from kajovo_dr_tests.shell import Ended, Shell, failed_checks

HOUR = timedelta(hours=1)


@pytest.fixture
def shell(settings: Settings, small: Server, scratch: Server) -> Shell:
    return Shell((small.params["password"], scratch.params["password"]))


def found(ended: Ended, name: str) -> dict[str, str]:
    (finding,) = [each for each in ended.json() if each["name"] == name]
    return dict(finding)


# --- the server of proofs


def test_the_server_of_proofs_is_looked_at_and_a_running_proof_is_not_disturbed(
    shell: Shell, settings: Settings, proven: Backup, scratch: Server
) -> None:
    with scratch_server(settings):
        finding = found(shell("doctor", "--json").ok(), "server of proofs")
    assert finding["verdict"] == "ok"
    assert finding["said"].startswith(f"{scratch.address} answers: PostgreSQL ")


def test_the_server_of_proofs_is_asked_in_the_database_that_a_proof_would_use(
    shell: Shell, proven: Backup, scratch: Server
) -> None:
    url = scratch.database("není").url()
    assert found(shell("doctor", "--json", proof_url=url).ok(), "server of proofs")["hint"] == ""
    looked = shell("doctor", "--json", maintenance_database="není")
    assert "server of proofs" in failed_checks(looked)


def test_without_a_url_proofs_have_an_embedded_server_which_is_not_started(
    shell: Shell, settings: Settings, proven: Backup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KAJOVO_DR_PROOF_URL")
    finding = found(shell("doctor", "--json").ok(), "server of proofs")
    assert (finding["verdict"], finding["hint"]) == ("ok", "")
    assert finding["said"] == "embedded server, started for each proof"
    assert not (settings.state / "embedded").exists()


@pytest.mark.parametrize(
    ("url", "said", "hint"),
    [
        ("{down}", "no answer from ", "check that the server runs"),
        ("mysql://jana:Tajné42@db/x", "KAJOVO_DR_PROOF_URL does not begin with", "write postgres"),
        ("{production}", "KAJOVO_DR_PROOF_URL names production's own", "name another server"),
        ("{by_another_name}", "KAJOVO_DR_PROOF_URL names production's own", "name another server"),
    ],
)
def test_a_server_that_no_proof_could_use_is_a_failure_with_its_next_step(
    shell: Shell, proven: Backup, small: Server, url: str, said: str, hint: str
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        dead = str(probe.getsockname()[1])
    places = {
        "down": Server({**small.params, "port": dead}),
        "production": small,
        "by_another_name": Server({**small.params, "host": "localhost", "dbname": "template1"}),
    }
    given = url.format(**{name: place.url() for name, place in places.items()})
    looked = shell("doctor", "--json", proof_url=given)
    assert failed_checks(looked) == ["server of proofs"]
    finding = found(looked, "server of proofs")
    assert finding["said"].startswith(said)
    assert finding["hint"].startswith(hint)


def test_production_is_known_by_its_address_when_its_database_is_gone(
    shell: Shell, proven: Backup, small: Server, server: Server
) -> None:
    gone = small.database("není")
    looked = shell("doctor", "--json", database_url=gone.url(), proof_url=server.url())
    assert failed_checks(looked) == ["recovery point", "server of proofs", "database"]
    assert "production's own server" in found(looked, "server of proofs")["said"]
    # another server than that of the lost database is as good as ever
    looked = shell("doctor", "--json", database_url=gone.url())
    assert failed_checks(looked) == ["recovery point", "database"]


@pytest.mark.parametrize("url", ["", "postgresql://jana:Tajné42/@db/x"])
def test_a_server_of_proofs_is_looked_at_whatever_becomes_of_the_protected_database(
    shell: Shell, proven: Backup, url: str
) -> None:
    finding = found(shell("doctor", "--json", database_url=url), "server of proofs")
    assert finding["verdict"] == "ok"


@pytest.fixture
def old_server() -> Iterator[Server]:
    """A server of an older major version than the protected database's."""
    folder = new_folder()
    with EmbeddedServer(folder / "state" / "embedded" / "old", bin_setting=OLD) as server:
        yield server
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.skipif(OLD is None, reason="no PostgreSQL 14 to 16 of the distribution is installed")
def test_a_server_older_than_the_protected_database_is_a_failure(
    shell: Shell, proven: Backup, old_server: Server
) -> None:
    looked = shell("doctor", "--json", proof_url=old_server.url())
    assert failed_checks(looked) == ["server of proofs"]
    finding = found(looked, "server of proofs")
    assert finding["said"].endswith(", the protected database is of PostgreSQL 17")
    assert finding["hint"] == "name a server at least as new in KAJOVO_DR_PROOF_URL."


def pretend_extension(server: Server) -> None:
    """As if the server had brought an extension that no other one knows."""
    with databases.connect(server) as session:
        session.execute(
            "INSERT INTO pg_extension (oid, extname, extowner, extnamespace, extrelocatable,"
            " extversion) VALUES (99999, 'dálava', 10, 'public'::regnamespace, true, '1.0')"
        )


@pytest.mark.parametrize("url", [True, False])
def test_a_server_of_proofs_that_lacks_an_extension_is_a_failure_before_any_proof(
    shell: Shell,
    proven: Backup,
    small: Server,
    scratch: Server,
    monkeypatch: pytest.MonkeyPatch,
    url: bool,
) -> None:
    if not url:
        monkeypatch.delenv("KAJOVO_DR_PROOF_URL")
    assert found(shell("doctor", "--json").ok(), "server of proofs")["verdict"] == "ok"
    pretend_extension(small)
    looked = shell("doctor", "--json")
    assert failed_checks(looked) == ["server of proofs"]
    finding = found(looked, "server of proofs")
    where = scratch.address if url else "the embedded server"
    assert finding["said"] == f"{where} lacks extensions that the protected database has: dálava"
    assert "KAJOVO_DR_PROOF_URL" in finding["hint"]


@pytest.mark.skipif(sys.platform == "win32", reason="a script cannot be named initdb.exe")
def test_extensions_of_an_embedded_server_are_no_matter_where_none_can_tell_them(
    shell: Shell, proven: Backup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KAJOVO_DR_PROOF_URL")
    for tool in ("initdb", "pg_dump", "pg_dumpall", "pg_restore", "psql"):
        (tmp_path / tool).symlink_to(find_bin(None) / tool)
    finding = found(shell("doctor", "--json", pg_bin=str(tmp_path)).ok(), "server of proofs")
    assert finding["verdict"] == "ok"


def test_a_role_of_proofs_that_is_no_superuser_is_a_warning(
    shell: Shell, proven: Backup, scratch: Server
) -> None:
    assert "role of proofs" not in shell("doctor").ok().out
    with databases.connect(scratch) as admin:
        admin.execute("CREATE ROLE pokorná LOGIN PASSWORD 'x'")
        try:
            humble = Server({**scratch.params, "user": "pokorná", "password": "x"})
            looked = shell("doctor", "--json", proof_url=humble.url()).ok()
        finally:
            admin.execute("DROP ROLE pokorná")
    finding = found(looked, "role of proofs")
    assert finding["verdict"] == "warn"
    assert finding["said"].startswith(f"pokorná on {scratch.address} is no superuser")


# --- the tools


@pytest.mark.skipif(sys.platform == "win32", reason="a script cannot be named psql.exe")
@pytest.mark.parametrize(("version", "verdict"), [("17.5", "warn"), ("17.6", "ok")])
def test_a_psql_that_cannot_refuse_commands_itself_is_a_warning(
    shell: Shell, proven: Backup, tmp_path: Path, version: str, verdict: str
) -> None:
    real = find_bin(None)
    scripts = {
        tool: f'exec "{real / tool}" "$@"' for tool in ("pg_dump", "pg_dumpall", "pg_restore")
    }
    for tool, script in {**scripts, "psql": f"echo 'psql (PostgreSQL) {version}'"}.items():
        (tmp_path / tool).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        (tmp_path / tool).chmod(0o755)
    finding = found(shell("doctor", "--json", pg_bin=str(tmp_path)).ok(), "client tools")
    assert finding["verdict"] == verdict
    assert f"psql {version} in {tmp_path}" in finding["said"]
    assert (r"too old to know \restrict" in finding["said"]) is (verdict == "warn")
    assert ("KAJOVO_DR_PG_BIN" in finding["hint"]) is (verdict == "warn")


# --- the newest backup is no good


def test_when_the_newest_backup_is_damaged_a_new_one_is_to_be_taken(
    shell: Shell, settings: Settings, small: Server
) -> None:
    store, now = open_store(settings), datetime.now(UTC)
    newest = put(store, now - HOUR, database=small.dbname)
    judge(newest, "damaged", now, reason="content_equal: public.hosté: other content")
    finding = found(shell("doctor", "--json"), "recovery point")
    assert finding["said"] == "no backup is proven"
    assert finding["hint"] == "kajovo-dr backup --prove."
    judge(put(store, now - 30 * HOUR, database=small.dbname), "proven", now)
    looked = shell("doctor", "--json")
    assert failed_checks(looked) == ["recovery point"]
    finding = found(looked, "recovery point")
    assert "old and proven, the limit is 24 h" in finding["said"]
    assert finding["hint"] == "kajovo-dr backup --prove."


# --- what of a setting is shown


@pytest.mark.parametrize(
    ("words", "as_shown"),
    [
        ((), ""),
        (("python", "-m", "alembic"), "python, -m, alembic"),
        (
            ("systemctl", "--user", "stop", "hotel.service"),
            "systemctl, --user, stop, hotel.service",
        ),
        (("/opt/hotel/ctl", "stop", "/srv/x", "8000"), "/opt/hotel/ctl, stop, /srv/x, 8000"),
        (("uvicorn", "--port", "{port}"), "uvicorn, --port, {port}"),
        (("curl", "-X", "POST", "http://u:tajné@h/s?token=T0KEN"), "curl, -X, POST, …"),
        (("curl", "-H", "Authorization: Bearer T0KEN"), "curl, -H, …"),
        (("curl", "--user", "bob:hunter2"), "curl, --user, …"),
        (("ctl", "--token=abcdef"), "ctl, --token=…"),
        (("ctl", "--password", "hunter"), "ctl, --password, …"),
        (("ctl", "--api-key", "hunter"), "ctl, --api-key, …"),
        (("sshpass", "-p", "hunter", "ssh"), "sshpass, …, …, ssh"),
        (("mysql", "-ptajne"), "mysql, …"),
        (("ctl", "T0KENSECRET"), "ctl, …"),
        (("ctl", "123456"), "ctl, …"),
        (("sh", "-c", "stop; : T0KENSECRET"), "sh, -c, …"),
        (("sh", "-c", "/bin/ctl --key T0KEN"), "sh, -c, …"),
        (("curl -u bob:hunter2 http://h",), "curl …"),
    ],
)
def test_of_a_command_only_harmless_words_are_shown(words: tuple[str, ...], as_shown: str) -> None:
    assert shown(words) == as_shown
    if words:
        assert program(words) == as_shown.partition(",")[0]


def test_of_a_url_neither_login_nor_parameters_are_shown() -> None:
    assert shown("http://u:p/w@d@127.0.0.1:1/x") == "http://…@127.0.0.1:1/x"
    assert shown("https://h/ready?key=T0KEN&fast=ano") == "https://h/ready?key=…&fast=…"


def test_secrets_of_commands_are_not_listed(shell: Shell) -> None:
    told = shell("doctor", "--settings", app_stop_command='["curl", "-u", "bob:hunter2"]').ok().out
    assert "KAJOVO_DR_APP_STOP_COMMAND = curl, -u, …\n" in told
    assert "hunter2" not in told
