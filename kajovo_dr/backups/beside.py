"""Work on a stream in a thread of its own, while the stream goes on.

Hashing and scanning are done in C, for the most part without Python's lock, so a second core does
them. Not here: what the work is, and where the stream comes from and goes to.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

#: Chunks (of at most 1 MiB) that may wait for the thread.
_QUEUE = 8
#: Seconds between two looks of the thread at whether it is still wanted.
_LOOK_S = 0.5


class Beside:
    """Does its work on every chunk, in their order; all of it is done when the block ends.

    An exception of the work is raised by the next `put` or at the end of the block.
    """

    def __init__(self, work: Callable[[bytes], object]) -> None:
        self._work = work
        self._failure: BaseException | None = None
        self._abandoned = threading.Event()
        self._queue: queue.Queue[bytes | None] = queue.Queue(_QUEUE)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Beside:
        self._thread.start()
        return self

    def put(self, chunk: bytes) -> None:
        """Hand over the next bytes; blocks when the thread is far behind."""
        if self._failure is not None:
            raise self._failure
        self._queue.put(chunk)

    def __exit__(self, *exception: object) -> None:
        if exception[0] is not None:
            # Ctrl-C may have hit the queue itself: neither wake nor await the thread through it
            self._abandoned.set()
            return
        self._queue.put(None)
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        while not self._abandoned.is_set():
            try:
                chunk = self._queue.get(timeout=_LOOK_S)
            except queue.Empty:
                continue
            if chunk is None:
                return
            if self._failure is None:  # else only empty the queue, or `put` would wait forever
                self._try(chunk)

    def _try(self, chunk: bytes) -> None:
        try:
            self._work(chunk)
        except BaseException as failure:  # noqa: BLE001 - raised again in the caller's thread
            self._failure = failure
