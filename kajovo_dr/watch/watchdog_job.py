"""What a scheduler must know to run the watchdog: program, user, folders, variables.

Belongs here: these facts, and the file of variables. Not here: what a scheduler wants to have them
in (``systemd_units``, ``other_schedulers``), and how it is installed (``install_help``).
"""

from __future__ import annotations

import contextlib
import getpass
import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from kajovo_dr.errors import SettingError
from kajovo_dr.settings import CONFIG_VARIABLE, PREFIX, Settings

NAME = "kajovo_dr-watchdog"
MINUTES = 5
#: Minutes after which a watchdog that hangs is ended: channels that do not answer cost seconds.
LONGEST_MINUTES = 10
#: Holds secrets: whoever may read it may read the database.
VARIABLES_FILE = "/etc/kajovo_dr.env"
#: What the watchdog is of no use without.
_WANTED = ("alert_urls", "watchdog_url")


@dataclass(frozen=True)
class Job:
    """The watchdog as a scheduler runs it.

    user: owns the state folder. reads: what must be within its sight; writes: what it changes.
    shown: variables with their values; named: those of which nobody must see the value.
    """

    program: str
    user: str
    reads: tuple[Path, ...]
    writes: tuple[Path, ...]
    shown: dict[str, str]
    named: tuple[str, ...]

    @classmethod
    def of(cls, settings: Settings, program: Path | str) -> Job:
        """The job of these settings. Raises `SettingError` for a path that no file can name."""
        shown = {f"{PREFIX}STATE": str(settings.state)}
        if config := os.environ.get(CONFIG_VARIABLE):
            shown[CONFIG_VARIABLE] = str(Path(config).expanduser().absolute())
        for text in (str(program), *shown.values(), str(settings.metrics_file or "")):
            if not text.isprintable():
                raise SettingError(
                    f"{text!r} has characters that cannot be written into a scheduler's file",
                    hint="install it in a folder with a plain name.",
                )
        metrics = (settings.metrics_file.parent,) if settings.metrics_file else ()
        return cls(
            str(program),
            _owner(settings.state),
            (settings.store_dir, Path(program)),
            (settings.state, *metrics),
            shown,
            _names(settings),
        )

    def variables_file(self) -> str:
        """Lines that systemd and a shell read alike; the values of those that are named are for the
        reader to fill in.
        """
        known = [f"{name}={shlex.quote(value)}" for name, value in self.shown.items()]
        return "\n".join([*known, *(f"{name}='...'" for name in self.named)])


def _names(settings: Settings) -> tuple[str, ...]:
    """What this process was given as variables, so that the watchdog judges by the same settings,
    and what it is of no use without. Secrets lie nowhere else.
    """
    given = {name.upper() for name in os.environ}
    named = [
        name
        for name in type(settings).model_fields
        if name in _WANTED or (PREFIX + name.upper() in given and name != "state")
    ]
    return tuple(PREFIX + name.upper() for name in named)


def _owner(folder: Path) -> str:
    """The user who owns a folder; while there is none, the one who asks."""
    with contextlib.suppress(OSError, KeyError, NotImplementedError):
        return folder.owner()
    with contextlib.suppress(OSError, KeyError, ImportError):
        domain = os.environ.get("USERDOMAIN", "")
        return f"{domain}\\{getpass.getuser()}" if domain else getpass.getuser()
    return "root"
