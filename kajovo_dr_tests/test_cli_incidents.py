"""Under test: ``kajovo-dr incidents`` as people and scripts meet it, in a real process, also one
that cannot import Dagster.
"""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path

import pytest

from kajovo_dr.errors import LogBroken
from kajovo_dr.recovery.incident_log import IncidentLog
from kajovo_dr.recovery.record import Phase
from kajovo_dr_tests.recovery.records import entry, full, phase, undo
from kajovo_dr_tests.shell import WITHOUT_DAGSTER, Shell

FIRST = "6f0c1d2e-aaaa-4bbb-8ccc-000000000001"
SECOND = "c077bd0b-13b9-4d10-8afa-49eb5ed69fcf"


@pytest.fixture
def log(tmp_path: Path) -> IncidentLog:
    """Three entries: a recovery, its undo, and a recovery that failed."""
    log = IncidentLog(tmp_path / "state")
    log.append(full(id=FIRST))
    log.append(undo(FIRST, id="6f77"))
    log.append(entry(id="b-1", who="Žofie", phases=(phase("migrate", ok=False),)))
    return log


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("KAJOVO_DR_STATE", str(tmp_path / "state"))
    return Shell((), program=("-c", WITHOUT_DAGSTER))


def remove_last_line(log: IncidentLog) -> None:
    *left, _ = log.lines.read_bytes().splitlines(keepends=True)
    log.lines.write_bytes(b"".join(left))


def test_the_log_is_listed_the_newest_last(shell: Shell, log: IncidentLog) -> None:
    listed = shell("incidents").ok()
    head, first, second, third = listed.out.splitlines()
    assert head.split() == [
        *("ID", "KIND", "STARTED", "RESULT", "DURATION", "RTO", "OUTAGE"),
        *("DATA", "LOST", "BACKUP", "WHO"),
    ]
    assert first.startswith(
        "6f0c1d2e  recovery  2026-11-23 06:40:00 CET  recovered, undone by 6f77"
    )
    assert "  84 ms  " in first
    assert second.split()[:2] == ["6f77", "undo"]
    assert "failed in migrate" in third
    assert third.endswith("Žofie")
    assert listed.err == ""


def test_an_empty_log_is_said_to_be_empty(shell: Shell, tmp_path: Path) -> None:
    assert shell("incidents").ok().out.startswith("no recovery was logged yet in ")
    assert shell("incidents", "--json").ok().json() == []
    assert (
        shell("incidents", "--verify").ok().out.endswith("last line, to be noted elsewhere: none\n")
    )
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("typed", [FIRST, FIRST[:8], "6f0c1d2eaaaa4"])
def test_one_is_shown_by_the_beginning_of_its_id(
    shell: Shell, log: IncidentLog, typed: str
) -> None:
    shown = shell("incidents", "--show", typed).ok().out
    assert shown.startswith(f"Incident {FIRST}\n")
    assert re.search("^undone by +6f77$", shown, re.M)
    assert "warn above 60 min, fail above 120 min" in shown
    assert "Undo" not in shown


def test_one_is_shown_in_columns_and_as_markdown_when_asked(shell: Shell, log: IncidentLog) -> None:
    shown = shell("incidents", "--show", "b").ok().out
    assert "|" not in shown
    assert "**" not in shown
    head, migrate = shown[shown.index("\nPhases\n") :].splitlines()[2:4]
    assert head.split() == ["phase", "begin", "end", "duration", "result", "detail"]
    assert head.index("result") == migrate.index("failed")
    assert "| reason |" in shell("incidents", "--show", "b", "--markdown", "-").ok().out


def test_the_settings_and_the_option_choose_the_language(shell: Shell, log: IncidentLog) -> None:
    assert "\ndůvod" in shell("incidents", "--show", "b", language="cs").ok().out
    assert "\ndůvod" in shell("incidents", "--show", "b", "--lang", "cs").ok().out
    assert "\nreason" in shell("incidents", "--show", "b", "--lang", "en", language="cs").ok().out


