"""Under test: kajovo-dr adopt, as the person who found a drawer of dumps meets it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kajovo_dr.backups import catalog
from kajovo_dr.backups.store import open_store
from kajovo_dr.errors import DumpDamaged, FileRefused
from kajovo_dr.postgres.server import Server
from kajovo_dr.settings import Settings
from kajovo_dr_tests.backups.test_adopt import (
    DAMAGE,
    NAME,
    after_rows,
    joined,
    pg_dump,
)
from kajovo_dr_tests.shell import Shell


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as Windows users name them."""
    path = tmp_path / "staré zálohy"
    path.mkdir()
    return path


@pytest.fixture
def plain(settings: Settings, small: Server) -> bytes:
    """A dump as the runbook makes it."""
    return pg_dump(small)


@pytest.fixture
def shell(settings: Settings, small: Server) -> Shell:
    return Shell((small.params["password"],))


@pytest.fixture
def old_folder(folder: Path, plain: bytes) -> Path:
    """What a hotel finds in its drawer."""
    (folder / "01 dobrá.sql").write_bytes(plain)
    (folder / "02 spojená.sql").write_bytes(joined(plain))
    (folder / "03 prázdná.sql").write_bytes(b"")
    (folder / "04 uťatá.sql").write_bytes(after_rows(34)(plain))
    (folder / "čti mě.txt").write_text("ahoj")
    return folder


def test_the_command_says_what_each_file_is_worth_and_adopts_the_good_ones(
    shell: Shell, settings: Settings, old_folder: Path
) -> None:
    ended = shell("adopt", str(old_folder))
    assert ended.code == DumpDamaged.exit_code
    lines = ended.out.splitlines()
    assert lines[0].split() == ["NAME", "SNAPSHOT", "SIZE", "ROWS", "WORTH"]
    assert [line[:11].strip() for line in lines[1:5]] == [
        "01 dobrá.sq",
        "02 spojená.",
        "03 prázdná.",
        "04 uťatá.sq",
    ]
    (backup,) = catalog.backups(open_store(settings))
    assert f"whole, restores, adopted as {backup.name}" in lines[1]
    assert lines[2].endswith(DAMAGE["lines joined"][2])
    assert "would restore half: it was cut after 34 rows of public.hosté" in lines[4]
    assert lines[5] == "skipped: čti mě.txt (no dump file)"
    assert lines[6] == "1 of 4 restore; 2 would restore to nothing"
    assert "error: not every dump file in " in ended.err
    assert "hint: " in ended.err


def test_the_command_speaks_json_with_the_same_exit_code(shell: Shell, old_folder: Path) -> None:
    ended = shell("adopt", str(old_folder), "--dry-run", "--json")
    assert ended.code == DumpDamaged.exit_code
    assert "error: " not in ended.err  # scripts read the answer
    answer = json.loads(ended.out)
    outcomes = [file["outcome"] for file in answer["files"]]
    assert outcomes == ["whole", "nothing", "nothing", "half"]
    assert answer["skipped"] == [{"name": "čti mě.txt", "why": "no dump file"}]
    assert answer["summary"].startswith("0 of 4 restore; 1 whole")


def test_the_command_ends_well_when_every_file_is_whole(
    shell: Shell, folder: Path, plain: bytes
) -> None:
    (folder / NAME).write_bytes(plain)
    assert shell("adopt", str(folder)).ok().out.endswith("1 of 1 restore\n")
    adopted = shell("list", "--json").ok().json()
    assert [entry["reason"] for entry in adopted] == [f"adopted: {NAME}"]


@pytest.mark.parametrize("name", ["není", "soubor"])
def test_the_command_refuses_what_is_no_folder(shell: Shell, tmp_path: Path, name: str) -> None:
    (tmp_path / "soubor").write_text("x")
    ended = shell("adopt", str(tmp_path / name))
    assert (ended.code, ended.out) == (FileRefused.exit_code, "")
    assert name in ended.err
