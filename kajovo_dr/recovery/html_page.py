"""One self-contained HTML page: what a person opens from a folder or a mail, years later.

Belongs here: the skeleton, its style, escaping and tables. Not here: what a page says. No script,
no font and no image comes from elsewhere: the page must open where the network is the casualty.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

#: Colours are variables, so that what is drawn in a page turns with it (``fill: var(--text)``).
_STYLE = """
:root { color-scheme: light dark; --text: #1c2330; --muted: #5b6575; --paper: #ffffff;
  --soft: #f3f5f8; --line: #d5dae2; --good: #1a7f4b; --warn: #9a6200; --bad: #c0281c;
  --accent: #2358b8; }
@media (prefers-color-scheme: dark) { :root { --text: #e6e9ef; --muted: #a0a9b8; --paper: #14181f;
  --soft: #1e242e; --line: #38414f; --good: #4cc38a; --warn: #e2a336; --bad: #ff7b6e;
  --accent: #8ab4ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 68rem; padding: 1.5rem 1rem 4rem; background: var(--paper);
  color: var(--text); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .5rem; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; }
p, ul, ol { margin: .5rem 0; }
li { overflow-wrap: anywhere; }
a { color: var(--accent); }
code, pre { font: .9em/1.45 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
  background: var(--soft); border-radius: 4px; }
code { padding: .1em .35em; overflow-wrap: anywhere; }
pre { padding: .7rem .9rem; overflow-x: auto; }
pre code { padding: 0; background: none; }
.scroll { overflow-x: auto; margin: .6rem 0; }
table { border-collapse: collapse; min-width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .4rem .7rem;
  border-bottom: 1px solid var(--line); }
th { color: var(--muted); font-weight: 600; white-space: nowrap;
  border-bottom: 2px solid var(--line); }
.number { text-align: right; white-space: nowrap; }
.muted { color: var(--muted); }
.good { color: var(--good); font-weight: 600; }
.warn { color: var(--warn); font-weight: 600; }
.bad { color: var(--bad); font-weight: 600; }
@media print { body { max-width: none; } .scroll { overflow: visible; } }
"""


def escape(text: object) -> str:
    """Text as HTML, for content and for quoted attributes."""
    return html.escape(str(text), quote=True)


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table that scrolls by itself on a narrow screen; titles and cells are escaped HTML."""
    head = "".join(f'<th scope="col">{title}</th>' for title in titles)
    body = "\n".join(
        "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>" for cells in rows
    )
    return (
        f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody>\n</table></div>"
    )


def page(title: str, body: str, language: str, style: str = "") -> str:
    """A whole page; title is text, body is HTML, language is ``en`` or ``cs``; style: more CSS."""
    return (
        f'<!doctype html>\n<html lang="{escape(language)}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}{style}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )
