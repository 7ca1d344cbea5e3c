"""A week of looks with outages and kills, against the truth (``month``; docs have whole months)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from kajovo_dr_tests.watch.month import live
from kajovo_dr_tests.watch.world import World

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="looks are killed in forks")
#: In its first days: outages of each observer and of the receiver, every level of the recovery
#: point, damage, and an RPO that is missed and mended while nobody looks.
SEED, DAYS = 13, 7


def test_no_transition_is_missed_and_none_is_told_twice(tmp_path: Path) -> None:
    month = live(World(SEED, DAYS), tmp_path)
    assert month.wrong == []
    assert sum(month.killed.values()) > 5
    assert month.refused > 0
    assert {each.key.partition(":")[0] for each in month.expected} >= {"rpo", "damaged", "daemon"}
