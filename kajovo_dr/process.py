"""Every child process of kajovo_dr starts here: argv lists, a timeout, bytes, no shell.

Belongs here: running a tool to its end with streams attached, and starting and stopping servers.
Not here: what the tools are (``postgres.client_tools``) or where they run (``postgres.transport``).
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from kajovo_dr.errors import CommandMissing, ToolTimeout

#: 1 MiB: larger reads gained nothing when streaming pg_dump (256 KiB to 1 MiB measured equal).
CHUNK = 1 << 20
#: A read of fewer bytes than this came too early: pg_dump gives them in the pause (350 MB/s).
_FILLED = CHUNK // 4
_PAUSE_S = 0.002
#: Reads without a pause after one that was in vain.
_WITHOUT = 100
#: Seconds that a tether gives its server to end, and some more (see there).
_TETHER_S = 20.0
#: Bytes of standard error kept: the end, where tools put the reason.
ERROR_TAIL = 16_384
#: Lines of standard error that an error message quotes.
_LINES_TOLD = 3
_NAMES_AN_ERROR = re.compile(r"\b(ERROR|FATAL|PANIC|error):")
WINDOWS = sys.platform == "win32"
#: A started server.
Running = subprocess.Popen[bytes]


@dataclass(frozen=True)
class Completed:
    """How a tool ended. returncode: negative = killed by that signal (POSIX)."""

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: str

    @property
    def reason(self) -> str:
        """One line for an error message: how it ended, and its lines that name an error.

        Other lines only when there is none: tools repeat rows of data in them.
        """
        code = self.returncode
        how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        lines = [line.strip() for line in self.stderr.splitlines() if line.strip()]
        named = [line for line in lines if _NAMES_AN_ERROR.search(line)]
        told = named[:_LINES_TOLD] or lines[-_LINES_TOLD:]
        return f"{Path(self.argv[0]).stem}: {how}" + (f": {' | '.join(told)}" if told else "")


def is_program(word: str, *, folder: Path | None = None, path: str | None = None) -> bool:
    """Whether a command's first word can be started in a folder (None: ours).

    path: where a mere name is looked for; None: this process's PATH.
    """
    if "/" in word or os.sep in word:
        word = str((folder or Path.cwd()) / word)
    return shutil.which(word, path=path) is not None


def run(
    argv: Sequence[str | os.PathLike[str]],
    *,
    env: Mapping[str, str],
    timeout: float,
    stdin: Iterable[bytes] | None = None,
    stdout: Callable[[bytes], None] | None = None,
    cwd: Path | None = None,
    run_as: str | None = None,
) -> Completed:
    """Run a tool to its end and say how it ended; a non-zero exit is the caller's to judge.

    timeout: seconds for the whole run. stdin: chunks to feed; an exception it raises kills the tool
    *before* its input closes, so that a reader never takes a broken stream for a whole one. stdout:
    called with each chunk (at most `CHUNK` bytes); without it the output is collected.
    Raises `ToolTimeout`, `CommandMissing`, and whatever stdin or stdout raise.
    """
    words = tuple(os.fspath(word) for word in argv)
    process = _popen(
        words,
        env=env,
        cwd=cwd,
        run_as=run_as,
        stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    _widen(process.stdin)
    # a pipe that fills anyway, for somebody who wants the stream and not the answer
    patient = _widen(process.stdout) and stdout is not None
    errors: deque[bytes] = deque()
    collected: list[bytes] = []
    failures: list[BaseException] = []
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        _kill(process)

    watchdog = threading.Timer(timeout, expire)
    watchdog.daemon = True
    workers = [threading.Thread(target=_drain, args=(process.stderr, errors), daemon=True)]
    if stdin is not None:
        workers.append(threading.Thread(target=_feed, args=(process, stdin, failures), daemon=True))
    try:
        watchdog.start()
        for worker in workers:
            worker.start()
        _read(process.stdout, stdout or collected.append, patient=patient)
        process.wait()
    except BaseException:
        _kill(process)
        process.wait()
        raise
    finally:
        watchdog.cancel()
        for worker in workers:
            worker.join()
        _close(process)
    if failures:
        raise failures[0]
    if expired.is_set():
        raise ToolTimeout(f"{Path(words[0]).stem} did not end within {timeout:g} s and was stopped")
    tail = b"".join(errors)[-ERROR_TAIL:].decode("utf-8", "replace")
    return Completed(words, process.returncode, b"".join(collected), tail)


def start(
    argv: Sequence[str | os.PathLike[str]],
    *,
    env: Mapping[str, str],
    log: Path | None,
    cwd: Path | None = None,
    run_as: str | None = None,
    tethered: bool = False,
) -> Running:
    """Start a server in its own session, its output appended to log (None: this terminal).

    tethered: it ends when this process ends, in whatever way (see ``tether``).
    """
    words = tuple(os.fspath(word) for word in argv)
    stdin = subprocess.DEVNULL
    if tethered:
        words = (sys.executable, "-I", str(Path(__file__).with_name("tether.py")), *words)
        stdin = subprocess.PIPE
    if log is None:
        return _popen(words, env=env, cwd=cwd, run_as=run_as, stdin=stdin)
    with open(log, "ab", opener=_private) as sink:
        return _popen(
            words,
            env=env,
            cwd=cwd,
            run_as=run_as,
            stdin=stdin,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )


def stop(process: Running, *, timeout: float, sig: int = signal.SIGINT) -> None:
    """Ask a server to end; kill it after timeout seconds. Windows has Ctrl-Break instead of sig."""
    if process.poll() is None:
        process.send_signal(getattr(signal, "CTRL_BREAK_EVENT", sig))
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            _let_go(process, timeout)
            _kill(process)
            process.wait()
    _close(process)


def _let_go(process: Running, timeout: float) -> None:
    """A tether ends its server, which is in a session of its own, when its input ends; killed, it
    would leave it behind.
    """
    if process.stdin is not None:
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            process.stdin.close()
            process.wait(timeout + _TETHER_S)


def is_alive(pid: int) -> bool:
    """Whether a process of this id exists (it may belong to somebody else)."""
    if WINDOWS:
        listing = run(["tasklist", "/FI", f"PID eq {pid}", "/NH"], env=dict(os.environ), timeout=30)
        return str(pid).encode() in listing.stdout
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def wait_until(condition: Callable[[], bool], *, timeout: float, pause: float = 0.05) -> bool:
    """Poll until the condition holds (True) or timeout seconds have gone by (False)."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True


