"""An incident's recovery: a backup restored beside the live database, made ready, and swapped in.

Belongs here: the phases, their order, and what each says of itself. Not here: how a phase does its
work (its own module), the journal's file (``journal``), how it is shown.

Whatever dies, and whenever: until the swap the live database is untouched, the swap is one
transaction, and the journal says which phase to go on with. Each phase may be begun anew.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from kajovo_dr import process
from kajovo_dr.backups import catalog
from kajovo_dr.backups.manifest import safety_reason
from kajovo_dr.backups.store import open_store
from kajovo_dr.backups.take import take
from kajovo_dr.errors import (
    DrError,
    RestoreFailed,
    ServerLost,
    SettingError,
    SwapFailed,
    Unreachable,
)
from kajovo_dr.files import private_folder, replace_atomically
from kajovo_dr.postgres import carry_over, databases, swap
from kajovo_dr.postgres.server import Server, restore_target
from kajovo_dr.progress import Progress, silent
from kajovo_dr.recovery import control, legacy, roles
from kajovo_dr.recovery.journal import PhaseNote, RecoveryJournal
from kajovo_dr.recovery.losses import accounts_taken_back, lost_rows
from kajovo_dr.recovery.migrate import migrate
from kajovo_dr.recovery.outage import OutageWatch
from kajovo_dr.recovery.preflight import LOCK, Plan, require_finished
from kajovo_dr.recovery.read import Read, read
from kajovo_dr.recovery.readiness import wait_until_ready
from kajovo_dr.recovery.record import Outage, Phase, RecoveryRecord
from kajovo_dr.recovery.request import REPLACED, ROOM, beside
from kajovo_dr.recovery.restore import restore_beside
from kajovo_dr.recovery.revoke import revoke
from kajovo_dr.recovery.smoke import smoke
from kajovo_dr.recovery.write_probe import write_probe
from kajovo_dr.settings import Settings

#: The phases in their order. An undo has those that put a database in place and show that it works.
PHASES = {
    "recovery": (
        *("safety", "stop", "restore", "migrate", "legacy", "revoke", "swap"),
        *("start", "readiness", "smoke", "probe"),
    ),
    "undo": ("stop", "swap", "start", "readiness", "smoke"),
}
#: Those that a recovery of the database alone leaves out.
OF_THE_APPLICATION = frozenset(
    ("stop", "migrate", "legacy", "start", "readiness", "smoke", "probe")
)
#: Seconds to wait for an application that was started on the database as it was.
_BACK_S = 30.0
#: Seconds to wait for a server that was lost during the swap, to see whether it was done.
_LOST_S = 60.0


class Recovery:
    """A recovery, or an undo, that has begun.

    was_read: the backup, when this process has read it. within: the recovery that holds the lock.
    figures: numbers of the phases that this object did, for whoever shows them.
    """

    def __init__(
        self,
        settings: Settings,
        journal: RecoveryJournal,
        *,
        was_read: Read | None = None,
        within: Recovery | None = None,
        progress: Progress = silent,
    ) -> None:
        self._settings = settings
        self._within = within
        self.journal = journal
        self._read = was_read
        self._progress = progress
        self._locked = False
        self._refused: list[str] = []
        self.figures: dict[str, Any] = {}

    @classmethod
    def begin(
        cls,
        settings: Settings,
        plan: Plan,
        *,
        recovery_id: str = "",
        run: str = "",
        progress: Progress = silent,
    ) -> Recovery:
        """Write the journal of a plan that was found good; nothing else is touched yet.

        recovery_id: of its files and, in short, of its databases; empty: a new one. run: Dagster's.
        """
        request, backup = plan.request, plan.backup
        recovery_id = recovery_id or str(uuid.uuid4())
        record = RecoveryRecord(
            id=recovery_id,
            runs=(run or recovery_id,),
            incident_at=request.incident_at or plan.began_at,
            detected_at=request.detected_at,
            started_at=plan.began_at,
            who=request.who,
            note=request.note,
            database=plan.target.dbname,
            server=plan.target.address,
            database_only=plan.database_only,
            named=bool(request.backup),
            create_roles=request.create_roles,
            backup=backup.name,
            snapshot_at=backup.manifest.created_at,
            sha256=backup.manifest.sha256,
            manifest_sha256=backup.manifest_sha256,
            lost_rows=plan.lost_rows,
            phases=(_preflight(plan),),
        )
        record = record.model_copy(
            update={
                "room": beside(record.database, ROOM, record.short),
                "replaced": beside(record.database, REPLACED, record.short),
            }
        )
        with alone(settings, plan.target) as admin:
            identity = databases.identity(admin, plan.target)
            live_oid = swap.oid_of(admin, record.database)
            require_finished(settings, plan.target, identity)  # begun since the plan was made
            record = record.model_copy(update={"identity": identity, "live_oid": live_oid})
            journal = RecoveryJournal.begin(settings.state, record, settings)
        return cls(settings, journal, was_read=plan.read, progress=progress)

    @property
    def record(self) -> RecoveryRecord:
        """What the journal says now."""
        return self.journal.record

    @property
    def target(self) -> Server:
        """The database under the name that the application uses."""
        return restore_target(self._settings, self.record.database)

    @property
    def room(self) -> Server:
        """The database that takes this name; after the swap it is the target."""
        record = self.record
        return self.target if record.done("swap") else self.target.database(record.room)

    def do(self, name: str) -> Phase | None:
        """Do one phase, unless it is done or does not concern this recovery; what came of it."""
        record = self.record
        if name not in self._concerned():
            return None
        if not record.done(name):
            self._require_still_in_place()
            assert not self.missing_before(name), f"{name} is done out of its order"
            work = _WORK[name]
            with self.alone(), self.journal.phase(name) as note, self._watched():
                work(self, note)
        return next(each for each in reversed(self.record.phases) if each.name == name)

    def _require_still_in_place(self) -> None:
        """Raise `SwapFailed` when the database that this one put in place is no longer there."""
        record = self.record
        if not record.done("swap"):
            return
        with administering(self._settings) as admin:
            if swap.oid_of(admin, record.database) != record.room_oid:
                raise SwapFailed(
                    f"{record.database!r} is no longer the database that {record.kind}"
                    f" {record.short} put in place: it was undone or replaced meanwhile",
                    hint=f"close it: kajovo-dr recover --abandon --id {record.short}.",
                )

    def require_complete(self) -> None:
        """Raise `SettingError` for a recovery of which a phase is missing: it did not end well."""
        if missing := self.missing_before(""):
            raise SettingError(
                f"phase {missing[0]} of {self.record.kind} {self.record.short} is not done",
                hint="go on with the whole of it: kajovo-dr recover --resume, or re-execute the run"
                " from failure.",
            )

    def missing_before(self, name: str) -> list[str]:
        """The phases before this one (empty: all phases) that are not done.

        A run of Dagster may leave steps out, or find them done that had to be taken back.
        """
        record, missing = self.record, []
        for before in self._concerned():
            if before == name:
                break
            if not record.done(before):
                missing.append(before)
        return missing

    def _concerned(self) -> list[str]:
        """The phases of this recovery, in their order."""
        record = self.record
        return [
            name
            for name in PHASES[record.kind]
            if not (record.database_only and name in OF_THE_APPLICATION)
            and (name != "probe" or self._settings.write_probe)
        ]

    def count_losses_again(self) -> None:
        """What would be lost now: the application may have gone on since it was counted."""
        record = self.record
        if record.kind == "recovery" and not record.done("swap"):
            with suppress(DrError):
                self.journal.update(lost_rows=lost_rows(self.target, self._backup()))

    def watch_until_it_answers(self) -> None:
        """See when the application is back, for the outage's end; some seconds at most."""
        record = self.record
        if record.database_only or not self._settings.app_base_url:
            return
        with OutageWatch(self._settings, earlier=record.outage) as watch:
            process.wait_until(lambda: _is_over(watch.outage()), timeout=_BACK_S)
        self.journal.update(outage=watch.outage())

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the lock of the target's recovery, once."""
        if self._within is not None:
            with self._within.alone():
                yield
            return
        if self._locked:
            yield
            return
        with alone(self._settings, self.target):
            self._locked = True
            try:
                yield
            finally:
                self._locked = False

    def forget_what_is_gone(self) -> None:
        """Take back what the journal says is done, where the server says otherwise."""
        record = self.record
        if record.kind == "undo" or record.swapped_at or not record.done("restore"):
            return
        with administering(self._settings) as admin:
            there = record.room_oid is not None and swap.name_of(admin, record.room_oid)
        if there not in (record.room, record.database):
            redo = {"restore", "migrate", "legacy", "revoke"}
            kept = tuple(each for each in record.phases if each.name not in redo)
            self.journal.update(phases=kept, room_oid=None)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Watch the application from outside while a phase runs."""
        record = self.record
        if record.database_only:
            yield
            return
        watch = OutageWatch(self._settings, earlier=record.outage)
        try:
            with watch:
                yield
        finally:
            if (seen := watch.outage()) != record.outage:
                self.journal.update(outage=seen)

    # the phases

    def _safety(self, note: PhaseNote) -> None:
        """A backup of the live database; that there is none must not keep anybody from recovering.

        It is told from the daily ones by its reason, and is younger than the incident.
        """
        settings = self._settings.with_overrides(min_tables=0, min_dump_bytes=0)
        reason = safety_reason(self.record.short)
        try:
            taken = take(
                settings, self.target, reason=reason, accept_shrink=True, progress=self._progress
            )
        except DrError as failure:
            note.skipped, note.detail = True, f"not taken: {failure}"
        else:
            note.detail = taken.backup.name
        self.journal.update(safety=note.detail)

    def _stop(self, note: PhaseNote) -> None:
        note.detail = control.stop(self._settings, progress=self._progress)
        if not note.detail:
            note.skipped = True
            note.detail = "no command is configured: it runs on until the swap ends its sessions"

    def _restore(self, note: PhaseNote) -> None:
        record, settings, room = self.record, self._settings, self.room
        with administering(self._settings) as admin:
            live = databases.exists(admin, record.database)
            tablespace = carry_over.tablespace_of_its_own(admin, record.database) if live else ""
            self._create_roles(admin)
        was_read = self._read or self._read_again()
        restored = restore_beside(
            settings,
            was_read,
            room,
            mark=mark(record),
            tablespace=tablespace,
            progress=self._progress,
        )
        with administering(self._settings) as admin:
            self.journal.update(room_oid=swap.oid_of(admin, room.dbname))
        self.figures |= {"rows": restored.rows, "tables": restored.tables}
        self.figures |= {f"{step}_seconds": seconds for step, seconds in restored.seconds.items()}
        times = ", ".join(f"{step} {seconds:.1f} s" for step, seconds in restored.seconds.items())
        note.detail = (
            f"{restored.rows} rows in {restored.tables} tables from {restored.backup},"
            f" equal to its manifest; {times}"
        )
        if made := self.figures.get("roles_created"):
            note.detail += f"; roles created without passwords: {made}"

    def _create_roles(self, admin: databases.Connection) -> None:
        if self.record.create_roles:
            backup = self._read.backup if self._read else self._backup()
            missing = databases.missing_roles(admin, list(backup.manifest.roles))
            if missing:
                made = roles.create(admin, backup, missing)
                self.figures["roles_created"] = ", ".join(made)

    def _backup(self) -> catalog.Backup:
        record = self.record
        assert record.backup is not None
        backup = catalog.by_name(open_store(self._settings), record.backup)
        if backup.manifest.sha256 != record.sha256:
            raise RestoreFailed(
                f"{record.backup} is not the backup that was chosen: its digest is another one",
                hint="give this recovery up (kajovo-dr recover --abandon) and begin a new one.",
            )
        return backup

    def _read_again(self) -> Read:
        """A process that goes on with the recovery has not read the backup itself."""
        return read(
            self._settings, self._backup(), named=self.record.named, progress=self._progress
        )

    def _migrate(self, note: PhaseNote) -> None:
        done = migrate(self._settings, self.room, progress=self._progress)
        steps = "\n".join(done.steps)
        self.figures |= {"before": done.before or "", "after": done.after, "steps": steps}
        same = done.before == done.after
        note.detail = "already at " if same else f"{done.before or 'empty'} to "
        note.detail += done.after

    def _legacy(self, note: PhaseNote) -> None:
        if not legacy.configured(self._settings):
            note.skipped, note.detail = True, "no legacy database is configured"
            return
        done = legacy.migrate_legacy(self._settings, self.room, progress=self._progress)
        note.detail = _imported(done)

    def _revoke(self, note: PhaseNote) -> None:
        settings, record = self._settings, self.record
        ended = revoke(settings, self.room)
        self.figures |= ended
        said = [f"{name} {rows}" for name, rows in ended.items()]
        note.detail = f"ended: {', '.join(said)}" if said else "nothing to end"
        try:
            found = accounts_taken_back(settings, self.target, self.room)
        except DrError as failure:  # the live database may be lost: nobody can say whose it was
            note.detail += f"; which accounts go back in time is not known: {failure}"
            return
        self.journal.update(accounts_reverted=len(found))
        if found:
            path = private_folder(settings.state / "recoveries") / f"{record.id}.accounts"
            lines = [f"{account.what}\t{account.who}\n" for account in found]
            replace_atomically(path, "".join(lines).encode())
            note.detail += f"; accounts that go back in time: {len(found)}, listed in {path.name}"

    def _swap(self, note: PhaseNote) -> None:
        try:
            seconds = self._swapped()
        except (ServerLost, Unreachable) as lost:
            seconds = None
            done = self._was_swapped_after_all()
            if not done:
                as_it_was = f"{self.record.database!r} is as it was"
                raise SwapFailed(
                    f"{lost}; {as_it_was if done is False else 'nobody can tell if it was done'}",
                    hint="when the server answers again: kajovo-dr recover --resume.",
                ) from None
        self.journal.update(swapped_at=self.record.swapped_at or datetime.now(UTC))
        if seconds is not None:
            self.figures["swap_ms"] = round(seconds * 1000, 1)
        took = "" if seconds is None else f" in {seconds * 1000:.0f} ms"
        record = self.record
        if record.live_oid is None:
            note.detail = f"{record.database!r} put in place{took}; there was none to replace"
        else:
            note.detail = f"{record.database!r} replaced{took}; the former one is kept as"
            note.detail += f" {record.replaced!r}"
        if self._refused:
            note.detail += f"; not carried over, set by hand: {', '.join(self._refused)}"

    def _swapped(self) -> float | None:
        """Exchange the names; the seconds it took, None when an earlier attempt has done it."""
        record = self.record
        assert record.room_oid is not None
        with exchanging(self._settings, self.target) as admin:
            holder = swap.oid_of(admin, record.database)
            if holder == record.room_oid:
                return None
            if record.live_oid not in (None, holder):
                raise SwapFailed(
                    f"{record.database!r} is no longer the database that was there when"
                    f" {record.kind} {record.short} began",
                    hint="somebody has recovered, undone or renamed it meanwhile: give this one up"
                    f" (kajovo-dr recover --abandon --id {record.short}) and begin a new one.",
                )
            self.journal.update(live_oid=holder)
            wanted = self._exchange(admin, record, holder)
            self._progress("swap", 0, None)
            return swap.exchange(admin, self.target, wanted)

    def _exchange(
        self, admin: databases.Connection, record: RecoveryRecord, holder: int | None
    ) -> swap.Exchange:
        """What is renamed. A restored database is first given what no dump holds: what the live one
        has, else what the backup remembers. An undo puts back one that has it all.
        """
        assert record.room_oid is not None
        comments: tuple[tuple[str, str | None], ...] = ()
        if record.kind == "recovery":
            attributes = (
                carry_over.read(admin, record.database)
                if holder is not None
                else self._backup().manifest.attributes
            )
            if attributes is not None:
                attributes, fences = attributes.without_fences()
                self._refused = [*fences, *self._given(admin, record.room, attributes)]
            comments = ((record.database, attributes.comment if attributes else None),)
        old = (swap.Renaming(holder, record.database, record.replaced),) if holder else ()
        new = swap.Renaming(record.room_oid, record.room, record.database)
        return swap.Exchange((*old, new), comments)

    def _given(
        self, admin: databases.Connection, room: str, attributes: carry_over.Attributes
    ) -> list[str]:
        """Give the attributes; a setting with which nobody can connect is worse than none."""
        refused = carry_over.give(admin, room, attributes)
        try:
            with databases.connect(self.target.database(room)):
                return refused
        except DrError as failure:
            bare = attributes.without_settings()
            return [*carry_over.give(admin, room, bare), f"all settings, with which {failure}"]

    def _was_swapped_after_all(self) -> bool | None:
        """Whether the server did it before the connection broke; waits for it to answer again.
        None: it did not.
        """
        deadline = time.monotonic() + _LOST_S
        while True:
            try:
                with exchanging(self._settings, self.target) as admin:
                    return swap.oid_of(admin, self.record.database) == self.record.room_oid
            except DrError:
                if time.monotonic() > deadline:
                    return None
                time.sleep(0.5)

    def _start(self, note: PhaseNote) -> None:
        note.detail = control.start(self._settings, progress=self._progress)
        if not note.detail:
            note.skipped, note.detail = True, "no command is configured: start it by hand"

    def _readiness(self, note: PhaseNote) -> None:
        ready = wait_until_ready(self._settings, progress=self._progress)
        note.detail = f"{ready.url} is ready, attempt {ready.attempts}"

    def _smoke(self, note: PhaseNote) -> None:
        result = smoke(self._settings, self.target, progress=self._progress)
        self.journal.update(smoke=result)
        passed = sum(each.ok for each in result.results)
        note.detail = f"{passed} of {len(result.results)} endpoints passed"
        if self.record.kind == "recovery":
            result.raise_for_failures()
        elif result.failures:  # it is the former database again, with what was wrong with it
            failed = ", ".join(each.name for each in result.failures)
            note.detail += f"; failed, as it is: {failed}"

    def _probe(self, note: PhaseNote) -> None:
        note.detail = write_probe(self._settings, progress=self._progress)


def _imported(done: legacy.LegacyMigration) -> str:
    said = [f"{name}: {each.imported} of {each.scanned}" for name, each in done.domains.items()]
    return "; ".join([f"imported {', '.join(said)}", *done.notes])


def _is_over(outage: Outage | None) -> bool:
    return outage is None or outage.until_at is not None


def mark(record: RecoveryRecord) -> str:
    """The comment of a database that is being made ready; it tells that it is ours to drop."""
    return f"kajovo_dr: restored by recovery {record.id}, not in use"


@contextmanager
def alone(settings: Settings, target: Server) -> Iterator[databases.Connection]:
    """Hold the lock of a target's recovery; raises `TargetBusy` while another one runs."""
    with databases.mutex(target, settings.maintenance_database, purpose=LOCK) as admin:
        yield admin


