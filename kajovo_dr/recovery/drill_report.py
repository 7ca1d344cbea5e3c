"""The report of a drill: Markdown for a run's page, and one HTML file that holds both languages.

Belongs here: markup. Not here: the words (``drill_texts``), the tables' rows (``drill_tables``),
the charts (``drill_charts``), and what to do next (``drill_advice``). The language is switched
without a script: by two buttons of a form and CSS.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

from kajovo_dr import private_file
from kajovo_dr.recovery import drill_charts, drill_history, drill_tables
from kajovo_dr.recovery.drill_advice import Advice, advice
from kajovo_dr.recovery.drill_history import History
from kajovo_dr.recovery.drill_record import DrillRecord
from kajovo_dr.recovery.drill_words import Words
from kajovo_dr.recovery.forecast import Forecast, forecast, measured
from kajovo_dr.recovery.html_page import escape, page, table
from kajovo_dr.recovery.page_blocks import cell, visible
from kajovo_dr.recovery.report_words import Language
from kajovo_dr.settings import Settings

_NAMES: dict[Language, str] = {"en": "English", "cs": "Čeština"}
#: Which class of colour a verdict has.
_COLOURS = {
    **{"pass": "good", "passed": "good", "warn": "warn", "fail": "bad", "failed": "bad"},
    **{"none": "muted", "skipped": "muted", "not_run": "muted"},
}
_STYLE = (
    drill_charts.STYLE
    + """
.switch { position: absolute; opacity: 0; }
.switch + label { float: right; cursor: pointer; margin-left: .8rem; color: var(--accent); }
.switch:checked + label { color: var(--muted); font-weight: 600; }
.switch:focus-visible + label { outline: 2px solid var(--accent); outline-offset: 3px; }
#show-en:checked ~ .cs, #show-cs:checked ~ .en { display: none; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: .8rem;
  margin: 1rem 0; }
.tile { background: var(--soft); border-radius: 8px; padding: .7rem .9rem; }
.tile b { display: block; font-size: 1.35rem; line-height: 1.3; }
.tile span { display: block; font-size: .9rem; }
td:not(:last-child) { white-space: nowrap; }
.phases td:last-child { min-width: 14rem; overflow-wrap: anywhere; }
pre { white-space: pre-wrap; }
"""
)


def write(settings: Settings, record: DrillRecord, history: History) -> Path:
    """Write the HTML file of a drill; raises `LogUnwritable`."""
    path = drill_history.folder(settings.state) / f"{record.id}.html"
    private_file.replace(path, html(settings, record, history))
    return path


def foreseen(settings: Settings, record: DrillRecord, history: History) -> Forecast:
    """The forecast from all drills of this one's kind, seen from this one's end."""
    points = measured(history.drills, like=record)
    now = record.finished_at.astimezone(ZoneInfo(settings.timezone))
    return forecast(points, record.objectives.rto_s, now)


def markdown(settings: Settings, record: DrillRecord, history: History, language: Language) -> str:
    """The report in one language, without charts."""
    words = Words(language, settings.timezone)
    seen = foreseen(settings, record, history)
    objectives = [
        (name, f"{value} ({words(verdict)})", more)
        for name, value, verdict, more in drill_tables.verdicts(record, words)
    ]
    parts = [
        f"# {words('title', id=record.id)}: {drill_tables.result(record, words)}",
        _table(("", "", ""), objectives),
        f"**{words('forecast')}.** {words.forecast(seen)}",
        f"## {words('phases')}",
        _table(drill_tables.phase_titles(words), drill_tables.phase_rows(record, words)),
        *filter(None, [drill_tables.made_of(record, words)]),
        f"## {words('next')}",
        *(_advice_markdown(each) for each in advice(record, history, seen, words)),
        f"## {words('history')}",
        _table(drill_tables.history_titles(words), drill_tables.history_rows(history, words)),
    ]
    if history.unreadable:
        parts.append(words("unreadable", lines=", ".join(map(str, history.unreadable))))
    return "\n\n".join(parts) + "\n"


def html(settings: Settings, record: DrillRecord, history: History) -> str:
    """The report as one page with both languages; the settings' language is shown first."""
    switches = "\n".join(
        f'<input class="switch" type="radio" name="language" id="show-{each}"'
        f"{' checked' if each == settings.language else ''}>"
        f'<label for="show-{each}" lang="{each}">{_NAMES[each]}</label>'
        for each in _NAMES
    )
    bodies = "\n".join(
        f'<main class="{each}" lang="{each}">\n'
        f"{_body(settings, record, history, Words(each, settings.timezone))}\n</main>"
        for each in _NAMES
    )
    title = Words(settings.language, settings.timezone)("title", id=record.id)
    return page(title, f"{switches}\n{bodies}", settings.language, style=_STYLE)


