"""The history of drills as charts: inline SVG that turns dark with its page and needs no script.

Belongs here: bars, axes, ticks, units and legends. Not here: the page (``drill_report``). Every bar
says its value when pointed at.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kajovo_dr.recovery.drill_record import PHASES, RTO_PHASES, DrillRecord
from kajovo_dr.recovery.drill_words import Words
from kajovo_dr.recovery.html_page import escape

_WIDTH, _HEIGHT = 760, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 14, 26, 52
_PLOT_WIDTH, _PLOT_HEIGHT = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
_WIDEST_BAR = 56.0
_TICKS = 5
#: Labels of drills below a chart at most; with more drills some have none.
_LABELS = 8
#: Half of the widest label.
_LABEL_HALF = 40
#: A limit so many times above the highest bar would make all bars flat, so it is only named.
_LIMIT_SHOWN = 2.5
#: Phases with a colour of their own; the rest are one, in grey.
_COLOURED = ("proof", "zoo", *RTO_PHASES)
_TIME_UNITS = ((180.0, "unit_s", 1.0), (10_800.0, "unit_min", 60.0), (259_200.0, "unit_h", 3600.0))
#: What does not count towards the RTO is pale, what does is strong; each pair is light and dark.
_COLOURS = {
    "proof": ("#b9a6d6", "#7f6aa8"),
    "zoo": ("#d9b99b", "#94704f"),
    "backup": ("#3d4f6b", "#a3b8d9"),
    "restore": ("#1f5fc4", "#5b9bff"),
    "migrate": ("#0f8a8a", "#35c2c2"),
    "legacy": ("#b8336a", "#f07aa8"),
    "revoke": ("#7a4a21", "#c99062"),
    "start": ("#d98200", "#ffb347"),
    "readiness": ("#8a4fc7", "#c092ff"),
    "smoke": ("#2c8f4e", "#5fd08a"),
    "other": ("#b7bdc8", "#5a6474"),
}


def _style() -> str:
    light = "".join(f"--c-{name}: {pair[0]}; " for name, pair in _COLOURS.items())
    dark = "".join(f"--c-{name}: {pair[1]}; " for name, pair in _COLOURS.items())
    return f"""
:root {{ {light}}}
@media (prefers-color-scheme: dark) {{ :root {{ {dark}}} }}
figure {{ margin: 1.2rem 0 1.8rem; }}
figcaption {{ font-weight: 600; margin-bottom: .3rem; }}
.chart {{ display: block; width: 100%; min-width: 36rem; height: auto; }}
.chart text {{ fill: var(--muted); font-size: 12px; }}
.chart .grid {{ stroke: var(--line); }}
.chart .axis {{ stroke: var(--muted); }}
.chart .fail {{ fill: var(--bad); font-weight: 700; }}
.chart .limit {{ stroke: var(--bad); stroke-dasharray: 6 4; }}
.chart .told {{ paint-order: stroke; stroke: var(--paper); stroke-width: 5px; }}
.chart .warning {{ stroke: var(--warn); stroke-dasharray: 6 4; }}
.legend {{ display: flex; flex-wrap: wrap; gap: .2rem 1rem; font-size: .9rem;
  color: var(--muted); }}
.swatch {{ display: inline-block; width: .8em; height: .8em; border-radius: 2px;
  margin-right: .35em; vertical-align: -.05em; }}
