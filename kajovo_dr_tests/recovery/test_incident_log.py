"""Under test: that the log loses nothing, whatever happened to its last line."""

from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path

import pytest

from kajovo_dr.errors import LogUnwritable
from kajovo_dr.recovery.incident_log import IncidentLog
from kajovo_dr_tests.recovery.records import entry, phase, smoke_report


@pytest.fixture
def log(tmp_path: Path) -> IncidentLog:
    return IncidentLog(tmp_path / "state")


def test_an_empty_log_has_no_entries(log: IncidentLog) -> None:
    assert log.read() == []
    assert log.unreadable() == []


def test_entries_are_read_back_as_they_were(log: IncidentLog) -> None:
    first = entry(id="a", phases=(phase("restore"),), smoke=smoke_report(ok=False))
    second = entry(id="b", incident_at=None, note="řádek 1\nřádek 2\u2028řádek 3")
    log.append(first)
    log.append(second)
    assert log.read() == [first, second]
    assert log.lines.read_bytes().count(b"\n") == 2


def test_each_line_is_json_with_a_format(log: IncidentLog) -> None:
    log.append(entry())
    line = json.loads(log.lines.read_text(encoding="utf-8"))
    assert (line["format"], line["who"], line["rto_verdict"]) == (1, "Řehoř", "pass")


def test_the_same_recovery_is_not_logged_twice(log: IncidentLog) -> None:
    log.append(entry(note="first"))
    log.append(entry(note="second"))
    assert [kept.note for kept in log.read()] == ["first"]


def test_earlier_bytes_are_never_rewritten(log: IncidentLog) -> None:
    log.append(entry(id="a"))
    before = log.lines.read_bytes()
    log.append(entry(id="b"))
    assert log.lines.read_bytes().startswith(before)


@pytest.mark.parametrize("cut", [1, 40, 300])
def test_a_torn_last_line_is_kept_and_told_and_the_next_entry_is_whole(
    log: IncidentLog, cut: int
) -> None:
    log.append(entry(id="a"))
    log.append(entry(id="b", who="Žofie"))
    whole = log.lines.read_bytes()
    log.lines.write_bytes(whole[:-cut])
    log.append(entry(id="c"))
    # cutting the line end alone loses nothing
    assert [kept.id for kept in log.read()] == (["a", "b", "c"] if cut == 1 else ["a", "c"])
    assert log.unreadable() == ([] if cut == 1 else [2])
    assert log.lines.read_bytes().startswith(whole[:-cut] + b"\n")
    told = "cannot be read and were kept: 2" in log.page.read_text(encoding="utf-8")
    assert told == (cut != 1)


def test_a_line_cut_inside_a_letter_is_kept_too(log: IncidentLog) -> None:
    log.append(entry(id="a"))
    whole = log.lines.read_bytes()
    cut = whole.index("Ř".encode()) + 1
    log.lines.write_bytes(whole[:cut])
    log.append(entry(id="b"))
    assert [kept.id for kept in log.read()] == ["b"]
    assert log.unreadable() == [1]


def test_a_line_of_a_newer_version_does_not_stop_us(log: IncidentLog) -> None:
    log.append(entry(id="a"))
    newer = json.loads(log.lines.read_text(encoding="utf-8")) | {"format": 2, "id": "z"}
    with log.lines.open("a", encoding="utf-8") as sink:
        sink.write(json.dumps(newer) + "\n")
    log.append(entry(id="b"))
    assert [kept.id for kept in log.read()] == ["a", "b"]
    assert log.unreadable() == [2]


def test_writers_at_the_same_time_do_not_mix_their_lines(log: IncidentLog) -> None:
    writers = [
        threading.Thread(target=lambda n=n: IncidentLog(log.lines.parent).append(entry(id=n)))
        for n in map(str, range(8))
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(kept.id for kept in log.read()) == sorted(map(str, range(8)))
    assert all(f"Incident {n}\n" in log.page.read_text(encoding="utf-8") for n in range(8))


def test_the_page_shows_the_newest_first(log: IncidentLog) -> None:
    log.append(entry(id="older"))
    log.append(entry(id="newer"))
    page = log.page.read_text(encoding="utf-8")
    assert page.index("newer") < page.index("older")


def test_the_files_are_for_us_alone(log: IncidentLog) -> None:
    if os.name != "posix":
        pytest.skip("Windows has no modes")
    log.append(entry())
    assert {stat.S_IMODE(p.stat().st_mode) for p in (log.lines, log.page)} == {0o600}


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("in the way")
    with pytest.raises(LogUnwritable, match=r"cannot write .*incidents\.jsonl"):
        IncidentLog(tmp_path / "state").append(entry())


def test_a_log_that_is_a_folder_is_named(log: IncidentLog) -> None:
    log.lines.mkdir(parents=True)
    with pytest.raises(LogUnwritable, match=r"cannot read .*incidents\.jsonl"):
        log.append(entry())


def test_a_folder_without_the_right_to_write_is_named(log: IncidentLog) -> None:
    folder = log.lines.parent
    folder.mkdir(mode=0o500)
    if os.access(folder, os.W_OK):
        pytest.skip("permissions do not bind this user (root, or Windows)")
    with pytest.raises(LogUnwritable, match="Permission denied"):
        log.append(entry())
