"""Under test: every mutant of both formats is rejected by its own rung, and by nothing dearer."""

from __future__ import annotations

import pytest

from kajovo_dr.backups.manifest import Kind
from kajovo_dr.backups.zoo.exercise import outcome_of
from kajovo_dr.backups.zoo.mutants import Mutant
from kajovo_dr.backups.zoo.registry import MUTANTS
from kajovo_dr_tests.backups.zoo.conftest import Enclosure

EACH = [
    pytest.param(mutant, kind, id=f"{mutant.name}-{kind}")
    for mutant in MUTANTS
    for kind in mutant.kinds
]


@pytest.mark.parametrize(("mutant", "kind"), EACH)
def test_a_mutant_is_caught_by_its_own_rung(
    enclosures: dict[Kind, Enclosure], mutant: Mutant, kind: Kind
) -> None:
    home = enclosures[kind]
    outcome = outcome_of(home.bench, home.backup, mutant)
    assert outcome.lacks == ""
    assert outcome.caught is not None, "nothing rejected it"
    assert outcome.caught.rung == mutant.rung, outcome.caught
    assert outcome.caught.place
