"""The look of Dagster's daemon: every half minute, told once, over restarts and kills.

Belongs here: reading Dagster's events since the last look, the sensor, and the status as an asset.
Not here: what events mean (``run_sources``), looking and telling (``watch.look``).
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._core.event_api import RunStatusChangeEventType, RunStatusChangeRecordsFilter

from kajovo_dr.alerts import ledger as book
from kajovo_dr.alerts.condition import Condition
from kajovo_dr.defs import run_sources, status_asset
from kajovo_dr.defs.resources import Environment, operator_errors
from kajovo_dr.defs.run_lock import reap
from kajovo_dr.settings import Settings
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
    with operator_errors():
        settings, now = environment.settings(), datetime.now(UTC)
        with book.change(settings.state) as ledger:  # which puts one aside that cannot be read
            cursor = Cursor.of(context.cursor).fitting(ledger.id)
        for dead in reap(context.instance, settings, now):
            context.log.warning(str(dead))
        read, found = _new(settings, context.instance, cursor, now)
        dagster = Source("Dagster", ("parts",), lambda: _of_dagster(settings, context, found))
        looked = look(settings, "daemon", now, more=[dagster])
        for each in looked.sent:
            took = "took" if each.delivery.arrived else "did not take"
            said = f"{each.delivery.channel} {took} {each.message.title!r}: {each.delivery.said}"
            context.log.info(said)
        current = beside(settings, now, looked.active)
    state = status_asset.state_of(current)
    context.update_cursor(Cursor(read, state, cursor.ledger).text())
    if state == cursor.status:
        return dg.SkipReason(f"nothing new; {len(looked.active)} things are wrong")
    return dg.SensorResult(asset_events=status_asset.events(current, settings.timezone))


def _of_dagster(
    settings: Settings, context: dg.SensorEvaluationContext, found: Sequence[Condition]
) -> Iterator[Condition]:
    yield from found
    yield from run_sources.of_daemons(settings, context.instance)


def _new(
    settings: Settings, instance: dg.DagsterInstance, cursor: Cursor, now: datetime
) -> tuple[dict[str, int], list[Condition]]:
    """How far is read now, and the conditions of the events since the last look, in their order.

    If this process is killed before the cursor is saved, they are read again: the ledger knows by
    their times that they are of the past.
    """
    read = dict(cursor.read)
    found: list[Condition] = []
    first = (now - _FIRST).timestamp()
    for kind in (_FAILURE, _SUCCESS):
        after = cursor.read.get(kind.value)
        wanted = RunStatusChangeRecordsFilter(
            kind, after_storage_id=after, after_timestamp=None if after is not None else first
        )
        for record in instance.fetch_run_status_changes(wanted, _AT_ONCE, ascending=True).records:
            read[kind.value] = record.storage_id
            if run := instance.get_run_by_id(record.run_id):
                found.extend(run_sources.of_run(settings, instance, run, record.timestamp))
    found.extend(_freshness(settings, instance, cursor, read, first))
    return read, sorted(found, key=lambda each: each.at or now)


def _freshness(
    settings: Settings,
    instance: dg.DagsterInstance,
    cursor: Cursor,
    read: dict[str, int],
    first: float,
) -> Iterator[Condition]:
    kind = dg.DagsterEventType.FRESHNESS_STATE_CHANGE
    after = cursor.read.get(kind.value)
    wanted = dg.EventRecordsFilter(
        kind, after_cursor=after, after_timestamp=None if after is not None else first
    )
    storage = instance.event_log_storage
    for record in storage.get_event_records(wanted, limit=_AT_ONCE, ascending=True):
        read[kind.value] = record.storage_id
        change = record.event_log_entry.get_dagster_event().asset_freshness_state_change_data
        if condition := run_sources.of_freshness(settings, change):
            yield condition
