"""Under test: how to install the watchdog: files that their programs accept, and no secret."""

from __future__ import annotations

import getpass
import os
import plistlib
import shlex
import shutil
import subprocess
from configparser import RawConfigParser
from pathlib import Path
from typing import get_args
from xml.etree import ElementTree

import pytest
from pydantic import SecretStr

from kajovo_dr.errors import SettingError
from kajovo_dr.settings import Settings
from kajovo_dr.watch.install_help import install_help
from kajovo_dr.watch.other_schedulers import cron_line, launchd_job, scheduled_task
from kajovo_dr.watch.systemd_units import service, timer
from kajovo_dr.watch.watchdog_job import NAME, VARIABLES_FILE, Job

posix = pytest.mark.skipif(os.name != "posix", reason="paths and shell of another system")
SYSTEMS = ("Linux", "Darwin", "Windows", "FreeBSD")
#: What splits, is replaced, or ends a text in one of the files; no such folder is needed.
HOSTILE = """/opt/it's 100%h & <b> "q" \\n $HOME/kajovo-dr"""
TASK = {"t": "http://schemas.microsoft.com/windows/2004/02/mit/task"}


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program in a folder that must be quoted everywhere, which says how it was called."""
    return _program(tmp_path / """my 100% & it's "d" \\n $HOME""")


def _program(folder: Path) -> Path:
    folder.mkdir()
    path = folder / "kajovo-dr"
    path.write_text('#!/bin/sh\necho "$KAJOVO_DR_STATE|$*" >&2\nexit 3\n')
    path.chmod(0o755)
    return path


def _unit(text: str) -> dict[str, dict[str, str]]:
    units = RawConfigParser()
    units.optionxform = str  # type: ignore[assignment, method-assign]
    units.read_string(text)
    return {name: dict(units[name]) for name in units.sections()}


