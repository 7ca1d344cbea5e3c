"""Under test: when something is said, over looks that the test makes up: once per transition.

Not here: the file, sending, words.
"""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from kajovo_dr.alerts.condition import LEVELS, Condition, Level, Worse, rank
from kajovo_dr.alerts.ledger import Ledger
from kajovo_dr.alerts.message import Severity
from kajovo_dr.alerts.transitions import Notice, Rules

START = datetime(2026, 11, 2, 6, tzinfo=UTC)
BAD: tuple[Level, ...] = ("warning", "unknown", "critical")


class Days:
    """Looks at one ledger, an hour apart unless the test says how many."""

    def __init__(self, *, repeat_h: float = 0) -> None:
        self.ledger = Ledger()
        self.now = START
        self.telling = True
        self.hearing: frozenset[Severity] = frozenset({"warning", "critical"})
        self.repeat_s = repeat_h * 3600

    def look(self, *conditions: Condition, hours: float = 1) -> list[Notice]:
        self.now += timedelta(hours=hours)
        rules = Rules(self.now, self.hearing if self.telling else frozenset(), self.repeat_s)
        notices = self.ledger.observe(conditions, {"store", "rpo"}, rules)
        # as it is read by the next look
        self.ledger = Ledger.model_validate_json(self.ledger.model_dump_json())
        return notices

    def say(self, *conditions: Condition, hours: float = 1) -> list[str]:
        found = self.look(*conditions, hours=hours)
        return [f"{each.standing.key} {each.change}" for each in found]


def store(level: Level, cause: str = "") -> Condition:
    return Condition("store", level, f"the store is {level}", cause=cause)


# ------------------------------------------------------------------------- once per transition


def test_each_transition_is_told_once() -> None:
    days = Days()
    seen = [
        days.say(store(level))
        for level in ("ok", "warning", "warning", "critical", "critical", "warning", "ok", "ok")
    ]
    assert [" ".join(each).removeprefix("store ") for each in seen] == [
        *("", "begins", "", "worse", "", "better", "over", "")
    ]


def test_unknown_is_worse_than_a_warning_and_better_than_critical() -> None:
    days = Days()
    levels: tuple[Level, ...] = ("warning", "unknown", "critical", "unknown", "warning")
    assert [days.say(store(level)) for level in levels] == [
        ["store begins"],
        ["store worse"],
        ["store worse"],
        ["store better"],
        ["store better"],
    ]


def test_a_notice_says_what_was_known_before() -> None:
    days = Days()
    (begins,) = days.look(store("warning"))
    assert (begins.before, begins.known) == ("ok", None)
    (worse,) = days.look(store("critical"))
    assert worse.before == "warning"
    (over,) = days.look(store("ok"))
    assert over.known is not None
    assert (over.before, over.known.what) == ("critical", "the store is critical")


@pytest.mark.parametrize("seed", range(40))
def test_of_any_sequence_of_levels_people_hear_each_change_and_none_twice(seed: int) -> None:
    chance = random.Random(seed)
    levels = [chance.choice(LEVELS) for _ in range(60)]
    days, heard = Days(), []
    for level in levels:
        heard += [each.standing.level for each in days.look(store(level))]
    happened = [level for level, _ in itertools.groupby(["ok", *levels])][1:]
    assert heard == happened


@pytest.mark.parametrize("seed", range(40))
def test_with_pauses_in_which_nobody_can_be_told_they_hear_how_it_is_afterwards(seed: int) -> None:
    chance = random.Random(seed)
    days, heard, known = Days(), [], "ok"
    expected = []
    for _ in range(60):
        level, days.telling = chance.choice(LEVELS), chance.random() < 0.6
        heard += [each.standing.level for each in days.look(store(level))]
        if days.telling and level != known:
            expected.append(level)
            known = level
    assert heard == expected


def test_many_things_at_once_are_told_each_by_itself() -> None:
    days = Days()
    rpo = Condition("rpo", "critical", "old")
    assert days.say(store("warning"), rpo) == ["store begins", "rpo begins"]
    assert days.say(store("warning"), replace(rpo, level="ok")) == ["rpo over"]


