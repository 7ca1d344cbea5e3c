"""What a person sees: progress, tables, errors. Output on stdout, progress and errors on stderr.

Belongs here: how it looks on a terminal and in a pipe. Not here: what is said (``cli``).
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import click

from kajovo_dr.errors import DrError
from kajovo_dr.finding import Finding
from kajovo_dr.progress import LineProgress, Progress, human_bytes, percent

#: Seconds between two progress lines in a pipe or a log.
_LINE_INTERVAL_S = 5.0
#: What would steer the terminal or turn a line around, in a manifest that a stranger wrote. The
#: colours are those of this module; Czech no-break spaces and emoji joiners are none of them.
_STEERING = re.compile(
    r"(\x1b\[(?:[01]|3[123])m)"
    r"|[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"
)


def use_utf8() -> None:
    """Names and data may be Czech whatever the console's code page; never fail on a character."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")


def clean(text: str, *, keep: str = "") -> str:
    """The text with control characters shown as U+FFFD, but for the colours of this module."""
    return _STEERING.sub(lambda found: found[0] if found[1] or found[0] in keep else "\ufffd", text)


def say(text: str = "") -> None:
    """A line of output."""
    click.echo(clean(text, keep="\n\t"))


def tell(text: str) -> None:
    """A line beside the output, so that a pipe gets the output alone."""
    click.echo(clean(text, keep="\n\t"), err=True)


def show_json(value: Any) -> None:
    """Output for scripts."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=1, default=str))


def show_error(error: DrError) -> None:
    """What is wrong, and the next step."""
    tell(click.style("error: ", fg="red", bold=True) + str(error))
    if error.hint:
        tell(click.style("hint: ", fg="yellow") + error.hint)


def mark(*, ok: bool, warning: bool = False) -> str:
    """One word that says how it went, coloured on a terminal."""
    if ok:
        return click.style("ok", fg="green")
    return click.style("warn", fg="yellow") if warning else click.style("FAIL", fg="red", bold=True)


def finding(found: Finding, *, hint: bool = True) -> None:
    """A line of what was looked at, and below it the next step, if it is wanted."""
    gap = " " * (5 - len(found.verdict))  # the mark itself has invisible colours
    how = mark(ok=found.verdict == "ok", warning=found.verdict == "warn")
    say(f"{how}{gap}{found.name}: {found.said}")
    if hint and found.hint:
        say(f"     hint: {found.hint}")


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as their widest cell; the cells may be coloured."""
    cells = [[clean(cell) for cell in row] for row in rows]
    lines = [[click.style(title, bold=True) for title in titles], *cells]
    widths = [max(len(click.unstyle(line[at])) for line in lines) for at in range(len(titles))]
    for line in lines:
        padded = (
            cell + " " * (width - len(click.unstyle(cell)))
            for cell, width in zip(line, widths, strict=True)
        )
        say("  ".join(padded).rstrip())


def local_time(moment: datetime, timezone: str) -> str:
    """A moment for people, in the settings' time zone."""
    return moment.astimezone(ZoneInfo(timezone)).strftime("%Y-%m-%d %H:%M:%S")


@contextmanager
def progress() -> Iterator[Progress]:
    """A live bar on a terminal, plain lines elsewhere."""
    if not sys.stderr.isatty():
        yield LineProgress(tell, interval=_LINE_INTERVAL_S)
        return
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = ("{task.description}", BarColumn(), TextColumn("{task.fields[said]}"))
    with Bar(
        SpinnerColumn(),
        *columns,
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    ) as bar:
        task = bar.add_task("", total=None, said="")

        def show(phase: str, done: int, total: int | None) -> None:
            said = f"{human_bytes(done)} {percent(done, total)}" if done else ""
            bar.update(task, description=phase, completed=done, total=total, said=said)

        yield show
