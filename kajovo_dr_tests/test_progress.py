"""Under test: that progress says enough in a terminal's bar and little enough in a log."""

from __future__ import annotations

import pytest

from kajovo_dr.progress import LineProgress, human_bytes, percent, silent


class _Clock:
    """A clock that moves when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def _lines() -> tuple[LineProgress, list[str], _Clock]:
    said: list[str] = []
    clock = _Clock()
    return LineProgress(said.append, interval=5.0, clock=clock), said, clock


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1536, "1.5 kB"),
        (320_000_000, "320.0 MB"),
        (2_500_000_000, "2.5 GB"),
        (7_000_000_000_000, "7.0 TB"),
        (7_000_000_000_000_000, "7000.0 TB"),
        (1234.6, "1.2 kB"),
    ],
)
def test_bytes_are_shown_in_decimal_units(count: float, shown: str) -> None:
    assert human_bytes(count) == shown


@pytest.mark.parametrize("count", [999_949, 999_950, 999_999, 999_999_999, 999_999_999_999])
def test_a_number_just_below_the_next_unit_is_never_shown_as_a_thousand(count: int) -> None:
    assert not human_bytes(count).startswith("1000")


@pytest.mark.parametrize(
    ("done", "total", "shown"),
    [(0, 200, "0 %"), (99, 200, "49 %"), (200, 200, "100 %"), (300, 200, "100 %")],
)
def test_percent_never_says_more_than_all(done: int, total: int, shown: str) -> None:
    assert percent(done, total) == shown


@pytest.mark.parametrize("total", [None, 0])
def test_percent_of_an_unknown_total_is_nothing(total: int | None) -> None:
    assert percent(5, total) == ""


def test_a_phase_of_unknown_length_says_that_it_began() -> None:
    progress, said, _ = _lines()
    progress("count rows", 0, None)
    progress("count rows", 0, None)
    progress("compare", 0, None)
    assert said == ["count rows", "compare"]


def test_a_phase_that_ends_within_the_interval_says_nothing() -> None:
    progress, said, clock = _lines()
    for done in range(100):
        clock.now += 0.049
        progress("dump", done, 100)
    assert said == []


def test_a_long_phase_speaks_once_per_interval() -> None:
    progress, said, clock = _lines()
    for done in range(0, 2100, 100):
        progress("dump", done * 1000, 2_000_000)
        clock.now += 1.0
    assert said == [
        "dump 500.0 kB 25 %",
        "dump 1.0 MB 50 %",
        "dump 1.5 MB 75 %",
        "dump 2.0 MB 100 %",
    ]


def test_a_long_phase_of_unknown_length_shows_its_bytes() -> None:
    progress, said, clock = _lines()
    progress("dump", 10, None)
    clock.now += 4.9
    progress("dump", 20, None)
    clock.now += 0.1
    progress("dump", 3000, None)
    assert said == ["dump 10 B", "dump 3.0 kB"]


def test_a_new_phase_does_not_inherit_the_wait_of_the_last_one() -> None:
    progress, said, clock = _lines()
    progress("dump", 1, 2)
    clock.now += 4.0
    progress("inspect", 1, 2)
    clock.now += 4.0
    progress("inspect", 2, 2)
    assert said == []
    clock.now += 1.0
    progress("inspect", 2, 2)
    assert said == ["inspect 2 B 100 %"]


def test_nobody_watching_costs_nothing() -> None:
    assert silent("dump", 1, None) is None  # type: ignore[func-returns-value]
