"""What a reader of a published backup leaves for the others when its bytes are no longer right.

Belongs here: the proof records that are written without a proof. Not here: the reading
(``inspect``) and the proof itself (``prove``).
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.inspect import Inspection
from kajovo_dr.backups.proof import write_proof
from kajovo_dr.errors import FileRefused, StoreError

#: Findings about the bytes alone. Any other may lie in a tool, or in what the backup was made of.
_BYTES = ("size", "sha256", "roles")
#: How systems say that a disk cannot give what is on it; not every system knows all of them.
_LOST = ("EIO", "ENXIO", "ENODEV", "ESTALE", "EBADMSG", "EUCLEAN", "EREMOTEIO", "ETIMEDOUT")
_LOST_NUMBERS = {getattr(errno, name) for name in _LOST if hasattr(errno, name)}


def record_damage(store: Path | None, backup: Backup, found: Inspection) -> str:
    """Record that the bytes of a backup of this store were changed, so that nobody counts on it.

    store: None records nothing.

    Returns why that could not be recorded; empty when it was, or when there is nothing to record.
    """
    changed = [str(finding) for finding in found.findings if finding.rung in _BYTES]
    if not changed or not _lies_in(store, backup.path):
        return ""
    return _record(backup, "damaged", "; ".join(changed))


@contextmanager
def disk_may_fail(store: Path | None, backup: Backup) -> Iterator[None]:
    """Turn a disk that cannot give a backup's bytes into `FileRefused`, and record it: what cannot
    be read is not proven any more. It may be read again one day, so it is not called damaged.
    """
    try:
        yield
    except OSError as failure:
        if failure.errno not in _LOST_NUMBERS:
            raise
        why = f"cannot be read: {str(failure.strerror).lower()}"
        if _lies_in(store, backup.path):
            _record(backup, "unproven", f"the file {why}")
        raise FileRefused(
            f"{backup.path} {why}",
            hint="look after the disk of the store; choose another backup: kajovo-dr list.",
        ) from None


def _record(backup: Backup, state: Literal["damaged", "unproven"], reason: str) -> str:
    if backup.state == "damaged" or not backup.path.exists():
        return ""
    try:
        write_proof(backup.path, backup.judged(state, datetime.now(UTC), reason=reason))
    except (StoreError, OSError) as failure:  # what was found is more important than its record
        return f"this could not be recorded: {failure}"
    return ""


def _lies_in(store: Path | None, path: Path) -> bool:
    return store is not None and path.parent.resolve() == store.resolve()
