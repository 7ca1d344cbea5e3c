"""What a stranger's dump file is worth, in the words of the person who will need it.

Belongs here: turning findings into a sentence. Not here: finding them (``inspect``,
``old_sidecars``, ``mojibake``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kajovo_dr.backups.inspect import Inspection
from kajovo_dr.backups.sql_scan import Finding

#: nothing: psql would accept it and restore no table. half: some of it. unusable: anything else
#: that is not whole.
Outcome = Literal["whole", "half", "nothing", "unusable"]
_CLUSTER = b"--\n-- PostgreSQL database cluster dump"
_AS_IS = frozenset(("sidecar", "letters", "file", "rows"))


@dataclass(frozen=True)
class Worth:
    """One file's outcome, and why."""

    outcome: Outcome
    text: str


def judge(found: Inspection, head: bytes) -> Worth:
    """The worth of a file by its findings; head: its first bytes."""
    if not found.findings:
        return Worth("whole", "whole")
    worth = _as_a_whole(found, head)
    told = [] if worth.outcome == "nothing" else [_sentence(each) for each in found.findings[:1]]
    if worth.text:
        told = [worth.text]
    told += [each.what for each in found.findings[1:] if each.rung in _AS_IS]
    return Worth(worth.outcome, "; ".join(told))


def _as_a_whole(found: Inspection, head: bytes) -> Worth:
    """The outcome, with a sentence where one says more than the first finding."""
    rungs = [finding.rung for finding in found.findings]
    if found.size_bytes == 0 and "size" in rungs:
        return Worth("nothing", "would restore to nothing: the file is empty")
    if "lines" in rungs and found.lines <= 1 and head.lstrip(b"\xef\xbb\xbf").startswith(b"--"):
        joined = "its lines were joined, the whole file is a comment"
        return Worth("nothing", f"would restore to nothing: {joined}")
    if head.startswith(_CLUSTER):
        what = "is a dump of a whole cluster (pg_dumpall): only psql can restore it"
        return Worth("unusable", what)
    if rungs[0] in ("copy", "trailer"):
        return Worth("half", f"would restore half: {_where_cut(found, rungs[0])}")
    if "lines" in rungs and rungs[0] != "encoding":
        what = f"the file ends after {found.lines} lines"
        return Worth("nothing", f"would restore to nothing: {what}")
    return Worth("unusable", "")


def _where_cut(found: Inspection, rung: str) -> str:
    """Counts are in the order of the file: the last table is the one that was being read."""
    if not found.counts:
        return "it was cut before the first row"
    (schema, table), rows = list(found.counts.items())[-1]
    if rung == "copy":
        return f"it was cut after {rows:,} rows of {schema}.{table}"
    return f"it was cut after the rows of {schema}.{table}, and has no indexes and keys"


def _sentence(finding: Finding) -> str:
    where = f" ({finding.where})" if finding.where else ""
    if finding.rung in _AS_IS:
        return finding.what + where
    if finding.rung == "encoding" and "compressed" in finding.what:
        return finding.what.removeprefix("the file ")
    if finding.rung == "header":
        return f"is nothing that kajovo_dr restores: {finding.what}"
    if finding.rung == "commands":
        told = f"has what no dump of one database has: {finding.what}{where}"
        created = "connect" in finding.what or "unrestrict" in finding.what
        return told + ("; made with --create, or by a stranger" if created else "")
    if finding.rung == "decode":
        return f"would restore half at best: its archive cannot be read to the end: {finding.what}"
    return f"is not as pg_dump wrote it: {finding.what}{where}"
