"""Loading a dump file into an empty database: psql or pg_restore is run, and watched doing it.

Belongs here: feeding one backup to one client tool, for a restore and for a proof alike. Not here:
what psql gets of the file (``feed``), whether the target may be written, and what is checked
afterwards (``recovery.restore``, ``prove``).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from kajovo_dr.backups.beside import Beside
from kajovo_dr.backups.blame import more_locks
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.feed import TABLESPACE, TIMEOUT_SINCE_17, script
from kajovo_dr.errors import DumpDamaged, RestoreFailed
from kajovo_dr.files import chunks
from kajovo_dr.postgres import client_tools, databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.postgres.transport import Transport
from kajovo_dr.process import Completed
from kajovo_dr.progress import Progress
from kajovo_dr.settings import Settings

#: Up to so many cores an index is built by one process: 0.93 of the time on 2 cores. With more of
#: them the last, largest index would be built alone while the others idle.
_FEW_CORES = 4
#: Seconds between two looks at the growing database.
_WATCH_S = 1.0


def load(
    settings: Settings,
    transport: Transport,
    backup: Backup,
    target: Server,
    *,
    disposable: bool,
    progress: Progress,
    tablespaces: bool = True,
) -> None:
    """Load a backup into an empty database; raises `RestoreFailed` or `DumpDamaged`.

    disposable: the caller drops the database when this fails, so that pg_restore may use parallel
    jobs, which know no common transaction; without it a failed load leaves the database empty.
    tablespaces: False puts everything into the database's own, for a server that lacks the others.
    """
    if backup.manifest.kind == "plain":
        done = _load_plain(settings, transport, backup, target, progress, tablespaces)
    else:
        jobs = (settings.restore_jobs or os.cpu_count() or 1) if disposable else 0
        done = _load_archive(settings, transport, backup, target, jobs, progress, tablespaces)
    if done.returncode != 0:
        raise RestoreFailed(
            f"{backup.name} into {target.shown}: {done.reason}", hint=more_locks(done.reason)
        )


def require_server(
    admin: databases.Connection, backup: Backup, transport: Transport, target: Server
) -> None:
    """Raise `RestoreFailed` for a server, or a client tool, that cannot take this backup."""
    major = admin.info.server_version // 10_000
    source = backup.manifest.server_major
    if major < source:
        raise RestoreFailed(
            f"{target.address} is PostgreSQL {major}, the backup is of PostgreSQL {source}",
            hint="restore to a server at least as new as the source; nothing was changed.",
        )
    client = client_tools.version(transport, "pg_restore", target)
    if backup.manifest.kind == "custom" and major < 17 <= client.major:
        raise RestoreFailed(
            f"pg_restore {client.text} cannot restore to PostgreSQL {major}",
            hint=f"point KAJOVO_DR_PG_BIN at the client tools of PostgreSQL {major} to 16.",
        )


def _load_plain(
    settings: Settings,
    transport: Transport,
    backup: Backup,
    target: Server,
    progress: Progress,
    tablespaces: bool,
) -> Completed:
    """Feed psql one transaction, whose COMMIT is sent only after the last byte proved right.

    psql commits whatever it has at the end of its input, and takes a cut COPY for a whole one. So
    the transaction is ours: if the file changes, or we die, the input ends without COMMIT.
    """
    restricted = client_tools.knows_restrict(client_tools.version(transport, "psql", target))

    def content() -> Iterator[bytes]:
        manifest = backup.manifest
        digest = hashlib.sha256()
        fed = 0
        with Beside(digest.update) as hashing:
            for chunk in chunks(backup.path):
                hashing.put(chunk)
                fed += len(chunk)
                progress("restore", fed, manifest.size_bytes)
                yield chunk
        if digest.hexdigest() != manifest.sha256:
            raise DumpDamaged(f"{backup.name} changed while it was being restored")

    return transport.run(
        "psql",
        client_tools.psql_arguments(),
        server=target,
        timeout=settings.restore_timeout_s,
        stdin=script(
            content(), restricted=restricted, without=tuple(_unwanted(target, tablespaces))
        ),
    )


def _unwanted(target: Server, tablespaces: bool) -> Iterator[bytes]:
    """What this server does not know, and what the caller wants ignored."""
    with databases.connect(target) as session:
        if session.info.server_version < 170_000:
            yield TIMEOUT_SINCE_17
    if not tablespaces:
        yield TABLESPACE


def _load_archive(
    settings: Settings,
    transport: Transport,
    backup: Backup,
    target: Server,
    jobs: int,
    progress: Progress,
    tablespaces: bool,
) -> Completed:
    """Run pg_restore with one job per core (more is slower, measured).

    A database that was there before cannot be given its name at the end. So pg_restore (jobs: 0)
    reads the archive from us, in one transaction: if we die, it meets half an archive and rolls
    back.
    """
    file = backup.path
    stdin = None if jobs else chunks(file)
    arguments = client_tools.restore_arguments(
        file if jobs else None, dbname=target.dbname, jobs=jobs, tablespaces=tablespaces
    )
    # the jobs have all cores already, so workers of theirs only get into each other's way
    alone = 1 < jobs <= _FEW_CORES
    with _watched(backup, target, progress):
        return transport.run(
            "pg_restore",
            arguments,
            server=target.setting("max_parallel_maintenance_workers", "0") if alone else target,
            timeout=settings.restore_timeout_s,
            stdin=stdin,
        )


@contextmanager
def _watched(backup: Backup, target: Server, progress: Progress) -> Iterator[None]:
    """Report the growing database's size: pg_restore itself says nothing of how far it is."""
    ended = threading.Event()

    def look() -> None:
        with contextlib.suppress(Exception), databases.connect(target) as session:
            while not ended.wait(_WATCH_S):
                size = databases.size(session, target.dbname)
                progress("restore", size, backup.manifest.database_bytes)

    progress("restore", 0, backup.manifest.database_bytes)
    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
