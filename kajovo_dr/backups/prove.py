"""Proving a backup: restored into a scratch server and found equal to what the source held.

Belongs here: the order of a proof, and what its outcome says of the backup. Not here: comparing
(``compare``), the scratch server (``scratch``), the record (``proof``).
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from psycopg import Error as PsycopgError

from kajovo_dr import __version__
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.compare import compare, notes
from kajovo_dr.backups.inspect import verify
from kajovo_dr.backups.load import load, require_server
from kajovo_dr.backups.proof import VERDICTS, Proof, Verdict, manifest_digest, write_proof
from kajovo_dr.backups.scratch import require_space, room, scratch_server
from kajovo_dr.errors import (
    BackupMissing,
    DrError,
    DumpDamaged,
    ProofFailed,
    ProofImpossible,
    RestoreFailed,
    TargetBusy,
)
from kajovo_dr.postgres import client_tools, databases, fingerprint
from kajovo_dr.postgres.server import Server
from kajovo_dr.progress import Progress, silent
from kajovo_dr.settings import Settings, SqlCheck
from kajovo_dr.stopwatch import Stopwatch

#: Words by which client tools report that the scratch server, not the dump, was at its end.
_NOT_ITS_FAULT = (
    "No space left on device",
    "could not extend file",
    "server closed the connection",
    "terminating connection",
    "out of memory",
    "out of shared memory",
    "the database system is shutting down",
)


def prove(settings: Settings, backup: Backup, *, progress: Progress = silent) -> Proof:
    """Prove a backup and write the record beside it; the proof's state is proven or damaged, or
    unproven where nothing of the source is known to compare with.

    Raises `ProofImpossible` when the reason lies not in the backup (a record says unproven then),
    and `TargetBusy` while another proof runs (nothing is recorded).
    """
    begun = datetime.now(UTC)
    if not backup.path.is_file():
        raise BackupMissing(f"{backup.name} is no longer in {backup.path.parent}")
    try:
        require_space(settings, backup)
        with scratch_server(settings) as scratch:
            proof = judge(settings, backup, scratch, progress=progress)
    except TargetBusy:
        raise
    except DrError as failure:
        if backup.state in ("taken", "unproven"):  # what was found about the backup itself stays
            write_proof(backup.path, _record(backup, begun, "unproven", reason=str(failure)))
        if isinstance(failure, ProofImpossible):
            raise
        raise ProofImpossible(f"{backup.name}: {failure}", hint=failure.hint) from None
    write_proof(backup.path, proof)
    return proof


def judge(
    settings: Settings, backup: Backup, scratch: Server, *, progress: Progress = silent
) -> Proof:
    """Read, restore, compare; the database is dropped again and nothing is recorded."""
    begun = datetime.now(UTC)
    transport = client_tools.transport_for(settings.pg_bin)
    watch = Stopwatch()
    limit = settings.restore_timeout_s
    with watch.step("verify"):
        found = verify(backup, transport=transport, timeout=limit, progress=progress)
    client = client_tools.version(transport, "pg_restore", scratch).text
    facts: dict[str, Any] = {"seconds": watch.seconds, "client_version": client}
    if not found.ok:
        return _damaged(backup, begun, "; ".join(map(str, found.findings)), facts)
    with databases.connect(scratch) as admin:
        require_server(admin, backup, transport, scratch)
        _require_extensions(admin, backup)
        facts["server_version"] = admin.info.parameter_status("server_version") or ""
        major = admin.info.server_version // 10_000
    with room(scratch, backup) as (target, said):
        try:
            with watch.step("restore"):
                load(settings, transport, backup, target, disposable=True, progress=progress)
        except (RestoreFailed, DumpDamaged) as failure:
            # said: what a locale of the source's would have taken another may refuse
            if said or any(words in str(failure) for words in _NOT_ITS_FAULT):
                raise
            return _damaged(backup, begun, str(failure), facts)
        with watch.step("compare"):
            verdicts, more = _compared(settings, backup, target, major, progress)
        with watch.step("sql_smoke"):
            smoke = _sql_smoke(settings.sql_smoke, target, limit)
    restored = Verdict(name="restores", passed=True, figures={"seconds": watch.seconds["restore"]})
    verdicts = (restored, *verdicts, smoke)
    failed = [verdict for verdict in verdicts if verdict.passed is False]
    unknown = [verdict for verdict in verdicts if verdict.passed is None]
    state = "damaged" if failed else "unproven" if unknown else "proven"
    reason = "; ".join(f"{each.name}: {each.detail}" for each in failed or unknown[:1])
    return _record(
        backup,
        begun,
        state,
        reason=reason,
        verdicts=verdicts,
        notes=(*said, *more),
        **facts,
    )


def require_proven(name: str, proof: Proof) -> None:
    """Raise `ProofFailed` for a damaged backup, `ProofImpossible` for one that cannot be judged."""
    if proof.state == "damaged":
        raise ProofFailed(f"{name}: {proof.reason}")
    if proof.state == "unproven":
        raise ProofImpossible(
            f"{name} restores, but cannot be proven: {proof.reason}",
            hint="it can be restored by its name; take a new backup for one that counts.",
        )


def _compared(
    settings: Settings, backup: Backup, target: Server, major: int, progress: Progress
) -> tuple[tuple[Verdict, ...], tuple[str, ...]]:
    manifest = backup.manifest
    sampled = frozenset(table.key for table in manifest.tables if table.sampled)
    with databases.connect(target) as session:
        tables, found = fingerprint.restored(
            session,
            sampled=sampled,
            version_table=settings.migrate_version_table,
            progress=progress,
        )
    return compare(manifest, tables, found, major), notes(manifest, found, major)


def _require_extensions(admin: databases.Connection, backup: Backup) -> None:
    """An extension that the scratch server lacks says nothing of the backup."""
    needed = backup.manifest.fingerprint.extensions if backup.manifest.fingerprint else {}
    rows = admin.execute("SELECT name FROM pg_available_extensions").fetchall()
    missing = sorted(needed.keys() - {name for (name,) in rows})
    if missing:
        raise ProofImpossible(
            f"the scratch server lacks extensions that {backup.name} needs: {', '.join(missing)}",
            hint="install them there, or name a server that has them in KAJOVO_DR_PROOF_URL.",
        )


def _sql_smoke(checks: tuple[SqlCheck, ...], target: Server, timeout_s: float) -> Verdict:
    """Ask the operator's queries; each in a transaction of its own that changes nothing."""
    failed = []
    with databases.connect(target) as session:
        session.execute(f"SET statement_timeout = '{max(1, int(timeout_s * 1000))}ms'".encode())
        session.read_only = True
        for check in checks:
            if problem := _asked(check, session):
                failed.append(f"{check.name}: {problem}")
    return Verdict(
        name="sql_smoke",
        passed=not failed,
        detail="; ".join(failed),
        figures={"queries": len(checks), "failed": len(failed)},
    )


