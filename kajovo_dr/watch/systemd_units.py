"""The watchdog's units of systemd. Nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from kajovo_dr.watch.watchdog_job import LONGEST_MINUTES, MINUTES, NAME, VARIABLES_FILE, Job

_PLAIN = re.compile(r"[A-Za-z0-9/._@:+=-]+")
_REFUSED = frozenset("'\"\\")
#: A unit with a /tmp of its own does not see what lies there.
_TEMPORARY = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - not used, only named


def service(job: Job) -> str:
    """One look. The file system is closed to it, but for what it writes."""
    # a folder that is missing must not keep it from saying so
    writes = " ".join(_word(f"-{path}") for path in job.writes)
    reached = (*job.reads, *job.writes)
    hidden = any(path.is_relative_to(place) for path in reached for place in _TEMPORARY)
    return f"""\
[Unit]
Description=kajovo_dr watchdog: one look at backups, proofs and drills
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
User={job.user.replace("%", "%%")}
EnvironmentFile={VARIABLES_FILE}
ExecStart={_command(job.program)}
# 0 is well, 1 a warning, 2 critical, 3 unknown. None of 1 to 3 counts as success: a program that
# cannot start ends with 1 or 2 as well. The timer starts a failed service again all the same, and
# systemctl --failed shows what is wrong once more.
TimeoutStartSec={LONGEST_MINUTES}min
UMask=0077
NoNewPrivileges=yes
PrivateTmp={"no" if hidden else "yes"}
ProtectSystem=strict
ReadWritePaths={writes}
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
"""


def timer() -> str:
    """Every few minutes, and at once when the machine was off meanwhile."""
    return f"""\
[Unit]
Description=kajovo_dr watchdog every {MINUTES} minutes

[Timer]
OnCalendar=*:0/{MINUTES}
AccuracySec=30s
Persistent=yes
Unit={NAME}.service

[Install]
WantedBy=timers.target
"""


def _command(program: str) -> str:
    """What systemd starts: it refuses quotes in a program's name, but not in what a shell gets."""
    if not _REFUSED & set(program):
        return f"{_word(program)} watchdog"
    return f"""/bin/sh -c 'exec "$$0" watchdog' {_word(program.replace("$", "$$"))}"""


def _word(text: str) -> str:
    """One word of a value, whatever it holds: systemd splits at spaces and replaces ``%``."""
    if _PLAIN.fullmatch(text):
        return text
    for special in ("\\", '"'):
        text = text.replace(special, f"\\{special}")
    return f'"{text.replace("%", "%%")}"'
