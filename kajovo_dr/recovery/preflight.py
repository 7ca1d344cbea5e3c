"""Whether a recovery can be done, looked at before anything is touched: all findings at once.

Belongs here: choosing and reading the backup, asking server, disk, application and journal. Not
here: doing any of it (``recover``). Nothing is changed, on the server or in the store.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import psycopg

from kajovo_dr import finding, process
from kajovo_dr.backups.candidates import newer_usable
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.load import require_server
from kajovo_dr.backups.store import open_store
from kajovo_dr.errors import (
    CommandMissing,
    DatabaseMissing,
    DrError,
    PreflightFailed,
    RecoveryUnfinished,
    RolesMissing,
    ServerError,
    SettingError,
    SwapFailed,
)
from kajovo_dr.postgres import carry_over, client_tools, databases, swap
from kajovo_dr.postgres.server import Server, restore_target, source
from kajovo_dr.postgres.transport import Transport
from kajovo_dr.progress import Progress, human_bytes, silent
from kajovo_dr.recovery import control, legacy, losses
from kajovo_dr.recovery.choose import choose
from kajovo_dr.recovery.journal import unfinished
from kajovo_dr.recovery.leftovers import unexplained
from kajovo_dr.recovery.read import Read, read_first_right
from kajovo_dr.recovery.report import human_duration, moment
from kajovo_dr.recovery.request import Request, require_confirmed
from kajovo_dr.settings import PREFIX, Settings

#: A restored database needs about the source's space, and room to build indexes in.
_SPACE_MARGIN = 1.3
#: A restored database may be far smaller than a source full of dead rows, but never smaller than
#: several times its dump (measured: 1.4 of plain SQL, 5 of an archive).
_LEAST = 1.4
#: Sessions that a recovery needs at once.
_SESSIONS = 6
#: What the lock of a target's recovery is for, beside that of its backups.
LOCK = "recovery"
Live = Literal["answers", "missing", "silent"]


@dataclass(frozen=True)
class Finding(finding.Finding):
    """One line of a plan. error: what the recovery would fail with."""

    error: DrError | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Plan:
    """What a recovery would do, and whether it can.

    target: the database under the name that the application uses. live: whether one of that name is
    there. lost_rows: see `RecoveryRecord`.
    """

    request: Request
    target: Server
    began_at: datetime
    findings: tuple[Finding, ...]
    read: Read | None
    live: Live
    lost_rows: dict[str, int] | None
    database_only: bool

    @property
    def backup(self) -> Backup:
        """The backup that would be restored; only of a plan without failures."""
        assert self.read is not None
        return self.read.backup

    @property
    def warnings(self) -> list[Finding]:
        """What does not keep the recovery from beginning."""
        return [each for each in self.findings if each.verdict == "warn"]

    def require(self) -> None:
        """Raise what is wrong: the one error, or `PreflightFailed` naming all of them."""
        failed = [each for each in self.findings if each.verdict == "fail"]
        if len(failed) == 1 and failed[0].error is not None:
            raise failed[0].error
        if failed:
            said = "; ".join(f"{each.name}: {each.said}" for each in failed)
            hints = "; ".join(each.hint.rstrip(".") for each in failed if each.hint)
            raise PreflightFailed(said, hint=f"{hints}." if hints else "")


def plan(
    settings: Settings,
    request: Request,
    *,
    recording: bool = True,
    tell: Callable[[str], None] = lambda said: None,
    progress: Progress = silent,
) -> Plan:
    """Look at everything that a recovery needs. Raises only what makes looking impossible: settings
    that cannot be read, a name that is none.

    recording: whether damage that is found in a backup is recorded in the store.
    """
    began_at = datetime.now(UTC)
    target = restore_target(settings, request.database)
    protected = source(settings) if settings.database_url else None
    aside = protected is not None and protected.dbname != request.database
    without_application = request.database_only or aside
    look = _Look(settings, request, target, recording, [])
    look.asked("request", lambda: _confirmed(request))
    look.moment(began_at)
    was_read = look.backup(protected, tell, progress)
    live = look.server(was_read.backup if was_read else None)
    look.application(without_application=without_application, aside=aside)
    lost = None
    if live == "answers" and was_read is not None:
        with suppress(DrError):
            lost = losses.lost_rows(target, was_read.backup)
    return Plan(
        request=request,
        target=target,
        began_at=began_at,
        findings=tuple(look.findings),
        read=was_read,
        live=live,
        lost_rows=lost,
        database_only=without_application,
    )


def _maintenance(settings: Settings, target: Server) -> Server:
    return target.database(settings.maintenance_database)


def _confirmed(request: Request) -> str:
    if not request.who.strip():
        raise SettingError(
            "who is empty: the incident log names who launched a recovery",
            hint="fill in a name and launch again; nothing was changed.",
        )
    if request.confirm is not None:
        require_confirmed(request.database, request.confirm)
    confirmed = "confirmed" if request.confirm is not None else "to be confirmed"
    return f"{request.who} replaces {request.database} ({confirmed})"


def require_finished(settings: Settings, target: Server, identity: str, *, but: str = "") -> None:
    """Raise `RecoveryUnfinished` when another recovery of the database has begun and not ended.

    identity: of the target on its server; empty when it does not answer: nobody knows then whether
    it is the same one. but: the id of one that does not matter.
    """
    for record in unfinished(settings.state):
        same = record.database == target.dbname and identity in ("", record.identity)
        if same and record.id != but:
            began = moment(record.started_at, settings.timezone)
            other = (
                f"put the former database back: kajovo-dr undo {record.short}"
                if record.done("swap") and record.kind == "recovery"
                else f"give it up: kajovo-dr recover --abandon --id {record.short}"
            )
            raise RecoveryUnfinished(
                f"{record.kind} {record.short} of {record.database} by {record.who} began at"
                f" {began} and has not ended",
                hint=f"go on with it: kajovo-dr recover --resume --id {record.short}; or {other}.",
            )


def _alone(settings: Settings, target: Server) -> str:
    with databases.mutex(target, settings.maintenance_database, purpose=LOCK) as admin:
        require_finished(settings, target, databases.identity(admin, target))
    return "none of this database runs or has not ended"


def _unknown_but_finished(settings: Settings, target: Server) -> str:
    require_finished(settings, target, "")
    return "none is known here that has not ended"


def _rights(admin: databases.Connection, target: Server) -> str:
    databases.refuse_reserved(admin, target.dbname)
    _require_rights(admin, target)
    return f"{target.user} may create databases and rename {target.dbname}"


def _require_rights(admin: databases.Connection, target: Server) -> None:
    row = admin.execute(
        "SELECT rolsuper OR rolcreatedb, rolsuper OR coalesce((SELECT pg_has_role(datdba, 'USAGE')"
        " FROM pg_database WHERE datname = %s), true) FROM pg_roles WHERE rolname = current_user",
        [target.dbname],
    ).fetchone()
    assert row is not None
    if admin.execute("SHOW transaction_read_only").fetchone() != ("off",):
        raise ServerError(
            f"sessions of {target.user!r} on {target.address} are read-only",
            hint="it is a standby, or default_transaction_read_only is set for the user or the"
            f" server: promote it, unset it, or name another one in {PREFIX}RESTORE_URL.",
        )
    if row != (True, True):
        lacks = "create databases" if not row[0] else f"rename {target.dbname!r}"
        raise ServerError(
            f"user {target.user!r} may not {lacks} on {target.address}",
            hint=f"name its owner with CREATEDB, or a superuser, in {PREFIX}RESTORE_URL.",
        )


@dataclass(frozen=True)
class _Look:
    """Collects findings: a question that raises one of our errors is a failure with its hint."""

    settings: Settings
    request: Request
    target: Server
    recording: bool
    findings: list[Finding]

    def asked(self, name: str, question: Callable[[], str]) -> None:
        try:
            self.findings.append(Finding(name, "ok", question()))
        except DrError as error:
            self.fail(name, error)

    def fail(self, name: str, error: DrError) -> None:
        self.findings.append(Finding(name, "fail", str(error), error.hint, error))

    def warn(self, name: str, said: str, hint: str = "") -> None:
        self.findings.append(Finding(name, "warn", said, hint))

    def moment(self, now: datetime) -> None:
        """Which moment the backup must lie before; a guessed one may be after the damage."""
        at, detected = self.request.incident_at, self.request.detected_at
        shown = moment(at or now, self.settings.timezone)
        if at is None:
            self.warn(
                "incident",
                f"taken as now, {shown}: a backup taken after the damage would be used, too",
                "name the moment: --before TIME, or incident_time in the form.",
            )
        elif detected is not None and detected < at:
            error = SettingError(
                "it was detected before it happened", hint="check both moments and their offsets."
            )
            self.fail("incident", error)
        else:
            self.findings.append(Finding("incident", "ok", shown))

    def backup(
        self, protected: Server | None, tell: Callable[[str], None], progress: Progress
    ) -> Read | None:
        """Choose the backup and read it to its end, before the application is stopped for it."""
        found: list[Read] = []

        def chosen() -> str:
            request = self.request
            candidates = choose(
                self.settings, name=request.backup, before=request.before, protected=protected
            )
            found.append(
                read_first_right(
                    self.settings,
                    candidates,
                    named=bool(request.backup),
                    recording=self.recording,
                    warn=tell,
                    progress=progress,
                )
            )
            backup = found[0].backup
            if request.backup:
                self._require_ours(backup, protected)
            else:
                self._newer(backup)
            age = human_duration((request.before - backup.manifest.created_at).total_seconds())
            size = human_bytes(backup.manifest.size_bytes)
            return f"{backup.name}, {backup.state}, {size}, {age} before the incident"

        self.asked("backup", chosen)
        return found[0] if found else None

    def _require_ours(self, backup: Backup, protected: Server | None) -> None:
        """A backup that was named may be of another database, or of a moment after the incident."""
        of = backup.manifest.database
        wanted = protected.dbname if protected else self.target.dbname
        if of != wanted and self.target.dbname == wanted:
            raise SettingError(
                f"{backup.name} is a backup of {of!r}, not of {wanted!r}",
                hint=f"restore it beside: kajovo-dr restore {backup.name} --into NEWNAME.",
            )
        if backup.manifest.created_at > self.request.before:
            said = f"the snapshot of {backup.name} is later than the incident"
            self.warn("moment", said, "it may hold the damage.")
        if backup.state != "proven":
            said = f"{backup.name} is not proven: nobody has restored it yet"
            self.warn("proof", said, f"prove it first: kajovo-dr verify {backup.name} --restore.")

    def _newer(self, backup: Backup) -> None:
        """Say that there is a newer backup than the proven one, which may be worth its risk."""
        newer = newer_usable(open_store(self.settings), backup, self.request.before)
        if newer is not None:
            self.warn(
                "newer backup",
                f"{newer.name} is newer and {newer.state}, so {backup.name} is used",
                f"prove it first: kajovo-dr verify {newer.name} --restore; or use it by its name.",
            )

    def live(self) -> Live:
        try:
            with databases.connect(self.target) as session:
                size = human_bytes(databases.size(session, self.target.dbname))
        except DatabaseMissing:
            self.warn("live database", f"{self.target.dbname!r} does not exist: nothing to undo to")
            return "missing"
        except DrError as error:
            self.warn("live database", f"does not answer, no safety backup: {error}")
            return "silent"
        said = f"{self.target.shown} answers, {size}; it is backed up and kept"
        self.findings.append(Finding("live database", "ok", said))
        return "answers"

    def server(self, backup: Backup | None) -> Live:
        """Ask the server everything; how the live database stands."""
        live: Live = "silent"
        try:
            with databases.connect(_maintenance(self.settings, self.target)) as admin:
                version = admin.info.parameter_status("server_version")
                said = f"{self.target.address} answers: PostgreSQL {version}"
                self.findings.append(Finding("server", "ok", said))
                self.asked("other recoveries", lambda: _alone(self.settings, self.target))
                live = self.live()
                self._databases(admin, backup)
        except DrError as error:
            error.hint += f" To recover onto another server: {PREFIX}RESTORE_URL."
            self.fail("server", error)
            if live == "silent":
                alone = _unknown_but_finished
                self.asked("other recoveries", lambda: alone(self.settings, self.target))
        return live

    def _databases(self, admin: databases.Connection, backup: Backup | None) -> None:
        names = [self.target.dbname]
        if databases.exists(admin, self.target.dbname):
            self._fences(carry_over.read(admin, self.target.dbname))
        self.asked("rights", lambda: _rights(admin, self.target))
        self.asked("sessions", lambda: _may_be_renamed(admin, names))
        self._crowd(admin)
        for name in unexplained(self.settings, admin):
            self.warn(
                "leftover",
                f"database {name!r} was left by a recovery that this state folder does not know",
                "another state folder may need it for an undo: look at it before you drop it.",
            )
        if backup is None:
            return
        transport = client_tools.transport_for(self.settings.pg_bin)
        self.asked("version", lambda: _version(admin, backup, transport, self.target))
        self.asked("roles", lambda: _roles(admin, backup, self.request.create_roles))
        self.asked("extensions", lambda: _extensions(admin, backup))
        self._disk(admin, backup)

    def _crowd(self, admin: databases.Connection) -> None:
        """Sessions that are left, and who reads the live database's changes."""
        row = admin.execute(
            "SELECT current_setting('max_connections')::int - count(*)"
            " FROM pg_stat_activity WHERE backend_type = 'client backend'"
        ).fetchone()
        if row is not None and row[0] < _SESSIONS:
            self.warn(
                "connections",
                f"the server has {row[0]} left, a recovery needs {_SESSIONS}",
                "end some, or limit the application's role: ALTER ROLE … CONNECTION LIMIT.",
            )
        slots = admin.execute(
            "SELECT slot_name FROM pg_replication_slots WHERE database = %s", [self.target.dbname]
        ).fetchall()
        if slots:
            named = ", ".join(str(name) for (name,) in slots)
            self.warn(
                "replication",
                f"slots of the live database stay with the former one: {named}",
                "make them anew on the restored one, and drop these: they keep WAL.",
            )

    def _fences(self, attributes: carry_over.Attributes) -> None:
        """What keeps people out of the live database, and whether it will of the restored one."""
        _, fences = attributes.without_fences()
        if fences:
            said = f"the live database has {', '.join(fences)}, which the restored one does not get"
            self.warn("fences", said, "set it again afterwards if it is meant for ever.")
        grants = attributes.grants
        if grants is not None and not any(
            grant.role is None and grant.privilege == "CONNECT" for grant in grants
        ):
            named = ", ".join(sorted({each.role for each in grants if each.role})) or "nobody"
            said = f"CONNECT is not granted to everybody but to: {named}; so it will be again"
            self.findings.append(Finding("privileges", "ok", said))

    def _disk(self, admin: databases.Connection, backup: Backup) -> None:
        needed = int(backup.manifest.database_bytes * _SPACE_MARGIN)
        free = _free_bytes(admin, self.target)
        if free is None:
            said = f"a second copy needs about {human_bytes(needed)} on the server's disk"
            self.warn("disk", f"{said}, which cannot be seen from here")
        elif free < backup.manifest.database_bytes and free < _LEAST * backup.manifest.size_bytes:
            error = PreflightFailed(
                f"{human_bytes(free)} free on the server's disk, a second copy needs about"
                f" {human_bytes(needed)}",
                hint="free some: databases that earlier recoveries replaced are dropped by"
                " kajovo-dr cleanup.",
            )
            self.fail("disk", error)
        elif free < needed:
            said = f"{human_bytes(free)} free, a second copy may need {human_bytes(needed)}"
            self.warn("disk", said, "free some, or watch it.")
        else:
            self.findings.append(Finding("disk", "ok", f"{human_bytes(free)} free"))

    def _programs(self) -> None:
        """Whether the commands that a recovery runs can be started at all."""
        folders: dict[str, Path | None] = {
            "app_stop_command": None,
            "app_start_command": None,
            "migrate_command": self.settings.migrate_dir,
        }
        if legacy.configured(self.settings):
            folders["legacy_command"] = self.settings.legacy_dir
        for name, folder in folders.items():
            words = getattr(self.settings, name)
            if words and not process.is_program(words[0], folder=folder):
                error = CommandMissing(f"{PREFIX}{name.upper()}: {words[0]} is no program here")
                self.fail("command", error)

    def application(self, *, without_application: bool, aside: bool) -> None:
        if without_application:
            why = "another name than the application's" if aside else "database only"
            said = f"{why}: the application is left alone, nothing is migrated"
            self.findings.append(Finding("application", "ok", said))
            return
        self.asked("application's URL", lambda: str(self.settings.need("app_base_url")))
        self.asked("Alembic", lambda: _alembic(self.settings))
        self.asked("server of the application", lambda: _same_server(self.settings, self.target))
        if self.settings.app_login_path:
            self.asked("login", lambda: _login(self.settings))
        self._programs()
        stop, start = control.how_to_stop(self.settings), control.how_to_start(self.settings)
        if stop and start:
            said = f"stopped by {stop}, started by {start}"
            self.findings.append(Finding("application", "ok", said))
        else:
            missing = "APP_STOP_COMMAND" if not stop else "APP_START_COMMAND"
            self.warn(
                "application",
                f"{PREFIX}{missing} is not set: it runs on until the swap ends its sessions, and"
                " what is written meanwhile stays in the old database",
                "set it (or the URL of a hook), or stop the application by hand first.",
            )
        if legacy.configured(self.settings):
            self.asked("legacy database", lambda: _legacy(self.settings))


