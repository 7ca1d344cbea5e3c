"""The command line as a test runs it: a real process, with the settings of the test's environment.

What each run printed is searched for tracebacks, escape codes and passwords, whatever else the test
is about. Not here: tests, or what a test expects.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kajovo_dr.settings import PREFIX

ROOT = Path(__file__).parents[1]
#: The command line in a process that cannot import Dagster.
WITHOUT_DAGSTER = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0].startswith("dagster"):
            raise RuntimeError(f"{name} was imported")
sys.meta_path.insert(0, Refuse())
from kajovo_dr.cli import main
main()
"""


@dataclass(frozen=True)
class Shell:
    """Runs commands with the settings of the test's environment."""

    secrets: tuple[str, ...]

    program: tuple[str, ...] = ("-m", "kajovo_dr.cli")

    def __call__(self, *words: str, **variables: str) -> Ended:
        ours = {PREFIX + name.upper(): value for name, value in variables.items()}
        done = subprocess.run(
            [sys.executable, *self.program, *words],
            env={**os.environ, **ours},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,  # nobody is there to be asked, whoever runs the tests
            capture_output=True,
            timeout=120,
        )
        ended = Ended(done.returncode, done.stdout.decode("utf-8"), done.stderr.decode("utf-8"))
        everything = ended.out + ended.err
        assert "Traceback" not in everything
        assert "\x1b" not in everything
        assert not [secret for secret in self.secrets if secret in everything]
        return ended


@dataclass(frozen=True)
class Ended:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str

    def ok(self) -> Ended:
        assert self.code == 0, self.err
        return self

    def json(self) -> Any:
        return json.loads(self.out)


def failed_checks(ended: Ended) -> list[str]:
    """The names of the doctor's failures."""
    return [each["name"] for each in ended.json() if each["verdict"] == "fail"]