def _popen(words: tuple[str, ...], *, run_as: str | None, **options: Any) -> Running:
    if run_as is not None:
        options |= {"user": run_as, "group": _group_of(run_as), "extra_groups": []}
    if WINDOWS:
        options["creationflags"] = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
    else:
        # Ctrl-C in the terminal reaches us alone; we decide in which order children end.
        options["start_new_session"] = True
    try:
        return subprocess.Popen(words, **options)
    except OSError as refused:  # missing, forbidden, built for another machine, no memory, ...
        why, folder = refused.strerror, options.get("cwd")
        if folder is not None and not folder.is_dir():  # each platform reports this differently
            why = f"{folder} not found"
        elif isinstance(refused, FileNotFoundError):
            why = f"{words[0]} not found"
        raise CommandMissing(f"cannot start {words[0]}: {why}") from None


def _widen(stream: IO[bytes] | None) -> bool:
    """Let a pipe hold a whole chunk instead of 64 KiB, so that tool and we wait less in turns.

    Linux alone knows how; there the kernel may refuse a user who has many such pipes open: False.
    """
    if sys.platform == "linux" and stream is not None:
        import fcntl

        with contextlib.suppress(OSError):
            fcntl.fcntl(stream.fileno(), fcntl.F_SETPIPE_SZ, CHUNK)
            return True
    return False


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _group_of(user: str) -> int:
    import pwd  # POSIX only; callers pass run_as only there

    return pwd.getpwnam(user).pw_gid


def _read(stream: IO[bytes] | None, sink: Callable[[bytes], None], *, patient: bool) -> None:
    """patient: let the pipe fill. pg_dump writes 4 KiB at a time; woken by each of them we took
    three times the processor's time, and backups of plain SQL 1.3 times pg_dump's instead of 1.1.
    """
    assert stream is not None
    paused, without = False, 0
    while chunk := os.read(stream.fileno(), CHUNK):
        sink(chunk)
        filled = len(chunk) >= _FILLED
        if paused and not filled:  # the tool is slow itself, as one that compresses is
            without = _WITHOUT
        paused = patient and not filled and not without
        if paused:
            time.sleep(_PAUSE_S)
        elif without:
            without -= 1


def _drain(stream: IO[bytes] | None, tail: deque[bytes]) -> None:
    assert stream is not None
    kept = 0
    while chunk := os.read(stream.fileno(), 65_536):
        tail.append(chunk)
        kept += len(chunk)
        while kept - len(tail[0]) > ERROR_TAIL:
            kept -= len(tail.popleft())


def _feed(process: Running, chunks: Iterable[bytes], failures: list[BaseException]) -> None:
    assert process.stdin is not None
    try:
        for chunk in chunks:
            if not _written(process.stdin, chunk):
                break
    except BaseException as failure:  # noqa: BLE001 - re-raised in the calling thread
        failures.append(failure)
        _kill(process)
    finally:
        with contextlib.suppress(OSError):
            process.stdin.close()


def _written(stream: IO[bytes], chunk: bytes) -> bool:
    """False when the tool ended early: its exit code and standard error say why."""
    try:
        stream.write(chunk)
        stream.flush()
    except OSError:
        return False
    return True


def _kill(process: Running) -> None:
    """Kill a child and, on POSIX, all that it started: they hold its streams, and one that reads
    its input must not outlive it and take the broken input for a whole one.
    """
    if WINDOWS:
        process.kill()
    elif process.returncode is None:  # not reaped yet, so its group cannot be somebody else's
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def _close(process: Running) -> None:
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
