"""Whether the process of a run still lives, and the end of runs that died with theirs.

Belongs here: the lock that a run's process holds, who holds it, and telling Dagster, and the
recovery that such a run carried out. Not here: when somebody looks (``alert_sensor``, ``launch``).
A process that dies, in whatever way, loses its lock at once; one that ends in order takes its note
away first. Without this a run that a power cut left as started keeps its place in the queue, and
tonight's backup behind it, until Dagster's own run monitoring ends it by its maximum runtime.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

import dagster as dg
from filelock import FileLock, Timeout

from kajovo_dr import private_file
from kajovo_dr.files import PRIVATE_FILE
from kajovo_dr.recovery.journal import RecoveryJournal, records
from kajovo_dr.settings import Settings

_WORKING = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
_Life = Literal["alive", "dead", "unknown"]


@dataclass(frozen=True)
class Reaped:
    """A run that was ended. recoveries: ids of those that it carried out, interrupted now."""

    run_id: str
    job: str
    why: str
    recoveries: tuple[str, ...]

    def __str__(self) -> str:
        return f"run {self.run_id[:8]} of {self.job}: {self.why}"


@contextlib.contextmanager
def held(state: Path, run_id: str) -> Iterator[None]:
    """Hold the lock of this process's part in a run while the block runs."""
    # a run may have several processes; the lock comes first, so that no note is ever without one
    note = _folder(state) / f"{run_id}.{os.getpid()}.json"
    said = {"pid": os.getpid(), "since": datetime.now(UTC).isoformat()}
    with private_file.locked(note):
        private_file.replace(note, json.dumps(said))
        try:
            yield
        finally:
            _remove(note)
    _remove(_lock(note))


def reap(
    instance: dg.DagsterInstance, settings: Settings, now: datetime, *, alone: bool = False
) -> list[Reaped]:
    """Mark runs in progress as failed whose processes died on this machine; which they were.

    Others are left alone: those whose process lives, and those of which nobody here knows, because
    they are on another machine, begin at this moment or are just being ended. alone: nobody else
    uses this storage and its daemon has not begun, so such runs are dead, too.
    """
    statuses = [*_WORKING, dg.DagsterRunStatus.STARTING] if alone else _WORKING
    dead = {"dead", "unknown"} if alone else {"dead"}
    reaped = []
    for record in instance.get_run_records(filters=dg.RunsFilter(statuses=statuses)):
        run_id = record.dagster_run.run_id
        if _life(settings.state, run_id) in dead:
            reaped.append(_end(instance, settings, record, now))
            for note in _notes(settings.state, run_id):
                _remove(note)
                _remove(_lock(note))
    return reaped


def _end(
    instance: dg.DagsterInstance, settings: Settings, record: dg.RunRecord, now: datetime
) -> Reaped:
    run, begun = record.dagster_run, record.create_timestamp
    if record.start_time is not None:
        begun = datetime.fromtimestamp(record.start_time, UTC)
    why = (
        "the process of this run is gone: the machine lost its power or was restarted, or the"
        f" process was killed; begun {_shown(begun, settings)}, found {_shown(now, settings)}"
    )
    instance.report_run_failed(run, why)
    # a run that took a recovery over from this one goes on with it
    carried = [each for each in records(settings.state) if each.runs[-1:] == (run.run_id,)]
    for recovery in carried:
        RecoveryJournal(settings.state, recovery.id, settings).interrupt()
    return Reaped(run.run_id, run.job_name, why, tuple(each.id for each in carried))


def _shown(moment: datetime, settings: Settings) -> str:
    return f"{moment.astimezone(ZoneInfo(settings.timezone)):%Y-%m-%d %H:%M}"


def _life(state: Path, run_id: str) -> _Life:
    """How the processes of this machine stand that work at a run. dead: there were some, and none
    of them is left.
    """
    found = {_life_of(note) for note in _notes(state, run_id)}
    if "alive" in found:
        return "alive"
    return "dead" if found == {"dead"} else "unknown"


def _life_of(note: Path) -> _Life:
    lock = FileLock(_lock(note), mode=PRIVATE_FILE)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return "alive"
    try:
        return "dead" if note.exists() else "unknown"  # gone: it ended between our two looks
    finally:
        lock.release()


def _folder(state: Path) -> Path:
    return state / "runs"


def _notes(state: Path, run_id: str) -> list[Path]:
    return sorted(_folder(state).glob(f"{run_id}.*.json"))


def _lock(note: Path) -> Path:
    return note.with_name(f".{note.name}.lock")


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
