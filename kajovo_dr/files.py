"""Writing files that must not be lost, torn or read by others: one way, used everywhere.

Belongs here: private modes, fsync, atomic replacement, reading in chunks. Not here: what is in the
files.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from io import BufferedWriter
from pathlib import Path

from filelock import FileLock, Timeout

from kajovo_dr.process import CHUNK

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700


def private_folder(path: Path) -> Path:
    """The folder, made (with its parents) for this user alone when it is missing."""
    new = not path.exists()
    path.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    if new:
        give_to_owner(path)
    return path


def give_to_owner(path: Path) -> None:
    """Give what root has made to the owner of the folder it is in: whoever helps with sudo must not
    leave files that the service cannot use any more.
    """
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        owner = path.parent.stat()
        if owner.st_uid != 0:
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


@contextlib.contextmanager
def held_alone(path: Path) -> Iterator[bool]:
    """Hold a lock file among processes while the block runs; false while another one holds it."""
    private_folder(path.parent)
    lock = FileLock(path, mode=PRIVATE_FILE)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    give_to_owner(path)
    try:
        yield True
    finally:
        lock.release()


def write_private(path: Path, content: bytes) -> None:
    """Write a new file of mode 0600, flushed to the disk; the name must not exist yet."""
    with open_private(path) as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())


def open_private(path: Path) -> BufferedWriter:
    """Open a new file of mode 0600 for writing bytes; raises FileExistsError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    handle = os.fdopen(os.open(path, flags, PRIVATE_FILE), "wb")
    give_to_owner(path)
    return handle


def chunks(path: Path) -> Iterator[bytes]:
    """The bytes of a file of any size, at most `CHUNK` at a time."""
    with path.open("rb") as handle:
        while chunk := handle.read(CHUNK):
            yield chunk


def replace_atomically(path: Path, content: bytes) -> None:
    """Replace a file: readers see the old or the new content, never a part of it."""
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    new.unlink(missing_ok=True)
    try:
        write_private(new, content)
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    flush_folder(path.parent)


def flush_folder(path: Path) -> None:
    """Fsync of a folder makes a rename in it durable; Windows has no such call."""
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with contextlib.suppress(OSError):  # some network file systems refuse
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
