"""Under test: that what a phase notes is told in Czech, and what is no phrase of ours as it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import kajovo_dr
from kajovo_dr.recovery import detail_words, recover
from kajovo_dr.recovery.detail_words import CONTROL, PHRASES, in_czech

ALEMBIC = "0024_kajovo_audit"


@pytest.mark.parametrize(
    ("phase", "detail", "czech"),
    [
        ("preflight", "", ""),
        ("preflight", "nothing is in the way", "nic nebrání"),
        (
            "preflight",
            "moment: the snapshot of kajovo-postgres-1 is later than the incident; disk: a second"
            " copy needs about 1.5 GB on the server's disk, which cannot be seen from here",
            "okamžik: kajovo-postgres-1 zachycuje stav až po incidentu; disk: druhá kopie potřebuje"
            " asi 1.5 GB na disku serveru, který odsud není vidět",
        ),
        (
            "preflight",
            "live database: 'h' does not exist: nothing to undo to; connections: the server has 3"
            " left, a recovery needs 8; replication: slots of the live database stay with the"
            " former one: a, b",
            "živá databáze: 'h' neexistuje: nebude k čemu se vrátit; spojení: serveru jich zbývá"
            " 3, obnova potřebuje 8; replikace: sloty živé databáze zůstanou té předchozí: a, b",
        ),
        ("safety", "kajovo-postgres-20261123-064100", "kajovo-postgres-20261123-064100"),
        (
            "stop",
            "KAJOVO_DR_APP_STOP_COMMAND (curl): exit code 0 in 0.5 s; it is no longer ready",
            "KAJOVO_DR_APP_STOP_COMMAND (curl): návratový kód 0 za 0,5 s; už není připravena",
        ),
        (
            "start",
            "POST to KAJOVO_DR_APP_START_URL: answer 200 in 0.1 s",
            "POST na KAJOVO_DR_APP_START_URL: odpověď 200 za 0,1 s",
        ),
        ("start", "no command is configured: start it by hand", "není nastaven příkaz: spusťte"),
        (
            "restore",
            "2345 rows in 24 tables from kajovo-postgres-1, equal to its manifest; verify 0.1 s,"
            " load 2.5 s, compare 0.4 s, analyze 0.2 s",
            "řádků: 2345, tabulek: 24, ze zálohy kajovo-postgres-1, shodné s jejím manifestem;"
            " ověření 0,1 s, nahrání 2,5 s, porovnání 0,4 s, statistiky 0,2 s",
        ),
        ("migrate", f"already at {ALEMBIC}", f"už je na {ALEMBIC}"),
        ("migrate", f"empty to {ALEMBIC}", f"z prázdné na {ALEMBIC}"),
        ("migrate", f"0001 to {ALEMBIC}", f"z 0001 na {ALEMBIC}"),
        (
            "legacy",
            "imported sklad: 38 of 38, pokoje: 1 of 2; other notes: 3 rows",
            "převedeno: sklad: 38 z 38, pokoje: 1 z 2; jiné poznámky, řádků: 3",
        ),
        (
            "revoke",
            "ended: sessions 3, tokens 0; accounts that go back in time: 2, listed in x.accounts",
            "ukončeno: sessions 3, tokens 0; účty, kterým se vrací starší heslo: 2, vypsány v"
            " x.accounts",
        ),
        (
            "swap",
            "'hotel' replaced in 12 ms; the former one is kept as 'hotel__before_1'; not carried"
            " over, set by hand: role x",
            "'hotel' vyměněna, trvalo 12 ms; předchozí je uložena jako 'hotel__before_1';"
            " nepřeneseno, nastavte ručně: role x",
        ),
        (
            "swap",
            "'hotel' put in place; there was none to replace",
            "'hotel' je na místě; nebylo co nahradit",
        ),
        (
            "readiness",
            "http://x/ready is ready, attempt 2",
            "http://x/ready je připravena, pokus 2",
        ),
        (
            "smoke",
            "12 of 13 endpoints passed; failed, as it is: a, b",
            "v pořádku 12 z 13; selhalo",
        ),
        ("probe", "row 7 written, read and deleted at /r", "řádek 7 zapsán, přečten a smazán, /r"),
        ("interrupted", "its process was ended", "jeho proces byl ukončen"),
        ("abandoned", "given up", "vzdáno"),
    ],
)
def test_a_detail_is_told_in_czech(phase: str, detail: str, czech: str) -> None:
    told, whole = in_czech(phase, detail)
    assert told.replace("\u00a0", " ").startswith(czech)
    assert whole


@pytest.mark.parametrize(
    ("phase", "detail", "czech"),
    [
        ("safety", "not taken: pg_dump failed; it said x", "nepořízena: pg_dump failed; it said x"),
        (
            "stop",
            "code 7; it said x; but nothing answers under its address: it counts as stopped",
            "code 7; it said x; pod její adresou však nic neodpovídá: považuje se za zastavenou",
        ),
        (
            "revoke",
            "nothing to end; which accounts go back in time is not known: server is gone",
            "nebylo co ukončit; kterým účtům se vrací starší heslo, není známo: server is gone",
        ),
        (
            "legacy",
            "imported a: 1 of 1; a: note of the tool",
            "převedeno: a: 1 z 1; a: note of the",
        ),
        (
            "preflight",
            "live database: does not answer, no safety backup: x; y",
            "živá databáze: neodpovídá, pojistná záloha nebude: x; y",
        ),
        ("migrate", "alembic failed: {braces} (x+)", "alembic failed: {braces} (x+)"),
        ("of nobody", "nothing is in the way", "nothing is in the way"),
    ],
)
def test_messages_of_errors_stay_as_they_are_and_that_is_told(
    phase: str, detail: str, czech: str
) -> None:
    told, whole = in_czech(phase, detail)
    assert told.startswith(czech)
    assert not whole


def test_every_phase_has_its_phrases() -> None:
    named = {name for names in recover.PHASES.values() for name in names}
    assert named | {"preflight", "interrupted", "abandoned"} == PHRASES.keys()


def test_no_phrase_is_of_a_sentence_that_is_no_longer_said() -> None:
    own = Path(detail_words.__file__)
    modules = [path for path in Path(kajovo_dr.__file__).parent.rglob("*.py") if path != own]
    source = "\n".join(path.read_text(encoding="utf-8") for path in modules)
    said = re.sub(r'"\s*\n\s*f?"', "", source)  # one sentence in several literals
    phrases = [english for each in (*PHRASES.values(), CONTROL) for english in each]
    # where our own text is put together: at places, behind a name, and before some numbers
    seams = re.compile(
        r"\{\w+\}|^(?:live )?\w+: |(?<=empty) to | in (?=\{duration\})|(?<=kept as) |'s disk, "
    )
    pieces = {piece.strip(" ,:()") for each in phrases for piece in seams.split(each)}
    assert [piece for piece in sorted(pieces) if piece not in said] == []


def test_both_languages_hold_the_same_places() -> None:
    for phrases in (*PHRASES.values(), CONTROL):
        for english, czech in phrases.items():
            assert sorted(re.findall(r"\{\w+\}", english)) == sorted(re.findall(r"\{\w+\}", czech))