def _alembic(settings: Settings) -> str:
    settings.need("migrate_dir")
    folder = settings.migrate_dir
    if folder is not None and not folder.is_dir():
        raise SettingError(
            f"{PREFIX}MIGRATE_DIR: {folder} is no folder",
            hint="name the folder of the application's alembic.ini.",
        )
    return str(folder)


def _same_server(settings: Settings, target: Server) -> str:
    """The application that is stopped and tested must be the one of the recovered database."""
    protected = source(settings)
    if protected.address != target.address and settings.restore_url is not None:
        raise SettingError(
            f"{PREFIX}RESTORE_URL is {target.address}, the application's database is on"
            f" {protected.address}",
            hint=f"recover there without it (--database-only), or point {PREFIX}DATABASE_URL, and"
            " the application, at the new server.",
        )
    return target.address


def _login(settings: Settings) -> str:
    settings.need("app_email")
    settings.need("app_password")
    return "set"


def _legacy(settings: Settings) -> str:
    url = settings.need("legacy_url")
    server = Server.from_url(
        url, setting=f"{PREFIX}LEGACY_URL", connect_timeout=settings.connect_timeout_s
    )
    try:
        with databases.connect(server):
            return f"{server.shown} answers"
    except DrError as error:
        error.hint += f" To recover without legacy data: unset {PREFIX}LEGACY_URL."
        raise


