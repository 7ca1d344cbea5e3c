"""One look at everything: what is wrong now, what of it is new, and telling people.

Belongs here: the order: gather, write down, send, measure. Not here: the sources, the rules of what
is said (``alerts.transitions``), who looks when (the daemon's sensor, the watchdog).
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from queue import Empty, SimpleQueue

from kajovo_dr.alerts import channels, delivery
from kajovo_dr.alerts import ledger as book
from kajovo_dr.alerts.channels import Channel
from kajovo_dr.alerts.condition import Condition, rank
from kajovo_dr.alerts.delivery import Sent
from kajovo_dr.alerts.ledger import Ledger, Observer, Seen
from kajovo_dr.alerts.message import Message
from kajovo_dr.alerts.transitions import Notice, Rules, Standing
from kajovo_dr.errors import DrError
from kajovo_dr.settings import Settings
from kajovo_dr.watch import agreement, backup_sources, machine_sources, metrics, recovery_sources
from kajovo_dr.watch.message_text import plainly, written
from kajovo_dr.watch.scene import Scene
from kajovo_dr.watch.uptime import boot_id, uptime_s

#: How often a look is begun when others look at the same time; the last one counts in any case.
_ATTEMPTS = 3
#: Seconds that a source may take: a network disk that has gone answers never.
_SOURCE_S = 30.0


@dataclass(frozen=True)
class Source:
    """Where conditions come from. families: of theirs, what is no longer named is over."""

    name: str
    families: tuple[str, ...]
    look: Callable[[], Iterable[Condition]]


@dataclass(frozen=True)
class Looked:
    """What came of a look. active: all that is wrong, the worst first, by whomever it was seen."""

    active: tuple[Standing, ...]
    written: tuple[Message, ...]
    sent: tuple[Sent, ...]


def look(
    settings: Settings,
    observer: Observer,
    now: datetime,
    *,
    more: Sequence[Source] = (),
    uptime: Callable[[], float] = uptime_s,
) -> Looked:
    """Look, tell what is new, try again what did not arrive.

    more: what only this observer can see. Raises `LogUnwritable` when it cannot be written down
    what people were told; nothing is sent then.
    """
    known = channels.readable(settings)[0]
    for again in reversed(range(_ATTEMPTS)):
        scene = Scene(settings, now, book.read(settings.state), observer)
        passed = uptime()
        found, families = gather(scene, (*_sources(scene, passed), *more))
        measured, more_families = gather(scene, [_measuring(scene, found)])
        with book.change(settings.state) as ledger:
            if again and ledger.looks != scene.known.looks:
                continue  # somebody else has looked meanwhile: what was seen here may be older
            seen = Seen(
                at=now, uptime_s=passed, boot=boot_id(), settings=agreement.digests(settings)
            )
            messages = _take_over(
                scene, ledger, [*found, *measured], families | more_families, known
            )
            ledger.looks.pop(observer, None)  # whoever looked last stands last
            ledger.looks[observer] = seen
            break
    sent = delivery.deliver_waiting(settings, known, now) if known else []
    active = book.read(settings.state).active
    return Looked(tuple(active), tuple(messages), tuple(sent))


def _take_over(
    scene: Scene,
    ledger: Ledger,
    found: Sequence[Condition],
    families: set[str],
    known: Sequence[Channel],
) -> list[Message]:
    """Write down what was seen, and the messages of what is new."""
    hearing = frozenset(severity for each in known for severity in each.severities)
    rules = Rules(scene.now, hearing, scene.settings.alert_repeat_hours * 3600)
    notices = _worst_first(ledger.observe(found, families, rules))
    messages = [_written(notice, scene) for notice in notices]
    for notice, message in zip(notices, messages, strict=True):
        takers = _takers(known, notice, message)
        book.queue(ledger, notice.standing.key, message, takers, scene.now)
    return messages


def _written(notice: Notice, scene: Scene) -> Message:
    """The message; one that cannot be written, such as of a moment that no calendar has, must not
    silence the others.
    """
    try:
        return written(notice, scene.words, scene.now)
    except Exception as bug:  # noqa: BLE001 - see above
        return plainly(notice, scene.words, scene.now, _place(bug))


def see(settings: Settings, observer: Observer, now: datetime) -> list[Condition]:
    """Every condition as it is now, those that are well, too; nobody is told."""
    return _seen(settings, observer, now)[0]


def peek(settings: Settings, observer: Observer, now: datetime) -> list[Standing]:
    """All that is wrong now, by whomever it was seen, the worst first; nobody is told."""
    found, families = _seen(settings, observer, now)
    ledger = book.read(settings.state)
    ledger.observe(found, families, Rules(now, hearing=frozenset()))
    return ledger.active


def _seen(
    settings: Settings, observer: Observer, now: datetime
) -> tuple[list[Condition], set[str]]:
    scene = Scene(settings, now, book.read(settings.state), observer)
    return gather(scene, _sources(scene, uptime_s()))


def gather(scene: Scene, sources: Iterable[Source]) -> tuple[list[Condition], set[str]]:
    """What all sources see, and the families that were looked at to their end."""
    found: list[Condition] = []
    families = {"source"}
    for source in sources:
        seen = _within(source, scene)
        if isinstance(seen, str):
            what = scene.words("source", name=source.name, why=seen)
            key = f"source:{source.name}"
            found.append(Condition(key, "unknown", what, next="kajovo-dr doctor"))
        else:
            found.extend(seen)
            families.update(source.families)
    return found, families


def _within(source: Source, scene: Scene) -> list[Condition] | str:
    """What a source sees, or why it could not look. One that fails, or waits for a disk that does
    not answer, must not silence the others: it is left alone in its thread.
    """
    outcome: SimpleQueue[list[Condition] | str] = SimpleQueue()

    def run() -> None:
        try:
            outcome.put(list(source.look()))
        except Exception as bug:  # noqa: BLE001 - see above
            outcome.put(_place(bug))

    threading.Thread(target=run, daemon=True, name=f"kajovo_dr-{source.name}").start()
    try:
        return outcome.get(timeout=_SOURCE_S)
    except Empty:
        return scene.words("no_answer", seconds=f"{_SOURCE_S:g}")


def _place(bug: Exception) -> str:
    """Where it was raised: its words may quote a URL."""
    frame = traceback.extract_tb(bug.__traceback__)[-1]
    return f"{type(bug).__name__} in {Path(frame.filename).name}, line {frame.lineno}"


def _sources(scene: Scene, passed: float) -> Iterator[Source]:
    machine = machine_sources.families(scene.observer)
    judging = (
        Source("backups", backup_sources.FAMILIES, lambda: backup_sources.conditions(scene)),
        Source("recovery", recovery_sources.FAMILIES, lambda: recovery_sources.conditions(scene)),
    )
    differing = agreement.differing(scene)
    if not differing:
        yield from judging
    if scene.observer == "watchdog":
        yield Source("settings", ("settings",), lambda: agreement.conditions(scene, differing))
    yield Source("machine", machine, lambda: machine_sources.conditions(scene, passed))


def _measuring(scene: Scene, found: Sequence[Condition]) -> Source:
    return Source("metrics", (f"metrics_{scene.observer}",), lambda: _measured(scene, found))


def _measured(scene: Scene, found: Sequence[Condition]) -> Iterator[Condition]:
    """Write the file of metrics; that this failed is a condition itself."""
    path = scene.settings.metrics_file
    if path is None:
        return
    try:
        metrics.write(path, metrics.metrics(scene.settings, scene.now, found))
    except (DrError, OSError) as failure:
        what = scene.words("metrics", why=failure)
        key = f"metrics_{scene.observer}"  # who else looks may be allowed to write it
        yield Condition(key, "warning", what, next="kajovo-dr doctor --settings")


def _worst_first(notices: Sequence[Notice]) -> list[Notice]:
    """A channel gets a few messages at a time: what is critical must not wait for the next. What is
    told of one thing stays in its order: it may be over, and have begun again.
    """
    worst: dict[str, int] = {}
    for each in notices:
        key = each.standing.key
        worst[key] = max(worst.get(key, 0), rank(each.standing.level))
    return sorted(notices, key=lambda each: -worst[each.standing.key])


def _takers(known: Sequence[Channel], notice: Notice, message: Message) -> list[str]:
    """Who gets a message; that a channel is broken is not told through it."""
    broken = notice.standing.key.removeprefix("channel:")
    return [each.name for each in known if each.name != broken and each.takes(message)]
