"""What a drill's report says in one language: its texts with numbers, moments and facts in them.

Belongs here: how figures are written. Not here: the texts (``drill_texts``), and what is put where
(``drill_report``, ``drill_charts``). Messages of errors are English everywhere and are quoted as
they are.
"""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

from kajovo_dr.progress import human_bytes
from kajovo_dr.recovery.drill_record import DrillPhase
from kajovo_dr.recovery.drill_texts import TEXTS
from kajovo_dr.recovery.forecast import FEWEST, SHORTEST_DAYS, Forecast
from kajovo_dr.recovery.report_words import NOTHING, Language, human_duration, moment


class Words:
    """The words of one language, for people in one time zone."""

    def __init__(self, language: Language, timezone: str) -> None:
        self.language = language
        self._timezone, self._zone = timezone, ZoneInfo(timezone)
        self._texts = TEXTS[language]

    def __call__(self, key: str, **values: str) -> str:
        """A text with its values."""
        return self._texts[key].format(**values)

    def phase(self, name: str) -> str:
        """The name of a phase."""
        return self._texts[f"phase_{name}"]

    def part(self, name: str) -> str:
        """The name of what has a version; a program's own stays as it is."""
        return self._texts.get(f"version_{name}", name)

    def left(self, what: str) -> str:
        """What a killed drill had left: ``database x``, ``role x``, ``folder x``."""
        kind, _, name = what.partition(" ")
        return f"{self._texts.get(f'left_{kind}', kind)} {name}"

    def number(self, value: float) -> str:
        """``12,345`` or ``12 345``."""
        text = f"{value:,.0f}" if value == int(value) else f"{value:,.6g}"
        return self._written(text)

    def decimal(self, value: float, digits: int) -> str:
        """With so many digits after the point."""
        return self._written(f"{value:,.{digits}f}")

    def bytes(self, count: float | None) -> str:
        """``1.5 MB``."""
        return NOTHING if count is None else self._written(human_bytes(count))

    def duration(self, seconds: float | None) -> str:
        """``3 min 05 s``."""
        return human_duration(seconds, self.language)

    def percent(self, part: float) -> str:
        """``12 %``, and ``0.03 %``."""
        value = 100 * part
        return self.decimal(value, 0 if value >= 10 else 1 if value >= 1 else 2) + "\u00a0%"

    def moment(self, at: datetime | None) -> str:
        """``2026-11-23 07:41:05 CET`` or ``23. 11. 2026 7:41:05 SEČ``."""
        return moment(at, self._timezone, self.language)

    def day(self, at: date) -> str:
        """``2026-11-23`` or ``23. 11. 2026``; of a moment, its day as it stands there."""
        if self.language == "cs":
            return f"{at.day}.\u00a0{at.month}.\u00a0{at.year}"
        return f"{at:%Y-%m-%d}"

    def local_day(self, at: datetime) -> str:
        """The day of a moment in the time zone."""
        return self.day(at.astimezone(self._zone))

    def clock(self, at: datetime | None) -> str:
        """The time of day."""
        return f"{at.astimezone(self._zone):%H:%M:%S}" if at else NOTHING

    def did(self, phase: DrillPhase) -> str:
        """What came of a phase; the error's own message when it failed."""
        if phase.verdict == "failed":
            return phase.detail
        if phase.verdict == "skipped":
            return self._texts.get(f"skip_{phase.name}") or self._texts["skip_application"]
        if phase.verdict == "not_run":
            return ""
        return self(f"did_{phase.name}", **self._facts(phase))

    def forecast(self, seen: Forecast) -> str:
        """The forecast as a sentence or two."""
        return self(
            f"forecast_{seen.kind}",
            drills=self.number(seen.drills),
            days=self.number(round(seen.span_days)),
            limit=self.duration(seen.limit_s),
            growth=self.duration(seen.growth_s),
            day=self.day(seen.day) if seen.day else "",
            fewest=str(FEWEST),
            shortest=str(SHORTEST_DAYS),
        )

    def _facts(self, phase: DrillPhase) -> dict[str, str]:
        return {
            name: self.bytes(float(value)) if name == "bytes" else self._fact(name, value)
            for name, value in phase.facts.items()
        }

    def _fact(self, name: str, value: float | str) -> str:
        return str(value) if isinstance(value, str) or name == "port" else self.number(value)

    def _written(self, text: str) -> str:
        """Czech separates thousands by a no-break space and decimals by a comma."""
        if self.language == "en":
            return text
        return text.translate(str.maketrans(",. ", "\u00a0,\u00a0"))
