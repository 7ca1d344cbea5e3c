"""The environment of a configured command of the application.

Belongs here: what of ours it inherits, and filling addresses into the settings' templates. Not
here: running it (``migrate``, ``legacy``, ``control``).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from kajovo_dr.postgres.server import Server
from kajovo_dr.settings import PREFIX

_PARTS = ("host", "port", "user", "password", "dbname")


def inherited() -> dict[str, str]:
    """Ours without libpq's variables (they could redirect it) and without our own secrets."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith(("PG", PREFIX))
    }


def command_environment(
    server: Server, driver: str, templates: Mapping[str, str], **more: str
) -> dict[str, str]:
    """What is inherited, plus the templates with ``{sqlalchemy_url}``, the database's parts and
    `more` filled in.
    """
    known = {
        "sqlalchemy_url": server.url(f"postgresql+{driver}"),
        **{name: server.params.get(name, "") for name in _PARTS},
        **more,
    }
    given = {
        name: re.sub(r"\{(\w+)\}", lambda match: known.get(match[1], match[0]), template)
        for name, template in templates.items()
    }
    return {**inherited(), "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8", **given}
