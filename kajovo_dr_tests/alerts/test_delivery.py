"""Under test: what waits is sent until it arrived, to real receivers, over kills of real processes.

Not here: one attempt (``test_channels``), what is said (``test_transitions``).
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from kajovo_dr.alerts import channels, delivery
from kajovo_dr.alerts import ledger as book
from kajovo_dr.alerts.message import Message, Severity
from kajovo_dr.process import wait_until
from kajovo_dr.settings import Settings
from kajovo_dr_tests.alerts.receivers import PATIENCE_S, HttpReceiver
from kajovo_dr_tests.shell import ROOT

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
AGAIN = "Sent again: an earlier attempt may have arrived."
#: A process that sends what waits, as a look does.
SENDER = """
import sys
from datetime import datetime
from kajovo_dr.alerts import channels, delivery
from kajovo_dr.process import wait_until
from kajovo_dr.settings import Settings
settings = Settings.load()
known = channels.channels(settings)
print(len(delivery.deliver_waiting(settings, known, datetime.fromisoformat(sys.argv[1]))))
"""


class Post:
    """A ledger, channels, and a clock that the test moves."""

    def __init__(self, state: Path, *urls: str, timeout_s: float = PATIENCE_S) -> None:
        self.now = NOW
        self.state = state
        self.settings = Settings(state=state, alert_timeout_s=timeout_s)
        self.configure(*urls)

    def configure(self, *urls: str, **more: object) -> None:
        secret = SecretStr(" ".join(urls))
        self.settings = self.settings.with_overrides(alert_urls=secret, **more)

    def write(self, *names: str, severity: Severity = "critical") -> None:
        with book.change(self.state) as ledger:
            for name in names:
                message = Message(
                    id=name,
                    kind=severity,
                    severity=severity,
                    audience=(severity,),
                    title=f"title {name}",
                    body=f"body {name}",
                    at=self.now,
                )
                takers = [each.name for each in channels.channels(self.settings)]
                book.queue(ledger, name[0], message, takers, self.now)

    def send(self, *, seconds: float = 0) -> list[str]:
        """What came of each attempt, some time later."""
        self.now += timedelta(seconds=seconds)
        known = channels.channels(self.settings)
        sent = delivery.deliver_waiting(self.settings, known, self.now)
        return sorted(
            f"{each.message.id} {each.delivery.channel} {each.delivery.arrived}" for each in sent
        )

    def waiting(self) -> dict[str, list[str]]:
        return {each.message.id: sorted(each.channels) for each in self.ledger.waiting}

    @property
    def ledger(self) -> book.Ledger:
        return book.read(self.state)

    def sender(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", SENDER, self.now.isoformat()],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )


@pytest.fixture
def second() -> Iterator[HttpReceiver]:
    with HttpReceiver("/second") as receiver:
        yield receiver


@pytest.fixture
def post(state: Path, http_receiver: HttpReceiver, second: HttpReceiver) -> Post:
    return Post(state, http_receiver.url, second.url)


def said(receiver: HttpReceiver) -> list[str]:
    """Bodies that arrived, in order; with a star when they say that they were sent again."""
    bodies = [request.json["message"] for request in receiver.requests]
    return [each.replace(f"\n{AGAIN}", "*").removeprefix("body ") for each in bodies]


# ------------------------------------------------------------------------------------ it arrives


def test_what_waits_is_sent_once_to_each_channel_in_order(
    post: Post, http_receiver: HttpReceiver, second: HttpReceiver
) -> None:
    post.write("1", "2", "3")
    assert len(post.send()) == 6
    assert said(http_receiver) == said(second) == ["1", "2", "3"]
    assert post.waiting() == {}
    assert post.send(seconds=9999) == []


def test_nothing_that_waits_writes_nothing(post: Post) -> None:
    assert post.send() == []
    assert not book.path_of(post.state).exists()


def test_of_many_messages_a_channel_gets_a_few_at_a_time_in_order(
    post: Post, http_receiver: HttpReceiver
) -> None:
    names = [str(number) for number in range(12)]
    post.write(*names)
    assert [len(post.send()) for _ in range(4)] == [10, 10, 4, 0]
    assert said(http_receiver) == names


# ------------------------------------------------------------------------------------- it fails


def test_a_receiver_that_is_down_gets_it_once_when_it_is_back_and_others_at_once(
    post: Post, http_receiver: HttpReceiver, second: HttpReceiver
) -> None:
    http_receiver.down()
    post.write("1", "2")
    assert post.send() == ["1 json-1 False", "1 json-2 True", "2 json-2 True"]
    assert post.waiting() == {"1": ["json-1"], "2": ["json-1"]}
    http_receiver.up()
    assert post.send(seconds=10) == []
    assert post.send(seconds=15) == ["1 json-1 True", "2 json-1 True"]
    assert said(http_receiver) == ["1*", "2"]  # the second was never begun
    assert said(second) == ["1", "2"]
    assert post.waiting() == {}


def test_the_pauses_grow_up_to_a_quarter_of_an_hour(
    post: Post, http_receiver: HttpReceiver
) -> None:
    http_receiver.answer(500)
    post.configure(http_receiver.url)
    post.write("1")
    pauses, waited = [], 0
    for _ in range(2 * 3600 // 10):
        if post.send(seconds=10):
            pauses.append(waited)
            waited = 0
        waited += 10
    assert pauses[:9] == [0, 20, 40, 80, 160, 320, 640, 900, 900]
    http_receiver.answer()
    post.send(seconds=900)
    assert said(http_receiver)[-1] == "1*"
    assert post.waiting() == {}


def test_what_a_channel_said_is_remembered_until_it_takes_something(
    post: Post, http_receiver: HttpReceiver
) -> None:
    http_receiver.answer(500)
    post.write("1")
    post.send()
    post.send(seconds=30)
    trouble = post.ledger.troubles["json-1"]
    assert (trouble.since, trouble.said) == (NOW, "refused: HTTP 500 Internal Server Error")
    assert post.ledger.waiting[0].channels["json-1"].said == trouble.said
    assert list(post.ledger.troubles) == ["json-1"]
    http_receiver.answer()
    post.send(seconds=60)
    assert post.ledger.troubles == {}


def test_a_slow_receiver_holds_up_nobody_and_is_asked_again(
    post: Post, http_receiver: HttpReceiver, second: HttpReceiver
) -> None:
    http_receiver.slow()
    post.configure(http_receiver.url, second.url, alert_timeout_s=0.4)
    post.write("1")
    assert post.send() == ["1 json-1 False", "1 json-2 True"]
    http_receiver.release()
    http_receiver.answer()
    post.configure(http_receiver.url, second.url, alert_timeout_s=PATIENCE_S)
    assert post.send(seconds=30) == ["1 json-1 True"]
    assert said(http_receiver) == ["1", "1*"]


def test_it_says_in_czech_that_it_is_sent_again(post: Post, http_receiver: HttpReceiver) -> None:
    post.configure(http_receiver.url, language="cs")
    http_receiver.answer_in_turn(500, 200)
    post.write("1")
    post.send()
    post.send(seconds=30)
    assert (
        http_receiver.requests[1]
        .json["message"]
        .endswith("\nPosláno znovu: dřívější pokus mohl dorazit.")
    )


def test_what_fails_for_a_week_is_given_up_and_counted(
    post: Post, http_receiver: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "_MANY", 1)
    http_receiver.down()
    post.configure(http_receiver.url)
    post.write("1")
    post.send()
    post.send(seconds=6 * 86_400)
    post.write("2")
    assert post.ledger.lost == 0
    assert post.send(seconds=86_401) == ["1 json-1 False"]
    assert (post.waiting(), post.ledger.lost) == ({"2": ["json-1"]}, 1)
    http_receiver.up()
    assert post.send(seconds=900) == ["2 json-1 True"]
    assert post.ledger.lost == 1


def test_what_waited_while_the_machine_slept_is_sent_however_old_it_is(
    post: Post, http_receiver: HttpReceiver
) -> None:
    post.write("1")
    assert len(post.send(seconds=30 * 86_400)) == 2
    assert said(http_receiver) == ["1"]
    assert post.ledger.lost == 0


def test_what_failed_only_now_and_then_in_a_week_is_not_given_up(
    post: Post, http_receiver: HttpReceiver
) -> None:
    http_receiver.down()
    post.configure(http_receiver.url)
    post.write("1")
    post.send()
    assert post.send(seconds=30 * 86_400) == ["1 json-1 False"]
    http_receiver.up()
    assert post.send(seconds=900) == ["1 json-1 True"]


def test_what_is_critical_does_not_wait_behind_a_flood_of_warnings(
    post: Post, http_receiver: HttpReceiver
) -> None:
    post.configure(http_receiver.url)
    for number in range(12):
        post.write(f"{number:x}", severity="warning")
    post.write("z")
    post.send()
    assert said(http_receiver)[0] == "z"


def test_who_takes_it_and_never_says_so_in_time_gets_it_three_times(
    post: Post, http_receiver: HttpReceiver
) -> None:
    http_receiver.slow()
    post.configure(http_receiver.url, alert_timeout_s=0.2)
    post.write("1")
    for _ in range(5):
        post.send(seconds=1000)
    assert len(http_receiver.requests) == 3
    assert post.waiting() == {}
    assert post.ledger.troubles["json-1"].said == "no answer within 0.2 s"


def test_a_clock_that_went_back_holds_up_nothing(post: Post, http_receiver: HttpReceiver) -> None:
    http_receiver.answer_in_turn(500, 200)
    post.configure(http_receiver.url)
    post.write("1")
    post.send()
    assert post.send(seconds=-86_400) == ["1 json-1 True"]


def test_a_message_that_is_always_refused_lets_others_pass_but_none_of_the_same(
    post: Post, http_receiver: HttpReceiver
) -> None:
    post.configure(http_receiver.url)
    http_receiver.answer(400)
    post.write("a1", "a2", "b1")
    for _ in range(12):
        post.send(seconds=1000)
    assert said(http_receiver)[-1] == "a1*"
    http_receiver.answer(200)
    post.send(seconds=1000)
    assert sorted(said(http_receiver)[-3:]) == ["a1*", "a2", "b1*"]
    assert said(http_receiver)[-3:].index("a1*") < said(http_receiver)[-3:].index("a2")
    assert "b1" in said(http_receiver)[:-3]  # it was tried while the first was refused


def test_who_has_fewer_channels_leaves_the_others_their_messages(
    post: Post, http_receiver: HttpReceiver, second: HttpReceiver
) -> None:
    second.down()
    post.write("1")
    post.send()
    post.configure(http_receiver.url)
    assert post.send(seconds=60) == []
    second.up()
    post.configure(http_receiver.url, second.url)
    assert post.send(seconds=120) == ["1 json-2 True"]


def test_a_channel_that_is_gone_for_a_week_is_forgotten(
    post: Post, http_receiver: HttpReceiver, second: HttpReceiver
) -> None:
    second.down()
    post.write("1")
    post.send()
    post.configure(http_receiver.url)
    assert post.send(seconds=8 * 86_400) == []
    assert (post.waiting(), post.ledger.lost) == ({}, 0)


# ------------------------------------------------------------------------------- kills, and two


@pytest.fixture
def in_environment(post: Post, monkeypatch: pytest.MonkeyPatch) -> Post:
    """For senders in processes of their own."""
    assert post.settings.alert_urls is not None
    monkeypatch.setenv("KAJOVO_DR_STATE", str(post.state))
    monkeypatch.setenv("KAJOVO_DR_ALERT_URLS", post.settings.alert_urls.get_secret_value())
    return post


def killed_while_held(post: Post, receiver: HttpReceiver) -> None:
    """Killed while a receiver holds its request, when what others took is written down."""
    receiver.slow()
    sender = post.sender()
    receiver.wait_held(1)
    sender.kill()
    sender.communicate(timeout=PATIENCE_S)
    receiver.release()
    receiver.answer()


def test_what_was_being_sent_when_the_process_was_killed_is_sent_again_and_says_so(
    in_environment: Post, http_receiver: HttpReceiver
) -> None:
    post = in_environment
    post.write("1")
    killed_while_held(post, http_receiver)
    assert "json-1" in post.waiting()["1"]  # the ledger is whole
    assert "1 json-1 True" in post.send()
    assert said(http_receiver) == ["1", "1*"]
    assert post.waiting() == {}


def test_what_others_took_before_the_kill_they_do_not_get_again(
    in_environment: Post, http_receiver: HttpReceiver, second: HttpReceiver
) -> None:
    post = in_environment
    post.write("1")
    http_receiver.slow()
    sender = post.sender()
    http_receiver.wait_held(1)
    assert wait_until(lambda: post.waiting() == {"1": ["json-1"]}, timeout=PATIENCE_S)
    sender.kill()
    sender.communicate(timeout=PATIENCE_S)
    http_receiver.release()
    http_receiver.answer()
    assert post.send() == ["1 json-1 True"]
    assert said(second) == ["1"]


def test_a_message_that_a_kill_left_unsent_says_so_although_an_earlier_one_fails_first(
    in_environment: Post, http_receiver: HttpReceiver
) -> None:
    post = in_environment
    post.write("1", "2")
    killed_while_held(post, http_receiver)
    http_receiver.answer_in_turn(500, 200, 200)
    post.send()
    assert post.send(seconds=60) == ["1 json-1 True", "2 json-1 True"]
    assert said(http_receiver) == ["1", "1*", "1*", "2*"]


def test_what_was_written_down_and_not_begun_is_sent_once_and_as_new(
    in_environment: Post, http_receiver: HttpReceiver
) -> None:
    """Whoever writes a message while another process sends leaves it to the next look."""
    post = in_environment
    post.write("1")
    http_receiver.slow()
    sender = post.sender()
    http_receiver.wait_held(1)
    post.write("2")
    assert post.send() == []  # one process sends at a time
    sender.kill()
    sender.communicate(timeout=PATIENCE_S)
    http_receiver.release()
    http_receiver.answer()
    post.send()
    assert said(http_receiver) == ["1", "1*", "2"]
    assert post.waiting() == {}


def test_of_processes_that_send_at_once_one_sends(
    in_environment: Post, http_receiver: HttpReceiver, second: HttpReceiver
) -> None:
    post = in_environment
    post.write("1", "2")
    senders = [post.sender() for _ in range(3)]
    counts = [int(each.communicate(timeout=PATIENCE_S)[0]) for each in senders]
    assert sorted(counts) == [0, 0, 4]
    assert said(http_receiver) == said(second) == ["1", "2"]
