"""Under test: that a file is never readable by others, never torn, never overwritten by mistake."""

from __future__ import annotations

import os
import stat
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kajovo_dr import private_file
from kajovo_dr.files import (
    flush_folder,
    open_private,
    private_folder,
    replace_atomically,
    write_private,
)

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def open_umask() -> Iterator[None]:
    """The most careless umask there is."""
    before = os.umask(0)
    yield
    os.umask(before)


@posix
@pytest.mark.usefixtures("open_umask")
def test_files_and_folders_are_for_this_user_alone_whatever_the_umask(tmp_path: Path) -> None:
    folder = private_folder(tmp_path / "store")
    write_private(folder / "written", b"x")
    with open_private(folder / "opened") as handle:
        assert _mode(folder / "opened") == 0o600  # before the first byte is in it
        handle.write(b"x")
    replace_atomically(folder / "replaced", b"x")
    assert oct(_mode(folder)) == oct(0o700)
    assert {oct(_mode(path)) for path in folder.iterdir()} == {oct(0o600)}


def test_a_folder_that_is_there_keeps_its_mode_and_content(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    (tmp_path / "x").touch()
    assert private_folder(tmp_path) == tmp_path
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    if sys.platform != "win32":
        assert oct(_mode(tmp_path)) == oct(0o750)


def test_a_new_file_never_replaces_one_that_is_there(tmp_path: Path) -> None:
    path = tmp_path / "backup.sql"
    write_private(path, b"old")
    for write in (lambda: write_private(path, b"new"), lambda: open_private(path)):
        with pytest.raises(FileExistsError):
            write()
    assert path.read_bytes() == b"old"


@posix
def test_a_new_file_is_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        write_private(tmp_path / "link", b"x")
    assert not (tmp_path / "elsewhere").exists()


def test_bytes_are_written_as_they_are(tmp_path: Path) -> None:
    content = bytes(range(256)) + b"\r\n\n\r\x1a" + "ř".encode()
    write_private(tmp_path / "a", content)
    replace_atomically(tmp_path / "b", content)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() == content


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "incident log.md"
    for content in (b"first", b"second, longer", b""):
        replace_atomically(path, content)
        assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_readers_see_the_old_or_the_new_content_and_nothing_between(tmp_path: Path) -> None:
    path = tmp_path / "page"
    contents = {letter * 400_000 for letter in (b"a", b"b")}
    replace_atomically(path, b"a" * 400_000)
    torn: list[int] = []
    ended = threading.Event()

    def read() -> None:
        while not ended.is_set():
            seen = path.read_bytes()
            if seen not in contents:
                torn.append(len(seen))

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(30):
        for content in contents:
            replace_atomically(path, content)
    ended.set()
    reader.join()
    assert torn == []


def test_a_replacement_that_fails_leaves_the_old_content_and_no_leftover(tmp_path: Path) -> None:
    path = tmp_path / "page"
    path.mkdir()  # a folder cannot be replaced by a file
    with pytest.raises(OSError, match="page"):
        replace_atomically(path, b"new")
    assert list(tmp_path.iterdir()) == [path]


def test_the_leftover_of_a_killed_process_of_our_id_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / f".page.{os.getpid()}.new").write_bytes(b"half")
    replace_atomically(tmp_path / "page", b"whole")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"whole"]


def test_a_folder_can_be_flushed(tmp_path: Path) -> None:
    flush_folder(tmp_path)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away"
)
def test_what_root_makes_in_a_users_folder_is_the_users(tmp_path: Path) -> None:
    owner = 65_534
    home = tmp_path / "state"
    home.mkdir()
    os.chown(home, owner, owner)
    write_private(home / "file", b"x")
    replace_atomically(home / "file", b"y")
    private_folder(home / "folder")
    with private_file.locked(home / "locked.json"):
        private_file.append(home / "log", b"line")
    for path in home.iterdir():
        assert path.lstat().st_uid == owner, path
