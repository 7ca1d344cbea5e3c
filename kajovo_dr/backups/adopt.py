"""Taking over the dump files of other tools: each is judged, and the whole ones become backups.

Belongs here: the order of the steps and what is reported of each file; the folder is never changed.
Not here: the judgement (``examine``, ``worth``) and the writing (``vouch``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from kajovo_dr.backups import catalog
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.examine import Examined, examine
from kajovo_dr.backups.foreign import Skipped, candidates
from kajovo_dr.backups.proof import Proof
from kajovo_dr.backups.prove import prove
from kajovo_dr.backups.store import Store, open_store
from kajovo_dr.backups.vouch import publish
from kajovo_dr.backups.worth import Outcome, judge
from kajovo_dr.errors import ProofImpossible, TargetBusy
from kajovo_dr.postgres import client_tools
from kajovo_dr.progress import Progress, silent
from kajovo_dr.settings import Settings


@dataclass(frozen=True)
class Judged:
    """One file and what became of it.

    restores: whether a scratch server took it; None when none was asked. backup: its name in the
    store. notes: what makes it worth no less.
    """

    name: str
    outcome: Outcome
    worth: str
    size_bytes: int = 0
    rows: int = 0
    snapshot_at: datetime | None = None
    database: str = ""
    sha256: str = ""
    backup: str = ""
    state: str = ""
    restores: bool | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Adoption:
    """All files of a folder."""

    files: tuple[Judged, ...]
    skipped: tuple[Skipped, ...]

    @property
    def whole(self) -> bool:
        """Whether every file is."""
        return all(file.outcome == "whole" for file in self.files)

    @property
    def summary(self) -> str:
        """One sentence."""
        good = [file for file in self.files if file.outcome == "whole"]
        restored = sum(file.restores is True for file in good)
        nothing = sum(file.outcome == "nothing" for file in self.files)
        told = [f"{restored} of {len(self.files)} restore"]
        if untried := len(good) - restored:
            told.append(f"{untried} whole, not restored yet")
        if nothing:
            told.append(f"{nothing} would restore to nothing")
        return "; ".join(told) if self.files else "no dump files"


def adopt(
    settings: Settings, folder: Path, *, dry_run: bool = False, progress: Progress = silent
) -> Adoption:
    """Judge every dump file of a folder; adopt and prove the whole ones unless dry_run.

    Raises `FileRefused` for the folder, and what the store refuses.
    """
    found, skipped = candidates(folder)
    store = open_store(settings)
    transport = client_tools.transport_for(settings.pg_bin)
    files = []
    for candidate in found:
        try:
            examined = examine(settings, transport, candidate, progress)
        except OSError as failure:
            why = f"cannot be read: {str(failure.strerror).lower()}"
            files.append(Judged(candidate.name, "unusable", why))
            continue
        judged = _judge(examined)
        if judged.outcome == "whole":
            judged = _take_over(settings, store, judged, examined, dry_run, progress)
        files.append(judged)
    return Adoption(tuple(files), tuple(skipped))


def _judge(examined: Examined) -> Judged:
    found, candidate = examined.found, examined.candidate
    worth = judge(found, candidate.head)
    return Judged(
        candidate.name,
        worth.outcome,
        worth.text,
        found.size_bytes,
        sum(found.counts.values()),
        examined.moment,
        examined.database,
        found.sha256,
        notes=examined.notes,
    )


def _take_over(
    settings: Settings,
    store: Store,
    judged: Judged,
    examined: Examined,
    dry_run: bool,
    progress: Progress,
) -> Judged:
    """Adopt a whole file, unless the store has its bytes already."""
    for backup in catalog.backups(store):
        if backup.manifest.sha256 == judged.sha256:
            return _proven(judged, "already in the store as", backup, backup.proof)
    if dry_run:
        return judged
    backup = publish(store, examined, progress)
    try:
        proof: Proof | None = prove(settings, backup, progress=progress)
    except (ProofImpossible, TargetBusy) as impossible:
        judged = replace(judged, notes=(*judged.notes, f"not proven: {impossible}"))
        proof = catalog.load(backup.path).proof
    return _proven(judged, "adopted as", backup, proof)


def _proven(judged: Judged, how: str, backup: Backup, proof: Proof | None) -> Judged:
    """The judgement of the file after the scratch server's, which has the last word."""
    state = proof.state if proof else "taken"
    verdicts = {verdict.name: verdict.passed for verdict in proof.verdicts} if proof else {}
    restores = verdicts.get("restores")
    worth = f"whole{', restores' if restores else ''}, {how} {backup.name}"
    if proof and state == "damaged":
        but = "restores, but" if restores else "does not restore:"
        worth = f"{but} {proof.reason} ({how} {backup.name})"
        judged = replace(judged, outcome="unusable")
    return replace(judged, worth=worth, backup=backup.name, state=state, restores=restores)
