"""The sidecars that the scripts before kajovo_dr wrote beside a dump file, and its moment.

Belongs here: reading them as Windows wrote them, and comparing them with the file. Not here: our
own sidecars (``manifest``).
"""

from __future__ import annotations

import codecs
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from kajovo_dr.backups.manifest import DIGEST_SUFFIX, MANIFEST_SUFFIX
from kajovo_dr.backups.sql_scan import Finding
from kajovo_dr.backups.store import sidecar

#: What Windows PowerShell writes before a text, and how it is written then.
_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
#: A sidecar is small; whatever is larger is something else.
_LARGEST = 1 << 20
_STAMP = re.compile(r"(?<!\d)(20\d\d)-?(\d\d)-?(\d\d)[-_T ]?(\d\d)[-_:.]?(\d\d)[-_:.]?(\d\d)(?!\d)")
_CHANGED = "its {suffix} sidecar does not match: it was changed after it was written"


@dataclass(frozen=True)
class OldSidecars:
    """What they say. fields: of the JSON, empty unless it agrees with the file; notes: the rest."""

    fields: dict[str, Any]
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()

    def text(self, name: str) -> str:
        """A field that is a text, or an empty one."""
        value = self.fields.get(name)
        return value if isinstance(value, str) else ""


def read_sidecars(path: Path, size_bytes: int, sha256: str) -> OldSidecars:
    """Read the sidecars of a dump file and compare them with its bytes."""
    findings, notes = [], []
    digest, problem = _text(sidecar(path, DIGEST_SUFFIX))
    if digest.split() and digest.split()[0].lower().lstrip("\\") != sha256:
        findings.append(Finding("sidecar", _CHANGED.format(suffix="sha256")))
    notes += problem
    document, problem = _document(sidecar(path, MANIFEST_SUFFIX))
    notes += problem
    said = str(document.get("sha256", sha256)).lower()
    if said != sha256 or document.get("size_bytes", size_bytes) != size_bytes:
        findings = findings or [Finding("sidecar", _CHANGED.format(suffix="json"))]
        document = {}
    named = document.get("backup_file")
    if isinstance(named, str) and named != path.name:
        notes.append(f"its {MANIFEST_SUFFIX} sidecar calls it {named}")
    return OldSidecars(document, tuple(findings), tuple(notes))


def moment_of(path: Path, sidecars: OldSidecars, timezone: str) -> datetime:
    """When a dump was made: by its sidecar, else by its name (in local time), else by the file.

    Never later than now: a clock that was wrong once must not make it the newest backup for ever.
    """
    zone = ZoneInfo(timezone)
    written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    told = _moment(sidecars.text("created_at"), zone)
    stamp = _STAMP.search(path.name)
    named = _moment("{}-{}-{}T{}:{}:{}".format(*stamp.groups()), zone) if stamp else None
    now = datetime.now(UTC)
    past = (each for each in (told, named, written) if each is not None and each <= now)
    return next(past, now)


def _moment(text: str, zone: ZoneInfo) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _text(path: Path) -> tuple[str, list[str]]:
    """The text of a sidecar, empty without one, and what there is to say of it."""
    try:
        if not path.is_file() or path.is_symlink():
            return "", []
        if path.stat().st_size > _LARGEST:
            raise ValueError("too large")
        content = path.read_bytes()
        for mark, encoding in _MARKS.items():
            if content.startswith(mark):
                return content.removeprefix(mark).decode(encoding), []
        return content.decode("utf-8"), []
    except (OSError, ValueError):
        return "", [f"its {path.suffix} sidecar cannot be read"]


def _document(path: Path) -> tuple[dict[str, Any], list[str]]:
    text, problem = _text(path)
    if not text:
        return {}, problem
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        return {}, [f"its {path.suffix} sidecar cannot be read"]
    return document, []
