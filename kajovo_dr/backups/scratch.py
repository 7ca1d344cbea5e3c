"""Where backups are restored to be proven: a server that is not production.

Belongs here: finding or starting it, the database for one proof, the roles that it lacks. Not here:
what is restored and compared (``prove``).
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from psycopg import errors as pg

from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.store import disk_errors
from kajovo_dr.errors import DrError, ProofImpossible, ServerError
from kajovo_dr.files import private_folder
from kajovo_dr.postgres import clusters, databases, disposable
from kajovo_dr.postgres.server import Server, source
from kajovo_dr.progress import human_bytes
from kajovo_dr.settings import PREFIX, Settings

#: Names of our databases begin so, and this is their comment: both, before one is dropped.
_NAME = "kajovo_dr_proof"
_COMMENT = "kajovo_dr: restored for a proof, may be dropped"
#: The comment of roles that we made there.
_ROLE_COMMENT = "kajovo_dr: made for a proof, may be dropped"
#: A restored database needs about the source's space, and room to build indexes in.
_SPACE_MARGIN = 1.3


@contextmanager
def scratch_server(settings: Settings) -> Iterator[Server]:
    """The scratch server, for us alone: one proof at a time; raises `TargetBusy`.

    What killed proofs left there is removed. Raises `ProofImpossible` when it is production.
    """
    server = named_server(settings)
    if server is None:
        with clusters.scratch_cluster(settings) as own, _alone(own):
            yield own
        return
    refuse_production(settings, server)
    with _alone(server):
        yield server


def named_server(settings: Settings) -> Server | None:
    """The server of KAJOVO_DR_PROOF_URL; None when proofs start one of their own."""
    if settings.proof_url is None:
        return None
    server = Server.from_url(
        settings.proof_url.get_secret_value(),
        setting=f"{PREFIX}PROOF_URL",
        connect_timeout=settings.connect_timeout_s,
    )
    return server.database(settings.maintenance_database)


@contextmanager
def room(scratch: Server, backup: Backup) -> Iterator[tuple[Server, tuple[str, ...]]]:
    """An empty database with the backup's locale and roles, dropped at the end; and notes."""
    name = f"{_NAME}_{secrets.token_hex(4)}"
    with databases.connect(scratch) as admin:
        made: list[str] = []
        try:
            notes = _create(admin, name, backup)
            for role in databases.missing_roles(admin, list(backup.manifest.roles)):
                _make_role(admin, role)
                made.append(role)
            yield scratch.database(name), notes
        finally:
            disposable.drop(admin, scratch, name)
            for role in made:
                disposable.drop_role(admin, role)


def require_space(settings: Settings, backup: Backup) -> None:
    """Raise `ProofImpossible` when the embedded server's disk cannot hold the database."""
    if settings.proof_url is not None:
        return  # another machine's disk, whose end the restore itself reports
    needed = backup.manifest.database_bytes * _SPACE_MARGIN
    with disk_errors(settings.state.parent):
        free = shutil.disk_usage(private_folder(settings.state)).free
    if free < needed:
        raise ProofImpossible(
            f"{human_bytes(free)} free in {settings.state}, restoring {backup.name} needs about"
            f" {human_bytes(needed)}",
            hint=f"free some, or name another server in {PREFIX}PROOF_URL.",
        )


@contextmanager
def _alone(server: Server) -> Iterator[None]:
    with databases.mutex(server.database(_NAME), server.dbname) as admin:
        for (name,) in admin.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE %s"
            " AND shobj_description(oid, 'pg_database') = %s",
            [f"{_NAME}%", _COMMENT],
        ).fetchall():
            disposable.drop(admin, server, name)
        for role in disposable.marked_roles(admin, _ROLE_COMMENT):
            disposable.drop_role(admin, role)
        yield


def refuse_production(settings: Settings, server: Server) -> None:
    """Raise `ProofImpossible` for production's own server, however its address is written."""
    if settings.database_url is None:
        return
    protected = source(settings)
    try:
        same = _place(protected) == _place(server)
    except DrError:  # production is down: then only its address can tell
        same = protected.address == server.address
    if same:
        raise ProofImpossible(
            f"{PREFIX}PROOF_URL names production's own server, {server.address}",
            hint="name another server there, or unset it for the embedded one.",
        )


def _place(server: Server) -> object:
    with databases.connect(server) as session:
        # not its port: a session over a Unix socket has none
        return session.execute("SELECT pg_postmaster_start_time(), version()").fetchone()


def _create(admin: databases.Connection, name: str, backup: Backup) -> tuple[str, ...]:
    """Create with the backup's locale; with C when this machine lacks it. Content hashes do not
    depend on the order of texts, only unique indexes could.
    """
    locale = backup.manifest.locale
    notes: tuple[str, ...] = ()
    try:
        databases.create(admin, name, locale)
    except ServerError:
        encoding = locale.get("ENCODING", "UTF8")
        databases.create(admin, name, {"ENCODING": encoding, "LC_COLLATE": "C", "LC_CTYPE": "C"})
        wanted = locale.get("ICU_LOCALE") or locale.get("LC_COLLATE")
        notes = (f"restored with locale C: the scratch server has no {wanted}",)
    databases.comment(admin, name, _COMMENT)
    disposable.speak_english(admin, name)
    return notes


def _make_role(admin: databases.Connection, role: str) -> None:
    """Make a role that the dump names and this server lacks."""
    try:
        disposable.make_role(admin, role, _ROLE_COMMENT)
    except pg.InsufficientPrivilege:
        raise ProofImpossible(
            f"user {admin.info.user!r} may not create the role {role!r}, which the backup needs",
            hint=f"give the user in {PREFIX}PROOF_URL the attribute SUPERUSER, or unset it for the"
            " embedded server.",
        ) from None
