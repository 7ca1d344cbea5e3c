"""Sending what waits in the ledger: each channel in order, again and again until it has it.

Belongs here: whose turn it is, and what a failure means for the rest. Not here: the sending itself
(``channels``). One process sends at a time; whoever else looks meanwhile leaves it to that one.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from kajovo_dr.alerts import ledger as book
from kajovo_dr.alerts.channels import Channel, Delivery, deliver
from kajovo_dr.alerts.ledger import Attempt, Ledger, Trouble, Waiting
from kajovo_dr.alerts.message import Message
from kajovo_dr.files import held_alone
from kajovo_dr.settings import Settings

#: Seconds until the next attempt: the first, then doubled, up to the last.
_FIRST_S, _LAST_S = 20.0, 900.0
#: A message that still fails after so long is given up, and counted. Age alone is no reason: the
#: machine may have slept, the clock may be wrong.
_GIVE_UP = timedelta(days=7)
#: Messages that one channel gets in one look: the rest waits for the next, which begins soon, and
#: no look takes longer than Dagster waits for a sensor (60 s) unless each of them is slow.
_AT_ONCE = 5
_MANY = 50
#: Attempts after which a message lets others pass.
_STUBBORN = 3
#: Attempts that may each have arrived, after which it is taken to have done so.
_PERHAPS = 3
_AGAIN = {
    "en": "Sent again: an earlier attempt may have arrived.",
    "cs": "Posláno znovu: dřívější pokus mohl dorazit.",
}


@dataclass(frozen=True)
class Sent:
    """What came of one message at one channel."""

    message: Message
    delivery: Delivery


def deliver_waiting(settings: Settings, known: Sequence[Channel], now: datetime) -> list[Sent]:
    """Send what is due; what came of it. Nothing, while another process does so."""
    with held_alone(settings.state / ".alerts.sending.lock") as alone:
        return _deliver(settings, known, now, settings.state) if alone else []


def _deliver(
    settings: Settings, known: Sequence[Channel], now: datetime, state: Path
) -> list[Sent]:
    if not book.read(state).waiting:
        return []
    with book.change(state) as ledger:
        _forget(ledger, {channel.name for channel in known}, now)
        batches = {channel: _batch(ledger, channel.name, now) for channel in known}
        batches = {channel: batch for channel, batch in batches.items() if batch}
        messages = {
            channel.name: [_marked(each, channel.name, settings.language) for each in batch]
            for channel, batch in batches.items()
        }
    sent = []
    by_id = {each.id: each for batch in messages.values() for each in batch}
    to_send = {channel: messages[channel.name] for channel in batches}
    end = time.monotonic() + settings.alert_timeout_s
    for message_id, delivery in deliver(to_send, settings.alert_timeout_s):
        one = Sent(by_id[message_id], delivery)
        sent.append(one)
        with book.change(state) as ledger:  # at once: a kill while others wait repeats it not
            _note(ledger, one, now)
        if time.monotonic() > end:  # Dagster waits a minute for a sensor; the rest has its turn
            break
    with book.change(state) as ledger:
        _untried(ledger, messages)
    return sent


def _batch(ledger: Ledger, channel: str, now: datetime) -> list[Waiting]:
    """The messages for a channel, the critical and the oldest first, if its turn has come. One that
    it has refused again and again must not keep the rest from it, and stands last. What is said of
    the same stays in its order.
    """
    found = [each for each in ledger.waiting if channel in each.channels]
    stubborn = {each.key for each in found if each.channels[channel].tries >= _STUBBORN}
    urgent = {each.key for each in found if each.message.severity == "critical"}
    found = sorted(found, key=lambda each: (each.key in stubborn, each.key not in urgent))
    found = found[:_AT_ONCE]
    return found if found and found[0].channels[channel].next_at <= now else []


def _marked(waiting: Waiting, channel: str, language: str) -> Message:
    """The message as it is sent now. It is marked first: whoever finds the mark after a crash knows
    that it may have arrived.
    """
    attempt = waiting.channels[channel]
    attempt.tries += attempt.sending  # of one that a crash cut off: nobody knows what came of it
    attempt.sending = True
    message = waiting.message
    if not attempt.tries:
        return message
    return message.model_copy(update={"body": f"{message.body}\n{_AGAIN[language]}"})


def _note(ledger: Ledger, sent: Sent, now: datetime) -> None:
    """Write down what came of an attempt."""
    name, outcome = sent.delivery.channel, sent.delivery
    for waiting in ledger.waiting:
        if waiting.message.id == sent.message.id and name in waiting.channels:
            tried = waiting.channels[name].tries
            # not by age alone: a machine may have slept, and its network be late when it wakes
            given_up = now - waiting.message.at > _GIVE_UP and tried > _MANY and not outcome.arrived
            ledger.lost += given_up
            # who takes it and never says so in time must not get it for a week
            enough = outcome.perhaps and tried + 1 >= _PERHAPS
            if outcome.arrived or given_up or enough:
                del waiting.channels[name]
            else:
                _failed(waiting.channels[name], outcome, now)
    if outcome.arrived:
        ledger.troubles.pop(name, None)
    else:
        since = ledger.troubles.get(name)
        ledger.troubles[name] = Trouble(since=since.since if since else now, said=outcome.said)
    ledger.waiting = [each for each in ledger.waiting if each.channels]


def _untried(ledger: Ledger, batched: Collection[str]) -> None:
    """What is still marked was not tried, because an earlier one failed."""
    for waiting in ledger.waiting:
        for name in waiting.channels.keys() & batched:
            waiting.channels[name].sending = False


def _failed(attempt: Attempt, outcome: Delivery, now: datetime) -> None:
    pause = min(_FIRST_S * 2.0 ** min(attempt.tries, 20), _LAST_S)
    attempt.tries += 1
    attempt.sending = False
    attempt.next_at = now + timedelta(seconds=pause)
    attempt.said = outcome.said


def _forget(ledger: Ledger, known: Collection[str], now: datetime) -> None:
    """What waits in vain for a channel that nobody has configured for a week; and a clock that went
    back. Whoever looks may have fewer channels than the others, so that absence alone is nothing.
    """
    for waiting in ledger.waiting:
        old = now - waiting.message.at > _GIVE_UP
        for name, attempt in list(waiting.channels.items()):
            if name not in known and old:
                del waiting.channels[name]
            elif attempt.next_at - now > timedelta(seconds=_LAST_S):
                attempt.next_at = now
    for name, trouble in list(ledger.troubles.items()):
        if name not in known and now - trouble.since > _GIVE_UP:
            del ledger.troubles[name]
    ledger.waiting = [each for each in ledger.waiting if each.channels]
