"""Under test: that a recovery may be killed at any moment, and its server, too.

After each kill the live name answers with the whole old or the whole new content, the doctor says
which, and going on or going back succeeds (``kill_matrix``). Each test prints its part of the
table.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kajovo_dr.process import WINDOWS
from kajovo_dr.recovery.recover import OF_THE_APPLICATION, PHASES
from kajovo_dr_tests.recovery import kill_matrix
from kajovo_dr_tests.recovery.kill_matrix import Field, Point

pytestmark = pytest.mark.skipif(WINDOWS, reason="Windows has neither fork nor SIGKILL")


@pytest.fixture(scope="module")
def place() -> Iterator[Field]:
    with kill_matrix.field_of_cases() as place:
        yield place


@pytest.mark.timeout(600)  # some thirty recoveries each: a minute, but on a busy machine
@pytest.mark.parametrize(
    ("server", "points"),
    [
        (False, kill_matrix.DATABASE),
        (False, (*kill_matrix.UNDO, *kill_matrix.OF_THE_APPLICATION)),
        (True, kill_matrix.OF_THE_SERVER),
    ],
    ids=["process", "process-application", "server"],
)
def test_a_kill_leaves_the_whole_old_or_the_whole_new_and_a_way_on(
    place: Field, server: bool, points: tuple[Point, ...]
) -> None:
    rows = kill_matrix.judged(place, points, server=server)
    print(kill_matrix.table(rows))  # noqa: T201 - the table is to be seen
    assert [(row.point.where, row.wrong) for row in rows if row.wrong] == []
    assert {row.content for row in rows} == {"old", "new"}


def test_every_phase_is_killed_at_its_end_and_inside() -> None:
    everything = (*kill_matrix.DATABASE, *kill_matrix.APPLICATION)
    for phase in PHASES["recovery"]:
        here = [each for each in everything if each.where.startswith(f"{phase}:")]
        assert here or phase == "probe", phase  # one more request of the application's
        assert len(here) > 2 or phase in OF_THE_APPLICATION
    assert len(kill_matrix.DATABASE) > 20
