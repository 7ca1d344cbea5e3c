"""Under test: that a tool always ends, that what broke is told, and that a tool whose input broke
never takes it for a whole one.

Real child processes: Python scripts in place of the tools.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kajovo_dr import process
from kajovo_dr.errors import CommandMissing, ToolTimeout
from kajovo_dr.process import CHUNK, ERROR_TAIL, Completed

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals, modes and groups of POSIX")
LIMIT = 60.0


def _run(
    script: str,
    *words: str,
    timeout: float = LIMIT,
    stdin: Iterator[bytes] | list[bytes] | None = None,
    stdout: Callable[[bytes], None] | None = None,
) -> Completed:
    return process.run(
        [sys.executable, "-c", script, *words],
        env=dict(os.environ),
        timeout=timeout,
        stdin=stdin,
        stdout=stdout,
    )


def _gone(pid: int) -> bool:
    return process.wait_until(lambda: not process.is_alive(pid), timeout=LIMIT)


# --- how it ended


def test_exit_code_output_and_errors_are_told() -> None:
    done = _run("import sys; print('čau'); print('zle', file=sys.stderr); sys.exit(7)")
    assert done.returncode == 7
    assert done.stdout.decode().strip() == "čau"
    assert done.reason.endswith(": exit code 7: zle")
    assert done.argv[0] == sys.executable


def test_the_reason_holds_the_last_three_lines_of_standard_error() -> None:
    done = _run("import sys; print('1\\n\\n2\\n 3 \\n4\\n', file=sys.stderr); sys.exit(1)")
    assert done.reason.endswith(": exit code 1: 2 | 3 | 4")


def test_a_silent_failure_has_a_reason_too() -> None:
    assert _run("import sys; sys.exit(9)").reason.endswith(": exit code 9")


@posix
def test_a_tool_killed_by_a_signal_is_told_with_the_signal() -> None:
    done = _run("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert done.returncode == -9
    assert done.reason.endswith(": killed by signal 9")


def test_of_a_flood_of_errors_the_end_is_kept() -> None:
    done = _run("import sys; sys.stderr.write('x' * 3_000_000 + '\\nthe reason'); sys.exit(1)")
    assert done.stderr.endswith("\nthe reason")
    assert len(done.stderr) == ERROR_TAIL


def test_errors_that_are_not_utf8_are_shown_as_well_as_possible() -> None:
    done = _run("import sys; sys.stderr.buffer.write(b'p\\xf8\\xedli\\xb9'); sys.exit(1)")
    assert "li" in done.reason


def test_the_environment_is_the_given_one_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_THE_SHELL", "1")
    env = {name: value for name, value in os.environ.items() if name != "OF_THE_SHELL"}
    script = "import os; print(os.environ.get('OF_THE_SHELL'), os.environ['OURS'])"
    done = process.run(
        [sys.executable, "-c", script], env={**env, "OURS": "řeka"}, timeout=LIMIT, stdout=None
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode(errors="replace").split()[0] == "None"


def test_words_reach_the_tool_as_they_are_without_a_shell() -> None:
    words = ["a b", 'c"d', "$HOME", "%PATH%", "*", "; exit 3", "", "ř"]
    done = _run("import sys; sys.stdout.buffer.write(ascii(sys.argv[1:]).encode())", *words)
    assert done.stdout.decode() == ascii(words)


def test_without_an_input_the_tool_reads_nothing() -> None:
    assert _run("import sys; print(len(sys.stdin.read()))").stdout.strip() == b"0"


# --- streams


def test_large_input_and_output_at_once_do_not_block_each_other() -> None:
    script = (
        "import sys\n"
        "while chunk := sys.stdin.buffer.read(65536):\n"
        "    sys.stdout.buffer.write(chunk)\n"
        "    sys.stderr.write('e' * 1000)\n"
    )
    received = bytearray()
    largest = 0

    def sink(chunk: bytes) -> None:
        nonlocal largest
        largest = max(largest, len(chunk))
        received.extend(chunk)

    block = os.urandom(CHUNK)
    done = _run(script, stdin=[block] * 24, stdout=sink)
    assert done.returncode == 0
    assert bytes(received) == block * 24
    assert largest <= CHUNK
    assert done.stdout == b""


def test_a_tool_that_ends_before_it_read_everything_is_judged_by_its_exit_code() -> None:
    done = _run("import sys; print('enough', file=sys.stderr); sys.exit(3)", stdin=[b"x"] * 200_000)
    assert done.returncode == 3
    assert done.reason.endswith("exit code 3: enough")


#: Reads its input to the end and then does what psql does there: leaves a mark, as if to commit.
COMMITS = (
    "import pathlib, sys\n"
    "print('ready', flush=True)\n"
    "data = sys.stdin.buffer.read()\n"
    "pathlib.Path(sys.argv[1]).write_bytes(data)\n"
)


@pytest.mark.parametrize("failure", [ValueError("changed"), OSError(5, "disk"), BrokenPipeError()])
def test_a_tool_whose_input_breaks_is_killed_before_it_can_take_it_for_whole(
    tmp_path: Path, failure: Exception
) -> None:
    mark = tmp_path / "committed"

    def chunks() -> Iterator[bytes]:
        yield b"BEGIN;"
        yield b"x" * CHUNK
        raise failure

    with pytest.raises(type(failure)) as raised:
        _run(COMMITS, str(mark), stdin=chunks())
    assert raised.value is failure
    assert not mark.exists()


def test_the_same_tool_commits_when_its_input_is_whole(tmp_path: Path) -> None:
    mark = tmp_path / "committed"
    assert _run(COMMITS, str(mark), stdin=[b"BEGIN;", b"COMMIT;"]).returncode == 0
    assert mark.read_bytes() == b"BEGIN;COMMIT;"


#: A wrapper, as a script around psql is one: the child that reads is not the child that we started.
WRAPPED = "import subprocess, sys; subprocess.run([sys.executable, '-c', *sys.argv[1:]])"


@posix
def test_a_tool_behind_a_wrapper_cannot_take_a_broken_input_for_whole_either(
    tmp_path: Path,
) -> None:
    mark, begun = tmp_path / "committed", tmp_path / "begun"
    script = f"import os; open({str(begun)!r}, 'w').write(str(os.getpid()))\n{COMMITS}"

    def chunks() -> Iterator[bytes]:
        yield b"BEGIN;"
        assert process.wait_until(lambda: begun.exists() and begun.read_text() != "", timeout=LIMIT)
        raise ValueError("changed")

    with pytest.raises(ValueError, match="changed"):
        _run(WRAPPED, script, str(mark), stdin=chunks())
    assert _gone(int(begun.read_text()))
    assert not mark.exists()


def test_an_output_that_cannot_be_written_ends_the_tool_and_is_told() -> None:
    seen: list[int] = []

    def sink(chunk: bytes) -> None:
        seen.append(int(chunk.split()[0]))
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        _run("import os, time; print(os.getpid(), flush=True); time.sleep(600)", stdout=sink)
    assert _gone(seen[0])


# --- time


def test_a_tool_that_takes_too_long_is_stopped() -> None:
    said = bytearray()
    with pytest.raises(ToolTimeout) as late:
        _run(
            "import os, time; print(os.getpid(), flush=True); time.sleep(600)",
            timeout=1.5,
            stdout=said.extend,
        )
    assert "did not end within 1.5 s and was stopped" in str(late.value)
    assert "TIMEOUT_S" in late.value.hint
    assert all(_gone(int(pid)) for pid in said.split())


def test_a_tool_that_does_not_read_its_input_is_stopped_too() -> None:
    with pytest.raises(ToolTimeout):
        _run("import time; time.sleep(600)", timeout=1, stdin=[b"x" * CHUNK] * 8)


@posix
def test_what_a_stopped_tool_had_started_is_stopped_with_it(tmp_path: Path) -> None:
    # pg_restore --jobs forks; the workers hold its streams, which would block us for hours
    begun = tmp_path / "begun"
    script = f"import os, time; open({str(begun)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    with pytest.raises(ToolTimeout):
        _run(WRAPPED, script, timeout=3)
    assert _gone(int(begun.read_text()))


def test_an_interruption_ends_the_tool() -> None:
    seen: list[int] = []

    def interrupt(chunk: bytes) -> None:
        seen.append(int(chunk))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _run("import os, time; print(os.getpid(), flush=True); time.sleep(600)", stdout=interrupt)
    assert _gone(seen[0])


# --- what cannot be started


def test_a_missing_command_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "no such tool"
    with pytest.raises(CommandMissing, match=r"cannot start .*no such tool") as error:
        process.run([missing], env={}, timeout=LIMIT)
    assert error.value.hint


def test_a_missing_folder_to_run_in_is_named_and_not_the_command(tmp_path: Path) -> None:
    with pytest.raises(CommandMissing, match="gone not found"):
        process.run(
            [sys.executable, "-c", ""], env=dict(os.environ), timeout=LIMIT, cwd=tmp_path / "gone"
        )


def test_a_file_that_is_no_program_of_this_machine_is_an_error_of_ours(tmp_path: Path) -> None:
    alien = tmp_path / "alien.exe"
    alien.write_bytes(b"\x7fELF nonsense")
    alien.chmod(0o755)
    with pytest.raises(CommandMissing, match=r"cannot start .*alien\.exe"):
        process.run([alien], env=dict(os.environ), timeout=LIMIT)


# --- servers


SERVER = "import sys, time; print('up', flush=True); time.sleep(600)"


def _ups(log: Path) -> int:
    """How often a server said that it is up; a traceback may quote the word as well."""
    return log.read_bytes().splitlines().count(b"up")


@contextlib.contextmanager
def _server(script: str, log: Path, starts: int = 1) -> Iterator[process.Running]:
    running = process.start([sys.executable, "-c", script], env=dict(os.environ), log=log)
    try:
        assert process.wait_until(lambda: _ups(log) == starts, timeout=LIMIT)
        yield running
    finally:
        running.kill()
        running.wait()


def test_a_server_writes_a_private_log_that_grows_with_each_start(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    for starts in (1, 2):
        with _server(SERVER, log, starts) as running:
            process.stop(running, timeout=LIMIT)
            assert running.poll() is not None
    assert _ups(log) == 2
    if sys.platform != "win32":
        assert stat.S_IMODE(log.stat().st_mode) == 0o600


@posix
def test_a_server_is_out_of_reach_of_the_terminals_ctrl_c(tmp_path: Path) -> None:
    with _server(SERVER, tmp_path / "log") as running:
        assert os.getsid(running.pid) == running.pid
        assert os.getsid(0) != running.pid


@posix
def test_a_server_that_ignores_the_request_is_killed_with_its_children(tmp_path: Path) -> None:
    child = tmp_path / "child"
    script = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "other = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(child)!r}, 'w').write(str(other.pid))\n"
        "print('up', flush=True); time.sleep(600)"
    )
    with _server(script, tmp_path / "log") as running:
        process.stop(running, timeout=0.5)
        assert running.poll() == -9
        assert _gone(int(child.read_text()))


def test_stopping_a_server_that_ended_does_nothing(tmp_path: Path) -> None:
    with _server("print('up', flush=True)", tmp_path / "log") as running:
        running.wait(LIMIT)
        process.stop(running, timeout=LIMIT)
        assert running.returncode == 0


def test_a_living_process_is_told_from_a_gone_one(tmp_path: Path) -> None:
    assert process.is_alive(os.getpid())
    with _server(SERVER, tmp_path / "log") as running:
        assert process.is_alive(running.pid)
    assert _gone(running.pid)


def test_waiting_ends_when_it_holds_or_when_time_is_up() -> None:
    answers = iter([False, False, True])
    assert process.wait_until(lambda: next(answers), timeout=LIMIT, pause=0)
    assert not process.wait_until(lambda: False, timeout=0, pause=0)
