"""``kajovo-dr watchdog --install-help``: how the watchdog is made to run by itself.

Belongs here: the steps for people, by system. Not here: the files in them (``systemd_units``,
``other_schedulers``). Nothing is installed, and of secrets only the names are told.
"""

from __future__ import annotations

import platform
from pathlib import Path

from kajovo_dr.settings import Settings
from kajovo_dr.watch.other_schedulers import cron_line, launchd_job, scheduled_task
from kajovo_dr.watch.systemd_units import service, timer
from kajovo_dr.watch.watchdog_job import MINUTES, NAME, VARIABLES_FILE, Job

_UNITS = "/etc/systemd/system"
_DAEMON = f"/Library/LaunchDaemons/{NAME}.plist"


def install_help(settings: Settings, program: Path | str, system: str | None = None) -> str:
    """The whole text. program: kajovo-dr's full path; system: as `platform.system` names it, of
    this machine when it is not given.
    """
    job = Job.of(settings, program)
    steps = {"Linux": _linux, "Darwin": _macos, "Windows": _windows}
    told = steps.get(system or platform.system(), _elsewhere)(job)
    return f"{_opening(job)}\n{told}\n{_TEST}"


def _opening(job: Job) -> str:
    return f"""\
# The watchdog every {MINUTES} minutes

It needs neither Dagster nor its database, so that somebody is told when these have died. Let it run
as {job.user}, who owns {job.writes[0]}.
It cannot tell that the whole machine has died: for that, give KAJOVO_DR_WATCHDOG_URL the address
of a dead man's switch, which misses its call.
"""


_TEST = """\
# Test what people get

    kajovo-dr alert --test

sends a message through every channel. Exit codes of kajovo-dr watchdog: 0 all is well, 1 warning,
2 critical, 3 unknown; anything else: it could not look.
"""


def _variables(job: Job, owner: str) -> str:
    return f"""\
1. Make {VARIABLES_FILE}, for its owner alone:

       sudo install -m 0600 -o {owner} /dev/null {VARIABLES_FILE}

   and write into it, in single quotes, what kajovo_dr is given elsewhere, too
   (a single quote in a URL is %27):

{job.variables_file()}
"""


def _linux(job: Job) -> str:
    return f"""\
# With systemd

{_variables(job, "root")}
2. Write {_UNITS}/{NAME}.service:

{service(job)}
3. Write {_UNITS}/{NAME}.timer:

{timer()}
4. Start it:

       sudo systemctl daemon-reload
       sudo systemctl enable --now {NAME}.timer

5. See it look (it fails while something is wrong), and what it said:

       sudo systemctl start {NAME}.service
       journalctl -u {NAME}.service -n 20
       systemctl list-timers {NAME}.timer

{_instead(job)}"""


def _elsewhere(job: Job) -> str:
    return f"# With cron\n\n{_variables(job, job.user)}\n{_table(job)}"


def _instead(job: Job) -> str:
    return f"""\
# Or with cron

1. As above, but {job.user} must own {VARIABLES_FILE}: its shell reads it.

{_table(job)}"""


def _table(job: Job) -> str:
    return f"""\
2. Add to the table of {job.user} (sudo crontab -u {job.user} -e):

{cron_line(job)}

3. See it look, and its exit code: run what stands behind the stars in a shell of {job.user},
   without exec and >/dev/null{_unescaped(job)}, then: echo $?
"""


def _unescaped(job: Job) -> str:
    return r" and with % for each \%" if "%" in job.program else ""


def _macos(job: Job) -> str:
    return f"""\
# With launchd

{_variables(job, job.user)}
2. Write {_DAEMON}, owned by root, mode 0644:

{launchd_job(job)}
3. Start it:

       sudo launchctl bootstrap system {_DAEMON}

4. See it look, and its last exit code:

       sudo launchctl kickstart system/{NAME}
       sudo launchctl print system/{NAME} | grep "last exit code"

{_instead(job)}"""


def _windows(job: Job) -> str:
    shown = "\n".join(f"       {name} is {value}" for name, value in job.shown.items())
    return f"""\
# With the Task Scheduler

1. As {job.user}, in PowerShell, once for each variable below:

       [Environment]::SetEnvironmentVariable('NAME', (Read-Host 'NAME'), 'User')

{shown}
{_indented(job.named)}

2. Write {NAME}.xml:

{scheduled_task(job)}
3. In a PowerShell that runs as administrator:

       schtasks /Create /TN {NAME} /XML {NAME}.xml

   A backup folder on another machine needs the user's password, which is asked for then: add
   /RU {job.user} /RP *

4. See it look, and its exit code (Last Result):

       schtasks /Run /TN {NAME}
       schtasks /Query /TN {NAME} /V /FO LIST
"""


def _indented(names: tuple[str, ...]) -> str:
    return "\n".join(f"       {name}" for name in names)
