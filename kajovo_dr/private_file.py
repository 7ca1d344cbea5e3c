"""Small files that must not be lost: locked among processes, replaced or appended to, for us alone.

Belongs here: the lock, the append, and one error for all that can go wrong: `LogUnwritable`, naming
the file. Not here: what the files hold, and how a file is replaced (``files``).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from kajovo_dr import files
from kajovo_dr.errors import LogUnwritable

#: Seconds to wait for another process; it holds the lock for one small write.
_LOCK_TIMEOUT = 30


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the file's lock among processes; makes the folder when it is missing."""
    with _translated(path):
        files.private_folder(path.parent)
        lock = FileLock(path.with_name(f".{path.name}.lock"), mode=files.PRIVATE_FILE)
        try:
            lock.acquire(timeout=_LOCK_TIMEOUT)
        except Timeout:
            raise LogUnwritable(
                f"{path} was held by another process for more than {_LOCK_TIMEOUT} s"
            ) from None
        files.give_to_owner(Path(lock.lock_file))
    try:
        yield
    finally:
        lock.release()


def replace(path: Path, content: str) -> None:
    """Replace the file: a reader meets the old content or the new one, never a part."""
    with _translated(path):
        files.private_folder(path.parent)
        files.replace_atomically(path, content.encode())


def append(path: Path, content: bytes) -> None:
    """Add to the end of the file and wait until it is on the disk."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
    with _translated(path):
        with os.fdopen(os.open(path, flags, files.PRIVATE_FILE), "wb") as sink:
            sink.write(content)
            sink.flush()
            os.fsync(sink.fileno())
        files.give_to_owner(path)
        files.flush_folder(path.parent)


def read(path: Path) -> bytes:
    """The whole file; nothing when there is none."""
    with _translated(path, "read"):
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return b""


@contextlib.contextmanager
def _translated(path: Path, verb: str = "write") -> Iterator[None]:
    try:
        yield
    except OSError as failure:
        raise LogUnwritable(f"cannot {verb} {path}: {failure.strerror or failure}") from None
