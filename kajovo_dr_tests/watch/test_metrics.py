"""Under test: the metrics and their file. What is read are files; no server is asked."""

from __future__ import annotations

import os
import re
import socket
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import Metric, parser
from prometheus_client.openmetrics import parser as openmetrics
from pydantic import SecretStr

from kajovo_dr.alerts.condition import LEVELS, Condition
from kajovo_dr.backups.manifest import MANIFEST_SUFFIX, UNKNOWN, safety_reason
from kajovo_dr.backups.store import Store, open_store, sidecar
from kajovo_dr.errors import FileRefused
from kajovo_dr.recovery import drill_history
from kajovo_dr.recovery.incident_log import IncidentLog
from kajovo_dr.settings import Settings
from kajovo_dr.watch.gauges import HELP, Gauges
from kajovo_dr.watch.metrics import metrics, write
from kajovo_dr_tests.backups.stored import DATABASE, NOON, judge, put, table
from kajovo_dr_tests.recovery.drills import drill
from kajovo_dr_tests.recovery.records import entry, undo

NOW = NOON + timedelta(hours=1)
HOSTILE = 'no "quotes"\n\\n {x="1"} 1 # of ours, Škoda 🛎️'
Sample = tuple[str, frozenset[tuple[str, str]]]


@pytest.fixture
def watched(state: Path) -> Settings:
    """Settings of a database that nothing was heard of."""
    url = SecretStr(f"postgresql://kajovo:secret@127.0.0.1:5432/{DATABASE}")
    return Settings(state=state, database_url=url)


@pytest.fixture
def store(watched: Settings) -> Store:
    return open_store(watched)


