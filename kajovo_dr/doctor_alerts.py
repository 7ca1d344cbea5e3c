"""What the doctor says of alerts: who is told, who watches, what does not arrive.

Belongs here: looking at settings and the ledger. Not here: sending anything, which is what
``kajovo-dr alert --test`` is for.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from kajovo_dr.alerts import channels, heartbeat
from kajovo_dr.alerts import ledger as book
from kajovo_dr.alerts.ledger import Ledger
from kajovo_dr.errors import DrError
from kajovo_dr.finding import Finding, failure
from kajovo_dr.recovery.report import human_duration
from kajovo_dr.settings import PREFIX, Settings


def findings(settings: Settings) -> Iterator[Finding]:
    """Channels, dead man's switches and the watchdog."""
    try:
        ledger = book.read(settings.state)
    except DrError as error:
        yield failure("alerts", error)
        return
    yield _channels(settings, ledger)
    yield from _switches(settings)
    yield _watchdog(settings, ledger)


def _channels(settings: Settings, ledger: Ledger) -> Finding:
    try:
        known = channels.channels(settings)
    except DrError as error:
        return failure("alerts", error)
    if not known:
        said = "no channel is configured: nobody is told when backups fail"
        hint = f"set {PREFIX}ALERT_URLS, then try it: kajovo-dr alert --test."
        return Finding("alerts", "warn", said, hint)
    if broken := [each.name for each in known if each.name in ledger.troubles]:
        said = "; ".join(f"{name}: {ledger.troubles[name].said}" for name in broken)
        return Finding("alerts", "warn", said, "try them: kajovo-dr alert --test.")
    said = f"{', '.join(each.name for each in known)}; messages that wait: {len(ledger.waiting)}"
    return Finding("alerts", "ok", said)


def _switches(settings: Settings) -> Iterator[Finding]:
    """That a machine died, only somebody elsewhere can tell."""
    try:
        heartbeat.check(settings)
    except DrError as error:
        yield failure("dead man's switch", error)
        return
    if settings.heartbeat_url is not None:
        yield Finding("dead man's switch", "ok", "asked after each newly proven backup")
    else:
        said = "none: nobody would notice that this machine is dead"
        hint = f"set {PREFIX}HEARTBEAT_URL to that of a service elsewhere."
        yield Finding("dead man's switch", "warn", said, hint)


def _watchdog(settings: Settings, ledger: Ledger) -> Finding:
    hint = "let it run every five minutes: kajovo-dr watchdog --install-help."
    last = ledger.looks.get("watchdog")
    if last is None:
        said = "it has never looked: nobody would notice that Dagster's daemon died"
        return Finding("watchdog", "warn", said, hint)
    age = datetime.now(UTC) - last.at
    said = f"it looked {human_duration(age.total_seconds())} ago"
    silent = age > timedelta(minutes=settings.watchdog_silent_minutes)
    return Finding("watchdog", "warn" if silent else "ok", said, hint if silent else "")
