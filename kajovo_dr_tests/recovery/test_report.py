"""Under test: that a page says all that is known of a recovery, in words for people and in their
language, and that no text breaks it.
"""

from __future__ import annotations

import html
import inspect
import re
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import pytest

from kajovo_dr.errors import SettingError
from kajovo_dr.recovery import (
    chain,
    incident_outcome,
    incident_pages,
    record,
    recover,
    report,
    report_words,
)
from kajovo_dr.recovery.chain import Break
from kajovo_dr.recovery.record import IncidentEntry, Phase
from kajovo_dr.recovery.report_words import CZECH, Language, Words
from kajovo_dr_tests.recovery.records import (
    INCIDENT,
    STARTED,
    entry,
    full,
    outage,
    phase,
    smoke_report,
    undo,
)

ZONE = "Europe/Prague"
LIMITS = (60, 120)
#: What a clerk, a file name or an attacker may write.
HOSTILE = 'a | b\n| c | d |\n# title <script>alert("x")</script> & \\| `c` **b** _i_ [l](http://x) '
HOSTILE += "\x1b[31m\x00\u202egnp.exe\u2028 '--> </td></table>"


LONG = "c077bd0b-13b9-4d10-8afa-49eb5ed69fcf"


def _given_up() -> list[IncidentEntry]:
    """A recovery that was cut off, and then given up."""
    down: dict[str, Any] = {"id": LONG, "outage": outage(milliseconds=None)}
    cut = Phase(name="interrupted", ok=False, detail="its process was ended")
    return [
        entry(**down, phases=(Phase(name="migrate"), cut)),
        entry(**down, runs=("x", "y"), phases=(phase("abandoned", ok=False, detail="given up"),)),
    ]


