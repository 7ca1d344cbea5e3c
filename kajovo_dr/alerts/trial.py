"""Trying the alert path: one message to every channel, about nothing.

Belongs here: the message and its way. Not here: the ledger: a trial is no news of the system.
"""

from __future__ import annotations

import platform
from datetime import UTC, datetime

from kajovo_dr.alerts.channels import Delivery, deliver, readable
from kajovo_dr.alerts.message import compose
from kajovo_dr.errors import AlertFailed, NotConfigured
from kajovo_dr.settings import PREFIX, Settings

_TITLE = {"en": "TEST: alerts arrive here", "cs": "ZKOUŠKA: sem docházejí upozornění"}
_BODY = {
    "en": "What: a trial of the alerts, nothing is wrong\nWhy: {why}\nNext: nothing to do",
    "cs": "Co: zkouška upozornění, nic se neděje\nProč: {why}\nDál: není třeba nic dělat",
}


def try_channels(settings: Settings, *, why: str) -> list[Delivery]:
    """Send a test message through every channel; what came of it, in the channels' order.

    why: who tries it, such as a drill. A URL that cannot be read is a failure among the others; an
    empty list means that no channel is configured.
    """
    body = f"{_BODY[settings.language].format(why=why)}\nkajovo_dr, {platform.node()}"
    message = compose(
        "test",
        "warning",
        ("warning", "critical"),
        _TITLE[settings.language],
        body,
        datetime.now(UTC),
    )
    known, problems = readable(settings)
    batches = {channel: [message] for channel in known}
    found = {each.channel: each for _, each in deliver(batches, settings.alert_timeout_s)}
    unreadable = [Delivery("unreadable", False, str(problem), 0) for problem in problems]
    return [*(found[channel.name] for channel in known), *unreadable]


def require_arrived(deliveries: list[Delivery]) -> None:
    """Raise `AlertFailed` naming the channels that did not take it, `NotConfigured` without any."""
    if not deliveries:
        raise NotConfigured(
            "no alert channel is configured: nobody would be told of anything",
            hint=f"set {PREFIX}ALERT_URLS; kajovo-dr doctor --settings explains it.",
        )
    failed = [each for each in deliveries if not each.arrived]
    if failed:
        named = "; ".join(f"{each.channel}: {each.said}" for each in failed)
        raise AlertFailed(f"{len(failed)} of {len(deliveries)} channels failed: {named}")
