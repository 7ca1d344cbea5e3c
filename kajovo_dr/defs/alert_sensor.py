"""The look of Dagster's daemon: every half minute, told once, over restarts and kills.

Belongs here: reading Dagster's events since the last look, the sensor, and the status as an asset.
Not here: what events mean (``run_sources``), looking and telling (``watch.look``).
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._core.event_api import RunStatusChangeEventType, RunStatusChangeRecordsFilter
from dagster._core.remote_origin import CodeLocationOrigin

from kajovo_dr.alerts import ledger as book
from kajovo_dr.alerts.condition import Condition
from kajovo_dr.defs import run_sources, status_asset
from kajovo_dr.defs.resources import Environment, operator_errors
from kajovo_dr.defs.run_lock import reap
from kajovo_dr.errors import DrError
from kajovo_dr.settings import Settings
from kajovo_dr.watch import last_resort
from kajovo_dr.watch.look import Source, look
from kajovo_dr.watch.status import beside

#: Events of one kind that one look reads; the rest is read by the next.
_AT_ONCE = 1000
#: How far back the first look reads: what is older is history, whoever is told of it.
_FIRST = timedelta(days=1)
_FAILURE: RunStatusChangeEventType = dg.DagsterEventType.RUN_FAILURE
_SUCCESS: RunStatusChangeEventType = dg.DagsterEventType.RUN_SUCCESS


@dataclass(frozen=True)
class Cursor:
    """How far Dagster's events were read, by kind, and the status that was reported last.

    ledger: the id of the one that knows of them.
    """

    read: dict[str, int]
    status: str = ""
    ledger: str = ""

    @classmethod
    def of(cls, text: str | None) -> "Cursor":
        """The one that was saved; a new one for none."""
        return cls(**json.loads(text)) if text else cls({})

    def text(self) -> str:
        """What is saved."""
        return json.dumps(asdict(self))

    def fitting(self, ledger: str) -> "Cursor":
        """Itself; one that begins anew when the ledger is another one, which knows of nothing."""
        return self if self.ledger == ledger else Cursor({}, self.status, ledger)


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Looks at everything, ends runs whose process died, and tells people what is new"
    " through the channels of KAJOVO_DR_ALERT_URLS.",
)
def alert_sensor(
    context: dg.SensorEvaluationContext, environment: Environment
) -> dg.SensorResult | dg.SkipReason:
    """Look, and report the status when it has changed."""
    with operator_errors(), _crying():
        settings, now = environment.settings(), datetime.now(UTC)
        with book.change(settings.state) as ledger:  # which puts one aside that cannot be read
            events = _Events(context, settings, Cursor.of(context.cursor).fitting(ledger.id), now)
        looked = look(settings, "daemon", now, more=[Source("Dagster", ("parts",), events.look)])
        for each in looked.sent:
            took = "took" if each.delivery.arrived else "did not take"
            said = f"{each.delivery.channel} {took} {each.message.title!r}: {each.delivery.said}"
            context.log.info(said)
        current = beside(settings, now, looked.active)
    state = status_asset.state_of(current)
    context.update_cursor(replace(events.cursor, status=state).text())
    if state == events.cursor.status:
        return dg.SkipReason(f"nothing new; {len(looked.active)} things are wrong")
    return dg.SensorResult(asset_events=status_asset.events(current, settings.timezone))


@contextmanager
def _crying() -> Iterator[None]:
    """Whatever keeps the daemon from looking is told without the ledger."""
    try:
        yield
    except DrError as failure:
        last_resort.cry(str(failure))
        raise


@dataclass
class _Events:
    """Dagster's events since the last look. cursor: how far they are read; it stays where it was
    when reading fails, which is told and keeps nobody from the rest of the look.

    If this process is killed before the cursor is saved, they are read again: the ledger knows by
    their times that they are of the past.
    """

    context: dg.SensorEvaluationContext
    settings: Settings
    cursor: Cursor
    now: datetime

    def look(self) -> Iterator[Condition]:
        """Their conditions, in their order, after the end of runs whose process died."""
        instance = self.context.instance
        for dead in reap(instance, self.settings, self.now):
            self.context.log.warning(str(dead))
        read = dict(self.cursor.read)
        found = [*self._ends(read), *_freshness(self.settings, instance, read, self._first)]
        self.cursor = replace(self.cursor, read=read)
        yield from sorted(found, key=lambda each: each.at or self.now)
        yield from run_sources.of_daemons(self.settings, instance)

    @property
    def _first(self) -> float:
        return (self.now - _FIRST).timestamp()

    def _ends(self, read: dict[str, int]) -> Iterator[Condition]:
        """Of runs of this code location; another one may have jobs of the same names."""
        instance, here = self.context.instance, self.context.code_location_origin
        for kind in (_FAILURE, _SUCCESS):
            after = read.get(kind.value)
            wanted = RunStatusChangeRecordsFilter(
                kind,
                after_storage_id=after,
                after_timestamp=None if after is not None else self._first,
            )
            ended = instance.fetch_run_status_changes(wanted, _AT_ONCE, ascending=True)
            for record in ended.records:
                read[kind.value] = record.storage_id
                run = instance.get_run_by_id(record.run_id)
                if run is not None and _is_of(run, here):
                    yield from run_sources.of_run(self.settings, instance, run, record.timestamp)


def _is_of(run: dg.DagsterRun, here: CodeLocationOrigin | None) -> bool:
    origin = run.remote_job_origin
    if origin is None or here is None:  # it was run in a process of its own, by its definitions
        return True
    there = origin.repository_origin.code_location_origin
    return there.location_name == here.location_name


def _freshness(
    settings: Settings,
    instance: dg.DagsterInstance,
    read: dict[str, int],
    first: float,
) -> Iterator[Condition]:
    kind = dg.DagsterEventType.FRESHNESS_STATE_CHANGE
    after = read.get(kind.value)
    wanted = dg.EventRecordsFilter(
        kind, after_cursor=after, after_timestamp=None if after is not None else first
    )
    storage = instance.event_log_storage
    for record in storage.get_event_records(wanted, limit=_AT_ONCE, ascending=True):
        read[kind.value] = record.storage_id
        change = record.event_log_entry.get_dagster_event().asset_freshness_state_change_data
        if condition := run_sources.of_freshness(settings, change):
            yield condition
