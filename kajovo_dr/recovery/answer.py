"""One HTTP answer of the application and what can be said about it.

Belongs here: reading an answer that has come. Not here: requests (``application``) and what a good
answer holds (``readiness``, ``smoke``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

#: Characters of a body that a message shows.
_EXCERPT = 160
HOST_HINT = (
    "the application does not know this host: set KAJOVO_DR_APP_HOST_HEADER to one that it trusts, "
    "such as localhost."
)
HTML_HINT = (
    "KAJOVO_DR_APP_BASE_URL points at a web front end, it seems, which answers every path with its "
    "page: use the address of the API itself."
)


@dataclass(frozen=True)
class Answer:
    """One HTTP answer, read to its end. content_type: lowercase, without parameters."""

    status: int
    content_type: str
    body: bytes = field(repr=False)
    cookies: tuple[str, ...] = field(default=(), repr=False)
    location: str = ""

    @property
    def is_html(self) -> bool:
        """Whether this is a page for people."""
        return self.content_type in ("text/html", "application/xhtml+xml")

    @property
    def is_json(self) -> bool:
        """Whether the answer says that it is JSON."""
        return self.content_type == "application/json" or self.content_type.endswith("+json")

    @property
    def refuses_host(self) -> bool:
        """Whether the application does not know the Host that we sent."""
        return self.status == 400 and b"invalid host" in self.body[:1000].lower()

    def json(self) -> Any:
        """The body's value; raises ValueError when it is not JSON in UTF-8."""
        try:
            return json.loads(self.body.decode("utf-8"))
        except RecursionError:
            raise ValueError("nested too deeply") from None

    def described(self) -> str:
        """``answered 500: Internal Server Error``: status and the beginning of the body."""
        if self.location:
            return f"answered {self.status}, a redirect to {self.location}"
        if self.is_html:
            return f"answered {self.status} with HTML"
        text = " ".join(self.body[: 4 * _EXCERPT].decode("utf-8", "replace").split())[:_EXCERPT]
        return f"answered {self.status}" + (f": {text}" if text else " without a body")


def member(value: Any, path: str) -> Any:
    """``member({"a": {"b": 1}}, "a.b")`` is 1; None when there is none; the value for no path."""
    for name in path.split(".") if path else ():
        value = value.get(name) if isinstance(value, dict) else None
    return value
