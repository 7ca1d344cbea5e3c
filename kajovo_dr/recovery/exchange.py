"""One HTTP request and its answer within a deadline that nothing can stretch.

Belongs here: time and size limits around httpx. Not here: what is asked (``application``).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from kajovo_dr.recovery.answer import Answer

if TYPE_CHECKING:
    import httpx

#: Bytes; a body beyond it is a stream without end, not a list.
_LARGEST = 256 << 20


def is_http_url(url: str) -> bool:
    """Whether something can be asked under it."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, an address that is none
        return False


def exchange(
    client: httpx.Client, method: str, url: str, content: Mapping[str, Any], deadline: float
) -> Answer:
    body = bytearray()
    with client.stream(method, url, **content) as response:
        for chunk in response.iter_bytes():
            body += chunk
            if time.monotonic() > deadline or len(body) > _LARGEST:
                raise TimeoutError
    headers = response.headers
    redirected = 300 <= response.status_code < 400
    return Answer(
        response.status_code,
        headers.get("content-type", "").partition(";")[0].strip().lower(),
        bytes(body),
        tuple(headers.get_list("set-cookie")),
        headers.get("location", "") if redirected else "",
    )


def within(seconds: float, work: Callable[[], Answer]) -> Answer:
    """Do the work in a thread and wait so long for it; raises TimeoutError.

    httpx limits each read, not their sum, and nobody limits the name look-up: a server that sends
    a byte now and then would hold us for ever.
    """
    outcome: SimpleQueue[Answer | BaseException] = SimpleQueue()

    def run() -> None:
        try:
            outcome.put(work())
        except BaseException as failure:  # noqa: BLE001 - re-raised in the calling thread
            outcome.put(failure)

    threading.Thread(target=run, daemon=True, name="kajovo_dr-http").start()
    try:
        result = outcome.get(timeout=seconds)
    except Empty:
        raise TimeoutError from None
    if isinstance(result, BaseException):
        raise result
    return result
