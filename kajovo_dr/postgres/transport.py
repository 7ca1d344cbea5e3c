"""Running a PostgreSQL client tool next to the server that it speaks to.

`Local` runs the tools of this machine. The protocol is the seam for other places, such as inside a
container: bytes in, bytes out, an exit code, and nothing of what the tool is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kajovo_dr import process
from kajovo_dr.postgres.server import Server


class Transport(Protocol):
    """Where client tools run."""

    def run(
        self,
        tool: str,
        arguments: Sequence[str],
        *,
        server: Server,
        timeout: float,
        stdin: Iterable[bytes] | None = None,
        stdout: Callable[[bytes], None] | None = None,
    ) -> process.Completed:
        """Run a tool (``pg_dump``, ``psql``, …) against a database; see `process.run`."""


@dataclass(frozen=True)
class Local:
    """The client tools in a folder of this machine."""

    bin_dir: Path

    def run(
        self,
        tool: str,
        arguments: Sequence[str],
        *,
        server: Server,
        timeout: float,
        stdin: Iterable[bytes] | None = None,
        stdout: Callable[[bytes], None] | None = None,
    ) -> process.Completed:
        """Run a tool with the database's address and password in its environment, never in argv."""
        suffix = ".exe" if process.WINDOWS else ""
        return process.run(
            [os.fspath(self.bin_dir / f"{tool}{suffix}"), *arguments],
            env=server.environment(),
            timeout=timeout,
            stdin=stdin,
            stdout=stdout,
        )