def _shell(command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd")
@pytest.mark.parametrize("folder", ["plain", "100%h & $HOME", "it's", 'a "q"', r"a \n"])
def test_systemd_takes_the_units(tmp_path: Path, folder: str) -> None:
    program = _program(tmp_path / folder)
    settings = Settings(state=tmp_path / "my 50% state", metrics_file=tmp_path / "m & m" / "a.prom")
    units = tmp_path / f"{NAME}.service", tmp_path / f"{NAME}.timer"
    units[0].write_text(service(Job.of(settings, program)))
    units[1].write_text(timer())
    verified = subprocess.run(
        ["systemd-analyze", "verify", *map(str, units)], capture_output=True, text=True, check=False
    )
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")


@posix
def test_the_service_runs_the_watchdog_and_writes_where_it_must(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path, metrics_file=tmp_path / "textfile 1" / "dr.prom")
    job = Job.of(settings, "/opt/a b/100%h/kajovo-dr")
    unit = _unit(service(job))["Service"]
    assert unit["Type"] == "oneshot"
    assert unit["ExecStart"] == '"/opt/a b/100%%h/kajovo-dr" watchdog'
    assert unit["User"] == job.user
    assert unit["EnvironmentFile"] == VARIABLES_FILE
    assert unit["ReadWritePaths"] == f'-{tmp_path} "-{tmp_path}/textfile 1"'
    assert (unit["ProtectSystem"], unit["NoNewPrivileges"]) == ("strict", "yes")
    assert "SuccessExitStatus" not in unit


@posix
def test_a_program_whose_name_systemd_refuses_is_started_by_a_shell(tmp_path: Path) -> None:
    unit = _unit(service(Job.of(Settings(state=tmp_path), r"""/opt/it's "$x" \n 5%/dr""")))
    given = r"/opt/it's \"$$x\" \\n 5%%/dr"
    command = f"""/bin/sh -c 'exec "$$0" watchdog' "{given}\""""
    assert unit["Service"]["ExecStart"] == command


@pytest.mark.parametrize(
    ("state", "store", "private"),
    [
        ("/var/lib/dr", None, "yes"),
        ("/tmp/dr", None, "no"),
        ("/var/lib/dr", "/var/tmp/backups", "no"),
        ("/tmpfs/dr", None, "yes"),
    ],
)
@posix
def test_what_lies_in_tmp_is_not_hidden_from_the_service(
    state: str, store: str | None, private: str
) -> None:
    settings = Settings(state=Path(state), backup_dir=Path(store) if store else None)
    assert _unit(service(Job.of(settings, "/opt/dr")))["Service"]["PrivateTmp"] == private


def test_the_timer_comes_round_and_makes_up_for_what_was_missed() -> None:
    unit = _unit(timer())
    assert unit["Timer"]["OnCalendar"] == "*:0/5"  # Persistent counts for OnCalendar alone
    assert unit["Timer"]["Persistent"] == "yes"
    assert unit["Timer"]["Unit"] == "kajovo_dr-watchdog.service"
    assert unit["Install"]["WantedBy"] == "timers.target"


@posix
def test_the_line_of_cron_runs_the_program(tmp_path: Path, program: Path) -> None:
    job = Job.of(Settings(state=tmp_path / "it's a $state"), program)
    variables = tmp_path / "variables"
    variables.write_text(job.variables_file())
    *stars, line = cron_line(job).split(" ", 5)
    assert stars == ["*/5", "*", "*", "*", "*"]
    assert "%" not in line.replace(r"\%", "")
    ran = _shell(line.replace(r"\%", "%").replace(VARIABLES_FILE, str(variables)))
    assert (ran.returncode, ran.stderr) == (3, f"{tmp_path}/it's a $state|watchdog\n")


@posix
def test_the_job_of_launchd_runs_the_program(tmp_path: Path, program: Path) -> None:
    job = Job.of(Settings(state=tmp_path), program)
    variables = tmp_path / "variables"
    variables.write_text(job.variables_file())
    content = plistlib.loads(launchd_job(job).encode())
    assert content["StartInterval"] == 300
    assert content["UserName"] == job.user
    argv = [each.replace(VARIABLES_FILE, str(variables)) for each in content["ProgramArguments"]]
    ran = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (3, f"{tmp_path}|watchdog\n")


def test_the_task_of_windows_is_xml_with_command_and_interval(tmp_path: Path) -> None:
    job = Job.of(Settings(state=tmp_path), HOSTILE)
    task = ElementTree.fromstring(scheduled_task(job))
    assert task.findtext(".//t:Exec/t:Command", namespaces=TASK) == HOSTILE
    assert task.findtext(".//t:Exec/t:Arguments", namespaces=TASK) == "watchdog"
    assert task.findtext(".//t:TimeTrigger/t:Repetition/t:Interval", namespaces=TASK) == "PT5M"
    assert task.findtext(".//t:Principal/t:UserId", namespaces=TASK) == job.user
    assert task.findtext(".//t:StartWhenAvailable", namespaces=TASK) == "true"
    principal = task.find(".//t:Principal", TASK)
    actions = task.find("t:Actions", TASK)
    assert principal is not None
    assert actions is not None
    assert principal.get("id") == actions.get("Context")


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_text_holds_the_files_that_were_tested(system: str, tmp_path: Path) -> None:
    settings = Settings(state=tmp_path / "state")
    job = Job.of(settings, HOSTILE)
    files = {
        "Linux": [service(job), timer(), cron_line(job), job.variables_file()],
        "Darwin": [launchd_job(job), cron_line(job), job.variables_file()],
        "Windows": [scheduled_task(job), *job.named, *job.shown.values()],
        "FreeBSD": [cron_line(job), job.variables_file()],
    }
    text = install_help(settings, HOSTILE, system)
    assert not [each for each in files[system] if each not in text]
    assert "kajovo-dr alert --test" in text


@pytest.mark.parametrize("system", SYSTEMS)
def test_no_secret_is_told_but_the_name_of_its_variable(
    system: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = [
        name
        for name, field in Settings.model_fields.items()
        if SecretStr in (field.annotation, *get_args(field.annotation))
    ]
    assert len(secret) > 8
    for number, name in enumerate(secret):
        monkeypatch.setenv(f"KAJOVO_DR_{name.upper()}", f"geheim-{number}")
    monkeypatch.setenv("KAJOVO_DR_MIGRATE_ENV", '{"KEY": "geheim-x"}')
    config = tmp_path / "my dr.toml"
    config.write_text('app_login_body = {token = "geheim-y"}\n')
    monkeypatch.setenv("KAJOVO_DR_CONFIG", str(config))
    settings = Settings.load(state=tmp_path / "state")
    text = install_help(settings, "/opt/kajovo-dr", system)
    assert "geheim" not in text
    names = [f"KAJOVO_DR_{name.upper()}" for name in (*secret, "migrate_env")]
    assert [name for name in names if name not in text] == []
    assert "KAJOVO_DR_APP_LOGIN_BODY" not in text  # it came from the TOML file
    assert str(config) in text
    assert str(tmp_path / "state") in text


def test_variables_that_no_one_set_are_asked_for_where_they_are_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAJOVO_DR_STATE", str(tmp_path))  # with its value, elsewhere
    named = Job.of(Settings(state=tmp_path), "/opt/kajovo-dr").named
    assert named == ("KAJOVO_DR_ALERT_URLS", "KAJOVO_DR_WATCHDOG_URL")


def test_values_of_variables_are_quoted_for_systemd_and_for_a_shell_alike(tmp_path: Path) -> None:
    state = tmp_path / "it's $HOME"
    first = Job.of(Settings(state=state), "/opt/kajovo-dr").variables_file().splitlines()[0]
    assert shlex.split(first) == [f"KAJOVO_DR_STATE={state}"]


@posix
def test_the_user_is_the_one_who_owns_the_state_folder(tmp_path: Path) -> None:
    if os.geteuid() == 0:  # else nobody may give a folder away
        shutil.chown(tmp_path, "nobody")
    assert Job.of(Settings(state=tmp_path), "dr").user == tmp_path.owner()


def test_before_there_is_a_state_folder_the_user_is_the_one_who_asks(tmp_path: Path) -> None:
    assert Job.of(Settings(state=tmp_path / "none"), "dr").user.endswith(getpass.getuser())


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_path_that_no_file_can_hold_is_refused(system: str, tmp_path: Path) -> None:
    for program in ("/opt/a\nUser=root", "/opt/\udcff", "/opt/\x1b[2J"):
        with pytest.raises(SettingError, match="characters"):
            install_help(Settings(state=tmp_path), program, system)


def test_without_a_system_it_is_told_for_this_one(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path)
    here = install_help(settings, "/opt/kajovo-dr")
    assert here in [install_help(settings, "/opt/kajovo-dr", system) for system in SYSTEMS]
