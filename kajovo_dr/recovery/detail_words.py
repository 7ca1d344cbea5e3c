"""The details of phases in Czech: what a recovery notes in English, in fixed phrases.

Belongs here: the phrases. The log keeps them in English, for whoever reads the file itself. Not
here: other vocabulary (``report_words``). Messages of errors are English everywhere, and quoted as
they are; what matches no phrase is one.
"""

from __future__ import annotations

import re
from functools import cache

_NO_COMMAND = "no command is configured: "
#: phase: its phrases, {places} and all. A place {error} holds an error's message.
PHRASES: dict[str, dict[str, str]] = {
    "preflight": {
        "nothing is in the way": "nic nebrání",
        "incident: taken as now, {moment}: a backup taken after the damage would be used, too": (
            "incident: bere se, že nastal teď, {moment}: použila by se i záloha pořízená po škodě"
        ),
        "application: {setting} is not set: it runs on until the swap ends its sessions, and what"
        " is written meanwhile stays in the old database": "aplikace: {setting} není nastaveno:"
        " běží, dokud výměna neukončí její spojení, a co se mezitím zapíše, zůstane ve staré"
        " databázi",
        "live database: {name} does not exist: nothing to undo to": "živá databáze: {name}"
        " neexistuje: nebude k čemu se vrátit",
        "live database: does not answer, no safety backup: {error}": "živá databáze: neodpovídá,"
        " pojistná záloha nebude: {error}",
        "connections: the server has {number} left, a recovery needs {all}": "spojení: serveru jich"
        " zbývá {number}, obnova potřebuje {all}",
        "replication: slots of the live database stay with the former one: {names}": "replikace:"
        " sloty živé databáze zůstanou té předchozí: {names}",
        "moment: the snapshot of {backup} is later than the incident": "okamžik: {backup} zachycuje"
        " stav až po incidentu",
        "disk: a second copy needs about {size} on the server's disk, which cannot be seen from"
        " here": "disk: druhá kopie potřebuje asi {size} na disku serveru, který odsud není vidět",
        "disk: {free} free, a second copy may need {size}": "disk: volných {free}, druhá kopie může"
        " potřebovat {size}",
        "fences: the live database has {names}, which the restored one does not get": "omezení:"
        " živá databáze má {names}, obnovená je nedostane",
        "leftover: database {name} was left by a recovery that this state folder does not know": (
            "zbytek: databázi {name} zanechala obnova, o které tato složka stavu neví"
        ),
    },
    "safety": {"{backup}": "{backup}", "not taken: {error}": "nepořízena: {error}"},
    "stop": {
        f"{_NO_COMMAND}it runs on until the swap ends its sessions": "není nastaven příkaz: běží,"
        " dokud výměna neukončí její spojení",
        "it is no longer ready": "už není připravena",
        "{error}; but nothing answers under its address: it counts as stopped": "{error}; pod její"
        " adresou však nic neodpovídá: považuje se za zastavenou",
    },
    "restore": {
        "{rows} rows in {tables} tables from {backup}, equal to its manifest": "řádků: {rows},"
        " tabulek: {tables}, ze zálohy {backup}, shodné s jejím manifestem",
        "{steps}": "{steps}",
    },
    "migrate": {
        "already at {revision}": "už je na {revision}",
        "empty to {revision}": "z prázdné na {revision}",
        "{before} to {revision}": "z {before} na {revision}",
    },
    "legacy": {
        "no legacy database is configured": "není nastavena databáze se starými daty",
        "imported {domains}": "převedeno: {domains}",
        "imported rows of {name} cannot be looked for: it has no simple key": "převedené řádky"
        " {name} nelze dohledat: nemá jednoduchý klíč",
        "{gone} of {number} rows imported into {name} are gone, deleted since they were imported,"
        " and are not imported again": "z {number} řádků převedených do {name} jich {gone} chybí,"
        " od převodu byly smazány a znovu se nepřevádějí",
        "other notes: {number} rows": "jiné poznámky, řádků: {number}",
    },
    "revoke": {
        "nothing to end": "nebylo co ukončit",
        "ended: {names}": "ukončeno: {names}",
        "which accounts go back in time is not known: {error}": "kterým účtům se vrací starší"
        " heslo, není známo: {error}",
        "accounts that go back in time: {number}, listed in {file}": "účty, kterým se vrací starší"
        " heslo: {number}, vypsány v {file}",
    },
    "swap": {
        "{name} put in place in {duration}": "{name} je na místě, trvalo {duration}",
        "{name} put in place": "{name} je na místě",
        "there was none to replace": "nebylo co nahradit",
        "{name} replaced in {duration}": "{name} vyměněna, trvalo {duration}",
        "{name} replaced": "{name} vyměněna",
        "the former one is kept as {name}": "předchozí je uložena jako {name}",
        "not carried over, set by hand: {names}": "nepřeneseno, nastavte ručně: {names}",
    },
    "start": {f"{_NO_COMMAND}start it by hand": "není nastaven příkaz: spusťte ji ručně"},
    "readiness": {"{url} is ready, attempt {number}": "{url} je připravena, pokus {number}"},
    "smoke": {
        "{number} of {all} endpoints passed": "v pořádku {number} z {all}",
        "failed, as it is: {names}": "selhalo, ponecháno tak: {names}",
        "the database has no row to read it with": "v databázi není řádek, podle kterého číst",
    },
    "probe": {
        "row {row} written, read and deleted at {path}": "řádek {row} zapsán, přečten a smazán,"
        " {path}"
    },
    "interrupted": {"its process was ended": "jeho proces byl ukončen"},
    "abandoned": {"given up": "vzdáno"},
}
#: Of stopping and of starting.
CONTROL = {
    "POST to {setting}: answer {number} in {duration}": "POST na {setting}: odpověď {number} za"
    " {duration}",
    "{setting} ({program}): exit code 0 in {duration}": "{setting} ({program}): návratový kód 0 za"
    " {duration}",
}
#: What a place holds; any other one anything up to the next phrase.
_PLACES = {
    "error": ".+",
    **dict.fromkeys(("rows", "tables", "number", "all", "gone"), r"\d+"),
    **dict.fromkeys(("setting", "revision", "before", "program", "url", "file", "backup"), r"\S+"),
    "duration": r"[\d.]+ m?s",
    "steps": r"\w+ [\d.]+ s(?:, \w+ [\d.]+ s)*",
    "domains": r"\S+: \d+ of \d+(?:, \S+: \d+ of \d+)*",
}
_STEPS = {"verify": "ověření", "load": "nahrání", "compare": "porovnání", "analyze": "statistiky"}


