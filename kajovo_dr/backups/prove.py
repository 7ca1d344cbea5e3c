"""Proving a backup: restored into a scratch server and found equal to what the source held.

Belongs here: the order of a proof, and what its outcome says of the backup. Not here: comparing
(``compare``), the scratch server (``scratch``), the record (``proof``).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from kajovo_dr.alerts.heartbeat import Switch
from kajovo_dr.backups import blame, catalog
from kajovo_dr.backups.candidates import identities_like
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.compare import compare, notes
from kajovo_dr.backups.damage import disk_may_fail
from kajovo_dr.backups.inspect import Inspection, verify
from kajovo_dr.backups.load import load, require_server
from kajovo_dr.backups.proof import VERDICTS, Proof, Verdict, write_proof
from kajovo_dr.backups.recovery_point import point_of
from kajovo_dr.backups.scratch import require_space, room, scratch_server
from kajovo_dr.backups.sql_smoke import ask
from kajovo_dr.backups.store import open_store
from kajovo_dr.errors import (
    BackupMissing,
    DrError,
    DumpDamaged,
    ProofFailed,
    ProofImpossible,
    RestoreFailed,
    TargetBusy,
)
from kajovo_dr.postgres import client_tools, databases, disposable, fingerprint
from kajovo_dr.postgres.server import Server
from kajovo_dr.postgres.transport import Transport
from kajovo_dr.progress import Progress, silent
from kajovo_dr.settings import Settings
from kajovo_dr.stopwatch import Stopwatch

#: What a proof finds out by itself; the operator's own queries may be wrong themselves.
_OWN = VERDICTS[:-1]
#: What may differ for no other reason than that texts sort and fold by another locale.
_BY_LOCALE = ("content_equal", "schema_equal")


def prove(settings: Settings, backup: Backup, *, progress: Progress = silent) -> Proof:
    """Prove a backup and write the record beside it; the proof's state is proven or damaged, or
    unproven: nothing of the source is known to compare with, another locale may explain what
    differs, or a query of the operator's own failed.

    Raises `ProofImpossible` when the reason lies not in the backup (a record says unproven then),
    and `TargetBusy` while another proof runs (nothing is recorded).

    The dead man's switch hears of it when it moves the recovery point, and when the newest backup
    is not proven by it.
    """
    with _heard(settings, backup):
        return _prove(settings, backup, progress)


@contextmanager
def _heard(settings: Settings, backup: Backup) -> Iterator[None]:
    """Tell the dead man's switch what the proof in the block means for the recovery point."""
    switch, manifest = Switch(settings, "heartbeat_url"), backup.manifest
    if not switch or manifest.of_incident or manifest.adopted:
        yield
        return
    before = _like(settings, backup)
    try:
        yield
    except TargetBusy:  # another proof runs: this one has not failed
        raise
    except BaseException:  # Ctrl-C and the end of a run, too
        _tell(settings, switch, backup, before)
        raise
    _tell(settings, switch, backup, before)


def _tell(settings: Settings, switch: Switch, backup: Backup, before: list[Backup]) -> None:
    """Success when the recovery point is this backup now, was not before, and is within the RPO;
    failure when it is older, or when this one is not proven and there is no newer one. What else
    becomes of an old backup, or of one proven again, is no sign of life.
    """
    after = _like(settings, backup)
    was, point = _newest_proven(before), _newest_proven(after)
    if point == backup.name:
        if was != point:
            kept = point_of(settings, after, datetime.now(UTC)).verdict in ("pass", "warn")
            switch.send("success" if kept else "fail")
    elif not any(each.manifest.created_at > backup.manifest.created_at for each in after):
        switch.send("fail")
    switch.wait()


def _newest_proven(backups: list[Backup]) -> str:
    return next((each.name for each in reversed(backups) if each.state == "proven"), "")


def _like(settings: Settings, backup: Backup) -> list[Backup]:
    """The daily backups of the same database, oldest first; none while the store cannot be read."""
    manifest = backup.manifest
    try:
        store = open_store(settings)
        found = catalog.backups(store, manifest.database, identities_like(store, manifest))
    except (DrError, OSError):
        return []
    return [each for each in found if not (each.manifest.of_incident or each.manifest.adopted)]


