"""Receivers of alerts, for the tests of this room. Not here: how they behave (``receivers``)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kajovo_dr_tests.alerts.receivers import HttpReceiver, MailReceiver


@pytest.fixture
def http_receiver() -> Iterator[HttpReceiver]:
    with HttpReceiver() as receiver:
        yield receiver


@pytest.fixture
def mail_receiver() -> Iterator[MailReceiver]:
    with MailReceiver() as receiver:
        yield receiver
