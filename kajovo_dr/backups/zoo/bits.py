"""Damage to the bytes of a dump file while its sidecars stay: cut, flipped, emptied, overwritten.

Belongs here: mutants of both formats that need no knowledge of what the bytes mean. Not here: the
same damage done before the digest (``text``, ``archive``).
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator

from kajovo_dr.backups.zoo.mutants import BOTH, PLAIN, Family, vouched
from kajovo_dr.backups.zoo.specimen import Specimen

FAMILY = Family()
#: Where the texts of both formats begin to speak of indexes and constraints.
POST_DATA = (b"CREATE INDEX ", b"CREATE UNIQUE INDEX ", b"ADD CONSTRAINT ")
#: Offset into those at which a statement still begins as those of pg_dump do.
_SECOND_WORD = len(b"CREATE ")
#: Bit 0x20 would only change the case of a letter.
_ONE_BIT = 0x01


def kept(part: float) -> Callable[[Specimen], None]:
    """Cuts a file so that this part of it is left."""

    def cut(specimen: Specimen) -> None:
        left = int(specimen.path.stat().st_size * part)

        def first(content: Iterator[bytes]) -> Iterator[bytes]:
            rest = left
            for chunk in content:
                yield chunk[:rest]
                rest -= min(rest, len(chunk))

        specimen.rewrite(first)

    return cut


FAMILY.mutant(
    "cut-at-60-percent", BOTH, rung="size", imitates="the disk was full, or the copy broke off"
)(kept(0.6))


@FAMILY.mutant("empty", BOTH, rung="size", imitates="the tool failed after opening its output")
def empty(specimen: Specimen) -> None:
    specimen.write(b"")


FAMILY.mutant(
    "empty-vouched", BOTH, rung="size", imitates="an empty output was hashed and published"
)(vouched(empty))


@FAMILY.mutant("bit-flipped-in-header", BOTH, rung="sha256", imitates="bit rot in the first block")
def bit_in_header(specimen: Specimen) -> None:
    specimen.flip(4, _ONE_BIT)


@FAMILY.mutant("bit-flipped-in-data", BOTH, rung="sha256", imitates="bit rot")
def bit_in_data(specimen: Specimen) -> None:
    specimen.flip(specimen.path.stat().st_size * 2 // 3, _ONE_BIT)


@FAMILY.mutant("bit-flipped-in-indexes", BOTH, rung="sha256", imitates="bit rot in a definition")
def bit_in_indexes(specimen: Specimen) -> None:
    specimen.flip(specimen.find(*POST_DATA) + _SECOND_WORD, _ONE_BIT)


FAMILY.mutant(
    "bit-flipped-in-indexes-vouched",
    BOTH,
    rung="restores",
    imitates="memory that flips bits under pg_dump",
)(vouched(bit_in_indexes))


FAMILY.mutant(
    "bit-flipped-in-header-vouched",
    BOTH,
    rung="header",
    imitates="memory that flips bits under pg_dump",
)(vouched(bit_in_header))


@FAMILY.mutant(
    "overwritten-at-its-size", BOTH, rung="sha256", imitates="ransomware, or blocks never written"
)
def overwritten(specimen: Specimen) -> None:
    specimen.rewrite(lambda content: (bytes(len(chunk)) for chunk in content))


@FAMILY.mutant("byte-appended", BOTH, rung="size", imitates="an editor added a line end")
def byte_appended(specimen: Specimen) -> None:
    def longer(content: Iterator[bytes]) -> Iterator[bytes]:
        yield from content
        yield b"\n"

    specimen.rewrite(longer)


@FAMILY.mutant(
    "re-encoded-by-a-shell", PLAIN, rung="size", imitates="a redirection in Windows PowerShell"
)
def re_encoded(specimen: Specimen) -> None:
    specimen.rewrite(
        lambda content: (chunk.decode("latin-1").encode("utf-16-le") for chunk in content)
    )


def compressed(specimen: Specimen) -> None:
    """The file as gzip makes it, under its old name."""

    def members(content: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in content:  # members of gzip may follow one another
            yield gzip.compress(chunk, mtime=0)

    specimen.rewrite(members)


FAMILY.mutant(
    "compressed-vouched", BOTH, rung="encoding", imitates="gzip ran in the pipe, the name stayed"
)(vouched(compressed))
