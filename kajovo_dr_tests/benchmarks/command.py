"""What the benchmarks' commands share: their options, and where the page goes.

Belongs here: options, errors, output. Not here: measuring.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import click

from kajovo_dr.errors import DrError
from kajovo_dr.settings import PREFIX

gigabytes_option = click.option(
    "--gigabytes",
    type=click.FloatRange(0.001, 1000),
    default=1.0,
    show_default=True,
    help="Size of the database on disk, about.",
)
output_option = click.option(
    "--output",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write the page to this file too.",
)


def show(measured: Callable[[], str], output: Path | None) -> None:
    """Measure, and print the page; also into the file, if one is given."""
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[name]  # a setting exported in the shell must not steer the measurement
    try:
        if output is not None:
            output.parent.mkdir(parents=True, exist_ok=True)
        page = measured()
        click.echo(page)
        if output is not None:
            output.write_text(page, encoding="utf-8")
    except DrError as error:
        raise click.ClickException(error.described()) from None
    except OSError as refused:
        raise click.ClickException(f"{refused.filename}: {refused.strerror}") from None


def tell(text: str) -> None:
    """Progress, beside the page."""
    click.echo(text, err=True)