"""


STYLE = _style()


@dataclass(frozen=True)
class Series:
    """One colour of the bars: its values, one per drill (None: not measured)."""

    colour: str
    name: str
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class Axis:
    """The vertical axis. unit: its name; size: of one unit in what the values are measured in."""

    unit: str
    size: float
    step: float
    top: float

    def y(self, value: float) -> float:
        """Where a value stands in the drawing."""
        return _TOP + _PLOT_HEIGHT * (1 - value / self.top)


def charts(drills: Sequence[DrillRecord], words: Words) -> str:
    """All charts of the history."""
    limits = drills[-1].objectives
    rto = ((limits.rto_warn_s, "warning"), (limits.rto_s, "limit"))
    rpo = ((limits.rpo_warn_s, "warning"), (limits.rpo_s, "limit"))
    size = _single("restore", words("dump"), [drill.dump_bytes for drill in drills])
    age = _single("migrate", words("data_age"), [drill.data_age_s for drill in drills])
    return "\n".join(
        (
            _chart("chart_all", drills, _by_phase(drills, words, PHASES), words),
            _chart("chart_rto", drills, _by_phase(drills, words, RTO_PHASES), words, rto),
            _chart("chart_dump", drills, size, words, of_bytes=True),
            _chart("chart_age", drills, age, words, rpo),
        )
    )


def _single(colour: str, name: str, values: Iterable[float | None]) -> list[Series]:
    return [Series(colour, name, tuple(values))]


def _by_phase(drills: Sequence[DrillRecord], words: Words, phases: Sequence[str]) -> list[Series]:
    """One series per phase that took any time, the quick ones of all drills as one."""
    found = [
        Series(name, words.phase(name), tuple(drill.seconds.get(name) for drill in drills))
        for name in phases
        if name in _COLOURED
    ]
    rest = [name for name in phases if name not in _COLOURED]
    if rest:
        sums = (sum(drill.seconds.get(name, 0.0) for name in rest) for drill in drills)
        found.append(Series("other", words("other"), tuple(sums)))
    return [series for series in found if any(series.values)]


def _chart(
    title: str,
    drills: Sequence[DrillRecord],
    series: list[Series],
    words: Words,
    limits: Sequence[tuple[float, str]] = (),
    *,
    of_bytes: bool = False,
) -> str:
    sums = [sum(filter(None, values)) for values in zip(*(s.values for s in series), strict=True)]
    highest = max(sums, default=0.0)
    caption = f"<figcaption>{escape(words(title))}</figcaption>"
    if not highest:
        nothing = escape(words("nothing_to_draw"))
        return f'<figure>{caption}<p class="muted">{nothing}</p></figure>'
    shown = [(value, kind) for value, kind in limits if value <= highest * _LIMIT_SHOWN]
    axis = _axis(max([highest, *(value for value, _ in shown)]), words, of_bytes=of_bytes)
    parts = [
        *_grid(axis, words),
        *_bars(axis, drills, series, words, of_bytes=of_bytes),
        *(_limit_line(axis, value, kind, words) for value, kind in shown),
        *_labels(drills, words),
    ]
    drawing = "\n".join(parts)
    return (
        f'<figure>{caption}<div class="scroll"><svg class="chart" role="img"'
        f' viewBox="0 0 {_WIDTH} {_HEIGHT}" aria-label="{escape(words(title))}">\n{drawing}\n'
        f"</svg></div>{_legend(series, drills, limits, shown, words)}</figure>"
    )


def _axis(highest: float, words: Words, *, of_bytes: bool) -> Axis:
    unit, size = _byte_unit(highest) if of_bytes else _time_unit(highest, words)
    step = _step(highest / size / _TICKS)
    return Axis(unit, size, step, math.ceil(highest / size / step - 1e-9) * step * size)


def _byte_unit(highest: float) -> tuple[str, float]:
    power = min(int(math.log10(max(highest, 1)) // 3), 4)
    return ("B", "kB", "MB", "GB", "TB")[power], 1000.0**power


def _time_unit(highest: float, words: Words) -> tuple[str, float]:
    for most, name, size in _TIME_UNITS:
        if highest <= most:
            return words(name), size
    return words("unit_d"), 86_400.0


def _step(least: float) -> float:
    """The next of 1, 2, 5, 10, … times a power of ten."""
    power: float = 10.0 ** math.floor(math.log10(least))
    return next(power * each for each in (1, 2, 5, 10) if power * each >= least * (1 - 1e-9))


def _grid(axis: Axis, words: Words) -> Iterable[str]:
    digits = max(0, -math.floor(math.log10(axis.step) + 1e-9))
    for number in range(round(axis.top / axis.size / axis.step) + 1):
        value = number * axis.step
        y = axis.y(value * axis.size)
        kind = "grid" if number else "axis"
        yield (
            f'<line class="{kind}" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">'
            f"{words.decimal(value, digits)}</text>"
        )
    yield f'<text x="{_LEFT - 8}" y="12" text-anchor="end">{escape(axis.unit)}</text>'


def _slots(drills: Sequence[DrillRecord]) -> Iterable[tuple[DrillRecord, float, float]]:
    """Each drill with the middle and the width of its bar."""
    slot = _PLOT_WIDTH / len(drills)
    width = min(_WIDEST_BAR, slot * 0.72)
    for number, drill in enumerate(drills):
        yield drill, _LEFT + slot * (number + 0.5), width


def _bars(
    axis: Axis,
    drills: Sequence[DrillRecord],
    series: list[Series],
    words: Words,
    *,
    of_bytes: bool,
) -> Iterable[str]:
    written = words.bytes if of_bytes else words.duration
    for number, (drill, middle, width) in enumerate(_slots(drills)):
        reached = 0.0
        when = words.local_day(drill.started_at)
        for each in series:
            if value := each.values[number]:
                y, bottom = axis.y(reached + value), axis.y(reached)
                reached += value
                told = escape(f"{when}: {each.name} {written(value)}")
                yield (
                    f'<rect x="{middle - width / 2:.1f}" y="{y:.1f}" width="{width:.1f}"'
                    f' height="{max(bottom - y, 0.6):.1f}" fill="var(--c-{each.colour})">'
                    f"<title>{told}</title></rect>"
                )
        if not drill.ok:
            told = escape(f"{when}: {words('failed')}")
            yield (
                f'<text class="fail" x="{middle:.1f}" y="{axis.y(reached) - 4:.1f}"'
                f' text-anchor="middle">×<title>{told}</title></text>'
            )


def _limit_line(axis: Axis, value: float, kind: str, words: Words) -> str:
    y = axis.y(value)
    told = escape(f"{words(kind)} {words.duration(value)}")
    return (
        f'<line class="{kind}" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}">'
        f"<title>{told}</title></line>"
        f'<text class="told" x="{_LEFT + 4}" y="{y - 5:.1f}">{told}</text>'
    )


def _labels(drills: Sequence[DrillRecord], words: Words) -> Iterable[str]:
    every = math.ceil(len(drills) / _LABELS)
    y = _HEIGHT - _BOTTOM + 18
    for number, (drill, middle, _) in enumerate(_slots(drills)):
        if (len(drills) - 1 - number) % every == 0:  # the newest always has one
            day = escape(words.local_day(drill.started_at))
            inside = middle + _LABEL_HALF <= _WIDTH
            x, anchor = (middle, "middle") if inside else (_WIDTH - 1.0, "end")
            yield f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}">{day}</text>'
    middle = _LEFT + _PLOT_WIDTH / 2
    yield (
        f'<text x="{middle:.1f}" y="{_HEIGHT - 8}" text-anchor="middle">'
        f"{escape(words('axis_drills'))}</text>"
    )


def _legend(
    series: list[Series],
    drills: Sequence[DrillRecord],
    limits: Sequence[tuple[float, str]],
    shown: Sequence[tuple[float, str]],
    words: Words,
) -> str:
    items = [
        f'<span><span class="swatch" style="background: var(--c-{each.colour})"></span>'
        f"{escape(each.name)}</span>"
        for each in series
        if len(series) > 1
    ]
    if not all(drill.ok for drill in drills):
        items.append(f'<span><b class="bad">×</b> {escape(words("failed_drill"))}</span>')
    beyond = [value for value, kind in limits if kind == "limit" and (value, kind) not in shown]
    items += [
        f"<span>{escape(words('limit_beyond', limit=words.duration(value)))}</span>"
        for value in beyond
    ]
    return f'<div class="legend">{"".join(items)}</div>' if items else ""
