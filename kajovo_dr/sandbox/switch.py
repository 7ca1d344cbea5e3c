"""Stops and starts the hotel's API, which another process supervises, as a command would.

    python switch.py stop|start FOLDER

Belongs here: the command, and the files in the sandbox's folder by which it speaks with the
supervisor: a wish, and what came of it. Not here: supervision (``supervisor``). Run as a script it
imports nothing of kajovo_dr: it works from every folder, and its start is part of an outage.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
import time
from dataclasses import dataclass
from pathlib import Path

#: Where the API listens; exists while it is supervised.
ADDRESS = "api-address"
_WISH = "api-wish"
_OUTCOME = "api-outcome"
#: Seconds that the supervisor may take.
WITHIN_S = 30.0
_PAUSE_S = 0.02


@dataclass(frozen=True)
class Wish:
    """What the API is to do. token: tells it from the wishes before."""

    running: bool
    token: str


def command(verb: str, folder: Path) -> tuple[str, ...]:
    """The command line that stops or starts the API of a sandbox's folder."""
    return (sys.executable, "-I", str(Path(__file__).resolve()), verb, str(folder))


def wish(folder: Path, *, running: bool) -> Wish:
    """Make it known that the API is to run, or not."""
    made = Wish(running, secrets.token_hex(8))
    _write(folder / _WISH, f"{'start' if running else 'stop'} {made.token}")
    return made


def wished(folder: Path) -> Wish | None:
    """The last wish; None when it cannot be read now."""
    verb, _, token = _read(folder / _WISH).partition(" ")
    return Wish(verb == "start", token) if verb in ("start", "stop") and token else None


def tell(folder: Path, done: Wish, trouble: str = "") -> None:
    """Say that a wish is done, or why it cannot be."""
    _write(folder / _OUTCOME, f"{done.token} {trouble}")


def told(folder: Path, asked: Wish) -> str | None:
    """What came of a wish: None until it is done, then what went wrong, or an empty text."""
    token, _, trouble = _read(folder / _OUTCOME).partition(" ")
    return trouble if token == asked.token else None


def main(words: list[str]) -> str:
    """Do what the command line says; what went wrong, or an empty text."""
    if len(words) != 2 or words[0] not in ("stop", "start"):
        return "usage: switch.py stop|start FOLDER"
    verb, folder = words[0], Path(words[1])
    if not (folder / ADDRESS).exists():
        return f"nobody supervises the hotel's API in {folder}: start kajovo-dr up"
    asked = wish(folder, running=verb == "start")
    deadline = time.monotonic() + WITHIN_S
    while (trouble := told(folder, asked)) is None:
        if time.monotonic() > deadline:
            return f"nobody did {verb} the hotel's API within {WITHIN_S:g} s: start kajovo-dr up"
        time.sleep(_PAUSE_S)
    return trouble


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):  # not there, or (Windows) just being replaced
        return ""


def _write(path: Path, text: str) -> None:
    """Replace a private file: a reader meets the old text or the new one."""
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
            handle.write(text)
        _replace(new, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            new.unlink()


def _replace(new: Path, path: Path) -> None:
    """On Windows nobody can replace a file while somebody reads it."""
    for _ in range(50):
        with contextlib.suppress(PermissionError):
            new.replace(path)
            return
        time.sleep(_PAUSE_S)
    new.replace(path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) or 0)
