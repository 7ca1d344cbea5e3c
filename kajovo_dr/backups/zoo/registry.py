"""All mutants, in the order of the rungs that they are made for. Not here: any of them."""

from __future__ import annotations

from kajovo_dr.backups.zoo import archive, bits, contents, redumps, sidecars, structure, text
from kajovo_dr.backups.zoo.mutants import Mutant

_FAMILIES = (sidecars, bits, text, archive, contents, structure, redumps)
MUTANTS: tuple[Mutant, ...] = tuple(
    mutant for family in _FAMILIES for mutant in family.FAMILY.mutants
)
