"""A second instance of the application: started on a port of this machine, on another database.

Belongs here: the configured command, its environment, and its end. Not here: whether it is ready
and works (``readiness``, ``smoke``). It never touches the one that serves people.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kajovo_dr import ports, process
from kajovo_dr.errors import CommandMissing, ControlFailed, NotConfigured
from kajovo_dr.postgres.server import Server
from kajovo_dr.recovery.command_environment import command_environment
from kajovo_dr.redact import redacted
from kajovo_dr.settings import PREFIX, Settings

#: Seconds for an instance to end once its tether has let go: that kills it after 15.
_STOP_S = 30.0
#: Seconds for the system to close the port of a process that has ended.
_CLOSE_S = 2.0
#: What an error quotes of its output: lines, out of so many bytes.
_TAIL_LINES, _TAIL = 5, 4096


@dataclass(frozen=True)
class SecondInstance:
    """An instance that listens on a port of 127.0.0.1."""

    port: int
    process: process.Running
    log: Path

    @property
    def base_url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        """End it and all that it started; a second call does nothing.

        Its tether is let go instead of being told: that one ends the instance even when it does
        not listen, and after it all its children.
        """
        if self.process.stdin is not None:
            self.process.stdin.close()
        process.wait_until(lambda: self.process.poll() is not None, timeout=_STOP_S)
        process.stop(self.process, timeout=1)

    def remains(self) -> tuple[str, ...]:
        """What of it is still there after `stop`, in words."""
        alive = self.process.poll() is None
        closed = process.wait_until(lambda: not ports.listens(self.port), timeout=_CLOSE_S)
        found = [f"process {self.process.pid}"] if alive else []
        return (*found, *([] if closed else [f"something that listens on port {self.port}"]))


def require_command(settings: Settings) -> None:
    """Raise `NotConfigured` or `CommandMissing` when no instance can be started."""
    words = settings.drill_app_command
    if not words:
        raise NotConfigured(
            f"{PREFIX}DRILL_APP_COMMAND is not set: nothing starts the application for a drill",
            hint="name the command that starts a second instance of it on port {port}, as a list;"
            f" {PREFIX}DRILL_APPLICATION=false ends the drill with the database.",
        )
    # the tether would start and report this in its own words
    path = settings.drill_app_env.get("PATH")
    require_program("DRILL_APP", words[0], settings.drill_app_dir, path)


def require_program(setting: str, word: str, folder: Path | None, path: str | None) -> None:
    """Raise `CommandMissing` unless the first word of the setting's command can be started in the
    setting's folder. path: where it is looked for.
    """
    if folder is not None and not folder.is_dir():
        raise CommandMissing(f"{PREFIX}{setting}_DIR: {folder} is not a folder")
    if not process.is_program(word, folder=folder, path=path):
        raise CommandMissing(f"{PREFIX}{setting}_COMMAND: {word} is not found, or no program")


def start(settings: Settings, database: Server, folder: Path) -> SecondInstance:
    """Start the instance on a database; it ends with this process at the latest.

    folder: where its output is written. Raises `NotConfigured` and `CommandMissing`.
    """
    require_command(settings)
    port = ports.free_port()
    log = folder / "application.log"
    running = process.start(
        [word.replace("{port}", str(port)) for word in settings.drill_app_command],
        env=_environment(settings, database, port),
        log=log,
        cwd=settings.drill_app_dir,
        tethered=True,
    )
    return SecondInstance(port, running, log)


def wait(settings: Settings, database: Server, instance: SecondInstance) -> None:
    """Wait until it listens; raises `ControlFailed` with the end of its output."""
    limit = settings.app_control_timeout_s
    in_time = process.wait_until(
        lambda: instance.process.poll() is not None or ports.listens(instance.port), timeout=limit
    )
    # a dead process first: another one may have taken the port in its place
    if instance.process.poll() is not None:
        how = f"ended at once with exit code {instance.process.returncode}"
    elif not in_time:
        how = f"did not listen on port {instance.port} within {limit:g} s"
    else:
        return
    said = output(settings, database, instance.log, _TAIL).splitlines()
    last = [line.strip() for line in said if line.strip()][-_TAIL_LINES:]
    raise ControlFailed(
        f"the second instance {how}: {' | '.join(last) or 'it said nothing'}",
        hint=f"run the command in {PREFIX}DRILL_APP_COMMAND by hand; its environment is "
        f"{PREFIX}DRILL_APP_ENV.",
    )


def output(settings: Settings, database: Server, log: Path, limit: int) -> str:
    """The last bytes of an instance's output, without passwords."""
    try:
        said = log.read_bytes()[-limit:].decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    return redacted(said, database.params.get("password"), _password(settings))


def _environment(settings: Settings, database: Server, port: int) -> dict[str, str]:
    email = settings.app_email
    return command_environment(
        database,
        settings.migrate_driver,
        settings.drill_app_env,
        email=email.get_secret_value() if email else "",
        password=_password(settings) or "",
        port=str(port),
    )


def _password(settings: Settings) -> str | None:
    return settings.app_password.get_secret_value() if settings.app_password else None
