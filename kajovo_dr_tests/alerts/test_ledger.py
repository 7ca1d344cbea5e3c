"""Under test: the file that remembers what people were told, with real processes and a full disk.

Not here: the rules of what is said (``test_transitions``), sending (``test_delivery``).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kajovo_dr.alerts import ledger as book
from kajovo_dr.alerts.condition import Condition, Level
from kajovo_dr.alerts.message import Message
from kajovo_dr.alerts.transitions import Rules
from kajovo_dr.errors import FormatUnknown, LogUnwritable
from kajovo_dr_tests.shell import ROOT

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
RESERVE = 1 << 18
as_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0 or not shutil.which("mount"),
    reason="needs root, to mount a small file system",
)
#: One look of a process: it waits for the others, looks 20 times, and prints what it would tell.
LOOKER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from kajovo_dr.alerts import ledger as book
from kajovo_dr.alerts.condition import Condition
from kajovo_dr.alerts.transitions import Rules
state = Path(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for number in range(20):
    levels = {f"{family}:{n}": "warning" for family in "ab" for n in range(number)}
    found = [Condition(key, level, "what") for key, level in levels.items()]
    with book.change(state) as ledger:
        for notice in ledger.observe(found, set(), Rules(datetime.now(UTC))):
            print(notice.change, notice.standing.key, flush=True)
"""


def look(state: Path, *conditions: Condition, hours: float = 0) -> list[str]:
    with book.change(state) as ledger:
        rules = Rules(NOW + timedelta(hours=hours))
        return [each.change for each in ledger.observe(conditions, {"store"}, rules)]


def is_empty(ledger: book.Ledger) -> bool:
    return ledger.model_copy(update={"id": ""}) == book.Ledger(id="")


def store(level: Level, what: str = "what") -> Condition:
    return Condition("store", level, what)


def test_a_ledger_that_nobody_wrote_is_empty_and_reading_makes_no_file(state: Path) -> None:
    assert is_empty(book.read(state))
    assert not state.exists()


def test_what_was_told_is_known_to_the_next_who_looks(state: Path) -> None:
    assert look(state, store("critical")) == ["begins"]
    assert look(state, store("critical")) == []
    assert [each.key for each in book.read(state).active] == ["store"]


