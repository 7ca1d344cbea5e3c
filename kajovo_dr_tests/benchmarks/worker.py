"""One piece of our own work in a process of its own, so that its memory is ours alone.

Started by ``contest`` as ``python -m kajovo_dr_tests.benchmarks.worker TASK [DATABASE]``; the
settings come from the environment; a JSON object of laps, in seconds, goes to standard output.
Not here: what it is compared with (``contest``).
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kajovo_dr.backups import catalog
from kajovo_dr.backups import take as taking
from kajovo_dr.backups.load import load
from kajovo_dr.backups.prove import prove, require_proven
from kajovo_dr.backups.store import open_store
from kajovo_dr.postgres import client_tools, databases
from kajovo_dr.postgres.server import restore_target, source
from kajovo_dr.progress import silent
from kajovo_dr.recovery.restore import restore
from kajovo_dr.settings import Settings

Laps = dict[str, float]


def main() -> None:
    task, database = (*sys.argv[1:], "")[:2]
    laps = TASKS[task](Settings.load(), database)
    used = resource.getrusage(resource.RUSAGE_SELF)
    said = {"laps": laps, "cpu": used.ru_utime + used.ru_stime, "peak_bytes": _peak_bytes(used)}
    sys.stdout.write(json.dumps(said))


def _dump(settings: Settings, _: str) -> Laps:
    """A backup as `take` makes it, published, but without fingerprint and inspection.

    Its own parts in its own order: `take` itself has no switch for a backup that proves nothing.
    """
    server, store, kind = source(settings), open_store(settings), settings.backup_format
    transport = client_tools.transport_for(settings.pg_bin)
    begun = time.monotonic()
    client = client_tools.version(transport, "pg_dump", server)
    usual = catalog.usual([], kind)
    with (
        databases.mutex(server, settings.maintenance_database) as mutex,
        taking._snapshot(settings, server, client, silent) as snapshot,
        store.incoming(databases.identity(mutex, server), kind, snapshot.at) as incoming,
    ):
        none = taking._Reading((), {})
        with ThreadPoolExecutor(max_workers=1) as beside:
            roles = beside.submit(taking._roles, transport, server, incoming)
            written = taking._dump(
                settings, transport, server, snapshot, incoming, usual, None, none, silent
            )
        written |= {
            "tables": (),
            **roles.result(),
            "client_version": client.text,
            "reason": "benchmark",
            "shrink_accepted": False,
        }
        manifest = taking._manifest(server, kind, snapshot, incoming, written)
        store.publish(incoming, manifest)
    return {"dump": time.monotonic() - begun}


def _take(settings: Settings, _: str) -> Laps:
    begun = time.monotonic()
    manifest = taking.take(settings, source(settings), reason="benchmark").backup.manifest
    whole = time.monotonic() - begun
    assert manifest.fingerprint
    beside = max(manifest.seconds, manifest.fingerprint.seconds)
    return {"take": whole, "dump beside fingerprint": beside}


def _load(settings: Settings, database: str) -> Laps:
    backup = catalog.backups(open_store(settings))[-1]
    transport = client_tools.transport_for(settings.pg_bin)
    target = restore_target(settings, database)
    begun = time.monotonic()
    load(settings, transport, backup, target, disposable=True, progress=silent)
    return {"load": time.monotonic() - begun}


def _restore(settings: Settings, database: str) -> Laps:
    backup = catalog.backups(open_store(settings))[-1]
    begun = time.monotonic()
    done = restore(settings, backup, restore_target(settings, database))
    whole = time.monotonic() - begun
    return {"restore": whole} | {f"restore: {name}": each for name, each in done.seconds.items()}


def _prove(settings: Settings, _: str) -> Laps:
    backup = catalog.backups(open_store(settings))[-1]
    begun = time.monotonic()
    proof = prove(settings, backup)
    whole = time.monotonic() - begun
    require_proven(backup.name, proof)
    return {"prove": whole} | {f"prove: {name}": each for name, each in proof.seconds.items()}


def _peak_bytes(used: resource.struct_rusage) -> int:
    """The kernel's own mark where there is one: on Linux, ru_maxrss begins with the parent's."""
    status = Path("/proc/self/status")
    if status.exists():
        marks = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(marks[0].split()[1]) * 1024
    return used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


TASKS: dict[str, Callable[[Settings, str], Laps]] = {
    "dump": _dump,
    "take": _take,
    "load": _load,
    "restore": _restore,
    "prove": _prove,
}

if __name__ == "__main__":
    main()
