"""The front desk on a socket, with settings that lead to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from kajovo_dr.hotel import Endpoint
from kajovo_dr.settings import Settings
from kajovo_dr_tests.recovery.front_desk import EMAIL, PASSWORD, FrontDesk
from kajovo_dr_tests.recovery.http_servers import serving


def settings_for(url: str, **overrides: Any) -> Settings:
    """Settings for an application at this URL: few attempts, no pause."""
    given = {
        "app_base_url": url,
        "app_email": EMAIL,
        "app_password": PASSWORD,
        "app_ready_attempts": 2,
        "app_ready_pause_s": 0,
        "app_timeout_s": 20,
        "app_uses_database": False,  # the front desk has none
    }
    return Settings.load(**given | overrides)


@dataclass
class Desk:
    """The front desk and where it is served."""

    front: FrontDesk
    url: str
    modules: tuple[Endpoint, ...] = field(
        default=(
            Endpoint(name="guests", paths=("/guests",), count_sql="SELECT 3"),
            Endpoint(name="rooms", paths=("/rooms?free=1", "/rooms?free=0"), count_sql="SELECT 2"),
        )
    )
    extras: tuple[Endpoint, ...] = ()

    def settings(self, **overrides: Any) -> Settings:
        """Settings of a smoke test of the two modules."""
        given = {"app_modules": self.modules, "app_extras": self.extras}
        return settings_for(self.url, **given | overrides)


@pytest.fixture(scope="session")
def desk_server() -> Iterator[tuple[str, list[FrontDesk]]]:
    """One socket for all tests (starting a server costs more than a test); last desk serves."""
    desks: list[FrontDesk] = []

    async def current(scope: Scope, receive: Receive, send: Send) -> None:
        await desks[-1].app(scope, receive, send)

    with serving(current) as url:
        yield url, desks


@pytest.fixture
def desk(desk_server: tuple[str, list[FrontDesk]]) -> Desk:
    """A new front desk with three guests and two rooms."""
    url, desks = desk_server
    front = FrontDesk(
        {"/guests": ["Řehoř", "Zdeňka", "Ñ"], "/rooms?free=1": [{}], "/rooms?free=0": [{}]}
    )
    desks.append(front)
    return Desk(front, url)
