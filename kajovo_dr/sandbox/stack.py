"""Filling in what the settings leave out: embedded servers, the sandbox hotel and its API.

Belongs here: starting, stopping and the complete settings. Not here: the hotel (``schema``,
``seed``, ``api``) and the servers (``postgres.embedded``). Whatever has a URL in the settings is
used as it is, and nothing here ever changes it.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import SecretStr

from kajovo_dr.errors import NotConfigured, SettingError
from kajovo_dr.files import PRIVATE_FILE, private_folder, replace_atomically, write_private
from kajovo_dr.postgres import clusters, databases
from kajovo_dr.postgres.server import Server, source
from kajovo_dr.progress import Progress, silent
from kajovo_dr.sandbox import supervisor, switch
from kajovo_dr.sandbox.drill_instance import with_second_instance
from kajovo_dr.sandbox.legacy_database import LEGACY_DATABASE
from kajovo_dr.settings import PREFIX, Settings

#: Rows of the hotel that a first start makes: enough to look at, seeded in a second.
FIRST_ROWS = 1000
#: Settings of a real system. With one of them set, a missing database_url is a mistake, not a wish
#: for the sandbox, whose backups would end among the real ones.
REAL = ("restore_url", "backup_dir", "app_base_url", "migrate_dir", "legacy_url")


def set_ones(settings: Settings, names: tuple[str, ...]) -> str:
    """Those of the settings that are set, as text for a message; empty when none is."""
    return " and ".join(PREFIX + name.upper() for name in names if getattr(settings, name))


def uses_sandbox(settings: Settings) -> bool:
    """Whether the protected system is the sandbox; raises `NotConfigured` for half a real one."""
    if settings.database_url is not None:
        return False
    if real := set_ones(settings, REAL):
        raise NotConfigured(
            f"{PREFIX}DATABASE_URL is not set, but {real} may belong to a real system",
            hint="set it too, or unset the others to work with the sandbox hotel.",
        )
    return True


def folder(settings: Settings) -> Path:
    """The sandbox's own files: password, photos, log of the API."""
    return private_folder(settings.state / "sandbox")


@contextmanager
def exclusive(settings: Settings, *, user: str) -> Iterator[None]:
    """Let one `up` or `demo` at a time use a state folder: two daemons on one storage start every
    run twice, and a demo would take the hotel from under the UI.
    """
    private_folder(settings.state)
    said = settings.state / "in-use-by"
    lock = FileLock(settings.state / "in-use.lock", mode=PRIVATE_FILE)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        other = said.read_text(encoding="utf-8") if said.exists() else "another kajovo-dr"
        raise SettingError(
            f"{other} runs on the state folder {settings.state}",
            hint="stop it first, or set KAJOVO_DR_STATE to another folder.",
        ) from None
    try:
        replace_atomically(said, user.encode())
        yield
    finally:
        said.unlink(missing_ok=True)
        lock.release()


@contextmanager
def protected_database(settings: Settings) -> Iterator[Settings]:
    """The settings with a database to protect: the sandbox's server is started if none is named."""
    if not uses_sandbox(settings):
        yield settings
        return
    store = private_folder(settings.store_dir)
    with clusters.hotel_cluster(settings) as server:
        url = SecretStr(server.database(clusters.HOTEL_DATABASE).url())
        yield settings.with_overrides(database_url=url, backup_dir=store)


@contextmanager
def protected_system(settings: Settings) -> Iterator[Settings]:
    """The settings with a database and an application to protect.

    Where none is named it is the sandbox hotel, its database lost or not: its API is that of the
    `up` or `demo` that runs on the state folder, else one is started for the block.
    """
    if not uses_sandbox(settings):
        yield settings
        return
    with protected_database(settings) as complete:
        place, password = folder(settings), _password(folder(settings))
        with supervisor.shared(source(complete), place, password) as base_url:
            yield _with_application(complete, base_url, password)


@contextmanager
def server_of_restores(settings: Settings) -> Iterator[Settings]:
    """The settings with a server to restore to, which may be all that is left."""
    if settings.restore_url is not None:
        yield settings
        return
    with protected_database(settings) as complete:
        yield complete


@dataclass(frozen=True)
class Fresh:
    """A hotel to begin with, in place of whatever the sandbox holds: about rows, at a revision, and
    beside it the legacy database that it once came from.
    """

    rows: int
    revision: str
    legacy: bool = True


@contextmanager
def whole(
    settings: Settings, *, fresh: Fresh | None = None, progress: Progress = silent
) -> Iterator[Settings]:
    """The complete stack: Dagster's storage, the protected database, its application.

    fresh: replace the sandbox's hotel; never a database that the settings name. Exports the
    settings to this process's environment, where Dagster's processes find them.
    """
    with ExitStack() as running:
        sandbox = uses_sandbox(settings)
        settings = running.enter_context(_dagster_storage(settings))
        settings = running.enter_context(protected_database(settings))
        if sandbox:
            settings = running.enter_context(_hotel(settings, fresh, progress))
        running.enter_context(_exported(settings))
        yield settings


