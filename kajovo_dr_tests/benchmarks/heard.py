"""What clients heard: how long nobody, and how long the unluckiest of them, had a good answer.

Belongs here: arithmetic on answers. Not here: asking (``hammer``), what was done meanwhile
(``outage``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from kajovo_dr_tests.benchmarks.hammer import Answer

#: Seconds beyond which a good answer came late.
LATE_S = 0.05


@dataclass(frozen=True)
class Heard:
    """silence: the longest time between two good answers, whoever got them. worst: of one client,
    from the beginning of a request to its good answer, repeated as often as it failed. reasons: why
    requests failed.
    """

    silence: float
    worst: float
    asked: int
    failed: int
    late: int
    reasons: frozenset[str]


@dataclass(frozen=True)
class _Span:
    """A time in which somebody waited."""

    began: float
    ended: float

    @property
    def seconds(self) -> float:
        return self.ended - self.began

    def meets(self, since: float, until: float) -> bool:
        return self.ended >= since and self.began <= until


def heard(answers: Sequence[Answer], since: float = 0.0, until: float = float("inf")) -> Heard:
    """What of it reaches into this time, with its whole length."""
    within = [each for each in answers if _Span(each.began, each.ended).meets(since, until)]
    good = [each for each in within if not each.why]
    return Heard(
        silence=_longest(_silences(answers), since, until),
        worst=_longest(_waits(answers), since, until),
        asked=len(within),
        failed=len(within) - len(good),
        late=sum(each.ended - each.began > LATE_S for each in good),
        reasons=frozenset(each.why for each in within if each.why),
    )


def _longest(spans: Iterable[_Span], since: float, until: float) -> float:
    return max((each.seconds for each in spans if each.meets(since, until)), default=0.0)


def _silences(answers: Sequence[Answer]) -> list[_Span]:
    good = sorted(each.ended for each in answers if not each.why)
    return [_Span(one, next_one) for one, next_one in pairwise(good)]


def _waits(answers: Sequence[Answer]) -> list[_Span]:
    """One for each request, which with its repetitions may be many answers."""
    waits, of = [], defaultdict(list)
    for answer in sorted(answers, key=lambda each: each.began):
        of[answer.client].append(answer)
    for own in of.values():
        began: float | None = None
        for answer in own:
            began = answer.began if began is None else began
            if not answer.why:
                waits.append(_Span(began, answer.ended))
                began = None
    return waits
