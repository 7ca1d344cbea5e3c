"""The channels that the settings name, and sending messages through all of them at the same time.

Belongs here: which message a channel takes, order within it, and the time it has. Not here: how one
message is sent (``courier``), and what is sent again later (``delivery``).
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import SecretStr

from kajovo_dr.alerts import courier
from kajovo_dr.alerts.courier import Outcome
from kajovo_dr.alerts.message import Message, Severity
from kajovo_dr.errors import SettingError
from kajovo_dr.settings import PREFIX, Settings

#: Setting -> what its channels are told.
_SETTINGS: dict[str, frozenset[Severity]] = {
    "alert_urls": frozenset({"warning", "critical"}),
    "alert_warning_urls": frozenset({"warning"}),
    "alert_critical_urls": frozenset({"critical"}),
}
_HINT = (
    "write Apprise URLs with spaces between them, such as mailtos://USER:PASSWORD@HOST?to=ADDRESS,"
    " and percent-encode in a password: / as %2F, @ as %40, : as %3A, % as %25, space as %20;"
    " then: kajovo-dr alert --test."
)


@dataclass(frozen=True)
class Channel:
    """A way to people. name: its schema and its position among all. The URL is never shown."""

    name: str
    severities: frozenset[Severity]
    _url: SecretStr = field(repr=False, compare=False)

    def takes(self, message: Message) -> bool:
        """Whether this channel is told; a test goes everywhere."""
        return message.kind == "test" or not self.severities.isdisjoint(message.audience)


@dataclass(frozen=True)
class Delivery:
    """What came of one message at one channel. said: what is known of it, never a secret. perhaps:
    nothing was answered in time, so that it may have arrived.
    """

    channel: str
    arrived: bool
    said: str
    seconds: float
    perhaps: bool = False


def channels(settings: Settings) -> list[Channel]:
    """All that are configured. Raises `SettingError` for a URL that cannot be used."""
    found, problems = readable(settings)
    if problems:
        raise problems[0]
    return found


def readable(settings: Settings) -> tuple[list[Channel], list[SettingError]]:
    """Those that can be used, and what is wrong with the others: one URL that is mistyped must not
    silence the rest.
    """
    found: list[Channel] = []
    problems: list[SettingError] = []
    for setting, severities in _SETTINGS.items():
        for position, url in enumerate(_urls(settings, setting), 1):
            reading, number = courier.read(url), len(found) + len(problems) + 1
            if reading.problem:
                where = f"{PREFIX}{setting.upper()}: the {_ordinal(position)} URL"
                problems.append(SettingError(f"{where} {reading.problem}", hint=_HINT))
            else:
                found.append(Channel(f"{reading.schema}-{number}", severities, url))
    return found, problems


def deliver(
    batches: Mapping[Channel, Sequence[Message]], timeout_s: float
) -> Iterator[tuple[str, Delivery]]:
    """Send to all channels at the same time; a message's id and what came of it, as it is known.

    Within a channel in order, and no further after the first failure. timeout_s: for one message.
    Whoever stops asking stops the rest that was not begun.
    """
    done: queue.SimpleQueue[tuple[str, Delivery] | None] = queue.SimpleQueue()
    stop = threading.Event()
    for channel, messages in batches.items():
        _in_background(_deliver_in_order, channel, messages, timeout_s, stop, done)
    return _as_they_end(len(batches), stop, done)


def _as_they_end(
    running: int, stop: threading.Event, done: queue.SimpleQueue[tuple[str, Delivery] | None]
) -> Iterator[tuple[str, Delivery]]:
    try:
        while running:
            one = done.get()
            if one is None:
                running -= 1
            else:
                yield one
    finally:
        stop.set()


def _deliver_in_order(
    channel: Channel,
    messages: Sequence[Message],
    timeout_s: float,
    stop: threading.Event,
    done: queue.SimpleQueue[tuple[str, Delivery] | None],
) -> None:
    try:
        for message in messages:
            if stop.is_set():
                break
            begun = time.monotonic()
            outcome = _within(channel, message, timeout_s)
            seconds = round(time.monotonic() - begun, 3)
            facts = (outcome.arrived, outcome.said, seconds, outcome.perhaps)
            done.put((message.id, Delivery(channel.name, *facts)))
            if not outcome.arrived:
                break
    finally:
        done.put(None)


def _within(channel: Channel, message: Message, timeout_s: float) -> Outcome:
    """Send, and give up waiting after some time: what drips never times out by itself."""
    outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()

    def attempt() -> None:
        outcomes.put(courier.send(channel._url, message, timeout_s))

    _in_background(attempt)
    try:
        return outcomes.get(timeout=timeout_s)
    except queue.Empty:
        return Outcome(False, f"no answer within {timeout_s:g} s", perhaps=True)


def _in_background(work: Callable[..., None], *arguments: object) -> None:
    threading.Thread(target=work, args=arguments, daemon=True).start()  # never holds up the exit


def _urls(settings: Settings, setting: str) -> list[SecretStr]:
    value: SecretStr | None = getattr(settings, setting)
    return [SecretStr(url) for url in value.get_secret_value().split()] if value else []


def _ordinal(position: int) -> str:
    tail = position % 100
    ending = "th" if 10 < tail < 14 else {1: "st", 2: "nd", 3: "rd"}.get(position % 10, "th")
    return f"{position}{ending}"
