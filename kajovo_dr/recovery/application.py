"""A session with the application's HTTP API: requests with a total deadline, one login, one logout.

Belongs here: how the configured application is spoken to. Not here: which paths are read and what
their answers must hold (``readiness``, ``smoke``).

The cookies are kept here and not in httpx's jar: the application marks them ``Secure``, and a jar
would silently not send them back over plain http.
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from kajovo_dr import __version__
from kajovo_dr.errors import LoginRefused, NotReady, SettingError
from kajovo_dr.recovery.answer import HOST_HINT, HTML_HINT, Answer, member
from kajovo_dr.recovery.exchange import exchange, is_http_url, within
from kajovo_dr.redact import redacted
from kajovo_dr.settings import Settings

if TYPE_CHECKING:
    import httpx


def login_body(settings: Settings) -> dict[str, Any] | None:
    """The login's body with the credentials in it; None when the application is read anonymously.

    Raises `NotConfigured`.
    """
    if not settings.app_login_path:
        return None

    def fill(part: Any) -> Any:
        if isinstance(part, str):
            return re.sub(
                r"\{(email|password)\}", lambda match: str(settings.need(f"app_{match[1]}")), part
            )
        if isinstance(part, dict):
            return {key: fill(value) for key, value in part.items()}
        return [fill(value) for value in part] if isinstance(part, list) else part

    return {key: fill(value) for key, value in settings.app_login_body.items()}


class Application:
    """The configured application. Redirects are not followed and no proxy is asked.

    Every request ends within `app_timeout_s`, whatever the other side does, and raises `NotReady`
    when it brought no answer.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._base = _base_url(settings)
        self._tls = _tls(settings)
        self._client: httpx.Client | None = None
        self._cookies: dict[str, str] = {}
        self._token = ""
        self._login_tried = False
        self._logged_in = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._drop_client()

    def url(self, path: str) -> str:
        """The whole URL of a path."""
        return self._base + (path if path.startswith("/") else f"/{path}")

    def get(self, path: str) -> Answer:
        """Read a path, with the session when there is one."""
        return self._send("GET", path)

    def post(self, path: str, body: Mapping[str, Any]) -> Answer:
        """Send JSON, with the session and its CSRF token."""
        return self._send("POST", path, json=dict(body), headers=self._csrf())

    def delete(self, path: str) -> Answer:
        """Delete what a path names, with the session and its CSRF token."""
        return self._send("DELETE", path, headers=self._csrf())

    def login(self, body: Mapping[str, Any]) -> None:
        """Log in, once: three refused logins lock the hotel's account.

        Raises `LoginRefused`, or `NotReady` when the application does not work.
        """
        if self._login_tried:
            raise LoginRefused("the login was tried already and is not tried twice")
        self._login_tried = True
        kind = "json" if self._settings.app_login_format == "json" else "data"
        answer = self._send("POST", self._settings.app_login_path, **{kind: dict(body)})
        self._judge_login(answer)
        self._logged_in = True

    def logout(self) -> str:
        """Log out, if logged in; never raises. Returns what went wrong, or an empty text."""
        settings = self._settings
        if not (self._logged_in and settings.app_logout_path):
            return ""
        self._logged_in = False
        try:
            answer = self._send(
                settings.app_logout_method, settings.app_logout_path, headers=self._csrf()
            )
        except NotReady as failure:
            return str(failure)
        return "" if answer.status < 300 else self._described(answer)

    def _judge_login(self, answer: Answer) -> None:
        where = f"the login at {self.url(self._settings.app_login_path)}"
        if answer.refuses_host:
            raise NotReady(f"{where} {answer.described()}", hint=HOST_HINT)
        if answer.is_html:
            raise NotReady(f"{where} {answer.described()}", hint=HTML_HINT)
        if answer.status >= 500 or answer.status in (404, 405) or 300 <= answer.status < 400:
            raise NotReady(
                f"{where} {self._described(answer)}",
                hint="check KAJOVO_DR_APP_LOGIN_PATH and look at the application's log.",
            )
        if answer.status >= 400:
            raise LoginRefused(f"{where} {self._described(answer)}; it was tried once")
        if not self._holds_session(answer):
            raise LoginRefused(
                f"{where} answered {answer.status} but gave no session",
                hint="KAJOVO_DR_APP_LOGIN_TOKEN names the token's member; unset, a cookie is "
                "expected.",
            )

    def _holds_session(self, answer: Answer) -> bool:
        """Whether the session is ours now; the cookies were kept when the answer came."""
        if not self._settings.app_login_token:
            return bool(self._cookies)
        try:
            token = member(answer.json(), self._settings.app_login_token)
        except ValueError:
            return False
        self._token = token if isinstance(token, str) else ""
        return bool(self._token)

    def _described(self, answer: Answer) -> str:
        """The answer without the password: a 422 of FastAPI repeats what was sent."""
        secret = self._settings.app_password
        return redacted(answer.described(), secret.get_secret_value() if secret else None)

    def _send(self, method: str, path: str, **content: Any) -> Answer:
        import httpx  # late: importing kajovo_dr must stay fast

        content["headers"] = self._headers() | content.get("headers", {})
        limit = self._settings.app_timeout_s
        url, client, deadline = self.url(path), self._open_client(), time.monotonic() + limit
        try:
            answer = within(limit, lambda: exchange(client, method, url, content, deadline))
        except (httpx.TimeoutException, TimeoutError):
            self._drop_client()  # ends the exchange that still runs
            raise NotReady(f"{url} did not answer within {limit:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as failure:
            raise NotReady(f"no answer from {url}: {failure or type(failure).__name__}") from None
        if self._login_tried:
            self._keep(answer.cookies)
        return answer

    def _headers(self) -> dict[str, str]:
        headers = {
            "Accept": "application/json, */*;q=0.5",
            "User-Agent": f"kajovo_dr/{__version__}",
        }
        if self._settings.app_host_header:
            headers["Host"] = self._settings.app_host_header
        if self._cookies:
            headers["Cookie"] = "; ".join(f"{key}={value}" for key, value in self._cookies.items())
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        return headers

    def _csrf(self) -> dict[str, str]:
        """The header of requests that write, when the application gave a token."""
        # quotes belong to the cookie's notation, not to its value
        token = self._cookies.get(self._settings.app_csrf_cookie, "").strip('"')
        return {self._settings.app_csrf_header: token} if token else {}

    def _keep(self, cookies: tuple[str, ...]) -> None:
        for cookie in cookies:
            name, _, value = cookie.partition(";")[0].partition("=")
            if value.strip().strip('"'):
                self._cookies[name.strip()] = value.strip()
            else:
                self._cookies.pop(name.strip(), None)

    def _open_client(self) -> httpx.Client:
        import httpx

        if self._client is None:
            self._client = httpx.Client(
                timeout=self._settings.app_timeout_s,
                verify=self._tls,
                trust_env=False,
                follow_redirects=False,
                # uvicorn closes a connection after an unhandled error without having said so;
                # kept alive, it would fail the next request, which did nothing wrong
                limits=httpx.Limits(max_keepalive_connections=0),
            )
        return self._client

    def _drop_client(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None


def _base_url(settings: Settings) -> str:
    base = str(settings.need("app_base_url")).rstrip("/")
    if not is_http_url(base):
        raise SettingError(
            "KAJOVO_DR_APP_BASE_URL is not a URL that begins with http:// or https://",
            hint="write it as http://127.0.0.1:8202.",
        )
    parts = urlsplit(base)
    if parts.username or parts.password:
        raise SettingError(
            "KAJOVO_DR_APP_BASE_URL holds a user or a password",
            hint="credentials belong in KAJOVO_DR_APP_EMAIL and KAJOVO_DR_APP_PASSWORD.",
        )
    return base


def _tls(settings: Settings) -> ssl.SSLContext | bool:
    if settings.app_ca_file is None:
        # over plain http the public authorities, 50 ms to read, would be read for nothing
        return str(settings.app_base_url).lower().startswith("https")
    try:
        return ssl.create_default_context(cafile=settings.app_ca_file)
    except OSError as failure:  # also ssl.SSLError: not a PEM file
        raise SettingError(
            f"KAJOVO_DR_APP_CA_FILE: cannot use {settings.app_ca_file}: "
            f"{failure.strerror or failure}",
            hint="name a PEM file with the authority's certificate.",
        ) from None
