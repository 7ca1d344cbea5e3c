"""What commands of ``kajovo-dr`` share: their settings, the option for scripts, who runs them.

Belongs here: decorators of commands, and defaults. Not here: commands (``cli``, ``cli_incidents``).
"""

from __future__ import annotations

import getpass
import os
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


def login_name(given: str | None) -> str:
    """Who runs the command, unless it was said."""
    if given is not None:
        return given
    if behind := os.environ.get("SUDO_USER") or os.environ.get("DOAS_USER"):
        return behind  # root is nobody
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # an account without a name, as in some containers
        return "unknown"
