"""An incident in miniature: a library whose live database has gone on since its proven backup.

For tests of whole recoveries. The fixtures are in ``conftest``; here is what they hand out.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from kajovo_dr.backups import catalog
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.manifest import MANIFEST_SUFFIX, stamp
from kajovo_dr.backups.store import sidecar
from kajovo_dr.postgres import databases, swap
from kajovo_dr.postgres.server import Server
from kajovo_dr.recovery import conduct, preflight
from kajovo_dr.recovery.incident_log import IncidentLog
from kajovo_dr.recovery.preflight import Plan
from kajovo_dr.recovery.record import IncidentEntry, Phase
from kajovo_dr.recovery.recover import Recovery
from kajovo_dr.recovery.request import Request
from kajovo_dr.recovery.resume import find, resume
from kajovo_dr.recovery.undo import begin_undo, last_swapped
from kajovo_dr.settings import Settings
from kajovo_dr_tests.backups.stored import judge
from kajovo_dr_tests.recovery.http_servers import serving
from kajovo_dr_tests.recovery.other_app.library import (
    CHECKOUT,
    FIRST_REVISION,
    Library,
    environment,
)

#: Nobody but these two may ever be named outside the database.
CLERK, NEWCOMER = "zdenka@knihovna.cz", "novy@knihovna.cz"
HASH = "$argon2id$v=19$"
#: The library one revision behind its code, as it was backed up.
BACKED_UP = f"""
{FIRST_REVISION}INSERT INTO library.shelves (label) VALUES ('Próza/česká'), ('Poezie');
INSERT INTO library.books (title, shelf_id) VALUES ('Žert', 1), ('Máj', 2), ('Saturnin', 1);
CREATE TABLE library.readers (email text PRIMARY KEY, hash text NOT NULL);
INSERT INTO library.readers VALUES ('{CLERK}', '{HASH}staré');
CREATE TABLE library.visits (token text PRIMARY KEY);
INSERT INTO library.visits VALUES ('s1'), ('s2');
"""
#: What has happened since.
SINCE = f"""
INSERT INTO library.books (title, shelf_id) VALUES ('Postřižiny', 1), ('Babička', 1);
UPDATE library.readers SET hash = '{HASH}nové';
INSERT INTO library.readers VALUES ('{NEWCOMER}', '{HASH}jiné');
"""
#: Tables of the library that the code of ``other_app`` does not know.
_MORE_TABLES = """
sa.Table("readers", metadata, sa.Column("email", sa.Text, primary_key=True),
         sa.Column("hash", sa.Text, nullable=False))
sa.Table("visits", metadata, sa.Column("token", sa.Text, primary_key=True))
"""
_CONTENT = """
SELECT 'book', id::text, title FROM library.books UNION ALL
SELECT 'reader', email, hash FROM library.readers UNION ALL
SELECT 'visit', token, '' FROM library.visits ORDER BY 1, 2
"""
Row = tuple[Any, ...]


@dataclass(frozen=True)
class Vault:
    """A store with one proven backup of the library, and what its readers must find in it.

    name: of the database. restored: its content without what a recovery revokes.
    """

    folder: Path
    name: str
    backup: str
    restored: list[Row]


@dataclass
class Incident:
    """One incident with a state folder, a store and a live database of its own."""

    settings: Settings
    live: Server
    vault: Vault

    @property
    def backup(self) -> Backup:
        """The proven backup, as it is in the store now."""
        return catalog.load(self.settings.store_dir / self.vault.backup)

    def change(self, **overrides: Any) -> None:
        """Change settings, checked as an operator's are."""
        self.settings = Settings.load(**self.settings.model_dump(exclude_unset=True) | overrides)

    def request(self, **changes: Any) -> Request:
        """A recovery of the database alone, confirmed."""
        asked = Request(
            database=self.live.dbname,
            confirm=self.live.dbname,
            who="Noční směna",
            note="po požáru",
            database_only=True,
        )
        return replace(asked, **changes)

    def plan(self, **changes: Any) -> Plan:
        return preflight.plan(self.settings, self.request(**changes))

    def begin(self, **changes: Any) -> Recovery:
        """A recovery that has begun; a plan that is not good raises."""
        made = self.plan(**changes)
        made.require()
        return Recovery.begin(self.settings, made)

    def recover(self, **changes: Any) -> IncidentEntry:
        return conduct.run(self.settings, self.begin(**changes))

    def resume(self, which: str = "") -> IncidentEntry:
        return conduct.run(self.settings, resume(self.settings, find(self.settings, which)))

    def undo(self, which: str = "", **changes: Any) -> IncidentEntry:
        asked = {"who": "Ranní směna", "confirm": self.live.dbname, **changes}
        begun = begin_undo(self.settings, last_swapped(self.settings, which), **asked)
        return conduct.run(self.settings, begun)

    def log(self) -> list[IncidentEntry]:
        return IncidentLog(self.settings.state).read()

    def execute(self, *statements: str, on: Server | None = None) -> list[Row]:
        """Run statements in the live database, or another one; rows of the last."""
        rows: list[Row] = []
        with databases.connect(on or self.live) as session:
            for statement in statements:
                done = session.execute(statement.encode())
                rows = done.fetchall() if done.description else []
        return rows

    def content(self, name: str = "") -> list[Row]:
        """What is in the live database, or in the one of that name beside it."""
        return self.execute(_CONTENT, on=self.live.database(name or self.live.dbname))

    def beside(self) -> list[str]:
        """Names of the databases that begin with the live one's, without itself."""
        found = self.execute("SELECT datname FROM pg_database ORDER BY 1", on=self._postgres)
        names = [name for (name,) in found]
        return [each for each in names if each.startswith(f"{self.live.dbname}_")]

    def oid(self, name: str = "") -> int | None:
        with databases.connect(self._postgres) as admin:
            return swap.oid_of(admin, name or self.live.dbname)

    def drop(self, name: str = "") -> None:
        """Lose the live database, or drop the one of that name."""
        with databases.connect(self._postgres) as admin:
            databases.drop(admin, name or self.live.dbname)

    def create(self, name: str, content: str = "") -> Server:
        """A database made by somebody else."""
        with databases.connect(self._postgres) as admin:
            databases.create(admin, name, {})
        if content:
            self.execute(content, on=self.live.database(name))
        return self.live.database(name)

    def rewrite(self, **manifest: Any) -> Backup:
        """Make the backup one whose manifest says something else, proven as such."""
        backup = self.backup
        changed = backup.manifest.model_copy(update=manifest)
        sidecar(backup.path, MANIFEST_SUFFIX).write_bytes(changed.to_bytes())
        judge(self.backup, "proven", datetime.now(UTC))
        return self.backup

    def copy_backup(self, at: datetime, *, damaged: bool = False) -> Backup:
        """Another proven backup of the same dump, of another moment; damaged: of other bytes."""
        old = self.backup
        named = at
        while (path := old.path.with_name(f"kajovo-postgres-{stamp(named)}.sql")).exists():
            named += timedelta(seconds=1)
        for each in old.path.parent.glob(f"{old.name}*"):
            shutil.copy(each, path.with_name(each.name.replace(old.name, path.name)))
        changed = old.manifest.model_copy(update={"backup_file": path.name, "created_at": at})
        sidecar(path, MANIFEST_SUFFIX).write_bytes(changed.to_bytes())
        digest = sidecar(path, ".sha256")
        digest.write_text(digest.read_text().replace(old.name, path.name))
        made = catalog.load(path)
        judge(made, "proven", at)
        if damaged:
            flip(path)
        return catalog.load(path)

    @property
    def _postgres(self) -> Server:
        return self.live.database("postgres")


