"""Under test: what is made of the clients' answers, and that the outage is measured at all.

No time is judged: it depends on the machine.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from kajovo_dr_tests.benchmarks.hammer import Answer
from kajovo_dr_tests.benchmarks.heard import Heard, heard
from kajovo_dr_tests.benchmarks.outage import main

#: Two clients; the first is disconnected, the second has to wait.
ANSWERS = [
    Answer(0, 1.0, 1.01, ""),
    Answer(1, 1.5, 1.51, ""),
    Answer(0, 2.0, 2.01, "session ended"),
    Answer(1, 2.5, 2.75, ""),
    Answer(0, 2.01, 2.02, "no such database"),
    Answer(0, 2.03, 3.0, ""),
    Answer(0, 4.0, 4.01, ""),
]


def test_an_outage_lasts_from_the_last_good_answer_to_the_next_whoever_got_them() -> None:
    found = heard(ANSWERS, 1.2, 3.5)
    assert found.silence == pytest.approx(2.75 - 1.51)
    assert heard(ANSWERS, 3.5).silence == pytest.approx(4.01 - 3.0)


def test_a_client_waits_from_its_first_failed_request_to_its_first_good_one() -> None:
    assert heard(ANSWERS).worst == pytest.approx(3.0 - 2.0)
    assert heard(ANSWERS, 3.5).worst == pytest.approx(0.01)


def test_failed_and_late_requests_are_counted_where_they_happened() -> None:
    found = heard(ANSWERS)
    assert (found.asked, found.failed, found.late) == (7, 2, 2)
    assert found.reasons == {"session ended", "no such database"}
    assert heard(ANSWERS, 0.0, 1.7).failed == 0
    assert heard(ANSWERS, 2.6, 2.7).asked == 2
    assert heard([]) == Heard(0.0, 0.0, 0, 0, 0, frozenset())


def test_it_measures_every_way_and_leaves_nothing_behind(room: Path) -> None:
    output = room / "docs" / "page.md"
    words = ["--gigabytes", "0.001", "--repeat", "1", "--calm", "0.1", "--note", "tests"]
    done = CliRunner().invoke(main, [*words, "--output", str(output)])
    assert done.exit_code == 0, done.output
    page = output.read_text(encoding="utf-8")
    assert "- beside it: tests\n" in page
    ways = re.findall(r"^\| (nothing|the runbook|our whole|our swap).*? \| (8|32) \|", page, re.M)
    assert ways == [
        ("nothing", "8"),
        ("nothing", "32"),
        ("the runbook", "8"),
        ("our whole", "8"),
        *[("our swap", "8"), ("our swap", "32")] * 2,
    ]
    phases = re.findall(r"^\| (\w+) \| \d+\.\d\d \| [1-9]\d* \|", page, re.M)
    assert phases == ["preflight", "safety", "restore", "revoke", "swap"]
    runbook = next(line for line in page.splitlines() if line.startswith("| the runbook"))
    assert "no such table" in runbook
    swaps = [line for line in page.splitlines() if line.startswith("| our swap")]
    assert all("session ended" in line and "no such table" not in line for line in swaps)
    assert list(room.iterdir()) == [output.parent]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--repeat", "0"], "--repeat"),
        (["--gigabytes", "1000"], "are needed"),
        (["--output", f"{__file__}/page.md"], "test_outage.py"),
    ],
)
def test_bad_options_end_in_a_message(words: list[str], said: str) -> None:
    done = CliRunner().invoke(main, words)
    assert done.exit_code != 0
    assert said in done.output
    assert "Traceback" not in done.output