def _samples(families: list[Metric]) -> dict[Sample, float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def figures(text: str) -> dict[Sample, float]:
    """All figures, after both formats' parsers have read the same ones."""
    strict = list(openmetrics.text_string_to_metric_families(text))  # type: ignore[no-untyped-call]
    classic = list(parser.text_string_to_metric_families(text))
    found = _samples(strict)
    assert found == _samples(classic)
    assert len(found) == sum(len(family.samples) for family in strict)  # none is said twice
    for family in (*strict, *classic):
        assert family.type == "gauge"
        assert family.documentation == HELP[family.name.removeprefix("kajovo_dr_")]
    return found


def told(text: str, name: str, **labels: str) -> float | None:
    return figures(text).get((f"kajovo_dr_{name}", frozenset(labels.items())))


def _names(text: str) -> set[str]:
    return {name.removeprefix("kajovo_dr_") for name, _ in figures(text)}


def test_everything_that_is_known_is_told(watched: Settings, store: Store) -> None:
    older = put(store, NOON - timedelta(hours=6), size_bytes=0)
    judge(older, "proven", NOON)
    facts = {"tables": (table("guests", 7), table("rooms", 5)), "seconds": 12.5}
    newest = put(store, NOON, database_bytes=4096, **facts)
    judge(newest, "proven", NOON, seconds={"restore": 3.5, "compare": 0.25})
    drill_history.append(watched.state, drill(0))
    IncidentLog.of(watched).append(entry(minutes=5))
    text = metrics(watched, NOW, [Condition("rpo", "ok", "well")])
    rate = {"store_written_per_day_bytes", "store_left_seconds"}  # a test of their own
    assert _names(text) - rate == HELP.keys() - rate
    assert told(text, "generated_timestamp_seconds") == NOW.timestamp()
    assert told(text, "recovery_point_age_seconds") == 3600
    assert told(text, "recovery_point_snapshot_timestamp_seconds") == NOON.timestamp()
    assert told(text, "newest_backup_snapshot_timestamp_seconds") == NOON.timestamp()
    assert told(text, "newest_backup_age_seconds") == 3600
    assert told(text, "newest_backup_size_bytes") == 0
    assert told(text, "newest_backup_database_bytes") == 4096
    assert told(text, "newest_backup_rows") == 12
    assert told(text, "newest_backup_tables") == 2
    assert told(text, "newest_backup_dump_seconds") == 12.5
    assert told(text, "newest_backup_proof_seconds", phase="restore") == 3.5
    assert told(text, "newest_backup_proof_seconds", phase="compare") == 0.25
    assert told(text, "newest_backup_proof_timestamp_seconds") == NOON.timestamp()
    assert told(text, "protected_database", database=DATABASE) == 1
    assert told(text, "backups", state="proven") == 2


def test_the_objectives_are_told_in_seconds(watched: Settings) -> None:
    changes = {"rpo_warn_hours": 2.0, "rpo_hours": 3.0, "rto_warn_minutes": 4.0, "rto_minutes": 5.0}
    text = metrics(watched.with_overrides(**changes), NOW)
    objectives = ("rpo_warn_seconds", "rpo_limit_seconds", "rto_warn_seconds", "rto_limit_seconds")
    assert [told(text, name) for name in objectives] == [7200, 10_800, 240, 300]


@pytest.mark.parametrize(("hours", "verdict"), [(1, "pass"), (21, "warn"), (25, "fail")])
def test_one_verdict_on_the_recovery_point_holds(
    watched: Settings, store: Store, hours: int, verdict: str
) -> None:
    judge(put(store), "proven", NOON)
    text = metrics(watched, NOON + timedelta(hours=hours))
    verdicts = ("pass", "warn", "fail", "none")
    found = {each: told(text, "recovery_point", verdict=each) for each in verdicts}
    assert found == {each: float(each == verdict) for each in verdicts}
    assert told(text, "recovery_point_age_seconds") == hours * 3600


def test_without_a_proven_backup_the_recovery_point_has_no_age(
    watched: Settings, store: Store
) -> None:
    put(store)
    text = metrics(watched, NOW)
    assert told(text, "recovery_point", verdict="none") == 1
    assert told(text, "recovery_point", verdict="pass") == 0
    assert told(text, "newest_backup_age_seconds") == 3600
    assert told(text, "newest_backup", state="taken") == 1
    assert told(text, "newest_backup", state="proven") == 0
    unknown = {"recovery_point_age_seconds", "recovery_point_snapshot_timestamp_seconds"}
    unknown |= {"newest_backup_proof_seconds", "newest_backup_proof_timestamp_seconds"}
    assert not _names(text) & unknown


def test_the_newest_backup_may_be_younger_than_the_proven_one(
    watched: Settings, store: Store
) -> None:
    judge(put(store, NOON - timedelta(hours=2)), "proven", NOON)
    judge(put(store), "damaged", NOON)
    text = metrics(watched, NOW)
    assert told(text, "newest_backup", state="damaged") == 1
    assert told(text, "newest_backup_age_seconds") == 3600
    assert told(text, "recovery_point_age_seconds") == 3 * 3600


def test_what_a_recovery_replaced_is_not_the_newest_backup(watched: Settings, store: Store) -> None:
    put(store, NOON - timedelta(hours=2))
    put(store, reason=safety_reason("0123abcd"))
    assert told(metrics(watched, NOW), "newest_backup_age_seconds") == 3 * 3600


def test_backups_of_another_database_count_in_the_store_alone(
    watched: Settings, store: Store
) -> None:
    put(store, NOON - timedelta(hours=2), identity="a" * 8)
    put(store, NOON - timedelta(hours=1), database="wiki")
    put(store, NOON, identity="b" * 8, server="127.0.0.1:5433")
    text = metrics(watched, NOW)
    assert told(text, "newest_backup_age_seconds") == 3 * 3600
    assert told(text, "backups", state="taken") == 3


def test_every_state_of_a_backup_is_counted(watched: Settings, store: Store) -> None:
    for number, state in enumerate(("proven", "damaged", "damaged", "unproven")):
        judge(put(store, NOON - timedelta(hours=number)), state, NOON)  # type: ignore[arg-type]
    put(store, NOON - timedelta(days=1))
    sidecar(put(store, NOON - timedelta(days=2)).path, MANIFEST_SUFFIX).write_text("{")
    text = metrics(watched, NOW)
    states = ("taken", "proven", "damaged", "unproven", "unreadable")
    assert [told(text, "backups", state=state) for state in states] == [1, 1, 2, 1, 1]


def test_of_an_adopted_backup_nobody_knows_how_long_it_took(
    watched: Settings, store: Store
) -> None:
    put(store, server=UNKNOWN)
    names = _names(metrics(watched, NOW))
    assert "newest_backup_size_bytes" in names
    assert not names & {"newest_backup_dump_seconds", "newest_backup_database_bytes"}


def test_a_store_that_cannot_be_read_has_no_figures(watched: Settings, store: Store) -> None:
    put(store)
    drill_history.append(watched.state, drill(0))
    text = metrics(watched.with_overrides(backup_dir=watched.state / "not mounted"), NOW)
    assert told(text, "store_readable") == 0
    assert told(text, "last_drill_ok") == 1
    stored = re.compile("store_[^r]|backups|newest|recovery_point|protected")
    assert not [name for name in _names(text) if stored.match(name)]


def test_without_a_database_there_is_no_recovery_point(watched: Settings) -> None:
    text = metrics(watched.with_overrides(database_url=None), NOW)
    assert told(text, "store_readable") == 1
    assert told(text, "backups", state="taken") == 0
    assert not [name for name in _names(text) if re.match("newest|recovery_point|protected", name)]


def test_what_the_store_lacks_is_not_zero(watched: Settings) -> None:
    text = metrics(watched, NOW)
    assert told(text, "store_used_bytes") == 0
    assert (told(text, "store_free_bytes") or 0) > 0
    assert not _names(text) & {"store_written_per_day_bytes", "store_left_seconds"}
    assert not [name for name in _names(text) if name.startswith(("last_", "newest_"))]


def test_the_store_is_full_in_as_many_seconds_as_are_left(watched: Settings, store: Store) -> None:
    for hours in (0, 24):
        path = put(store, NOON - timedelta(hours=hours)).path
        path.write_bytes(b"x" * 86_400)
        os.utime(path, ((NOON - timedelta(hours=hours)).timestamp(),) * 2)
    found = metrics(watched, NOON)
    assert told(found, "store_used_bytes") == 2 * 86_400
    assert told(found, "store_written_per_day_bytes") == 86_400
    left = told(found, "store_left_seconds")
    assert left == pytest.approx(told(found, "store_free_bytes"))  # it is a byte a second


def test_the_last_drill_is_told_with_its_phases(watched: Settings) -> None:
    drill_history.append(watched.state, drill(0))
    last = drill(1, scale=2)
    drill_history.append(watched.state, last)
    text = metrics(watched, NOW)
    assert told(text, "last_drill_timestamp_seconds") == last.finished_at.timestamp()
    assert told(text, "last_passed_drill_timestamp_seconds") == last.finished_at.timestamp()
    assert told(text, "last_drill_ok") == 1
    assert told(text, "last_drill_rto_seconds") == last.rto_s
    assert told(text, "last_drill_phase_seconds", phase="restore") == 360


def test_a_drill_that_failed_has_no_recovery_time(watched: Settings) -> None:
    passed, failed = drill(0), drill(1, failed="smoke")
    for each in (passed, failed):
        drill_history.append(watched.state, each)
    text = metrics(watched, NOW)
    assert told(text, "last_drill_ok") == 0
    assert told(text, "last_drill_timestamp_seconds") == failed.finished_at.timestamp()
    assert told(text, "last_passed_drill_timestamp_seconds") == passed.finished_at.timestamp()
    assert "last_drill_rto_seconds" not in _names(text)
    assert told(text, "last_drill_phase_seconds", phase="restore") == 180


@pytest.mark.parametrize("failed", [False, True])
def test_the_last_recovery_is_told_whatever_was_undone_since(
    watched: Settings, failed: bool
) -> None:
    log, last = IncidentLog.of(watched), entry(id="run-2", minutes=7)
    if failed:
        last = last.model_copy(update={"succeeded": False, "rto_verdict": "fail"})
    for each in (entry(minutes=5), last, undo("run-2", minutes=9)):
        log.append(each)
    text = metrics(watched, NOW)
    assert told(text, "last_recovery_timestamp_seconds") == last.finished_at.timestamp()
    assert told(text, "last_recovery_seconds") == 420
    assert told(text, "last_recovery_succeeded") == float(not failed)


def test_a_history_that_cannot_be_read_does_not_hide_the_store(watched: Settings) -> None:
    drill_history.path_of(watched.state).mkdir(parents=True)
    (watched.state / "incidents.jsonl").mkdir()
    text = metrics(watched, NOW)
    assert told(text, "store_readable") == 1
    assert not [name for name in _names(text) if name.startswith("last_")]


def test_conditions_are_told_by_how_bad_they_are(watched: Settings) -> None:
    text = metrics(watched, NOW, [Condition(f"x:{level}", level, "") for level in LEVELS])
    found = [told(text, "condition", key=f"x:{level}", level=level) for level in LEVELS]
    assert found == [0, 1, 2, 3]


def test_hostile_names_survive_both_formats(watched: Settings) -> None:
    url = SecretStr("postgresql://u@127.0.0.1/a%22b%5Cn%0A%C5%A1")
    conditions = [Condition(f"backup:{HOSTILE}", "critical", "")]
    text = metrics(watched.with_overrides(database_url=url), NOW, conditions)
    assert told(text, "protected_database", database='a"b\\n\nš') == 1
    assert told(text, "condition", key=f"backup:{HOSTILE}", level="critical") == 3


def test_a_name_that_is_no_text_is_told_as_well_as_it_can(watched: Settings) -> None:
    text = metrics(watched, NOW, [Condition("backup:\udcff", "warning", "")])
    assert told(text, "condition", key="backup:?", level="warning") == 1


def test_what_is_no_number_is_left_out() -> None:
    gauges = Gauges()
    for value in (None, float("nan"), float("inf")):
        gauges.add("store_free_bytes", value)
    assert gauges.text() == "# EOF\n"


@pytest.mark.parametrize("name", HELP)
def test_units_are_base_units_and_said_in_the_name(name: str) -> None:
    assert not re.search("_(hours|minutes|ms|days|percent|kb|mb)|_(total|count|sum|info)$", name)
    assert not re.search(r'["\\\n]', HELP[name])  # escaped otherwise in the older format
    unit = name.rpartition("_")[2]
    gauges = Gauges()
    gauges.add(name, 1)
    said = f"# UNIT kajovo_dr_{name} {unit}\n"
    assert (said in gauges.text()) == (unit in ("seconds", "bytes"))


def test_no_server_is_asked(watched: Settings, store: Store) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        judge(put(store, server=address, identity="a" * 8), "proven", NOON)
        url = SecretStr(f"postgresql://kajovo@{address}/{DATABASE}")
        metrics(watched.with_overrides(database_url=url), NOW)
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_the_file_can_be_read_by_every_user(state: Path) -> None:
    state.mkdir()
    path = state / "kajovo_dr.prom"
    before = os.umask(0o077)
    try:
        write(path, "old\n")
        write(path, "néw\n")
    finally:
        os.umask(before)
    assert path.read_bytes() == "néw\n".encode()
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [each.name for each in state.iterdir()] == ["kajovo_dr.prom"]


def test_a_file_that_cannot_be_written_is_named_and_leaves_nothing(state: Path) -> None:
    path = state / "kajovo_dr.prom"
    with pytest.raises(FileRefused, match=re.escape(str(path))):
        write(path, "")
    path.mkdir(parents=True)  # a rename onto it fails at the very end
    with pytest.raises(FileRefused, match=re.escape(str(path))):
        write(path, "")
    assert [each.name for each in state.iterdir()] == ["kajovo_dr.prom"]


def test_the_moment_is_the_one_that_is_given(watched: Settings) -> None:
    at = datetime(2031, 1, 1, tzinfo=UTC)
    assert told(metrics(watched, at), "generated_timestamp_seconds") == at.timestamp()