def test_another_cause_is_another_trouble() -> None:
    days = Days()
    assert days.say(store("critical", "lost")) == ["store begins"]
    assert days.say(store("critical", "lost")) == []
    assert days.say(store("critical", "full")) == ["store changed"]
    assert days.say(store("critical", "full")) == []
    assert days.say(store("critical", "lost")) == ["store changed"]


def test_since_is_when_the_level_began_and_the_trouble_is_older() -> None:
    days = Days()
    days.look(store("warning"))
    began = days.now
    days.look(store("critical"))
    worse = days.now
    days.look(store("critical"))
    standing = days.ledger.standings["store"]
    assert (standing.since, standing.trouble_since) == (worse, began)


def test_a_source_knows_better_since_when() -> None:
    days = Days()
    (notice,) = days.look(replace(store("critical"), since=START - timedelta(days=3)))
    assert notice.standing.since == notice.standing.trouble_since == START - timedelta(days=3)


# ------------------------------------------------------------------------------ what is missing


def test_what_its_source_no_longer_names_is_over_and_forgotten() -> None:
    days = Days()
    days.look(store("critical"))
    assert days.say() == ["store over"]
    assert days.ledger.standings == {}
    assert days.say() == []


def test_what_nobody_looked_for_stays_as_it_is() -> None:
    days = Days()
    days.look(Condition("daemon", "critical", "silent"))
    assert days.say() == []
    assert [each.key for each in days.ledger.active] == ["daemon"]


# -------------------------------------------------------------------------- covered, patience


def cause_and_effect(level: Level, effect: Level = "critical", **more: float) -> list[Condition]:
    rpo = Condition("rpo", effect, "old", covered_by=("store",), **more)  # type: ignore[arg-type]
    return [store(level), rpo]


def test_what_is_covered_is_told_when_its_cover_ends() -> None:
    days = Days()
    assert days.say(*cause_and_effect("critical")) == ["store begins"]
    assert days.say(*cause_and_effect("ok")) == ["store over", "rpo begins"]


def test_what_is_seen_before_its_cover_in_the_same_look_is_covered_too() -> None:
    days = Days()
    assert days.say(*reversed(cause_and_effect("critical"))) == ["store begins"]
    found = days.say(*reversed(cause_and_effect("ok")))
    assert sorted(found) == ["rpo begins", "store over"]


def test_a_cover_that_is_no_longer_named_ends_in_the_same_look() -> None:
    days = Days()
    days.look(*cause_and_effect("critical"))
    assert days.say(cause_and_effect("ok")[1]) == ["store over", "rpo begins"]


def test_what_ends_while_it_is_covered_is_never_told() -> None:
    days = Days()
    days.look(*cause_and_effect("critical"))
    assert days.say(*cause_and_effect("critical", "ok")) == []
    assert days.say(*cause_and_effect("ok", "ok")) == ["store over"]


@pytest.mark.parametrize(("cover", "effect"), list(itertools.product(LEVELS, BAD)))
def test_only_what_is_as_bad_covers(cover: Level, effect: Level) -> None:
    told = Days().say(*cause_and_effect(cover, effect))
    assert ("rpo begins" in told) is (rank(cover) < rank(effect))


def test_what_was_told_and_is_covered_later_is_told_when_it_is_over() -> None:
    days = Days()
    assert days.say(*cause_and_effect("ok")) == ["rpo begins"]
    assert days.say(*cause_and_effect("critical")) == ["store begins"]
    assert days.say(*cause_and_effect("critical", "ok")) == ["rpo over"]


def test_patience_waits_and_what_is_shorter_is_not_told() -> None:
    days = Days()
    slow = replace(store("warning"), patience_s=7200)
    assert [days.say(slow), days.say(slow), days.say(slow)] == [[], [], ["store begins"]]
    days = Days()
    assert [days.say(slow), days.say(store("ok")), days.say(slow), days.say(slow)] == [[]] * 4


def test_patience_counts_from_the_end_of_the_cover() -> None:
    days = Days()
    covered = cause_and_effect("critical", patience_s=5400)
    loose = cause_and_effect("ok", patience_s=5400)
    for _ in range(4):
        days.look(*covered)
    assert days.say(*loose) == ["store over"]
    assert days.say(*loose) == []
    assert days.say(*loose) == ["rpo begins"]