def _prove(settings: Settings, backup: Backup, progress: Progress) -> Proof:
    begun = datetime.now(UTC)
    if backup.manifest.adopted:
        # a stranger's functions run as superuser: only on a server that is there for them alone
        settings = settings.with_overrides(proof_url=None)
    if not backup.path.is_file():
        raise BackupMissing(f"{backup.name} is no longer in {backup.path.parent}")
    try:
        require_space(settings, backup)
        with scratch_server(settings) as scratch, disk_may_fail(settings.store_dir, backup):
            proof = judge(settings, backup, scratch, progress=progress)
        _require_restored(proof)
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
        found = _read(backup, transport, limit, progress)
    client = client_tools.version(transport, "pg_restore", scratch).text
    facts: dict[str, Any] = {"seconds": watch.seconds, "client_version": client}
    if not found.ok:
        return _damaged(backup, begun, "; ".join(map(str, found.findings)), facts)
    with databases.connect(scratch) as admin:
        require_server(admin, backup, transport, scratch)
        _require_extensions(admin, backup)
        facts["server_version"] = admin.info.parameter_status("server_version") or ""
    with room(scratch, backup) as (target, said):
        try:
            with watch.step("restore"):
                load(
                    settings,
                    transport,
                    backup,
                    target,
                    disposable=True,
                    progress=progress,
                    tablespaces=False,
                )
        except DumpDamaged as failure:
            return _damaged(backup, begun, str(failure), facts)
        except RestoreFailed as failure:
            return _not_restored(backup, begun, str(failure), said, facts)
        with watch.step("compare"):
            verdicts, more = compared(settings, backup, target, progress)
        with watch.step("sql_smoke"):
            smoke = ask(settings.sql_smoke, target, limit)
    restored = Verdict(name="restores", passed=True, figures={"seconds": watch.seconds["restore"]})
    verdicts = (restored, *_excused(verdicts, said), smoke)
    state, reason = _concluded(verdicts)
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
        asked = any(each.name not in _OWN and each.passed is False for each in proof.verdicts)
        mend = "mend the query, or find out what changed, and prove it again"
        raise ProofImpossible(
            f"{name} restores, but cannot be proven: {proof.reason}",
            hint="it can be restored by its name; "
            + (f"{mend}." if asked else "take a new backup for one that counts."),
        )


def _read(backup: Backup, transport: Transport, timeout: float, progress: Progress) -> Inspection:
    """Read the file. pg_restore decodes an archive anyway; a script is looked through for commands
    before psql gets to see it.
    """
    deep = backup.manifest.kind == "plain"
    return verify(backup, transport=transport, timeout=timeout, deep=deep, progress=progress)


def _excused(verdicts: tuple[Verdict, ...], said: tuple[str, ...]) -> tuple[Verdict, ...]:
    """The verdicts, without those that the fallback to another locale (said) may explain."""
    return tuple(
        verdict.model_copy(
            update={"passed": None, "detail": f"{verdict.detail}; {'; '.join(said)}"}
        )
        if said and verdict.passed is False and verdict.name in _BY_LOCALE
        else verdict
        for verdict in verdicts
    )


def _concluded(verdicts: tuple[Verdict, ...]) -> tuple[str, str]:
    """State and reason: only what a proof finds by itself makes a backup damaged for ever."""
    failed = [verdict for verdict in verdicts if verdict.passed is False]
    own = [verdict for verdict in failed if verdict.name in _OWN]
    unknown = [verdict for verdict in verdicts if verdict.passed is None]
    state = "damaged" if own else "unproven" if failed or unknown else "proven"
    named = failed if own else [*failed, *unknown[:1]]
    return state, "; ".join(f"{verdict.name}: {verdict.detail}" for verdict in named)


def _require_restored(proof: Proof) -> None:
    """Raise `ProofImpossible` for what another server may still restore."""
    restores = proof.verdicts[0]
    if proof.state == "unproven" and restores.passed is False:
        raise ProofImpossible(proof.reason, hint=blame.next_step(proof.reason))


def compared(
    settings: Settings, backup: Backup, target: Server, progress: Progress
) -> tuple[tuple[Verdict, ...], tuple[str, ...]]:
    """A restored database against its manifest: verdicts (see `compare`), and notes."""
    manifest = backup.manifest
    sampled = frozenset(table.key for table in manifest.tables if table.sampled)
    with databases.connect(target) as session:
        tables, found = fingerprint.restored(
            session,
            sampled=sampled,
            version_table=settings.migrate_version_table,
            progress=progress,
        )
        asked = disposable.foreign_servers_asked(session)
        major = session.info.server_version // 10_000
    more = notes(manifest, found, major)
    if asked:
        more = (*more, f"restoring asked other systems for rows: {', '.join(asked)}")
    return compare(manifest, tables, found, major), more


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


def _not_restored(
    backup: Backup, begun: datetime, reason: str, said: tuple[str, ...], facts: dict[str, Any]
) -> Proof:
    """The record of a failed restore: damaged, or unproven where another server may take it.

    Raises `ProofImpossible` when the scratch server was at its end.
    """
    fault = blame.fault(reason)
    if fault == "server":
        raise ProofImpossible(reason, hint=blame.next_step(reason))
    if fault == "dump" and not said:  # what the source's locale would take another may refuse
        return _damaged(backup, begun, reason, facts)
    return _failed(backup, begun, "unproven", "; ".join((reason, *said)), facts)


def _damaged(backup: Backup, begun: datetime, reason: str, facts: dict[str, Any]) -> Proof:
    return _failed(backup, begun, "damaged", reason, facts)


def _failed(
    backup: Backup, begun: datetime, state: str, reason: str, facts: dict[str, Any]
) -> Proof:
    verdicts = [
        Verdict(name=name, passed=None, detail="not judged: it does not restore")
        for name in VERDICTS[1:]
    ]
    restores = Verdict(name="restores", passed=False, detail=reason)
    return _record(backup, begun, state, reason=reason, verdicts=(restores, *verdicts), **facts)


def _record(backup: Backup, begun: datetime, state: Any, **facts: Any) -> Proof:
    return backup.judged(state, begun, **facts)