def cells(text: str, first: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {first} |")]
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def fact(text: str, name: str) -> str:
    """The value of a fact, with plain spaces."""
    return cells(text, name)[1].replace("\u00a0", " ")


class Page(HTMLParser):
    """The tags of a page, which must be closed in their order, and its cells."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.rows: list[list[str]] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        if tag != "meta":
            self._open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "td" in self._open or "th" in self._open:
            self.rows[-1][-1] += data


# --- what is told


def test_every_fact_of_a_recovery_is_told_in_english() -> None:
    text = report.incident(full(), ZONE, rto=LIMITS, entries=[full(), undo("run-1")])
    told = {
        "kind": "recovery",
        "incident": "2026-11-23 06:30:00 CET",
        "incident detected": "2026-11-23 06:36:00 CET",
        "started": "2026-11-23 06:40:00 CET",
        "ended": "2026-11-23 06:45:00 CET",
        "result": "recovered",
        "undone by": "**undo-1**",
        "duration": "5 min 00 s",
        "RTO verdict": "pass (warn above 60 min, fail above 120 min)",
        "since the incident": "15 min 00 s",
        "outage": "84 ms, from 2026-11-23 06:40:00.000 CET until 2026-11-23 06:40:00.084 CET"
        " (1,234 requests, one every 5 ms)",
        "database": "kajovo_hotel on kajovo@127.0.0.1:5432/kajovo_hotel",
        "extent": "database and application",
        "backup used": "kajovo-postgres-20261123-033000",
        "backup's snapshot": "2026-11-23 04:30:00 CET",
        "sha256 of the dump file": "a" * 64,
        "sha256 of the manifest": "b" * 64,
        "data lost": "2 h 00 min",
        "rows lost": "12,351 rows (3 tables)",
        "safety backup": "kajovo-postgres-20261123-064100",
        "databases swapped": "2026-11-23 06:40:40 CET",
        "replaced database kept as": "kajovo_hotel__before_run1",
        "accounts with an older password again": "2",
        "smoke test": "2/2 passed",
        "who": "Řehoř",
        "reason": "disk failed",
    }
    assert {name: fact(text, name) for name in told} == told


def test_every_fact_of_a_recovery_is_told_in_czech() -> None:
    text = report.incident(full(), ZONE, language="cs", rto=LIMITS, entries=[full(), undo("run-1")])
    told = {
        "druh": "obnova",
        "incident": "23. 11. 2026 6:30:00 SEČ",
        "incident zjištěn": "23. 11. 2026 6:36:00 SEČ",
        "zahájeno": "23. 11. 2026 6:40:00 SEČ",
        "ukončeno": "23. 11. 2026 6:45:00 SEČ",
        "výsledek": "obnoveno",
        "vráceno zápisem": "**undo-1**",
        "trvání": "5 min 00 s",
        "vyhodnocení RTO": "dodrženo (varování nad 60 min, nedodrženo nad 120 min)",
        "od incidentu": "15 min 00 s",
        "výpadek": "84 ms, od 23. 11. 2026 6:40:00,000 SEČ do 23. 11. 2026 6:40:00,084 SEČ"
        " (1 234 dotazů, interval 5 ms)",
        "databáze": "kajovo_hotel na kajovo@127.0.0.1:5432/kajovo_hotel",
        "rozsah": "databáze a aplikace",
        "použitá záloha": "kajovo-postgres-20261123-033000",
        "záloha zachycuje stav k": "23. 11. 2026 4:30:00 SEČ",
        "sha256 souboru s daty": "a" * 64,
        "sha256 manifestu": "b" * 64,
        "ztracená data": "2 h 00 min",
        "ztracené řádky": "12 351 řádků (3 tabulky)",
        "pojistná záloha": "kajovo-postgres-20261123-064100",
        "databáze vyměněny": "23. 11. 2026 6:40:40 SEČ",
        "nahrazená databáze uložena jako": "kajovo_hotel__before_run1",
        "účty, kterým se vrátilo starší heslo": "2",
        "kontrola modulů": "v pořádku 2/2",
        "kdo": "Řehoř",
        "důvod": "disk failed",
    }
    assert {name: fact(text, name) for name in told} == told


def test_every_phase_is_told_with_its_times_and_its_end() -> None:
    text = report.incident(full(), ZONE)
    begin, end = "2026-11-23 06:40:00 CET", "2026-11-23 06:40:40 CET"
    assert cells(text, "restore")[1:] == [begin, end, "40 s", "ok", "24"]
    assert cells(text, "legacy")[1:] == [end, end, "–", "skipped", "unset"]
    swaps = [line for line in text.splitlines() if line.startswith("| swap |")]
    assert swaps == [
        f"| swap | {end} | – | – | **not ended** |  |",
        f"| swap | {end} | {end} | 40 ms | ok |  |",
    ]


def test_phases_are_told_in_czech() -> None:
    text = report.phases(full().phases, ZONE, language="cs").replace("\u00a0", " ")
    begin, end = "23. 11. 2026 6:40:00 SEČ", "23. 11. 2026 6:40:40 SEČ"
    head, _, *rows = text.splitlines()
    assert head == "| fáze | začátek | konec | trvání | výsledek | podrobnosti (chyby anglicky) |"
    assert rows == [
        f"| obnova vedle živé databáze | {begin} | {end} | 40 s | v pořádku | 24 |",
        f"| převod starých dat | {end} | {end} | – | přeskočeno | unset |",
        f"| výměna databází | {end} | – | – | **nedokončeno** |  |",
        f"| výměna databází | {end} | {end} | 40 ms | v pořádku |  |",
    ]


def test_every_phase_that_there_is_has_a_czech_name() -> None:
    named = {name for names in recover.PHASES.values() for name in names}
    assert named | {"preflight", "interrupted", "abandoned"} == report_words.PHASES.keys()


def test_lost_rows_are_told_by_table_the_biggest_loss_first() -> None:
    text = report.incident(full(), ZONE)
    table = text[text.index("### Rows lost") :].split("\n\n")[1]
    assert table.splitlines()[2:] == [
        "| orders | 12,345 |",
        "| reports | 5 |",
        "| issues | 1 |",
        "| cards | 3 more than before |",
    ]


@pytest.mark.parametrize(
    ("rows", "told"),
    [(None, "not counted"), ({}, "none"), ({"a": 0}, "none"), ({"a": -2}, "none")],
)
def test_no_lost_rows_and_nobody_who_counted_are_told_apart(
    rows: dict[str, int] | None, told: str
) -> None:
    assert fact(report.incident(full(lost_rows=rows), ZONE), "rows lost") == told


@pytest.mark.parametrize(
    ("changes", "told", "czech"),
    [
        ({"outage": None}, "none seen", "nezaznamenán"),
        ({"outage": None, "database_only": True}, "–", "–"),
        (
            {"outage": outage(milliseconds=None)},
            "**still down, since 2026-11-23 06:40:00.000 CET (1 request, one every 100 ms)**",
            "**stále mimo provoz, od 23. 11. 2026 6:40:00,000 SEČ (1 dotaz, interval 100 ms)**",
        ),
        (
            {"outage": outage(milliseconds=185_000)},
            "3 min 05 s, from 2026-11-23 06:40:00.000 CET until 2026-11-23 06:43:05.000 CET"
            " (1,234 requests, one every 5 ms)",
            "3 min 05 s, od 23. 11. 2026 6:40:00,000 SEČ do 23. 11. 2026 6:43:05,000 SEČ"
            " (1 234 dotazů, interval 5 ms)",
        ),
    ],
)
def test_an_outage_is_told_as_it_was_seen(
    changes: dict[str, object], told: str, czech: str
) -> None:
    assert fact(report.incident(full(**changes), ZONE), "outage") == told
    assert fact(report.incident(full(**changes), ZONE, language="cs"), "výpadek") == czech


@pytest.mark.parametrize(
    ("minutes", "verdict", "czech"),
    [
        (5, "pass", "dodrženo"),
        (61, "**warn**", "**varování**"),
        (125, "**fail**", "**nedodrženo**"),
    ],
)
def test_an_rto_verdict_that_is_no_pass_stands_out(
    minutes: float, verdict: str, czech: str
) -> None:
    assert fact(report.incident(entry(minutes=minutes), ZONE), "RTO verdict") == verdict
    text = report.incident(entry(minutes=minutes), ZONE, language="cs")
    assert fact(text, "vyhodnocení RTO") == czech


def test_a_smoke_test_is_told_endpoint_by_endpoint() -> None:
    text = report.incident(entry(smoke=smoke_report(ok=False)), ZONE)
    assert fact(text, "result") == "**failed in smoke**"
    assert fact(text, "smoke test") == "1/2 passed; not: reports"
    assert cells(text, "issues")[1:5] == ["ok", "200", "60", "60"]
    assert cells(text, "reports")[1:5] == ["**failed**", "500", "–", "–"]
    czech = report.smoke(smoke_report(ok=False), language="cs")
    assert cells(czech, "reports")[1:5] == ["**selhalo**", "500", "–", "–"]


def test_a_failed_recovery_is_told_in_the_overview() -> None:
    failed = entry(phases=(phase("migrate", ok=False, detail="two heads"),))
    text = report.page([failed], ZONE)
    assert "| **failed in migrate** | – | 5 min 00 s | **fail** | none seen | 2 h 00 min |" in text
    assert "| migrate | – | – | 2.0 s | **failed** | two heads |" in text
    assert "| **selhalo ve fázi „migrace“** |" in report.page([failed], ZONE, language="cs")


def test_an_application_that_stayed_down_is_told_in_the_overview() -> None:
    down = full(outage=outage(milliseconds=None))
    assert "| **still down** |" in report.page([down], ZONE)
    assert "| **stále mimo provoz** |" in report.page([down], ZONE, language="cs")


def test_an_empty_log_has_a_page() -> None:
    assert report.page([], ZONE) == "# Incident log\n\nNo recovery was logged yet.\n"
    czech = report.page([], ZONE, language="cs")
    assert czech == "# Deník incidentů\n\nZatím není zapsána žádná obnova.\n"


def test_an_undo_leaves_out_what_it_has_not() -> None:
    text = report.incident(undo("run-1"), ZONE)
    assert text.startswith("## Undo undo-1\n")
    assert (fact(text, "undoes the recovery"), fact(text, "result")) == ("run-1", "put back")
    for name in ("incident", "backup used", "data lost", "rows lost", "undone by"):
        assert f"| {name} |" not in text


@pytest.mark.parametrize("language", ["en", "cs"])
def test_an_entry_of_the_first_format_has_a_page(language: Language) -> None:
    old = entry().model_copy(update={"format": 1})
    text = report.incident(old, ZONE, language=language)
    names = {"en": ("outage", "extent"), "cs": ("výpadek", "rozsah")}[language]
    assert [fact(text, name) for name in names] == ["–", "–"]


@pytest.mark.parametrize("language", ["en", "cs"])
def test_a_broken_chain_is_told_on_the_page(language: Language) -> None:
    breaks = [Break(0, chain.NO_HEAD), Break(7, chain.CHANGED), Break(9, "forged | text")]
    text = report.page([full()], ZONE, [4, 5], language=language, breaks=breaks)
    place = {"en": "line 7", "cs": "řádek 7"}[language]
    what = {"en": chain.CHANGED, "cs": CZECH[chain.CHANGED]}[language]
    assert cells(text, place)[1] == f"**{what}**"
    assert "**forged \\| text**" in text
    assert ": 4, 5." in text
    assert what in report.page_html([full()], ZONE, [4, 5], language=language, breaks=breaks)


def test_the_attempts_at_a_recovery_are_told_as_one_story() -> None:
    entries = _given_up()
    text = report.page(entries, ZONE)
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| c077bd0b")]
    assert [(row[0], row[3], row[6], row[7]) for row in rows] == [
        ("| c077bd0b-2", "**given up**", "–", "**end not seen**"),
        ("| c077bd0b", "**cut off in migrate, then given up**", "–", "see c077bd0b-2"),
    ]
    first, second = (report.incident(each, ZONE, rto=LIMITS, entries=entries) for each in entries)
    assert (fact(first, "RTO verdict"), fact(second, "RTO verdict")) == ("–", "–")
    assert fact(first, "outage").startswith("see c077bd0b-2, since 2026-11-23 06:40:00.000 CET (")
    assert "| migrate | – | – | – | **not ended** |  |" in first
    assert "| interrupted | – | – | 0 ms | **cut off** | its process was ended |" in first
    assert "| abandoned | – | – | 2.0 s | **given up** | given up |" in second
    czech = report.incident(entries[1], ZONE, language="cs", entries=entries)
    assert "| ukončení bez obnovy | – | – | 2,0 s | **vzdáno** | vzdáno |" in czech.replace(
        "\u00a0", " "
    )


def test_the_overview_leads_to_every_incident() -> None:
    entries = [*_given_up(), full(), undo("run-1")]
    page = report.page_html(entries, ZONE)
    targets = re.findall(r'href="#([^"]*)"', page)
    assert targets == ["undo-1", "run-1", "undo-1", f"{LONG}-2", LONG]
    assert re.findall(r'<h2 id="([^"]*)">', page) == ["undo-1", "run-1", f"{LONG}-2", LONG]
    assert '<span class="unbroken"><a href="#' in page
    assert '<span class="good unbroken">' in page


def test_the_details_of_phases_are_in_the_language_of_the_page() -> None:
    done = (phase("preflight", detail="nothing is in the way"), phase("stop", detail="x | y"))
    assert "| nic nebrání |" in report.phases(done[:1], ZONE, language="cs")
    assert "| podrobnosti |" in report.phases(done[:1], ZONE, language="cs")
    both = report.phases(done, ZONE, language="cs")
    assert "| podrobnosti (chyby anglicky) |" in both
    assert "| x \\| y |" in both
    assert "| detail |" in report.phases(done, ZONE)
    assert "| nothing is in the way |" in report.phases(done, ZONE)


def test_a_safety_backup_that_was_not_taken_is_told_in_czech() -> None:
    text = report.incident(full(safety="not taken: disk is full"), ZONE, language="cs")
    assert fact(text, "pojistná záloha") == "nepořízena: disk is full"


# --- two markups, two languages


def _entries() -> list[IncidentEntry]:
    failed = entry(id="f", phases=(phase("migrate", ok=False),), smoke=smoke_report(ok=False))
    return [full(), undo("run-1", outage=outage(milliseconds=None)), failed, entry(id="o")]


@pytest.mark.parametrize("language", ["en", "cs"])
def test_html_and_markdown_tell_the_same(language: Language) -> None:
    plain = report.page(_entries(), ZONE, language=language, rto=LIMITS)
    page = Page(report.page_html(_entries(), ZONE, language=language, rto=LIMITS))
    lines = [line for line in plain.splitlines() if line.startswith("|") and "---" not in line]
    rows = [[cell.strip(" *") for cell in line.strip("|").split("|")] for line in lines]
    assert page.rows == rows


@pytest.mark.parametrize("language", ["en", "cs"])
def test_an_html_page_is_one_whole_file_in_its_language(language: Language) -> None:
    for page in (
        report.page_html(_entries(), ZONE, language=language),
        report.incidents_html([full()], ZONE, language=language),
    ):
        assert f'<html lang="{language}">' in page
        assert not {"script", "link", "img", "iframe"} & set(Page(page).tags)
        assert "http" not in page.replace("http-equiv", "")
    assert "<title>Incident run-1</title>" in report.incidents_html([full()], ZONE)


def test_a_czech_page_has_no_word_of_english() -> None:
    page = Page(
        report.page_html(_entries(), ZONE, language="cs", breaks=[Break(1, chain.OTHER)]),
    )
    english = {key for key, czech in CZECH.items() if key != czech}
    said = {cell for row in page.rows for cell in row}
    assert not english & said


def test_no_word_of_the_vocabulary_is_left_over() -> None:
    modules = (incident_pages, incident_outcome, report, chain, record)
    source = "".join(map(inspect.getsource, modules))
    assert [key for key in CZECH if f'"{key}"' not in source] == []


# --- text of others


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b", "a\\|b"),
        ("a\\|b", "a\\\\\\|b"),
        ("a\nb\r\nc", "a b c"),
        ("<script>", "&lt;script>"),
        ("&lt;", "&amp;lt;"),
        ("Řehoř 🛎️", "Řehoř 🛎️"),
        ("1\u00a0234", "1\u00a0234"),
        ("[text](link) ![x](y)", "\\[text\\](link) !\\[x\\](y)"),
        ("**b** `c` ~~d~~", "\\*\\*b\\*\\* \\`c\\` \\~\\~d\\~\\~"),
        ("_i_ __b__ a_b a__b _", "\\_i\\_ \\_\\_b\\_\\_ a_b a__b \\_"),
        ("\x1b[0m\x00\u202e\ufeff\udc80", "\ufffd\\[0m\ufffd\ufffd\ufffd\ufffd"),
        ("", ""),
    ],
)
def test_a_cell_holds_any_text(text: str, shown: str) -> None:
    assert report.cell(text) == shown


def _hostile() -> IncidentEntry:
    return full(
        who=HOSTILE,
        note=HOSTILE,
        backup=HOSTILE,
        database=HOSTILE,
        server=HOSTILE,
        safety=HOSTILE,
        replaced=HOSTILE,
        lost_rows={HOSTILE: 1},
        phases=(phase(HOSTILE, detail=HOSTILE, ok=False),),
        undoes=HOSTILE,
    )


@pytest.mark.parametrize("language", ["en", "cs"])
def test_no_text_of_others_breaks_a_markdown_table(language: Language) -> None:
    text = report.page([_hostile()], ZONE, language=language)
    rows = [re.sub(r"\\.", "", line) for line in text.splitlines() if line.startswith("|")]
    assert {row.count("|") for row in rows} == {3, 7, 8, 12}
    assert all(line.startswith(("|", "# ", "## ", "### ")) for line in text.splitlines() if line)
    assert text.count("\n# ") == 0
    assert "<" not in text
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u2028\u202e]", text)
    assert not re.search(r"(?<!\\)[`\[]", text)


@pytest.mark.parametrize("language", ["en", "cs"])
def test_no_text_of_others_breaks_an_html_page(language: Language) -> None:
    harmless = Page(report.page_html([full(phases=(phase("x", ok=False),))], ZONE))
    shown = " ".join(HOSTILE.split()).translate(dict.fromkeys((0, 0x1B, 0x202E), "\ufffd"))
    for text in (
        report.page_html([_hostile()], ZONE, language=language),
        report.incidents_html([_hostile()], ZONE, language=language),
    ):
        page = Page(text)
        assert set(page.tags) <= set(harmless.tags)
        assert "script" not in page.tags
        assert not re.search(r"[\x00-\x09\x0b-\x1f\u2028\u202e]", text)
        assert [row[1] for row in page.rows if row[1:] == [shown]]
        assert html.escape(shown) in text


# --- numbers and times


@pytest.mark.parametrize(
    ("seconds", "text", "czech"),
    [
        (None, "–", "–"),
        (0, "0.0 s", "0,0 s"),
        (0.44, "0.4 s", "0,4 s"),
        (9.94, "9.9 s", "9,9 s"),
        (9.96, "10 s", "10 s"),
        (59.4, "59 s", "59 s"),
        (59.6, "1 min 00 s", "1 min 00 s"),
        (185, "3 min 05 s", "3 min 05 s"),
        (3599.6, "1 h 00 min", "1 h 00 min"),
        (7620, "2 h 07 min", "2 h 07 min"),
        (100 * 3600, "4 d 04 h", "4 d 04 h"),
        (-90, "-1 min 30 s", "−1 min 30 s"),
    ],
)
def test_durations_are_human(seconds: float | None, text: str, czech: str) -> None:
    assert report.human_duration(seconds) == text
    assert report.human_duration(seconds, "cs").replace("\u00a0", " ") == czech


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (0, "0 ms"), (0.0844, "84 ms"), (0.9994, "999 ms"), (0.9996, "1.0 s")],
)
def test_milliseconds_count_where_they_are_all_there_is(seconds: float | None, text: str) -> None:
    assert Words().short(seconds) == text


@pytest.mark.parametrize(
    ("count", "english", "czech"),
    [
        (0, "0 rows", "0 řádků"),
        (1, "1 row", "1 řádek"),
        (2, "2 rows", "2 řádky"),
        (4, "4 rows", "4 řádky"),
        (5, "5 rows", "5 řádků"),
        (22, "22 rows", "22 řádků"),
        (1234567, "1,234,567 rows", "1 234 567 řádků"),
    ],
)
def test_plurals_are_right(count: int, english: str, czech: str) -> None:
    assert Words().counted(count, "row") == english
    assert Words(language="cs").counted(count, "row").replace("\u00a0", " ") == czech


@pytest.mark.parametrize(
    ("number", "english", "czech"),
    [(60.0, "60", "60"), (1.5, "1.5", "1,5"), (1234.5, "1,234.5", "1\u00a0234,5")],
)
def test_numbers_are_written_as_people_write_them(number: float, english: str, czech: str) -> None:
    assert (Words().number(number), Words(language="cs").number(number)) == (english, czech)


def test_summer_time_is_shown_as_such() -> None:
    summer = INCIDENT - timedelta(days=150)
    assert report.moment(summer, ZONE) == "2026-06-26 07:30:00 CEST"
    czech = "26.\u00a06.\u00a02026 7:30:00\u00a0SELČ"
    assert report_words.moment(summer, ZONE, "cs") == czech
    assert report.moment(STARTED, "UTC") == "2026-11-23 05:40:00 UTC"


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd"])
def test_an_unknown_time_zone_is_a_clear_error(zone: str) -> None:
    with pytest.raises(SettingError, match="KAJOVO_DR_TIMEZONE"):
        report.moment(INCIDENT, zone)