def test_a_cover_that_comes_back_begins_the_patience_anew() -> None:
    days = Days()
    covered = cause_and_effect("critical", patience_s=5400)
    loose = cause_and_effect("ok", patience_s=5400)
    told = [days.say(*each) for each in (loose, loose, covered, loose, loose, loose)]
    assert ["rpo begins" in each for each in told] == [*[False] * 5, True]


# ------------------------------------------------------------------------------------ audience


def test_whoever_was_told_of_it_is_told_that_it_is_over() -> None:
    days = Days()
    levels: tuple[Level, ...] = ("warning", "critical", "warning", "ok", "warning", "ok")
    heard = [days.look(store(level))[0].audience for level in levels]
    both = ("critical", "warning")
    assert heard == [("warning",), both, both, both, ("warning",), ("warning",)]


def test_what_nobody_can_judge_is_told_as_critical() -> None:
    assert Days().look(store("unknown"))[0].audience == ("critical",)


# --------------------------------------------------------------------------------- repetitions


def test_what_lasts_is_said_again_after_the_hours_of_the_settings() -> None:
    days = Days(repeat_h=3)
    said = [days.say(store("critical")) for _ in range(8)]
    assert [bool(each) for each in said] == [True, False, False, True, False, False, True, False]
    assert said[3] == ["store repeated"]


def test_a_change_begins_the_hours_anew() -> None:
    days = Days(repeat_h=3)
    levels: list[Level] = ["warning", "warning", "critical", "critical", "critical", "critical"]
    assert [bool(days.say(store(each))) for each in levels] == [
        True,
        False,
        True,
        *[False] * 2,
        True,
    ]


def test_nothing_is_said_again_without_hours_in_the_settings() -> None:
    days = Days()
    days.look(store("critical"))
    assert days.say(store("critical"), hours=9999) == []


# ------------------------------------------------------------------------------ nobody to tell


def test_without_anybody_to_tell_it_waits_until_there_is_somebody() -> None:
    days = Days()
    days.telling = False
    assert [days.say(store("warning")), days.say(store("critical"))] == [[], []]
    assert [each.level for each in days.ledger.active] == ["critical"]
    days.telling = True
    assert days.say(store("critical")) == ["store begins"]


def test_an_end_that_nobody_could_be_told_of_is_told_later() -> None:
    days = Days()
    days.look(store("critical"))
    days.telling = False
    assert days.say() == []
    days.telling = True
    assert days.say() == ["store over"]


def test_a_trouble_that_nobody_was_told_of_is_no_part_of_the_next() -> None:
    days = Days()
    days.telling = False
    remembered = replace(store("critical"), memo="what the source wants to know")
    days.look(remembered)
    days.look(replace(remembered, level="ok"))
    days.telling = True
    (notice,) = days.look(remembered, hours=500)
    assert notice.standing.trouble_since == days.now


def test_what_no_channel_takes_waits_until_one_does() -> None:
    days = Days()
    days.hearing = frozenset({"warning"})
    assert days.say(store("warning")) == ["store begins"]
    assert days.say(store("critical")) == ["store worse"]  # of a trouble that they know
    assert days.say() == ["store over"]
    assert days.say(store("critical")) == []
    days.hearing = frozenset({"critical"})
    assert days.say(store("critical")) == ["store begins"]


# -------------------------------------------------------------------------------------- events


def test_an_event_of_the_future_does_not_hide_those_of_now() -> None:
    days = Days()
    wrong = START + timedelta(days=30)  # the clock was ahead while it was seen
    days.say(Condition("run:x", "ok", "", at=wrong))
    failed = Condition("run:x", "critical", "it failed", at=START + timedelta(hours=2))
    assert days.say(failed) == ["run:x begins"]


def event(level: Level, hour: float, **more: object) -> Condition:
    at = START + timedelta(hours=hour)
    return Condition("run:backup", level, level, at=at, **more)  # type: ignore[arg-type]


def test_an_event_stays_true_until_the_next_one() -> None:
    days = Days()
    assert days.say(event("critical", 0)) == ["run:backup begins"]
    assert days.say(hours=1000) == []
    assert [each.key for each in days.ledger.active] == ["run:backup"]
    assert days.say(event("ok", 1001)) == ["run:backup over"]
    assert days.say() == []


