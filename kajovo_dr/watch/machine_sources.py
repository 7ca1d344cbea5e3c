"""What is wrong with those who watch: clocks, Dagster's daemon, the watchdog, the channels.

Belongs here: conditions that the ledger, the clock and the Dagster UI tell. Not here: what they
watch (``backup_sources``, ``recovery_sources``), and telling anybody (``look``).
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from datetime import timedelta

from kajovo_dr.alerts import channels, heartbeat
from kajovo_dr.alerts.condition import Condition
from kajovo_dr.alerts.ledger import Observer, path_of
from kajovo_dr.errors import DrError
from kajovo_dr.watch import ui_health
from kajovo_dr.watch.scene import Scene
from kajovo_dr.watch.uptime import boot_id, clock_moved_s

_OF_WATCHDOG = ("daemon", "ui", "parts")
#: Files that were put aside are told of for this long.
_RENEWED = timedelta(days=1)
#: Seconds that a clock may differ from the time that passed: network time moves it by less.
_JUMP_S = 300.0
#: A part that has just been started has not said so yet.
_PART_S = 60.0
#: Seconds until a channel that does not take messages is told of through the others.
_CHANNEL_S = 600.0
_UP = "kajovo-dr up"
_SETTINGS = "kajovo-dr doctor --settings"


def families(observer: Observer) -> tuple[str, ...]:
    """What an observer looks at: a daemon that can look cannot tell that it is dead, and each has
    channels of its own.
    """
    common = (
        "clock",
        "ledger",
        "watchdog",
        "channel",
        f"channels_{observer}",
        f"switches_{observer}",
    )
    return (*common, *_OF_WATCHDOG) if observer == "watchdog" else common


def conditions(scene: Scene, uptime_s: float) -> Iterator[Condition]:
    """All of them. uptime_s: seconds since this machine was started."""
    yield from _clock(scene, uptime_s)
    yield from _renewed(scene)
    yield from _channels(scene)
    yield from _switches(scene)
    if scene.observer == "watchdog":
        yield from _daemon(scene)
    else:
        yield Condition("daemon", "ok", scene.words("daemon_ok"))
        yield from _watchdog(scene)


def _clock(scene: Scene, uptime_s: float) -> Iterator[Condition]:
    looks = list(scene.known.looks.values())
    if not looks:
        return
    last = looks[-1]  # not the one of the latest time: that may be what the clock was set back from
    moved = clock_moved_s(
        last.at, last.uptime_s, scene.now, uptime_s, same_boot=last.boot == boot_id()
    )
    if abs(moved) <= _JUMP_S:
        return
    jump, text = scene.words.duration(abs(moved)), "clock_ahead" if moved > 0 else "clock_back"
    yield Condition(
        f"clock:{scene.now.isoformat(timespec='seconds')}",
        "warning",
        scene.words(text, host=platform.node(), jump=jump),
        jump,
        scene.words.duration(_JUMP_S),
        "kajovo-dr status",
        scene.now,
        lasting=False,
    )


def _daemon(scene: Scene) -> Iterator[Condition]:
    settings, words = scene.settings, scene.words
    if not settings.watch_dagster:
        return
    limit = timedelta(minutes=settings.daemon_silent_minutes)
    allowed = words.duration(limit.total_seconds())
    last = scene.known.looks.get("daemon")
    if last is None:
        yield Condition("daemon", "unknown", words("daemon_never"), words("none"), allowed, _UP)
    elif (silent := abs(scene.now - last.at)) > limit:  # a look of the future is none, either
        figure = words.duration(silent.total_seconds())
        what = words("sensor_silent" if _ui_is_well(scene) else "daemon_silent")
        yield Condition("daemon", "critical", what, figure, allowed, _UP, last.at)
    else:
        yield Condition("daemon", "ok", words("daemon_ok"))
    yield from _asked(scene)


def _ui_is_well(scene: Scene) -> bool:
    """Whether all parts of the daemon run: then its sensor is switched off, or fails."""
    try:
        ui = scene.settings.ui_url
        return bool(ui) and not ui_health.dead_parts(ui, scene.settings.alert_timeout_s)
    except DrError:
        return False


def _asked(scene: Scene) -> Iterator[Condition]:
    """What the UI says of the daemon's parts, when it is known where it is; the daemon's own look
    has the same condition of them. A daemon that is dead as a whole is told of by that alone.
    """
    settings, words, covered = scene.settings, scene.words, ("daemon",)
    if not settings.ui_url:
        yield from scene.kept("parts")
        return
    try:
        dead = ui_health.dead_parts(settings.ui_url, settings.alert_timeout_s)
    except DrError as failure:
        what = words("ui_silent", why=failure)
        yield Condition("ui", "warning", what, next=_UP, covered_by=covered)
        yield from scene.kept("parts")
        return
    if dead:
        what = words("daemon_parts", parts=", ".join(dead))
        yield Condition("parts", "critical", what, next=_UP, covered_by=covered, patience_s=_PART_S)


def _watchdog(scene: Scene) -> Iterator[Condition]:
    """It is missed once it has looked; whether there is one at all, the status says."""
    last = scene.known.looks.get("watchdog")
    limit = timedelta(minutes=scene.settings.watchdog_silent_minutes)
    if last is None or abs(scene.now - last.at) <= limit:
        return
    words = scene.words
    yield Condition(
        "watchdog",
        "warning",
        words("watchdog_silent"),
        words.duration(abs(scene.now - last.at).total_seconds()),
        words.duration(limit.total_seconds()),
        "kajovo-dr watchdog --install-help",
        last.at,
    )


def _renewed(scene: Scene) -> Iterator[Condition]:
    at = scene.known.renewed_at
    if at is None or scene.now - at > _RENEWED:
        return
    name = path_of(scene.settings.state).name + ".damaged"
    yield Condition(
        f"ledger:{at.isoformat(timespec='seconds')}",
        "warning",
        scene.words("renewed", name=name),
        next="kajovo-dr status",
        since=at,
        lasting=False,
    )


def _switches(scene: Scene) -> Iterator[Condition]:
    try:
        heartbeat.check(scene.settings)
    except DrError as failure:
        key, what = f"switches_{scene.observer}", scene.words("switch_bad", why=failure)
        yield Condition(key, "warning", what, next=_SETTINGS)


def _channels(scene: Scene) -> Iterator[Condition]:
    words, key = scene.words, f"channels_{scene.observer}"
    who = words(f"who_{scene.observer}")
    # when neither has any, one of them says so
    covered = ("channels_watchdog",) if scene.observer == "daemon" else ()
    hint = "kajovo-dr alert --test"
    readable, problems = channels.readable(scene.settings)
    known = {channel.name for channel in readable}
    if problems:
        why = "; ".join(map(str, problems))
        what = words("channels_bad", who=who, why=why)
        yield Condition(key, "critical", what, next=hint, covered_by=covered)
    elif not known:
        what = words("channels_none", who=who)
        yield Condition(key, "warning", what, next=_SETTINGS, covered_by=covered)
    elif not any("critical" in channel.severities for channel in readable):
        what = words("channels_deaf", who=who)
        yield Condition(key, "warning", what, next=_SETTINGS, covered_by=covered)
    for name, trouble in scene.known.troubles.items():
        lasted = (scene.now - trouble.since).total_seconds()
        if name in known and lasted >= _CHANNEL_S:
            what = words("channel", name=name, why=trouble.said)
            figure, limit = words.duration(lasted), words.duration(_CHANNEL_S)
            yield Condition(f"channel:{name}", "warning", what, figure, limit, hint, trouble.since)
