"""What commands of ``kajovo-dr`` share: their settings, and the option for scripts.

Belongs here: decorators of commands. Not here: commands (``cli``, ``cli_incidents``).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from kajovo_dr.settings import Settings

json_option = click.option("--json", "as_json", is_flag=True, help="Output for scripts.")


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the settings as its first argument."""

    @wraps(command)
    def loaded(*arguments: Any, **options: Any) -> None:
        command(Settings.load(), *arguments, **options)

    return loaded