def test_an_event_that_is_read_twice_is_told_once() -> None:
    days = Days()
    days.look(event("critical", 0))
    assert days.say(event("critical", 0)) == []
    days.look(event("ok", 1))
    assert days.say(event("critical", 0)) == []
    assert days.say(event("ok", 1)) == []
    assert days.ledger.active == []


def test_two_events_of_one_thing_in_one_look_are_both_told() -> None:
    days = Days()
    found = days.say(event("critical", 0), event("ok", 0.5))
    assert found == ["run:backup begins", "run:backup over"]


def test_an_event_that_was_covered_is_told_at_a_later_look_without_a_new_event() -> None:
    days = Days()
    failed = event("critical", 0, covered_by=("store",), patience_s=5400)
    assert days.say(store("critical"), failed) == ["store begins"]
    assert days.say(store("critical"), hours=50) == []
    assert days.say(store("ok")) == ["store over"]
    assert days.say() == []
    assert days.say() == ["run:backup begins"]
    assert days.say() == []


@pytest.mark.parametrize("at", [None, START])
def test_what_happens_once_is_told_once_and_forgotten_after_a_week(at: datetime | None) -> None:
    days = Days()
    jump = Condition("clock:1", "warning", "it jumped", lasting=False, at=at)
    assert days.say(jump) == ["clock:1 begins"]
    assert days.ledger.active == []
    assert [days.say(hours=24) for _ in range(6)] == [[]] * 6
    assert "clock:1" in days.ledger.standings
    assert [days.say(hours=24) for _ in range(2)] == [[]] * 2
    assert days.ledger.standings == {}


def test_what_happens_once_waits_for_somebody_who_can_be_told() -> None:
    days = Days()
    days.telling = False
    days.look(Condition("clock:1", "warning", "it jumped", lasting=False))
    days.telling = True
    assert days.say() == ["clock:1 begins"]
    assert days.say() == []


def test_what_happens_once_is_not_repeated() -> None:
    days = Days(repeat_h=2)
    days.look(Condition("clock:1", "warning", "it jumped", lasting=False))
    assert days.say(hours=5) == []


# ----------------------------------------------------------------------------- between two looks


def between(level: Level, worst: Level) -> Condition:
    return replace(store(level), worse=Worse(worst, START, START + timedelta(hours=1)))


@pytest.mark.parametrize("told", LEVELS)
@pytest.mark.parametrize("now", LEVELS)
@pytest.mark.parametrize("worst", BAD)
def test_what_nobody_saw_is_told_afterwards(told: Level, now: Level, worst: Level) -> None:
    days = Days()
    days.look(store(told))
    found = days.look(between(now, worst))
    if told == now and now != "ok" and rank(worst) <= rank(told):
        assert found == []  # people know that it was as bad
        return
    (notice,) = found
    change = "was" if told == now else "over" if now == "ok" else "begins" if told == "ok" else None
    assert notice.change == (change or ("worse" if rank(now) > rank(told) else "better"))
    assert notice.worse is not None
    assert ("warning" if worst == "warning" else "critical") in notice.audience
    assert days.say(store(now)) == []


# ------------------------------------------------------------------------------ the clock goes back


def test_a_clock_that_went_back_hides_no_change() -> None:
    days = Days()
    days.look(store("warning"))
    assert days.say(store("critical"), hours=-48) == ["store worse"]
    assert days.say(store("ok")) == ["store over"]


def test_patience_begins_anew_when_the_clock_went_back() -> None:
    days = Days()
    slow = replace(store("warning"), patience_s=3600)
    told = [days.say(slow), days.say(slow, hours=-48), days.say(slow)]
    assert told == [[], [], ["store begins"]]


def test_a_clock_that_went_back_does_not_end_the_repetitions() -> None:
    days = Days(repeat_h=24)
    days.look(store("critical"), hours=9999)
    assert days.say(store("critical"), hours=-9999) == ["store repeated"]
    assert days.say(store("critical")) == []
    assert days.say(store("critical"), hours=24) == ["store repeated"]
