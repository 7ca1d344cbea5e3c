"""How a drill starts the sandbox hotel a second time: settings for what the operator left out.

Belongs here: command, environment, login and migrations of the second instance. Not here: starting
it (``recovery.second_instance``), and the hotel that serves people (``supervisor``).
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

from pydantic import SecretStr

import kajovo_dr
from kajovo_dr.sandbox.environment import PREFIX
from kajovo_dr.settings import Settings

#: The second instance makes this account the administrator of the drill's database.
_EMAIL = "drill@kajovohotel.local"


def with_second_instance(settings: Settings, *, media_root: Path) -> Settings:
    """The settings with all that a drill of the hotel needs; what is set stays as it is.

    media_root: of the hotel's photos, which are read and never changed.
    """
    if settings.drill_app_command:
        return settings
    return settings.with_overrides(
        drill_app_command=drill_command(),
        drill_app_env=settings.drill_app_env | _environment(media_root),
        app_email=settings.app_email or SecretStr(_EMAIL),
        app_password=settings.app_password or SecretStr(secrets.token_urlsafe(18)),
        migrate_dir=settings.migrate_dir or Path(__file__).parent,
    )


def drill_command() -> tuple[str, ...]:
    """The command that starts the hotel's API on {port}."""
    return (sys.executable, "-m", "kajovo_dr.sandbox.api", "--port", "{port}")


def _environment(media_root: Path) -> dict[str, str]:
    # a checkout that is not installed is found from any working directory
    package = str(Path(kajovo_dr.__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))
    media = {PREFIX + "MEDIA_ROOT": str(media_root)}
    return {**media, "PYTHONPATH": path, "PYTHONUTF8": "1"}
