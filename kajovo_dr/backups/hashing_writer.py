"""A file that is hashed while it is written. Not here: what is written, and where."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from kajovo_dr.backups.beside import Beside
from kajovo_dr.files import open_private


class HashingWriter:
    """Writes a new private file and hashes it in a second thread, while pg_dump works on.

    also: other work on the bytes, in a thread of its own. Measured against a plain redirection:
    hashing beside 1.01, in the same thread 1.06 to 1.12, reading the file again 1.18.
    """

    def __init__(self, path: Path, also: Callable[[bytes], object] | None = None) -> None:
        self.size = 0
        self.sha256 = ""
        self._digest = hashlib.sha256()
        work = (self._digest.update, also) if also else (self._digest.update,)
        self._beside = [Beside(each) for each in work]
        self._threads = ExitStack()
        self._handle = open_private(path)

    def __enter__(self) -> HashingWriter:
        for each in self._beside:
            self._threads.enter_context(each)
        return self

    def write(self, chunk: bytes) -> None:
        """Add the next bytes; blocks when a thread is far behind."""
        self._handle.write(chunk)
        for each in self._beside:
            each.put(chunk)
        self.size += len(chunk)

    def __exit__(self, *exception: object) -> None:
        with self._handle:
            self._threads.__exit__(*exception)  # type: ignore[arg-type]
            if exception[0] is None:
                self._handle.flush()
                os.fsync(self._handle.fileno())
                self.sha256 = self._digest.hexdigest()