def test_every_attempt_at_a_recovery_is_shown_the_newest_last(
    shell: Shell, log: IncidentLog, tmp_path: Path
) -> None:
    cut = Phase(name="interrupted", ok=False)
    log.append(entry(id=SECOND, phases=(Phase(name="migrate"), cut)))
    log.append(full(id=SECOND, runs=("x", "y")))
    for typed in (SECOND, "c077bd0b"):
        shown = shell("incidents", "--show", typed).ok().out
        titles = [line for line in shown.splitlines() if line.startswith("Incident ")]
        assert titles == [f"Incident {SECOND}", f"Incident {SECOND}-2"]
    assert re.search("^result +cut off in migrate, gone on with as c077bd0b-2$", shown, re.M)
    assert re.search("^RTO verdict +–$", shown, re.M)
    again = shell("incidents", "--show", "c077bd0b-2").ok().out
    assert again.startswith(f"Incident {SECOND}-2\n")
    assert len(shell("incidents", "--show", "c0", "--json").ok().json()) == 2
    listed = shell("incidents").ok().out.splitlines()[-2:]
    assert [line.split()[0] for line in listed] == ["c077bd0b", "c077bd0b-2"]
    pages = tmp_path / "both.md", tmp_path / "both.html"
    words = ("--markdown", str(pages[0]), "--html", str(pages[1]))
    shell("incidents", "--show", "c077bd0b", *words).ok()
    for page in pages:
        assert page.read_text(encoding="utf-8").count(f"Incident {SECOND}-2") == 1


def test_an_exact_id_is_meant_though_others_begin_so(shell: Shell, log: IncidentLog) -> None:
    log.append(entry(id="b-10"))
    log.append(entry(id="b-1x"))
    shown = shell("incidents", "--show", "b-1").ok().out
    assert "Incident b-1\n" in shown
    assert "Incident b-1x" not in shown


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("6f", f"'6f' may be each of {FIRST}, 6f77"),
        ("x", "the incident log has no entry 'x'"),
        ("", "the incident log has no entry ''"),
    ],
)
def test_an_id_that_names_none_or_several_is_refused(
    shell: Shell, log: IncidentLog, typed: str, said: str
) -> None:
    ended = shell("incidents", "--show", typed)
    assert (ended.code, ended.out) == (10, "")
    error, hint = ended.err.splitlines()
    assert error == f"error: {said}"
    assert hint.startswith("hint: ")


def test_scripts_get_every_field(shell: Shell, log: IncidentLog) -> None:
    written = [entry.model_dump(mode="json") for entry in log.read()]
    assert shell("incidents", "--json").ok().json() == written
    assert shell("incidents", "--show", "b", "--json").ok().json() == written[2:]


def test_an_intact_chain_is_verified(shell: Shell, log: IncidentLog) -> None:
    said = shell("incidents", "--verify").ok().out
    last = json.loads(log.head.read_text(encoding="utf-8"))["sha256"]
    assert said.splitlines() == [
        f"ok {log.lines} is as it was written",
        "   entries: 3; lines that cannot be read: 0",
        f"   sha256 of the last line, to be noted elsewhere: {last}",
    ]
    assert shell("incidents", "--verify", "--json").ok().json() == {
        **{"ok": True, "entries": 3, "breaks": [], "unreadable": [], "last": last},
    }


def test_a_broken_chain_is_named_and_warned_of(shell: Shell, log: IncidentLog) -> None:
    content = log.lines.read_bytes()
    log.lines.write_bytes(content.replace("Řehoř".encode(), b"nobody", 1))
    ended = shell("incidents", "--verify")
    assert (ended.code, ended.out) == (LogBroken.exit_code, "")
    error, hint = ended.err.splitlines()
    assert error.endswith(
        "is not as it was written: line 2: the line before it was changed, moved or removed"
    )
    assert hint.startswith("hint: ")
    ended = shell("incidents", "--verify", "--json")
    assert (ended.code, ended.json()["ok"]) == (LogBroken.exit_code, False)
    assert [each["line"] for each in ended.json()["breaks"]] == [2]
    listed = shell("incidents").ok()
    assert "nobody" in listed.out
    assert "is not as it was written: kajovo-dr incidents --verify" in listed.err


def test_a_removed_last_line_is_named(shell: Shell, log: IncidentLog) -> None:
    remove_last_line(log)
    ended = shell("incidents", "--verify")
    assert ended.code == LogBroken.exit_code
    assert "line 3: lines are missing from here on" in ended.err


def test_lines_that_cannot_be_read_are_told(shell: Shell, log: IncidentLog) -> None:
    with log.lines.open("ab") as sink:
        sink.write(b'{"format":2,"prev')
    assert "cannot be read and were kept: 4" in shell("incidents").ok().err
    assert "lines that cannot be read: 1" in shell("incidents", "--verify").ok().out


