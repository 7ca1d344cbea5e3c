"""What each phase of a drill does; each is the recovery's own code, called with another database.

Belongs here: the phases and what passes between them. Not here: their order and what a failure of
one means (``drill``, ``drill_phases``), and the room they work in (``drill_room``).
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pydantic import SecretStr

from kajovo_dr.alerts.trial import require_arrived, try_channels
from kajovo_dr.backups import catalog
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.prove import prove, require_proven
from kajovo_dr.backups.recovery_point import RecoveryPoint, recovery_point
from kajovo_dr.backups.scratch import require_space, scratch_server
from kajovo_dr.backups.store import open_store
from kajovo_dr.backups.take import take
from kajovo_dr.backups.zoo.exercise import Exercise, run_zoo
from kajovo_dr.backups.zoo.mutants import Mutant
from kajovo_dr.errors import DrError, DrillFailed, FileRefused, NotConfigured
from kajovo_dr.files import write_private
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.progress import Progress
from kajovo_dr.recovery import drill_history, drill_room, legacy, legacy_source, second_instance
from kajovo_dr.recovery.application import login_body
from kajovo_dr.recovery.drill_phases import Facts, Skip
from kajovo_dr.recovery.migrate import migrate
from kajovo_dr.recovery.read import read
from kajovo_dr.recovery.readiness import wait_until_ready
from kajovo_dr.recovery.restore import restore_beside
from kajovo_dr.recovery.revoke import revoke
from kajovo_dr.recovery.second_instance import SecondInstance
from kajovo_dr.recovery.smoke import smoke
from kajovo_dr.settings import PREFIX, Settings

#: Bytes of an application's output that are kept of a failed drill.
_LOG_KEPT = 1 << 20


@dataclass
class Steps:
    """One drill's phases, each a method that returns its facts, and what they leave for the next.

    open: what stays open until the drill ends. mutants: of the zoo.
    """

    settings: Settings
    id: str
    source: Server
    mutants: Sequence[Mutant]
    progress: Progress
    open: ExitStack
    backup: Backup | None = None
    before: RecoveryPoint = field(default_factory=lambda: RecoveryPoint("none"))
    age_after_s: float | None = None
    removed: tuple[str, ...] = ()
    log: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    _scratch: Server | None = None
    _folder: Path | None = None
    _instance: SecondInstance | None = None

    def prepare(self) -> Facts:
        """Remove what a killed drill left; look for what would stop this one later on."""
        settings = self.settings
        self.before = recovery_point(settings, open_store(settings), self.source, datetime.now(UTC))
        self.open.enter_context(drill_room.kept_running(settings))
        with scratch_server(settings) as scratch:
            self.removed = drill_room.sweep(settings, scratch)
            with databases.connect(scratch) as session:
                version = session.info.parameter_status("server_version") or ""
            self._require_legacy(scratch)
        self.versions["scratch_server"] = version
        self._require_application()
        return {"scratch": version, "removed": len(self.removed)}

    def take_backup(self) -> Facts:
        """A backup of the protected database."""
        taken = take(self.settings, self.source, reason="drill", progress=self.progress)
        self.backup, manifest = taken.backup, taken.backup.manifest
        self.versions["server"] = manifest.server_version
        self.versions["client"] = manifest.client_version
        facts = {"tables": len(manifest.tables), "rows": manifest.rows}
        return {"backup": self.backup.name, **facts, "bytes": manifest.size_bytes}

    def prove(self) -> Facts:
        """Its proof."""
        backup = self._taken()
        proof = prove(self.settings, backup, progress=self.progress)
        require_proven(backup.name, proof)
        self.backup = catalog.load(backup.path)
        self.age_after_s = max(self.backup.age_s(), 0.0)
        return {"verdicts": len(proof.verdicts)}

    def zoo(self) -> Facts:
        """Damaged copies of that very backup, all of which must be caught."""
        backup = self._taken()
        require_space(self.settings, backup)
        with scratch_server(self.settings) as scratch:
            outcomes = run_zoo(self.settings, backup, scratch, self.progress, self.mutants)
        done = Exercise(backup.name, outcomes)
        done.require_all()
        caught = sum(outcome.result == "caught" for outcome in outcomes)
        return {"caught": caught, "not_applicable": len(outcomes) - caught}

    def restore(self) -> Facts:
        """The backup as a database on the scratch server, equal to its manifest."""
        settings, backup = self.settings, self._taken()
        require_space(settings, backup)
        scratch = self._enter_scratch()
        drill_room.make_roles(scratch, backup)
        was_read = read(settings, backup, progress=self.progress)
        room = scratch.database(self._database)
        was_read = drill_room.fitting(scratch, was_read, room.dbname)
        done = restore_beside(
            settings,
            was_read,
            room,
            mark=drill_room.MARK,
            tablespaces=False,
            progress=self.progress,
        )
        return {"database": room.dbname, "tables": done.tables, "rows": done.rows}

    def migrate(self) -> Facts:
        """Alembic, up to the code's head."""
        if self.settings.migrate_dir is None:
            raise Skip(f"{PREFIX}MIGRATE_DIR is not set")
        done = migrate(self.settings, self._room(), progress=self.progress)
        return {"revision": done.after, "steps": len(done.steps)}

    def legacy(self) -> Facts:
        """migrate_legacy, as a recovery runs it."""
        if not legacy.configured(self.settings):
            raise Skip(f"{PREFIX}LEGACY_URL is not set")
        settings = _reading_legacy(self.settings)
        done = legacy.migrate_legacy(settings, self._room(), progress=self.progress)
        domains = done.domains.values()
        imported, scanned = sum(d.imported for d in domains), sum(d.scanned for d in domains)
        return {"imported": imported, "scanned": scanned, "domains": len(domains)}

    def revoke(self) -> Facts:
        """What ends the sessions and tokens that the restore has brought back to life."""
        done = revoke(self.settings, self._room())
        return {"statements": len(done), "rows": sum(done.values())}

    def start(self) -> Facts:
        """A second instance of the application on that database."""
        self._require_wanted()
        self._folder = drill_room.make_folder(self.settings, self.id)
        self._instance = second_instance.start(self.settings, self._room(), self._folder)
        second_instance.wait(self.settings, self._room(), self._instance)
        return {"port": self._instance.port}

    def readiness(self) -> Facts:
        """Until it says that it is ready."""
        self._require_wanted()
        done = wait_until_ready(self._at_instance(), progress=self.progress)
        return {"attempts": done.attempts}

    def smoke(self) -> Facts:
        """Every module read through it and compared with that database."""
        self._require_wanted()
        report = smoke(self._at_instance(), self._room(), progress=self.progress)
        report.raise_for_failures()
        passed = sum(result.ok for result in report.results)
        return {"passed": passed, "endpoints": len(report.results)}

    def alert(self) -> Facts:
        """A test message through every channel: an alert that reaches nobody is none."""
        sent = try_channels(self.settings, why=f"drill {self.id}")
        if not sent:
            raise Skip(f"no alert channel is configured: {PREFIX}ALERT_URLS is not set")
        require_arrived(sent)
        return {"channels": len(sent), "arrived": sum(each.arrived for each in sent)}

    def clean_up(self, *, keep_log: bool) -> Facts:
        """Stop and drop all; what fails does not keep the rest from being done.

        keep_log: of the application, for whoever looks for why the drill failed.
        """
        failures: list[DrError] = []
        keep = [self._keep_log] if keep_log else []
        for each in (self._stop, *keep, self._drop, self._delete):
            try:
                each()
            except DrError as failure:
                failures.append(failure)
            except OSError as failure:
                failures.append(FileRefused(f"{failure.filename}: {failure.strerror}"))
        if failures:
            raise DrillFailed("; ".join(map(str, failures)), hint=failures[0].hint)
        return {}

    def leftovers(self) -> Facts:
        """Whether anything is still there."""
        found = self._instance.remains() if self._instance is not None else ()
        found += drill_room.remains(self.settings, self._enter_scratch())
        if found:
            raise DrillFailed(
                f"the drill left behind: {', '.join(found)}",
                hint="remove it by hand; databases, roles and folders that bear the drill's mark"
                " are removed by the next drill.",
            )
        return {}

    def _require_legacy(self, scratch: Server) -> None:
        """The same for migrate_legacy: its program, and a legacy database that answers."""
        settings = self.settings
        if legacy.configured(settings):
            path = settings.legacy_env.get("PATH")
            second_instance.require_program(
                "LEGACY", settings.legacy_command[0], settings.legacy_dir, path
            )
            legacy_source.address(settings, scratch)

    def _require_application(self) -> None:
        """Raise now what would be missing when the application is to be started and read."""
        settings = self.settings
        if not settings.drill_application:
            return
        second_instance.require_command(settings)
        login_body(settings)
        if not (settings.app_modules or settings.app_extras):
            raise NotConfigured(
                f"{PREFIX}APP_MODULES and {PREFIX}APP_EXTRAS are empty: nothing would be tested",
                hint="list at least one endpoint.",
            )

    def _require_wanted(self) -> None:
        if not self.settings.drill_application:
            raise Skip(f"{PREFIX}DRILL_APPLICATION is false")

    def _taken(self) -> Backup:
        assert self.backup is not None  # the phases before this one passed
        return self.backup

    @property
    def _database(self) -> str:
        return drill_room.DATABASE + self.id

    def _room(self) -> Server:
        return self._enter_scratch().database(self._database)

    def _at_instance(self) -> Settings:
        assert self._instance is not None
        return self.settings.with_overrides(app_base_url=self._instance.base_url)

    def _enter_scratch(self) -> Server:
        """The scratch server, ours alone from now until the drill ends."""
        if self._scratch is None:
            self._scratch = self.open.enter_context(scratch_server(self.settings))
        return self._scratch

    def _stop(self) -> None:
        if self._instance is not None:
            self._instance.stop()

    def _keep_log(self) -> None:
        if self._instance is None:
            return
        said = second_instance.output(self.settings, self._room(), self._instance.log, _LOG_KEPT)
        path = drill_history.folder(self.settings.state) / f"{self.id}.log"
        if said:
            write_private(path, said.encode())
            self.log = path.name

    def _drop(self) -> None:
        if self._scratch is not None:
            drill_room.drop(self._scratch, self._database)

    def _delete(self) -> None:
        if self._folder is not None and self._folder.exists():
            shutil.rmtree(self._folder)


def _reading_legacy(settings: Settings) -> Settings:
    """The settings with an address whose sessions in the legacy database are read-only: a drill is
    no reason to trust a tool with it. Only drivers made of libpq take such an address.
    """
    if not settings.migrate_driver.startswith("psycopg"):
        return settings
    source = Server.from_url(settings.need("legacy_url"), setting=f"{PREFIX}LEGACY_URL")
    url = source.setting("default_transaction_read_only", "on").url()
    return settings.with_overrides(legacy_url=SecretStr(url))
