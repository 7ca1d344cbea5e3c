"""What a look is made with: settings, the moment, what was seen before, the store, and words.

Belongs here: what every source is given, read once. Not here: sources, and what comes of their
conditions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from kajovo_dr.alerts.condition import Condition
from kajovo_dr.alerts.ledger import Ledger, Observer
from kajovo_dr.backups import catalog
from kajovo_dr.backups.candidates import identities_of
from kajovo_dr.backups.catalog import Backup, Entry
from kajovo_dr.backups.store import Store, open_store
from kajovo_dr.postgres.server import Server
from kajovo_dr.progress import human_bytes
from kajovo_dr.recovery.report_words import Language, human_duration, moment
from kajovo_dr.settings import Settings
from kajovo_dr.watch.protected import protected
from kajovo_dr.watch.watch_texts import TEXTS

#: Hours up to which a duration is told in hours: limits are, and are compared with it.
_HOURS = 96


@dataclass(frozen=True)
class Words:
    """Sentences in one language."""

    language: Language
    timezone: str

    def __call__(self, key: str, **facts: object) -> str:
        """The text of a key, with facts filled in."""
        return TEXTS[self.language][key].format(**facts)

    def duration(self, seconds: float) -> str:
        """``26 h 10 min``; what is whole hours or minutes stays so: ``24 h``, ``15 min``."""
        for size, name, most in ((3600, "h", _HOURS), (60, "min", 59)):
            if seconds % size == 0 and 1 <= seconds / size <= most:
                return f"{seconds / size:g} {name}"
        minutes = round(seconds / 60)
        if 24 * 60 <= minutes < _HOURS * 60:
            return f"{minutes // 60} h {minutes % 60:02d} min"
        return human_duration(seconds, self.language)

    def moment(self, at: datetime) -> str:
        """A moment in the time zone of the settings."""
        return moment(at, self.timezone, self.language)

    def bytes(self, count: float) -> str:
        """``1.5 GB``; ``1,5 GB`` in Czech."""
        return self._written(human_bytes(count))

    def days(self, count: float) -> str:
        """``2.5``; ``2,5`` in Czech; whole ones without a fraction."""
        return self._written(f"{round(count, 1):g}")

    def _written(self, number: str) -> str:
        return number.replace(".", ",") if self.language == "cs" else number


@dataclass(frozen=True)
class Scene:
    """One look. known: the ledger as it was before; observer: who looks."""

    settings: Settings
    now: datetime
    known: Ledger
    observer: Observer

    @cached_property
    def words(self) -> Words:
        """Sentences in the settings' language."""
        return Words(self.settings.language, self.settings.timezone)

    @cached_property
    def store(self) -> Store:
        """The store. Raises as `open_store` does."""
        return open_store(self.settings)

    @cached_property
    def entries(self) -> list[Entry]:
        """What the store holds. Raises as `catalog.entries` does."""
        return catalog.entries(self.store)

    @cached_property
    def server(self) -> Server:
        """Which database is watched. Raises as `protected` does."""
        return protected(self.settings)

    @cached_property
    def ours(self) -> list[Backup]:
        """The database's sound backups, oldest snapshot first, without what a recovery replaced."""
        of = identities_of(self.settings, self.store, self.server)
        found = catalog.of_database(self.entries, self.server.dbname, of)
        return [each for each in found if not each.manifest.of_incident]

    @property
    def proven(self) -> list[Backup]:
        """Those of them that are proven."""
        return [each for each in self.ours if each.state == "proven"]

    def kept(self, family: str) -> Iterator[Condition]:
        """What is known of a family at which nobody can look now: it is not over by that."""
        for known in self.known.standings.values():
            condition = replace(known.unchanged(), at=None)
            if condition.family == family and known.lasting:
                yield condition
