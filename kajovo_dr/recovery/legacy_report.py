"""The report of a migration of legacy data: reading it, which may meet anything.

Belongs here: its shape, and that it is the report of this run. Not here: what its numbers mean
(``legacy_verdict``).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from kajovo_dr.errors import LegacyFailed
from kajovo_dr.redact import redacted

#: Bytes; the report of a million failed rows is smaller.
_LARGEST = 256 << 20
#: How far the clock of a command that runs elsewhere, in a container or over ssh, may be behind.
_CLOCK = timedelta(seconds=60)
#: Characters that are shown of what others wrote: errors of databases repeat rows.
_SHOWN = 200

_Count = Annotated[int, Field(ge=0, strict=True)]


class Totals(BaseModel, frozen=True):
    """Rows of one domain, or of all."""

    scanned: _Count
    imported: _Count
    skipped: _Count
    errors: _Count

    def __str__(self) -> str:
        return (
            f"scanned {self.scanned}, imported {self.imported}, skipped {self.skipped}, "
            f"errors {self.errors}"
        )

    @property
    def adds_up(self) -> bool:
        """Whether every scanned row was imported, skipped, or is an error."""
        return self.scanned == self.imported + self.skipped + self.errors


class RowError(BaseModel):
    """A row that was not imported, and why; in the tool's own words."""

    domain: Any = "?"
    legacy_table: Any = "?"
    legacy_pk: Any = "?"
    error: Any = ""

    def shown(self, secrets: tuple[str, ...]) -> str:
        """As it may be shown: without the secrets, and short. The first line of what was said: in
        the others databases repeat the row, which is somebody's data.
        """
        said = str(self.error).strip().partition("\n")[0]
        where = f"{self.domain} {self.legacy_table} {self.legacy_pk}"
        return cut(redacted(f"{where}: {said}", *secrets))


class Report(BaseModel):
    """What is judged of a report; a tool may write more."""

    dry_run: Annotated[bool, Field(strict=True)]
    started_at: datetime
    totals: Totals
    domains: dict[str, Totals]
    errors: list[RowError]


def read(path: Path, began: datetime) -> Report:
    """The report that a run which began at this time wrote; raises `LegacyFailed`."""
    try:
        if not path.is_file():
            raise LegacyFailed(
                "migrate_legacy ended well but wrote no report",
                hint="KAJOVO_DR_LEGACY_COMMAND must take --report-json FILE and write there.",
            )
        status = path.stat()
        if status.st_size > _LARGEST:
            raise _unreadable(f"it has {status.st_size} bytes")
        report = Report.model_validate_json(path.read_bytes())
    except OSError as failure:
        raise _unreadable(failure.strerror or type(failure).__name__) from None
    except ValidationError as invalid:
        raise _unreadable(_complaint(invalid)) from None
    written = datetime.fromtimestamp(status.st_mtime, began.tzinfo)
    _require_new(written, began, "was written")
    if report.started_at.tzinfo is not None:  # else nobody knows in which zone it is
        _require_new(report.started_at, began, "is of a run that began")
    return report


def _require_new(at: datetime, began: datetime, what: str) -> None:
    if at < began - _CLOCK:
        raise LegacyFailed(
            f"the report of migrate_legacy {what} at {at:%Y-%m-%d %H:%M:%S %Z}, "
            "before this run of it began",
            hint="it shows an earlier run: look what KAJOVO_DR_LEGACY_COMMAND does with "
            "--report-json; if it runs on another machine, set that one's clock.",
        )


def _unreadable(why: str) -> LegacyFailed:
    return LegacyFailed(
        f"the report of migrate_legacy cannot be read: {why}",
        hint="KAJOVO_DR_LEGACY_COMMAND must write its report as JSON in UTF-8, with dry_run, "
        "started_at, totals, domains and errors.",
    )


def _complaint(invalid: ValidationError) -> str:
    """The first thing that is wrong, without the value that is: it may be somebody's data."""
    error = invalid.errors(include_input=False, include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in error["loc"])
    said = str(error["msg"])
    return cut(f"{where}: {said}" if where else said[:1].lower() + said[1:])


def cut(text: str) -> str:
    """Printable, and no longer than what may be shown of other people's words."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in text)
    return shown if len(shown) <= _SHOWN else shown[: _SHOWN - 1] + "…"
