"""Under test: what no process dies of, and a recovery must survive: a full disk, a flood of
connections, transactions that hold on, a connection that is lost when the names are exchanged.

Afterwards the same is asked as after a kill (``kill_matrix``).
"""

from __future__ import annotations

import os
import selectors
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from kajovo_dr.errors import DrError, SwapFailed, TargetBusy
from kajovo_dr.process import WINDOWS
from kajovo_dr.progress import Progress, silent
from kajovo_dr.recovery import recover
from kajovo_dr.recovery.conduct import run
from kajovo_dr.recovery.preflight import plan
from kajovo_dr.recovery.recover import Recovery, exchanging
from kajovo_dr.recovery.request import Request
from kajovo_dr.recovery.resume import abandon, find, resume
from kajovo_dr_tests.conftest import new_folder
from kajovo_dr_tests.recovery import kill_matrix
from kajovo_dr_tests.recovery.kill_matrix import EXCHANGE, Case, Field, Hammer, Point, Row

pytestmark = pytest.mark.skipif(WINDOWS, reason="the matrix's processes need fork")
as_root = pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(os, "geteuid") or os.geteuid() != 0,
    reason="a small disk is mounted by root on Linux",
)
NOWHERE = Point("", "statement", "", "before")


@pytest.fixture(scope="module")
def place() -> Iterator[Field]:
    with kill_matrix.field_of_cases() as place:
        yield place


class Faulty(Case):
    """A recovery in this process, while something is wrong."""

    def __init__(
        self,
        place: Field,
        fault: Callable[[Case], Any],
        *,
        progress: Progress = silent,
        **options: Any,
    ) -> None:
        super().__init__(place, NOWHERE, **options)
        self._fault = fault
        self._progress = progress
        self.said: DrError | None = None

    def failed(self) -> dict[str, Any]:
        settings, name = self.settings, self.live.dbname
        backup = self.place.backups[False]
        request = Request(name, name, "Řehoř", backup=backup, database_only=True)
        looked = plan(settings, request)
        looked.require()
        with self._fault(self):
            try:
                run(settings, Recovery.begin(settings, looked, progress=self._progress))
            except DrError as failure:
                self.said = failure
        return {"said": str(self.said or ""), "code": 0}


def good(row: Row) -> Row:
    assert row.wrong == ()
    return row


# --- a full disk


@pytest.fixture
def small_disk(place: Field) -> Iterator[Path]:
    """A disk of 24 MB with a tablespace on it."""
    folder = new_folder()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", folder], check=True)
    user = place.cluster._user
    assert user is not None
    shutil.chown(folder, user)
    inside = folder / "space"
    inside.mkdir()
    shutil.chown(inside, user)
    place.execute(f"CREATE TABLESPACE malý LOCATION '{inside}'")
    try:
        yield folder
        place.execute("DROP TABLESPACE malý")
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
        folder.rmdir()


@as_root
@pytest.mark.parametrize("loading", [False, True], ids=["creating", "loading"])
def test_a_disk_that_is_full_during_the_restore(
    place: Field, small_disk: Path, loading: bool
) -> None:
    def fill() -> None:
        free = shutil.disk_usage(small_disk).free
        if free > 100_000:
            (small_disk / "filling").write_bytes(bytes(free - 100_000))

    @contextmanager
    def full(case: Case) -> Iterator[None]:
        case.place.execute("CHECKPOINT")  # what the server has to write, it has written
        if not loading:
            fill()
        yield
        (small_disk / "filling").unlink()

    def on_the_way(phase: str, done: int, total: int | None) -> None:
        if loading and phase == "restore":
            fill()

    case = Faulty(place, full, progress=on_the_way, where="TABLESPACE malý")
    row = good(case.judged())
    assert "No space left on device" in str(case.said)
    assert ("psql: exit code" in str(case.said)) is loading
    assert row.content == "old"
    assert row.doctor == "failed in phase restore; 'hotel' is as it was before"


# --- others in the database


def test_a_flood_of_connections(place: Field) -> None:
    @contextmanager
    def flood(case: Case) -> Iterator[None]:
        clients = [Hammer(case.live) for _ in range(40)]
        for client in clients:
            client.start()
        yield
        for client in clients:
            client.end()
        assert set.union(*(client.seen for client in clients)) == {"live", "backup"}

    case = Faulty(place, flood)
    assert good(case.judged()).content == "new"
    assert case.said is None


