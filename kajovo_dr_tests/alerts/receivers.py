"""Receivers of alerts on loopback: a real HTTP server and a real mail server, whose behaviour the
test changes while they run.

    with HttpReceiver() as receiver:
        receiver.answer(500)         # also: slow, drip, refuse, down, up; answer() is well again
        ... receiver.url ...         # for Apprise
        receiver.wait(1)             # until one request arrived
        receiver.requests[0].json["message"]

Belongs here: what arrives, and how it is answered. Not here: pytest, or what is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
import json
import logging
import socket
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self, TypeVar
from urllib.parse import parse_qs, urlsplit

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

T = TypeVar("T")
HOST = "127.0.0.1"
#: Seconds that a test waits for something to arrive before it fails.
PATIENCE_S = 30.0
_DRIP_S = 0.02
# it writes down each line that it reads, passwords included
logging.getLogger("mail.log").disabled = True


@dataclass(frozen=True)
class Request:
    """What an HTTP client sent. path: without its query. headers: names in lowercase."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Mail:
    """What a mail client sent, decoded. login: user and password, if it gave any."""

    sender: str
    recipients: list[str]
    subject: str
    body: str
    message: EmailMessage
    login: tuple[str, str] | None


class _Receiver:
    """What both have in common: the count of what arrived and of what waits for its answer."""

    port: int

    def __init__(self) -> None:
        self.held = 0
        self._arrived = 0
        self._changed = threading.Condition()
        self._released = threading.Event()
        self._placeholder: socket.socket | None = None

    def __enter__(self) -> Self:
        self._open(0)
        return self

    def __exit__(self, *_: object) -> None:
        self.down()
        if self._placeholder is not None:
            self._placeholder.close()

    def wait(self, count: int) -> None:
        """Until so many arrived, in all, answered or not."""
        self._wait(lambda: self._arrived >= count)

    def wait_held(self, count: int) -> None:
        """Until so many wait for their answer."""
        self._wait(lambda: self.held >= count)

    def release(self) -> None:
        """Answer what is held. Later ones are held again."""
        self._released.set()
        self._wait(lambda: self.held == 0)
        self._released.clear()

    def down(self) -> None:
        """Nobody listens at the port, until `up`. What is held is answered first."""
        if self._placeholder is not None:
            return
        self._released.set()
        self._close()
        # bound and not listening: connections are refused, and nobody else gets the port
        self._placeholder = socket.socket()
        self._placeholder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._placeholder.bind((HOST, self.port))

    def up(self) -> None:
        assert self._placeholder is not None
        self._placeholder.close()
        self._placeholder = None
        self._released.clear()
        self._open(self.port)

    def _wait(self, until: Callable[[], bool]) -> None:
        with self._changed:
            if not self._changed.wait_for(until, PATIENCE_S):
                raise TimeoutError(f"{self._arrived} arrived, {self.held} held")

    def _count(self, *, arrived: int = 0, held: int = 0) -> None:
        with self._changed:
            self._arrived += arrived
            self.held += held
            self._changed.notify_all()

    def _open(self, port: int) -> None:
        raise NotImplementedError

    def _close(self) -> None:
        raise NotImplementedError


class HttpReceiver(_Receiver):
    """An HTTP server that accepts everything, unless it was told otherwise."""

    def __init__(self, path: str = "/alerts") -> None:
        super().__init__()
        self.path = path
        self.requests: list[Request] = []
        self._behave: Callable[[_Handler], None] = _answering(200)
        self._server: _Server | None = None

    @property
    def url(self) -> str:
        """For Apprise."""
        return f"json://{HOST}:{self.port}{self.path}"

    @property
    def plain_url(self) -> str:
        """For an HTTP client."""
        return f"http://{HOST}:{self.port}{self.path}"

    def answer(self, status: int = 200, location: str = "") -> None:
        """Answer at once with a status, and send the client elsewhere if there is a location."""
        self._behave = _answering(status, location)

    def answer_in_turn(self, *statuses: int) -> None:
        """Answer at once, each request with the next status."""
        turns = iter(statuses)
        self._behave = lambda handler: _answering(next(turns))(handler)

    def slow(self, seconds: float = PATIENCE_S) -> None:
        """Answer well, but only after some time, or when released."""
        self._behave = lambda handler: self._hold(handler, seconds)

    def drip(self) -> None:
        """Answer a byte at a time, without end, until released."""
        self._behave = self._drip

    def refuse(self) -> None:
        """Close the connection without an answer."""
        self._behave = lambda handler: None

    def take(self, handler: _Handler) -> None:
        """A request has come in."""
        parts = urlsplit(handler.path)
        size = int(handler.headers.get("Content-Length") or 0)
        headers = {name.lower(): value for name, value in handler.headers.items()}
        body, query = handler.rfile.read(size), parse_qs(parts.query)
        self.requests.append(Request(handler.command, parts.path, query, headers, body))
        behave = self._behave  # as it was when the request came
        self._count(arrived=1)
        behave(handler)

    def _hold(self, handler: _Handler, seconds: float) -> None:
        self._count(held=1)
        self._released.wait(seconds)
        self._count(held=-1)
        _answering(200)(handler)

    def _drip(self, handler: _Handler) -> None:
        self._count(held=1)
        try:
            handler.wfile.write(b"HTTP/1.0 200 OK\r\nX-Drip: ")
            while not self._released.wait(_DRIP_S):
                handler.wfile.write(b".")
        finally:
            self._count(held=-1)

    def _open(self, port: int) -> None:
        self._server = _Server((HOST, port), self)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def _close(self) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()  # waits for the threads of its requests


