"""Under test: the benchmark's arithmetic, its table, and that it runs at all. No time is judged."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from kajovo_dr_tests.benchmarks.__main__ import main
from kajovo_dr_tests.benchmarks.contest import lines
from kajovo_dr_tests.benchmarks.table import Line, Ratio, Samples, paired, render


def test_ratios_are_taken_round_by_round_and_not_of_medians() -> None:
    # the second round was slow for both; the medians' ratio would be 1.5
    assert paired([2.0, 30.0, 3.0], [1.0, 20.0, 2.0]) == Ratio(1.5, 1.5, 2.0)
    assert paired([3.0, 1.0, 2.0], [1.0, 2.0, 4.0]) == Ratio(0.5, 0.5, 3.0)


def test_runs_without_a_partner_are_refused() -> None:
    with pytest.raises(ValueError, match="1 runs cannot be paired with 2"):
        paired([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="0 runs"):
        paired([], [])


def test_the_table_says_what_was_met_and_by_how_much_it_was_missed() -> None:
    measured = {
        "ours": Samples([1.0, 1.2, 1.1], 61_000_000),
        "bare": Samples([1.0, 1.0, 1.0]),
        "large": Samples([2.0, 2.0, 2.0], 250_000_000),
    }
    wanted = [
        Line("backup", "ours", "bare", 1.1),
        Line("proof", "large", "bare", 1.6),
        Line("shown", "large", "bare"),
    ]
    page = render(wanted, measured, {"machine": "2 cores"}).splitlines()
    assert page[0] == "- machine: 2 cores"
    assert page[4:] == [
        "| backup | 1.10 | 1.00–1.20 | 1.10 | met | 61 |",
        "| proof | 2.00 | 2.00–2.00 | 1.60 | **missed** by 25 % | 250 |",
        "| shown | 2.00 | 2.00–2.00 | – | – | 250 |",
        "| peak memory of our process, MB | – | – | 200 | **missed** by 25 % | 250 |",
    ]


def test_it_measures_every_row_and_leaves_nothing_behind(room: Path) -> None:
    output = room / "docs" / "page.md"
    words = ["--gigabytes", "0.001", "--runs", "1", "--output", str(output)]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    page = output.read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if re.match(r"\| .* \| \d+\.\d\d \|", line)]
    assert len(rows) == len(lines())
    assert list(room.iterdir()) == [output.parent]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--runs", "0"], "--runs"),
        (["--gigabytes", "none"], "--gigabytes"),
        (["--gigabytes", "1000"], "are needed"),
        (["--output", f"{__file__}/page.md"], "test_benchmarks.py"),
    ],
)
def test_bad_options_end_in_a_message(words: list[str], said: str) -> None:
    done = CliRunner().invoke(main, words)
    assert done.exit_code != 0
    assert said in done.output
    assert "Traceback" not in done.output
