"""Taking a backup: dump on one snapshot, inspect, judge, publish.

Belongs here: the order of the steps and the verdicts on a fresh dump. Not here: argv
(``postgres``), file formats (``manifest``), the folder (``store``).
"""

from __future__ import annotations

import contextlib
import platform
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kajovo_dr import __version__
from kajovo_dr.alerts.heartbeat import Switch
from kajovo_dr.backups import catalog
from kajovo_dr.backups.hashing_writer import HashingWriter
from kajovo_dr.backups.inspect import Inspection, inspect_written
from kajovo_dr.backups.manifest import ROLES_SUFFIX, Kind, Manifest, safety_reason
from kajovo_dr.backups.sql_scan import SqlScan
from kajovo_dr.backups.store import Incoming, Store, open_store, sidecar
from kajovo_dr.errors import (
    BackupError,
    DatabaseEmpty,
    DumpDamaged,
    DumpFailed,
    DumpTooSmall,
    SizeCollapsed,
    StoreFull,
    TargetBusy,
)
from kajovo_dr.postgres import carry_over, client_tools, databases, fingerprint, schema_objects
from kajovo_dr.postgres.fingerprint import Fingerprint
from kajovo_dr.postgres.server import Server
from kajovo_dr.postgres.transport import Transport
from kajovo_dr.progress import Progress, human_bytes, silent
from kajovo_dr.settings import Settings

#: Seconds for pg_dumpall of the roles, which reads a few catalog rows.
_ROLES_TIMEOUT_S = 300
#: A new dump needs about as much space as the last one; a tenth more is asked for before it starts.
SPACE_MARGIN = 1.1


@dataclass(frozen=True)
class Verdict:
    """One judgement of a fresh dump. problem: None when it passed."""

    name: str
    problem: BackupError | None
    figures: dict[str, float]


class BadDump(BackupError):
    """The fresh dump did not pass; nothing was published."""

    def __init__(self, verdicts: tuple[Verdict, ...]) -> None:
        problems = [verdict.problem for verdict in verdicts if verdict.problem is not None]
        super().__init__("; ".join(map(str, problems)), hint=problems[0].hint)
        self.verdicts = verdicts
        # the operator's script sees the code of what was wrong, not of this wrapper
        self.exit_code = problems[0].exit_code


@dataclass(frozen=True)
class Taken:
    """A published backup and how its fresh dump was judged."""

    backup: catalog.Backup
    verdicts: tuple[Verdict, ...]
    usual: catalog.Usual


@dataclass(frozen=True)
class _Snapshot:
    """What our session saw: all of it on the snapshot of this id, which pg_dump reads too.

    known: sequences and schema right before the dump, which no snapshot holds still.
    """

    at: datetime
    id: str
    facts: databases.DatabaseFacts
    attributes: carry_over.Attributes
    roles: list[str]
    session: databases.Connection
    known: Fingerprint


def take(
    settings: Settings,
    server: Server,
    *,
    reason: str,
    accept_shrink: bool = False,
    progress: Progress = silent,
) -> Taken:
    """Back up one database into the store; the store is unchanged unless all of it held.

    Raises `TargetBusy`, `ClientTooOld`, `DatabaseEmpty`, `DumpFailed`, `BadDump` (with every
    verdict), and what store and server refuse.
    """
    with _heard(settings, reason) as switch:
        return _take(settings, server, switch, reason, accept_shrink, progress)


@contextmanager
def _heard(settings: Settings, reason: str) -> Iterator[Switch]:
    """The dead man's switch, which hears when the backup in the block fails; its begin is sent
    there. It is not there for a recovery's own backup, which counts for no objective.
    """
    if reason.startswith(safety_reason("")):
        settings = settings.with_overrides(heartbeat_url=None)
    switch = Switch(settings, "heartbeat_url")
    try:
        yield switch
    except TargetBusy:  # the one that runs is heard; nothing has failed
        raise
    except BaseException:  # Ctrl-C and the end of a run, too
        switch.send("fail")
        raise
    finally:
        switch.wait()


