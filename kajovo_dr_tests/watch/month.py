"""A month of looks, as fast as they go, against the truth: no transition missed, none told twice.

    python -m kajovo_dr_tests.watch.month docs/alert-month.md

The world is drawn by chance (``world``); the store's files, the ledger, the looks and the receivers
on loopback are real, the clock is not. Some looks are killed (SIGKILL, in a process of their own)
before the ledger is written, before sending, or after it.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import SecretStr

from kajovo_dr.backups import catalog
from kajovo_dr.backups.manifest import DIGEST_SUFFIX, MANIFEST_SUFFIX, stamp
from kajovo_dr.backups.proof import PROOF_SUFFIX
from kajovo_dr.backups.store import Store, open_store, sidecar
from kajovo_dr.recovery import drill_history
from kajovo_dr.settings import Settings
from kajovo_dr.watch.look import look
from kajovo_dr_tests.alerts.receivers import HttpReceiver
from kajovo_dr_tests.backups.stored import DATABASE, judge, put
from kajovo_dr_tests.recovery.drills import drill as record
from kajovo_dr_tests.shell import ROOT
from kajovo_dr_tests.watch.world import (
    BEGIN,
    Drilled,
    Expected,
    Made,
    Span,
    World,
    expected,
    within,
)

#: How many looks are killed: of those before which something has happened, and of all others.
_KILLED_NEW, _KILLED = 0.3, 0.002
_POINTS = ("before the ledger is written", "before sending", "after sending")
#: Backups that the store keeps: a look reads all their manifests.
_KEPT = 14


@dataclass
class Month:
    """What came of it. arrived: messages by the channel's name, in order, first copies alone."""

    world: World
    looks: int = 0
    killed: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    again: int = 0
    expected: list[Expected] = field(default_factory=list)
    arrived: dict[str, list[Expected]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0


def live(world: World, folder: Path, *, kills: bool = True) -> Month:
    """Live through the month in a folder, and compare what arrived with what had to."""
    begun, month = time.monotonic(), Month(world)
    chance = random.Random(world.seed + 1)
    with HttpReceiver("/flaky") as flaky, HttpReceiver("/steady") as steady:
        settings = _settings(folder, f"{flaky.url} {steady.url}")
        files = _Files(world, open_store(settings), settings.state)
        seen, rpo = [], ""
        with _killer(settings) as kill:
            for at, who in sorted(world.looks()):
                level = world.rpo(at)
                happened = files.until(at) or level != rpo
                rpo = level
                down = within(at, world.receiver_down)
                flaky.answer(500 if down else 200)
                before = len(flaky.requests)
                uptime_s = (at - BEGIN).total_seconds()
                part = _KILLED_NEW if happened else _KILLED
                point = chance.choice(_POINTS) if kills and chance.random() < part else ""
                if point:
                    ended = kill(who, at, uptime_s, point)
                    month.killed[point] += ended == "killed"
                    if ended == "killed" and point == _POINTS[0]:
                        continue
                else:
                    look(settings, who, at, uptime=lambda: uptime_s)  # noqa: B023 # called at once
                month.looks += 1
                seen.append((at, who))
                if down:
                    month.refused += len(flaky.requests) - before
                    del flaky.requests[before:]
        month.expected = expected(world, seen)
        for receiver in (flaky, steady):
            _judge(month, receiver)
    month.seconds = time.monotonic() - begun
    return month


def _settings(folder: Path, urls: str) -> Settings:
    """Settings that protect a database on a server that is nowhere: a look needs none."""
    (folder / "store").mkdir()
    return Settings(
        state=folder / "state",
        backup_dir=folder / "store",
        database_url=SecretStr(f"postgresql://kajovo@127.0.0.1:5432/{DATABASE}"),
        alert_urls=SecretStr(urls),
        drill_overdue_days=400,
    )


@dataclass
class _Files:
    """The world's files, brought from moment to moment; events in the order of their times."""

    world: World
    store: Store
    state: Path
    _made: list[Path] = field(default_factory=list)

    def __post_init__(self) -> None:
        events: list[tuple[datetime, Callable[[], None]]] = []
        for each in self.world.backups:
            events.append((each.snapshot + timedelta(minutes=5), partial(self._take, each)))
            if each.proven_at is not None:
                events.append((each.proven_at, partial(self._judge, each, "proven")))
            if each.damaged_at is not None and each.removed_at is not None:
                events.append((each.damaged_at, partial(self._judge, each, "damaged")))
                events.append((each.removed_at, partial(self._remove, self._path(each))))
        for number, drill in enumerate(self.world.drills):
            events.append((drill.at, partial(self._drill, number, drill)))
        self._events = deque(sorted(events, key=lambda event: event[0]))

    def until(self, at: datetime) -> bool:
        """Whether anything has happened until then."""
        before = len(self._events)
        while self._events and self._events[0][0] <= at:
            self._events.popleft()[1]()
        return len(self._events) < before

    def _take(self, made: Made) -> None:
        put(self.store, made.snapshot)
        self._made.append(self._path(made))
        whole = [path for path in self._made if path.exists() and not _is_damaged(path)]
        for path in whole[:-_KEPT]:
            self._remove(path)

    def _judge(self, made: Made, state: Literal["proven", "damaged"]) -> None:
        at = made.proven_at or made.damaged_at
        assert at is not None
        judge(catalog.load(self._path(made)), state, at, reason="sha256 differs")

    def _remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        for suffix in (MANIFEST_SUFFIX, DIGEST_SUFFIX, PROOF_SUFFIX):
            sidecar(path, suffix).unlink(missing_ok=True)
        if path in self._made:
            self._made.remove(path)

    def _drill(self, number: int, done: Drilled) -> None:
        failed = "" if done.ok else "smoke"
        ended = record(number, failed=failed, started_at=done.at, finished_at=done.at)
        drill_history.append(self.state, ended)

    def _path(self, made: Made) -> Path:
        return self.store.folder / f"kajovo-postgres-{stamp(made.snapshot)}.sql"


def _is_damaged(path: Path) -> bool:
    return catalog.load(path).state == "damaged"


Kill = Callable[[str, datetime, float, str], str]


@contextmanager
def _killer(settings: Settings) -> Iterator[Kill]:
    """Looks in a process that is killed at a point; how it ended."""
    assert settings.database_url is not None
    assert settings.alert_urls is not None
    variables = {
        "KAJOVO_DR_STATE": str(settings.state),
        "KAJOVO_DR_BACKUP_DIR": str(settings.backup_dir),
        "KAJOVO_DR_DATABASE_URL": settings.database_url.get_secret_value(),
        "KAJOVO_DR_ALERT_URLS": settings.alert_urls.get_secret_value(),
        "KAJOVO_DR_DRILL_OVERDUE_DAYS": str(settings.drill_overdue_days),
    }
    with subprocess.Popen(
        [sys.executable, "-m", "kajovo_dr_tests.watch.killed_look"],
        env={**os.environ, **variables},
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as looker:
        assert looker.stdin is not None
        assert looker.stdout is not None

        def kill(who: str, at: datetime, uptime_s: float, point: str) -> str:
            assert looker.stdin is not None
            assert looker.stdout is not None
            order = {"observer": who, "now": at.isoformat(), "uptime_s": uptime_s, "point": point}
            looker.stdin.write(json.dumps(order) + "\n")
            looker.stdin.flush()
            return looker.stdout.readline().strip()

        yield kill
        looker.stdin.close()


#: How a title names what it is about, and how its first word names the level.
_KEYS = {
    r"\b(?:no backup of .* is proven|the newest proven backup|nobody can say how old)": "rpo",
    r"\bdrill": "drill",
    r"Dagster's daemon": "daemon",
    r"\bthe watchdog": "watchdog",
    r"\bthe channel json": "channel",
}
_LEVELS = {"CRITICAL": "critical", "WARNING": "warning", "BETTER": "warning", "OVER": "ok"}


def _judge(month: Month, receiver: HttpReceiver) -> None:
    """Compare what a receiver got with what it had to get."""
    arrived: dict[str, Expected] = {}
    for request in receiver.requests:
        title, body = request.json["title"], request.json["message"]
        number = re.search(r"#([0-9a-f]{6})", body)[1]  # type: ignore[index]
        marked = "Sent again" in body
        if number in arrived and not marked:
            month.wrong.append(f"{receiver.path}: twice and not marked: {title}")
        month.again += number in arrived
        if number not in arrived and (told := _told(title, body)) is not None:
            arrived[number] = told
    got, wanted = Counter(arrived.values()), Counter(month.expected)
    month.arrived[receiver.path] = list(arrived.values())
    month.wrong += [f"{receiver.path}: missed {each}" for each in (wanted - got).elements()]
    month.wrong += [f"{receiver.path}: too many {each}" for each in (got - wanted).elements()]


def _told(title: str, body: str) -> Expected | None:
    """What a message tells of; None for that of a channel, which is not of the world."""
    word, _, what = title.partition("] ")[2].partition(": ")
    named = re.search(r"kajovo-postgres-(\d{8}-\d{6})\.sql is damaged", what)
    key = (
        f"damaged:{named[1]}"
        if named
        else next(key for pattern, key in _KEYS.items() if re.search(pattern, what))
    )
    if key == "channel":
        return None
    level = "unknown" if "has never looked" in what and word == "CRITICAL" else _level(word, body)
    at = re.search(r"From: .*, (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (CES?T),", body)
    assert at is not None
    offset = "+02:00" if at[2] == "CEST" else "+01:00"
    return Expected(datetime.fromisoformat(at[1] + offset).astimezone(UTC), key, level)


def _level(word: str, body: str) -> str:
    """*It was* tells of a level that is over; what is left is said in the text."""
    if not word.startswith("IT WAS"):
        return _LEVELS[word]
    return "warning" if "backup of kajovo_hotel is old" in body else "ok"


def page(months: list[Month]) -> str:
    """The table of several months, and the transitions of the first."""
    head = [
        "| seed | looks | killed | daemon down | watchdog down | receiver down | refused |"
        " transitions | missed | told twice | sent again, marked | s |",
        "|---:" * 12 + "|",
    ]
    rows = [
        f"| {each.world.seed} | {each.looks} | {sum(each.killed.values())}"
        f" | {_hours(each.world.daemon_down)} | {_hours(each.world.watchdog_down)}"
        f" | {_hours(each.world.receiver_down)} | {each.refused} | {len(each.expected)}"
        f" | {sum('missed' in wrong for wrong in each.wrong)}"
        f" | {sum('missed' not in wrong for wrong in each.wrong)} | {each.again}"
        f" | {each.seconds:.0f} |"
        for each in months
    ]
    first = [
        f"| {each.at:%Y-%m-%d %H:%M} | {each.key} | {each.level} |" for each in months[0].expected
    ]
    return "\n".join([*head, *rows, "", "| told at, UTC | of | level |", "|---|---|---|", *first])


def _hours(spans: list[Span]) -> str:
    total = sum((end - begin for begin, end in spans), timedelta())
    return f"{len(spans)}: {total / timedelta(hours=1):.0f} h"


def main() -> None:
    months = []
    for seed in range(1, 7):
        with tempfile.TemporaryDirectory() as folder:
            months.append(live(World(seed, 30), Path(folder)))
        sys.stderr.write(f"{seed}: {months[-1].seconds:.0f} s, {months[-1].wrong[:3]}\n")
    wrong = sum(len(each.wrong) for each in months)
    text = f"""# A month of alerts

{len(months)} simulated months with random outages; {wrong} messages wrong. Written by
`python -m kajovo_dr_tests.watch.month docs/alert-month.md` on {datetime.now(UTC):%Y-%m-%d}.

Dagster's daemon looks every ten minutes and the watchdog every fifteen, when they are not down;
backups come every six hours unless the daemon is down or they fail, some are damaged, one drill
fails. Three of ten looks before which something has happened are killed (SIGKILL): before the
ledger is written, before sending, or after sending. One of the two receivers answers 500 for hours
on end. What had to be told is computed from the world alone, without the code under test: each
receiver must have got each of those messages once, at the first look that could see it. A copy
counts as told twice unless it says itself that it is sent again.

{page(months)}
"""
    Path(sys.argv[1]).write_text(text, encoding="utf-8")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
