"""A backup is read before anything is touched: whether it may be restored, and its bytes are right.

Belongs here: that reading, and the next older backup when a reading finds damage. Not here: loading
(``restore``) and which backups there are (``choose``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from kajovo_dr.backups.candidates import not_proven
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.damage import disk_may_fail, record_damage
from kajovo_dr.backups.inspect import verify
from kajovo_dr.errors import DumpDamaged, FileRefused
from kajovo_dr.postgres import client_tools
from kajovo_dr.progress import Progress, silent
from kajovo_dr.recovery.report import human_duration
from kajovo_dr.settings import Settings
from kajovo_dr.stopwatch import Stopwatch


@dataclass(frozen=True)
class Read:
    """A backup whose bytes are those that its manifest vouches for. seconds: of the reading."""

    backup: Backup
    seconds: float


def read(
    settings: Settings,
    backup: Backup,
    *,
    named: bool = False,
    recording: bool = True,
    progress: Progress = silent,
) -> Read:
    """Read a backup to its end. Damage is recorded in the store, so that nobody counts on it.

    named: the operator asked for this very backup, which allows one that is not proven; a damaged
    one is never restored. recording: false leaves the store as it is, whatever is found. Raises
    `NotProven`, `DumpDamaged`, and `FileRefused` for a bad disk.
    """
    _require_state(backup, named=named)
    watch, store = Stopwatch(), settings.store_dir if recording else None
    with watch.step("verify"), disk_may_fail(store, backup):
        found = verify(
            backup,
            transport=client_tools.transport_for(settings.pg_bin),
            timeout=settings.restore_timeout_s,
            deep=backup.state != "proven",  # the proof has decoded these very bytes
            progress=progress,
        )
    unrecorded = record_damage(store, backup, found)
    try:
        found.require(backup.name)
    except DumpDamaged as damaged:
        damaged.hint = f"{damaged.hint} {unrecorded}".strip()
        raise
    return Read(backup, watch.seconds["verify"])


def read_first_right(
    settings: Settings,
    candidates: Iterable[Backup],
    *,
    named: bool = False,
    recording: bool = True,
    trying: Callable[[Backup], None] = lambda backup: None,
    warn: Callable[[str], None],
    progress: Progress = silent,
) -> Read:
    """The first of the backups of `choose` that reads right; a named one stands alone there.

    trying: told each before it is read. warn: told which one is passed over, why, and how much
    older the next one is. Raises what is wrong with the last one.
    """
    left = list(candidates)
    while True:
        backup = left.pop(0)
        trying(backup)
        try:
            return read(settings, backup, named=named, recording=recording, progress=progress)
        except (DumpDamaged, FileRefused) as failure:
            if not left:
                raise
            older = (backup.manifest.created_at - left[0].manifest.created_at).total_seconds()
            warn(
                f"{failure}; it is skipped, and {left[0].name} is restored instead, whose snapshot"
                f" is {human_duration(older)} older"
            )


def _require_state(backup: Backup, *, named: bool) -> None:
    if backup.state == "damaged":
        raise DumpDamaged(
            f"{backup.name} is damaged: {backup.reason or 'its proof failed'}",
            hint="choose another one: kajovo-dr list. When the proof itself is in doubt, prove it "
            f"again: kajovo-dr verify {backup.name} --restore.",
        )
    if backup.state != "proven" and not named:
        raise not_proven(backup)
