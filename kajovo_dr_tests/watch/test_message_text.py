"""Under test: what a person reads, in both languages. Not here: when it is said."""

from __future__ import annotations

import platform
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from kajovo_dr.alerts.condition import Condition, Level, Worse
from kajovo_dr.alerts.ledger import Ledger
from kajovo_dr.alerts.message import Message
from kajovo_dr.alerts.transitions import Rules
from kajovo_dr.recovery.report_words import Language
from kajovo_dr.watch.message_text import written
from kajovo_dr.watch.scene import Words
from kajovo_dr.watch.watch_texts import TEXTS

START = datetime(2026, 11, 23, 6, tzinfo=UTC)
NODE = platform.node()
LINK = "http://127.0.0.1:3000/runs/7"


def store(level: Level, what: str = "", **more: str) -> Condition:
    return Condition("store", level, what or f"it is {level}", **more)  # type: ignore[arg-type]


def told(*conditions: Condition, language: Language = "en", hours: float = 2) -> list[Message]:
    """What is said of a thing that is looked at every two hours, the first time at START."""
    ledger, words, messages = Ledger(), Words(language, "Europe/Prague"), []
    for number, condition in enumerate(conditions):
        now = START + timedelta(hours=hours * number)
        for notice in ledger.observe([condition], {"store"}, Rules(now, repeat_s=6 * 3600)):
            messages.append(written(notice, words, now))
    return messages


def lines(message: Message) -> dict[str, str]:
    found = [each.split(": ", 1) for each in message.body.splitlines()]
    return {name: text.replace("\xa0", " ") for name, text in found}


def title(message: Message) -> str:
    assert message.title.startswith(f"[kajovo_dr {NODE}] ")
    return message.title.removeprefix(f"[kajovo_dr {NODE}] ")


def test_a_message_says_what_since_when_how_much_what_next_and_where_to_read_more() -> None:
    (message,) = told(
        store("critical", "it is full", figure="1 day", limit="3 days", next="do", link=LINK)
    )
    assert title(message) == "CRITICAL: it is full"
    assert message.body.splitlines() == [
        "What: it is full",
        "Since: 2026-11-23 07:00:00 CET",
        "Figure: 1 day, limit 3 days",
        "Next: do",
        f"Run: {LINK}",
        f"From: kajovo_dr, {NODE}, 2026-11-23 07:00:00 CET, #{message.id}",
    ]
    assert (message.kind, message.severity, message.at) == ("critical", "critical", START)


def test_the_same_in_czech() -> None:
    (message,) = told(
        store("warning", "je plné", figure="1 den", limit="3 dny", next="to", link=LINK),
        language="cs",
    )
    assert title(message) == "VAROVÁNÍ: je plné"
    assert message.body.replace("\xa0", " ").splitlines() == [
        "Co: je plné",
        "Trvá od: 23. 11. 2026 7:00:00 SEČ",
        "Hodnota: 1 den, limit 3 dny",
        "Dál: to",
        f"Běh: {LINK}",
        f"Odesílá: kajovo_dr, {NODE}, 23. 11. 2026 7:00:00 SEČ, #{message.id}",
    ]
    assert (message.kind, message.severity) == ("warning", "warning")


@pytest.mark.parametrize(
    ("figure", "limit", "line"),
    [
        ("9", "8", "Figure: 9, limit 8"),
        ("9", "", "Figure: 9"),
        ("", "8", "Limit: 8"),
    ],
)
def test_figure_and_limit(figure: str, limit: str, line: str) -> None:
    (message,) = told(store("warning", figure=figure, limit=limit))
    assert line in message.body.splitlines()


def test_what_is_not_known_has_no_line() -> None:
    (message,) = told(store("warning"))
    assert list(lines(message)) == ["What", "Since", "From"]


#: Levels one after another, and how the title of the last message begins in each language.
CHANGES: list[tuple[list[Level], str, str, str]] = [
    (["warning"], "warning", "WARNING", "VAROVÁNÍ"),
    (["unknown"], "critical", "CRITICAL", "KRITICKÉ"),
    (["critical"], "critical", "CRITICAL", "KRITICKÉ"),
    (["warning", "critical"], "critical", "CRITICAL", "KRITICKÉ"),
    (["critical", "warning"], "warning", "BETTER", "ZLEPŠENÍ"),
    (["critical", "ok"], "over", "OVER", "SKONČILO"),
    (["warning"] * 4, "warning", "STILL", "STÁLE"),
]