def _answering(status: int, location: str = "") -> Callable[[_Handler], None]:
    def answer(handler: _Handler) -> None:
        handler.send_response(status)
        if location:
            handler.send_header("Location", location)
        handler.send_header("Content-Length", "2")
        handler.end_headers()
        handler.wfile.write(b"ok")

    return answer


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = PATIENCE_S

    def handle(self) -> None:
        if self.connection.recv(1, socket.MSG_PEEK) != b"\x16":  # TLS is not spoken here
            super().handle()

    def do_POST(self) -> None:
        with contextlib.suppress(ConnectionError, TimeoutError):  # the client has gone
            self.server.receiver.take(self)

    do_GET = do_PUT = do_POST  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Not at all."""


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 50

    def __init__(self, address: tuple[str, int], receiver: HttpReceiver) -> None:
        self.receiver = receiver
        super().__init__(address, _Handler)


class MailReceiver(_Receiver):
    """A mail server that accepts everything, unless it was told otherwise. No TLS."""

    def __init__(self, user: str = "hotel", password: str = "heslo") -> None:  # of a test
        super().__init__()
        self.user, self.password = user, password
        self.mails: list[Mail] = []
        self._reply = ""
        self._slow = False
        self._connections: list[SMTP] = []

    @property
    def url(self) -> str:
        """For Apprise."""
        return (
            f"mailto://{self.user}:{self.password}@{HOST}:{self.port}"
            "?from=zalohy@hotel.cz&to=spravce@hotel.cz&mode=insecure"
        )

    def accept(self) -> None:
        self._reply, self._slow = "", False

    def reject(self, code: int = 550) -> None:
        """Refuse each recipient: 5xx for good, 4xx for now."""
        self._reply = f"{code} not here"

    def slow(self) -> None:
        """Take mails and say nothing, until released."""
        self._slow = True

    def _open(self, port: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._run(self._loop.create_server(self._connection, HOST, port))
        self.port = self._server.sockets[0].getsockname()[1]

    def _close(self) -> None:
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        for connection in self._connections:
            if connection.transport is not None:
                connection.transport.abort()  # type: ignore[attr-defined] # of a socket
        self._connections.clear()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0)  # the transports close in the loop's next round

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)

    def _connection(self) -> SMTP:
        self._connections.append(
            SMTP(
                self,
                hostname="localhost",
                loop=self._loop,
                auth_require_tls=False,
                authenticator=self._authenticated,
            )
        )
        return self._connections[-1]

    def _authenticated(self, *about: Any) -> AuthResult:
        data = about[-1]
        assert isinstance(data, LoginPassword)
        given = (data.login.decode(), data.password.decode())
        known = given == (self.user, self.password)
        return AuthResult(success=known, handled=known, auth_data=given)

    async def handle_RCPT(  # noqa: N802 (the name that aiosmtpd asks for)
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: object
    ) -> str:
        if not self._reply:
            envelope.rcpt_tos.append(address)
        return self._reply or "250 OK"

    async def handle_DATA(  # noqa: N802
        self, _server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        self.mails.append(_decoded(session, envelope))
        self._count(arrived=1)
        if self._slow:
            self._count(held=1)
            try:
                await asyncio.to_thread(self._released.wait, PATIENCE_S)
            finally:  # also when the client has gone
                self._count(held=-1)
        return "250 OK"


def _decoded(session: Session, envelope: Envelope) -> Mail:
    assert isinstance(envelope.content, bytes)
    message = email.message_from_bytes(envelope.content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    text = message.get_body(("plain",))
    body = "" if text is None else str(text.get_content()).replace("\r\n", "\n").removesuffix("\n")
    recipients = [str(one) for one in envelope.rcpt_tos]
    return Mail(
        str(envelope.mail_from),
        recipients,
        str(message["Subject"]),
        body,
        message,
        session.auth_data,
    )
