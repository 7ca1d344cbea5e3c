"""``kajovo-dr doctor``: what is configured, reachable and missing, each with its next step.

Belongs here: looking, and nothing but looking: it starts no server and changes nothing; settings'
servers, tools and store. Not here: recoveries and what they need (``doctor_recovery``), what of the
settings may be shown (``doctor_settings``), and the work of the rooms that are asked.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from psycopg import sql
from pydantic import SecretStr

from kajovo_dr import doctor_alerts, doctor_recovery, terminal
from kajovo_dr.alerts.ledger import Ledger
from kajovo_dr.backups import catalog
from kajovo_dr.backups.candidates import identities_of
from kajovo_dr.backups.recovery_point import recovery_point
from kajovo_dr.backups.scratch import named_server, refuse_production
from kajovo_dr.backups.store import Store, open_store
from kajovo_dr.errors import (
    DoctorFindings,
    DrError,
    NotConfigured,
    ProofImpossible,
    ServerError,
    SettingError,
    UrlError,
)
from kajovo_dr.finding import Finding, asked, failure
from kajovo_dr.postgres import client_tools, clusters, databases, disposable, embedded
from kajovo_dr.postgres.server import Server, restore_target, source
from kajovo_dr.progress import human_bytes
from kajovo_dr.recovery import leftovers
from kajovo_dr.recovery.report import human_duration
from kajovo_dr.sandbox.stack import uses_sandbox
from kajovo_dr.settings import PREFIX, Settings
from kajovo_dr.watch.backup_sources import next_step
from kajovo_dr.watch.scene import Scene

#: Disk space, in backups of the newest one's size, below which the store is nearly full.
_ROOM_FOR = 3


def examine(settings: Settings, *, as_json: bool) -> None:
    """Print every finding; raises `DoctorFindings` when one of them is a failure."""
    found = list(_findings(settings))
    if as_json:
        terminal.show_json([asdict(finding) for finding in found])
    else:
        for finding in found:
            terminal.finding(finding)
    failed = [finding.name for finding in found if finding.verdict == "fail"]
    if failed:
        raise DoctorFindings(f"{len(failed)} of {len(found)} checks failed: {', '.join(failed)}")


@dataclass(frozen=True)
class _Protected:
    """The settings with the database to look at; missing: why there is none, as a finding.

    sandbox: it is the hotel, whose application and drills need no setting.
    """

    settings: Settings
    sandbox: bool = False
    missing: Finding | None = None


def _findings(settings: Settings) -> Iterator[Finding]:
    yield Finding("settings", "ok", f"read; state folder {settings.state}")
    yield _tools(settings)
    protected = _protected(settings)
    settings = protected.settings
    yield from _store(settings, protected.missing)
    yield asked("server of proofs", lambda: _proofs(settings))
    yield from _role_of_proofs(settings)
    try:
        open_ones = doctor_recovery.unended(
            settings, asleep=protected.sandbox and protected.missing is not None
        )
        yield from (each.finding for each in open_ones)
    except DrError as error:
        open_ones = []
        yield failure("recovery", error)
    yield from _beside(settings)
    yield doctor_recovery.incident_log(settings)
    yield doctor_recovery.drill(settings)
    yield from doctor_alerts.findings(settings)
    yield protected.missing or asked("database", lambda: _database(source(settings), settings))
    if settings.database_url or settings.restore_url:
        yield asked("server of restores", lambda: _restores(settings))
    yield asked("Dagster storage", lambda: _storage(settings))
    if not protected.sandbox:
        yield from doctor_recovery.drills_application(settings)
        yield from doctor_recovery.application(settings, open_ones)


def _protected(settings: Settings) -> _Protected:
    """The hotel's server is asked when it runs, and never started."""
    try:
        if not uses_sandbox(settings):
            return _Protected(settings)
        hotel = clusters.hotel_cluster(settings).running()
    except DrError as error:
        return _Protected(settings, missing=failure("database", error))
    if hotel is None:
        said = "not configured, and the sandbox hotel does not run"
        hint = f"start it: kajovo-dr up; or set {PREFIX}DATABASE_URL to protect a real database."
        return _Protected(settings, sandbox=True, missing=Finding("database", "warn", said, hint))
    url = SecretStr(hotel.database(clusters.HOTEL_DATABASE).url())
    store = open_store(settings).folder  # its own, which is made if it is not there yet
    complete = settings.with_overrides(database_url=url, backup_dir=store)
    return _Protected(complete, sandbox=True)


