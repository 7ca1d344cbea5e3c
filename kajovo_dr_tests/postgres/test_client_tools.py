"""Under test: that the right tools are found, that one older than the server never starts a dump,
and that no password is in any argument or in the store.

The real tools run behind scripts that write down how they were called.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from kajovo_dr.backups.take import take
from kajovo_dr.backups.verification import verify_named
from kajovo_dr.errors import ClientMissing, ClientTooOld, CommandMissing
from kajovo_dr.postgres import client_tools
from kajovo_dr.postgres.client_tools import ToolVersion, bin_folders, find_bin
from kajovo_dr.postgres.server import Server, restore_target
from kajovo_dr.postgres.transport import Local
from kajovo_dr.recovery.restore import restore
from kajovo_dr.settings import Settings

NOWHERE = Server({"dbname": "none"})
scripts = pytest.mark.skipif(sys.platform == "win32", reason="a script cannot be named pg_dump.exe")


def _script(folder: Path, tool: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / tool
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return folder


def _fake_pg_dump(folder: Path, said: str) -> Path:
    """A pg_dump that says a version; run to dump, it leaves a mark."""
    mark = folder / "it-dumped"
    return _script(folder, "pg_dump", f'[ "$1" = --version ] && echo "{said}" || touch "{mark}"')


# --- finding


def test_the_wheels_tools_are_the_first_choice_and_complete() -> None:
    folder = next(bin_folders())
    assert find_bin(None) == folder
    for tool in ("initdb", "psql", "pg_restore", "pg_dumpall"):
        assert find_bin(None, tool) == folder


@scripts
def test_the_folder_of_the_setting_wins(tmp_path: Path) -> None:
    folder = _fake_pg_dump(tmp_path / "tools with space", "pg_dump (PostgreSQL) 99.1")
    assert find_bin(folder) == folder
    transport = client_tools.transport_for(folder)
    assert client_tools.version(transport, "pg_dump", NOWHERE) == ToolVersion(99, "99.1")


@scripts
def test_the_path_is_searched_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _fake_pg_dump(tmp_path / "bin", "pg_dump (PostgreSQL) 99.1")
    monkeypatch.setenv("PATH", str(folder))
    assert list(bin_folders())[-1] == folder
    monkeypatch.setenv("PATH", str(tmp_path))
    assert folder not in list(bin_folders())


def test_a_folder_of_the_setting_without_the_tool_is_an_error_and_no_other_is_taken(
    tmp_path: Path,
) -> None:
    with pytest.raises(ClientMissing) as missing:
        find_bin(tmp_path)
    assert "pg_dump" in str(missing.value)
    assert str(missing.value).endswith(f" not found in {tmp_path}")
    assert "KAJOVO_DR_PG_BIN" in missing.value.hint


def test_a_folder_named_like_the_tool_is_not_the_tool(tmp_path: Path) -> None:
    (tmp_path / "pg_dump").mkdir()
    (tmp_path / "pg_dump.exe").mkdir()
    with pytest.raises(ClientMissing):
        client_tools.transport_for(tmp_path)


def test_a_tool_that_exists_nowhere_is_an_error_that_says_where_was_looked() -> None:
    with pytest.raises(ClientMissing, match="not found in the wheel, the distribution and the PA"):
        find_bin(None, "pg_no_such_tool")


# --- versions


def test_the_real_tools_tell_the_version_of_the_server(server: Server) -> None:
    transport = client_tools.transport_for(None)
    for tool in ("pg_dump", "pg_dumpall", "pg_restore", "psql"):
        version = client_tools.version(transport, tool, server)
        assert version.major >= 17
        assert version.text.startswith(f"{version.major}.")


@scripts
@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("pg_dump (PostgreSQL) 17.10", ToolVersion(17, "17.10")),
        ("pg_dump (PostgreSQL) 16.4 (Debian 16.4-1.pgdg120+1)", ToolVersion(16, "16.4")),
        ("pg_dump (PostgreSQL) 18beta1", ToolVersion(18, "18beta1")),
        ("pg_dump (PostgreSQL) 9.6.24", ToolVersion(9, "9.6.24")),
    ],
)
def test_every_way_of_telling_a_version_is_read(
    tmp_path: Path, said: str, version: ToolVersion
) -> None:
    transport = Local(_fake_pg_dump(tmp_path, said))
    assert client_tools.version(transport, "pg_dump", NOWHERE) == version


@scripts
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("echo something else", "pg_dump: exit code 0"),
        ("echo libpq.so.5 missing >&2; exit 127", "exit code 127: libpq.so.5 missing"),
    ],
)
def test_a_tool_that_tells_no_version_is_as_good_as_missing(
    tmp_path: Path, text: str, said: str
) -> None:
    transport = Local(_script(tmp_path, "pg_dump", text))
    with pytest.raises(ClientMissing) as missing:
        client_tools.version(transport, "pg_dump", NOWHERE)
    assert said in str(missing.value)


@scripts
def test_a_tool_that_may_not_be_executed_is_an_error_with_its_path(tmp_path: Path) -> None:
    transport = Local(_script(tmp_path, "pg_dump", ""))
    (tmp_path / "pg_dump").chmod(0o644)
    with pytest.raises(CommandMissing, match=r"cannot start .*pg_dump: Permission denied"):
        client_tools.version(transport, "pg_dump", NOWHERE)


def test_an_equal_or_newer_client_is_accepted_and_an_older_one_is_not() -> None:
    client_tools.require_as_new_as("pg_dump", ToolVersion(17, "17.1"), 17)
    client_tools.require_as_new_as("pg_dump", ToolVersion(18, "18beta1"), 17)
    with pytest.raises(ClientTooOld) as old:
        client_tools.require_as_new_as("pg_dump", ToolVersion(16, "16.9"), 17)
    assert str(old.value) == "pg_dump 16.9 is older than the server, which is PostgreSQL 17"


@scripts
def test_an_older_pg_dump_is_refused_before_it_dumps_anything(
    settings: Settings, small: Server, tmp_path: Path
) -> None:
    folder = _fake_pg_dump(tmp_path / "old", "pg_dump (PostgreSQL) 15.18")
    with pytest.raises(ClientTooOld, match=r"^pg_dump 15\.18 is older than the server"):
        take(settings.with_overrides(pg_bin=folder), small, reason="test")
    assert not (folder / "it-dumped").exists()
    assert not [path for path in settings.store_dir.rglob("*") if path.is_file()]


@scripts
def test_a_new_enough_pg_dump_is_started(settings: Settings, small: Server, tmp_path: Path) -> None:
    # the counterpart: proves that the mark of the test above would have been seen
    folder = _fake_pg_dump(tmp_path / "new", "pg_dump (PostgreSQL) 99.0")
    with pytest.raises(CommandMissing, match="pg_dumpall"):
        take(settings.with_overrides(pg_bin=folder), small, reason="test")
    assert (folder / "it-dumped").exists()


# --- arguments


@scripts
def test_no_argument_of_any_tool_and_no_file_of_the_store_holds_the_password(
    each_format: Settings, small: Server, tmp_path: Path
) -> None:
    real, log = find_bin(None), tmp_path / "calls"
    for tool in ("pg_dump", "pg_dumpall", "pg_restore", "psql"):
        note = f'printf "%s " {tool} "$@" >> "{log}"; echo >> "{log}"'
        folder = _script(tmp_path / "noting", tool, f'{note}\nexec "{real / tool}" "$@"')
    settings = each_format.with_overrides(pg_bin=folder)
    backup = take(settings, small, reason="test").backup
    verify_named(settings, backup.name)
    target = restore_target(settings, f"{small.dbname} znovu=1")
    restore(settings, backup, target, named=True)
    calls, password = log.read_text(encoding="utf-8"), small.params["password"]
    loader = "psql --no-psqlrc" if settings.backup_format == "plain" else "pg_restore --dbname="
    for expected in ("pg_dump --format=", "pg_dumpall --roles-only", loader):
        assert expected in calls
    assert password not in calls
    files = [path for path in settings.store_dir.rglob("*") if path.is_file()]
    assert len(files) == 4
    assert not [path.name for path in files if password.encode() in path.read_bytes()]


@pytest.mark.parametrize("name", ["hotel", "a=b dbname=postgres", "o'neil \\ x", "Růže"])
def test_pg_restore_reads_a_hostile_database_name_as_one_name(name: str) -> None:
    arguments = client_tools.restore_arguments(Path("x.dump"), dbname=name, jobs=2)
    given = next(word for word in arguments if word.startswith("--dbname="))
    assert conninfo_to_dict(given.removeprefix("--dbname=")) == {"dbname": name}
    assert "--exit-on-error" in arguments


@pytest.mark.parametrize("file", [Path("x.dump"), None])
def test_tablespaces_are_ignored_on_demand_alone(file: Path | None) -> None:
    whole = client_tools.restore_arguments(file, dbname="hotel", jobs=2)
    without = client_tools.restore_arguments(file, dbname="hotel", jobs=2, tablespaces=False)
    assert set(without) - set(whole) == {"--no-tablespaces"}
    assert set(whole) <= set(without)


def test_psql_stops_at_the_first_error_with_exit_code_3(small: Server) -> None:
    done = client_tools.transport_for(None).run(
        "psql",
        client_tools.psql_arguments(),
        server=small,
        timeout=60,
        stdin=[b"SELECT * FROM nothing_like_this;\n", b"DROP TABLE host\xc3\xa9;\n"],
    )
    assert done.returncode == 3
    assert 'relation "nothing_like_this" does not exist' in done.reason
    again = client_tools.transport_for(None).run(
        "psql", ["-Atc", 'SELECT count(*) FROM "hosté"'], server=small, timeout=60
    )
    assert again.stdout.strip() == b"50"


@pytest.mark.parametrize(
    ("text", "knows"),
    [
        ("12.22", False),
        ("13.21", False),
        ("13.22", True),
        ("14.18", False),
        ("14.19", True),
        ("15.13", False),
        ("15.14", True),
        ("15.18", True),
        ("16.4", False),
        ("16.9", False),
        ("16.10", True),
        ("17.5", False),
        ("17.6", True),
        ("17.10", True),
        ("17beta1", False),
        ("17devel", False),
        ("18beta1", False),
        ("18beta3", True),
        ("18.0", True),
        ("19devel", True),
        ("9.6.24", False),
    ],
)
def test_the_version_tells_whether_psql_has_a_restricted_mode(text: str, knows: bool) -> None:
    major = int(re.split(r"\D", text)[0])
    assert client_tools.knows_restrict(ToolVersion(major, text)) is knows


def test_the_real_psql_has_the_mode_that_its_version_promises(server: Server) -> None:
    transport = client_tools.transport_for(None)
    done = transport.run(
        "psql",
        client_tools.psql_arguments(),
        server=server,
        timeout=60,
        stdin=[b"\\restrict abc\n\\unrestrict abc\n"],
    )
    psql = client_tools.version(transport, "psql", server)
    assert client_tools.knows_restrict(psql) is (done.returncode == 0)
