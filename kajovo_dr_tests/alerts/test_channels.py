"""Under test: channels, with real receivers on loopback that fail in every way a test can make.

Not here: what is sent again later, and the words of messages.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import get_args

import pytest
from pydantic import SecretStr

from kajovo_dr.alerts.channels import Channel, Delivery, channels, deliver
from kajovo_dr.alerts.message import Kind, Message, Severity
from kajovo_dr.errors import SettingError
from kajovo_dr.settings import Settings
from kajovo_dr_tests.alerts.receivers import HOST, PATIENCE_S, HttpReceiver, MailReceiver
from kajovo_dr_tests.shell import ROOT

TITLE = "Záloha „hotel“ chybí: žluťoučký kůň 🛎️"
#: Everything that somebody on the way might take for something else than text.
BODY = (
    "Co: **nic** _se_ `nestalo` # ani * toto\n"
    "Kde: C:\\nový\\tábor a \\n doslova, %s {x} ${HOME} :smile: <b>&amp;</b>\n"
    "\n"
    "  Dál: kajovo-dr list | more > x; https://hotel.cz/a_b_c?x=1&y=2\n"
    "error=418 no targets to notify"
)
#: Seconds, for what never answers.
SOON_S = 0.4


def message(
    kind: Kind = "warning",
    audience: Sequence[Severity] = ("warning",),
    *,
    name: str = "1",
    title: str = TITLE,
    body: str = BODY,
) -> Message:
    severity: Severity = "critical" if kind == "critical" else "warning"
    return Message(
        id=name,
        kind=kind,
        severity=severity,
        audience=tuple(audience),
        title=title,
        body=body,
        at=datetime.now(UTC),
    )


def configured(*urls: str, warning: str = "", critical: str = "") -> list[Channel]:
    return channels(
        Settings(
            alert_urls=SecretStr(" ".join(urls)),
            alert_warning_urls=SecretStr(warning),
            alert_critical_urls=SecretStr(critical),
        )
    )


def sent(url: str, *messages: Message, timeout_s: float = PATIENCE_S) -> list[Delivery]:
    (channel,) = configured(url)
    return [each for _, each in deliver({channel: messages or [message()]}, timeout_s)]


# ------------------------------------------------------------------------------------ it arrives


def test_a_message_arrives_once_by_http_as_it_was_written(http_receiver: HttpReceiver) -> None:
    (delivery,) = sent(http_receiver.url)
    (request,) = http_receiver.requests
    assert (request.method, request.path) == ("POST", "/alerts")
    assert request.json["title"] == TITLE
    assert request.json["message"] == BODY
    assert delivery.channel == "json-1"
    assert delivery.arrived
    assert delivery.said.startswith("accepted by the receiver")


def test_a_message_arrives_once_by_mail_as_it_was_written(mail_receiver: MailReceiver) -> None:
    (delivery,) = sent(mail_receiver.url)
    (mail,) = mail_receiver.mails
    assert mail.subject == TITLE
    assert mail.body == BODY
    assert mail.message.get_content_type() == "text/plain"
    assert mail.sender == "zalohy@hotel.cz"
    assert mail.recipients == ["spravce@hotel.cz"]
    assert mail.login == (mail_receiver.user, mail_receiver.password)
    assert delivery.arrived
    assert delivery.said == (
        "accepted by the mail server; whether it reaches the mailbox is not known"
    )


def test_a_url_cannot_have_the_text_changed(http_receiver: HttpReceiver) -> None:
    sent(f"{http_receiver.url}?emojis=yes&overflow=truncate&optional=yes&retry=3")
    (request,) = http_receiver.requests
    assert request.json["message"] == BODY


def test_a_mail_in_html_shows_the_text_as_it_was_written(mail_receiver: MailReceiver) -> None:
    sent(f"{mail_receiver.url}&format=html")
    html = mail_receiver.mails[0].message.get_body(("html",))
    assert html is not None
    assert "&lt;b&gt;&amp;amp;&lt;/b&gt;" in html.get_content()


@pytest.mark.parametrize(
    ("kind", "shown"),
    [("warning", "warning"), ("critical", "failure"), ("over", "success"), ("test", "info")],
)
def test_a_receiver_is_told_how_urgent_it_is(
    http_receiver: HttpReceiver, kind: Kind, shown: str
) -> None:
    sent(http_receiver.url, message(kind))
    assert http_receiver.requests[0].json["type"] == shown


def test_a_title_is_one_line_and_nobody_writes_headers_with_it(
    http_receiver: HttpReceiver, mail_receiver: MailReceiver
) -> None:
    about = message(title="a\r\nBcc: zlodej@jinde.cz\n\n b")
    for url in (http_receiver.url, mail_receiver.url):
        (delivery,) = sent(url, about)
        assert delivery.arrived
    assert http_receiver.requests[0].json["title"] == "a Bcc: zlodej@jinde.cz b"
    assert mail_receiver.mails[0].subject == "a Bcc: zlodej@jinde.cz b"
    assert mail_receiver.mails[0].recipients == ["spravce@hotel.cz"]


def test_a_message_without_a_text_is_its_title(http_receiver: HttpReceiver) -> None:
    (delivery,) = sent(http_receiver.url, message(body=" \n"))
    assert delivery.arrived
    assert http_receiver.requests[0].json["message"] == TITLE


def test_what_is_too_long_for_a_service_comes_in_parts(http_receiver: HttpReceiver) -> None:
    lines = [f"{number} žluťoučký kůň příšerně" for number in range(2000)]
    (delivery,) = sent(http_receiver.url, message(body="\n".join(lines)))
    assert delivery.arrived
    parts = [request.json["message"] for request in http_receiver.requests]
    assert len(parts) > 1
    assert "\n".join(parts).split() == "\n".join(lines).split()


def test_the_parts_of_a_long_mail_need_no_more_than_the_time_of_one(
    mail_receiver: MailReceiver,
) -> None:
    # Apprise by itself waits 5.5 s between two
    (delivery,) = sent(mail_receiver.url, message(body="slovo " * 7000), timeout_s=5)
    assert delivery.arrived
    assert len(mail_receiver.mails) == 2


# ------------------------------------------------------------------------------ who gets what


def test_channels_are_named_by_schema_and_position_among_all() -> None:
    found = configured(
        "JSON://a/1", "\n\tmailtos://u:p@hotel.cz ", warning="ntfy://téma", critical="json://a/1"
    )
    assert [channel.name for channel in found] == ["json-1", "mailtos-2", "ntfy-3", "json-4"]
    assert [sorted(channel.severities) for channel in found] == [
        ["critical", "warning"],
        ["critical", "warning"],
        ["warning"],
        ["critical"],
    ]


def test_the_url_that_a_service_itself_gives_out_is_understood() -> None:
    url = "https://discord.com/api/webhooks/4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js"
    assert [channel.name for channel in configured(url)] == ["discord-1"]


def test_nothing_configured_is_no_channel() -> None:
    assert channels(Settings()) == []
    assert configured(" ", warning="\n") == []


def test_a_channel_takes_what_its_audience_is_told() -> None:
    both, warning, critical = configured("json://a", warning="json://a", critical="json://a")
    taken = {
        audience: [each.name for each in (both, warning, critical) if each.takes(about)]
        for audience in ("warning", "critical")
        for about in [message("over", [audience])]
    }
    assert taken == {"warning": ["json-1", "json-2"], "critical": ["json-1", "json-3"]}
    assert all(each.takes(message(audience=get_args(Severity))) for each in (both, warning))


def test_a_test_goes_to_every_channel() -> None:
    found = configured("json://a", warning="json://a", critical="json://a")
    assert all(each.takes(message("test", [])) for each in found)


# ------------------------------------------------------------------------------ it does not arrive


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (500, "refused: HTTP 500 Internal Server Error"),
        (429, "refused: HTTP 429 Too Many Requests"),
        (404, "refused: HTTP 404 Not Found"),
        (599, "refused: HTTP 599"),
    ],
)
def test_a_status_that_is_no_success_is_a_failure(
    http_receiver: HttpReceiver, status: int, said: str
) -> None:
    http_receiver.answer(status)
    (delivery,) = sent(http_receiver.url)
    assert not delivery.arrived
    assert delivery.said == said


def test_a_receiver_that_sends_elsewhere_has_not_taken_it(http_receiver: HttpReceiver) -> None:
    http_receiver.answer(302, location="/elsewhere")
    (delivery,) = sent(http_receiver.url)
    assert not delivery.arrived
    assert delivery.said == "refused: HTTP 302 Found"
    assert [request.path for request in http_receiver.requests] == ["/alerts"]


@pytest.mark.parametrize("code", [550, 451])
def test_a_mail_that_is_rejected_is_a_failure(mail_receiver: MailReceiver, code: int) -> None:
    mail_receiver.reject(code)
    (delivery,) = sent(mail_receiver.url)
    assert not delivery.arrived
    assert delivery.said == f"refused: SMTP {code}"
    assert mail_receiver.mails == []


def test_a_failure_says_what_can_be_known_of_it(
    http_receiver: HttpReceiver, mail_receiver: MailReceiver
) -> None:
    wrong = mail_receiver.url.replace(mail_receiver.password, "jine")
    said = {
        "wrong password": sent(wrong),
        "no TLS there": sent(http_receiver.url.replace("json", "jsons")),
        "no STARTTLS there": sent(mail_receiver.url.replace("mode=insecure", "mode=starttls")),
        "no receiver": sent("ntfy://"),
        # what Apprise does not expect, and lets through
        "not in Latin": sent(http_receiver.url.replace(HOST, f"kůň:heslo@{HOST}"), timeout_s=5),
    }
    http_receiver.refuse()
    mail_receiver.down()
    said["closes"] = sent(http_receiver.url)
    said["nobody"] = sent(mail_receiver.url)
    assert not any(each.arrived for (each,) in said.values())
    assert {why: each.said for why, (each,) in said.items()} == {
        "wrong password": "refused: SMTP 535",
        "no TLS there": "no encrypted connection comes about",
        "no STARTTLS there": "the mail server cannot do what the URL asks for",
        "no receiver": "its URL names no receiver",
        "not in Latin": "a character of its URL or of the message cannot be sent there",
        "closes": "the connection broke before an answer",
        "nobody": "cannot connect: nobody listens there",
    }


@pytest.mark.parametrize("how", ["slow", "drip"])
def test_a_receiver_that_does_not_come_to_an_end_is_given_up(
    http_receiver: HttpReceiver, how: str
) -> None:
    getattr(http_receiver, how)()
    (delivery,) = sent(http_receiver.url, timeout_s=SOON_S)
    assert not delivery.arrived
    assert delivery.said == "no answer within 0.4 s"
    assert delivery.seconds >= SOON_S
    assert http_receiver.held == 1


def test_a_mail_server_that_does_not_answer_is_given_up(mail_receiver: MailReceiver) -> None:
    mail_receiver.slow()
    (delivery,) = sent(mail_receiver.url, timeout_s=SOON_S)
    assert delivery.said == "no answer within 0.4 s"


def test_a_receiver_has_the_time_of_the_setting_whatever_its_url_says(
    http_receiver: HttpReceiver,
) -> None:
    http_receiver.slow(0.6)
    (delivery,) = sent(f"{http_receiver.url}?rto=0.1&cto=0.1")
    assert delivery.arrived


# ------------------------------------------------------------------------------ several at a time


def test_a_slow_channel_does_not_hold_up_the_others(
    http_receiver: HttpReceiver, mail_receiver: MailReceiver
) -> None:
    http_receiver.slow()
    slow, quick = configured(http_receiver.url, mail_receiver.url)
    http = deliver({slow: [message()], quick: [message(name="1"), message(name="2")]}, PATIENCE_S)
    first = [next(http), next(http)]
    http_receiver.wait_held(1)  # it has not answered yet
    assert [(name, each.channel, each.arrived) for name, each in first] == [
        ("1", "mailto-2", True),
        ("2", "mailto-2", True),
    ]
    http_receiver.release()
    assert [(name, each.channel, each.arrived) for name, each in http] == [("1", "json-1", True)]


def test_all_channels_are_asked_at_the_same_time() -> None:
    with HttpReceiver() as one, HttpReceiver() as two:
        one.slow()
        two.slow()
        found = configured(one.url, two.url)
        deliveries = deliver({channel: [message()] for channel in found}, PATIENCE_S)
        one.wait_held(1)
        two.wait_held(1)
        two.release()
        assert next(deliveries)[1].channel == "json-2"
        one.release()
        assert next(deliveries)[1].channel == "json-1"


def test_a_channel_gets_its_messages_in_order(http_receiver: HttpReceiver) -> None:
    names = [str(number) for number in range(12)]
    (channel,) = configured(http_receiver.url)
    batch = [message(name=name, body=name) for name in names]
    assert [name for name, _ in deliver({channel: batch}, PATIENCE_S)] == names
    assert [request.json["message"] for request in http_receiver.requests] == names


def test_the_first_failure_ends_the_batch_of_its_channel_alone(
    http_receiver: HttpReceiver, mail_receiver: MailReceiver
) -> None:
    http_receiver.answer_in_turn(200, 500, 200)
    batch = [message(name=name, body=name) for name in "abc"]
    found = configured(http_receiver.url, mail_receiver.url)
    deliveries = list(deliver(dict.fromkeys(found, batch), PATIENCE_S))
    by_channel = {
        channel.name: [
            (name, each.arrived) for name, each in deliveries if each.channel == channel.name
        ]
        for channel in found
    }
    assert by_channel == {
        "json-1": [("a", True), ("b", False)],
        "mailto-2": [("a", True), ("b", True), ("c", True)],
    }
    assert [request.json["message"] for request in http_receiver.requests] == ["a", "b"]


def test_a_receiver_that_comes_back_gets_it_the_next_time(
    http_receiver: HttpReceiver, mail_receiver: MailReceiver
) -> None:
    found = configured(http_receiver.url, mail_receiver.url)
    batches = {channel: [message()] for channel in found}
    http_receiver.down()
    mail_receiver.down()
    assert [each.arrived for _, each in deliver(batches, PATIENCE_S)] == [False, False]
    http_receiver.up()
    mail_receiver.up()
    assert [each.arrived for _, each in deliver(batches, PATIENCE_S)] == [True, True]
    assert len(http_receiver.requests) == len(mail_receiver.mails) == 1


def test_what_was_not_begun_is_not_sent_when_nobody_asks_any_more(
    http_receiver: HttpReceiver, mail_receiver: MailReceiver
) -> None:
    http_receiver.slow()
    slow, quick = configured(http_receiver.url, mail_receiver.url)
    deliveries = deliver({slow: [message(), message()], quick: [message()]}, PATIENCE_S)
    assert isinstance(deliveries, Iterator)
    next(deliveries)
    http_receiver.wait_held(1)
    deliveries.close()  # type: ignore[attr-defined] # a generator
    http_receiver.release()
    for thread in threading.enumerate():
        if "_deliver_in_order" in thread.name:
            thread.join(PATIENCE_S)
    assert len(http_receiver.requests) == 1


def test_no_messages_are_no_deliveries() -> None:
    assert list(deliver({}, 1)) == []
    (channel,) = configured("json://a")
    assert list(deliver({channel: []}, 1)) == []


HANGING = """
import sys
from datetime import UTC, datetime
from kajovo_dr.alerts.channels import channels, deliver
from kajovo_dr.alerts.message import Message
from kajovo_dr.settings import Settings
about = Message(id="1", kind="test", severity="warning", audience=(), title="t", body="b",
                at=datetime.now(UTC))