@contextmanager
def administering(settings: Settings) -> Iterator[databases.Connection]:
    """A session beside the databases of the server that restores go to."""
    with databases.connect(restore_target(settings, settings.maintenance_database)) as admin:
        yield admin


def is_here(admin: databases.Connection, target: Server, record: RecoveryRecord) -> bool:
    """Whether a recovery's target is of this server, whatever its address was then."""
    return record.identity in ("", databases.identity(admin, target))


@contextmanager
def exchanging(settings: Settings, target: Server) -> Iterator[databases.Connection]:
    """The session in which names are exchanged. Its lock says that no other exchange is under way:
    the server may still be at one whose process is dead, or whose connection broke.
    """
    purpose = "exchange of names"
    with databases.mutex(target, settings.maintenance_database, purpose=purpose) as admin:
        yield admin


def _preflight(plan: Plan) -> Phase:
    """The looking before, as the first phase of what it allowed."""
    ended = datetime.now(UTC)
    warned = "; ".join(f"{finding.name}: {finding.said}" for finding in plan.warnings)
    return Phase(
        name="preflight",
        began_at=plan.began_at,
        ended_at=ended,
        seconds=(ended - plan.began_at).total_seconds(),
        ok=True,
        detail=warned or "nothing is in the way",
    )


_WORK: dict[str, Callable[[Recovery, PhaseNote], None]] = {
    "safety": Recovery._safety,
    "stop": Recovery._stop,
    "restore": Recovery._restore,
    "migrate": Recovery._migrate,
    "legacy": Recovery._legacy,
    "revoke": Recovery._revoke,
    "swap": Recovery._swap,
    "start": Recovery._start,
    "readiness": Recovery._readiness,
    "smoke": Recovery._smoke,
    "probe": Recovery._probe,
}
