"""Dagster's real processes, started, killed, frozen and waited for by a test.

Belongs here: the daemon, its code server, their storage in the test's PostgreSQL server, and the
ways in which all of it ends. Not here: their clock (``clock``), and what a test expects of them. A
wait is for a condition, with a deadline and with the processes' own words when it is missed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

import dagster as dg
from dagster._core.scheduler.instigation import InstigatorType

from kajovo_dr import process
from kajovo_dr.definitions import defs
from kajovo_dr.defs.launch import dagster_home
from kajovo_dr.ports import free_port, listens
from kajovo_dr.settings import Settings
from kajovo_dr_tests.defs.clock import Clock

#: Seconds; a machine with two busy cores needs some ten of them.
LIMIT = 90
#: Schedules that a test does not ask for: never within its days.
_NEVER = "0 0 29 2 *"
_OTHERS = ("REPROVE_CRON", "CLEANUP_CRON", "DRILL_CRON")
_WORKSPACE = """
load_from:
  - grpc_server: {{host: 127.0.0.1, port: {port}, location_name: kajovo_dr}}
"""


class Daemons:
    """One DAGSTER_HOME, its storage, one code server for all daemons, and any number of daemons.

    KAJOVO_DR_DAGSTER_URL and DAGSTER_HOME must be in the environment (see `daemons` in conftest).
    """

    def __init__(self, settings: Settings, clock: Clock, *, quick: bool = True) -> None:
        """quick: nothing but backups by schedule."""
        self.clock = clock
        self.home = dagster_home(settings)
        self.log = self.home / "processes.log"
        self.environment = {**os.environ, **clock.environment}
        if quick:
            self.environment |= {f"KAJOVO_DR_{name}": _NEVER for name in _OTHERS}
        self._port = free_port()
        self._running: list[process.Running] = []
        workspace = _WORKSPACE.format(port=self._port)
        (self.home / "workspace.yaml").write_text(workspace, encoding="utf-8")
        # its tables are made here, once: several processes that make them at once break them
        self.instance = dg.DagsterInstance.get()

    def start(self) -> process.Running:
        """Start a daemon, and the code server unless it runs; returns when its loops have begun."""
        before = self._beats()
        self._serve()
        words = ["dagster._daemon", "run", "-w", str(self.home / "workspace.yaml")]
        daemon = self._start(words)
        self.wait_for(lambda: self._begun(before), "the daemon's loops begin", of=daemon)
        return daemon

    def stop(self) -> None:
        """End everything in order, as somebody who presses Ctrl-C does."""
        for each in reversed(self._running):
            process.stop(each, timeout=30)
        self._running.clear()

    def kill(self, *only: process.Running) -> None:
        """Power cut: kill -9 of these processes (none named: all) and all that they have started.

        They are stopped first, so that none of them lives to see another one die.
        """
        victims = list(only) or list(self._running)
        family = _family(each.pid for each in victims)
        _signal(family, signal.SIGSTOP)
        _signal(_family(family), signal.SIGKILL)
        for each in victims:
            each.wait(LIMIT)
            process.stop(each, timeout=0)
            self._running.remove(each)
        if not self._running:  # the kernel takes its time, and the next one has the same port
            self.wait_for(lambda: not listens(self._port), "the code server is gone")

    @contextlib.contextmanager
    def asleep(self) -> Iterator[None]:
        """The machine sleeps while the block runs: every process stands still, in mid-air."""
        family = _family(each.pid for each in self._running)
        _signal(family, signal.SIGSTOP)
        try:
            yield
        finally:
            _signal(family, signal.SIGCONT)

    def runs(self, job: str | None = None) -> list[dg.DagsterRun]:
        """Runs in the storage, the oldest first."""
        return list(self.instance.get_runs(filters=dg.RunsFilter(job_name=job), ascending=True))

    def wait_for_runs(self, job: str, *statuses: dg.DagsterRunStatus) -> list[dg.DagsterRun]:
        """Wait until the job's runs, the oldest first, are exactly in these states."""

        def reached() -> bool:
            return [run.status for run in self.runs(job)] == list(statuses)

        self.wait_for(reached, f"runs of {job}: {', '.join(each.value for each in statuses)}")
        return self.runs(job)

    def wait_for_schedules(self) -> None:
        """Wait until the scheduler has noted every schedule: ticks count from then on."""
        wanted = len(list(defs.schedules or []))

        def noted() -> bool:
            found = self.instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE)
            return len(found) == wanted

        self.wait_for(noted, "schedules are noted")

    def wait_for(
        self,
        condition: Callable[[], bool],
        what: str,
        *,
        timeout: float = LIMIT,
        of: process.Running | None = None,
    ) -> None:
        """Wait for a condition; fails with the end of the processes' log, at once if `of` ends."""

        def over() -> bool:
            return condition() or (of is not None and of.poll() is not None)

        process.wait_until(over, timeout=timeout, pause=0.1)
        assert condition(), f"in vain: {what}\n{self._runs_told()}\n{self.said()[-4000:]}"

    def said(self) -> str:
        """What all processes have written."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def _runs_told(self) -> str:
        return "\n".join(
            f"{run.job_name} {run.run_id[:8]} {run.status.value}: "
            + " | ".join(entry.user_message for entry in self.instance.all_logs(run.run_id)[-3:])
            for run in self.runs()
        )

    def close(self) -> None:
        """Whatever the test did, nothing is left running."""
        if self._running:
            self.kill()
        self.instance.dispose()

    def _serve(self) -> None:
        if not listens(self._port):
            words = ["dagster", "api", "grpc", "-h", "127.0.0.1", "-p", str(self._port)]
            server = self._start([*words, "-m", "kajovo_dr.definitions"])
            self.wait_for(lambda: listens(self._port), "the code server listens", of=server)

    def _start(self, words: list[str]) -> process.Running:
        started = process.start(
            [sys.executable, "-m", *words],
            env=self.environment,
            log=self.log,
            cwd=self.home,
            tethered=True,
        )
        self._running.append(started)
        return started

    def _beats(self) -> dict[str, str | None]:
        heartbeats = self.instance.get_daemon_heartbeats()
        return {kind: beat.daemon_id for kind, beat in heartbeats.items()}

    def _begun(self, before: dict[str, str | None]) -> bool:
        now = self._beats()
        needed = self.instance.get_required_daemon_types()
        return all(now.get(kind) not in (None, before.get(kind)) for kind in needed)


def _family(roots: Iterable[int]) -> list[int]:
    """Processes and all that they have started, as far as the parents still live."""
    children: dict[int, list[int]] = defaultdict(list)
    listing = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True, timeout=30
    )
    for line in listing.stdout.splitlines():
        pid, parent = map(int, line.split())
        children[parent].append(pid)
    found = list(roots)
    for each in found:
        found.extend(child for child in children[each] if child not in found)
    return found


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