def _beside(settings: Settings) -> Iterator[Finding]:
    """Databases that recoveries left beside the live one."""
    with contextlib.suppress(DrError):  # a server that does not answer is a finding of its own
        server = restore_target(settings, settings.maintenance_database)
        with databases.connect(server) as admin:
            kept = leftovers.kept(settings, admin, server)
            strange = list(leftovers.unexplained(settings, admin))
        for each in kept:
            said = f"{each.name}, {human_bytes(each.bytes_on_disk)}, was replaced by"
            said += f" {each.record.kind} {each.record.short}"
            if each.why:
                yield Finding("replaced database", "ok", f"{said}; it stays: {each.why}")
            else:
                yield Finding("replaced database", "warn", said, "drop it: kajovo-dr cleanup.")
        for name in strange:
            said = f"{name!r} was left by a recovery that this state folder does not know"
            yield Finding(
                "leftover",
                "warn",
                said,
                "another state folder may need it for an undo: look at it before you drop it.",
            )


def _tools(settings: Settings) -> Finding:
    nowhere = Server({"dbname": "none"})
    try:
        folder = client_tools.find_bin(settings.pg_bin)
        transport = client_tools.transport_for(settings.pg_bin)
        versions = {
            tool: client_tools.version(transport, tool, nowhere)
            for tool in ("pg_dump", "pg_dumpall", "pg_restore", "psql")
        }
    except DrError as error:
        return failure("client tools", error)
    said = f"{', '.join(f'{tool} {each.text}' for tool, each in versions.items())} in {folder}"
    if client_tools.knows_restrict(versions["psql"]):
        return Finding("client tools", "ok", said)
    said += r"; psql is too old to know \restrict, with which it refuses commands in a dump itself"
    hint = (
        f"update them (releases since August 2025 know it), or point {PREFIX}PG_BIN at newer ones."
    )
    return Finding("client tools", "warn", said, hint)


def _store(settings: Settings, missing: Finding | None) -> Iterator[Finding]:
    try:
        store = open_store(settings)
        entries = catalog.entries(store)
    except DrError as error:
        yield failure("store", error)
        return
    sound = [entry.backup for entry in entries if entry.backup is not None]
    free = store.free_bytes()
    said = f"{len(sound)} backups in {store.folder}, {human_bytes(free)} free"
    largest = max((backup.manifest.size_bytes for backup in sound), default=0)
    if free < largest * _ROOM_FOR:
        hint = f"free some: the largest backup has {human_bytes(largest)}."
        yield Finding("store", "warn", said, hint)
    else:
        yield Finding("store", "ok", said)
    for entry in entries:
        if entry.problem is not None:
            yield Finding("backup", "warn", str(entry.problem), entry.problem.hint)
        elif entry.backup is not None and entry.backup.state == "damaged":
            reason = entry.backup.proof.reason if entry.backup.proof else ""
            said = f"{entry.backup.name} is damaged: {reason}"
            yield Finding("backup", "warn", said, "take a new one: kajovo-dr backup --prove.")
    if missing is not None:
        yield Finding("recovery point", "warn", f"not judged: {missing.said}", missing.hint)
        return
    with contextlib.suppress(UrlError):  # a finding of its own
        yield _recovery_point(settings, store, source(settings))


def _recovery_point(settings: Settings, store: Store, protected: Server) -> Finding:
    """Counted from the newest proven backup: what nobody has restored may not be restorable."""
    now = datetime.now(UTC)
    point = recovery_point(settings, store, protected, now)
    said = point.problem
    if point.age_s is not None:
        age = human_duration(point.age_s)
        said = said or f"{age} old and proven, the limit is {settings.rpo_hours:g} h"
    ours = catalog.backups(store, protected.dbname, identities_of(settings, store, protected))
    said = said or ("no backup is proven" if ours else "there is no backup")
    if point.verdict == "pass":
        return Finding("recovery point", "ok", said)
    hint = f"{next_step(Scene(settings, now, Ledger(), 'watchdog'))}."
    return Finding("recovery point", "warn" if point.verdict == "warn" else "fail", said, hint)