def in_czech(phase: str, detail: str) -> tuple[str, bool]:
    """The detail in Czech, and whether nothing of it is left in English."""
    if (whole := _phrase(phase, detail)) is not None:
        return whole
    parts = [_phrase(phase, part) or (part, not part) for part in detail.split("; ")]
    return "; ".join(text for text, _ in parts), all(known for _, known in parts)


def _phrase(phase: str, text: str) -> tuple[str, bool] | None:
    for pattern, czech in _patterns(phase):
        if found := pattern.fullmatch(text):
            values = found.groupdict()
            told = {name: _value(name, value) for name, value in values.items()}
            return czech.format(**told), "error" not in values
    return None


def _value(name: str, value: str) -> str:
    if name == "domains":
        return value.replace(" of ", " z ")
    if name == "steps":
        value = re.sub(r"[a-z]{2,}", lambda step: _STEPS.get(step[0], step[0]), value)
        value = re.sub(r"(\d) s\b", "\\1\u00a0s", value)
        return value.replace(".", ",")
    return value.replace(".", ",").replace(" ", "\u00a0") if name == "duration" else value


@cache
def _patterns(phase: str) -> list[tuple[re.Pattern[str], str]]:
    phrases = PHRASES.get(phase, {})
    if phase in ("stop", "start"):
        phrases = CONTROL | phrases
    return [(re.compile(_regex(english)), czech) for english, czech in phrases.items()]


def _regex(phrase: str) -> str:
    parts = re.split(r"\{(\w+)\}", phrase)
    for place in range(1, len(parts), 2):
        parts[place] = f"(?P<{parts[place]}>{_PLACES.get(parts[place], '[^;]+')})"
    return "".join(part if place % 2 else re.escape(part) for place, part in enumerate(parts))
