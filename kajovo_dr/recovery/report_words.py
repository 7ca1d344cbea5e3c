"""Words, numbers and times as people read them, in English and in Czech.

Belongs here: the vocabulary of incident pages, plurals, durations, moments. Not here: which facts a
page tells (``incident_pages``) and markup (``page_blocks``). The English text is the key: what is
not in the vocabulary is somebody else's text, and stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from kajovo_dr.errors import SettingError
from kajovo_dr.recovery import chain, detail_words
from kajovo_dr.settings import Settings

Language = Literal["en", "cs"]
NOTHING = "–"
#: Between a number and its unit no line ends.
_HARD = "\u00a0"

CZECH = {
    # the log
    "Incident log": "Deník incidentů",
    "No recovery was logged yet.": "Zatím není zapsána žádná obnova.",
    "Lines of incidents.jsonl that cannot be read and were kept: {lines}.": "Řádky souboru "
    "incidents.jsonl, které nelze přečíst a zůstaly v něm: {lines}.",
    "The log is not as it was written:": "Deník není takový, jak byl zapsán:",
    "place": "místo",
    "line {line}": "řádek {line}",
    "what is wrong": "co je špatně",
    chain.CHANGED: "řádek před ním byl změněn, přesunut nebo odstraněn",
    chain.MOVED: "nenavazuje na řádek před ním: řádky byly přesunuty, vloženy nebo odstraněny",
    chain.UNCHAINED: "není zřetězený, ačkoli stojí za zřetězenými řádky",
    chain.FOREIGN: "není to zápis a takový řádek nezanechá ani pád programu",
    chain.OTHER: "není to řádek, který sem byl zapsán jako poslední",
    chain.MISSING: "odtud dál řádky chybějí",
    chain.NO_HEAD: "chybí soubor incidents.head",
    chain.BAD_HEAD: "soubor incidents.head nelze přečíst",
    # one incident
    "Incident {id}": "Incident {id}",
    "Undo {id}": "Vrácení {id}",
    "what": "údaj",
    "value": "hodnota",
    "id": "id",
    "kind": "druh",
    "recovery": "obnova",
    "undo": "vrácení",
    "incident": "incident",
    "incident detected": "incident zjištěn",
    "started": "zahájeno",
    "ended": "ukončeno",
    "result": "výsledek",
    "recovered": "obnoveno",
    "put back": "vráceno",
    "given up": "vzdáno",
    "failed in {phase}": "selhalo ve fázi „{phase}“",
    "cut off in {phase}": "přerušeno ve fázi „{phase}“",
    "cut off": "přerušeno",
    "{how}, then given up": "{how}, pak vzdáno",
    "{how}, gone on with as {id}": "{how}, pokračuje zápisem {id}",
    "duration": "trvání",
    "RTO": "RTO",
    "RTO verdict": "vyhodnocení RTO",
    "pass": "dodrženo",
    "warn": "varování",
    "fail": "nedodrženo",
    "{verdict} (warn above {warn} min, fail above {fail} min)": "{verdict} (varování nad {warn} "
    "min, nedodrženo nad {fail} min)",
    "since the incident": "od incidentu",
    "outage": "výpadek",
    "none seen": "nezaznamenán",
    "still down": "stále mimo provoz",
    "end not seen": "konec nezaznamenán",
    "see {id}": "viz {id}",
    "from {start} until {end}": "od {start} do {end}",
    "in several gaps between {start} and {end}": "po částech mezi {start} a {end}",
    "since {start}": "od {start}",
    "since {gap}, and {duration} before that, from {start} on": "od {gap} a předtím {duration}, "
    "počínaje {start}",
    "{requests}, one every {interval}": "{requests}, interval {interval}",
    "database": "databáze",
    "{database} on {server}": "{database} na {server}",
    "extent": "rozsah",
    "database and application": "databáze a aplikace",
    "database only": "pouze databáze",
    "backup": "záloha",
    "backup used": "použitá záloha",
    "backup's snapshot": "záloha zachycuje stav k",
    "sha256 of the dump file": "sha256 souboru s daty",
    "sha256 of the manifest": "sha256 manifestu",
    "data lost": "ztracená data",
    "rows lost": "ztracené řádky",
    "{rows} ({tables})": "{rows} ({tables})",
    "not counted": "nespočítáno",
    "none": "žádné",
    "safety backup": "pojistná záloha",
    "databases swapped": "databáze vyměněny",
    "replaced database kept as": "nahrazená databáze uložena jako",
    "accounts with an older password again": "účty, kterým se vrátilo starší heslo",
    "undoes the recovery": "vrací obnovu",
    "undone by": "vráceno zápisem",
    "smoke test": "kontrola modulů",
    "not run": "neproběhla",
    "{passed}/{all} passed": "v pořádku {passed}/{all}",
    "{passed}/{all} passed; not: {names}": "v pořádku {passed}/{all}; jinak: {names}",
    "who": "kdo",
    "reason": "důvod",
    # its tables
    "Phases": "Fáze",
    "phase": "fáze",
    "begin": "začátek",
    "end": "konec",
    "detail": "podrobnosti",
    "detail (errors in English)": "podrobnosti (chyby anglicky)",
    "ok": "v pořádku",
    "failed": "selhalo",
    "skipped": "přeskočeno",
    "not ended": "nedokončeno",
    "warning": "varování",
    "Rows lost": "Ztracené řádky",
    "table": "tabulka",
    "rows": "řádky",
    "{rows} more than before": "o {rows} více než předtím",
    "Smoke test": "Kontrola modulů",
    "endpoint": "modul",
    "status": "stav HTTP",
    "count": "počet",
    "in the database": "v databázi",
}
#: The phases of a recovery and of an undo; in English they are called as in the code.
PHASES = {
    "preflight": "předběžná kontrola",
    "safety": "pojistná záloha",
    "stop": "zastavení aplikace",
    "restore": "obnova vedle živé databáze",
    "migrate": "migrace",
    "legacy": "převod starých dat",
    "revoke": "zneplatnění přihlášení",
    "swap": "výměna databází",
    "start": "spuštění aplikace",
    "readiness": "připravenost aplikace",
    "smoke": "kontrola modulů",
    "probe": "zkušební zápis",
    "interrupted": "přerušení",
    "abandoned": "ukončení bez obnovy",
}
#: One, two to four, more.
_PLURALS = {
    "row": ("řádek", "řádky", "řádků"),
    "table": ("tabulka", "tabulky", "tabulek"),
    "request": ("dotaz", "dotazy", "dotazů"),
}
_ZONES = {"CET": "SEČ", "CEST": "SELČ"}


@dataclass(frozen=True)
class Words:
    """How a reader is spoken to. rto: minutes from which a recovery is a warning and a failure."""

    timezone: str = "Europe/Prague"
    language: Language = "en"
    rto: tuple[float, float] | None = None

    @classmethod
    def of(cls, settings: Settings) -> Words:
        """Those of the settings."""
        limits = (settings.rto_warn_minutes, settings.rto_minutes)
        return cls(settings.timezone, settings.language, limits)

    def __call__(self, english: str, **values: str) -> str:
        """The text in the reader's language, its {places} filled."""
        text = CZECH.get(english, english) if self.language == "cs" else english
        return text.format(**values) if values else text

    def phase(self, name: str) -> str:
        """The name of a phase."""
        return PHASES.get(name, name) if self.language == "cs" else name

    def detail(self, phase: str, text: str) -> tuple[str, bool]:
        """What a phase noted, and whether nothing of it is in another language."""
        return detail_words.in_czech(phase, text) if self.language == "cs" else (text, True)

    def duration(self, seconds: float | None) -> str:
        return human_duration(seconds, self.language)

    def moment(self, at: datetime | None) -> str:
        return moment(at, self.timezone, self.language)

    def instant(self, at: datetime | None) -> str:
        """A moment to the millisecond."""
        return moment(at, self.timezone, self.language, to_the_ms=True)

    def short(self, seconds: float | None) -> str:
        """A duration in which milliseconds count: ``84 ms``, and from a second on as any other."""
        if seconds is None or abs(seconds) >= 0.9995:
            return self.duration(seconds)
        return f"{round(seconds * 1000)}{_HARD if self.language == 'cs' else ' '}ms"

    def number(self, value: float) -> str:
        """``1,234.5`` or ``1 234,5``."""
        text = f"{value:,}" if isinstance(value, int) else f"{value:,.10g}"
        return text.translate(str.maketrans(",.", f"{_HARD},")) if self.language == "cs" else text

    def counted(self, value: int, noun: str) -> str:
        """``1 row``, ``2 rows``; ``1 řádek``, ``2 řádky``, ``5 řádků``."""
        if self.language == "cs":
            one, few, many = _PLURALS[noun]
            form = one if value == 1 else few if 2 <= value <= 4 else many
            return f"{self.number(value)}{_HARD}{form}"
        return f"{self.number(value)} {noun}" + ("" if value == 1 else "s")