@pytest.mark.parametrize(
    ("statement", "elsewhere"),
    [
        ("LOCK TABLE library.shelves IN ACCESS EXCLUSIVE MODE", False),
        ("SELECT count(*) FROM pg_database", False),
        ("SELECT count(*) FROM pg_database", True),
    ],
    ids=["tables", "catalog", "catalog-elsewhere"],
)
def test_a_long_transaction(place: Field, statement: str, elsewhere: bool) -> None:
    @contextmanager
    def held(case: Case) -> Iterator[None]:
        where = case.place.server if elsewhere else case.live
        with psycopg.connect(where.conninfo()) as holder:
            holder.execute(statement.encode())
            yield
            if elsewhere:  # it is nobody's to end
                assert holder.execute("SELECT 1").fetchone() == (1,)
            else:
                with pytest.raises(psycopg.OperationalError):
                    holder.execute("SELECT 1")

    # the safety backup waits for tables, but not for ever
    case = Faulty(place, held, lock_timeout_s=1)
    assert good(case.judged()).content == "new"
    assert case.said is None


# --- an exchange that is still under way when its process or its connection is gone


def test_while_an_exchange_is_under_way_nobody_goes_on_or_gives_up(place: Field) -> None:
    @contextmanager
    def under_way(case: Case) -> Iterator[None]:
        with exchanging(case.settings, case.live):
            yield
            open_one = find(case.settings)
            for act in (resume, abandon):
                with pytest.raises(TargetBusy, match="exchange of names"):
                    act(case.settings, open_one)

    case = Faulty(place, under_way)
    row = good(case.judged())
    assert isinstance(case.said, TargetBusy)
    assert row.content == "old"


# --- a lost connection


class Wire(threading.Thread):
    """A proxy in front of the server, which is cut when the exchange passes. arrives: whether the
    server gets it; mended: whether later connections are let through.
    """

    def __init__(self, port: int, *, arrives: bool, mended: bool) -> None:
        super().__init__(daemon=True)
        self._to = ("127.0.0.1", port)
        self._arrives, self.mended = arrives, mended
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.cut = 0

    def run(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.cut and not self.mended:
                    client.close()
                    continue
                threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):  # wakes accept
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _carry(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._to) as server, ExitStack() as stack:
            chosen = stack.enter_context(selectors.DefaultSelector())
            chosen.register(client, selectors.EVENT_READ, server)
            chosen.register(server, selectors.EVENT_READ, client)
            while True:
                for key, _ in chosen.select():
                    with suppress(ConnectionResetError):
                        if self._carried(key.fileobj, key.data, client, server):
                            continue
                    return

    def _carried(
        self, source: Any, sink: socket.socket, client: socket.socket, server: Any
    ) -> bool:
        """Whether the connection goes on."""
        data = source.recv(65_536)
        exchange = source is client and EXCHANGE.encode() in data
        if exchange and not self.cut:
            self.cut += 1
            client.shutdown(socket.SHUT_RDWR)
            if self._arrives:
                server.sendall(data)
                while server.recv(65_536):  # until the server has ended that session
                    server.shutdown(socket.SHUT_WR)
            return False
        sink.sendall(data)
        return bool(data)


@contextmanager
def wired(place: Field, *, arrives: bool, mended: bool = True) -> Iterator[tuple[Wire, str]]:
    """The wire, and the URL of the server behind it."""
    wire = Wire(int(place.server.params["port"]), arrives=arrives, mended=mended)
    wire.start()
    url = place.server.url().replace(f":{place.server.params['port']}/", f":{wire.port}/")
    try:
        yield wire, url
    finally:
        wire.close()
        wire.join()


@contextmanager
def nothing_else(case: Case) -> Iterator[None]:
    yield


def test_a_connection_that_is_lost_after_the_exchange_was_sent(place: Field) -> None:
    with wired(place, arrives=True) as (wire, url):
        case = Faulty(place, nothing_else, restore_url=url)
        row = good(case.judged())
    assert wire.cut == 1
    assert case.said is None  # it was looked, and found done
    assert (row.content, row.doctor) == ("new", "it has ended")


def test_a_connection_that_is_lost_before_the_exchange_arrived(place: Field) -> None:
    with wired(place, arrives=False) as (wire, url):
        case = Faulty(place, nothing_else, restore_url=url)
        row = good(case.judged())
    assert wire.cut == 1
    assert isinstance(case.said, SwapFailed)
    assert "is as it was" in str(case.said)
    assert (row.content, row.doctor[:20]) == ("old", "failed in phase swap")


def test_a_server_that_stays_away_after_the_exchange_was_sent(
    place: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recover, "_LOST_S", 0.2)
    with wired(place, arrives=True, mended=False) as (wire, url):

        @contextmanager
        def mended_later(case: Case) -> Iterator[None]:
            yield
            wire.mended = True

        case = Faulty(place, mended_later, restore_url=url)
        row = good(case.judged())
    assert isinstance(case.said, SwapFailed)
    assert "nobody can tell if it was done" in str(case.said)
    assert row.content == "new"
    assert row.doctor == "failed in phase swap; 'hotel' is the restored database, whole"
