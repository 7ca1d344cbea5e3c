"""What is wrong with the backups: their age, their soundness, what befell the data, the disk.

Belongs here: conditions that the store's files tell. Not here: judging the recovery point
(``backups.recovery_point``) and changes (``backups.changes``), and telling anybody (``look``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from kajovo_dr.alerts.condition import Condition, Level, Worse, rank
from kajovo_dr.backups import catalog
from kajovo_dr.backups.candidates import identities_of
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.changes import Change, compare_with_previous, earlier_proven
from kajovo_dr.backups.recovery_point import RecoveryPoint, recovery_point
from kajovo_dr.backups.store import Store, open_store
from kajovo_dr.errors import DrError
from kajovo_dr.postgres.server import Server
from kajovo_dr.settings import Settings
from kajovo_dr.watch.disk_forecast import DiskForecast, forecast
from kajovo_dr.watch.protected import protected
from kajovo_dr.watch.scene import Scene

FAMILIES = ("rpo", "damaged", "change", "store")
#: A new dump needs about as much room as the last one; `take` asks for the same.
_MARGIN = 1.1
_LEVELS: dict[str, Level] = {"pass": "ok", "warn": "warning", "fail": "critical"}
#: The only comparison that finds the same again at each backup; the others tell of one moment.
_LASTS = "tables_still_change"
_NOW = "kajovo-dr backup --prove"


def conditions(scene: Scene) -> Iterator[Condition]:
    """All of them. A store that cannot be used is one trouble, not several."""
    try:
        store = open_store(scene.settings)
        yield _room(scene, store, forecast(store, scene.now))
        newest = _newest_proven(store)
    except (DrError, OSError) as failure:
        why = _said(failure)
        yield Condition(
            "store", "critical", scene.words("store_lost", why=why), next="kajovo-dr doctor"
        )
        yield _unknown(scene, why)
        return
    yield from _damage(scene, store, newest)
    try:
        server = protected(scene.settings)
        yield _rpo(scene, store, server)
    except (DrError, OSError) as failure:
        yield _unknown(scene, _said(failure))
        return
    yield from _changes(scene, _proven(scene.settings, store, server), store)


def next_step(settings: Settings, store: Store, server: Server, now: datetime) -> str:
    """The command for a recovery point that is too old: prove the newest backup if that helps,
    else take one.
    """
    ours = catalog.backups(store, server.dbname, identities_of(settings, store, server))
    usable = [each for each in ours if each.state != "damaged" and each.age_s(now) >= 0]
    newest = usable[-1] if usable else None
    if newest is None or newest.state == "proven":
        return _NOW
    young = newest.age_s(now) <= settings.rpo_warn_hours * 3600
    return f"kajovo-dr verify {newest.name} --restore" if young else _NOW


def _said(failure: DrError | OSError) -> str:
    return str(failure) if isinstance(failure, DrError) else str(failure.strerror).lower()


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


def _rpo(scene: Scene, store: Store, server: Server) -> Condition:
    settings, words, now = scene.settings, scene.words, scene.now
    point = recovery_point(settings, store, server, now)
    level = _LEVELS.get(point.verdict, "critical")
    found = Condition(
        "rpo",
        level,
        words("rpo_pass" if level == "ok" else "rpo_old", database=server.dbname),
        limit=words.duration(settings.rpo_hours * 3600),
        next="" if level == "ok" else next_step(settings, store, server, now),
        memo=point.snapshot.isoformat() if point.snapshot else "",
    )
    if point.problem:
        what = words("rpo_future", why=point.problem)
        return replace(found, what=what, next="kajovo-dr doctor")
    if point.snapshot is None or point.age_s is None:
        return replace(found, what=words("rpo_none", database=server.dbname), figure=words("none"))
    return replace(
        found,
        figure=words.duration(point.age_s),
        since=_since(settings, level, point.snapshot),
        worse=_worse(scene, _proven(settings, store, server), point),
    )


def _since(settings: Settings, level: Level, snapshot: datetime) -> datetime | None:
    """When the age passed the limit of its level."""
    hours = {"warning": settings.rpo_warn_hours, "critical": settings.rpo_hours}.get(level)
    return snapshot + timedelta(hours=hours) if hours is not None else None


def _worse(scene: Scene, proven: list[Backup], point: RecoveryPoint) -> Worse | None:
    """How old the recovery point had become between the last look and this one: when nobody looked
    for a day, a backup that came at its end must not hide that there was none before.
    """
    last = scene.known.standings.get("rpo")
    if last is None or not last.memo:
        return None
    snapshot, worst = datetime.fromisoformat(last.memo), None
    for backup in proven:
        at = backup.proof.proven_at if backup.proof is not None else backup.manifest.created_at
        if not (last.seen_at < at <= scene.now) or backup.manifest.created_at <= snapshot:
            continue
        level = _level(scene.settings, (at - snapshot).total_seconds())
        since = _since(scene.settings, level, snapshot)
        if since is not None and rank(level) > (rank(worst.level) if worst else 0):
            worst = Worse(level, since, at)
        snapshot = backup.manifest.created_at
    known = max(rank(_LEVELS.get(point.verdict, "critical")), rank(last.told))
    return worst if worst is not None and rank(worst.level) > known else None


def _level(settings: Settings, age_s: float) -> Level:
    if age_s > settings.rpo_hours * 3600:
        return "critical"
    return "warning" if age_s > settings.rpo_warn_hours * 3600 else "ok"


def _proven(settings: Settings, store: Store, server: Server) -> list[Backup]:
    """The proven backups of the database, oldest snapshot first."""
    found = catalog.backups(store, server.dbname, identities_of(settings, store, server))
    return [each for each in found if each.state == "proven" and not each.manifest.of_incident]


def _newest_proven(store: Store) -> datetime | None:
    newest = catalog.newest_proven(store)
    return newest.manifest.created_at if newest else None


def _damage(scene: Scene, store: Store, newest: datetime | None) -> Iterator[Condition]:
    """An old one is a warning: what is newer than it is proven."""
    for entry in catalog.entries(store):
        name = entry.path.name
        if entry.backup is None:
            why = str(entry.problem)
            yield _damaged(scene, name, scene.words("untrusted", name=name, why=why), "warning")
        elif entry.backup.state == "damaged":
            overtaken = newest is not None and newest > entry.backup.manifest.created_at
            what = scene.words("damaged", name=name, why=entry.backup.reason)
            yield _damaged(scene, name, what, "warning" if overtaken else "critical")


def _damaged(scene: Scene, name: str, what: str, level: Level) -> Condition:
    """As bad as when it was found: that a newer backup was proven since does not mend it."""
    known = scene.known.standings.get(f"damaged:{name}")
    return Condition(
        f"damaged:{name}", known.level if known else level, what, next=f"kajovo-dr verify {name}"
    )


def _changes(scene: Scene, proven: list[Backup], store: Store) -> Iterator[Condition]:
    """What each newly proven backup shows that the one before it did not."""
    last = scene.known.standings.get("change")
    if not proven:
        return
    fresh = [each for each in proven if last is None or each.name > last.memo]
    for backup in fresh if last is not None else fresh[-1:]:
        found = compare_with_previous(scene.settings, backup, earlier_proven(store, backup))
        for check in dict.fromkeys(change.check for change in found if change.check != _LASTS):
            yield _changed(scene, backup, [each for each in found if each.check == check])
    newest = proven[-1]
    if fresh or "change:" + _LASTS in scene.known.standings:
        found = compare_with_previous(scene.settings, newest, earlier_proven(store, newest))
        if still := [each for each in found if each.check == _LASTS]:
            yield _changed(scene, newest, still)
    yield Condition("change", "ok", "", memo=newest.name)


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


def _room(scene: Scene, store: Store, disk: DiskForecast) -> Condition:
    settings, words = scene.settings, scene.words
    if disk.free_bytes < disk.newest_bytes * _MARGIN or disk.free_bytes == 0:
        what = words("store_full", folder=store.folder)
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
        days=f"{days:.1f}",
        free=words.bytes(disk.free_bytes),
        rate=words.bytes(disk.bytes_per_day),
    )
    return Condition(
        "store",
        level,
        words("store_fills", folder=store.folder),
        figure,
        words("days", days=f"{limit:g}"),
        next="kajovo-dr list",
    )
