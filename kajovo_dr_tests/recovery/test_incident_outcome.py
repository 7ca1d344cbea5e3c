"""Under test: what is said of how a recovery ended, when later entries of the log belong to it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from kajovo_dr.errors import SettingError
from kajovo_dr.recovery import incident_attempts, incident_outcome
from kajovo_dr.recovery.record import IncidentEntry, Outage, Phase
from kajovo_dr.recovery.report_words import Language, Words
from kajovo_dr_tests.recovery.records import STARTED, entry, full, outage, phase, undo

LONG = "c077bd0b-13b9-4d10-8afa-49eb5ed69fcf"
#: Its last part is a number, which is no attempt's.
DIGITS = "6f0c1d2e-aaaa-4bbb-8ccc-000000000001"
#: As long as an id may be: its attempts lose the last four letters.
LONGEST = "a" * 60 + "bcde"
DOWN = outage(milliseconds=None)
CUT = Phase(name="interrupted", ok=False, detail="its process was ended")
GIVEN_UP = phase("abandoned", ok=False, detail="given up")
ENGLISH, CZECH = Words(), Words(language="cs")


def attempt(number: int, *, id: str = LONG, **changes: Any) -> IncidentEntry:
    """The entry of an attempt that failed with the application down."""
    given: dict[str, Any] = {"outage": DOWN, "phases": (phase("start", ok=False),)}
    runs = tuple(f"run {each}" for each in range(number))
    return entry(id=id, runs=runs, **(given | changes))


def undone_by(of: IncidentEntry, entries: list[IncidentEntry]) -> str | None:
    undo = incident_attempts.undone_by(of, entries)
    return undo.id if undo else None


# --- which entries belong together


@pytest.mark.parametrize("recovery", [LONG, DIGITS, LONGEST, "run-1"])
def test_the_attempts_at_a_recovery_belong_together(recovery: str) -> None:
    one, two, three = (attempt(number, id=recovery) for number in (1, 2, 3))
    others = [full(id="c077bd0b-13b9"), undo(recovery, id="undo-1"), full(id=f"{recovery[:20]}-x")]
    log = [one, *others, two, three]
    assert two.id != recovery
    for each in (one, two, three):
        assert incident_attempts.recovery_of(each, log) == recovery
        assert incident_attempts.attempts(each, log) == [one, two, three]
    for other in others:
        assert incident_attempts.attempts(other, log) == [other]
    following = [incident_attempts.next_attempt(each, log) for each in (one, two, three)]
    assert following == [two, three, None]
    assert incident_attempts.next_attempt(one, []) is None


@pytest.mark.parametrize(
    ("recovery", "short"),
    [(LONG, "c077bd0b"), (DIGITS, "6f0c1d2e"), (LONGEST, "aaaaaaaa"), ("run-1", "run-1")],
)
def test_an_id_is_short_and_tells_attempts_apart(recovery: str, short: str) -> None:
    log = [attempt(1, id=recovery), attempt(2, id=recovery)]
    shown = [incident_attempts.short_id(each, log) for each in log]
    assert shown == [short, f"{short}-2"]
    for each, name in zip(([log[0], log[1]], [log[1]]), shown, strict=True):
        assert incident_attempts.chosen(log, name) == each


def test_an_id_that_several_begin_with_names_their_recoveries() -> None:
    log = [attempt(1), attempt(2), full(id="c0-other")]
    with pytest.raises(SettingError, match=f"^'c0' may be each of {LONG}, c0-other$"):
        incident_attempts.chosen(log, "c0")
    assert incident_attempts.chosen(log, "c07") == log[:2]


def test_a_recovery_is_undone_by_an_undo_that_succeeded() -> None:
    done, failed = full(), undo("run-1", phases=(phase("swap", ok=False),))
    assert undone_by(done, [done]) is None
    assert undone_by(done, [done, failed]) is None
    again = undo("run-1", id="undo-1-2")
    assert undone_by(done, [done, failed, again]) == "undo-1-2"
    assert undone_by(again, [done, failed, again]) is None
    other = full(id="run-10")
    assert undone_by(other, [done, other, again]) is None


def test_of_many_attempts_the_one_that_swapped_was_undone() -> None:
    first = full(swapped_at=None)
    second = full(id="run-1", runs=("x", "y"))
    assert second.id == "run-1-2"
    entries = [first, second, undo("run-1")]
    assert [undone_by(each, entries) for each in entries] == [None, "undo-1", None]


# --- how it ended


@pytest.mark.parametrize(
    ("entries", "told", "czech"),
    [
        ([full()], "recovered", "obnoveno"),
        ([undo("x")], "put back", "vráceno"),
        ([attempt(1)], "failed in start", "selhalo ve fázi „spuštění aplikace“"),
        ([attempt(1, phases=(GIVEN_UP,))], "given up", "vzdáno"),
        ([attempt(1, phases=(Phase(name="swap"), GIVEN_UP))], "given up", "vzdáno"),
        (
            [attempt(1, phases=(Phase(name="swap"), CUT))],
            "cut off in swap",
            "přerušeno ve fázi „výměna databází“",
        ),
        ([attempt(1, phases=(CUT,))], "cut off", "přerušeno"),
        (
            [attempt(1), full(id=LONG, runs=("x", "y"))],
            "failed in start, gone on with as c077bd0b-2",
            "selhalo ve fázi „spuštění aplikace“, pokračuje zápisem c077bd0b-2",
        ),
        (
            [attempt(1, phases=(CUT,)), attempt(2)],
            "cut off, gone on with as c077bd0b-2",
            "přerušeno, pokračuje zápisem c077bd0b-2",
        ),
        (
            [attempt(1), attempt(2, phases=(GIVEN_UP,))],
            "failed in start, then given up",
            "selhalo ve fázi „spuštění aplikace“, pak vzdáno",
        ),
    ],
)
def test_the_result_of_the_first_is_told_with_what_came_of_it(
    entries: list[IncidentEntry], told: str, czech: str
) -> None:
    shown = [incident_outcome.result(entries[0], words, entries) for words in (ENGLISH, CZECH)]
    assert [each.text for each in shown] == [told, czech]
    last = len(entries) == 1 and "given up" not in told
    assert shown[0].tone == ("good" if entries[0].succeeded else "bad" if last else "warn")


def test_what_was_given_up_or_gone_on_with_has_no_rto_verdict() -> None:
    failed, recovered = attempt(1), full(id=LONG, runs=("x", "y"))
    limits = (60.0, 120.0)

    def verdict(of: IncidentEntry, log: list[IncidentEntry]) -> tuple[str, str]:
        plain = incident_outcome.verdict(of, ENGLISH, log)
        return plain.text, incident_outcome.verdict(of, ENGLISH, log, limits).text

    assert verdict(failed, [failed]) == ("fail", "fail (warn above 60 min, fail above 120 min)")
    assert verdict(failed, [failed, recovered]) == ("–", "–")
    assert verdict(recovered, [failed, recovered])[0] == "pass"
    assert verdict(attempt(1, phases=(GIVEN_UP,)), []) == ("–", "–")
    assert verdict(failed, [failed, attempt(1, id="another")])[0] == "fail"


# --- the outage


@pytest.mark.parametrize(
    ("entries", "told", "czech"),
    [
        ([attempt(1)], "still down", "stále mimo provoz"),
        ([attempt(1, phases=(GIVEN_UP,))], "end not seen", "konec nezaznamenán"),
        ([attempt(1), attempt(2)], "see c077bd0b-2", "viz c077bd0b-2"),
        ([attempt(1, outage=outage(milliseconds=3000)), attempt(2)], "3.0 s", "3,0 s"),
        ([attempt(1, outage=None)], "none seen", "nezaznamenán"),
        ([attempt(1, outage=None, database_only=True)], "–", "–"),
    ],
)
def test_an_outage_ends_with_the_recovery_not_with_the_attempt(
    entries: list[IncidentEntry], told: str, czech: str
) -> None:
    shown = [incident_outcome.outage(entries[0], words, entries) for words in (ENGLISH, CZECH)]
    assert [each.text.replace("\u00a0", " ") for each in shown] == [told, czech]


def gaps(*, open_: bool) -> Outage:
    """Down for 2 s, good, and down again from 10 s on for 1 s, or still."""
    second = STARTED + timedelta(seconds=10)
    return Outage(
        from_at=STARTED,
        until_at=None if open_ else second + timedelta(seconds=1),
        seconds=2.0 if open_ else 3.0,
        asked=40,
        interval_s=0.5,
        gap_at=second if open_ else None,
    )


@pytest.mark.parametrize(
    ("language", "open_", "told"),
    [
        (
            "en",
            False,
            "3.0 s, in several gaps between 2026-11-23 06:40:00.000 CET and"
            " 2026-11-23 06:40:11.000 CET (40 requests, one every 500 ms)",
        ),
        (
            "en",
            True,
            "still down, since 2026-11-23 06:40:10.000 CET, and 2.0 s before that, from"
            " 2026-11-23 06:40:00.000 CET on (40 requests, one every 500 ms)",
        ),
        (
            "cs",
            False,
            "3,0 s, po částech mezi 23. 11. 2026 6:40:00,000 SEČ a 23. 11. 2026 6:40:11,000 SEČ"
            " (40 dotazů, interval 500 ms)",
        ),
        (
            "cs",
            True,
            "stále mimo provoz, od 23. 11. 2026 6:40:10,000 SEČ a předtím 2,0 s, počínaje"
            " 23. 11. 2026 6:40:00,000 SEČ (40 dotazů, interval 500 ms)",
        ),
    ],
)
def test_an_outage_of_several_gaps_is_told_as_such(
    language: Language, open_: bool, told: str
) -> None:
    of = full(outage=gaps(open_=open_))
    text = incident_outcome.outage_in_full(of, Words(language=language)).text
    assert text.replace("\u00a0", " ") == told
