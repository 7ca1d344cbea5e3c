"""The watchdog's line for cron, job for launchd, task for Windows. Nothing else."""

from __future__ import annotations

import plistlib
import shlex
from typing import Any
from xml.etree import ElementTree

from kajovo_dr.watch.watchdog_job import LONGEST_MINUTES, MINUTES, NAME, VARIABLES_FILE, Job

_TASK = "http://schemas.microsoft.com/windows/2004/02/mit/task"
#: Of the past, so that the task is due at once.
_SINCE = "2026-01-01T00:00:00"


def cron_line(job: Job) -> str:
    """For the user's own table. What it says of a look goes nowhere: people are told by it."""
    program = shlex.quote(job.program)
    command = f"set -a; . {VARIABLES_FILE}; exec {program} watchdog >/dev/null"
    return f"*/{MINUTES} * * * * " + command.replace("%", r"\%")  # cron ends the line at a %


def launchd_job(job: Job) -> str:
    """A property list. It holds no secret: the shell reads the variables."""
    command = f'set -a; . {VARIABLES_FILE}; exec "$0" watchdog'
    content = {
        "Label": NAME,
        "ProgramArguments": ["/bin/sh", "-c", command, job.program],
        "UserName": job.user,
        "StartInterval": MINUTES * 60,
        "RunAtLoad": True,
        "ProcessType": "Background",
    }
    return plistlib.dumps(content, sort_keys=False).decode()


def scheduled_task(job: Job) -> str:
    """A task for Windows, as XML, which runs whether the user is logged on or not.

    Without the name of an encoding, so that it is read right however it was saved.
    """
    principal = {"UserId": job.user, "LogonType": "S4U", "RunLevel": "LeastPrivilege"}
    repetition = {"Interval": f"PT{MINUTES}M", "StopAtDurationEnd": "false"}
    trigger = {"Repetition": repetition, "StartBoundary": _SINCE, "Enabled": "true"}
    settings = {
        "MultipleInstancesPolicy": "IgnoreNew",
        "DisallowStartIfOnBatteries": "false",
        "StopIfGoingOnBatteries": "false",
        "StartWhenAvailable": "true",
        "ExecutionTimeLimit": f"PT{LONGEST_MINUTES}M",
        "Enabled": "true",
    }
    task = ElementTree.Element("Task", {"version": "1.2", "xmlns": _TASK})
    described = f"kajovo_dr watchdog every {MINUTES} minutes"
    _add(task, "RegistrationInfo", {"Description": described})
    _add(_add(task, "Triggers", {}), "TimeTrigger", trigger)
    _add(_add(task, "Principals", {}), "Principal", principal).set("id", "Owner")
    _add(task, "Settings", settings)
    actions = _add(task, "Actions", {})
    actions.set("Context", "Owner")
    _add(actions, "Exec", {"Command": job.program, "Arguments": "watchdog"})
    ElementTree.indent(task)
    text = ElementTree.tostring(task, encoding="unicode", short_empty_elements=False)
    return f'<?xml version="1.0"?>\n{text}\n'


def _add(parent: ElementTree.Element, name: str, content: dict[str, Any]) -> ElementTree.Element:
    """An element below another, with elements of its own."""
    added = ElementTree.SubElement(parent, name)
    for inner, value in content.items():
        if isinstance(value, dict):
            _add(added, inner, value)
        else:
            ElementTree.SubElement(added, inner).text = value
    return added
