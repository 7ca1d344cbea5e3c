"""Real HTTP servers for the tests: an application on a socket, and servers that misbehave."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send


@contextlib.contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """Serve an application from a thread; yields its base URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, log_level="critical", lifespan="off", ws="none", loop="asyncio", http="h11"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@contextlib.contextmanager
def serving_last(each: Sequence[Any]) -> Iterator[str]:
    """Serve the ``app`` of the last one of a list that grows: one socket for many tests, because
    starting a server costs more than a test; yields its base URL.
    """

    async def current(scope: Scope, receive: Receive, send: Send) -> None:
        await each[-1].app(scope, receive, send)

    with serving(current) as url:
        yield url


@contextlib.contextmanager
def nobody() -> Iterator[str]:
    """The URL of a port that is taken but refuses every connection."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@contextlib.contextmanager
def misbehaving(
    answer: Callable[[socket.socket, threading.Event], None],
) -> Iterator[tuple[str, list[bytes]]]:
    """A server that hands each connection, its request read, to `answer`; yields URL and requests.

    The event is set when the test ends.
    """
    over = threading.Event()
    requests: list[bytes] = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            requests.append(self.request.recv(65_536))
            with contextlib.suppress(OSError):
                answer(self.request, over)

    class Listener(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Listener(("127.0.0.1", 0), Handler) as listener:
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.server_address[1]}", requests
        finally:
            over.set()
            listener.shutdown()
            thread.join()


def hang(connection: socket.socket, over: threading.Event) -> None:
    """Never answer."""
    over.wait()


def drip(head: bytes) -> Callable[[socket.socket, threading.Event], None]:
    """Send the head, then one byte at a time for ever."""

    def answer(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(head)
        while not over.wait(0.02):
            connection.sendall(b" ")

    return answer


def say(answer: bytes) -> Callable[[socket.socket, threading.Event], None]:
    """Send these bytes and close."""
    return lambda connection, over: connection.sendall(answer)