def _may_be_renamed(admin: databases.Connection, names: list[str]) -> str:
    if found := swap.obstacles(admin, names):
        raise SwapFailed(
            f"cannot be renamed: {'; '.join(found)}",
            hint="COMMIT PREPARED or ROLLBACK PREPARED it in that database, then try again.",
        )
    return "no prepared transaction is in the way; sessions are ended at the swap"


def _version(
    admin: databases.Connection, backup: Backup, transport: Transport, target: Server
) -> str:
    require_server(admin, backup, transport, target)
    major = admin.info.server_version // 10_000
    return f"PostgreSQL {major} can take the backup of PostgreSQL {backup.manifest.server_major}"


def _roles(admin: databases.Connection, backup: Backup, create: bool) -> str:
    missing = databases.missing_roles(admin, list(backup.manifest.roles))
    if missing and not create:
        raise RolesMissing(
            f"the server lacks roles that the backup names: {', '.join(missing)}",
            hint="let the recovery create them, without passwords: --create-roles.",
        )
    if missing:
        return f"will be created: {', '.join(missing)}"
    _require_membership(admin, backup)
    return f"there: {', '.join(backup.manifest.roles) or 'none is needed'}"


def _require_membership(admin: databases.Connection, backup: Backup) -> None:
    """What a dump gives to a role only its members can give."""
    rows = admin.execute(
        "SELECT rolname FROM pg_roles WHERE rolname = ANY (%s)"
        " AND NOT pg_has_role(current_user, oid, 'MEMBER')",
        [list(backup.manifest.roles)],
    ).fetchall()
    if rows:
        raise ServerError(
            f"user {admin.info.user!r} is no member of {', '.join(name for (name,) in rows)}, to"
            " whom parts of the backup belong",
            hint=f"GRANT them to it, or name a superuser in {PREFIX}RESTORE_URL.",
        )


def _extensions(admin: databases.Connection, backup: Backup) -> str:
    needed = backup.manifest.fingerprint.extensions if backup.manifest.fingerprint else {}
    rows = admin.execute("SELECT name FROM pg_available_extensions").fetchall()
    if missing := sorted(needed.keys() - {name for (name,) in rows}):
        raise PreflightFailed(
            f"the server lacks extensions that the backup needs: {', '.join(missing)}",
            hint="install them on the server, then try again.",
        )
    return f"available: {', '.join(sorted(needed)) or 'none is needed'}"


def _free_bytes(admin: databases.Connection, target: Server) -> int | None:
    """Of the server's disk, when it is this machine's; None when nobody can tell."""
    if target.params.get("host", "") not in ("localhost", "127.0.0.1", "::1"):
        return None
    try:
        row = admin.execute("SHOW data_directory").fetchone()
    except psycopg.errors.InsufficientPrivilege:
        return None
    assert row is not None
    with suppress(OSError):
        folder = Path(row[0])
        # a container's folder is not here, or is somebody else's of that name
        if (folder / "postmaster.pid").is_file():
            return shutil.disk_usage(folder).free
    return None
