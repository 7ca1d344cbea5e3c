"""Proving backups again, a few each night: disks forget, and nobody reads old files.

Belongs here: which ones, in which order, and when to stop. Not here: how one is proven (``prove``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass
from datetime import datetime

from kajovo_dr.backups import catalog
from kajovo_dr.backups.candidates import identities_of
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.proof import Proof
from kajovo_dr.backups.store import Store
from kajovo_dr.errors import DrError, ProofFailed, ProofImpossible
from kajovo_dr.postgres.server import Server
from kajovo_dr.settings import Settings


@dataclass(frozen=True)
class Outcome:
    """What came of one backup: its proof, or the problem that kept it from being proven.

    lost: it was proven and is not any more, because it could not be read.
    """

    backup: Backup
    proof: Proof | None = None
    problem: str = ""
    lost: bool = False

    @property
    def damaged(self) -> bool:
        """Whether the backup must not be used."""
        return self.proof is not None and self.proof.state == "damaged"

    @property
    def proven(self) -> bool:
        """Whether the backup was restored and found equal."""
        return self.proof is not None and self.proof.state == "proven"

    @property
    def reason(self) -> str:
        """Why it is not proven; empty when it is."""
        return self.problem or (self.proof.reason if self.proof else "")


def due(
    store: Store, database: str, count: int, identities: Set[str] = frozenset()
) -> list[Backup]:
    """The backups to prove tonight, at most count: those never proven, the newest first, then those
    proven longest ago. What was tried in vain leaves a place for the latter: a backup that
    cannot be proven here must not keep all others from being read.
    """
    found = catalog.backups(store, database, identities)[::-1]
    waiting = [each for each in found if each.state == "taken"]
    tried = [each for each in found if each.state == "unproven"]
    proven = sorted((each for each in found if each.state == "proven"), key=_proven_at)
    most = max(1, count - 1)
    return [*waiting, *tried[:most], *proven, *tried[most:]][:count]


def reprove(
    settings: Settings,
    store: Store,
    protected: Server,
    *,
    prove: Callable[[Backup], Proof],
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Outcome]:
    """Prove what is due; none is begun after `reprove_minutes`, none keeps the next from its turn.

    prove: proves one backup and writes its record. clock: seconds.
    """
    end = clock() + settings.reprove_minutes * 60
    identities = identities_of(settings, store, protected)
    for backup in due(store, protected.dbname, settings.reprove_count, identities):
        if clock() >= end:
            return
        yield _attempt(prove, backup)


def require_sound(outcomes: list[Outcome]) -> None:
    """Raise `ProofFailed` naming what is damaged or cannot be read any more, or `ProofImpossible`
    when nothing was proven.
    """
    bad = [each for each in outcomes if each.damaged or each.lost]
    if bad:
        words = "are damaged" if not any(each.lost for each in bad) else "are damaged or unreadable"
        raise ProofFailed(
            f"{len(bad)} of {len(outcomes)} backups {words}: "
            + "; ".join(f"{each.backup.name}: {each.reason}" for each in bad)
        )
    if outcomes and not any(each.proven for each in outcomes):
        raise ProofImpossible(
            f"none of {len(outcomes)} backups could be proven; {outcomes[0].reason}",
            hint="this run's log names the reason of each; their bytes were not judged.",
        )


def _attempt(prove: Callable[[Backup], Proof], backup: Backup) -> Outcome:
    try:
        return Outcome(backup, prove(backup))
    except DrError as problem:
        return Outcome(backup, problem=str(problem), lost=_lost(backup))
    except OSError as failure:  # a disk that cannot read one file may read the next
        problem_said = f"{backup.name}: {str(failure.strerror).lower()}"
        return Outcome(backup, problem=problem_said, lost=_lost(backup))


def _lost(backup: Backup) -> bool:
    """Whether the attempt has cost a backup its proof: what is wrong elsewhere leaves it alone."""
    if backup.state != "proven" or not backup.path.exists():
        return False
    try:
        return catalog.load(backup.path).state != "proven"
    except DrError:
        return True


def _proven_at(backup: Backup) -> datetime:
    assert backup.proof is not None  # its state is proven
    return backup.proof.proven_at
