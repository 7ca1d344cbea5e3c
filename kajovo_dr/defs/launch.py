"""Running a job of ours in this process, for the command line's demo.

Belongs here: the instance, the run, what came of it. Not here: what the jobs do.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg

import kajovo_dr
from kajovo_dr.defs import run_lock
from kajovo_dr.defs.resources import Environment
from kajovo_dr.errors import SettingError
from kajovo_dr.files import private_folder
from kajovo_dr.progress import Progress
from kajovo_dr.settings import Settings


@dataclass(frozen=True)
class Outcome:
    """How a run ended. failure: the message of the step that failed, or empty."""

    run_id: str
    success: bool
    failure: str
    materialized: tuple[str, ...]
    checks: dict[str, bool]


class _Watched:
    """The environment resource, whose progress is also shown in the terminal of this process.

    A plain object: Dagster makes a configurable resource anew from its config, without the watcher.
    """

    def __init__(self, watch: Progress) -> None:
        self._environment = Environment()
        self._watch = watch
        self.settings = self._environment.settings
        self.source = self._environment.source
        self.target = self._environment.target

    def progress(self, context: dg.OpExecutionContext | dg.AssetExecutionContext) -> Progress:
        """Both: the run's log, and the terminal."""
        log = self._environment.progress(context)

        def both(phase: str, done: int, total: int | None) -> None:
            log(phase, done, total)
            self._watch(phase, done, total)

        return both


def dagster_home(settings: Settings) -> Path:
    """The folder that DAGSTER_HOME names, with our two files in it."""
    home = private_folder(settings.state / "dagster")
    package = Path(kajovo_dr.__file__).parent
    for name in ("dagster.yaml", "workspace.yaml"):
        # beside the package in a clone, inside it when it was installed
        found = next((each for each in (package.parent, package) if (each / name).is_file()), None)
        if found is None:
            raise SettingError(
                f"{name} is missing beside the package", hint="install kajovo_dr again."
            )
        shutil.copyfile(found / name, home / name)
    return home


def end_dead_runs(settings: Settings) -> list[str]:
    """Mark runs in progress as failed, and log their recoveries as interrupted; the jobs' names.

    Only for a storage that nobody else uses, before its daemon starts: a run left there as started
    would hold its place in the queue until the maximum runtime, and tonight's recovery behind it.
    """
    os.environ["DAGSTER_HOME"] = str(dagster_home(settings))
    with dg.DagsterInstance.get() as instance, _quiet():
        dead = run_lock.reap(instance, settings, datetime.now(UTC), alone=True)
    return [each.job for each in dead]


def run_job(
    settings: Settings, name: str, config: dict[str, Any], *, partition: str | None, watch: Progress
) -> Outcome:
    """Run a job to its end on the real instance.

    Dagster's own lines are not shown: the same events are in its storage, for the UI.
    """
    from kajovo_dr.definitions import defs

    @dg.resource
    def environment(context: dg.InitResourceContext) -> Iterator[_Watched]:
        assert context.run is not None
        with run_lock.held(settings.state, context.run.run_id):
            yield _Watched(watch)

    os.environ["DAGSTER_HOME"] = str(dagster_home(settings))
    with dg.DagsterInstance.get() as instance, _quiet():
        result = defs.resolve_job_def(name).execute_in_process(
            run_config=config,
            partition_key=partition,
            instance=instance,
            resources={"environment": environment},
            raise_on_error=False,
        )
    return Outcome(
        result.run_id, result.success, _failure(result), _materialized(result), _checks(result)
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dagster's lines off the terminal: the same events are in its storage."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as said, contextlib.redirect_stderr(said):
        yield


def _failure(result: dg.ExecuteInProcessResult) -> str:
    for event in result.filter_events(lambda event: event.is_step_failure):
        data = event.step_failure_data
        if data.user_failure_data is not None and data.user_failure_data.description:
            return data.user_failure_data.description
        if data.error is not None:
            return data.error.message.strip()
    return ""


def _materialized(result: dg.ExecuteInProcessResult) -> tuple[str, ...]:
    events = result.get_asset_materialization_events()
    return tuple(event.asset_key.to_user_string() for event in events if event.asset_key)


def _checks(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {each.check_name: each.passed for each in result.get_asset_check_evaluations()}
