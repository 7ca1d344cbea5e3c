"""A machine whose store and state are files alone, looked at whenever the test says it is.

Belongs here: what the tests of looks share. Not here: sources and what is told of them.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kajovo_dr.alerts.ledger import Observer
from kajovo_dr.backups.catalog import Backup
from kajovo_dr.backups.store import Store, open_store
from kajovo_dr.cli import cli
from kajovo_dr.recovery import drill_history
from kajovo_dr.settings import Settings
from kajovo_dr.watch.look import Looked, look
from kajovo_dr_tests.alerts.receivers import HttpReceiver
from kajovo_dr_tests.backups.stored import DATABASE, judge, put
from kajovo_dr_tests.recovery.drills import drill

BOOT = datetime(2026, 10, 1, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
PASSWORD, PATH_SECRET = "tajne-heslo-42", "tajna-cesta-77"


@dataclass(frozen=True)
class Told:
    """A message as it arrived. lines: by the word in front of them."""

    kind: str
    title: str
    body: str

    @property
    def lines(self) -> dict[str, str]:
        return dict(line.split(": ", 1) for line in self.body.splitlines())

    @property
    def head(self) -> str:
        """The title without the name of the machine."""
        return self.title.partition("] ")[2]


@dataclass
class Watch:
    """Looks, and hears what people are told by them."""

    settings: Settings
    receiver: HttpReceiver
    store: Store
    looked: Looked = field(init=False)
    _heard: int = 0

    def look(
        self,
        now: datetime,
        observer: Observer = "watchdog",
        *,
        up_since: datetime = BOOT,
        **more: Any,
    ) -> list[Told]:
        """Look, and return what arrived of it; whatever it is, its next step can be typed."""
        passed = (now - up_since).total_seconds()
        self.looked = look(self.settings, observer, now, uptime=lambda: passed, **more)
        return self.heard()

    def heard(self) -> list[Told]:
        """What arrived since the last time."""
        new = [each.json for each in self.receiver.requests[self._heard :]]
        self._heard += len(new)
        found = [Told(each["type"], each["title"], each["message"]) for each in new]
        for told in found:
            assert PASSWORD not in told.title + told.body
            assert PATH_SECRET not in told.title + told.body
            if following := told.lines.get("Next") or told.lines.get("Dál"):
                require_typeable(following)
        return found

    def one(self, now: datetime, observer: Observer = "watchdog", **more: Any) -> Told:
        """The only message of a look."""
        found = self.look(now, observer, **more)
        assert len(found) == 1, found
        return found[0]

    def proven(self, at: datetime, *, after: timedelta = 5 * MINUTE, **facts: Any) -> Backup:
        """A backup whose proof began so long after its snapshot."""
        backup = put(self.store, at, **facts)
        judge(backup, "proven", at + after)
        return backup

    def set(self, **changes: Any) -> None:
        self.settings = Settings.load(
            **{name: getattr(self.settings, name) for name in self.settings.model_fields_set}
            | changes
        )

    @property
    def levels(self) -> dict[str, str]:
        """What is wrong after the last look."""
        return {each.key: each.level for each in self.looked.active}


def require_typeable(command: str) -> None:
    """It is a command line of ours, with options that exist."""
    program, name, *words = shlex.split(command)
    assert program == "kajovo-dr"
    cli.commands[name].make_context(name, words)


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    with HttpReceiver(f"/{PATH_SECRET}") as receiver:
        yield receiver


@pytest.fixture
def watch(state: Any, receiver: HttpReceiver) -> Watch:
    """Nothing is wrong but that there is no backup; no server is asked, and nobody is missed."""
    settings = Settings.load(
        state=state,
        database_url=f"postgresql://kajovo:{PASSWORD}@127.0.0.1:5432/{DATABASE}",
        alert_urls=receiver.url,
        watch_dagster=False,
        watchdog_silent_minutes=1_000_000,
    )
    drill_history.append(settings.state, drill(0))
    return Watch(settings, receiver, open_store(settings))
