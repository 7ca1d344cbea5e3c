"""Recoveries as Markdown and as HTML: one incident, one smoke test, the page of the whole log.

Belongs here: what others ask for, one function each. Not here: which facts are told
(``incident_pages``), words (``report_words``), markup (``page_blocks``) and files.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kajovo_dr.recovery import html_page, incident_pages
from kajovo_dr.recovery.chain import Break
from kajovo_dr.recovery.page_blocks import cell as cell
from kajovo_dr.recovery.page_blocks import to_html, to_markdown
from kajovo_dr.recovery.record import IncidentEntry, Phase
from kajovo_dr.recovery.report_words import Language, Words
from kajovo_dr.recovery.report_words import human_duration as human_duration
from kajovo_dr.recovery.report_words import moment as moment
from kajovo_dr.recovery.smoke import SmokeReport

#: Wide tables get the whole window, and what is one thing stays on one line.
_STYLE = """
body { max-width: 96rem; }
th { white-space: normal; }
td { min-width: 4.5rem; }
.unbroken { white-space: nowrap; }
"""


def page(
    entries: Sequence[IncidentEntry],
    timezone: str,
    unreadable: Sequence[int] = (),
    *,
    language: Language = "en",
    rto: tuple[float, float] | None = None,
    breaks: Sequence[Break] = (),
) -> str:
    """The incident log as Markdown, newest first."""
    words = Words(timezone, language, rto)
    return to_markdown(incident_pages.log(entries, words, unreadable, breaks)) + "\n"


def page_html(
    entries: Sequence[IncidentEntry],
    timezone: str,
    unreadable: Sequence[int] = (),
    *,
    language: Language = "en",
    rto: tuple[float, float] | None = None,
    breaks: Sequence[Break] = (),
) -> str:
    """The same as one self-contained HTML page."""
    words = Words(timezone, language, rto)
    body = to_html(incident_pages.log(entries, words, unreadable, breaks))
    return html_page.page(words("Incident log"), body, language, _STYLE)


def incident(
    entry: IncidentEntry,
    timezone: str,
    *,
    language: Language = "en",
    rto: tuple[float, float] | None = None,
    entries: Sequence[IncidentEntry] = (),
) -> str:
    """One incident as Markdown. entries: the log's, among which may be what came of it."""
    return incidents([entry], timezone, language=language, rto=rto, entries=entries)


def incidents(
    chosen: Sequence[IncidentEntry],
    timezone: str,
    *,
    language: Language = "en",
    rto: tuple[float, float] | None = None,
    entries: Sequence[IncidentEntry] = (),
) -> str:
    """Several, such as the attempts at one recovery, in their order."""
    words = Words(timezone, language, rto)
    return to_markdown(incident_pages.incidents(chosen, words, entries))


def incidents_html(
    chosen: Sequence[IncidentEntry],
    timezone: str,
    *,
    language: Language = "en",
    rto: tuple[float, float] | None = None,
    entries: Sequence[IncidentEntry] = (),
) -> str:
    """The same as one self-contained HTML page."""
    words = Words(timezone, language, rto)
    body = to_html(incident_pages.incidents(chosen, words, entries))
    return html_page.page(incident_pages.title(chosen[0], words), body, language, _STYLE)


def phases(
    done: Iterable[Phase], timezone: str = "Europe/Prague", *, language: Language = "en"
) -> str:
    """A table of phases with their times."""
    return to_markdown([incident_pages.phases(done, Words(timezone, language))])


def smoke(report: SmokeReport, *, language: Language = "en") -> str:
    """A table of endpoints."""
    return to_markdown([incident_pages.smoke(report, Words(language=language))])
