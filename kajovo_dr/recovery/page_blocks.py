"""A page as blocks (headings, lines, tables), and the two markups that it can have.

Belongs here: blocks, Markdown, HTML, and the escaping of both: every text passes it, whoever wrote
it. Not here: what a page says (``incident_pages``), or the style of HTML (``html_page``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from kajovo_dr.recovery import html_page

#: White space but for the no-break spaces, which are meant.
_SPACE = re.compile(r"[^\S\u00a0\u202f]+")
#: What would steer a terminal or turn a line around.
_STEERING = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"
)
#: What means something in a Markdown table; underscores only at the edge of a word.
_MARKDOWN = re.compile(r"[\\|`*\[\]~]|(?<!\w)_+|_+(?!\w)")


#: How good the news is.
Tone = Literal["", "good", "warn", "bad"]


@dataclass(frozen=True)
class Cell:
    """A text with a tone. unbroken: it stays on one line. link: the anchor that it leads to; both
    are of HTML alone.
    """

    text: str
    tone: Tone = ""
    unbroken: bool = False
    link: str = ""


@dataclass(frozen=True)
class Heading:
    """A heading; level 1 is the page's. anchor: of letters, digits and hyphens, for links to it."""

    level: int
    text: str
    anchor: str = ""


@dataclass(frozen=True)
class Line:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Table:
    """A table; a cell without a tone may be plain text."""

    titles: Sequence[str]
    rows: Sequence[Sequence[Cell | str]]


Block = Heading | Line | Table


def visible(text: str) -> str:
    """The text on one line, with control characters shown as U+FFFD."""
    return _STEERING.sub("\ufffd", _SPACE.sub(" ", text)).strip()


def cell(text: str) -> str:
    """Text that cannot leave its Markdown table cell: one line, no bar, no markup, no HTML."""
    escaped = _MARKDOWN.sub(lambda found: "".join(f"\\{c}" for c in found[0]), visible(text))
    return escaped.replace("&", "&amp;").replace("<", "&lt;")


def to_markdown(blocks: Iterable[Block]) -> str:
    """The blocks as Markdown, without a line end at the end."""
    return "\n\n".join(_markdown(block) for block in blocks)


def to_html(blocks: Iterable[Block]) -> str:
    """The blocks as HTML, for the body of a page."""
    return "\n".join(_html(block) for block in blocks)


def _markdown(block: Block) -> str:
    if isinstance(block, Heading):
        return f"{'#' * block.level} {cell(block.text)}"
    if isinstance(block, Line):
        return cell(block.text)
    rows = [[_markdown_cell(each) for each in row] for row in block.rows]
    lines = ([cell(title) for title in block.titles], ["---"] * len(block.titles), *rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _markdown_cell(content: Cell | str) -> str:
    if isinstance(content, str):
        return cell(content)
    return f"**{cell(content.text)}**" if content.tone in ("bad", "warn") else cell(content.text)


def _html(block: Block) -> str:
    if isinstance(block, Heading):
        anchor = f' id="{html_page.escape(block.anchor)}"' if block.anchor else ""
        return f"<h{block.level}{anchor}>{_text(block.text)}</h{block.level}>"
    if isinstance(block, Line):
        return f"<p>{_text(block.text)}</p>"
    rows = [[_html_cell(each) for each in row] for row in block.rows]
    return html_page.table([_text(title) for title in block.titles], rows)


def _html_cell(content: Cell | str) -> str:
    if isinstance(content, str):
        return _text(content)
    text = _text(content.text)
    if content.link:
        text = f'<a href="#{html_page.escape(content.link)}">{text}</a>'
    classes = " ".join(filter(None, (content.tone, "unbroken" if content.unbroken else "")))
    return f'<span class="{classes}">{text}</span>' if classes else text


def _text(text: str) -> str:
    return html_page.escape(visible(text))