found = channels(Settings())
print([each.said for _, each in deliver({each: [about] for each in found}, 0.5)])
"""


def test_a_channel_that_hangs_does_not_hold_up_the_end_of_the_process(
    http_receiver: HttpReceiver,
) -> None:
    http_receiver.drip()  # which no time-out of the network ends
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", HANGING],
        env={"KAJOVO_DR_ALERT_URLS": http_receiver.url, "SYSTEMROOT": "C:\\Windows"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_S,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.strip() == "['no answer within 0.5 s']"
    assert len(http_receiver.requests) == 1


# ------------------------------------------------------------------------------ URLs and secrets

SECRET = "t4jn0st"  # of a test
INCOMPLETE = "is not complete, or not one that works on this system"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        (SECRET, "has no schema such as mailtos:// at its beginning"),
        (f"://{SECRET}", "has no schema such as mailtos:// at its beginning"),
        (f"'json://{SECRET}'", "has no schema such as mailtos:// at its beginning"),
        (f"{SECRET}://host/x", "is of no service that Apprise knows"),
        (f"https://host/{SECRET}", "is of no service that Apprise knows"),
        (f"file:///etc/{SECRET}.yml", "is of no service that Apprise knows"),
        (f"config://{SECRET}", "is of no service that Apprise knows"),
        ("json://", f"(json) {INCOMPLETE}"),
        (f"json://host:{SECRET}", f"(json) {INCOMPLETE}"),
        (f"slack://{SECRET}", f"(slack) {INCOMPLETE}"),
        (f"mailto://{SECRET}:x@127.0.0.1", f"(mailto) {INCOMPLETE}"),
        (f"mailtos://u:{SECRET}/x@hotel.cz", f"(mailtos) {INCOMPLETE}"),
        (f"mailtos://u:x@hotel.cz?to={SECRET}", "(mailtos) names a receiver that cannot be one"),
        (f"json://host/{SECRET},", "has a comma or semicolon where a space belongs"),
        (
            f"mailto://u:{SECRET}@host.cz?to=a@host.cz,b@host.cz",
            "(mailto) names several receivers: write one URL for each",
        ),
        (f"json://host/{SECRET};json://host", "has a comma or semicolon where a space belongs"),
        (f"json://host/{SECRET},json://host", "has a comma or semicolon where a space belongs"),
    ],
)
def test_a_url_that_cannot_be_used_is_told_by_its_number_and_not_shown(
    url: str, problem: str
) -> None:
    with pytest.raises(SettingError) as caught:
        configured("json://a", critical=f"json://b\n{url}")
    assert str(caught.value) == f"KAJOVO_DR_ALERT_CRITICAL_URLS: the 2nd URL {problem}"
    assert "mailtos://USER:PASSWORD@HOST" in caught.value.hint
    told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    told.stack[:] = [frame for frame in told.stack if "kajovo_dr_tests" not in frame.filename]
    assert SECRET not in "".join(told.format())
    assert caught.value.__context__ is None


class _Everything(logging.Handler):
    """Remembers all records, as text, with what they hold."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == "mail.log":  # of the test's own mail server
            return
        self.lines.append(f"{record.name} {self.format(record)} {record.__dict__}")


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """All that is logged at DEBUG, anywhere, also by those who listen to a logger by its name."""
    handler = _Everything()
    loggers = [logging.getLogger(name) for name in ("", "apprise", "urllib3.connectionpool")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
        logger.addHandler(handler)
    yield handler.lines
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.removeHandler(handler)


def test_nothing_of_a_url_is_in_any_log_or_anything_that_is_said(
    logged: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    with (
        HttpReceiver(f"/{SECRET}-cesta") as http_receiver,
        MailReceiver(f"{SECRET}-kdo", f"{SECRET}-heslo") as mail_receiver,
    ):
        http = http_receiver.url.replace(HOST, f"{SECRET}-kdo:{SECRET}-heslo@{HOST}")
        http += f"?-dotaz={SECRET}"
        mail = mail_receiver.url.replace("spravce@", f"{SECRET}@")
        said = []
        for status in (200, 500, None):
            http_receiver.answer(status) if status else http_receiver.down()
            mail_receiver.reject() if status else mail_receiver.accept()
            found = configured(http, mail, http.replace("json", "jsons"), f"tgram://1:{SECRET}/")
            said += [repr(found), str(found), repr([found[0].name])]
            said += [
                repr(each) for each in deliver({one: [message()] for one in found[:3]}, PATIENCE_S)
            ]
    assert http_receiver.requests[0].query == {"dotaz": [SECRET]}
    assert mail_receiver.mails[0].recipients == [f"{SECRET}@hotel.cz"]
    written = capfd.readouterr()
    everything = [*logged, *said, written.out, written.err]
    assert [line for line in everything if SECRET in line] == []
    assert [line for line in logged if line.startswith(("apprise", "urllib3"))] == []


def test_others_are_still_heard_when_they_log(
    logged: list[str], http_receiver: HttpReceiver
) -> None:
    sent(http_receiver.url)
    http_receiver.slow()
    (channel,) = configured(http_receiver.url)
    deliveries = deliver({channel: [message()]}, PATIENCE_S)
    http_receiver.wait_held(1)
    logging.getLogger("urllib3.connectionpool").debug("of somebody else, meanwhile")
    http_receiver.release()
    list(deliveries)
    logging.getLogger("urllib3").debug("of somebody else, after it")
    logging.getLogger("apprise").error("of Apprise, whoever called it")
    assert len({line for line in logged if "of somebody else" in line}) == 2
    assert [line for line in logged if "of Apprise" in line] == []
