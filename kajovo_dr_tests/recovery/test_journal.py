"""Under test: that a recovery's record outlives processes, and that a failure is logged once."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from kajovo_dr.errors import LogUnwritable, MigrationFailed, SettingError
from kajovo_dr.recovery.incident_log import IncidentLog
from kajovo_dr.recovery.journal import RecoveryJournal
from kajovo_dr.recovery.record import Phase
from kajovo_dr_tests.recovery.records import STARTED, record, smoke_report


@pytest.fixture
def journal(tmp_path: Path) -> RecoveryJournal:
    return RecoveryJournal.begin(tmp_path, record())


def test_another_process_goes_on_with_the_same_record(
    journal: RecoveryJournal, tmp_path: Path
) -> None:
    other = RecoveryJournal.open(tmp_path, "run-1")
    assert other is not None
    other.update(backup="another", smoke=smoke_report())
    with journal.phase("restore") as note:
        note.detail = "24 tables"
    with other.phase("migrate"):
        pass
    kept = journal.record
    assert (kept.backup, kept.smoke, kept.who) == ("another", smoke_report(), "Řehoř")
    assert [(p.name, p.ok, p.detail) for p in kept.phases] == [
        ("restore", True, "24 tables"),
        ("migrate", True, ""),
    ]
    assert all(phase.seconds >= 0 for phase in kept.phases)


def test_a_recovery_that_was_not_begun_is_none(tmp_path: Path) -> None:
    assert RecoveryJournal.open(tmp_path, "run-2") is None


def test_a_recovery_is_begun_once(journal: RecoveryJournal, tmp_path: Path) -> None:
    with pytest.raises(LogUnwritable, match="was begun already"):
        RecoveryJournal.begin(tmp_path, record(who="somebody else"))
    assert journal.record.who == "Řehoř"


def test_changes_are_checked(journal: RecoveryJournal) -> None:
    with pytest.raises(ValidationError):
        journal.update(started_at="yesterday")
    with pytest.raises(ValidationError):
        journal.update(bakcup="misspelt")
    assert journal.record == record()


@pytest.mark.parametrize("name", ["../run-1", "a/b", "", "x" * 65, "run-1\n"])
def test_an_id_cannot_leave_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingError, match="is not a recovery's id"):
        RecoveryJournal.open(tmp_path, name)


def test_a_failing_phase_is_logged_exactly_once_and_raised(
    journal: RecoveryJournal, tmp_path: Path
) -> None:
    def nested() -> None:
        with journal.phase("recovery"), journal.phase("migrate"):
            raise MigrationFailed("two heads")

    with pytest.raises(MigrationFailed, match="two heads"):
        nested()
    (logged,) = IncidentLog(tmp_path).read()
    assert (logged.id, logged.succeeded, logged.failed_phase) == ("run-1", False, "migrate")
    assert [(p.name, p.ok, p.detail) for p in logged.phases] == [
        ("recovery", None, ""),  # it had not ended then
        ("migrate", False, "two heads"),
    ]
    assert [phase.name for phase in journal.record.phases] == ["migrate", "recovery"]


@pytest.mark.parametrize(
    ("failure", "detail"),
    [
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (ZeroDivisionError("by nothing"), "ZeroDivisionError: by nothing"),
    ],
)
def test_a_bug_and_an_interruption_are_logged_too(
    journal: RecoveryJournal, tmp_path: Path, failure: BaseException, detail: str
) -> None:
    with pytest.raises(type(failure)), journal.phase("restore"):
        raise failure
    (logged,) = IncidentLog(tmp_path).read()
    assert logged.phases[0].detail == detail


def test_a_failure_is_not_hidden_by_a_log_that_cannot_be_written(
    journal: RecoveryJournal, tmp_path: Path
) -> None:
    (tmp_path / "incidents.jsonl").mkdir()
    with pytest.raises(MigrationFailed, match="two heads") as failed, journal.phase("migrate"):
        raise MigrationFailed("two heads")
    assert "could not be written down" in failed.value.__notes__[0]


def test_a_record_is_for_us_alone(journal: RecoveryJournal, tmp_path: Path) -> None:
    if os.name != "posix":
        pytest.skip("Windows has no modes")
    folder = tmp_path / "recoveries"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


@pytest.mark.parametrize(
    "damage", [lambda path: path.write_text("{"), lambda path: path.write_bytes(b"\xff\n")]
)
def test_a_damaged_record_is_named(
    journal: RecoveryJournal, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    path = tmp_path / "recoveries" / "run-1.json"
    damage(path)
    with pytest.raises(LogUnwritable, match=r"run-1\.json is no recovery record"):
        journal.update(backup="x")


def test_a_state_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("in the way")
    with pytest.raises(LogUnwritable, match="cannot write"):
        RecoveryJournal.begin(tmp_path / "state", record())


def test_a_phase_is_on_the_disk_before_it_ends(journal: RecoveryJournal, tmp_path: Path) -> None:
    with journal.phase("restore"):
        other = RecoveryJournal.open(tmp_path, "run-1")
        assert other is not None
        (begun,) = other.record.phases
        assert (begun.name, begun.ok, begun.ended_at) == ("restore", None, None)
        assert not other.record.done("restore")
    (ended,) = journal.record.phases
    assert ended.ok
    assert ended.began_at == begun.began_at
    assert ended.ended_at is not None


def test_whoever_goes_on_logs_the_attempt_that_was_cut_off_and_begins_its_phase_anew(
    journal: RecoveryJournal, tmp_path: Path
) -> None:
    journal.update(runs=("run-1",))
    with journal.phase("safety"):
        pass
    journal.add(Phase(name="restore", began_at=STARTED))
    journal.join("run-2")
    (logged,) = IncidentLog(tmp_path).read()
    assert (logged.id, logged.failed_phase) == ("run-1", "interrupted")
    assert [phase.name for phase in journal.record.phases] == ["safety"]
    assert journal.record.entry_id == "run-1-2"


def test_a_reason_that_is_no_text_can_be_written_down(
    journal: RecoveryJournal, tmp_path: Path
) -> None:
    with pytest.raises(MigrationFailed), journal.phase("migrate"):
        raise MigrationFailed("cannot read \udce9.sql")
    (logged,) = IncidentLog(tmp_path).read()
    assert logged.phases[0].detail == "cannot read ?.sql"