def _take(
    settings: Settings,
    server: Server,
    switch: Switch,
    reason: str,
    accept_shrink: bool,
    progress: Progress,
) -> Taken:
    store = open_store(settings)
    transport = client_tools.transport_for(settings.pg_bin)
    previous = [
        each for each in catalog.backups(store, server.dbname) if not each.manifest.of_incident
    ]
    kind = settings.backup_format
    usual = catalog.usual(previous, kind)
    _require_space(store, usual)
    client = client_tools.version(transport, "pg_dump", server)
    with (
        _locked(settings, server, switch) as mutex,
        _snapshot(settings, server, client, progress) as snapshot,
        store.incoming(
            identity := databases.identity(mutex, server), kind, snapshot.at
        ) as incoming,
    ):
        # a server with SQL_ASCII keeps, and sends as UTF-8, whatever it was given
        scan = SqlScan(checks_encoding=snapshot.facts.locale["ENCODING"] == "SQL_ASCII")
        with _beside(settings, transport, server, snapshot, incoming, progress) as reading:
            also = scan.feed if kind == "plain" else None
            written = _dump(
                settings, transport, server, snapshot, incoming, usual, also, reading, progress
            )
        written |= {
            **reading.found,
            "identity": identity,
            "client_version": client.text,
            "reason": reason,
            "shrink_accepted": accept_shrink,
        }
        manifest = _manifest(server, kind, snapshot, incoming, written)
        progress("inspect", 0, None)
        found = inspect_written(
            incoming.dump_file,
            manifest,
            scan,
            transport=transport,
            timeout=settings.dump_timeout_s,
        )
        verdicts = _judge(settings, manifest, found, usual)
        if any(verdict.problem for verdict in verdicts):
            raise BadDump(verdicts)
        manifest = manifest.model_copy(update={"lines": found.lines})
        mutex.execute("SELECT")  # fails when the lock was lost with its session
        path = store.publish(incoming, manifest)
    return Taken(catalog.Backup(path, manifest), verdicts, usual)


@contextmanager
def _locked(settings: Settings, server: Server, switch: Switch) -> Iterator[databases.Connection]:
    """The lock of the database; who holds it has begun."""
    with databases.mutex(server, settings.maintenance_database) as mutex:
        switch.send("start")  # in the background: it delays nothing
        yield mutex


@contextmanager
def _snapshot(
    settings: Settings, server: Server, client: client_tools.ToolVersion, progress: Progress
) -> Iterator[_Snapshot]:
    """Hold one read-only transaction open while pg_dump reads the same snapshot beside it."""
    progress("snapshot", 0, None)
    with databases.connect(server, autocommit=False) as connection:
        # our clock and before the snapshot: the moment must never look newer than the data
        snapshot_at = datetime.now(UTC)
        snapshot = databases.export_snapshot(connection, lock_timeout_s=settings.lock_timeout_s)
        facts = databases.facts(connection)
        client_tools.require_as_new_as("pg_dump", client, facts.server_major)
        schema_objects.require_known(facts.server_major)
        fingerprint.pin(connection)
        tables = fingerprint.lock_tables(connection)
        if tables < settings.min_tables:
            raise DatabaseEmpty(
                f"{server.shown} has {tables} tables, {settings.min_tables} are expected"
            )
        roles = databases.roles_needed(connection)
        attributes = carry_over.read(connection, server.dbname).without_secrets()
        known = fingerprint.definitions(connection, settings.migrate_version_table)
        yield _Snapshot(snapshot_at, snapshot, facts, attributes, roles, connection, known)


@dataclass(frozen=True)
class _Reading:
    """What is being read beside the dump, each by a thread of its own, and what was found."""

    work: tuple[Future[dict[str, Any]], ...]
    found: dict[str, Any]

    def require_sound(self) -> None:
        """Raise what has failed by now: without it the dump is worth nothing."""
        for each in self.work:
            if each.done():
                each.result()


@contextmanager
def _beside(
    settings: Settings,
    transport: Transport,
    server: Server,
    snapshot: _Snapshot,
    incoming: Incoming,
    progress: Progress,
) -> Iterator[_Reading]:
    """Read the fingerprint, on the snapshot's session, and the roles while the block dumps.

    What was found is complete when the block ends. A dump that fails ends the reading.
    """
    session, limit = snapshot.session, settings.fingerprint_table_s
    begun = time.monotonic()

    def contents() -> dict[str, Any]:
        tables = fingerprint.tables(session, table_timeout_s=limit)
        return {"tables": tables, "fingerprint": fingerprint.contents(session, snapshot.known)}

    with ThreadPoolExecutor(max_workers=2) as threads:
        roles = threads.submit(_roles, transport, server, incoming)
        reading = _Reading((threads.submit(contents), roles), {})
        try:
            yield reading
        except BaseException as failure:
            if isinstance(failure, DumpFailed):
                reading.require_sound()  # pg_dump knows only that the snapshot is gone, not why
            with contextlib.suppress(Exception):  # the dump's failure is the one to tell
                session.cancel_safe()
            raise
        progress("fingerprint", 0, None)
        for each in reading.work:
            reading.found.update(each.result())
    seconds = round(time.monotonic() - begun, 3)
    read = reading.found["fingerprint"]
    reading.found["fingerprint"] = fingerprint.finished(session, read, seconds)


