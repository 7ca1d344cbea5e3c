"""What is logged while a secret URL is asked: kept from everybody, and read for what went wrong.

Belongs here: log records and errors of Apprise and of HTTP clients, and what they mean. Not here:
the sending (``courier``, ``heartbeat``).

Apprise and what it stands on write URLs into their records and into their errors, and a URL is
secret as a whole. So every logger of this process drops what is logged on a courier's way. Before
that, Apprise's own records are read for the number of a status and the kind of an error, and for
nothing else.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import re
import smtplib
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from http import HTTPStatus

_STATUS = re.compile(r"\b(error=|was refused: )(\d{3})\b")
#: As some services say it of themselves, before they send anything.
_NOBODY = re.compile(r"\bnot?\b.* to notify\b", re.IGNORECASE)
_here = threading.local()


class Heard:
    """What Apprise's records say of a failure. dropped: it does not take a part of the URL."""

    def __init__(self) -> None:
        self.status = ""
        self.failure: BaseException | None = None
        self.dropped = False

    def hear(self, record: logging.LogRecord) -> None:
        self.failure = sys.exc_info()[1] or self.failure  # it is logged where it was caught
        # below that, it quotes our message, which may say anything
        if record.levelno >= logging.WARNING:
            self._understand(record.getMessage())

    def _understand(self, said: str) -> None:
        found = _STATUS.search(said)
        if found is not None:
            smtp = found[1] != "error="
            self.status = f"refused: {_status(int(found[2]), 'SMTP' if smtp else 'HTTP')}"
        elif _NOBODY.search(said):
            self.status = "its URL names no receiver"
        self.dropped = self.dropped or said.startswith("Dropped invalid")

    @property
    def timed_out(self) -> bool:
        """Whether an answer did not come in time, so that the message may have arrived."""
        import requests

        waited = (TimeoutError, requests.exceptions.ReadTimeout)
        found = _chain(self.failure) if self.failure is not None else iter(())
        return not self.status and any(isinstance(each, waited) for each in found)

    def why(self, timeout_s: float) -> str:
        """Why a message was not taken, as far as it is known."""
        if self.status or self.failure is None:
            return self.status or "not accepted; nothing more is known"
        return _reason(self.failure, timeout_s) or f"failed: {type(self.failure).__name__}"


class _Deaf(logging.Filter):
    """Drops what is logged on a courier's way; and all that Apprise logs."""

    def filter(self, record: logging.LogRecord) -> bool:
        heard: Heard | None = getattr(_here, "heard", None)
        of_apprise = record.name == "apprise"
        if heard is not None and of_apprise:
            with contextlib.suppress(Exception):  # of a record that does not fit its arguments
                heard.hear(record)
        return heard is None and not of_apprise


_DEAF = _Deaf()


def deafen() -> None:
    """Reach the loggers that have come since: a service's library makes its own when imported."""
    logger = logging.getLogger("apprise")
    if logger.level != logging.DEBUG:
        logger.setLevel(logging.DEBUG)  # the cause of a failure is said there
    for each in (logging.root, *logging.root.manager.loggerDict.copy().values()):
        if isinstance(each, logging.Logger):
            each.addFilter(_DEAF)


@contextlib.contextmanager
def listening() -> Iterator[Heard]:
    """Nothing that this thread logs in the block reaches any log."""
    deafen()
    _here.heard = heard = Heard()
    try:
        yield heard
    finally:
        _here.heard = None


def _status(code: int, protocol: str) -> str:
    words = ""
    if protocol == "HTTP" and code in set(HTTPStatus):
        words = f" {HTTPStatus(code).phrase}"
    return f"{protocol} {code}{words}"


def _reason(failure: BaseException, timeout_s: float) -> str:
    """What an error means, told from the kinds of all that it stands on; "" if nothing is known."""
    chain = list(_chain(failure))
    for each in chain:
        code = _smtp_code(each)
        if code:
            return f"refused: {_status(code, 'SMTP')}"
    for kinds, meaning in _meanings():
        if any(isinstance(each, kinds) for each in chain):
            return meaning.format(seconds=f"{timeout_s:g}")
    return ""


def _smtp_code(failure: BaseException) -> int:
    if isinstance(failure, smtplib.SMTPResponseException):
        return failure.smtp_code
    if isinstance(failure, smtplib.SMTPRecipientsRefused):
        return next((code for code, _ in failure.recipients.values()), 0)
    return 0


@functools.cache
def _meanings() -> tuple[tuple[tuple[type[BaseException], ...], str], ...]:
    """From the most telling kind to the least."""
    import requests

    return (
        ((requests.exceptions.ProxyError,), "cannot connect through the proxy"),
        ((socket.gaierror,), "cannot find the host by its name"),
        ((ssl.SSLCertVerificationError,), "the certificate is not trusted"),
        ((ssl.SSLError, requests.exceptions.SSLError), "no encrypted connection comes about"),
        ((ConnectionRefusedError,), "cannot connect: nobody listens there"),
        ((TimeoutError, requests.exceptions.Timeout), "no answer within {seconds} s"),
        ((smtplib.SMTPNotSupportedError,), "the mail server cannot do what the URL asks for"),
        (
            (ConnectionError, requests.exceptions.ConnectionError, smtplib.SMTPServerDisconnected),
            "the connection broke before an answer",
        ),
        ((OSError,), "cannot connect"),
        ((UnicodeError,), "a character of its URL or of the message cannot be sent there"),
    )


def _chain(failure: BaseException) -> Iterator[BaseException]:
    """An error and all that it was raised from or wraps."""
    waiting: list[object] = [failure]
    seen: set[int] = set()
    while waiting:
        each = waiting.pop()
        if isinstance(each, BaseException) and id(each) not in seen:
            seen.add(id(each))
            yield each
            wrapped = (each.__cause__, each.__context__, getattr(each, "reason", None))
            waiting += [*wrapped, *each.args]
