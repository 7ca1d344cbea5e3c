"""What is wrong with the backups: their age, their soundness, what befell the data, the disk.

Belongs here: conditions that the store's files tell. Not here: judging the recovery point
(``backups.recovery_point``) and changes (``backups.changes``), and telling anybody (``look``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from kajovo_dr.alerts.condition import Condition, Level, Worse, rank
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.changes import Change, compare_with_previous
from kajovo_dr.backups.manifest import Manifest
from kajovo_dr.backups.recovery_point import RecoveryPoint, judge_age, point_of
from kajovo_dr.backups.take import SPACE_MARGIN
from kajovo_dr.errors import DrError
from kajovo_dr.settings import Settings
from kajovo_dr.watch.disk_forecast import DiskForecast, forecast
from kajovo_dr.watch.scene import Scene

_OF_FILES = ("damaged", "damaged_many", "untrusted_many", "vanished", "change")
FAMILIES = ("store", "rpo", *_OF_FILES)
#: Dump files that are told of one by one.
_MANY = 5
#: Fewer backups may be cleared away by a person at once.
_ENOUGH = 4
_LEVELS: dict[str, Level] = {"pass": "ok", "warn": "warning", "fail": "critical"}
#: The only comparison that finds the same again at each backup; the others tell of one moment.
_LASTS = "tables_still_change"
_NOW = "kajovo-dr backup --prove"


def conditions(scene: Scene) -> Iterator[Condition]:
    """All of them. A store that cannot be used is one trouble, not several."""
    try:
        disk = forecast(scene.store, scene.now)
        damaged = list(_damage(scene))
    except (DrError, OSError) as failure:
        why = _said(failure)
        yield Condition(
            "store", "critical", scene.words("store_lost", why=why), next="kajovo-dr doctor"
        )
        yield _unknown(scene, why)
        for family in _OF_FILES:
            yield from scene.kept(family)
        return
    yield _room(scene, disk)
    yield from damaged
    yield from _vanished(scene)
    try:
        yield _rpo(scene)
    except (DrError, OSError) as failure:
        yield _unknown(scene, _said(failure))
        yield from scene.kept("change")
        return
    yield from _changes(scene)


def next_step(scene: Scene) -> str:
    """The command for a recovery point that is too old: prove the newest backup if that helps,
    else take one.
    """
    usable = [each for each in scene.ours if each.state != "damaged" and each.age_s(scene.now) >= 0]
    newest = usable[-1] if usable else None
    if newest is None or newest.state == "proven":
        return _NOW
    young = newest.age_s(scene.now) <= scene.settings.rpo_warn_hours * 3600
    return f"kajovo-dr verify {newest.name} --restore" if young else _NOW


def _said(failure: DrError | OSError) -> str:
    if isinstance(failure, DrError):
        return str(failure)
    return f"{failure.filename or 'disk'}: {str(failure.strerror or failure).lower()}"


def _unknown(scene: Scene, why: str) -> Condition:
    memo = scene.known.standings["rpo"].memo if "rpo" in scene.known.standings else ""
    return Condition(
        "rpo",
        "unknown",
        scene.words("rpo_unknown", why=why),
        next="kajovo-dr doctor",
        covered_by=("store",),
        memo=memo,
    )


def _rpo(scene: Scene) -> Condition:
    settings, words, database = scene.settings, scene.words, scene.server.dbname
    point = point_of(settings, scene.ours, scene.now)
    level, worse = _LEVELS.get(point.verdict, "critical"), _worse(scene, point)
    well = "rpo_pass" if worse is None else "rpo_was"
    found = Condition(
        "rpo",
        level,
        words(well if level == "ok" else "rpo_old", database=database),
        limit=words.duration(settings.rpo_hours * 3600),
        next="" if level == "ok" else next_step(scene),
        memo=point.snapshot.isoformat() if point.snapshot else "",
    )
    if point.problem:
        what = words("rpo_future", why=point.problem)
        return replace(found, what=what, next="kajovo-dr doctor")
    if point.snapshot is None or point.age_s is None:
        return replace(found, what=words("rpo_none", database=database), figure=words("none"))
    return replace(
        found,
        figure=words.duration(point.age_s),
        since=_since(settings, level, point.snapshot),
        worse=worse,
    )


def _since(settings: Settings, level: Level, snapshot: datetime) -> datetime | None:
    """When the age passed the limit of its level."""
    hours = {"warning": settings.rpo_warn_hours, "critical": settings.rpo_hours}.get(level)
    return snapshot + timedelta(hours=hours) if hours is not None else None


def _worse(scene: Scene, point: RecoveryPoint) -> Worse | None:
    """How old the recovery point had become between the last look and this one: when nobody looked
    for a day, a backup that came at its end must not hide that there was none before.
    """
    last = scene.known.standings.get("rpo")
    if last is None or not last.memo:
        return None
    snapshot, worst = datetime.fromisoformat(last.memo), None
    for backup in scene.proven:
        at = backup.proof.proven_at if backup.proof is not None else backup.manifest.created_at
        if not (last.seen_at < at <= scene.now) or backup.manifest.created_at <= snapshot:
            continue
        level = _LEVELS[judge_age(scene.settings, (at - snapshot).total_seconds())]
        since = _since(scene.settings, level, snapshot)
        if since is not None and rank(level) > (rank(worst.level) if worst else 0):
            worst = Worse(level, since, at)
        snapshot = backup.manifest.created_at
    known = max(rank(_LEVELS.get(point.verdict, "critical")), rank(last.told))
    return worst if worst is not None and rank(worst.level) > known else None


def _damage(scene: Scene) -> Iterator[Condition]:
    """An old one is a warning: what is newer than it is proven."""
    damaged = []
    for entry in scene.entries:
        if entry.backup is not None and entry.backup.state == "damaged":
            name, why = entry.path.name, entry.backup.reason
            old = _overtaken(scene, entry.backup.manifest)
            what = scene.words("damaged", name=name, why=why)
            damaged.append(_damaged(name, what, "warning" if old else "critical"))
    untrusted = [
        _damaged(name, scene.words("untrusted", name=name, why=entry.problem), "warning")
        for entry in scene.entries
        if entry.backup is None and (name := entry.path.name)
    ]
    yield from _few(scene, "damaged_many", damaged)
    yield from _few(scene, "untrusted_many", untrusted)


def _few(scene: Scene, text: str, found: list[Condition]) -> Iterator[Condition]:
    """Many at once have one cause, and are one trouble: nobody reads a hundred messages."""
    if len(found) <= _MANY:
        yield from found
        return
    worst = max(found, key=lambda each: rank(each.level))
    newest = found[-1]
    yield replace(worst, key=text, what=scene.words(text, count=len(found), why=newest.what))
    yield from (replace(each, covered_by=(text,)) for each in found)


def _vanished(scene: Scene) -> Iterator[Condition]:
    """Most of them gone at once: deleted, or the disk is no longer where it was."""
    last, now = scene.known.standings.get("vanished"), len(scene.entries)
    before = int(last.memo) if last is not None and last.memo else 0
    if before >= _ENOUGH and now * 2 < before:
        yield Condition(
            f"vanished:{scene.now.isoformat(timespec='seconds')}",
            "critical",
            scene.words("vanished", folder=scene.store.folder, before=before, now=now),
            next="kajovo-dr list",
            since=scene.now,
            lasting=False,
        )
    yield Condition("vanished", "ok", "", memo=str(now))


def _overtaken(scene: Scene, manifest: Manifest) -> bool:
    """Whether a newer backup of the same database is proven."""
    return any(
        each.backup.state == "proven"
        and each.backup.manifest.database == manifest.database
        and each.backup.manifest.created_at > manifest.created_at
        for each in scene.entries
        if each.backup is not None
    )


def _damaged(name: str, what: str, level: Level) -> Condition:
    """The newest one is made up for by another backup; an old one is to be looked at."""
    return Condition(
        f"damaged:{name}", level, what, next=_NOW if level == "critical" else "kajovo-dr list"
    )


def _changes(scene: Scene) -> Iterator[Condition]:
    """What each newly proven backup shows that the one before it did not."""
    last = scene.known.standings.get("change")
    # one of the future is of a clock that was wrong, and would stand before all that follow
    proven = [each for each in scene.proven if each.age_s(scene.now) >= 0]
    if not proven:
        yield from scene.kept("change")
        return
    # a memo of a backup that is none of these is of a clock that was wrong, or of another store
    known = last is not None and last.memo <= proven[-1].name
    fresh = [each for each in proven if last is None or not known or each.name > last.memo]
    for backup in fresh if known else fresh[-1:]:
        found = compare_with_previous(scene.settings, backup, _before(backup, proven))
        for check in dict.fromkeys(change.check for change in found if change.check != _LASTS):
            yield _changed(scene, backup, [each for each in found if each.check == check])
    newest = proven[-1]
    if fresh or "change:" + _LASTS in scene.known.standings:
        found = compare_with_previous(scene.settings, newest, proven[:-1])
        if still := [each for each in found if each.check == _LASTS]:
            yield _changed(scene, newest, still)
    yield Condition("change", "ok", "", memo=newest.name)


def _before(backup: Backup, proven: list[Backup]) -> list[Backup]:
    at = backup.manifest.created_at
    return [each for each in proven if each.manifest.created_at < at]


def _changed(scene: Scene, backup: Backup, found: list[Change]) -> Condition:
    check = found[0].check
    lasts = check == _LASTS
    error = any(change.severity == "error" for change in found)
    what = "; ".join(change.what for change in found)
    return Condition(
        f"change:{check}" if lasts else f"change:{check}:{backup.name}",
        "critical" if error else "warning",
        scene.words(f"change_{check}", name=backup.name, what=what),
        next=f"kajovo-dr verify {backup.name} --restore",
        since=backup.manifest.created_at,
        lasting=lasts,
    )


def _room(scene: Scene, disk: DiskForecast) -> Condition:
    settings, words, folder = scene.settings, scene.words, scene.store.folder
    if disk.free_bytes < disk.newest_bytes * SPACE_MARGIN or disk.free_bytes == 0:
        what = words("store_full", folder=folder)
        free, size = words.bytes(disk.free_bytes), words.bytes(disk.newest_bytes)
        figure = words("store_free", free=free, size=size)
        return Condition("store", "critical", what, figure, next="kajovo-dr list")
    days = disk.days_left
    if days is None or disk.bytes_per_day is None or days >= settings.store_warn_days:
        return Condition("store", "ok", words("store_ok"))
    level: Level = "critical" if days < settings.store_fail_days else "warning"
    limit = settings.store_fail_days if level == "critical" else settings.store_warn_days
    figure = words(
        "store_days",
        days=words.days(days),
        free=words.bytes(disk.free_bytes),
        rate=words.bytes(disk.bytes_per_day),
    )
    return Condition(
        "store",
        level,
        words("store_fills", folder=folder),
        figure,
        words("days", days=words.days(limit)),
        next="kajovo-dr list",
    )