def _dump(
    settings: Settings,
    transport: Transport,
    server: Server,
    snapshot: _Snapshot,
    incoming: Incoming,
    usual: catalog.Usual,
    also: Callable[[bytes], None] | None,
    reading: _Reading,
    progress: Progress,
) -> dict[str, Any]:
    """Write the dump file; what the manifest says of it, the sha256 taken from the stream.

    also: reads it on its way. What fails in reading ends the dump, too.
    """
    arguments = client_tools.dump_arguments(
        custom=settings.backup_format == "custom",
        zstd_level=settings.zstd_level,
        snapshot=snapshot.id,
        lock_timeout_s=settings.lock_timeout_s,
    )
    expected = int(usual.size_bytes) if usual.size_bytes else None
    progress("dump", 0, expected)
    begun = time.monotonic()
    with HashingWriter(incoming.dump_file, also) as writer:

        def sink(chunk: bytes) -> None:
            writer.write(chunk)
            reading.require_sound()
            progress("dump", writer.size, expected)

        done = transport.run(
            "pg_dump", arguments, server=server, timeout=settings.dump_timeout_s, stdout=sink
        )
    if done.returncode != 0:
        raise DumpFailed(f"{server.shown}: {done.reason}")
    seconds = round(time.monotonic() - begun, 3)
    return {"sha256": writer.sha256, "size_bytes": writer.size, "seconds": seconds}


def _roles(transport: Transport, server: Server, incoming: Incoming) -> dict[str, str]:
    """Write the file of roles beside the dump file; what the manifest says of it."""
    arguments = client_tools.roles_arguments()
    with HashingWriter(sidecar(incoming.dump_file, ROLES_SUFFIX)) as writer:
        done = transport.run(
            "pg_dumpall", arguments, server=server, timeout=_ROLES_TIMEOUT_S, stdout=writer.write
        )
    if done.returncode != 0:
        raise DumpFailed(f"roles of {server.shown}: {done.reason}")
    return {"roles_sha256": writer.sha256}


def _manifest(
    server: Server, kind: Kind, snapshot: _Snapshot, incoming: Incoming, written: dict[str, Any]
) -> Manifest:
    """The manifest of a fresh dump; its lines are counted by the inspection."""
    return Manifest(
        created_at=snapshot.at,
        database=server.dbname,
        user=server.user,
        backup_file=incoming.name,
        host=platform.node(),
        kind=kind,
        server=server.address,
        server_version=snapshot.facts.server_version,
        database_bytes=snapshot.facts.bytes_on_disk,
        locale=dict(snapshot.facts.locale),
        attributes=snapshot.attributes,
        roles=tuple(snapshot.roles),
        lines=0,
        written_by=f"kajovo_dr {__version__}",
        **written,
    )


def _judge(
    settings: Settings, manifest: Manifest, found: Inspection, usual: catalog.Usual
) -> tuple[Verdict, ...]:
    """The size against the floor and against the previous backups; the content against itself."""
    size = manifest.size_bytes
    ratio = size / usual.size_bytes if usual.size_bytes else 1.0
    rows_ratio = manifest.rows / usual.rows if usual.rows else 1.0
    size_problem: BackupError | None = None
    if size < settings.min_dump_bytes:
        size_problem = DumpTooSmall(
            f"the dump has {human_bytes(size)}, the floor is {human_bytes(settings.min_dump_bytes)}"
        )
    elif min(ratio, rows_ratio) < settings.max_shrink and not manifest.shrink_accepted:
        what, part = ("rows", rows_ratio) if rows_ratio < ratio else ("bytes", ratio)
        size_problem = SizeCollapsed(
            f"the dump has {human_bytes(size)} and {manifest.rows} rows: {part:.0%} of the {what}"
            f" that the previous ones had (median); the limit is {settings.max_shrink:.0%}"
        )
    damage: BackupError | None = None
    try:
        found.require(manifest.backup_file)
    except DumpDamaged as damaged:
        damage = damaged
    return (
        Verdict(
            "dump_size",
            size_problem,
            {
                "bytes": size,
                "rows": manifest.rows,
                "ratio_to_previous": round(ratio, 3),
                "rows_ratio_to_previous": round(rows_ratio, 3),
            },
        ),
        Verdict("dump_integrity", damage, {"findings": len(found.findings), "lines": found.lines}),
    )


def _require_space(store: Store, usual: catalog.Usual) -> None:
    free, needed = store.free_bytes(), (usual.size_bytes or 0) * SPACE_MARGIN
    if free < needed:
        raise StoreFull(
            f"{human_bytes(free)} free in {store.folder}, the last dumps had {human_bytes(needed)}"
        )
