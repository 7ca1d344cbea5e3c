"""Damage that leaves the dump's bytes alone: its sidecars, its name, and what kind of file it is.

Belongs here: mutants of the files beside a dump file, for both formats. Not here: what is inside
the dump (``text``, ``archive``, ``contents``).
"""

from __future__ import annotations

import shutil

from kajovo_dr.backups.manifest import (
    DIGEST_SUFFIX,
    MANIFEST_SUFFIX,
    ROLES_SUFFIX,
    digest_line,
)
from kajovo_dr.backups.zoo.mutants import BOTH, Family
from kajovo_dr.backups.zoo.specimen import NotApplicable, Specimen

FAMILY = Family()
#: A format number that no version of ours will ever write.
_NEWER_FORMAT = 999
_OTHER_DIGEST = "0" * 64


@FAMILY.mutant(
    "manifest-missing", BOTH, rung="manifest", imitates="only the dump file was copied back"
)
def manifest_missing(specimen: Specimen) -> None:
    specimen.sidecar(MANIFEST_SUFFIX).unlink()


@FAMILY.mutant(
    "manifest-cut", BOTH, rung="manifest", imitates="the disk filled up under the manifest"
)
def manifest_cut(specimen: Specimen) -> None:
    content = specimen.sidecar(MANIFEST_SUFFIX).read_bytes()
    specimen.write(content[: len(content) // 2], MANIFEST_SUFFIX)


@FAMILY.mutant("format-newer", BOTH, rung="format", imitates="a newer version wrote the backup")
def format_newer(specimen: Specimen) -> None:
    specimen.edit_manifest(format=_NEWER_FORMAT)


@FAMILY.mutant("digest-missing", BOTH, rung="digest", imitates="one sidecar was not copied back")
def digest_missing(specimen: Specimen) -> None:
    specimen.sidecar(DIGEST_SUFFIX).unlink()


@FAMILY.mutant(
    "digest-of-another", BOTH, rung="digest", imitates="the digest of another file lies beside it"
)
def digest_of_another(specimen: Specimen) -> None:
    specimen.write(digest_line(_OTHER_DIGEST, specimen.path.name), DIGEST_SUFFIX)


@FAMILY.mutant(
    "digests-both-wrong", BOTH, rung="sha256", imitates="both sidecars were edited to agree"
)
def digests_both_wrong(specimen: Specimen) -> None:
    digest_of_another(specimen)
    specimen.edit_manifest(sha256=_OTHER_DIGEST)


@FAMILY.mutant(
    "size-in-manifest-wrong", BOTH, rung="size", imitates="the manifest is of another attempt"
)
def size_in_manifest_wrong(specimen: Specimen) -> None:
    specimen.edit_manifest(size_bytes=specimen.manifest.size_bytes + 1)


@FAMILY.mutant(
    "sidecars-swapped", BOTH, rung="name", imitates="two backups have each other's sidecars"
)
def sidecars_swapped(specimen: Specimen) -> None:
    other = _other_name(specimen)
    specimen.edit_manifest(backup_file=other, sha256=_OTHER_DIGEST)
    specimen.write(digest_line(_OTHER_DIGEST, other), DIGEST_SUFFIX)


@FAMILY.mutant(
    "renamed", BOTH, rung="name", imitates="an old backup was renamed to look like today's"
)
def renamed(specimen: Specimen) -> None:
    specimen.edit_manifest(backup_file=_other_name(specimen))


@FAMILY.mutant("roles-missing", BOTH, rung="roles", imitates="the file of roles was not copied")
def roles_missing(specimen: Specimen) -> None:
    specimen.sidecar(ROLES_SUFFIX).unlink()


@FAMILY.mutant("roles-changed", BOTH, rung="roles", imitates="somebody added a superuser")
def roles_changed(specimen: Specimen) -> None:
    roles = specimen.sidecar(ROLES_SUFFIX).read_bytes()
    specimen.write(roles + b"CREATE ROLE intruder SUPERUSER LOGIN;\n", ROLES_SUFFIX)


@FAMILY.mutant(
    "a-directory", BOTH, rung="link", imitates="a container made a folder for a missing mount"
)
def a_directory(specimen: Specimen) -> None:
    specimen.path.unlink()
    specimen.path.mkdir()


@FAMILY.mutant(
    "link-out-of-the-store", BOTH, rung="link", imitates="a link leads to a file outside the store"
)
def link_out_of_the_store(specimen: Specimen) -> None:
    outside = specimen.store.folder.parent / f"outside{specimen.path.suffix}"
    shutil.copyfile(specimen.path, outside)
    specimen.path.unlink()
    try:
        specimen.path.symlink_to(outside)
    except OSError as refused:  # Windows asks for a privilege
        raise NotApplicable(f"no symbolic links here: {refused.strerror}") from None


def _other_name(specimen: Specimen) -> str:
    return f"{specimen.store.prefix}-20000101-000000{specimen.path.suffix}"