def migrated(begun: Recovery) -> Recovery:
    """As if an earlier process had migrated: Alembic takes seconds, and is tested elsewhere."""
    begun.journal.add(Phase(name="migrate", ok=True, detail="předem"))
    return begun


def just_after(incident: Incident) -> datetime:
    """A moment that is later than the backup's and has passed for certain."""
    return incident.backup.manifest.created_at + timedelta(milliseconds=1)


def flip(path: Path) -> None:
    """Change bytes of a dump so that only its digest tells."""
    text = path.read_bytes()
    assert b"Saturnin" in text
    path.write_bytes(text.replace(b"Saturnin", b"Saturnum"))


def touched(incident: Incident) -> dict[str, Any]:
    """Everything that a recovery may change: databases, roles, and every file with its time."""
    folders = (incident.settings.state, incident.settings.store_dir)
    files = {
        str(path): (path.stat().st_mtime_ns, path.is_dir() or _digest(path))
        for folder in folders
        for path in (folder, *folder.rglob("*"))
        if folder.exists()
    }
    server = incident.live.database("postgres")
    rows = incident.execute(
        "SELECT oid, datname, datdba, shobj_description(oid, 'pg_database') FROM pg_database"
        " ORDER BY 1",
        on=server,
    )
    roles = incident.execute("SELECT * FROM pg_roles ORDER BY oid", on=server)
    return {"files": files, "databases": rows, "roles": roles}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Service:
    """The library behind a switch: POST to /stop and /start; stopped, it answers 503.

    running: whether it serves. verbs: what it was told; from the number deaf_from on it answers 500
    and does nothing. breaks: a path that answers 500.
    """

    def __init__(self, database: Server) -> None:
        self.running = True
        self.verbs: list[str] = []
        self.breaks = ""
        self.deaf_from = 99
        self._library = Library(database)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self._own_answer(HttpRequest(scope)) or self._library.app)(scope, receive, send)

    def _own_answer(self, request: HttpRequest) -> Response | None:
        path = request.url.path
        if path in ("/stop", "/start"):
            self.verbs.append(path[1:])
            if len(self.verbs) > self.deaf_from:
                return PlainTextResponse("neslyším", 500)
            self.running = path == "/start"
            return PlainTextResponse("ano")
        if not self.running:
            return PlainTextResponse("zavřeno", 503)
        return PlainTextResponse("chyba", 500) if path == self.breaks else None


@contextmanager
def in_service(
    incident: Incident, checkout: Path, setenv: Callable[[str, str], None]
) -> Iterator[Service]:
    """Serve the library, and let the incident's settings lead to it."""
    folder = shutil.copytree(CHECKOUT, checkout)
    env = folder / "migrations" / "env.py"
    code = env.read_text(encoding="utf-8")
    env.write_text(code.replace("fileConfig(Path", f"{_MORE_TABLES}\nfileConfig(Path"), "utf-8")
    service = Service(incident.live)
    with serving(service) as url:
        for name, value in environment(url).items():
            setenv(name, value)
        setenv("KAJOVO_DR_APP_STOP_URL", f"{url}/stop")
        setenv("KAJOVO_DR_APP_START_URL", f"{url}/start")
        setenv("KAJOVO_DR_APP_READY_ATTEMPTS", "2")
        setenv("KAJOVO_DR_APP_READY_PAUSE_S", "0")
        setenv("KAJOVO_DR_MIGRATE_DIR", str(folder))
        incident.change()
        yield service
