"""The benchmark's command line: ``python -m kajovo_dr_tests.benchmarks --help``.

Belongs here: options, progress, where the page goes. Not here: measuring (``contest``), numbers
(``table``). No test: what it finds depends on the machine, so pytest does not collect it.
"""

from __future__ import annotations

from pathlib import Path

import click

from kajovo_dr_tests.benchmarks.command import gigabytes_option, output_option, show, tell
from kajovo_dr_tests.benchmarks.contest import Contest, lines
from kajovo_dr_tests.benchmarks.stage import facts, stage
from kajovo_dr_tests.benchmarks.table import render

_TITLE = "# What proof costs: kajovo_dr beside the bare client tools\n\n"
_REPEAT = """
Each ratio is the median of the ratios of neighbouring runs; *bare* is the same tool, format, jobs
and server settings without us, written to a file and flushed to the disk as ours is. A whole proof
starts a server of its own, with `initdb`, in the measured time; the bare restore finds one running.
Peak memory is that of our Python process, not of pg_dump and its like. Measured anew by
`python -m kajovo_dr_tests.benchmarks --gigabytes {gigabytes:g} --runs {runs}`.
"""
#: Processor seconds of server, tool and us together, read on 2026-11-23 for 0.5 GB on 2 cores.
_WHY = """
## Why not less

pg_dump of 0.5 GB takes 1.6 seconds of processor time, our backup 3.3 (plain) or 3.0 (custom): both
cores are busy for as long as pg_dump runs, so no order of the work makes that much shorter.

- *Backup without fingerprint*: sha256 (0.5 s/GB) and the way through our process are work that
  pg_dump alone does not have, and it leaves less than half a core for them. About 0.1 s goes into
  lock, snapshot, schema, roles and four files flushed to the disk, whatever the size: 4 % of a dump
  of 2.4 s, nothing of a long one.
- *With the fingerprint*: hashing every row costs the server as much as COPY does. SQL text is also
  read for its shape and its rows on the way (0.5 s/GB); an archive is decoded for that when it is
  complete, by one core while the other has nothing to do: that is the difference between the dump
  and the whole backup. It is kept, because a backup is judged by it until it is proven.
- *Whole proof*: about 0.9 s go into `initdb`, a start, a database and an end, whatever the size.

With 10 GB (one round, 2026-11-23) our process had at most 76 MB: dump 59, whole backup 64, loading
67, proof 76.
"""


@click.command()
@gigabytes_option
@click.option(
    "--runs", type=click.IntRange(1, 100), default=5, show_default=True, help="Rounds per median."
)
@output_option
def main(gigabytes: float, runs: int, output: Path | None) -> None:
    """Measure backup, restore and proof beside the bare client tools, as a Markdown table.

    Starts servers of its own in a temporary folder, which is removed at the end and needs about
    eight times the database's size. Progress goes to standard error.
    """
    show(lambda: _measured(gigabytes, runs), output)


def _measured(gigabytes: float, runs: int) -> str:
    with stage(gigabytes, tell) as held:
        contest = Contest(held, tell)
        contest.run(runs)
        table = render(lines(), contest.measured, facts(held, runs))
    return _TITLE + table + _REPEAT.format(gigabytes=gigabytes, runs=runs) + _WHY


if __name__ == "__main__":
    main()