def _body(settings: Settings, record: DrillRecord, history: History, words: Words) -> str:
    seen = foreseen(settings, record, history)
    shown = [drill for drill in history.drills if drill.started_at <= record.started_at]
    colour = "good" if record.ok else "bad"
    ended = _text(drill_tables.result(record, words))
    rows = map(_escaped, drill_tables.history_rows(history, words))
    made_of = drill_tables.made_of(record, words)
    parts = [
        f"<h1>{_text(words('title', id=record.id))}: <span class='{colour}'>{ended}</span></h1>",
        _about(record, words),
        _tiles(record, words),
        f"<p><b>{_text(words('forecast'))}.</b> {_text(words.forecast(seen))}</p>",
        f"<h2>{_text(words('next'))}</h2>",
        *(_advice_html(each) for each in advice(record, history, seen, words)),
        f"<h2>{_text(words('phases'))}</h2>",
        _phases_html(record, words),
        f'<p class="muted">{_text(made_of)}</p>' if made_of else "",
        f"<h2>{_text(words('history'))}</h2>",
        drill_charts.charts(shown or [record], words),
        table(_escaped(drill_tables.history_titles(words)), rows),
    ]
    if history.unreadable:
        lines = ", ".join(map(str, history.unreadable))
        parts.append(f'<p class="warn">{_text(words("unreadable", lines=lines))}</p>')
    return "\n".join(parts)


def _about(record: DrillRecord, words: Words) -> str:
    holds = words(
        "holds",
        rows=words.number(record.rows or 0),
        bytes=words.bytes(record.database_bytes),
        dump=words.bytes(record.dump_bytes),
    )
    versions = ", ".join(
        f"{words.part(name)} {value}" for name, value in record.versions.items() if value
    )
    took = (record.finished_at - record.started_at).total_seconds()
    facts = [
        ("started", f"{words.moment(record.started_at)}, {words('took')} {words.duration(took)}"),
        ("who", record.who),
        ("database", record.database),
        ("backup", record.backup or ""),
        ("backup_holds", holds if record.backup else ""),
        ("versions", versions),
        ("removed", ", ".join(map(words.left, record.removed))),
        ("log", record.log),
    ]
    said = [f"<b>{_text(words(key))}</b> {_text(value)}" for key, value in facts if value]
    return f'<p class="muted">{"<br>".join(said)}</p>'


def _tiles(record: DrillRecord, words: Words) -> str:
    tiles = "".join(
        f'<div class="tile"><span>{_text(name)}</span><b>{_text(value)}</b>'
        f'<span class="{_COLOURS[verdict]}">{_text(words(verdict))}</span>'
        f'<span class="muted">{_text(more)}</span></div>'
        for name, value, verdict, more in drill_tables.verdicts(record, words)
    )
    return f'<div class="tiles">{tiles}</div>'


def _phases_html(record: DrillRecord, words: Words) -> str:
    """The table, with verdicts in their colours."""
    verdicts = [phase.verdict for phase in record.phases] + [record.rto_verdict]
    rows = []
    for row, verdict in zip(drill_tables.phase_rows(record, words), verdicts, strict=False):
        cells = _escaped(row)
        cells[4] = f'<span class="{_COLOURS[verdict]}">{cells[4]}</span>'
        rows.append(cells)
    listed = table(_escaped(drill_tables.phase_titles(words)), rows)
    return f'<div class="phases">{listed}</div>'


def _advice_markdown(each: Advice) -> str:
    quoted = f"\n\n> {cell(each.quote)}" if each.quote else ""
    commands = "".join(f"\n\n    {command}" for command in each.commands)
    return f"{each.text}{quoted}{commands}"


def _advice_html(each: Advice) -> str:
    quoted = f'<pre lang="en"><code>{_text(each.quote)}</code></pre>' if each.quote else ""
    commands = "\n".join(map(_text, each.commands))
    listed = f"<pre><code>{commands}</code></pre>" if commands else ""
    return f"<p>{_text(each.text)}</p>{quoted}{listed}"


def _text(text: str) -> str:
    return escape(visible(text))


def _escaped(cells: Sequence[str]) -> list[str]:
    return [_text(each) for each in cells]


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = (titles, ["---"] * len(titles), *([cell(each) for each in row] for row in rows))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
