"""Under test: that a page says what happened in words for people, and that no text breaks it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kajovo_dr.errors import SettingError
from kajovo_dr.recovery import report
from kajovo_dr_tests.recovery.records import INCIDENT, entry, phase, smoke_report

ZONE = "Europe/Prague"


def cells(text: str, first: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {first} |")]
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def test_an_incident_is_told_with_times_of_the_time_zone_and_human_durations() -> None:
    text = report.incident(entry(minutes=125, phases=(phase("restore"),)), ZONE)
    assert cells(text, "incident")[1] == "2026-11-23 06:30:00 CET"
    assert cells(text, "duration")[1] == "2 h 05 min"
    assert cells(text, "RTO verdict")[1] == "**fail**"
    assert cells(text, "data lost")[1] == "2 h 00 min"
    assert cells(text, "backup used")[1] == "kajovo-postgres-20261123-033000"
    assert cells(text, "who")[1] == "Řehoř"
    assert cells(text, "restore")[1:3] == ["2.0 s", "ok"]
    assert cells(text, "smoke test")[1] == "not run"


def test_a_smoke_test_is_told_endpoint_by_endpoint() -> None:
    text = report.incident(entry(smoke=smoke_report(ok=False)), ZONE)
    assert cells(text, "result")[1] == "**failed** in smoke"
    assert cells(text, "smoke test")[1] == "1 of 2 passed; not: reports"
    assert cells(text, "issues")[1:5] == ["ok", "200", "60", "60"]
    assert cells(text, "reports")[1:5] == ["**failed**", "500", "–", "–"]


def test_a_failed_recovery_is_told_in_the_overview() -> None:
    failed = entry(phases=(phase("migrate", ok=False, detail="two heads"),))
    text = report.page([failed], ZONE)
    assert "| **failed** in migrate | 5 min 00 s | fail | 2 h 00 min |" in text
    assert "| migrate | 2.0 s | **failed** | two heads |" in text


def test_an_empty_log_has_a_page() -> None:
    assert report.page([], ZONE) == "# Incident log\n\nNo recovery was logged yet.\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b", "a\\|b"),
        ("a\\|b", "a\\\\\\|b"),
        ("a\nb\r\nc", "a b c"),
        ("<script>", "&lt;script>"),
        ("Řehoř", "Řehoř"),
    ],
)
def test_a_cell_holds_any_text(text: str, shown: str) -> None:
    assert report.cell(text) == shown


def test_no_text_of_others_breaks_a_table() -> None:
    nasty = "a | b\n| c | d |\n# title"
    text = report.page(
        [entry(who=nasty, note=nasty, backup=nasty, phases=(phase(nasty, detail=nasty),))], ZONE
    )
    rows = [line.replace("\\|", "") for line in text.splitlines() if line.startswith("|")]
    assert {row.count("|") for row in rows} == {3, 5, 9}
    assert text.count("\n# ") == 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0, "0.0 s"),
        (0.44, "0.4 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3599.6, "1 h 00 min"),
        (7620, "2 h 07 min"),
        (100 * 3600, "4 d 04 h"),
        (-90, "-1 min 30 s"),
    ],
)
def test_durations_are_human(seconds: float | None, text: str) -> None:
    assert report.human_duration(seconds) == text


def test_summer_time_is_shown_as_such() -> None:
    summer = INCIDENT - timedelta(days=150)
    assert report.moment(summer, ZONE) == "2026-06-26 07:30:00 CEST"


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd"])
def test_an_unknown_time_zone_is_a_clear_error(zone: str) -> None:
    with pytest.raises(SettingError, match="KAJOVO_DR_TIMEZONE"):
        report.moment(INCIDENT, zone)
