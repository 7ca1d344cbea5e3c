"""Keeps the hotel's API running, as a container engine would, and stops it when told so.

Belongs here: starting it again whenever it ends, and obeying ``switch`` from other processes. Not
here: the process itself (``launcher``), and who needs it (``stack``). One process at a time
supervises the API of a sandbox's folder; a lock, which the system lets go when it dies, says so.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from kajovo_dr.errors import DrError, SandboxError
from kajovo_dr.files import PRIVATE_FILE, replace_atomically
from kajovo_dr.ports import free_port
from kajovo_dr.postgres.server import Server
from kajovo_dr.process import wait_until
from kajovo_dr.sandbox import switch
from kajovo_dr.sandbox.launcher import RunningApi, start_api

ADMIN_EMAIL = "admin@kajovohotel.local"
#: Seconds between two attempts to bring the API back.
_RESTART_S = 1.0
#: Seconds between two looks at the wish.
_POLL_S = 0.1
#: Seconds from taking the lock to telling the address.
_TOLD_WITHIN_S = 5.0


@contextmanager
def shared(hotel: Server, folder: Path, password: str) -> Iterator[str]:
    """The base URL of the API that another process supervises, else of one that this one does.

    The other one's may be stopped, or wait for its database: its address stays the same.
    """
    try:
        own = Supervised(hotel, folder, password).__enter__()
    except _Taken:
        yield _address(folder)
        return
    try:
        yield own.base_url
    finally:
        own.__exit__()


class _Taken(SandboxError):
    """Another kajovo-dr runs the hotel's API."""

    hint = "wait until it has ended, or end it."


def _address(folder: Path) -> str:
    path = folder / switch.ADDRESS
    if not wait_until(path.exists, timeout=_TOLD_WITHIN_S):
        raise _Taken(f"another kajovo-dr runs the hotel's API in {folder} but tells no address")
    return path.read_text(encoding="utf-8")


@dataclass
class Supervised:
    """The API, started again whenever it ends, unless it is not wished to run.

    It does not start without its database and relies on being restarted, as the real one does in
    its container. Raises `SandboxError` when another process supervises it.
    """

    hotel: Server
    folder: Path
    password: str

    def __enter__(self) -> Supervised:
        self._lock = FileLock(self.folder / "api.lock", mode=PRIVATE_FILE)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise _Taken(f"another kajovo-dr runs the hotel's API in {self.folder}") from None
        self._port = free_port()
        self.base_url = f"http://127.0.0.1:{self._port}"
        self._api: RunningApi | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep_alive, daemon=True)
        try:
            self._wish = switch.wish(self.folder, running=True)
            replace_atomically(self.folder / switch.ADDRESS, self.base_url.encode())
            self._try_start()
        except BaseException:
            self._let_go()
            raise
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        self._thread.join()
        self._let_go()

    def _let_go(self) -> None:
        try:
            (self.folder / switch.ADDRESS).unlink(missing_ok=True)
            self._stop()
        finally:
            self._lock.release()

    def _keep_alive(self) -> None:
        while not self._ended.wait(_POLL_S):
            with contextlib.suppress(OSError):  # a full disk must not end the supervision
                self._look()

    def _look(self) -> None:
        wish = switch.wished(self.folder)
        if wish is not None and wish != self._wish:
            self._wish = wish
            switch.tell(self.folder, wish, self._obey(wish))
        elif self._wish.running and not self._alive() and time.monotonic() >= self._due:
            self._try_start()

    def _obey(self, wish: switch.Wish) -> str:
        """Do it; why it cannot be, or an empty text."""
        if not wish.running:
            self._stop()
            return ""
        return "" if self._alive() else self._try_start()

    def _alive(self) -> bool:
        return self._api is not None and self._api.process.poll() is None

    def _stop(self) -> None:
        if self._api is not None:
            self._api.stop()
            self._api = None

    def _try_start(self) -> str:
        """Start it; why it does not run, or an empty text."""
        self._stop()
        try:
            self._api = start_api(
                self.hotel,
                folder=self.folder,
                port=self._port,
                email=ADMIN_EMAIL,
                password=self.password,
                media_root=self.folder / "media",
            )
        except DrError as failure:  # its database is gone or not back yet
            return str(failure)
        finally:
            self._due = time.monotonic() + _RESTART_S
        return ""
