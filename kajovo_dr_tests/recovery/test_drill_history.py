"""Under test: that the history of drills is only ever added to, and says what it cannot read."""

from __future__ import annotations

import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import ValidationError

from kajovo_dr.errors import LogUnwritable
from kajovo_dr.recovery import drill_history, drill_report
from kajovo_dr.recovery.drill_history import History
from kajovo_dr.recovery.drill_tables import history_rows
from kajovo_dr.recovery.drill_words import Words
from kajovo_dr.settings import Settings
from kajovo_dr_tests.recovery.drills import drill


def test_a_state_without_drills_has_an_empty_history(tmp_path: Path) -> None:
    assert drill_history.read(tmp_path) == drill_history.History(())


def test_a_drill_comes_back_as_it_was_written(tmp_path: Path) -> None:
    first, second = drill(0, who="Řehoř\n\u2028 'x'"), drill(1, failed="migrate", detail="á|<b>")
    for each in (first, second):
        drill_history.append(tmp_path, each)
    assert drill_history.read(tmp_path).drills == (first, second)
    assert len(drill_history.path_of(tmp_path).read_bytes().splitlines()) == 2


def test_a_drill_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    line = json.loads(drill(0).model_dump_json())
    del line["legacy"]
    newer = ("legacy", "revoke", "alert")
    line["phases"] = [each for each in line["phases"] if each["name"] not in newer]
    line["rto_s"] = 212.3
    drill_history.path_of(tmp_path).write_text(json.dumps(line) + "\n", encoding="utf-8")
    found = drill_history.read(tmp_path)
    (old,) = found.drills
    assert (found.unreadable, old.legacy, old.rto_s) == ((), False, 212.3)
    assert old.recovery_s == pytest.approx(212.3 + 42.0)
    words = Words("en", "Europe/Prague")
    assert "alerts" not in drill_report.html(Settings(state=tmp_path), old, found)
    # one table for all of them, in one measure
    rows = history_rows(History((old, drill(1))), words)
    assert [row[3] for row in rows] == ["4 min 27 s", "4 min 14 s"]


def test_the_history_is_private(tmp_path: Path) -> None:
    drill_history.append(tmp_path, drill())
    if os.name == "posix":
        assert stat.S_IMODE(drill_history.path_of(tmp_path).stat().st_mode) == 0o600
        assert stat.S_IMODE(drill_history.folder(tmp_path).stat().st_mode) == 0o700


def test_lines_that_cannot_be_read_are_kept_and_counted(tmp_path: Path) -> None:
    path = drill_history.path_of(tmp_path)
    drill_history.append(tmp_path, drill(0))
    newer = json.loads(drill(1).model_dump_json()) | {"format": 2}
    with path.open("ab") as lines:
        lines.write(b"\xff\xfe no json\n" + json.dumps(newer).encode() + b'\n{"id": "cut sh')
    before = path.read_bytes()
    drill_history.append(tmp_path, drill(2))
    assert path.read_bytes().startswith(before + b"\n")
    found = drill_history.read(tmp_path)
    assert [each.id for each in found.drills] == ["00000000", "00000002"]
    assert found.unreadable == (2, 3, 4)


def test_drills_are_read_in_the_order_in_which_they_began(tmp_path: Path) -> None:
    for number in (2, 0, 1):
        drill_history.append(tmp_path, drill(number))
    assert [each.id[-1] for each in drill_history.read(tmp_path).drills] == ["0", "1", "2"]


def test_drills_written_at_the_same_time_are_all_there(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: drill_history.append(tmp_path, drill(n)), range(24)))
    found = drill_history.read(tmp_path)
    assert (len(found.drills), found.unreadable) == (24, ())


def test_a_history_that_cannot_be_written_is_an_error_with_its_path(tmp_path: Path) -> None:
    drill_history.path_of(tmp_path).mkdir()
    with pytest.raises(LogUnwritable, match=r"drills\.jsonl"):
        drill_history.append(tmp_path, drill())


def test_a_record_cannot_be_changed_or_have_an_id_that_is_a_path() -> None:
    record = drill()
    with pytest.raises(ValidationError):
        setattr(record, "ok", False)  # noqa: B010
    with pytest.raises(ValidationError):
        drill(id="../../etc/x")