def test_the_log_and_one_of_it_are_written_as_pages(
    shell: Shell, log: IncidentLog, tmp_path: Path
) -> None:
    markdown, page = tmp_path / "deník.md", tmp_path / "deník.html"
    page.write_text("old")
    words = ("--markdown", str(markdown), "--html", str(page), "--lang", "cs")
    said = shell("incidents", *words).ok().out
    assert said == f"ok {markdown}\nok {page}\n"
    assert markdown.read_text(encoding="utf-8").startswith("# Deník incidentů\n")
    assert '<html lang="cs">' in page.read_text(encoding="utf-8")
    if os.name == "posix":
        assert {stat.S_IMODE(path.stat().st_mode) for path in (markdown, page)} == {0o600}
    shell("incidents", "--show", "b", *words).ok()
    assert markdown.read_text(encoding="utf-8").startswith("## Incident b-1\n")
    assert '<h2 id="b-1">Incident b-1</h2>' in page.read_text(encoding="utf-8")
    assert FIRST not in page.read_text(encoding="utf-8")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deník.html", "deník.md", "state"]


def test_a_page_can_be_printed(shell: Shell, log: IncidentLog) -> None:
    printed = shell("incidents", "--markdown", "-").ok().out
    assert printed.startswith("# Incident log\n")
    assert "## Undo 6f77" in printed
    page = shell("incidents", "--html", "-").ok().out
    assert page.startswith("<!doctype html>\n")
    assert page.endswith("</html>\n")


def test_a_page_tells_of_a_broken_chain(shell: Shell, log: IncidentLog) -> None:
    remove_last_line(log)
    printed = shell("incidents", "--markdown", "-", "--lang", "cs").ok()
    assert "| řádek 3 | **odtud dál řádky chybějí** |" in printed.out
    assert "is not as it was written" in printed.err


def test_a_link_is_kept_and_its_target_replaced(
    shell: Shell, log: IncidentLog, tmp_path: Path
) -> None:
    if os.name != "posix":
        pytest.skip("Windows needs a right to make links")
    target, link = tmp_path / "target.md", tmp_path / "link.md"
    target.write_text("old")
    link.symlink_to(target)
    shell("incidents", "--markdown", str(link)).ok()
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8").startswith("# Incident log")


@pytest.mark.parametrize("name", ["", "state", "no/such/folder.md", "state/incidents.md/x"])
def test_a_file_that_cannot_be_written_is_named(
    shell: Shell, log: IncidentLog, tmp_path: Path, name: str
) -> None:
    ended = shell("incidents", "--html", str(tmp_path / name) if name else "")
    assert (ended.code, ended.out) == (36, "")
    error, hint = ended.err.splitlines()
    assert error.startswith("error: ")
    assert name in error
    assert hint.startswith("hint: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["state"]


def test_what_is_no_regular_file_is_never_replaced(
    shell: Shell, log: IncidentLog, tmp_path: Path
) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("Windows has no pipes in its folders")
    pipe = tmp_path / "pipe"  # it stands for a device: a real one would be lost if this ever failed
    os.mkfifo(pipe)
    ended = shell("incidents", "--html", str(pipe))
    assert ended.code == 36
    assert "is no regular file" in ended.err
    assert pipe.is_fifo()


@pytest.mark.parametrize("name", ["incidents.jsonl", "incidents.head", "incidents.md"])
def test_the_log_itself_is_never_overwritten_by_a_page(
    shell: Shell, log: IncidentLog, name: str
) -> None:
    path = log.lines.with_name(name)
    before = path.read_bytes()
    ended = shell("incidents", "--html", str(path))
    assert ended.code == 36
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "words",
    [
        ("--verify", "--show", "b"),
        ("--verify", "--html", "-"),
        ("--json", "--markdown", "-"),
        ("--markdown", "-", "--html", "-"),
        ("--lang", "de"),
    ],
)
def test_words_that_contradict_each_other_are_wrong_usage(
    shell: Shell, log: IncidentLog, words: tuple[str, ...]
) -> None:
    ended = shell("incidents", *words)
    assert (ended.code, ended.out) == (2, "")


def test_a_log_that_cannot_be_read_is_named(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "state" / "incidents.jsonl").mkdir(parents=True)
    ended = shell("incidents")
    assert ended.code == 64
    assert "incidents.jsonl" in ended.err
