"""Alerts of the real daemon: a clock set by the test, a real HTTP receiver and a real mail server.

From the first backup to a missed RPO and back, over kill -9 of everything: each transition reaches
both receivers once.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from psycopg import sql

from kajovo_dr.alerts import ledger
from kajovo_dr.backups.prove import prove
from kajovo_dr.backups.take import take
from kajovo_dr.postgres import databases
from kajovo_dr.postgres.server import Server
from kajovo_dr.recovery import drill_history
from kajovo_dr.settings import Settings
from kajovo_dr_tests.alerts.receivers import HttpReceiver, MailReceiver
from kajovo_dr_tests.defs.clock import PRAGUE, Clock
from kajovo_dr_tests.defs.daemons import Daemons
from kajovo_dr_tests.recovery.drills import drill

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills by POSIX signals")
JOB = "postgres_backup_job"
SUCCESS = dg.DagsterRunStatus.SUCCESS
DAY = timedelta(days=1)
#: In both URLs.
SECRET = "p4ssw0rd-0f-ch4nn3ls"


@pytest.fixture
def receivers(
    settings: Settings, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[HttpReceiver, MailReceiver]]:
    """Both, in the settings of the daemons; a drill has passed, and backups come on two days."""
    first = clock.now().astimezone(PRAGUE)
    drill_history.append(settings.state, drill(started_at=clock.now(), finished_at=clock.now()))
    days = sorted({first.day, (first.replace(hour=12) + 2 * DAY).day})
    monkeypatch.setenv("KAJOVO_DR_BACKUP_CRON", f"0 6 {','.join(map(str, days))} * *")
    with HttpReceiver(f"/{SECRET}") as http, MailReceiver(password=SECRET) as mail:
        monkeypatch.setenv("KAJOVO_DR_ALERT_URLS", f"{http.url} {mail.url}")
        monkeypatch.setenv("KAJOVO_DR_UI_URL", "http://127.0.0.1:3999")
        yield http, mail


class Told:
    """What both receivers got, as long as they got the same."""

    def __init__(self, http: HttpReceiver, mail: MailReceiver) -> None:
        self._http, self._mail = http, mail

    def of(self, pattern: str) -> list[str]:
        """The first words of the titles of messages about something; nothing while the receivers
        differ, which they do until the slower one has it, too.
        """
        by_http = [each.json["title"] for each in self._http.requests]
        by_mail = [each.subject for each in self._mail.mails]
        if by_http != by_mail:
            return []
        words = [title.partition("] ")[2].partition(": ") for title in by_http]
        return [word for word, _, what in words if re.search(pattern, what)]

    def body(self, pattern: str) -> str:
        """The text of the last message about something."""
        found = [each.json for each in self._http.requests]
        return str([each["message"] for each in found if re.search(pattern, each["title"])][-1])


def look_until(
    daemons: Daemons, condition: Callable[[], bool], what: str, *, seconds: float = 31
) -> None:
    """Let the sensor look until people were told: after each look, some time passes."""
    state, moved = Settings.load().state, datetime.min.replace(tzinfo=UTC)

    def told() -> bool:
        nonlocal moved
        look = ledger.read(state).looks.get("daemon")
        if look is not None and look.at >= moved and not condition():
            daemons.clock.move(seconds=seconds)
            moved = daemons.clock.now()
        return condition()

    daemons.wait_for(told, what)


def test_each_transition_reaches_people_once_over_kills_of_the_daemon(
    receivers: tuple[HttpReceiver, MailReceiver],
    daemons: Daemons,
    settings: Settings,
    small: Server,
) -> None:
    told, clock = Told(*receivers), daemons.clock
    none, old, stale = "no backup of", "backup of .* is old", "Dagster calls"
    daemons.start()
    daemons.wait_for_schedules()
    look_until(daemons, lambda: told.of(none) == ["CRITICAL"], "nothing is proven")
    clock.move_to(6)
    daemons.wait_for_runs(JOB, SUCCESS)
    look_until(daemons, lambda: told.of(none) == ["CRITICAL", "OVER"], "it is proven")
    daemons.kill()
    clock.move_to(2, 30, days=1)  # 20.5 h after the backup
    daemons.start()
    look_until(daemons, lambda: told.of(old) == ["WARNING"], "a warning")
    clock.move_to(7)  # 25 h
    look_until(daemons, lambda: told.of(old) == ["WARNING", "CRITICAL"], "the RPO is missed")
    assert "Figure: 25 h 00 min, limit 24 h" in told.body(old)
    assert "Next: kajovo-dr backup --prove" in told.body(old)
    daemons.kill()
    clock.move_to(20)
    with clock.here():
        prove(settings, take(settings, small, reason="by hand").backup)
    daemons.start()
    over = ["WARNING", "CRITICAL", "OVER"]
    look_until(daemons, lambda: told.of(old) == over, "it is over")
    assert told.of(stale) == []  # it was covered by the recovery point until now
    look_until(daemons, lambda: told.of(stale) == ["CRITICAL"], "Dagster has none", seconds=121)
    clock.move_to(6, days=1)
    daemons.wait_for_runs(JOB, SUCCESS, SUCCESS)
    look_until(daemons, lambda: told.of(stale) == ["CRITICAL", "OVER"], "Dagster has one, too")
    assert (told.of(none), told.of(old)) == (["CRITICAL", "OVER"], over)
    assert SECRET not in daemons.said()
    assert SECRET not in stored()


def stored() -> str:
    """All that Dagster has stored: runs, events, ticks, cursors."""
    server = Server.from_url(os.environ["KAJOVO_DR_DAGSTER_URL"], setting="KAJOVO_DR_DAGSTER_URL")
    with databases.connect(server) as session:
        tables = [table for _, table in databases.counted_tables(session)]
        queries = [sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(t)) for t in tables]
        rows = [row for query in queries for (row,) in session.execute(query).fetchall()]
    assert any("postgres_backup" in row for row in rows)
    return "\n".join(rows)
