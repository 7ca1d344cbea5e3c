"""What a look is made with: settings, the moment, what was seen before, and words.

Belongs here: what every source is given. Not here: sources, and what comes of their conditions.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from kajovo_dr.alerts.ledger import Ledger, Observer
from kajovo_dr.progress import human_bytes
from kajovo_dr.recovery.report_words import Language, human_duration, moment
from kajovo_dr.settings import Settings
from kajovo_dr.watch.watch_texts import TEXTS


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
        for size, name, most in ((3600, "h", 96), (60, "min", 59)):
            if seconds % size == 0 and 1 <= seconds / size <= most:
                return f"{seconds / size:g} {name}"
        return human_duration(seconds, self.language)

    def moment(self, at: datetime) -> str:
        """A moment in the time zone of the settings."""
        return moment(at, self.timezone, self.language)

    def bytes(self, count: float) -> str:
        """``1.5 GB``; ``1,5 GB`` in Czech."""
        text = human_bytes(count)
        return text.replace(".", ",") if self.language == "cs" else text


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
