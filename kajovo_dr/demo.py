"""``kajovo-dr demo``: the whole river on the sandbox hotel, judged at its end.

Belongs here: the story, its order and the verdicts. Not here: how anything is done. It destroys a
database, so it refuses to run unless that database is the sandbox's own.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from kajovo_dr import terminal
from kajovo_dr.backups.proof import VERDICTS
from kajovo_dr.errors import DrError, SandboxError, SettingError
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.server import Server, source
from kajovo_dr.progress import Progress, human_bytes
from kajovo_dr.recovery.incident_log import IncidentLog
from kajovo_dr.recovery.record import IncidentEntry
from kajovo_dr.recovery.report import human_duration
from kajovo_dr.sandbox import stack
from kajovo_dr.sandbox.schema import OLD_REVISION
from kajovo_dr.settings import Settings

#: What the backup and the recovery must have materialized in Dagster.
_RIVER = (
    "recovery_plan",
    "safety_backup",
    "application_stopped",
    "restored_database",
    "migrated_schema",
    "legacy_data",
    "revoked_access",
    "swapped_database",
    "api_readiness",
    "smoke_report",
    "incident_log_entry",
)
#: Checks that every backup must pass: of its dump, and of its proof.
_JUDGED = {"dump_size", "dump_integrity", *VERDICTS}


def run(settings: Settings, *, rows: int) -> None:
    """Seed, back up, destroy, recover, judge; raises unless all of it held."""
    if real := stack.set_ones(settings, (*stack.REAL, "database_url", "dagster_url")):
        raise SettingError(
            f"the demo destroys a database and logs in, and {real} may be real",
            hint="unset it to run the demo on the sandbox hotel alone.",
        )
    steps = _Steps()
    terminal.say("kajovo_dr demo: a hotel loses its database and gets it back\n")
    with terminal.progress() as progress, ExitStack() as running:
        running.enter_context(stack.exclusive(settings, user="kajovo-dr demo"))
        with steps.timed("start two PostgreSQL servers, seed the hotel, start its API") as note:
            fresh = stack.Fresh(rows, OLD_REVISION)
            whole = stack.whole(settings, fresh=fresh, progress=progress)
            complete = running.enter_context(whole)
            note.append(f"about {rows} rows, schema at {OLD_REVISION}")
        entry = _river(complete, steps, progress)
    _judge(settings, entry)


def _river(settings: Settings, steps: _Steps, progress: Progress) -> IncidentEntry:
    # Dagster takes seconds to import, and only the demo and `up` need it
    from kajovo_dr.defs.backup_assets import today
    from kajovo_dr.defs.launch import run_job

    hotel = source(settings)
    before = _counts(hotel)
    with steps.timed("postgres_backup, restore_proof: dump, publish, prove (one run)") as note:
        config = {"ops": {"postgres_backup": {"config": {"reason": "demo", "accept_shrink": True}}}}
        done = run_job(settings, "postgres_backup_job", config, partition=today(), watch=progress)
        # this hotel is new, so what changed against an earlier demo's is not judged
        judged = {name: passed for name, passed in done.checks.items() if name in _JUDGED}
        _require(done.success, done.failure)
        _require(judged.keys() == _JUDGED and all(judged.values()), f"checks: {_failed(judged)}")
        note.append(_newest(settings))
    with steps.timed("destroy the database") as note:
        with databases.connect(hotel.database(settings.maintenance_database)) as session:
            databases.drop(session, hotel.dbname)
        note.append(f"{sum(before.values())} rows in {len(before)} tables are gone")
    incident = datetime.now(UTC)
    with steps.timed("incident_recovery_job: restore beside, migrate, swap, smoke, log") as note:
        form = {
            "who": "kajovo-dr demo",
            "database": hotel.dbname,
            "confirm": hotel.dbname,
            "incident_time": incident.isoformat(),
            "note": "the demo dropped the database",
        }
        done = run_job(settings, "incident_recovery_job", form, partition=None, watch=progress)
        _require(done.success, done.failure)
        note.append(f"Dagster run {done.run_id.partition('-')[0]}")
    missing = set(_RIVER) - set(done.materialized)
    _require(not missing, f"Dagster shows no materialization of {sorted(missing)}")
    _require(all(done.checks.values()), f"failed checks: {_failed(done.checks)}")
    entries = IncidentLog.of(settings).read()
    entry = next((each for each in entries if each.id == done.run_id), None)
    _require(entry is not None, "the incident log has no entry of this recovery")
    assert entry is not None
    _require(_restored_rows(entry) == sum(before.values()), "rows differ from before the incident")
    return entry


def _judge(settings: Settings, entry: IncidentEntry) -> None:
    """The figures that an owner asks for, and whether they held."""
    terminal.say("\nThe recovery, phase by phase:")
    terminal.table(
        ["PHASE", "RESULT", "SECONDS", ""],
        [
            [phase.name, terminal.mark(ok=bool(phase.ok)), f"{phase.seconds:.1f}", phase.detail]
            for phase in entry.phases
        ],
    )
    smoke = entry.smoke
    assert smoke is not None
    terminal.say("\nThe smoke test, as the administrator, against the database:")
    terminal.table(
        ["ENDPOINT", "RESULT", "ROWS", "IN DATABASE"],
        [
            [
                result.name,
                terminal.mark(ok=result.ok, warning=not result.required),
                "" if result.count is None else str(result.count),
                "" if result.expected is None else str(result.expected),
            ]
            for result in smoke.results
        ],
    )
    lost = entry.data_lost_s or 0.0
    rpo_kept = lost <= settings.rpo_hours * 3600
    rto_kept = entry.rto_verdict == "pass"
    terminal.say("\nAgainst the objectives:")
    terminal.table(
        ["OBJECTIVE", "LIMIT", "MEASURED", "RESULT"],
        [
            [
                "RPO: data lost",
                f"{settings.rpo_hours:g} h",
                human_duration(lost),
                terminal.mark(ok=rpo_kept),
            ],
            [
                "RTO: time to recover",
                f"{settings.rto_warn_minutes:g} to {settings.rto_minutes:g} min",
                human_duration(entry.duration_s),
                terminal.mark(ok=rto_kept),
            ],
        ],
    )
    _require(entry.succeeded and smoke.ok and rpo_kept and rto_kept, "an objective was missed")
    log = IncidentLog.of(settings)
    terminal.say(f"\nIncident log: {log.page}")
    terminal.say(f"Backups:      {settings.store_dir}")
    terminal.say("\nAll of it held. Next: kajovo-dr up, and the same by hand in the Dagster UI.")


def _require(held: object, otherwise: str) -> None:
    if not held:
        raise SandboxError(
            f"the demo did not hold: {otherwise or 'no reason was given'}",
            hint="kajovo-dr up shows the run with its log in the Dagster UI.",
        )


def _counts(hotel: Server) -> dict[tuple[str, str], int]:
    with databases.connect(hotel) as session:
        return databases.row_counts(session)


def _newest(settings: Settings) -> str:
    from kajovo_dr.backups import catalog
    from kajovo_dr.backups.store import open_store

    newest = catalog.backups(open_store(settings))[-1]
    manifest = newest.manifest
    size = human_bytes(manifest.size_bytes)
    return f"{newest.name}, {size}, {manifest.rows} rows, {newest.state}"


def _restored_rows(entry: IncidentEntry) -> int:
    """The number in the restore phase's detail, which `restore` counted in the database."""
    restored = next(phase for phase in entry.phases if phase.name == "restore")
    return int(restored.detail.partition(" ")[0])


def _failed(checks: dict[str, bool]) -> list[str]:
    return sorted(name for name, passed in checks.items() if not passed)


@dataclass
class _Steps:
    """The story's lines: what, how it went, how long, what came of it."""

    number: int = field(default=0, init=False)

    @contextmanager
    def timed(self, what: str) -> Iterator[list[str]]:
        """Time a step and print it; the list collects what there is to say of it."""
        self.number += 1
        begun = time.monotonic()
        notes: list[str] = []
        try:
            yield notes
        except DrError:
            terminal.say(f"{self.number}. {terminal.mark(ok=False)} {what}")
            raise
        seconds = time.monotonic() - begun
        terminal.say(f"{self.number}. {terminal.mark(ok=True)} {seconds:5.1f} s  {what}")
        for note in notes:
            terminal.say(f"              {note}")