def _database(server: Server, settings: Settings) -> str:
    with databases.connect(server) as session:
        facts = databases.facts(session)
    transport = client_tools.transport_for(settings.pg_bin)
    client = client_tools.version(transport, "pg_dump", server)
    client_tools.require_as_new_as("pg_dump", client, facts.server_major)
    size = human_bytes(facts.bytes_on_disk)
    return f"{server.shown} answers: PostgreSQL {facts.server_version}, {size}"


def _proofs(settings: Settings) -> str:
    """Whether a proof would take its server, without leaving anything there."""
    server = named_server(settings)
    if server is None:
        _require_extensions(settings, "the embedded server", embedded.extensions(settings.pg_bin))
        return "embedded server, started for each proof"
    said = _answers(server)
    with contextlib.suppress(NotConfigured, UrlError):  # findings of their own
        refuse_production(settings, server)
        _require_as_new(server, source(settings))
    _require_extensions(settings, server.address, _names(server, "pg_available_extensions", "name"))
    return said


def _require_extensions(settings: Settings, where: str, offered: set[str] | None) -> None:
    if offered is None:
        return
    wanted: set[str] = set()
    with contextlib.suppress(NotConfigured, UrlError, ServerError):  # findings of their own
        wanted = _names(source(settings), "pg_extension", "extname")
    if missing := sorted(wanted - offered):
        raise ProofImpossible(
            f"{where} lacks extensions that the protected database has: {', '.join(missing)}",
            hint=f"no backup can be proven there: install them, or name in {PREFIX}PROOF_URL a"
            " server that has them.",
        )


def _names(server: Server, catalog: str, column: str) -> set[str]:
    query = sql.SQL("SELECT {} FROM {}").format(sql.Identifier(column), sql.Identifier(catalog))
    with databases.connect(server) as session:
        return {name for (name,) in session.execute(query).fetchall()}


def _role_of_proofs(settings: Settings) -> Iterator[Finding]:
    with contextlib.suppress(DrError):  # a server that does not answer is a finding of its own
        server = named_server(settings)
        if server is None:
            return
        with databases.connect(server) as session:
            if disposable.is_superuser(session):
                return
        yield Finding(
            "role of proofs",
            "warn",
            f"{server.user} on {server.address} is no superuser: backups whose objects belong to"
            " other roles stay unproven there",
            f"give it SUPERUSER, or unset {PREFIX}PROOF_URL for the embedded server.",
        )


def _require_as_new(server: Server, protected: Server) -> None:
    with contextlib.suppress(ServerError):  # production is down: a finding of its own
        wanted, major = _identity(protected).major, _identity(server).major
        if major < wanted:
            raise ProofImpossible(
                f"{server.address} is PostgreSQL {major}, the protected database is of"
                f" PostgreSQL {wanted}",
                hint=f"name a server at least as new in {PREFIX}PROOF_URL.",
            )


def _restores(settings: Settings) -> str:
    return _answers(restore_target(settings, settings.maintenance_database))


def _answers(server: Server) -> str:
    with databases.connect(server) as session:
        facts = databases.facts(session)
    return f"{server.address} answers: PostgreSQL {facts.server_version}"


def _storage(settings: Settings) -> str:
    if settings.dagster_url is None:
        return "embedded server, started by kajovo-dr up"
    url = settings.dagster_url.get_secret_value()
    server = Server.from_url(url, setting=f"{PREFIX}DAGSTER_URL")
    said = _answers(server)
    if _is_protected(server, settings):
        raise SettingError(
            f"{server.shown} is the protected database itself",
            hint="give Dagster a database of its own: the history must survive what it records.",
        )
    return said


def _is_protected(server: Server, settings: Settings) -> bool:
    try:
        return _identity(server) == _identity(source(settings))
    except DrError:
        return False  # the protected database does not answer: a finding of its own


@dataclass(frozen=True)
class _Identity:
    """Tells two databases apart however their addresses are written (localhost, 127.0.0.1)."""

    started_at: datetime
    database: int
    major: int


def _identity(server: Server) -> _Identity:
    with databases.connect(server) as session:
        row = session.execute(
            "SELECT pg_postmaster_start_time(), oid FROM pg_database"
            " WHERE datname = current_database()"
        ).fetchone()
        assert row is not None
        started_at, database = row
        return _Identity(started_at, database, session.info.server_version // 10_000)
