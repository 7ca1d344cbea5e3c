"""Under test: that the log loses nothing, whatever happened to its last line; and that no line can
be changed, removed, moved or inserted without being noticed.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from kajovo_dr.errors import LogBroken, LogUnwritable
from kajovo_dr.recovery import chain
from kajovo_dr.recovery.incident_log import IncidentLog
from kajovo_dr.recovery.record import IncidentEntry
from kajovo_dr.settings import Settings
from kajovo_dr_tests.recovery.records import entry, full, phase, smoke_report
from kajovo_dr_tests.shell import ROOT

#: The process ends between the first line and its head.
DYING = """
import os, sys
from pathlib import Path
from kajovo_dr import private_file
from kajovo_dr.recovery.incident_log import IncidentLog
from kajovo_dr_tests.recovery.records import entry
append = private_file.append
private_file.append = lambda *given: (append(*given), os._exit(9))
IncidentLog(Path(sys.argv[1])).append(entry(id="a"))
"""
#: Appends entries of the given names in a process of its own.
APPENDING = """
import sys
from pathlib import Path
from kajovo_dr.recovery.incident_log import IncidentLog
from kajovo_dr_tests.recovery.records import entry
for name in sys.argv[2:]:
    IncidentLog(Path(sys.argv[1])).append(entry(id=name))
