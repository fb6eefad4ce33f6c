"""Bars that lie: a row each, with its name, its interval and its number."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from charrnn.display.report.svg import nice_ticks

WIDTH, ROW, NAMES, NUMBERS, FOOT = 520, 26, 150, 74, 44


@dataclass(frozen=True)
class Row:
    """One bar."""

    name: str
    value: float
    low: float  # nan where it has no interval
    high: float
    text: str  # the number as it is shown
    mark: str = "s1"  # CSS class


def lying_bars(
    rows: Sequence[Row], label: str, told: str, *, most: float | None = None, percent: bool = False
) -> Markup:
    """Return the bars on one scale from 0 (or the least) to the largest; `percent`: of shares."""
    ends = [x for row in rows for x in (row.value, row.low, row.high) if x == x]
    low, high = min([0.0, *ends]), most if most is not None else max([0.0, *ends])
    high = high if high > low else low + 1
    floor = len(rows) * ROW + 6

    def place(value: float) -> float:
        share = min(1.0, max(0.0, (value - low) / (high - low)))
        return round(NAMES + share * (WIDTH - NAMES - NUMBERS), 1)

    parts = []
    factor, unit = (100, "%") if percent else (1, "")
    for mark, name in nice_ticks(factor * low, factor * high, 4):
        line = '<line class="grid" x1="{0}" x2="{0}" y1="0" y2="{1}"/>'
        tick = '<text class="tick" x="{0}" y="{2}" text-anchor="middle">{3}</text>'
        parts.append(
            Markup(line + tick).format(place(mark / factor), floor, floor + 16, name + unit)
        )
    for index, row in enumerate(rows):
        parts.append(drawn_row(row, index * ROW + 4, place))
    text = '<text class="label" x="{}" y="{}" text-anchor="middle">{}</text>'
    middle = (NAMES + WIDTH - NUMBERS) / 2
    parts.append(Markup(text).format(middle, floor + FOOT - 8, label))
    form = '<svg viewBox="0 0 {} {}" role="img" aria-label="{}" class="plot">{}</svg>'
    return Markup(form).format(WIDTH, floor + FOOT, told, Markup("").join(parts))


def drawn_row(row: Row, top: int, place: Callable[[float], float]) -> Markup:
    """Return the elements of one bar; `place` gives the x of a value."""
    middle = top + ROW / 2 - 2
    zero, end = place(0.0), place(row.value)
    left, wide = min(zero, end), max(0.5, abs(end - zero))
    parts = [
        Markup('<text class="name" x="{}" y="{}" text-anchor="end">{}</text>').format(
            NAMES - 8, middle + 4, row.name
        ),
        Markup('<rect class="bar {}" x="{}" y="{}" width="{}" height="{}" rx="2"/>').format(
            row.mark, left, top, round(wide, 1), ROW - 8
        ),
    ]
    if row.low == row.low:
        form = '<line class="whisker" x1="{}" x2="{}" y1="{}" y2="{}"/>'
        parts.append(Markup(form).format(place(row.low), place(row.high), middle, middle))
    form = '<text class="value" x="{}" y="{}" text-anchor="end">{}</text>'
    parts.append(Markup(form).format(WIDTH - 4, middle + 4, row.text))
    return Markup("").join(parts)
