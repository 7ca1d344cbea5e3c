"""The record of a running recovery on disk, shared by the processes that carry it out.

Belongs here: `<state>/recoveries/<id>.json` and the measuring of phases. A phase is written down
when it begins, and again when it has ended, each time on the disk before anything else is done:
after a crash the record says how far it came. A phase that fails is written into the incident log
at once: nobody may come back to do it.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError

from kajovo_dr import private_file
from kajovo_dr.errors import DrError, LogUnwritable, SettingError
from kajovo_dr.recovery.incident_log import IncidentLog
from kajovo_dr.recovery.record import (
    ID_PATTERN,
    IncidentEntry,
    Phase,
    RecoveryRecord,
    entry_from,
)
from kajovo_dr.settings import Settings


@dataclass
class PhaseNote:
    """What the phase's own code may add: a detail such as ``24 tables``; that it had no work."""

    detail: str = ""
    skipped: bool = False


class RecoveryJournal:
    """One recovery's record. Every change is read from and written to the file under its lock."""

    def __init__(self, state: Path, recovery_id: str, settings: Settings | None = None) -> None:
        self._state = state
        self._path = _path(state, recovery_id)
        self._settings = settings

    @classmethod
    def begin(
        cls, state: Path, record: RecoveryRecord, settings: Settings | None = None
    ) -> RecoveryJournal:
        """Write a new record. settings: those of the RTO; None: read from the environment."""
        journal = cls(state, record.id, settings)
        with private_file.locked(journal._path):
            if journal._path.exists():
                raise LogUnwritable(
                    f"recovery {record.id} was begun already: {journal._path}",
                    hint="open it, or begin a recovery with another id.",
                )
            journal._write(record)
        return journal

    @classmethod
    def open(cls, state: Path, recovery_id: str, settings: Settings | None = None) -> Self | None:
        """The journal of a recovery that was begun, by whichever process; None when none was."""
        journal = cls(state, recovery_id, settings)
        return journal if journal._path.exists() else None

    @property
    def record(self) -> RecoveryRecord:
        """The record as it is on disk now."""
        try:
            return RecoveryRecord.model_validate_json(private_file.read(self._path))
        except ValidationError as damage:
            raise LogUnwritable(
                f"{self._path} is no recovery record: {damage.errors()[0]['msg']}",
                hint="move the file away and begin a new recovery.",
            ) from None

    def update(self, **changes: Any) -> RecoveryRecord:
        """Change fields of the record; values are checked."""
        with private_file.locked(self._path):
            record = self.record
            unchanged = {name: getattr(record, name) for name in RecoveryRecord.model_fields}
            record = RecoveryRecord.model_validate(unchanged | changes)
            self._write(record)
        return record

    def join(self, run: str) -> None:
        """Note the run that goes on with this recovery.

        A new one is another attempt: what failed before is in the incident log already.
        """
        record = self.record
        if run not in record.runs:
            if any(phase.ok is None for phase in record.phases):
                self.interrupt()
            succeeded = tuple(phase for phase in self.record.phases if phase.ok)
            self.update(runs=(*record.runs, run), phases=succeeded, smoke=None)

    def interrupt(self) -> None:
        """Log a recovery whose process died without a word, unless its end is logged already."""
        record = self.record
        if record.entry_id in {entry.id for entry in self._log().read()}.union(record.logged):
            return
        self.add(Phase(name="interrupted", ok=False, detail="its process was ended"))
        self.log()

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[PhaseNote]:
        """Measure a phase and save its beginning and end; a failure also goes into the incident
        log.
        """
        began, note = time.monotonic(), PhaseNote()
        begun = Phase(name=name, began_at=datetime.now(UTC))
        self.add(begun)

        def ended(*, ok: bool, detail: str) -> Phase:
            facts = {"ok": ok, "detail": detail, "skipped": note.skipped}
            facts |= {"ended_at": datetime.now(UTC), "seconds": time.monotonic() - began}
            return begun.model_copy(update=facts)

        try:
            yield note
        except BaseException as failure:
            try:
                self.add(ended(ok=False, detail=_reason(failure)))
                self.log()
            except DrError as unwritable:
                # the phase's own failure matters more than the failure to write it down
                failure.add_note(f"and it could not be written down: {unwritable}")
            raise
        self.add(ended(ok=True, detail=note.detail))

    def add(self, phase: Phase) -> None:
        """Write a phase down; one that ends takes the place of its own beginning."""
        with private_file.locked(self._path):
            record = self.record
            kept = [
                each
                for each in record.phases
                if (each.name, each.began_at, each.ok) != (phase.name, phase.began_at, None)
            ]
            self._write(record.model_copy(update={"phases": (*kept, phase)}))

    def log(self) -> IncidentEntry:
        """Write the recovery, as it is now, into the incident log as ended; its entry."""
        entry = entry_from(self.record, self._rto(), datetime.now(UTC))
        self._log().append(entry)
        if entry.id not in self.record.logged:
            self.update(logged=(*self.record.logged, entry.id))
        return entry

    def _log(self) -> IncidentLog:
        return IncidentLog.of(self._rto())

    def _rto(self) -> Settings:
        return self._settings or Settings.load(state=self._state)

    def _write(self, record: RecoveryRecord) -> None:
        private_file.replace(self._path, record.model_dump_json(indent=2) + "\n")


def records(state: Path) -> list[RecoveryRecord]:
    """All recoveries and undos of a state folder, oldest first; damaged records are left out."""
    found = []
    for path in (state / "recoveries").glob("*.json"):
        with contextlib.suppress(DrError):  # a damaged record is no recovery to go on with
            found.append(RecoveryJournal(state, path.stem).record)
    return sorted(found, key=lambda record: record.started_at)


def unfinished(state: Path) -> list[RecoveryRecord]:
    """Recoveries without an entry in the incident log: under way, or killed without a word."""
    logged = {entry.id for entry in IncidentLog(state).read()}
    return [each for each in records(state) if each.entry_id not in logged.union(each.logged)]


def _path(state: Path, recovery_id: str) -> Path:
    if not re.fullmatch(ID_PATTERN, recovery_id):
        raise SettingError(
            f"{recovery_id!r} is not a recovery's id",
            hint="an id has at most 64 letters, digits and hyphens.",
        )
    return state / "recoveries" / f"{recovery_id}.json"


def _reason(failure: BaseException) -> str:
    said = str(failure)
    if not isinstance(failure, DrError):
        said = ": ".join(filter(None, (type(failure).__name__, said)))
    return said.encode("utf-8", "replace").decode()  # a file's name may be no text at all
