"""Dump files that other tools left in a folder: which files are meant, and of which kind.

Not here: what they are worth (``worth``), and our own backups (``catalog``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kajovo_dr.backups.manifest import DIGEST_SUFFIX, MANIFEST_SUFFIX, ROLES_SUFFIX, Kind
from kajovo_dr.backups.proof import PROOF_SUFFIX
from kajovo_dr.errors import FileRefused

_ARCHIVE = b"PGDMP"
_PLAIN = b"--\n-- PostgreSQL database "
_NAMES = frozenset((".sql", ".dump", ".backup"))
_PACKED = frozenset((".gz", ".zst", ".xz", ".zip", ".bz2"))
_SIDECARS = (PROOF_SUFFIX, DIGEST_SUFFIX, MANIFEST_SUFFIX, ROLES_SUFFIX)
#: Bytes of the head that are kept: enough to know every kind by.
_HEAD = 512


@dataclass(frozen=True)
class Candidate:
    """A file that is to be judged. head: its first bytes; problem: why there are none."""

    path: Path
    head: bytes
    problem: str = ""

    @property
    def name(self) -> str:
        """Its name as it can be shown and stored: bytes that are no UTF-8 are replaced."""
        return shown(self.path)

    @property
    def kind(self) -> Kind:
        """By its first bytes: other tools use any suffix for anything."""
        return "custom" if self._archive else "plain"

    @property
    def _archive(self) -> bool:
        if self.path.suffix.lower() in (".dump", ".backup"):
            return not self.head.startswith(b"--")
        return self.head.startswith(_ARCHIVE)


@dataclass(frozen=True)
class Skipped:
    """A file that is none of ours to judge, and why."""

    name: str
    why: str


def shown(path: Path) -> str:
    """The name of a file as UTF-8, whatever its bytes."""
    return path.name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def candidates(folder: Path) -> tuple[list[Candidate], list[Skipped]]:
    """The dump files of a folder, by name, and what else lies there; sidecars go with their file.

    Raises `FileRefused` unless it is a folder that can be read.
    """
    found: list[Candidate] = []
    skipped: list[Skipped] = []
    paths = _listed(folder)
    for path in paths:
        if path.name.startswith(".") or _is_sidecar(path, paths):
            continue
        if why := _why_not(path):
            skipped.append(Skipped(shown(path), why))
            continue
        candidate = _look(path)
        if _looks_like_a_dump(candidate):
            found.append(candidate)
        else:
            skipped.append(Skipped(candidate.name, candidate.problem or "no dump file"))
    return found, skipped


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except NotADirectoryError:
        raise FileRefused(f"{folder} is not a folder", hint="name the folder it is in.") from None
    except OSError as failure:
        raise FileRefused(f"{folder}: {str(failure.strerror).lower()}") from None
    except ValueError:
        raise FileRefused("the name of the folder has a NUL character") from None


def _is_sidecar(path: Path, paths: list[Path]) -> bool:
    return any(
        path.name.endswith(suffix) and path.with_name(path.name.removesuffix(suffix)) in paths
        for suffix in _SIDECARS
    )


def _why_not(path: Path) -> str:
    if path.is_symlink():
        return "a symbolic link"
    if path.is_dir():
        return "a folder"
    return "" if path.is_file() else "no regular file"


def _look(path: Path) -> Candidate:
    try:
        with path.open("rb") as handle:
            return Candidate(path, handle.read(_HEAD))
    except OSError as failure:
        return Candidate(path, b"", f"cannot be read: {str(failure.strerror).lower()}")


def _looks_like_a_dump(candidate: Candidate) -> bool:
    suffixes = [suffix.lower() for suffix in candidate.path.suffixes]
    if suffixes and suffixes[-1] in _PACKED:
        suffixes.pop()
    named = bool(suffixes) and suffixes[-1] in _NAMES
    return named or candidate.head.startswith((_ARCHIVE, _PLAIN))
