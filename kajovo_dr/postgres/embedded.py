"""A private PostgreSQL server out of a wheel: started, attached to, stopped.

One folder per cluster below the state folder; TCP on 127.0.0.1 at a free port; password
authentication. As root the server runs as an unprivileged user, because PostgreSQL refuses root.
The process that holds the folder's lock owns the server and stops it; others attach to it. After a
crash of the owner the next one finds the server running and adopts it; after a crash of the server
it recovers by itself.

Not here: what databases it holds and who needs it (``sandbox.stack``).
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import stat
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from kajovo_dr import process
from kajovo_dr.errors import CommandMissing, EmbeddedServerError
from kajovo_dr.files import replace_atomically, write_private
from kajovo_dr.ports import free_port, listens
from kajovo_dr.postgres.client_tools import find_bin
from kajovo_dr.postgres.server import Server

#: Seconds until a server must be ready. A first start takes one; crash recovery replays WAL.
START_TIMEOUT_S = 120
#: Seconds for a fast shutdown, which writes a checkpoint, before the server is killed.
STOP_TIMEOUT_S = 60
#: Seconds before each attempt to start.
_PAUSES_S = (0, 1, 3)
#: Beyond this a log starts anew with the next server.
_LOG_LIMIT = 10_000_000


@dataclass
class EmbeddedServer:
    """A cluster in `folder`, its superuser, and the settings of the server (``-c``).

    run_as: system user under root; empty: ``postgres``, else ``nobody``. disposable: nothing in it
    is worth keeping, so it begins empty unless it is running, and is removed at the end.
    """

    folder: Path
    superuser: str = "postgres"
    options: Mapping[str, str] = field(default_factory=dict)
    bin_setting: Path | None = None
    run_as: str = ""
    disposable: bool = False
    _process: process.Running | None = field(default=None, init=False)
    _lock: FileLock = field(init=False)

    def __post_init__(self) -> None:
        self._data = self.folder / "data"
        self._log = self.folder / "server.log"
        self._password = self.folder / "password"
        self._user = _unprivileged(self.run_as)

    def __enter__(self) -> Server:
        return self.open()

    def __exit__(self, *exception: object) -> None:
        self.close()

    def open(self) -> Server:
        """Start the server, or attach to the running one; the address of its ``postgres`` database.

        Raises `EmbeddedServerError` with the end of the server's log when it does not start.
        """
        self._prepare_folder()
        self._lock = FileLock(self.folder / "owner.lock", mode=0o600)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            self._wait_for_owner()
            return self._address()
        try:
            if not self._running():
                if self.disposable:
                    shutil.rmtree(self._data, ignore_errors=True)
                self._start()
        except BaseException:
            self._lock.release()
            raise
        return self._address()

    def running(self) -> Server | None:
        """The address of its ``postgres`` database when it runs, whoever owns it; starts nothing.

        A server whose files this user may not read does not run for it.
        """
        try:
            return self._address() if self._running() else None
        except (OSError, IndexError):  # it ends this moment, or its password is somebody else's
            return None

    def close(self) -> None:
        """Stop the server if this process owns it; otherwise only let go of it."""
        if not self._lock.is_locked:
            return
        try:
            if self._process is not None and not process.WINDOWS:
                process.stop(self._process, timeout=STOP_TIMEOUT_S, sig=self._ending())
            elif self._running():
                self._stop_adopted()
            if self.disposable:
                shutil.rmtree(self._data, ignore_errors=True)
        finally:
            self._process = None
            self._lock.release()

    def _ending(self) -> signal.Signals:
        """A fast shutdown; where nothing is worth keeping, one without the last checkpoint."""
        return signal.SIGQUIT if self.disposable else signal.SIGINT

    def _prepare_folder(self) -> None:
        # Traversable for the unprivileged user; what is inside is protected by itself.
        for part in (self.folder.parent.parent, self.folder.parent, self.folder):
            part.mkdir(parents=True, exist_ok=True)
            if self._user is not None:
                part.chmod(part.stat().st_mode | 0o711)
        if self._user is not None and not _reachable(self.folder, self._user):
            raise EmbeddedServerError(
                f"user {self._user!r}, who must run the server because root may not, "
                f"cannot reach {self.folder}",
                hint="point KAJOVO_DR_STATE at a folder whose parents are open to all (mode 711), "
                "such as /var/lib/kajovo_dr.",
            )

    def _start(self) -> None:
        bin_dir = self._binaries()
        if not self._data.exists():
            self._initialise(bin_dir)
        if self._log.exists() and self._log.stat().st_size > _LOG_LIMIT:
            self._log.unlink()
        said = ""
        for pause in _PAUSES_S:
            time.sleep(pause)
            said = self._start_once(bin_dir)
            if self._running():
                return
            # a port that was taken meanwhile, or a killed server whose last process still ends
            if "could not bind" not in said and "postmaster.pid" not in said:
                break
        tail = " | ".join(said.strip().splitlines()[-3:])
        raise EmbeddedServerError(
            f"the server in {self.folder} did not start: {tail or 'it said nothing'}",
            hint=f"read {self._log}; a broken sandbox cluster may be deleted when none of its "
            "processes is left.",
        )

    def _start_once(self, bin_dir: Path) -> str:
        """Start a server and wait until it is ready or has ended; what it wrote into its log."""
        seen = self._log.stat().st_size if self._log.exists() else 0
        self._process = self._spawn(bin_dir, free_port())
        process.wait_until(self._settled, timeout=START_TIMEOUT_S)
        if not self._running():
            process.stop(self._process, timeout=STOP_TIMEOUT_S)
        return self._log.read_bytes()[seen:].decode("utf-8", "replace")

    def _spawn(self, bin_dir: Path, port: int) -> process.Running:
        fixed = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "port": str(port)}
        options = [
            word
            for key, value in {**self.options, **fixed}.items()
            for word in ("-c", f"{key}={value}")
        ]
        return process.start(
            [bin_dir / "postgres", "-D", self._data, *options],
            env=_clean_environment(),
            log=self._log,
            cwd=self._data,
            run_as=self._user,
        )

    def _settled(self) -> bool:
        assert self._process is not None
        return self._process.poll() is not None or self._running()

    def _initialise(self, bin_dir: Path) -> None:
        """Make a new cluster beside and rename it, so that a killed initdb leaves no half one."""
        password = secrets.token_urlsafe(24)
        for half in self.folder.glob("new-*"):  # we hold the lock: their owner was killed
            shutil.rmtree(half, ignore_errors=True)
        new = Path(tempfile.mkdtemp(prefix="new-", dir=self.folder))
        try:
            data, password_file = new / "data", new / "password"
            data.mkdir(mode=0o700)
            write_private(password_file, password.encode())
            for path in (new, data, password_file):
                self._give(path)
            done = process.run(
                [
                    str(bin_dir / "initdb"),
                    f"--pgdata={data}",
                    f"--username={self.superuser}",
                    f"--pwfile={password_file}",
                    "--auth=scram-sha-256",
                    "--encoding=UTF8",
                    "--locale=C",
                    "--data-checksums",
                    "--no-instructions",
                    # a power cut takes nothing that is worth keeping
                    *(["--no-sync"] if self.disposable else []),
                ],
                env=_clean_environment(),
                timeout=START_TIMEOUT_S,
                cwd=data,
                run_as=self._user,
            )
            if done.returncode != 0:
                raise EmbeddedServerError(f"no new cluster in {self.folder}: {done.reason}")
            # a password may lie here of a start that was killed before the rename
            replace_atomically(self._password, password.encode())
            data.rename(self._data)
        finally:
            shutil.rmtree(new, ignore_errors=True)

    def _give(self, path: Path) -> None:
        if self._user is not None:
            shutil.chown(path, self._user)

    def _binaries(self) -> Path:
        """The server's binaries, copied into the state folder when the user cannot reach them."""
        found = find_bin(self.bin_setting, "initdb")
        if self._user is None or _reachable(found, self._user):
            return found
        # Parent of parent: both clusters share one copy; the name changes with the build.
        built = (found / "postgres").stat()
        copy = self.folder.parent / f"binaries-{built.st_size}-{int(built.st_mtime)}"
        if not copy.exists():
            new = Path(tempfile.mkdtemp(prefix="binaries-new-", dir=self.folder.parent))
            shutil.copytree(found.parent, new, dirs_exist_ok=True, symlinks=True)
            new.chmod(0o755)
            try:
                new.rename(copy)
            except OSError:  # another process was faster
                shutil.rmtree(new, ignore_errors=True)
        return copy / found.name

    def _wait_for_owner(self) -> None:
        if not process.wait_until(self._running, timeout=START_TIMEOUT_S):
            raise EmbeddedServerError(
                f"another process owns {self.folder} but its server is not ready",
                hint="end the other kajovo-dr process, then try again.",
            )

    def _address(self) -> Server:
        lines = self._pid_file()
        return Server(
            {
                "host": "127.0.0.1",
                "port": lines[3],
                "user": self.superuser,
                "password": self._password.read_text(),
                "dbname": "postgres",
                "connect_timeout": "10",
                "application_name": "kajovo_dr",
            }
        )

    def _pid_file(self) -> list[str]:
        """Lines of postmaster.pid: 1 process id, 4 port, 8 state; empty when there is none."""
        try:
            return (self._data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return []

    def _running(self) -> bool:
        """Ready, and really listening: a stale file may name a process id that lives again."""
        lines = self._pid_file()
        if len(lines) < 8 or lines[7].strip() != "ready":
            return False
        if self._process is not None and self._process.pid != int(lines[0]):
            return False
        return process.is_alive(int(lines[0])) and listens(int(lines[3]))

    def _stop_adopted(self) -> None:
        bin_dir = self._binaries()
        process.run(
            [bin_dir / "pg_ctl", "stop", "-D", self._data, "-m", "fast", "-w"],
            env=_clean_environment(),
            timeout=STOP_TIMEOUT_S,
            cwd=self.folder,
            run_as=self._user,
        )


def extensions(bin_setting: Path | None) -> set[str] | None:
    """Names of the extensions that an embedded server has, without starting one; None where a
    distribution packs the tool that knows apart.
    """
    words = [str(find_bin(bin_setting, "initdb") / "pg_config"), "--sharedir"]
    try:
        told = process.run(words, env=_clean_environment(), timeout=START_TIMEOUT_S)
    except CommandMissing:
        return None
    share = Path(os.fsdecode(told.stdout).strip())
    return {file.stem for file in share.glob("extension/*.control")}


def _clean_environment() -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
    return {**kept, "LC_ALL": "C"}


def _unprivileged(wanted: str) -> str | None:
    """The user that runs servers: None unless we are root (PostgreSQL refuses to run as root)."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return None
    import pwd

    for name in [wanted] if wanted else ["postgres", "nobody"]:
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    raise EmbeddedServerError(
        f"no system user {wanted or 'postgres or nobody'!r} to run the server, which refuses root",
        hint="create one (useradd --system postgres) or name one in KAJOVO_DR_RUN_AS.",
    )


def _reachable(path: Path, user: str) -> bool:
    """Whether the user may pass through every folder of the path."""
    import pwd

    entry = pwd.getpwnam(user)
    for folder in (path, *path.parents):
        status = folder.stat()
        if status.st_uid == entry.pw_uid:
            allowed = status.st_mode & stat.S_IXUSR
        elif status.st_gid == entry.pw_gid:
            allowed = status.st_mode & stat.S_IXGRP
        else:
            allowed = status.st_mode & stat.S_IXOTH
        if not allowed:
            return False
    return True
