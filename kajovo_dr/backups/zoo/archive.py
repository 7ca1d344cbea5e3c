"""Damage to an archive (pg_dump's custom format) that happened before its digest was taken.

Belongs here: mutants of the archive's parts, vouched for. Not here: what is done through SQL and
dumped again (``contents``, ``structure``), and damage that the digest sees (``bits``).
"""

from __future__ import annotations

from kajovo_dr.backups.zoo.bits import kept
from kajovo_dr.backups.zoo.contents import longest_text
from kajovo_dr.backups.zoo.mutants import CUSTOM, PLAIN, Family, vouched
from kajovo_dr.backups.zoo.specimen import Specimen

FAMILY = Family()
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_MAGIC = b"PGDMP"


FAMILY.mutant(
    "cut-at-60-percent-vouched",
    CUSTOM,
    rung="decode",
    imitates="a broken pipe; the table of contents still lists everything",
)(vouched(kept(0.6)))


@FAMILY.mutant("magic-removed", CUSTOM, rung="header", imitates="a script's greeting came first")
@vouched
def magic_removed(specimen: Specimen) -> None:
    specimen.rewrite(lambda content: (b"\n", *content))


@FAMILY.mutant(
    "archive-version-newer", CUSTOM, rung="decode", imitates="a far newer pg_dump wrote it"
)
@vouched
def archive_version_newer(specimen: Specimen) -> None:
    specimen.flip(len(_MAGIC), 0x40)


@FAMILY.mutant(
    "compressed-data-damaged", CUSTOM, rung="decode", imitates="memory that flips bits under zstd"
)
@vouched
def compressed_data_damaged(specimen: Specimen) -> None:
    specimen.flip(specimen.find(_ZSTD_MAGIC), 0x01)


@FAMILY.mutant(
    "uncompressed-byte-flipped",
    CUSTOM,
    rung="content_equal",
    imitates="bit rot before the digest where no compression notices it",
)
@vouched
def uncompressed_byte_flipped(specimen: Specimen) -> None:
    value = longest_text(specimen.bench).encode()
    specimen.bench.dump(specimen.bench.base, "custom", specimen.path, "--compress=none")
    specimen.flip(specimen.find(value, last=True), 0x01)


@FAMILY.mutant(
    "plain-under-an-archives-name", CUSTOM, rung="header", imitates="the format option was lost"
)
@vouched
def plain_under_an_archives_name(specimen: Specimen) -> None:
    specimen.bench.dump(specimen.bench.base, "plain", specimen.path)


@FAMILY.mutant(
    "archive-under-a-plain-name", PLAIN, rung="encoding", imitates="the format option was added"
)
@vouched
def archive_under_a_plain_name(specimen: Specimen) -> None:
    specimen.bench.dump(specimen.bench.base, "custom", specimen.path)


@FAMILY.mutant(
    "data-byte-flipped",
    PLAIN,
    rung="content_equal",
    imitates="memory that flips bits under pg_dump",
)
@vouched
def data_byte_flipped(specimen: Specimen) -> None:
    specimen.flip(specimen.find(longest_text(specimen.bench).encode(), last=True), 0x01)
