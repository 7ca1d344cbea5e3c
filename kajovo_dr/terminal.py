"""What a person sees: progress, tables, errors. Output on stdout, progress and errors on stderr.

Belongs here: how it looks on a terminal and in a pipe. Not here: what is said (``cli``).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import click

from kajovo_dr.errors import DrError
from kajovo_dr.progress import LineProgress, Progress, human_bytes, percent

#: Seconds between two progress lines in a pipe or a log.
_LINE_INTERVAL_S = 5.0


def use_utf8() -> None:
    """Names and data may be Czech whatever the console's code page; never fail on a character."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")


def say(text: str = "") -> None:
    """A line of output."""
    click.echo(text)


def tell(text: str) -> None:
    """A line beside the output, so that a pipe gets the output alone."""
    click.echo(text, err=True)


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


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as their widest cell; the cells may be coloured."""
    lines = [[click.style(title, bold=True) for title in titles], *rows]
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
