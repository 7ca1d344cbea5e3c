"""A restored database against its manifest: what is equal, and what differs, by name.

Belongs here: one judgement per kind of content. Not here: reading either side (``fingerprint``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from kajovo_dr.backups.manifest import Manifest
from kajovo_dr.backups.proof import Verdict
from kajovo_dr.postgres import wording
from kajovo_dr.postgres.fingerprint import Fingerprint, Sequence, Table

#: Differences that a verdict names; the rest is counted.
_NAMED = 10
#: Every new database has it, and no dump drops it.
_PUBLIC = "schema public"
#: Names of objects, and of tables as (schema, name).
_Key = TypeVar("_Key", str, tuple[str, ...])


def compare(
    manifest: Manifest, tables: tuple[Table, ...], found: Fingerprint, server_major: int
) -> tuple[Verdict, ...]:
    """rows_equal, content_equal, schema_equal and sequences_equal, in this order.

    Without a fingerprint in the manifest only the rows can be judged.
    """
    rows = _rows(manifest.tables, tables)
    promised = manifest.fingerprint
    if promised is None:
        unknown = "the manifest has no fingerprint of the source to compare with"
        names = ("content_equal", "schema_equal", "sequences_equal")
        return (rows, *(Verdict(name=name, passed=None, detail=unknown) for name in names))
    return (
        rows,
        _content(manifest.tables, tables, promised, found),
        _schema(promised, found, same_major=server_major == manifest.server_major),
        _sequences(promised.sequences, found.sequences),
    )


def notes(manifest: Manifest, found: Fingerprint, server_major: int) -> tuple[str, ...]:
    """What was compared less strictly than the words *equal* say."""
    promised = manifest.fingerprint
    said = []
    if sampled := _sampled(manifest.tables):
        said.append(f"content of {_list(sampled)} compared by a sample of its rows")
    if promised is None:
        return tuple(said)
    other = _of_one_essence(promised.wording, found.wording)
    if other and server_major != manifest.server_major:
        said.append(
            f"PostgreSQL {manifest.server_major} and {server_major} spell definitions differently;"
            f" compared by their names, constants and operators alone: {_list(other)}"
        )
    versions = [
        f"{name} {found.extensions[name]} instead of {promised.extensions[name]}"
        for name in sorted(promised.extensions.keys() & found.extensions.keys())
        if found.extensions[name] != promised.extensions[name]
    ]
    if versions:
        said.append(f"extensions of other versions: {_list(versions)}")
    return tuple(said)


def _rows(promised: tuple[Table, ...], found: tuple[Table, ...]) -> Verdict:
    before, after = _by_place(promised, "rows"), _by_place(found, "rows")
    differing = [
        f"{'.'.join(place)}: {_count(after.get(place))}, promised {_count(before.get(place))}"
        for place in _differing(before, after)
    ]
    rows = sum(table.rows for table in found)
    return _verdict("rows_equal", differing, tables=len(found), rows=rows)


def _content(
    promised: tuple[Table, ...], found: tuple[Table, ...], before: Fingerprint, after: Fingerprint
) -> Verdict:
    was, now = _by_place(promised, "hash"), _by_place(found, "hash")
    differing = [f"{'.'.join(place)}: other content" for place in _differing(was, now)]
    if before.large_objects != after.large_objects:
        counts = f"{after.large_objects.count}, promised {before.large_objects.count}"
        differing.append(f"large objects: other content ({counts})")
    heads = {before.alembic_head, after.alembic_head}
    # the setting that names the version table may have changed since; its rows are judged anyway
    if len(heads) > 1 and None not in heads:
        differing.append(f"alembic head: {after.alembic_head}, promised {before.alembic_head}")
    sampled = _sampled(promised)
    verdict = _verdict("content_equal", differing, tables=len(found), sampled=len(sampled))
    if not sampled:
        return verdict
    said = f"compared by a sample of their rows: {_list(sampled)}"
    detail = "; ".join(filter(None, (verdict.detail, said)))
    return verdict.model_copy(update={"detail": detail})


def _schema(before: Fingerprint, after: Fingerprint, *, same_major: bool) -> Verdict:
    differing = [
        _what(name, before.objects, after.objects)
        for name in sorted(_differing(before.objects, after.objects))
        if not (name == _PUBLIC and name not in before.objects)
    ]
    judged = wording.ordered if same_major else wording.essence
    was, now = _each(judged, before.wording), _each(judged, after.wording)
    differing += [
        f"{name}: other definition"
        for name in _differing(was, now)
        if before.objects.get(name) == after.objects.get(name)  # else it is named already
        and (same_major or name != _PUBLIC)  # servers since 15 make it with other rights
    ]
    return _verdict("schema_equal", differing, objects=len(after.objects))


def _sequences(before: tuple[Sequence, ...], after: tuple[Sequence, ...]) -> Verdict:
    now = {sequence.key: sequence for sequence in after}
    differing = []
    for sequence in before:
        place = ".".join(sequence.key)
        restored = now.pop(sequence.key, None)
        low, high = sorted((sequence.value, sequence.until))
        if restored is None:
            differing.append(f"{place}: missing")
        elif not low <= restored.value <= high:
            promised = str(low) if low == high else f"{low} to {high}"
            differing.append(f"{place}: at {restored.value}, promised {promised}")
        elif low == high and sequence.called not in (None, restored.called):
            differing.append(f"{place}: gives {'another' if sequence.called else 'its'} value next")
    differing += [f"{'.'.join(key)}: not in the source" for key in now]
    return _verdict("sequences_equal", differing, sequences=len(after))


def _by_place(tables: Iterable[Table], field: str) -> dict[tuple[str, ...], int]:
    """A figure of every place of tables.

    Rows and hashes are sums, so those of all partitions add up to those of the whole.
    """
    found: dict[tuple[str, ...], int] = {}
    for table in tables:
        found[table.place] = found.get(table.place, 0) + int(getattr(table, field) or 0)
    return found


def _sampled(tables: tuple[Table, ...]) -> list[str]:
    return [".".join(table.key) for table in tables if table.sampled]


def _of_one_essence(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Definitions that servers of two major versions may spell so; a verdict names the others."""
    was, now = _each(wording.essence, before), _each(wording.essence, after)
    return [name for name in _differing(before, after) if was.get(name) == now.get(name)]


def _each(of: Callable[[str], str], wordings: Mapping[str, str]) -> dict[str, str]:
    return {name: of(value) for name, value in wordings.items()}


def _differing(before: Mapping[_Key, Any], after: Mapping[_Key, Any]) -> list[_Key]:
    return sorted(
        name for name in before.keys() | after.keys() if before.get(name) != after.get(name)
    )


def _what(name: str, before: Mapping[str, str], after: Mapping[str, str]) -> str:
    if name not in after:
        return f"{name}: missing"
    return f"{name}: {'differs' if name in before else 'not in the source'}"


def _count(rows: int | None) -> str:
    return "missing" if rows is None else f"{rows} rows"


def _list(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _verdict(name: str, differing: list[str], **figures: float) -> Verdict:
    more = f"; and {len(differing) - _NAMED} more" if len(differing) > _NAMED else ""
    return Verdict(
        name=name,
        passed=not differing,
        detail="; ".join(differing[:_NAMED]) + more,
        figures={**figures, "differences": len(differing)},
    )
