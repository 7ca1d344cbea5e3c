"""The ladder that every backup climbs, cheapest rung first, and where a mutant falls off.

Belongs here: asking the same code that ``list``, ``verify``, ``restore`` and the proof ask, in
their order, and naming the rung that refused. Not here: any judgement of its own; whatever those
let pass has passed.

Rungs: link, name, manifest, format, digest, size (the sidecars alone), then those of a whole
reading (``inspect``), then the verdicts of a restore (``prove``).
"""

from __future__ import annotations

from dataclasses import dataclass

from kajovo_dr.backups import catalog
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.inspect import verify
from kajovo_dr.backups.manifest import DIGEST_SUFFIX
from kajovo_dr.backups.prove import judge
from kajovo_dr.backups.store import Store
from kajovo_dr.backups.zoo.bench import Bench
from kajovo_dr.errors import BackupMissing, DrError, FormatUnknown, ManifestError
from kajovo_dr.progress import Progress, silent

#: Words of `ManifestError` by which its rung is known; without any it is the manifest itself.
_WORDS = {DIGEST_SUFFIX: "digest", " is that of ": "name", " bytes, its manifest says ": "size"}


@dataclass(frozen=True)
class Caught:
    """Where a backup was rejected. place: what was found, in the words that an operator reads."""

    rung: str
    place: str


def caught_by(
    bench: Bench, store: Store, name: str, *, progress: Progress = silent
) -> Caught | None:
    """The rung that rejects a backup; None when it climbs the whole ladder."""
    try:
        backup = catalog.by_name(store, name)
    except (BackupMissing, ManifestError, FormatUnknown) as problem:
        return Caught(_rung_of(problem, store, name), str(problem))
    found = verify(
        backup,
        transport=bench.transport,
        timeout=bench.settings.restore_timeout_s,
        progress=progress,
    )
    if found.findings:
        first = found.findings[0]
        place = f"{first.what} ({first.where})" if first.where else first.what
        return Caught(first.rung, place)
    return _by_proof(bench, backup, progress)


def _by_proof(bench: Bench, backup: Backup, progress: Progress) -> Caught | None:
    proof = judge(bench.settings, backup, bench.scratch, progress=progress)
    for verdict in proof.verdicts:
        if verdict.passed is False:
            # a failed restore begins with the backup and the scratch database: neither is a place
            place = verdict.detail.removeprefix(f"{backup.name} into ")
            return Caught(
                verdict.name, place.partition(": ")[2] if place != verdict.detail else place
            )
    return None if proof.state == "proven" else Caught(proof.state, proof.reason)


def _rung_of(problem: DrError, store: Store, name: str) -> str:
    """The rung of a refusal by the catalog: only its words tell the parts of one file apart."""
    if isinstance(problem, BackupMissing):
        path = store.folder / name
        return "link" if path.is_symlink() or path.exists() else "name"
    if isinstance(problem, FormatUnknown):
        return "format"
    return next((rung for words, rung in _WORDS.items() if words in str(problem)), "manifest")