@contextmanager
def _dagster_storage(settings: Settings) -> Iterator[Settings]:
    if settings.dagster_url is not None:
        yield settings
        return
    with clusters.dagster_cluster(settings) as server:
        storage = clusters.ensure_database(server, clusters.DAGSTER_DATABASE)
        yield settings.with_overrides(dagster_url=SecretStr(storage.url()))


@contextmanager
def _hotel(settings: Settings, fresh: Fresh | None, progress: Progress) -> Iterator[Settings]:
    """The hotel's database, made on the first start, and its API, kept alive."""
    from kajovo_dr.sandbox.schema import HEAD_REVISION

    hotel = source(settings)
    with databases.connect(hotel.database("postgres")) as session:
        missing = not databases.exists(session, hotel.dbname)
    # a hotel that was lost after it had been backed up waits to be recovered, not to be replaced
    if missing and not any(settings.store_dir.glob(f"{settings.backup_prefix}-*")):
        fresh = fresh or Fresh(FIRST_ROWS, HEAD_REVISION)
    if fresh is not None:
        _replace(hotel, fresh, folder(settings) / "media", progress)
    place, password = folder(settings), _password(folder(settings))
    with supervisor.Supervised(hotel, place, password) as api:
        complete = _with_application(settings, api.base_url, password)
        yield with_second_instance(complete, media_root=place / "media")


def _with_application(settings: Settings, base_url: str, password: str) -> Settings:
    """The settings with the hotel's API, and the commands that stop and start it."""
    place = folder(settings)
    return with_legacy(settings).with_overrides(
        app_base_url=settings.app_base_url or base_url,
        app_email=settings.app_email or SecretStr(supervisor.ADMIN_EMAIL),
        app_password=settings.app_password or SecretStr(password),
        app_stop_command=settings.app_stop_command or switch.command("stop", place),
        app_start_command=settings.app_start_command or switch.command("start", place),
        migrate_dir=settings.migrate_dir or Path(__file__).parent,
    )


def with_legacy(settings: Settings) -> Settings:
    """The settings with the sandbox's legacy database, when it has one and no other is named."""
    legacy = source(settings).database(LEGACY_DATABASE)
    with databases.connect(legacy.database("postgres")) as session:
        there = databases.exists(session, legacy.dbname)
    if settings.legacy_url is not None or not there:
        return settings
    return settings.with_overrides(
        legacy_url=SecretStr(legacy.url()),
        legacy_command=(sys.executable, "-m", "kajovo_dr.sandbox.migrate_legacy"),
        legacy_dir=Path(__file__).parents[2],
    )


def _replace(hotel: Server, fresh: Fresh, media: Path, progress: Progress) -> None:
    from kajovo_dr.sandbox import legacy_database, schema, seed

    with databases.connect(hotel.database("postgres")) as session:
        databases.drop(session, hotel.dbname)
        databases.create(session, hotel.dbname, {})
    progress("migrate the hotel", 0, None)
    schema.upgrade(hotel.sqlalchemy_url(), fresh.revision)
    seed.seed(hotel, rows=fresh.rows, media_root=media, progress=progress)
    if fresh.legacy:
        legacy_database.create(hotel)


def _password(sandbox: Path) -> str:
    path = sandbox / "admin-password"
    if not path.exists():
        with contextlib.suppress(FileExistsError):
            write_private(path, secrets.token_urlsafe(18).encode())
    return path.read_text()


@contextmanager
def _exported(settings: Settings) -> Iterator[None]:
    """The complete settings as environment variables, for this process and those it starts."""
    values = {
        "STATE": str(settings.state),
        "DATABASE_URL": settings.need("database_url"),
        "BACKUP_DIR": str(settings.store_dir) if settings.backup_dir else "",
        "DAGSTER_URL": settings.need("dagster_url"),
    }
    names = ("app_base_url", "app_email", "app_password", "migrate_dir", "legacy_url", "legacy_dir")
    for name in names:
        if getattr(settings, name):
            values[name.upper()] = str(settings.need(name))
    for name in (
        *("app_stop_command", "app_start_command", "legacy_command", "drill_app_command"),
    ):
        if command := getattr(settings, name):
            values[name.upper()] = json.dumps(command)
    if settings.drill_app_command:
        values["DRILL_APP_ENV"] = json.dumps(settings.drill_app_env)
    variables = {PREFIX + name: value for name, value in values.items() if value}
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
