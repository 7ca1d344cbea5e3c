"""What Dagster's own events tell: runs that failed, checks that failed, freshness.

Belongs here: from events to conditions. Not here: when they are read (``alert_sensor``), what is
told of them (``alerts``).
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg
from dagster._core.definitions.freshness import FreshnessStateChange

from kajovo_dr.alerts.condition import Condition, Level
from kajovo_dr.backups.changes import CHECKS
from kajovo_dr.defs import proof_checks, status_asset
from kajovo_dr.redact import redacted
from kajovo_dr.settings import Settings
from kajovo_dr.watch.scene import Words

#: Jobs that a schedule launches: their last run says how they are. What a person launches is over
#: when it has failed; each failure is told once.
SCHEDULED = frozenset({"postgres_backup_job", "reprove_job", "cleanup_job", "dr_drill_job"})
#: Told from the store's files, from which the watchdog sees them, too; and the sum of it all.
_FROM_FILES = {*CHECKS, proof_checks.RPO, status_asset.WELL}
_FRESHNESS: dict[str, Level] = {
    **{"PASS": "ok", "WARN": "warning", "FAIL": "critical"},
    "UNKNOWN": "warning",  # what it means for the data, the recovery point says
}
#: Dagster looks at freshness every 30 s: it may call old what has just been made.
_PATIENCE_S = 120.0
#: Ids that differ from run to run are no other cause.
_NUMBERS = re.compile(r"[0-9a-f]{8,}|\d+")


def of_run(
    settings: Settings, instance: dg.DagsterInstance, run: dg.DagsterRun, ended_at: float
) -> Iterator[Condition]:
    """What a run that has succeeded or failed says of its job and of its checks."""
    at = datetime.fromtimestamp(ended_at, UTC)
    words = Words(settings.language, settings.timezone)
    failed = run.status == dg.DagsterRunStatus.FAILURE
    scheduled = run.job_name in SCHEDULED
    key = f"run:{run.job_name}" if scheduled else f"run:{run.job_name}:{run.run_id[:8]}"
    link = f"{settings.ui_url}/runs/{run.run_id}" if settings.ui_url else ""
    if failed:
        yield _failure(settings, words, instance, run, key, at, link, lasting=scheduled)
    elif scheduled and not _skipped(instance, run):
        yield Condition(key, "ok", words("run_ok", job=run.job_name), at=at)
    yield from _checks(words, instance, run, key if failed else "", at, link)


def of_freshness(settings: Settings, change: FreshnessStateChange) -> Condition | None:
    """What Dagster says of an asset's freshness; None for what has no policy.

    It counts from the end of the newest materialization, whatever that was: the recovery point is
    judged from proofs, and covers this while it is as bad.
    """
    words = Words(settings.language, settings.timezone)
    asset, state = change.key.to_user_string(), change.new_state.value
    if state == "NOT_APPLICABLE":
        return None
    level = _FRESHNESS.get(state, "unknown")
    text = {"PASS": "freshness_ok", "UNKNOWN": "freshness_unknown"}.get(state, "freshness")
    hours = settings.rpo_warn_hours if level == "warning" else settings.rpo_hours
    return Condition(
        f"freshness:{asset}",
        level,
        words(text, asset=asset, state=state),
        figure=state if state in ("WARN", "FAIL") else "",
        limit=words.duration(hours * 3600),
        next="" if level == "ok" else "postgres_backup_job, in the Dagster UI",
        covered_by=("rpo",),
        # a backup by schedule is due long before it would be called old
        patience_s=settings.rpo_warn_hours * 3600 if state == "UNKNOWN" else _PATIENCE_S,
        at=datetime.fromtimestamp(change.state_change_timestamp, UTC),
    )


def of_daemons(settings: Settings, instance: dg.DagsterInstance) -> Iterator[Condition]:
    """Parts of this very daemon that do not run: each is a thread that can die alone."""
    words = Words(settings.language, settings.timezone)
    statuses = instance.get_daemon_statuses().values()
    dead = [each.daemon_type for each in statuses if each.required and not each.healthy]
    if dead:
        what = words("daemon_parts", parts=", ".join(sorted(dead)))
        yield Condition("parts", "critical", what, next="kajovo-dr up", patience_s=_PATIENCE_S)


def _skipped(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether a run left something undone because it had nothing to do: it ends no trouble."""
    return bool(instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_SKIPPED))


def _failure(
    settings: Settings,
    words: Words,
    instance: dg.DagsterInstance,
    run: dg.DagsterRun,
    key: str,
    at: datetime,
    link: str,
    *,
    lasting: bool,
) -> Condition:
    step, why, hint = _error(instance, run)
    text = "run" if step else "run_dead"
    return Condition(
        key,
        "critical",
        words(text, job=run.job_name, step=step, why=why),
        next=hint or "kajovo-dr doctor",
        since=at,
        link=link,
        cause=f"{step}: {_NUMBERS.sub('#', why)}",
        covered_by=_told_by_files(settings, run.job_name, why),
        lasting=lasting,
        at=at,
    )


def _told_by_files(settings: Settings, job: str, why: str) -> tuple[str, ...]:
    """Conditions that say the same: the drill's record, the backups that were found damaged."""
    names = re.findall(rf"{re.escape(settings.backup_prefix)}-\d{{8}}-\d{{6}}\.(?:sql|dump)", why)
    damaged = tuple(f"damaged:{name}" for name in names)
    return (*damaged, "drill") if job == "dr_drill_job" else damaged


def _error(instance: dg.DagsterInstance, run: dg.DagsterRun) -> tuple[str, str, str]:
    """Step, message and hint of the first failure; no step when the run's process died."""
    for record in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE):
        event = record.get_dagster_event()
        data = event.step_failure_data
        ours = data.user_failure_data
        if ours is not None and ours.description:
            why, _, hint = ours.description.partition("\nhint: ")
            return event.step_key or "", why, hint
        error = data.error.cause or data.error if data.error is not None else None
        why = error.message.strip() if error is not None else str(event.message)
        return event.step_key or "", redacted(why), ""
    for record in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE):
        return "", redacted(record.get_dagster_event().message or ""), ""
    return "", "no event says why", ""


def _checks(
    words: Words,
    instance: dg.DagsterInstance,
    run: dg.DagsterRun,
    failed_run: str,
    at: datetime,
    link: str,
) -> Iterator[Condition]:
    """What a run's checks found: together with the run when that failed, else by itself. What a
    person launched is over when it has failed, and so are its checks.
    """
    records = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    for record in records:
        found = record.get_dagster_event().asset_check_evaluation_data
        asset, check = found.asset_key.to_user_string(), found.check_name
        told_with_run = failed_run and run.job_name not in SCHEDULED and not found.passed
        if check in _FROM_FILES or told_with_run:
            continue
        key = f"check:{asset}:{check}"
        if found.passed:
            yield Condition(key, "ok", words("check_ok", check=check, asset=asset), at=at)
            continue
        warned = found.severity == dg.AssetCheckSeverity.WARN
        yield Condition(
            key,
            "warning" if warned else "critical",
            words("check", check=check, asset=asset, why=found.description or "–"),
            next="kajovo-dr status",
            since=at,
            link=link,
            covered_by=(failed_run,) if failed_run else (),
            at=at,
        )