def _asked(check: SqlCheck, session: databases.Connection) -> str:
    """What is wrong with the answer; empty when it is as expected."""
    try:
        with session.transaction():
            row = session.execute(check.sql.encode()).fetchone()
    except PsycopgError as failure:
        if session.broken:  # the server's end says nothing of the backup
            raise
        return " ".join(str(failure).split())
    if row is None:
        return "no row"
    value = row[0]
    judged: list[tuple[Any, Callable[[Any], bool], str]] = [
        (check.expect, lambda limit: value == limit or str(value) == str(limit), "expected"),
        (check.at_least, lambda limit: value is not None and value >= limit, "at least"),
        (check.at_most, lambda limit: value is not None and value <= limit, "at most"),
    ]
    try:
        for limit, holds, words in judged:
            if limit is not None and not holds(limit):
                return f"{value}, {words} {limit}"
    except (TypeError, ArithmeticError):  # a numeric NaN refuses to be compared
        return f"{value!r} is no number"
    return ""


def _damaged(backup: Backup, begun: datetime, reason: str, facts: dict[str, Any]) -> Proof:
    verdicts = [
        Verdict(name=name, passed=None, detail="not judged: it does not restore")
        for name in VERDICTS[1:]
    ]
    restores = Verdict(name="restores", passed=False, detail=reason)
    return _record(backup, begun, "damaged", reason=reason, verdicts=(restores, *verdicts), **facts)


def _record(backup: Backup, begun: datetime, state: Any, **facts: Any) -> Proof:
    return Proof(
        backup_file=backup.name,
        sha256=backup.manifest.sha256,
        manifest_sha256=manifest_digest(backup.path),
        proven_at=begun,
        state=state,
        host=platform.node(),
        written_by=f"kajovo_dr {__version__}",
        **facts,
    )