def moment(
    at: datetime | None, timezone: str, language: Language = "en", *, to_the_ms: bool = False
) -> str:
    """``2026-11-23 07:41:05 CET`` or ``23. 11. 2026 7:41:05 SEČ``."""
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError):
        raise SettingError(
            f"KAJOVO_DR_TIMEZONE: {timezone!r} is not a time zone",
            hint="write it as Europe/Prague.",
        ) from None
    if at is None:
        return NOTHING
    local = at.astimezone(zone)
    part = f"{local.microsecond // 1000:03d}" if to_the_ms else ""
    if language == "en":
        return f"{local:%Y-%m-%d %H:%M:%S}{part and '.' + part} {local:%Z}"
    name = local.tzname() or ""
    day = f"{local.day}.{_HARD}{local.month}.{_HARD}{local.year}"
    time = f"{local.hour}:{local:%M:%S}{part and ',' + part}"
    return f"{day} {time}{_HARD}{_ZONES.get(name, name)}"


def human_duration(seconds: float | None, language: Language = "en") -> str:
    """``0.4 s``, ``42 s``, ``3 min 05 s``, ``2 h 07 min``, ``3 d 04 h``; ``0,4 s`` in Czech."""
    if seconds is None:
        return NOTHING
    if seconds < 0:
        minus = "-" if language == "en" else "−"
        return minus + human_duration(-seconds, language)
    text = _positive(seconds)
    return text if language == "en" else text.replace(".", ",").replace(" ", _HARD)


def _positive(seconds: float) -> str:
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, large, small, name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min")):
        if whole >= size:
            return f"{whole // size} {large} {whole % size // small:02d} {name}"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"
