"""The drill: a whole recovery into a database that nobody uses, timed against RPO and RTO.

Belongs here: the order of the phases, the record of the drill, and its verdict. Not here: what a
phase does (``drill_steps``), how the report looks (``drill_report``).

A drill that could not run is a failed drill and has its record, too. So has one that left anything
behind, and one that was killed: the next one, or who asks for the history, writes it down. The
backup that it took stays: it is as good as any other.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from kajovo_dr import __version__
from kajovo_dr.backups.zoo.mutants import Mutant
from kajovo_dr.backups.zoo.registry import MUTANTS
from kajovo_dr.errors import DrError, DrillFailed, TargetBusy
from kajovo_dr.files import held_alone
from kajovo_dr.postgres.server import Server
from kajovo_dr.progress import Progress, silent
from kajovo_dr.recovery import drill_history, drill_report, legacy
from kajovo_dr.recovery.drill_history import History
from kajovo_dr.recovery.drill_phases import Course, Facts
from kajovo_dr.recovery.drill_record import RTO, DrillPhase, DrillRecord, Objectives, rto_of
from kajovo_dr.recovery.drill_steps import Steps
from kajovo_dr.settings import Settings


@dataclass(frozen=True)
class DrillReport:
    """A drill that has ended, and all drills. path: its HTML file."""

    record: DrillRecord
    history: History
    path: Path

    def require_ok(self) -> None:
        """Raise `DrillFailed` unless each phase passed and the RTO was kept."""
        record = self.record
        if record.ok:
            return
        failure = record.failure
        if failure is None:
            raise DrillFailed(
                f"the drill's recovery took {record.rto_s:.0f} s, the RTO is"
                f" {record.objectives.rto_s:.0f} s",
                hint=f"see which phase takes the time: {self.path}",
            )
        raise DrillFailed(
            f"the drill failed in the phase {failure.name}: {failure.detail}",
            hint=" ".join(filter(None, (failure.hint, f"The report is {self.path}"))),
        )


def run(
    settings: Settings,
    *,
    who: str,
    source: Server,
    progress: Progress = silent,
    mutants: Sequence[Mutant] = MUTANTS,
) -> DrillReport:
    """Run a drill of the database; its verdict is in the report (`DrillReport.require_ok`).

    who: for the record. mutants: of the zoo, all of them but in tests. Raises `TargetBusy` while
    another drill runs on this state folder, and `LogUnwritable` when nothing can be written down.
    """
    with _alone(settings):
        _write_killed(settings)
        begun = datetime.now(UTC)
        with ExitStack() as stack:
            steps = Steps(settings, secrets.token_hex(4), source, mutants, progress, stack)

            def record(phases: dict[str, DrillPhase]) -> DrillRecord:
                return _record(settings, steps, phases, who, begun)

            course = Course(progress, lambda p: drill_history.bequeath(settings.state, record(p)))
            _phases(course, steps)
        report = _written(settings, record(course.phases))
        drill_history.close(settings.state)
    if course.ending is not None:
        raise course.ending
    return report


def impossible(settings: Settings, *, who: str, failure: DrError) -> DrillReport:
    """The report of a drill that could not even begin, because of this failure."""

    def fail() -> Facts:
        raise failure

    begun, course = datetime.now(UTC), Course(silent)
    course.run("prepare", fail)
    phases = tuple(course.phases.values())
    record = DrillRecord(
        id=secrets.token_hex(4),
        started_at=begun,
        finished_at=datetime.now(UTC),
        who=who,
        database="",
        application=settings.drill_application,
        legacy=legacy.configured(settings),
        ok=False,
        failed_phase="prepare",
        phases=phases,
        objectives=Objectives.of(settings),
        versions={"kajovo_dr": __version__},
    )
    return _written(settings, record)


def log_killed(settings: Settings) -> None:
    """Write down a drill that was killed, unless one runs now."""
    with suppress(TargetBusy), _alone(settings):
        _write_killed(settings)


def _write_killed(settings: Settings) -> None:
    if killed := drill_history.inherit(settings.state):
        _written(settings, killed)
        drill_history.close(settings.state)


def _phases(course: Course, steps: Steps) -> None:
    course.run("prepare", steps.prepare)
    course.run("backup", steps.take_backup)
    course.run("proof", steps.prove)
    course.run("zoo", steps.zoo)
    course.run("restore", steps.restore)
    course.run("migrate", steps.migrate)
    course.run("legacy", steps.legacy)
    course.run("revoke", steps.revoke)
    course.run("start", steps.start)
    course.run("readiness", steps.readiness)
    course.run("smoke", steps.smoke)
    # also of a drill that failed, of which people must hear; not of one that was told to end
    course.run("alert", steps.alert, always=course.ending is None)
    course.run("clean_up", lambda: steps.clean_up(keep_log=course.failed), always=True)
    course.run("leftovers", steps.leftovers, always=True)


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    with held_alone(settings.state / "drill.lock") as alone:
        if not alone:
            raise TargetBusy(
                f"another drill runs on the state folder {settings.state}",
                hint="wait for it to end; its record is the one that counts.",
            )
        yield


def _record(
    settings: Settings, steps: Steps, phases: dict[str, DrillPhase], who: str, begun: datetime
) -> DrillRecord:
    objectives = Objectives.of(settings)
    rto_s = rto_of(phases)
    failed = _failed_phase(phases.values(), missed=objectives.rto(rto_s) == "fail")
    manifest = steps.backup.manifest if steps.backup else None
    return DrillRecord(
        id=steps.id,
        started_at=begun,
        finished_at=datetime.now(UTC),
        who=who,
        database=steps.source.dbname,
        application=settings.drill_application,
        legacy=legacy.configured(settings),
        ok=failed is None,
        failed_phase=failed,
        phases=tuple(phases.values()),
        objectives=objectives,
        backup=manifest.backup_file if manifest else None,
        dump_bytes=manifest.size_bytes if manifest else None,
        database_bytes=manifest.database_bytes if manifest else None,
        rows=manifest.rows if manifest else None,
        data_age_s=steps.before.age_s,
        data_age_after_s=steps.age_after_s,
        rpo_verdict=steps.before.verdict,
        rpo_after_verdict=objectives.rpo(steps.age_after_s),
        rto_s=rto_s,
        rto_verdict=objectives.rto(rto_s),
        removed=steps.removed,
        log=steps.log,
        versions={"kajovo_dr": __version__, **steps.versions},
    )


def _failed_phase(phases: Iterable[DrillPhase], *, missed: bool) -> str | None:
    failed = [phase.name for phase in phases if phase.verdict == "failed"]
    return failed[0] if failed else RTO if missed else None


def _written(settings: Settings, record: DrillRecord) -> DrillReport:
    """The record in the history, and the HTML file."""
    drill_history.append(settings.state, record)
    history = drill_history.read(settings.state)
    return DrillReport(record, history, drill_report.write(settings, record, history))