"""


@pytest.fixture
def log(tmp_path: Path) -> IncidentLog:
    return IncidentLog(tmp_path / "state")


@pytest.fixture
def three(log: IncidentLog) -> IncidentLog:
    for name in "abc":
        log.append(entry(id=name))
    assert log.verify().ok
    return log


def lines_of(log: IncidentLog) -> list[bytes]:
    return log.lines.read_bytes().splitlines(keepends=True)


def ids(log: IncidentLog) -> list[str]:
    return [kept.id for kept in log.read()]


def breaks(log: IncidentLog) -> list[tuple[int, str]]:
    return [(found.line, found.what) for found in log.verify().breaks]


def unchained(entry: IncidentEntry) -> IncidentEntry:
    return entry.model_copy(update={"previous": ""})


def format_1(name: str) -> bytes:
    """A line as the first version wrote it."""
    fields = entry(id=name).model_dump(mode="json")
    new = {
        *("previous", "kind", "detected_at", "database_only", "sha256", "manifest_sha256"),
        *("lost_rows", "safety", "replaced", "swapped_at", "accounts_reverted", "outage", "undoes"),
    }
    old = {key: value for key, value in fields.items() if key not in new}
    return json.dumps(old | {"format": 1}, ensure_ascii=False).encode() + b"\n"


# --- keeping


def test_an_empty_log_has_no_entries(log: IncidentLog) -> None:
    assert log.read() == []
    assert log.unreadable() == []
    assert log.require_intact() == chain.Chain(entries=0)
    assert not log.lines.parent.exists()


def test_entries_are_read_back_as_they_were(log: IncidentLog) -> None:
    first = full(id="a", smoke=smoke_report(ok=False))
    second = entry(id="b", incident_at=None, note="řádek 1\nřádek 2\u2028řádek 3")
    log.append(first)
    log.append(second)
    assert [unchained(kept) for kept in log.read()] == [first, second]
    assert log.lines.read_bytes().count(b"\n") == 2


def test_each_line_is_json_with_a_format(log: IncidentLog) -> None:
    log.append(entry())
    line = json.loads(log.lines.read_text(encoding="utf-8"))
    assert (line["format"], line["who"], line["rto_verdict"]) == (2, "Řehoř", "pass")


def test_the_same_recovery_is_not_logged_twice(log: IncidentLog) -> None:
    log.append(entry(note="first"))
    log.append(entry(note="second"))
    assert [kept.note for kept in log.read()] == ["first"]
    assert log.verify().ok


def test_earlier_bytes_are_never_rewritten(log: IncidentLog) -> None:
    log.append(entry(id="a"))
    before = log.lines.read_bytes()
    log.append(entry(id="b"))
    assert log.lines.read_bytes().startswith(before)


@pytest.mark.parametrize("cut", [1, 40, 300, 650])
def test_a_torn_last_line_is_kept_and_told_and_the_next_entry_is_whole(
    log: IncidentLog, cut: int
) -> None:
    log.append(entry(id="a"))
    head = log.head.read_bytes()
    log.append(entry(id="b", who="Žofie"))
    whole = log.lines.read_bytes()
    log.lines.write_bytes(whole[:-cut])
    log.head.write_bytes(head)  # the crash came before it
    assert log.verify().ok
    log.append(entry(id="c"))
    # cutting the line end alone loses nothing
    assert ids(log) == (["a", "b", "c"] if cut == 1 else ["a", "c"])
    assert log.unreadable() == ([] if cut == 1 else [2])
    assert log.lines.read_bytes().startswith(whole[:-cut] + b"\n")
    told = "cannot be read and were kept: 2" in log.page.read_text(encoding="utf-8")
    assert told == (cut != 1)
    assert log.verify().ok
    assert log.verify().unreadable == tuple(log.unreadable())


def test_every_length_of_a_torn_line_is_followed(log: IncidentLog, tmp_path: Path) -> None:
    log.append(entry(id="a"))
    head, first = log.head.read_bytes(), log.lines.read_bytes()
    log.append(entry(id="b"))
    second = log.lines.read_bytes()[len(first) :]
    for length in range(1, len(second)):
        left = first + second[:length]
        assert list(chain.broken_end(chain.lines_of(left), head)) == []
        assert list(chain.broken_links(chain.lines_of(left))) == []


@pytest.mark.parametrize("left", [b"", b'{"for', b'{"format":2,'])
def test_zeros_that_a_power_cut_left_are_no_tampering(three: IncidentLog, left: bytes) -> None:
    with three.lines.open("ab") as sink:
        sink.write(left + b"\0" * 100)
    assert three.verify().ok
    three.append(entry(id="d"))
    assert three.verify().ok
    assert three.unreadable() == [4]


def test_a_line_cut_inside_a_letter_is_kept_too(log: IncidentLog) -> None:
    log.append(entry(id="a"))
    whole = log.lines.read_bytes()
    cut = whole.index("Ř".encode()) + 1
    log.lines.write_bytes(whole[:cut])
    log.append(entry(id="b"))
    assert ids(log) == ["b"]
    assert log.unreadable() == [1]


def test_a_line_of_a_newer_version_does_not_stop_us(log: IncidentLog) -> None:
    log.append(entry(id="a"))
    newer = json.loads(log.lines.read_text(encoding="utf-8"))
    newer |= {"format": 3, "id": "z", "previous": sha256(lines_of(log)[0].strip()).hexdigest()}
    with log.lines.open("a", encoding="utf-8") as sink:
        sink.write(json.dumps(newer) + "\n")
    log.append(entry(id="b"))
    assert ids(log) == ["a", "b"]
    assert log.unreadable() == [2]
    assert log.verify().ok


def test_writers_at_the_same_time_do_not_mix_their_lines(log: IncidentLog) -> None:
    writers = [
        threading.Thread(target=lambda n=n: IncidentLog(log.lines.parent).append(entry(id=n)))
        for n in map(str, range(8))
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(ids(log)) == sorted(map(str, range(8)))
    assert all(f"Incident {n}\n" in log.page.read_text(encoding="utf-8") for n in range(8))
    assert log.verify().ok


def test_two_processes_at_the_same_time_write_one_chain(log: IncidentLog) -> None:
    folder = str(log.lines.parent)
    names = {process: [f"{process}-{n}" for n in range(12)] for process in "xy"}
    writers = [
        subprocess.Popen([sys.executable, "-c", APPENDING, folder, *each], cwd=ROOT)
        for each in names.values()
    ]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0]
    assert sorted(ids(log)) == sorted(names["x"] + names["y"])
    assert log.require_intact().entries == 24


def test_the_page_shows_the_newest_first(log: IncidentLog) -> None:
    log.append(entry(id="older"))
    log.append(entry(id="newer"))
    page = log.page.read_text(encoding="utf-8")
    assert page.index("newer") < page.index("older")


def test_the_page_is_as_the_settings_want_it(tmp_path: Path) -> None:
    settings = Settings.load(state=tmp_path, language="cs", timezone="UTC", rto_warn_minutes=7)
    log = IncidentLog.of(settings)
    log.append(entry())
    page = log.page.read_text(encoding="utf-8")
    assert "# Deník incidentů" in page
    assert "5:40:00\u00a0UTC" in page
    assert "varování nad 7 min" in page


def test_a_text_that_is_no_utf_8_does_not_keep_an_incident_from_being_logged(
    log: IncidentLog,
) -> None:
    log.append(entry(phases=(phase("restore", ok=False, detail="soubor \udce8.sql"),)))
    (kept,) = log.read()
    assert kept.phases[0].detail == "soubor ?.sql"
    assert log.verify().ok


def test_the_files_are_for_us_alone(log: IncidentLog) -> None:
    if os.name != "posix":
        pytest.skip("Windows has no modes")
    log.append(entry())
    files = (log.lines, log.head, log.page)
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("in the way")
    with pytest.raises(LogUnwritable, match=r"cannot write .*incidents\.jsonl"):
        IncidentLog(tmp_path / "state").append(entry())


def test_a_log_that_is_a_folder_is_named(log: IncidentLog) -> None:
    log.lines.mkdir(parents=True)
    with pytest.raises(LogUnwritable, match=r"cannot read .*incidents\.jsonl"):
        log.append(entry())


def test_a_head_that_cannot_be_written_is_told_after_the_incident_was_logged(
    log: IncidentLog,
) -> None:
    log.head.mkdir(parents=True)
    with pytest.raises(LogUnwritable, match=r"cannot write .*incidents\.head"):
        log.append(entry(id="a"))
    assert ids(log) == ["a"]
    assert breaks(log) == [(0, chain.BAD_HEAD)]


def test_the_first_incident_is_logged_though_the_head_cannot_be_written(log: IncidentLog) -> None:
    (log.lines.parent / f".incidents.head.{os.getpid()}.new").mkdir(parents=True)
    with pytest.raises(LogUnwritable, match=r"cannot write .*incidents\.head"):
        log.append(entry(id="a"))
    assert ids(log) == ["a"]


def test_a_folder_without_the_right_to_write_is_named(log: IncidentLog) -> None:
    folder = log.lines.parent
    folder.mkdir(mode=0o500)
    if os.access(folder, os.W_OK):
        pytest.skip("permissions do not bind this user (root, or Windows)")
    with pytest.raises(LogUnwritable, match="Permission denied"):
        log.append(entry())


# --- the chain


def test_each_line_carries_the_hash_of_the_one_before(three: IncidentLog) -> None:
    written = [line.rstrip(b"\n") for line in lines_of(three)]
    digests = [sha256(line).hexdigest() for line in written]
    assert [kept.previous for kept in three.read()] == ["", *digests[:2]]
    assert json.loads(three.head.read_bytes()) == {"lines": 3, "sha256": digests[2], "noticed": []}
    assert three.require_intact() == chain.Chain(entries=3, last=digests[2])


def test_any_changed_byte_is_noticed(three: IncidentLog) -> None:
    content, head = three.lines.read_bytes(), three.head.read_bytes()
    for at in range(len(content)):
        if content[at : at + 1] == b"\n":
            continue  # below, by name
        changed = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
        lines = chain.lines_of(changed)
        assert [*chain.broken_links(lines), *chain.broken_end(lines, head)], at


@pytest.mark.parametrize(
    ("tamper", "found"),
    [
        (lambda a, b, c: [b, c], [(1, chain.CHANGED), (3, chain.MISSING)]),
        (lambda a, b, c: [a, c], [(2, chain.CHANGED), (3, chain.MISSING)]),
        (lambda a, b, c: [a, b], [(3, chain.MISSING)]),
        (lambda a, b, c: [a], [(2, chain.MISSING)]),
        (lambda a, b, c: [], [(1, chain.MISSING)]),
        (lambda a, b, c: [a.replace("Řehoř".encode(), b"nobody"), b, c], [(2, chain.CHANGED)]),
        (lambda a, b, c: [a, b.replace("Řehoř".encode(), b"nobody"), c], [(3, chain.CHANGED)]),
        (lambda a, b, c: [a, b, c.replace("Řehoř".encode(), b"nobody")], [(3, chain.OTHER)]),
        (lambda a, b, c: [a, b[:90] + b"\n", c], [(3, chain.CHANGED)]),
        (
            lambda a, b, c: [b, a, c],
            [(1, chain.MOVED), (2, chain.MOVED), (3, chain.MOVED)],
        ),
        (lambda a, b, c: [a, c, b], [(2, chain.MOVED), (3, chain.MOVED), (3, chain.OTHER)]),
        (lambda a, b, c: [a, b, b, c], [(3, chain.MOVED), (3, chain.OTHER)]),
        (lambda a, b, c: [a, b, b"note\n", c], [(3, chain.OTHER), (4, chain.MOVED)]),
        (
            lambda a, b, c: [a, b, format_1("x"), c],
            [(3, chain.UNCHAINED), (3, chain.OTHER), (4, chain.MOVED)],
        ),
        (lambda a, b, c: [format_1("x"), a, b, c], [(2, chain.MOVED), (3, chain.OTHER)]),
        (lambda a, b, c: [a, b, c, a], [(4, chain.MOVED)]),
        (lambda a, b, c: [a, b, c, format_1("x")], [(4, chain.UNCHAINED)]),
        (lambda a, b, c: [a, b, c, b"null\n"], [(4, chain.UNCHAINED)]),
        (lambda a, b, c: [a, b, c, b"a note by hand\n"], [(4, chain.FOREIGN)]),
        (lambda a, b, c: [a.rstrip(b"\n") + b, c], [(2, chain.CHANGED), (3, chain.MISSING)]),
    ],
)
def test_tampering_is_noticed_named_and_never_forgotten(
    three: IncidentLog, tamper: Callable[..., list[bytes]], found: list[tuple[int, str]]
) -> None:
    three.lines.write_bytes(b"".join(tamper(*lines_of(three))))
    assert breaks(three) == found
    with pytest.raises(LogBroken, match=f"line {found[0][0]}: {found[0][1]}"):
        three.require_intact()
    three.append(entry(id="d"))
    three.append(entry(id="e"))
    assert ids(three)[-2:] == ["d", "e"]
    assert breaks(three) == found
    assert "not as it was written" in three.page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("tamper", "what"),
    [
        (lambda path: path.unlink(), chain.NO_HEAD),
        (lambda path: path.write_bytes(b""), chain.NO_HEAD),
        (lambda path: path.write_bytes(b"\xff\0"), chain.BAD_HEAD),
        (lambda path: path.write_text("{}"), chain.BAD_HEAD),
        (lambda path: path.write_text('{"lines":-1,"sha256":"","noticed":[]}'), chain.BAD_HEAD),
        (lambda path: path.write_text("[" * 100_000), chain.BAD_HEAD),
    ],
)
def test_a_head_that_is_gone_or_garbage_is_noticed_and_never_forgotten(
    three: IncidentLog, tamper: Callable[[Path], object], what: str
) -> None:
    tamper(three.head)
    assert breaks(three) == [(0, what)]
    with pytest.raises(LogBroken, match=what):
        three.require_intact()
    three.append(entry(id="d"))
    assert ids(three) == list("abcd")
    assert breaks(three) == [(0, what)]


def test_a_head_of_other_lines_is_noticed(three: IncidentLog) -> None:
    head = json.loads(three.head.read_bytes())
    three.head.write_text(json.dumps(head | {"sha256": "0" * 64}))
    assert breaks(three) == [(3, chain.OTHER)]


def test_a_log_that_is_gone_with_its_head_left_is_noticed(three: IncidentLog) -> None:
    three.lines.unlink()
    assert breaks(three) == [(1, chain.MISSING)]


def test_a_crash_between_line_and_head_is_no_tampering(log: IncidentLog) -> None:
    log.append(entry(id="a"))
    head = log.head.read_bytes()
    log.append(entry(id="b"))
    log.append(entry(id="c"))
    log.head.write_bytes(head)
    assert log.require_intact().entries == 3
    log.append(entry(id="c"))  # whoever was interrupted comes back
    assert json.loads(log.head.read_bytes())["lines"] == 3
    assert log.require_intact().entries == 3


def test_a_crash_at_the_very_first_line_is_no_tampering(log: IncidentLog) -> None:
    folder = str(log.lines.parent)
    assert subprocess.run([sys.executable, "-c", DYING, folder], cwd=ROOT).returncode == 9
    assert json.loads(log.head.read_bytes())["lines"] == 0
    assert log.require_intact().entries == 1
    log.append(entry(id="b"))
    assert log.require_intact().entries == 2


def test_a_torn_line_still_tells_that_the_one_before_it_is_gone(log: IncidentLog) -> None:
    log.append(entry(id="a"))
    log.append(entry(id="b"))
    a, b = lines_of(log)
    log.lines.write_bytes(a + b[:100])
    log.head.unlink()
    log.append(entry(id="c"))
    assert breaks(log) == [(0, chain.NO_HEAD)]
    log.lines.write_bytes(b"".join(lines_of(log)[1:]))
    assert breaks(log) == [(0, chain.NO_HEAD), (1, chain.CHANGED), (3, chain.MISSING)]


def test_blank_lines_are_no_lines(three: IncidentLog) -> None:
    a, b, c = lines_of(three)
    three.lines.write_bytes(a + b"\n \n" + b + c + b"\n")
    assert three.verify().ok
    three.append(entry(id="d"))
    assert three.verify().ok


def test_lines_of_the_first_format_stand_in_front_without_a_chain(log: IncidentLog) -> None:
    old = format_1("old-1") + format_1("old-2")
    log.lines.parent.mkdir()
    log.lines.write_bytes(old)
    assert ids(log) == ["old-1", "old-2"]
    assert log.require_intact().entries == 2
    log.append(entry(id="new"))
    assert log.lines.read_bytes().startswith(old)
    assert log.read()[2].previous == sha256(format_1("old-2").rstrip(b"\n")).hexdigest()
    assert log.require_intact().entries == 3
    log.lines.write_bytes(format_1("old-1") + format_1("other") + lines_of(log)[2])
    assert breaks(log) == [(3, chain.CHANGED)]


def test_a_torn_line_of_the_first_format_is_followed(log: IncidentLog) -> None:
    log.lines.parent.mkdir()
    log.lines.write_bytes(format_1("old") + format_1("torn")[:60])
    log.append(entry(id="new"))
    assert ids(log) == ["old", "new"]
    assert log.verify() == chain.Chain(2, (), (2,), log.verify().last)


def test_an_error_names_some_lines_and_counts_the_rest(log: IncidentLog) -> None:
    for number in range(8):
        log.append(entry(id=f"n{number}"))
    log.lines.write_bytes(b"".join(reversed(lines_of(log))))
    with pytest.raises(LogBroken, match=r"line 1: .*; line 5: .*; and 4 more$"):
        log.require_intact()
