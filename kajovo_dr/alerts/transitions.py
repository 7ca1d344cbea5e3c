"""What is to be said when a condition is looked at again: once per transition, and no more.

Belongs here: the rules, from what is known and what is seen now, without any file. Not here: the
file (``ledger``), the words (``watch.message_text``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from kajovo_dr.alerts.condition import Condition, Level, Worse, rank
from kajovo_dr.alerts.message import Severity

#: What has happened and is over with that is forgotten after this time.
_FORGET = timedelta(days=7)
Change = Literal["begins", "worse", "better", "changed", "over", "repeated", "was"]


class Standing(BaseModel):
    """A condition as it was seen last, and as people know it.

    since: when its level began; seen_at: of which moment it was known last. told: the level that
    people know; told_what and told_cause: what they know of it; told_at: when they were told last.
    trouble_since: when it ceased to be well. heard: severities that this trouble had when it was
    told of. loose_since: when it began to be neither covered nor well. event_fed: it is known by
    events, and stays as it is until the next one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    level: Level
    what: str
    figure: str = ""
    limit: str = ""
    next: str = ""
    link: str = ""
    cause: str = ""
    covered_by: tuple[str, ...] = ()
    patience_s: float = 0
    lasting: bool = True
    memo: str = ""
    since: AwareDatetime
    seen_at: AwareDatetime
    event_fed: bool = False
    trouble_since: AwareDatetime | None = None
    told: Level = "ok"
    told_what: str = ""
    told_cause: str = ""
    told_at: AwareDatetime | None = None
    heard: tuple[Severity, ...] = ()
    loose_since: AwareDatetime | None = None

    @property
    def measured(self) -> str:
        """``26 h 10 min, limit 24 h``, for a terminal."""
        return ", ".join(filter(None, (self.figure, self.limit and f"limit {self.limit}")))

    @property
    def stays(self) -> bool:
        """Whether it is as it was until something else is known: nobody looks at it again."""
        return self.event_fed or not self.lasting

    def unchanged(self) -> Condition:
        """Itself as it is still: what covers it may have ended."""
        return Condition(**{name: getattr(self, name) for name in _TAKEN_OVER}, at=self.seen_at)


@dataclass(frozen=True)
class Notice:
    """What people are to be told of: before: the level they knew. what they knew is in `known`."""

    change: Change
    standing: Standing
    before: Level
    known: Standing | None
    audience: tuple[Severity, ...]
    worse: Worse | None = None


@dataclass(frozen=True)
class Rules:
    """How looks are judged: the moment, who can be told of which severities, and after how many
    seconds what lasts is said again (0: never).
    """

    now: datetime
    hearing: frozenset[Severity] = frozenset({"warning", "critical"})
    repeat_s: float = 0


def seen(
    standing: Standing | None, condition: Condition, rules: Rules, *, covered: bool
) -> tuple[Standing | None, Notice | None]:
    """The new standing (None: forget it) and what is to be said, if anything.

    Without anybody to tell, nothing counts as told: it is said once there is somebody.
    """
    if standing is not None and _is_past(condition, standing, rules.now):
        return standing, None  # whoever looked before has seen a later event
    current = _updated(standing, condition, rules.now, covered=covered)
    change = _change(current, condition, rules, covered=covered)
    audience = _audience(current, condition.worse)
    if change is None or rules.hearing.isdisjoint(audience):
        return (None if _forgettable(current) else current), None
    notice = Notice(change, current, current.told, standing, audience, condition.worse)
    known = current.model_copy(
        update={
            "told": current.level,
            "told_what": current.what,
            "told_cause": current.cause,
            "told_at": rules.now,
            "heard": audience if current.level != "ok" else (),
            "trouble_since": current.trouble_since if current.level != "ok" else None,
        }
    )
    return (None if _forgettable(known) else known), notice


def _is_past(condition: Condition, standing: Standing, now: datetime) -> bool:
    """Whether it is an event of before; one of the future was seen by a clock that was wrong."""
    return condition.at is not None and condition.at < standing.seen_at <= now


def missing(standing: Standing, rules: Rules) -> tuple[Standing | None, Notice | None]:
    """The same for a condition that its source no longer names: it is over."""
    return seen(standing, Condition(standing.key, "ok", standing.what), rules, covered=False)


def forgotten(standing: Standing, rules: Rules) -> bool:
    """Whether what has happened once is so long ago that nobody asks after it."""
    return not standing.lasting and rules.now - standing.seen_at > _FORGET


def severity(level: Level) -> Severity:
    """How urgent a level is: what nobody can judge may be the worst."""
    return "warning" if level in ("ok", "warning") else "critical"


def _updated(
    standing: Standing | None, condition: Condition, now: datetime, *, covered: bool
) -> Standing:
    at = condition.at or now
    same = standing is not None and (standing.level, standing.cause) == (
        condition.level,
        condition.cause,
    )
    since = standing.since if standing is not None and same else condition.since or at
    told = standing is not None and standing.told != "ok"
    # a trouble that ended untold is no part of the next one
    trouble = standing.trouble_since if standing and (told or standing.level != "ok") else None
    loose = standing.loose_since if standing is not None else None
    if condition.level == "ok" or covered:
        loose = None
    elif loose is None or loose > now:  # the clock may have gone back
        loose = now
    kept = standing.model_dump() if standing is not None else {}
    return Standing.model_validate(
        {
            **kept,
            **{name: getattr(condition, name) for name in _TAKEN_OVER},
            "since": since,
            "seen_at": at,
            "event_fed": condition.at is not None,
            "trouble_since": trouble or (since if condition.level != "ok" else None),
            "loose_since": loose,
        }
    )


#: What a standing has of its condition as it is.
_TAKEN_OVER = (
    *("key", "level", "what", "figure", "limit", "next", "link", "cause", "lasting"),
    *("covered_by", "patience_s", "memo"),
)


def _change(
    current: Standing, condition: Condition, rules: Rules, *, covered: bool
) -> Change | None:
    if current.level == "ok":
        return _end(current, condition)
    if covered or not _lasted(current, condition, rules.now):
        return None
    if current.told == "ok":
        return "begins"
    if current.level != current.told:
        return "worse" if rank(current.level) > rank(current.told) else "better"
    return _same(current, condition, rules)


def _end(current: Standing, condition: Condition) -> Change | None:
    if current.told != "ok":
        return "over"
    return "was" if condition.worse is not None else None


def _same(current: Standing, condition: Condition, rules: Rules) -> Change | None:
    if current.cause != current.told_cause:
        return "changed"
    if condition.worse is not None and rank(condition.worse.level) > rank(current.told):
        return "was"
    told_at = current.told_at or rules.now
    passed = abs((rules.now - told_at).total_seconds())  # the clock may have gone back
    due = rules.repeat_s and passed >= rules.repeat_s
    return "repeated" if due and current.lasting else None


def _lasted(current: Standing, condition: Condition, now: datetime) -> bool:
    loose = current.loose_since or now
    return (now - loose).total_seconds() >= condition.patience_s


def _audience(current: Standing, worse: Worse | None) -> tuple[Severity, ...]:
    """Who is concerned: whoever hears of this level, and whoever was told of this trouble."""
    found = set(current.heard)
    if current.level != "ok":
        found.add(severity(current.level))
    if worse is not None:
        found.add(severity(worse.level))
    return tuple(sorted(found))


def _forgettable(standing: Standing) -> bool:
    """Whether nothing is lost with it. An event's is kept: the event may be read once more."""
    return not (
        standing.level != "ok" or standing.told != "ok" or standing.memo or standing.event_fed
    )
