"""Charts as SVG, readable on light and dark pages: bars with their spread, and lines."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from string import Template
from typing import Final, Literal

Kind = Literal["ours", "floor", "other", "wrong"]

WIDTH: Final = 860
MARGIN: Final = 20
TITLE_HEIGHT: Final = 54
COLORS: Final = {
    "page": ("#ffffff", "#0d1117"),
    "edge": ("#d8dee4", "#3d444d"),
    "text": ("#1f2328", "#e6edf3"),
    "faint": ("#656d76", "#9198a1"),
    "grid": ("#eaeef2", "#21262d"),
    "ours": ("#0969da", "#58a6ff"),
    "floor": ("#8c959f", "#6e7681"),
    "other": ("#7f9bbd", "#4f6a8f"),
    "wrong": ("#cf222e", "#ff7b72"),
    "line0": ("#0969da", "#58a6ff"),
    "line1": ("#bc4c00", "#f0883e"),
    "line2": ("#1a7f37", "#3fb950"),
    "line3": ("#8250df", "#bc8cff"),
}
"""On a light page and on a dark one; written out, since many renderers know no CSS variables."""
PAINT: Final = Template("""\
text { fill: $text; }
.faint { fill: $faint; }
.page { fill: $page; stroke: $edge; }
.grid { stroke: $grid; } .axis { stroke: $edge; } .whisker { stroke: $text; }
.ours { fill: $ours; } .floor { fill: $floor; } .other { fill: $other; }
.wrong { fill: url(#hatch); stroke: $wrong; } text.wrong { fill: $wrong; stroke: none; }
.hatch { stroke: $wrong; }
.line-0 { stroke: $line0; } .line-1 { stroke: $line1; }
.line-2 { stroke: $line2; } .line-3 { stroke: $line3; }
.dot-0 { fill: $line0; } .dot-1 { fill: $line1; } .dot-2 { fill: $line2; } .dot-3 { fill: $line3; }
""")
SHAPE: Final = """\
text { font: 13px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; }
.title { font-size: 16px; font-weight: 600; }
.faint { font-size: 12px; }
.strong { font-weight: 600; }
.end { text-anchor: end; } .middle { text-anchor: middle; }
.whisker { stroke-width: 1.5; opacity: 0.75; fill: none; }
.hatch { stroke-width: 2; }
.line { fill: none; stroke-width: 2; }
"""


def _painted(page: int) -> str:
    return PAINT.substitute({name: colors[page] for name, colors in COLORS.items()})


STYLE: Final = f"{SHAPE}{_painted(0)}@media (prefers-color-scheme: dark) {{\n{_painted(1)}}}\n"
HATCH: Final = """\
<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">\
<line class="hatch" x1="0" y1="0" x2="0" y2="6"/></pattern></defs>
"""


@dataclass(frozen=True, slots=True)
class Bar:
    """One row of a bar chart."""

    label: str
    value: float
    least: float
    most: float
    text: str
    """Stands behind the bar."""
    kind: Kind = "other"


@dataclass(frozen=True, slots=True)
class Line:
    """Points of one line, in the order of x; ``spread`` has the least and the most at each point."""

    name: str
    points: Sequence[tuple[float, float]]
    spread: Sequence[tuple[float, float]] = ()


@dataclass(frozen=True, slots=True)
class Axis:
    """What stands along a side of a line chart."""

    label: str
    log: bool = False
    from_zero: bool = True
    """Begins at 0; a logarithmic one cannot."""


BAR_HEIGHT: Final = 16
BAR_STEP: Final = 26
LETTER_WIDTH: Final = 7.2
"""About; what a text takes cannot be known here."""
MOST_LABEL_WIDTH: Final = 400.0
VALUE_WIDTH: Final = 150


def bar_chart(title: str, subtitle: str, bars: Sequence[Bar]) -> str:
    """Horizontal bars from 0, the first one on top, each with a whisker from its least to its most."""
    height = TITLE_HEIGHT + BAR_STEP * len(bars) + 40
    label = min(MOST_LABEL_WIDTH, LETTER_WIDTH * max((len(bar.label) for bar in bars), default=0))
    left, room = MARGIN + label, WIDTH - 2 * MARGIN - label - VALUE_WIDTH
    most = max((bar.most for bar in bars), default=1.0)
    ticks = [tick for tick in linear_ticks(most) if tick <= most]

    def x(value: float) -> float:
        return left + room * value / most

    bottom = TITLE_HEIGHT + BAR_STEP * len(bars) + 6
    parts = []
    for tick in ticks:
        parts.append(_segment("grid", x(tick), TITLE_HEIGHT, x(tick), bottom))
        parts.append(_text("faint middle", x(tick), bottom + 16, short_number(tick)))
    for number, bar in enumerate(bars):
        parts += _bar(bar, TITLE_HEIGHT + BAR_STEP * number + 5, left, x)
    return _document(height, title, subtitle, parts)


def _bar(bar: Bar, top: float, left: float, x: Callable[[float], float]) -> list[str]:
    middle = top + BAR_HEIGHT / 2
    emphasis = " strong" if bar.kind == "ours" else ""
    color = " wrong" if bar.kind == "wrong" else ""
    width = x(bar.value) - left
    return [
        _text(f"end{emphasis}", left - 8, middle + 4.5, bar.label),
        f'<rect class="{bar.kind}" x="{left:.1f}" y="{top:.1f}" width="{width:.1f}"'
        f' height="{BAR_HEIGHT}" rx="2"/>',
        f'<path class="whisker" d="M{x(bar.least):.1f} {middle - 4:.1f}v8m0 -4H{x(bar.most):.1f}m0 -4v8"/>',
        _text(f"value{emphasis}{color}", max(x(bar.most), left) + 8, middle + 4.5, bar.text),
    ]


PLOT_HEIGHT: Final = 280
PLOT_LEFT: Final = 66
LEGEND_HEIGHT: Final = 36
DOT_RADIUS: Final = 3.5
MOST_DOTS: Final = 40
"""A line of more points is drawn without them."""


def line_chart(title: str, subtitle: str, x_axis: Axis, y_axis: Axis, lines: Sequence[Line]) -> str:
    """Lines over a grid, with a legend above the plot."""
    top: float = TITLE_HEIGHT + LEGEND_HEIGHT
    legend_y = top - 10
    left, right, bottom = MARGIN + PLOT_LEFT, WIDTH - MARGIN - 30, top + PLOT_HEIGHT
    xs = [x for line in lines for x, _ in line.points]
    ys = [y for line in lines for _, y in line.points] + [
        y for line in lines for ends in line.spread for y in ends
    ]
    x_scale, y_scale = _scale(x_axis, xs, left, right), _scale(y_axis, ys, bottom, top)
    parts = []
    for tick in x_scale.ticks:
        parts.append(_segment("grid", x_scale.at(tick), top, x_scale.at(tick), bottom))
        parts.append(_text("faint middle", x_scale.at(tick), bottom + 18, short_number(tick)))
    for tick in y_scale.ticks:
        parts.append(_segment("grid", left, y_scale.at(tick), right, y_scale.at(tick)))
        parts.append(_text("faint end", left - 8, y_scale.at(tick) + 4, short_number(tick)))
    parts.append(_segment("axis", left, bottom, right, bottom))
    parts.append(_text("faint middle", (left + right) / 2, bottom + 38, x_axis.label))
    parts.append(_text("faint", MARGIN, legend_y, y_axis.label))
    legend: float = right
    for number, line in reversed(list(enumerate(lines))):
        parts += _line(line, number, x_scale, y_scale)
        if len(lines) > 1:
            legend -= LETTER_WIDTH * len(line.name)
            parts.append(_text("", legend, legend_y, line.name))
            parts.append(_dot(number, legend - 10, legend_y - 4.5))
            legend -= 34
    return _document(bottom + 54, title, subtitle, parts)


@dataclass(frozen=True, slots=True)
class _Scale:
    at: Callable[[float], float]
    """Where a value is drawn."""
    ticks: Sequence[float]


def _scale(axis: Axis, values: Sequence[float], start: float, end: float) -> _Scale:
    """From values to places between ``start`` and ``end``."""
    if axis.log:
        ticks = log_ticks(min(values), max(values))
        low, high = math.log10(min(values)), math.log10(max(values))
        if low == high:
            low, high = low - 0.5, high + 0.5
        return _Scale(lambda value: start + (math.log10(value) - low) / (high - low) * (end - start), ticks)
    first = 0.0 if axis.from_zero else min(values)
    step_ticks = linear_ticks(max(values))
    last = step_ticks[-1]
    return _Scale(
        lambda value: start + (value - first) / (last - first) * (end - start),
        [tick for tick in step_ticks if tick >= first],
    )


def linear_ticks(most: float) -> list[float]:
    """From 0 in round steps to the first one that is not below ``most``: four to eight of them."""
    if most <= 0:
        return [0.0, 1.0]
    rough = most / 5
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * times for times in (1, 2, 2.5, 5, 10) if unit * times >= rough)
    return [step * number for number in range(math.ceil(most / step - 1e-9) + 1)]


def log_ticks(least: float, most: float) -> list[float]:
    """The powers of ten between the two; with 2 and 5 times them where there are few."""
    exponents = range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1)
    times = (1,) if most / least >= 100 else (1, 2, 5)
    ticks = [factor * 10.0**exponent for exponent in exponents for factor in times]
    return [tick for tick in ticks if least * 0.999 <= tick <= most * 1.001]


def short_number(value: float) -> str:
    """1.5 M for 1,500,000."""
    for unit, name in ((1e6, " M"), (1e3, " k")):
        if abs(value) >= unit:
            return f"{value / unit:g}{name}"
    return f"{value:g}"


def _line(line: Line, number: int, x: _Scale, y: _Scale) -> list[str]:
    places = [(x.at(a), y.at(b)) for a, b in line.points]
    path = "L".join(f"{a:.1f} {b:.1f}" for a, b in places)
    parts = [f'<path class="line line-{number}" d="M{path}"/>']
    for (a, _), (least, most) in zip(places, line.spread, strict=False):
        parts.append(f'<path class="whisker" d="M{a:.1f} {y.at(least):.1f}V{y.at(most):.1f}"/>')
    if len(places) <= MOST_DOTS:
        parts += [_dot(number, a, b) for a, b in places]
    return parts


def _dot(number: int, x: float, y: float) -> str:
    return f'<circle class="dot-{number}" cx="{x:.1f}" cy="{y:.1f}" r="{DOT_RADIUS}"/>'


def _document(height: float, title: str, subtitle: str, parts: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}"'
        f' height="{height:.0f}" role="img" aria-label="{escape(title)}">\n<style>\n{STYLE}</style>\n{HATCH}'
    )
    page = f'<rect class="page" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1:.0f}" rx="6"/>'
    heading = [_text("title", MARGIN, 26, title), _text("faint", MARGIN, 44, subtitle)]
    return head + "\n".join([page, *heading, *parts]) + "\n</svg>\n"


def _text(kind: str, x: float, y: float, text: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _segment(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'
