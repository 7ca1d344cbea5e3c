"""Under test: that an outage is measured from the first failure to the first good answer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from starlette.responses import JSONResponse

from kajovo_dr.process import wait_until
from kajovo_dr.recovery.outage import OutageWatch
from kajovo_dr.recovery.record import Outage
from kajovo_dr.settings import Settings
from kajovo_dr_tests.recovery.conftest import Desk, settings_for
from kajovo_dr_tests.recovery.http_servers import hang, misbehaving, nobody

DOWN = JSONResponse({"detail": "database not ready"}, 503)
AGO = datetime.now(UTC) - timedelta(hours=1)


def earlier(*, until: datetime | None = None) -> Outage:
    seconds = (until - AGO).total_seconds() if until else None
    return Outage(from_at=AGO, until_at=until, seconds=seconds, asked=100, interval_s=0.5)


@pytest.fixture
def asks(desk: Desk) -> Callable[[int], None]:
    """Waits until so many more requests were answered."""

    def wait(more: int) -> None:
        enough = len(desk.front.ready_cookies) + more
        assert wait_until(lambda: len(desk.front.ready_cookies) >= enough, timeout=30, pause=0.005)

    return wait


def watch(desk: Desk, before: Outage | None = None) -> OutageWatch:
    return OutageWatch(desk.settings(), interval_s=0.01, earlier=before)


def test_an_application_that_always_answers_has_no_outage(
    desk: Desk, asks: Callable[[int], None]
) -> None:
    with watch(desk) as watched:
        asks(3)
    assert watched.outage() is None
    assert set(desk.front.ready_cookies) == {None}


def test_an_outage_begins_and_ends(desk: Desk, asks: Callable[[int], None]) -> None:
    began = datetime.now(UTC)
    with watch(desk) as watched:
        asks(1)
        desk.front.answers["/ready"] = DOWN
        asks(2)
        during = watched.outage()
        desk.front.answers.clear()
        asks(2)
        after = datetime.now(UTC)
        asks(1)
    seen = watched.outage()
    assert during is not None
    assert (during.until_at, during.seconds) == (None, None)
    assert seen is not None
    assert seen.until_at is not None
    assert seen.seconds is not None
    assert during.from_at == seen.from_at
    assert began <= seen.from_at <= seen.until_at <= after
    assert abs((seen.until_at - seen.from_at).total_seconds() - seen.seconds) < 1
    assert seen.asked == len(desk.front.ready_cookies)
    assert seen.interval_s == 0.01


def test_one_that_was_down_at_the_start_is_down_from_the_first_request(desk: Desk) -> None:
    desk.front.answers["/ready"] = DOWN
    began = datetime.now(UTC)
    with watch(desk) as watched:
        entered = datetime.now(UTC)
        first = watched.outage()
    assert first is not None
    assert began <= first.from_at <= entered
    last = watched.outage()
    assert last is not None
    assert (last.from_at, last.until_at, last.seconds) == (first.from_at, None, None)


def test_one_that_is_up_again_when_the_watch_ends_is_asked_once_more(desk: Desk) -> None:
    desk.front.answers["/ready"] = DOWN
    with OutageWatch(desk.settings(), interval_s=3600) as watched:
        desk.front.answers.clear()
    seen = watched.outage()
    assert seen is not None
    assert seen.until_at is not None
    assert seen.asked == 2


def test_two_outages_are_one_from_the_first_failure_to_the_last_good_answer(
    desk: Desk, asks: Callable[[int], None]
) -> None:
    with watch(desk) as watched:
        found = []
        for _ in range(2):
            desk.front.answers["/ready"] = DOWN
            asks(2)
            desk.front.answers.clear()
            asks(2)
            found.append(watched.outage())
    first, second = found
    assert first is not None
    assert second is not None
    assert first.until_at is not None
    assert second.until_at is not None
    assert second.from_at == first.from_at
    assert second.until_at > first.until_at
    assert first.seconds is not None
    assert second.seconds is not None
    assert second.seconds > first.seconds


def test_an_open_outage_of_an_earlier_process_is_closed_by_the_first_good_answer(
    desk: Desk,
) -> None:
    with OutageWatch(desk.settings(), interval_s=3600, earlier=earlier()) as watched:
        pass
    seen = watched.outage()
    assert seen is not None
    assert seen.until_at is not None
    assert seen.from_at == AGO
    assert seen.seconds == (seen.until_at - AGO).total_seconds() > 3600
    assert seen.asked == 101


def test_an_open_outage_of_an_earlier_process_goes_on_while_it_is_down(desk: Desk) -> None:
    desk.front.answers["/ready"] = DOWN
    with OutageWatch(desk.settings(), interval_s=3600, earlier=earlier()) as watched:
        pass
    assert watched.outage() == earlier().model_copy(update={"asked": 102})


def test_a_new_failure_after_a_closed_outage_keeps_its_beginning(
    desk: Desk, asks: Callable[[int], None]
) -> None:
    closed = earlier(until=AGO + timedelta(minutes=5))
    with watch(desk, closed) as watched:
        asks(1)
        unchanged = watched.outage()
        desk.front.answers["/ready"] = DOWN
        asks(2)
        again = watched.outage()
        desk.front.answers.clear()
    assert unchanged is not None
    assert (unchanged.until_at, unchanged.seconds) == (closed.until_at, 300)
    assert again is not None
    assert (again.from_at, again.until_at, again.seconds) == (AGO, None, 300)
    seen = watched.outage()
    assert seen is not None
    assert seen.seconds is not None
    assert seen.from_at == AGO
    assert 300 < seen.seconds < 3600  # the time between, in which it was up, is none of it


def test_without_an_application_nothing_is_asked() -> None:
    with OutageWatch(Settings.load(), earlier=earlier()) as watched:
        assert threading.current_thread() is threading.main_thread()
    assert watched.outage() == earlier()
    with OutageWatch(Settings.load()) as watched:
        pass
    assert watched.outage() is None


def test_an_address_that_cannot_be_asked_ends_nothing() -> None:
    with OutageWatch(settings_for("ftp://host"), earlier=earlier()) as watched:
        pass
    assert watched.outage() == earlier()


def test_a_port_that_refuses_and_one_that_hangs_are_down() -> None:
    with nobody() as url, OutageWatch(settings_for(url)) as watched:
        assert watched.outage() is not None
    with misbehaving(hang) as (url, requests):
        settings = settings_for(url, app_timeout_s=0.1)
        with OutageWatch(settings, interval_s=0.001) as watched:
            assert wait_until(lambda: len(requests) >= 3, timeout=30)
        seen = watched.outage()
        assert seen is not None
        assert seen.asked == len(requests)


def test_a_request_has_at_most_two_seconds() -> None:
    watched = OutageWatch(settings_for("http://127.0.0.1:1", app_timeout_s=60))
    assert watched._settings.app_timeout_s == 2


def test_no_thread_is_left_behind(desk: Desk) -> None:
    with watch(desk):
        assert "kajovo_dr-watch" in {thread.name for thread in threading.enumerate()}
    assert "kajovo_dr-watch" not in {thread.name for thread in threading.enumerate()}
