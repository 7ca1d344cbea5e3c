"""What a mutant is: a named damage, and the rung of the ladder that must reject it.

Belongs here: the record, the rungs, and how families collect their mutants. Not here: any damage.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from kajovo_dr.backups.manifest import Kind
from kajovo_dr.backups.zoo.specimen import Specimen

PLAIN: tuple[Kind, ...] = ("plain",)
CUSTOM: tuple[Kind, ...] = ("custom",)
BOTH: tuple[Kind, ...] = ("plain", "custom")
#: Damages a copy of a backup; raises `NotApplicable`.
Damage = Callable[[Specimen], None]


@dataclass(frozen=True)
class Mutant:
    """One damage. rung: the cheapest check that can see it; imitates: what happens in real life."""

    name: str
    kinds: tuple[Kind, ...]
    rung: str
    imitates: str
    damage: Damage


@dataclass
class Family:
    """Mutants that are made in the same way."""

    mutants: list[Mutant] = field(default_factory=list)

    def mutant(
        self, name: str, kinds: tuple[Kind, ...], *, rung: str, imitates: str
    ) -> Callable[[Damage], Damage]:
        """Register the damage that follows."""

        def register(damage: Damage) -> Damage:
            self.mutants.append(Mutant(name, kinds, rung, imitates, damage))
            return damage

        return register


def vouched(damage: Damage) -> Damage:
    """The damage as if it had happened before the digest was taken: the sidecars agree with it."""

    def done_before(specimen: Specimen) -> None:
        damage(specimen)
        specimen.vouch()

    return done_before