def test_processes_that_look_at_once_tell_each_trouble_once(state: Path) -> None:
    lookers = [
        subprocess.Popen(
            [sys.executable, "-c", LOOKER, state],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    told = []
    for each in lookers:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"
    for each in lookers:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    for each in lookers:
        told += each.communicate(timeout=60)[0].splitlines()
        assert each.returncode == 0
    assert sorted(told) == sorted(f"begins {family}:{n}" for family in "ab" for n in range(19))


def test_a_look_that_fails_leaves_the_file_as_it_was(state: Path) -> None:
    look(state, store("warning"))
    before = book.path_of(state).read_bytes()
    with contextlib.suppress(ZeroDivisionError), book.change(state) as ledger:
        ledger.observe([store("critical")], set(), Rules(NOW))
        raise ZeroDivisionError
    assert book.path_of(state).read_bytes() == before


def test_a_look_that_sees_nothing_new_writes_nothing(state: Path) -> None:
    look(state, store("warning"))
    before = book.path_of(state).stat()
    look(state, store("warning"))
    after = book.path_of(state).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


@pytest.mark.skipif(sys.platform == "win32", reason="no modes there")
def test_all_its_files_are_private(state: Path) -> None:
    look(state, store("warning"))
    for path in state.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE(state.stat().st_mode) == 0o700


def test_the_order_is_from_the_worst_and_the_oldest(state: Path) -> None:
    look(state, store("warning"), Condition("z", "critical", "w"))
    look(state, store("warning"), Condition("b", "critical", "w"), hours=1)
    look(state, store("warning"), Condition("c", "unknown", "w"), hours=2)
    assert [each.key for each in book.read(state).active] == ["z", "b", "c", "store"]


def test_what_is_known_with_something_else_is_not_listed(state: Path) -> None:
    look(state, store("critical"), Condition("rpo", "critical", "w", covered_by=("store",)))
    assert [each.key for each in book.read(state).active] == ["store"]


# ---------------------------------------------------------------------------- damaged and newer


DAMAGED = {
    "torn": b'{"format": 1, "stand',
    "no json": b"\xff\xfe\x00 alerts",
    "nested": b"[" * 200_000,
    "another form": b'{"format": 1, "standings": {"store": {"level": "fine"}}}',
    "a list": b"[]",
    "no format": b'{"format": "one"}',
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_file_is_put_aside_as_it_was_and_all_is_told_anew(
    state: Path, content: bytes
) -> None:
    look(state, store("critical"))
    book.path_of(state).write_bytes(content)
    assert is_empty(book.read(state))
    assert book.path_of(state).read_bytes() == content  # who only reads changes nothing
    assert look(state, store("critical")) == ["begins"]
    assert (state / "alerts.json.damaged").read_bytes() == content
    assert look(state, store("critical")) == []


def test_the_ledger_of_a_newer_version_is_refused_and_left_alone(state: Path) -> None:
    state.mkdir()
    content = b'{"format": 2, "told": ["by somebody else"]}'
    book.path_of(state).write_bytes(content)
    for act in (lambda: book.read(state), lambda: look(state, store("critical"))):
        with pytest.raises(FormatUnknown, match="has format 2, this version reads up to 1") as said:
            act()
        assert said.value.hint == "upgrade kajovo_dr to at least the version that wrote this file."
    assert book.path_of(state).read_bytes() == content


def test_a_folder_in_its_place_is_an_error_that_names_it(state: Path) -> None:
    book.path_of(state).mkdir(parents=True)
    with pytest.raises(LogUnwritable, match=r"cannot read .*alerts\.json"):
        look(state, store("critical"))


def test_the_name_of_a_file_that_is_no_text_silences_nothing(state: Path) -> None:
    name = os.fsdecode(b"hotel-\xff.sql")
    strange = Condition(f"damaged:{name}", "critical", f"{name} is damaged", covered_by=(name,))
    assert look(state, strange, store("warning")) == ["begins", "begins"]
    assert look(state, strange, store("warning")) == []
    assert book.read(state).active[0].what == "hotel-?.sql is damaged"


# ---------------------------------------------------------------------------------- a full disk


@pytest.fixture
def small_disk(state: Path) -> Iterator[Path]:
    """A state folder on a disk of 2 MB."""
    state.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=700", "none", state], check=True)
    try:
        yield state
    finally:
        subprocess.run(["umount", "--lazy", state], check=True)


def fill(folder: Path, name: str = "filling") -> None:
    """Until there is no room for a single byte."""
    with (folder / name).open("wb", buffering=0) as sink, contextlib.suppress(OSError):
        while True:
            sink.write(bytes(4096))


@as_root
def test_on_a_full_disk_changes_are_still_written_down(small_disk: Path) -> None:
    look(small_disk, store("ok"))
    with book.change(small_disk) as ledger:
        ledger.lost = 1
    assert (small_disk / "alerts.json.reserve").stat().st_size == RESERVE
    fill(small_disk)
    for number in range(5):  # each is written beside the one before it
        level: Level = "critical" if number % 2 == 0 else "warning"
        assert len(look(small_disk, store(level, "x" * 9000))) == 1
    fill(small_disk, "more")
    with pytest.raises(LogUnwritable, match="No space left"):
        look(small_disk, store("critical", "x" * 2 * RESERVE))  # more than was kept
    assert book.read(small_disk).lost == 1


@as_root
def test_the_room_is_kept_again_when_there_is_some(small_disk: Path) -> None:
    reserve = small_disk / "alerts.json.reserve"
    look(small_disk, store("critical"))
    fill(small_disk)
    look(small_disk, store("warning", "x" * 60_000))
    assert reserve.stat().st_size < RESERVE
    (small_disk / "filling").unlink()
    look(small_disk, store("critical"))
    assert reserve.stat().st_size == RESERVE
    fill(small_disk)
    assert look(small_disk, store("warning", "x" * 60_000)) == ["better"]


# ------------------------------------------------------------------------------------- the queue


def test_a_message_that_nobody_takes_is_not_kept() -> None:
    ledger = book.Ledger()
    message = Message(
        id="1", kind="warning", severity="warning", audience=(), title="t", body="b", at=NOW
    )
    book.queue(ledger, "rpo", message, [], NOW)
    assert ledger.waiting == []
    book.queue(ledger, "rpo", message, ["json-1"], NOW)
    assert ledger.waiting[0].channels["json-1"].next_at == NOW
