"""What was measured, as ratios in a Markdown table.

Belongs here: the arithmetic of paired runs and the table. Not here: measuring (``contest``), and
seconds: on a noisy machine only ratios of neighbouring runs mean something.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

#: Peak memory of our process that the project allows itself, whatever the database's size.
PEAK_TARGET_MB = 200


@dataclass
class Samples:
    """One contestant's seconds, a value per round, and the highest memory it needed."""

    seconds: list[float] = field(default_factory=list)
    peak_bytes: int = 0

    def add(self, seconds: float, peak_bytes: int = 0) -> None:
        self.seconds.append(seconds)
        self.peak_bytes = max(self.peak_bytes, peak_bytes)


@dataclass(frozen=True)
class Line:
    """One row of the table: ours against bare; target None: shown for its own sake."""

    what: str
    ours: str
    bare: str
    target: float | None = None


@dataclass(frozen=True)
class Ratio:
    """The ratios of neighbouring runs: their median and range."""

    middle: float
    lowest: float
    highest: float


def paired(ours: Sequence[float], bare: Sequence[float]) -> Ratio:
    """Ratios round by round, so that a slow minute of the machine burdens both sides alike."""
    if len(ours) != len(bare) or not ours:
        raise ValueError(f"{len(ours)} runs cannot be paired with {len(bare)}")
    ratios = [a / b for a, b in zip(ours, bare, strict=True)]
    return Ratio(median(ratios), min(ratios), max(ratios))


def render(lines: Sequence[Line], measured: Mapping[str, Samples], facts: Mapping[str, str]) -> str:
    """The page: what it was measured on, the table, and the peak over everything."""
    head = [f"- {name}: {value}" for name, value in facts.items()]
    rows = [_row(line, measured[line.ours], measured[line.bare]) for line in lines]
    peak = _megabytes(max(samples.peak_bytes for samples in measured.values()))
    verdict = _verdict(float(peak), PEAK_TARGET_MB)
    rows.append(
        f"| peak memory of our process, MB | – | – | {PEAK_TARGET_MB} | {verdict} | {peak} |"
    )
    return "\n".join(
        [
            *head,
            "",
            "| ours / bare | ratio | range | target | verdict | peak MB |",
            "|---|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _row(line: Line, ours: Samples, bare: Samples) -> str:
    ratio = paired(ours.seconds, bare.seconds)
    target = "–" if line.target is None else f"{line.target:.2f}"
    verdict = "–" if line.target is None else _verdict(ratio.middle, line.target)
    peak = _megabytes(ours.peak_bytes) if ours.peak_bytes else "–"
    spread = f"{ratio.lowest:.2f}–{ratio.highest:.2f}"
    return f"| {line.what} | {ratio.middle:.2f} | {spread} | {target} | {verdict} | {peak} |"


def _verdict(value: float, target: float) -> str:
    return "met" if value <= target else f"**missed** by {(value / target - 1) * 100:.0f} %"


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.0f}"