@pytest.mark.parametrize(("levels", "kind", "english", "czech"), CHANGES)
def test_each_change_has_its_word(levels: list[Level], kind: str, english: str, czech: str) -> None:
    for language, word in (("en", english), ("cs", czech)):
        last = told(*[store(each) for each in levels], language=language)[-1]  # type: ignore[arg-type]
        assert last.kind == kind
        assert title(last).startswith(f"{word}: ")


def test_another_cause_is_told_by_its_level() -> None:
    _, changed = told(store("critical", cause="a"), store("critical", cause="b"))
    assert title(changed) == "CRITICAL: it is critical"
    assert "Before" not in lines(changed)


def test_a_change_of_the_level_says_what_it_was_before() -> None:
    _, worse = told(store("warning"), store("critical"))
    assert lines(worse)["Before"] == "warning"
    assert lines(worse)["Since"] == "2026-11-23 09:00:00 CET"
    _, better = told(store("critical"), store("warning"), language="cs")
    assert lines(better)["Předtím"] == "kritické"


def test_the_end_says_what_it_was_how_long_and_how_it_is_now() -> None:
    ended = store("ok", "it has room", figure="90 days", next="never said")
    _, over = told(store("warning", "it is full"), ended, hours=26)
    assert title(over) == "OVER: it is full"
    found = lines(over)
    assert list(found) == ["What", "Since", "It lasted", "Now", "Figure", "From"]
    assert (found["What"], found["Now"]) == ("it is full", "it has room")
    assert (found["Since"], found["It lasted"]) == ("2026-11-23 07:00:00 CET", "26 h")
    assert over.severity == "warning"


def test_the_end_of_what_was_critical_is_as_urgent_as_it_was() -> None:
    *_, over = told(store("critical"), store("warning"), store("ok"))
    assert (over.severity, over.audience) == ("critical", ("critical", "warning"))


WORSE = Worse("critical", START - timedelta(hours=9), START - timedelta(hours=1))


@pytest.mark.parametrize(
    ("language", "word", "meanwhile"),
    [
        ("en", "IT WAS CRITICAL", "Meanwhile: critical from 2026-11-22 22:00:00 CET to 2026-11-23"),
        ("cs", "BYLO KRITICKÉ", "Mezitím: kritické od 22. 11. 2026 22:00:00 SEČ do 23. 11."),
    ],
)
def test_what_nobody_saw_is_not_told_as_if_all_had_been_well(
    language: Language, word: str, meanwhile: str
) -> None:
    found = replace(store("ok", "the backup is young"), worse=WORSE)
    (message,) = told(found, language=language)
    assert title(message) == f"{word}: the backup is young"
    assert meanwhile in message.body.replace("\xa0", " ")
    assert (message.kind, message.severity) == ("over", "critical")


def test_what_nobody_saw_and_is_better_now_but_not_well() -> None:
    _, was = told(store("warning"), replace(store("warning"), worse=WORSE))
    assert title(was) == "IT WAS CRITICAL: it is warning"
    assert (was.kind, was.audience) == ("warning", ("critical", "warning"))


def test_what_is_too_long_is_cut() -> None:
    (message,) = told(store("critical", "slovo  \n " * 900))
    assert len(message.title) == 120
    assert message.title.endswith("…")
    assert "\n" not in message.title
    assert "  " not in message.title
    what = message.body[len("What: ") : message.body.index("\nSince: ")]
    assert len(what) == 1500
    assert what.endswith("…")
    _, over = told(store("critical", "a" * 9000), store("ok", "b" * 9000))
    assert max(len(each) for each in over.body.splitlines()) <= 1500 + len("What: ")


def test_what_is_just_long_enough_is_not_cut() -> None:
    (message,) = told(store("critical", "a" * 1500))
    assert "a" * 1500 in message.body
    room = 120 - len(f"[kajovo_dr {NODE}] CRITICAL: ")
    (message,) = told(store("critical", "a" * room))
    assert message.title.endswith("a")


def test_each_message_has_a_number_of_its_own() -> None:
    messages = told(store("warning"), store("critical"), store("ok"))
    assert len({each.id for each in messages}) == 3


def test_both_languages_have_the_same_texts_with_the_same_places_for_facts() -> None:
    def places(text: str) -> set[str]:
        return {each.split("}")[0] for each in text.split("{")[1:]}

    english, czech = TEXTS["en"], TEXTS["cs"]
    assert list(english) == list(czech)
    assert {key: places(text) for key, text in english.items()} == {
        key: places(text) for key, text in czech.items()
    }
