"""The page of ``outage``: what was done to the database, and what its clients noticed, as Markdown.

Belongs here: what of it is shown, with targets and words. Not here: measuring (``outage``),
arithmetic on answers (``heard``).
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from zoneinfo import ZoneInfo

from kajovo_dr.postgres import databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.progress import human_bytes
from kajovo_dr.recovery.record import IncidentEntry, Phase
from kajovo_dr_tests.benchmarks.hammer import RATE
from kajovo_dr_tests.benchmarks.heard import LATE_S, Heard

#: How many clients ask, few and many; and the seconds without an answer that the few may have.
CLIENTS = (8, 32)
TARGET_S = 0.1
#: Settings that make a server quick or safe.
_TOLD = ("fsync", "synchronous_commit", "full_page_writes", "autovacuum", "shared_buffers")
_TITLE = "# How long a recovery is felt: kajovo_dr beside the runbook's restore\n"
_WORDS = {
    "calm": "nothing, for comparison",
    "runbook": "the runbook: drop, create, `psql -1` of the plain dump into the live name",
    "recovery": "our whole recovery of the database, from preflight to incident log",
    "swap": "our swap (the recovery's own, and undos), by a superuser",
    "ordinary": "our swap (undos), by a role that is no superuser",
}
_HEAD = (
    "| what happened to the database | clients | times | nobody got an answer, ms |"
    " worst client, ms | failed requests | because | late |\n|---|---|---|---|---|---|---|---|"
)
_PHASES_HEAD = (
    "| phase | seconds | requests | failed | late | nobody got an answer, ms | worst client, ms |"
    " what came of it |\n|---|---|---|---|---|---|---|---|"
)
_MEANS = f"""
Figures are medians [lowest–highest]. *Nobody got an answer*: the longest time between two good
answers, whoever got them; {RATE} requests a second alone make it some milliseconds. *Worst client*:
from the beginning of a request to its good answer, repeated as often as it failed: from the first
failed to the first good one. *Late*: good answers that took more than {LATE_S * 1000:.0f} ms. One
request in four writes, too. A client keeps its connection and opens it anew when it breaks; a
failed request is repeated at once, then more rarely. The clients are one process on the server's
machine: they, the server and the recovery share its processor.
"""


@dataclass(frozen=True)
class Way:
    """Something that was done once to the database under so many clients; one of `_WORDS`."""

    name: str
    clients: int
    found: Heard


@dataclass(frozen=True)
class Step:
    """A phase of the recovery, and what was heard while it ran."""

    phase: Phase
    found: Heard


@dataclass(frozen=True)
class Whole:
    """One recovery from its begin to its end."""

    entry: IncidentEntry
    steps: Sequence[Step]


def load() -> str:
    """The machine's load average of a minute."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"


def facts(database: Server, loads: str) -> dict[str, str]:
    """What it was measured on, without the machine's name."""
    with databases.connect(database) as session:
        size = databases.size(session, database.dbname)
        version = session.info.parameter_status("server_version")
        steady = [(name, session.execute(f"SHOW {name}".encode()).fetchone()) for name in _TOLD]
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}"
    said = ", ".join(f"{name} {value[0]}" for name, value in steady if value)
    today = datetime.now(UTC).astimezone(ZoneInfo("Europe/Prague")).date()
    return {
        "date": today.isoformat(),
        "machine": f"{machine}, load average {loads}",
        "PostgreSQL": f"{version} with its default settings, such as {said}",
        "database": f"{human_bytes(size)} on disk, half pgbench and half sandbox hotel",
        "clients": f"{CLIENTS[0]} or {CLIENTS[1]}, together {RATE} requests per second",
    }


def render(facts: Mapping[str, str], ways: Sequence[Way], whole: Whole, again: str) -> str:
    """The page. again: options with which it is measured anew."""
    kinds = dict.fromkeys((name, way.clients) for name in _WORDS for way in ways)
    rows = [_row(*kind, found) for kind in kinds if (found := _found(ways, *kind))]
    return "\n".join(
        [
            _TITLE,
            *(f"- {name}: {value}" for name, value in facts.items()),
            "",
            _HEAD,
            *rows,
            _MEANS,
            _verdict(ways),
            "## The whole recovery, second by second\n",
            _PHASES_HEAD,
            *map(_phase_row, whole.steps),
            _rto(whole.entry),
            f"Measured anew by `python -m kajovo_dr_tests.benchmarks.outage {again}`.\n",
        ]
    )


def _found(ways: Iterable[Way], name: str, clients: int) -> list[Heard]:
    return [each.found for each in ways if (each.name, each.clients) == (name, clients)]


def _row(name: str, clients: int, found: list[Heard]) -> str:
    figures = (
        _spread([each.silence * 1000 for each in found]),
        _spread([each.worst * 1000 for each in found]),
        _spread([each.failed for each in found]),
        ", ".join(sorted(frozenset[str]().union(*(each.reasons for each in found)))) or "–",
        _spread([each.late for each in found]),
    )
    return f"| {_WORDS[name]} | {clients} | {len(found)} | {' | '.join(figures)} |"


def _phase_row(step: Step) -> str:
    found, phase = step.found, step.phase
    counts = f"{found.asked} | {found.failed} | {found.late}"
    waits = f"{found.silence * 1000:.0f} | {found.worst * 1000:.0f}"
    return f"| {phase.name} | {phase.seconds:.2f} | {counts} | {waits} | {phase.detail} |"


def _spread(values: Sequence[float]) -> str:
    middle = f"{median(values):.0f}"
    if len(values) == 1:
        return middle
    return f"{middle} [{min(values):.0f}–{max(values):.0f}]"


def _verdict(ways: Sequence[Way]) -> str:
    few = CLIENTS[0]
    silences = [each.silence for each in _found(ways, "swap", few)]
    ours = median(silences)
    theirs = median(each.silence for each in _found(ways, "runbook", few))
    said = "met" if ours < TARGET_S else f"**missed** by {(ours / TARGET_S - 1) * 100:.0f} %"
    return (
        f"Target: less than {TARGET_S * 1000:.0f} ms without an answer for {few} busy clients:"
        f" {said}, {ours * 1000:.0f} ms, at most {max(silences) * 1000:.0f}.\n"
        f"The runbook's restore was felt {theirs / ours:.0f} times as long, {theirs:.1f} s. That"
        " grows with the database; the\nswap does not.\n"
    )


def _rto(entry: IncidentEntry) -> str:
    return (
        f"\nIn all {entry.duration_s:.1f} s by the incident log; verdict on the recovery time"
        f" objective: {entry.rto_verdict}. The clients\nwere answered by the old database until the"
        " swap, and by the restored one after it.\n"
    )
