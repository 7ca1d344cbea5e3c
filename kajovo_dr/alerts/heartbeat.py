"""Dead man's switches: URLs of a service elsewhere, which calls for help when nobody asks them.

Belongs here: asking one (GET), when it counts as answered, and that nothing of a URL is ever shown:
whoever knows it can keep the switch quiet. Not here: what is worth asking for (``backups``,
``watch``). Nothing that a switch does fails or holds up what it is asked for; it is logged.
"""

from __future__ import annotations

import logging
import threading
import time
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Literal, get_args

from kajovo_dr import __version__
from kajovo_dr.alerts.overheard import listening
from kajovo_dr.errors import SettingError
from kajovo_dr.settings import PREFIX, Settings

if TYPE_CHECKING:
    import httpx

#: The settings that hold one.
Name = Literal["heartbeat_url", "watchdog_url"]
#: start: something begins; success: it has ended well; fail: it has not.
Signal = Literal["start", "success", "fail"]

THREAD = "kajovo_dr-heartbeat"
#: What is added to the URL's path.
_SUFFIXES: dict[Signal, bytes] = {"start": b"/start", "success": b"", "fail": b"/fail"}
#: Seconds for a connection, for each read, and for all of it: a server may send a byte now and
#: then, and nobody limits the look-up of its name.
_CONNECT_S, _READ_S, _LIMIT_S = 3.0, 5.0, 8.0
#: Seconds before the second and last attempt, which what was a moment's trouble deserves.
_PAUSE_S = 0.3
_LATE = "timed out"
_UNREACHABLE = "no connection"
_log = logging.getLogger("kajovo_dr")


class Switch:
    """One switch, asked in the background, a signal at a time; without a URL nothing happens."""

    def __init__(self, settings: Settings, name: Name) -> None:
        self._name: Name = name
        self._url = _url_of(settings, name)
        self._asking: _Asking | None = None

    def __bool__(self) -> bool:
        """Whether there is one."""
        return bool(self._url)

    def send(self, signal: Signal) -> None:
        """Ask, once the signal before was answered or given up; returns without an answer."""
        self.wait()
        if self._url:
            self._asking = _Asking(self._name, self._url, signal)

    def wait(self) -> None:
        """Until the answer is there or given up, and log what was wrong with it."""
        asking, self._asking = self._asking, None
        problem = asking.problem() if asking else ""
        if problem:
            _log.warning(
                "the dead man's switch of %s did not answer: %s", _variable(self._name), problem
            )


def ping(settings: Settings, name: Name, signal: Signal) -> None:
    """Ask a switch and wait for its answer, some seconds at most; raises nothing."""
    switch = Switch(settings, name)
    switch.send(signal)
    switch.wait()


def check(settings: Settings) -> None:
    """Raise `SettingError` for a URL that cannot be asked."""
    for name in get_args(Name):
        if url := _url_of(settings, name):
            _address(name, url, "success")


class _Asking:
    """One signal on its way, in a thread of its own."""

    def __init__(self, name: Name, url: str, signal: Signal) -> None:
        self._until = time.monotonic() + _LIMIT_S
        self._outcome: SimpleQueue[str] = SimpleQueue()
        # daemon: who stops waiting must be able to end
        thread = threading.Thread(
            target=self._ask, args=(name, url, signal), daemon=True, name=THREAD
        )
        try:
            thread.start()
        except RuntimeError:  # the machine has no thread left
            self._outcome.put("no thread can be started")

    def problem(self) -> str:
        """Why it was not answered; empty when it was."""
        try:
            return self._outcome.get(timeout=max(0.0, self._until - time.monotonic()))
        except Empty:
            return _LATE

    def _ask(self, name: Name, url: str, signal: Signal) -> None:
        try:
            problem = _asked(_address(name, url, signal), self._until)
        except SettingError:
            problem = "its URL does not begin with http:// or https://"
        except Exception as failure:  # noqa: BLE001 - no backup fails because of this
            problem = type(failure).__name__  # its text may quote the URL
        self._outcome.put(problem)


def _asked(url: httpx.URL, until: float) -> str:
    """Why a URL did not answer well; empty when it did. until: no second attempt after it."""
    import httpx  # late: importing kajovo_dr must stay fast

    limits = httpx.Timeout(_READ_S, connect=_CONNECT_S)
    about = {"User-Agent": f"kajovo_dr/{__version__}"}
    # the client comes first: what it loads has loggers, too, which write each URL down
    with httpx.Client(timeout=limits, headers=about, follow_redirects=False) as client, listening():
        problem, again = _attempt(client, url)
        if again and time.monotonic() + _PAUSE_S < until:
            time.sleep(_PAUSE_S)
            problem, _ = _attempt(client, url)
    return problem


def _attempt(client: httpx.Client, url: httpx.URL) -> tuple[str, bool]:
    """Why it did not answer well, and whether that may be over in a moment."""
    import httpx

    try:
        with client.stream("GET", url) as response:  # what it says besides its status is not read
            status = response.status_code
    except (httpx.ReadTimeout, httpx.WriteTimeout):
        return _LATE, False
    except httpx.ConnectTimeout:
        return _LATE, True
    except httpx.TransportError:
        return _UNREACHABLE, True
    return ("" if 200 <= status < 300 else f"HTTP {status}"), status >= 500


def _address(name: Name, url: str, signal: Signal) -> httpx.URL:
    """The URL to ask: the signal goes onto the path, in front of a query."""
    import httpx

    try:
        address = httpx.URL(url)
    except httpx.InvalidURL:
        address = httpx.URL("")
    if address.scheme not in ("http", "https") or not address.host:
        raise SettingError(
            f"{_variable(name)} is not a URL that begins with http:// or https://",
            hint="write it as the service shows it: https://HOST/PATH.",
        )
    if signal == "success":
        return address
    path, mark, query = address.raw_path.partition(b"?")
    return address.copy_with(raw_path=path.rstrip(b"/") + _SUFFIXES[signal] + mark + query)


def _url_of(settings: Settings, name: Name) -> str:
    secret = getattr(settings, name)
    return secret.get_secret_value().strip() if secret is not None else ""


def _variable(name: Name) -> str:
    return PREFIX + name.upper()
