"""The graph as plain text in graph.txt: a change of keys, dependencies, checks, jobs, schedules or
sensors shows in review. Write it anew with `python -m kajovo_dr_tests.defs.test_graph` when it is
meant."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from kajovo_dr.definitions import defs

GRAPH = Path(__file__).with_name("graph.txt")


def described() -> str:
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    graph = defs.resolve_asset_graph()
    for node in sorted(graph.asset_nodes, key=lambda node: node.key):
        parents = ", ".join(sorted(key.to_user_string() for key in node.parent_keys)) or "nothing"
        daily = " daily" if node.partitions_def else ""
        fresh = " fresh" if node.freshness_policy else ""
        yield f"asset {node.key.to_user_string()}{daily}{fresh} after {parents}"
        for check in sorted(node.check_keys, key=lambda key: key.name):
            blocking = " blocking" if graph.get(check).blocking else ""
            yield f"  check {check.name}{blocking}"
    for job in sorted(defs.resolve_all_job_defs(), key=lambda job: job.name):
        steps = ", ".join(sorted(node.name for node in job.graph.nodes))
        tags = ", ".join(f"{key}={value}" for key, value in sorted(job.run_tags.items()))
        yield f"job {job.name} [{tags}]: {steps}"
    for schedule in defs.schedules or []:
        assert isinstance(schedule, dg.ScheduleDefinition)
        yield f"schedule {schedule.name} {schedule.cron_schedule} of {schedule.job_name}"
    for sensor in defs.sensors or []:
        yield f"sensor {sensor.name} every {sensor.minimum_interval_seconds} s"


def test_the_graph_is_the_one_that_was_reviewed() -> None:
    assert described() == GRAPH.read_text(encoding="utf-8")


def test_definitions_load() -> None:
    dg.Definitions.validate_loadable(defs)


if __name__ == "__main__":
    GRAPH.write_text(described(), encoding="utf-8")
