"""The exercise: every mutant of one backup is made, led up the ladder, and deleted again.

Belongs here: the order, the space it takes (one mutant at a time), and what counts as caught. Not
here: the mutants (``registry``) and the ladder.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from kajovo_dr.backups import catalog
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.load import load
from kajovo_dr.backups.manifest import Kind
from kajovo_dr.backups.scratch import require_space, room, scratch_server
from kajovo_dr.backups.store import open_store
from kajovo_dr.backups.zoo.bench import Bench
from kajovo_dr.backups.zoo.ladder import Caught, caught_by
from kajovo_dr.backups.zoo.mutants import Mutant
from kajovo_dr.backups.zoo.registry import MUTANTS
from kajovo_dr.backups.zoo.specimen import NotApplicable, Specimen, copy_of
from kajovo_dr.errors import BackupMissing, ProofFailed
from kajovo_dr.files import private_folder
from kajovo_dr.postgres import client_tools
from kajovo_dr.postgres.server import Server
from kajovo_dr.progress import Progress, silent
from kajovo_dr.settings import Settings

#: Begins the names of the folders that mutants live in, below the state folder.
_FOLDER = "zoo-"


@dataclass(frozen=True)
class Outcome:
    """What became of one mutant. caught: None when nothing rejected it; lacks: why there is none
    of this backup.
    """

    mutant: str
    kind: Kind
    expected: str
    caught: Caught | None = None
    lacks: str = ""

    @property
    def result(self) -> str:
        """One or two words."""
        if self.lacks:
            return "not applicable"
        if self.caught is None:
            return "NOT CAUGHT"
        return "caught" if self.caught.rung == self.expected else "WRONG RUNG"


@dataclass(frozen=True)
class Exercise:
    """All outcomes of one backup."""

    backup: str
    outcomes: tuple[Outcome, ...] = field(default=())

    @property
    def summary(self) -> str:
        """``N of N caught``, of those that exist of this backup."""
        living = [outcome for outcome in self.outcomes if not outcome.lacks]
        caught = sum(outcome.result == "caught" for outcome in living)
        vain = len(self.outcomes) - len(living)
        return f"{caught} of {len(living)} caught" + (f", {vain} not applicable" if vain else "")

    @property
    def escaped(self) -> tuple[Outcome, ...]:
        """Those that were not caught, or not by the rung that must."""
        return tuple(
            each for each in self.outcomes if each.result not in ("caught", "not applicable")
        )

    @property
    def ok(self) -> bool:
        """All were caught, and there was something to catch."""
        return not self.escaped and any(not outcome.lacks for outcome in self.outcomes)

    def require_all(self) -> None:
        """Raise `ProofFailed` unless every mutant was caught by its own rung."""
        if self.ok:
            return
        named = ", ".join(f"{each.mutant} ({each.result.lower()})" for each in self.escaped)
        raise ProofFailed(
            f"{self.backup}: {self.summary}: {named or 'there was nothing to catch'}",
            hint="the checks do not see this damage as they must, so no proof counts until they"
            " are mended: report it with the table above.",
        )


def exercise(settings: Settings, name: str = "", *, progress: Progress = silent) -> Exercise:
    """Run the zoo against a backup, by default the newest proven one, on the scratch server."""
    store = open_store(settings)
    backup = catalog.by_name(store, name) if name else catalog.newest_proven(store)
    if backup is None:
        raise BackupMissing(
            f"no proven backup in {store.folder} to make mutants of",
            hint="prove one first: kajovo-dr verify NAME --restore.",
        )
    require_space(settings, backup)
    with scratch_server(settings) as scratch:
        return Exercise(backup.name, run_zoo(settings, backup, scratch, progress))


def run_zoo(
    settings: Settings,
    backup: Backup,
    scratch: Server,
    progress: Progress = silent,
    mutants: Sequence[Mutant] = MUTANTS,
) -> tuple[Outcome, ...]:
    """The outcome of every mutant of the backup's format.

    Raises `ProofFailed` when the undamaged backup, or a new dump of it, is rejected: then every
    mutant would be, whatever its damage.
    """
    kind = backup.manifest.kind
    with open_bench(settings, backup, scratch, progress) as bench:
        _require_sound(bench, backup)
        outcomes = []
        living = [mutant for mutant in mutants if kind in mutant.kinds]
        for number, mutant in enumerate(living):
            progress(f"mutant {number + 1} of {len(living)}: {mutant.name}", 0, None)
            outcomes.append(outcome_of(bench, backup, mutant))
    return tuple(outcomes)


def outcome_of(bench: Bench, backup: Backup, mutant: Mutant) -> Outcome:
    """Make one mutant in a folder of its own, see which rung rejects it, delete it."""
    kind = backup.manifest.kind
    with specimen(bench, backup) as animal:
        try:
            mutant.damage(animal)
        except NotApplicable as lacking:
            return Outcome(mutant.name, kind, mutant.rung, lacks=str(lacking))
        caught = caught_by(bench, animal.store, backup.name)
    return Outcome(mutant.name, kind, mutant.rung, caught)


@contextmanager
def specimen(bench: Bench, backup: Backup) -> Iterator[Specimen]:
    """A copy of the backup in a store of its own, deleted afterwards."""
    state = private_folder(bench.settings.state)
    folder = Path(tempfile.mkdtemp(prefix=_FOLDER, dir=state))
    try:
        store = private_folder(folder / "store")
        yield copy_of(backup, store, bench.settings.backup_prefix, bench)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def open_bench(
    settings: Settings, backup: Backup, scratch: Server, progress: Progress = silent
) -> Iterator[Bench]:
    """The backup restored on the scratch server, for damage through SQL; dropped afterwards."""
    transport = client_tools.transport_for(settings.pg_bin)
    sampled = frozenset(table.key for table in backup.manifest.tables if table.sampled)
    with room(scratch, backup) as (base, _):
        load(settings, transport, backup, base, disposable=True, progress=progress)
        yield Bench(settings, transport, scratch, base, sampled)


def _require_sound(bench: Bench, backup: Backup) -> None:
    with specimen(bench, backup) as copy:
        _require_climbs(bench, copy, "the undamaged backup")
        bench.dump(bench.base, copy.kind, copy.path)
        copy.vouch()
        _require_climbs(bench, copy, "an undamaged new dump of it")


def _require_climbs(bench: Bench, copy: Specimen, what: str) -> None:
    caught = caught_by(bench, copy.store, copy.path.name)
    if caught is not None:
        raise ProofFailed(f"{copy.path.name}: {what} is rejected: {caught.rung}: {caught.place}")
