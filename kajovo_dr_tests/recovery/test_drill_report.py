"""Under test: the drill's report, as Markdown and as one HTML file in two languages."""

from __future__ import annotations

import itertools
import re
import string
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from kajovo_dr.recovery import drill_report
from kajovo_dr.recovery.drill_advice import advice
from kajovo_dr.recovery.drill_charts import charts
from kajovo_dr.recovery.drill_history import History
from kajovo_dr.recovery.drill_record import PHASES, DrillPhase, DrillRecord
from kajovo_dr.recovery.drill_texts import TEXTS
from kajovo_dr.recovery.drill_words import Words
from kajovo_dr.recovery.report_words import CZECH, Language
from kajovo_dr.recovery.report_words import PHASES as INCIDENT_PHASES
from kajovo_dr.settings import Settings
from kajovo_dr_tests.recovery.drills import drill, history

VOID = {"meta", "input", "br"}
each_language = pytest.mark.parametrize("language", ["en", "cs"])


class Page(HTMLParser):
    """What a browser makes of a page; fails on elements that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, text: str) -> None:
        self.texts.append(text)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).replace("\u00a0", " ").split())


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state=tmp_path)


def html_of(settings: Settings, drills: History, record: DrillRecord | None = None) -> str:
    return drill_report.html(settings, record or drills.drills[-1], drills)


def drawings(html: str) -> list[ET.Element]:
    return [ET.fromstring(each) for each in re.findall(r"<svg.*?</svg>", html, re.DOTALL)]


def texts_of(drawing: ET.Element) -> list[str]:
    return [each.text or "" for each in drawing.iter("text")]


# --- words


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_both_languages_say_the_same_things_about_the_same_values() -> None:
    english, czech = TEXTS["en"], TEXTS["cs"]
    assert english.keys() == czech.keys()
    assert {key: places(text) for key, text in english.items()} == {
        key: places(text) for key, text in czech.items()
    }


def test_what_an_incidents_page_names_too_has_its_word() -> None:
    english, czech = TEXTS["en"], TEXTS["cs"]
    both = {key for key, text in english.items() if text in CZECH}
    assert {"phase_smoke", "passed", "failed", "skipped", "pass", "warn", "fail"} <= both
    assert {key: czech[key] for key in both} == {key: CZECH[english[key]] for key in both}
    same = set(PHASES) & INCIDENT_PHASES.keys() - {"restore"}  # beside what lives, and not
    assert {name: czech[f"phase_{name}"] for name in same} == {
        name: INCIDENT_PHASES[name] for name in same
    }


@each_language
def test_every_phase_has_a_name_and_says_what_it_did(language: Language) -> None:
    words = Words(language, "Europe/Prague")
    for phase in drill().phases:
        assert words.phase(phase.name)
        assert words.did(phase)
    assert set(PHASES) | {"rto"} == {
        key.removeprefix("phase_") for key in TEXTS[language] if key.startswith("phase_")
    }


def test_czech_numbers_have_commas_and_hard_spaces() -> None:
    words = Words("cs", "Europe/Prague")
    assert words.number(1_234_567) == "1\u00a0234\u00a0567"
    assert words.bytes(1_500_000) == "1,5\u00a0MB"
    assert words.percent(0.0234) == "2,3\u00a0%"
    assert words.duration(0.4) == "0,4\u00a0s"
    assert Words("en", "Europe/Prague").number(1_234_567) == "1,234,567"


def test_a_failed_phase_quotes_its_error_and_a_skipped_one_says_why() -> None:
    words = Words("cs", "Europe/Prague")
    assert words.did(DrillPhase(name="smoke", verdict="failed", detail="no {x}")) == "no {x}"
    skipped = DrillPhase(name="migrate", verdict="skipped", detail="x")
    assert words.did(skipped) == "KAJOVO_DR_MIGRATE_DIR není nastaveno"
    no_legacy = DrillPhase(name="legacy", verdict="skipped", detail="x")
    assert words.did(no_legacy) == "KAJOVO_DR_LEGACY_URL není nastaveno"
    no_channel = DrillPhase(name="alert", verdict="skipped", detail="x")
    assert words.did(no_channel) == "není nastaven žádný kanál upozornění (KAJOVO_DR_ALERT_URLS)"
    no_application = DrillPhase(name="smoke", verdict="skipped", detail="x")
    assert words.did(no_application) == "KAJOVO_DR_DRILL_APPLICATION je false"


# --- the page


@pytest.mark.parametrize("count", [1, 2, 60])
def test_the_page_is_whole_and_asks_nobody_for_anything(settings: Settings, count: int) -> None:
    html = html_of(settings, history(count))
    page = Page(html)
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "link", "img", "iframe", "object", "base"}
    asking = {"src", "href", "action", "srcset"}
    assert not [found for _, found in page.tags if asking & found.keys()]
    assert not [name for _, found in page.tags for name in found if name.startswith("on")]
    assert not re.search(r"url\(|@import|https?://", html)


@each_language
def test_one_language_is_shown_and_the_other_is_a_click_away(
    settings: Settings, language: Language
) -> None:
    html = html_of(settings.with_overrides(language=language), history(3))
    page = Page(html)
    (checked,) = [found["id"] for _, found in page.tags if "checked" in found]
    assert checked == f"show-{language}"
    assert dict(page.tags)["html"] == {"lang": language}
    assert [found["lang"] for tag, found in page.tags if tag == "main"] == ["en", "cs"]
    assert "#show-en:checked ~ .cs, #show-cs:checked ~ .en { display: none; }" in html
    for expected in ("What to do next", "Co dál", "Time to recover", "Doba obnovy"):
        assert expected in page.text


def test_the_page_says_what_ran_how_long_and_against_which_objectives(settings: Settings) -> None:
    page = Page(html_of(settings, history(4)))
    for expected in (
        "Drill 00000003: passed",
        "4 h 12 min pass warning over 20 h 00 min, limit 1 d 00 h",
        "restore 05:19:13",
        "tables: 24, rows: 1,234,567, all equal to the manifest",
        "the recovery in all",
        "Cvičení 00000003: prošlo",
        "tabulek: 24, řádků: 1 234 567, vše shodné s manifestem",
    ):
        assert expected.replace("restore 05:19:13", "restore") in page.text


def test_the_shares_of_the_rto_add_up_to_the_whole(settings: Settings) -> None:
    record = drill(scale=10)
    text = drill_report.markdown(settings, record, History((record,)), "en").replace("\u00a0", " ")
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
    shares = {cells[0].removeprefix("| "): cells[3] for cells in rows if len(cells) == 6}
    assert shares["restore"] == "25 %"  # 1800 of 7200 s
    assert shares["backup"] == "5.8 %"
    assert shares["proof"] == ""
    assert shares["the recovery in all"] == "37 %"


def test_the_report_says_what_the_recovery_in_all_is_the_sum_of(settings: Settings) -> None:
    record = drill()
    drills = History((record,))
    english = "The recovery in all: backup + restore + migration + import of legacy data +"
    english += " revocation of logins + start of the application + readiness + smoke test."
    czech = "Celá obnova: záloha + obnova databáze + migrace + převod starých dat +"
    czech += " zneplatnění přihlášení + spuštění aplikace + připravenost aplikace +"
    czech += " kontrola modulů."
    page = Page(html_of(settings, drills)).text
    for language, said, stands in (
        ("en", english, "backup stands for the safety backup"),
        ("cs", czech, "zastupuje pojistnou zálohu"),
    ):
        markdown = drill_report.markdown(settings, record, drills, language)  # type: ignore[arg-type]
        assert said in markdown
        assert said in page
        assert stands in markdown
        assert stands in page
    assert record.rto_s == pytest.approx(42 + 180 + 21 + 12 + 0.3 + 4.2 + 1.1 + 6)


def test_what_was_skipped_is_not_in_the_sum_and_without_a_sum_nothing_is_said(
    settings: Settings,
) -> None:
    skipped = tuple(
        each.model_copy(update={"verdict": "skipped"}) if each.name == "legacy" else each
        for each in drill().phases
    )
    record = drill(phases=skipped)
    text = drill_report.markdown(settings, record, History((record,)), "en")
    assert "restore + migration + revocation of logins + " in text
    assert record.recovery_s == pytest.approx(42 + 180 + 21 + 0.3 + 4.2 + 1.1 + 6)
    failed = drill(failed="smoke")
    drills = History((failed,))
    assert "The recovery in all" not in drill_report.markdown(settings, failed, drills, "en")
    assert "The recovery in all" not in html_of(settings, drills)


def test_what_a_killed_drill_left_is_named_in_both_languages(settings: Settings) -> None:
    left = ("database kajovo_dr_drill_1", "role hotel ro", "folder drill-1")
    page = Page(html_of(settings, History((drill(removed=left),)))).text
    assert "removed now database kajovo_dr_drill_1, role hotel ro, folder drill-1" in page
    assert "odstraněno databáze kajovo_dr_drill_1, role hotel ro, složka drill-1" in page


def test_the_versions_say_of_what_in_both_languages(settings: Settings) -> None:
    versions = {"kajovo_dr": "0.1", "scratch_server": "17.10", "server": "16.4", "client": "17.10"}
    page = Page(html_of(settings, History((drill(versions=versions),)))).text
    assert "versions kajovo_dr 0.1, scratch server 17.10, server 16.4, client 17.10" in page
    assert "verze kajovo_dr 0.1, zkušební server 17.10, server 16.4, klient 17.10" in page


def test_what_somebody_else_wrote_stays_text(settings: Settings) -> None:
    record = drill(
        failed="smoke",
        detail='<script>alert("x")</script> | `x`\n\u202eobráceně',
        hint="<b>tučně</b>",
        who="<img src=x onerror=alert(1)>",
        removed=("database <i>",),
        backup="a&b.sql",
    )
    drills = History((record,))
    html = html_of(settings, drills)
    assert not {tag for tag, _ in Page(html).tags} & {"script", "img", "i"}
    assert "&lt;script&gt;alert(&quot;x&quot;)" in html
    assert "\u202e" not in html
    markdown = drill_report.markdown(settings, record, drills, "cs")
    assert "<script" not in markdown
    assert "<img" not in markdown
    assert "\u202e" not in markdown


@each_language
def test_the_markdown_has_tables_that_hold(settings: Settings, language: Language) -> None:
    failed = drill(7, failed="migrate", detail="a | b\nc", hint="x | y")
    drills = History((*history(7).drills, failed), (3, 9))
    text = drill_report.markdown(settings, failed, drills, language)
    widths: list[set[int]] = [set()]
    for line in text.splitlines():
        if line.startswith("|"):
            widths[-1].add(len(re.findall(r"(?<!\\)\|", line)))
        elif widths[-1]:
            widths.append(set())
    assert [len(each) for each in widths if each] == [1, 1, 1]
    assert "3, 9" in text
    assert "{" not in text


def test_the_report_is_written_where_it_is_looked_for(settings: Settings) -> None:
    record = drill()
    path = drill_report.write(settings, record, History((record,)))
    assert path == settings.state / "drills" / "00000000.html"
    assert Page(path.read_text(encoding="utf-8")).text


def test_a_forecast_is_part_of_the_report(settings: Settings) -> None:
    few = Page(html_of(settings, history(2))).text
    assert "Not enough drills yet: 2 measured a recovery" in few
    assert "Na předpověď je zatím málo cvičení: s celou obnovou 2" in few
    growing = Page(html_of(settings, history(5, growth=2.0))).text
    assert re.search(r"The RTO of 2 h 00 min will be missed on 202\d-\d\d-\d\d", growing)
    assert re.search(r"nebude RTO 2 h 00 min dodrženo od \d+\. \d+\. 202\d", growing)


# --- charts


@pytest.mark.parametrize("count", [1, 2, 9, 60])
def test_every_chart_has_axes_units_and_a_value_for_each_bar(
    settings: Settings, count: int
) -> None:
    drills = history(count).drills
    found = drawings(charts(drills, Words("en", "Europe/Prague")))
    assert len(found) == 4
    for drawing in found:
        bars = list(drawing.iter("rect"))
        titles = [title.text or "" for bar in bars for title in bar.iter("title")]
        assert len(titles) == len(bars) >= count
        assert all(re.match(r"\d{4}-\d\d-\d\d: .+ \d", title) for title in titles)
        said = texts_of(drawing)
        assert "0" in said or "0.0" in said
        assert {"minutes", "hours", "MB", "GB", "seconds"} & set(said)
        days = [text for text in said if re.fullmatch(r"\d{4}-\d\d-\d\d", text)]
        assert 1 <= len(days) <= 8
        assert "drills, oldest on the left" in said


def test_bars_stand_on_the_axis_within_the_drawing_and_do_not_overlap() -> None:
    for drawing in drawings(charts(history(60).drills, Words("cs", "Europe/Prague"))):
        _, _, width, height = map(float, drawing.attrib["viewBox"].split())
        columns: dict[float, list[tuple[float, float]]] = {}
        for bar in drawing.iter("rect"):
            x, y, w, h = (float(bar.attrib[name]) for name in ("x", "y", "width", "height"))
            assert 0 < x < x + w <= width
            assert 0 < y < y + h <= height
            columns.setdefault(x, []).append((y, h))
        xs = sorted(columns)
        assert min(b - a for a, b in itertools.pairwise(xs)) > w
        for stacked in columns.values():
            for (lower, _), (upper, tall) in itertools.pairwise(stacked):
                assert upper + tall == pytest.approx(lower, abs=0.8)


def test_the_height_of_a_bar_is_its_value() -> None:
    drills = [drill(0, dump_bytes=1_000_000), drill(1, dump_bytes=2_000_000)]
    size = drawings(charts(drills, Words("en", "Europe/Prague")))[2]
    low, high = (float(bar.attrib["height"]) for bar in size.iter("rect"))
    assert high == pytest.approx(2 * low, abs=0.2)
    assert "2.0" in texts_of(size)
    assert "MB" in texts_of(size)


def test_a_limit_is_drawn_when_it_is_near_and_named_when_it_is_not() -> None:
    words = Words("en", "Europe/Prague")
    near = charts([drill(scale=20)], words)
    assert "limit 2 h 00 min" in texts_of(drawings(near)[1])
    assert "warning 1 h 00 min" in texts_of(drawings(near)[1])
    far = charts([drill(data_age_s=60.0)], words)
    assert "limit 2 h 00 min" not in texts_of(drawings(far)[1])
    assert "limit 2 h 00 min, beyond the chart" in far


def test_a_failed_drill_is_marked_and_one_that_measured_nothing_leaves_a_gap() -> None:
    nothing: dict[str, Any] = {"dump_bytes": None, "data_age_s": None, "rto_s": None}
    drills = [drill(0), drill(1, failed="prepare", **nothing), drill(2)]
    found = charts(drills, Words("en", "Europe/Prague"))
    size = drawings(found)[2]
    assert len(list(size.iter("rect"))) == 2
    assert [text for text in texts_of(size) if text == "×"] == ["×"]
    assert "failed drill" in found


def test_without_any_measurement_the_charts_say_so() -> None:
    nothing: dict[str, Any] = {"dump_bytes": None, "data_age_s": None}
    found = charts([drill(failed="prepare", **nothing)], Words("cs", "Europe/Prague"))
    assert len(drawings(found)) == 1
    assert found.count("Zatím to nezměřilo žádné cvičení.") == 3


# --- what to do next


def told(record: DrillRecord, settings: Settings, *, unreadable: tuple[int, ...] = ()) -> str:
    drills = History((record,), unreadable)
    seen = drill_report.foreseen(settings, record, drills)
    found = advice(record, drills, seen, Words("en", settings.timezone))
    return "\n".join(line for each in found for line in (each.text, each.quote, *each.commands))


@pytest.mark.parametrize(
    ("phase", "command"),
    [
        ("prepare", "kajovo-dr doctor"),
        ("backup", "kajovo-dr backup"),
        ("proof", "kajovo-dr verify kajovo-postgres-20261101-030000.sql --restore"),
        ("zoo", "kajovo-dr drill --mutants kajovo-postgres-20261101-030000.sql"),
        ("restore", "kajovo-dr restore kajovo-postgres-20261101-030000.sql --into drill_by_hand"),
        ("migrate", "alembic upgrade head && alembic check"),
        ("legacy", "migrate_legacy"),
        ("revoke", "KAJOVO_DR_REVOCATIONS"),
        ("start", "KAJOVO_DR_DRILL_APP_COMMAND"),
        ("readiness", "application's output"),
        ("smoke", "application's output"),
        ("alert", "kajovo-dr alert --test"),
        ("clean_up", "by hand"),
        ("leftovers", "by hand"),
    ],
)
def test_a_failed_phase_has_its_own_next_step(settings: Settings, phase: str, command: str) -> None:
    said = told(drill(failed=phase, detail="it broke", hint="mend it."), settings)
    assert command in said
    assert "it broke" in said
    assert "mend it." in said
    assert said.endswith("kajovo-dr drill")


def test_a_drill_in_which_all_went_well_asks_for_nothing(settings: Settings) -> None:
    assert told(drill(), settings).startswith("Nothing.")


def test_a_missed_rto_names_the_slowest_phase(settings: Settings) -> None:
    said = told(drill(ok=False, failed_phase="rto", rto_verdict="fail"), settings)
    assert "slowest phase, restore" in said
    assert "KAJOVO_DR_BACKUP_FORMAT=custom" in said


def test_what_may_not_hold_the_next_time_is_told_of_a_drill_that_passed(
    settings: Settings,
) -> None:
    assert "slowest phase is restore" in told(drill(rto_verdict="warn"), settings)
    old = told(drill(rpo_verdict="fail", data_age_s=90_000.0), settings)
    assert "was 1 d 01 h old" in old
    assert "KAJOVO_DR_BACKUP_CRON" in old
    assert "no backup was proven" in told(drill(rpo_verdict="none"), settings)
    assert "drills.jsonl" in told(drill(), settings, unreadable=(4,))
    assert "missed soon" not in told(drill(), settings)


def test_an_rto_that_will_be_missed_soon_is_to_be_planned_for(settings: Settings) -> None:
    drills = history(5, growth=6.0)
    newest = drills.drills[-1]
    seen = drill_report.foreseen(settings, newest, drills)
    assert seen.kind == "day"
    found = advice(newest, drills, seen, Words("en", settings.timezone))
    assert any("missed soon" in each.text for each in found)
