"""Under test: the trial of the alert path. Not here: the command that asks for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from kajovo_dr.alerts.trial import require_arrived, try_channels
from kajovo_dr.errors import AlertFailed, NotConfigured
from kajovo_dr.settings import Settings
from kajovo_dr_tests.alerts.receivers import HttpReceiver, MailReceiver


@pytest.fixture
def three(state: Path, http_receiver: HttpReceiver, mail_receiver: MailReceiver) -> Settings:
    """A channel for everything, one for warnings, one for what is critical."""
    return Settings(
        state=state,
        alert_urls=SecretStr(http_receiver.url),
        alert_warning_urls=SecretStr(mail_receiver.url),
        alert_critical_urls=SecretStr(f"{http_receiver.url}/pager"),
    )


def test_every_channel_gets_it_whatever_it_is_told_of(
    three: Settings, http_receiver: HttpReceiver, mail_receiver: MailReceiver
) -> None:
    found = try_channels(three, why="the drill 7")
    assert [(each.channel, each.arrived) for each in found] == [
        *(("json-1", True), ("mailto-2", True), ("json-3", True))
    ]
    require_arrived(found)
    assert {each.path for each in http_receiver.requests} == {"/alerts", "/alerts/pager"}
    assert {each.json["type"] for each in http_receiver.requests} == {"info"}  # nothing is wrong
    (mail,) = mail_receiver.mails
    for body in (mail.body, *(each.json["message"] for each in http_receiver.requests)):
        assert "Why: the drill 7\nNext: nothing to do\n" in body
    assert mail.subject.endswith("] TEST: alerts arrive here")


def test_the_ledger_is_not_touched(three: Settings, state: Path) -> None:
    try_channels(three, why="a test")
    assert not state.exists()


def test_it_speaks_czech(three: Settings, mail_receiver: MailReceiver) -> None:
    try_channels(three.with_overrides(language="cs"), why="cvičení 7")
    (mail,) = mail_receiver.mails
    assert mail.subject.endswith("] ZKOUŠKA: sem docházejí upozornění")
    assert "Co: zkouška upozornění, nic se neděje\nProč: cvičení 7\nDál: " in mail.body


def test_what_does_not_arrive_is_named_without_its_url(
    three: Settings, http_receiver: HttpReceiver
) -> None:
    http_receiver.answer(500)
    found = try_channels(three, why="a test")
    assert [each.arrived for each in found] == [False, True, False]
    with pytest.raises(AlertFailed, match=r"^2 of 3 channels failed: json-1: .*; json-3: ") as said:
        require_arrived(found)
    assert "HTTP 500" in str(said.value)
    assert str(http_receiver.port) not in said.value.described()


@pytest.mark.parametrize("unset", [{}, {"alert_urls": SecretStr("  ")}])
def test_without_a_channel_nobody_would_be_told(state: Path, unset: dict[str, Any]) -> None:
    found = try_channels(Settings(state=state, **unset), why="a test")
    assert found == []
    with pytest.raises(NotConfigured, match="nobody would be told") as said:
        require_arrived(found)
    assert "KAJOVO_DR_ALERT_URLS" in said.value.hint
