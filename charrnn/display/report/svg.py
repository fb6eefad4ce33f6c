"""Plots as SVG: axes with labels, lines, bands, bars and points; colours come from the page's CSS.

plot = Plot(Axis(0, 10, "step"), Axis(1.2, 2.0, "nats per token"))
plot.line([(0, 2.0), (10, 1.2)], "s1")
plot.markup("How the loss fell")
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

WIDTH, HEIGHT = 520, 270
LEFT, RIGHT, TOP, BOTTOM = 62, 24, 14, 50
NARROW = 400  # plots that stand side by side
STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True)
class Axis:
    """A scale from `low` to `high`."""

    low: float
    high: float
    label: str
    log: bool = False  # base 10
    ticks: Sequence[tuple[float, str]] | None = None  # place, name; else made here

    def share(self, value: float) -> float:
        """Return where a value lies, 0 to 1."""
        if self.log:
            value, low, high = (math.log10(x) for x in (value, self.low, self.high))
        else:
            low, high = self.low, self.high
        return (value - low) / (high - low) if high > low else 0.5

    def marks(self) -> list[tuple[float, str]]:
        """Return the places of the ticks and what stands at them."""
        if self.ticks is not None:
            return list(self.ticks)
        if self.log:
            return log_ticks(self.low, self.high)
        return nice_ticks(self.low, self.high)


def nice_ticks(low: float, high: float, wanted: int = 5) -> list[tuple[float, str]]:
    """Return round numbers between two ends, about so many."""
    if not high > low:
        return [(low, f"{low:g}")]
    raw = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * s for s in STEPS if power * s >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    places = max(0, -math.floor(math.log10(step) + 1e-9))
    places += 1 if abs(step * 10**places - round(step * 10**places)) > 1e-6 else 0
    values = [index * step for index in range(first, last + 1)]
    return [(v, f"{v:,.{places}f}".replace("-", "−")) for v in values]


def log_ticks(low: float, high: float, most: int = 7) -> list[tuple[float, str]]:
    """Return powers of ten between two ends, not too many."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    step = max(1, -(-(last - first + 1) // most))
    return [(10.0**p, power_of_ten(p)) for p in range(first, last + 1, step)]


def power_of_ten(power: int) -> str:
    """Return "0.01", "1", "100", and powers beyond as 10⁻⁵."""
    if -3 <= power <= 3:
        return f"{10.0**power:g}"
    digits = str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"10{digits}"


class Plot:
    """A drawing with two axes; what is added first lies beneath."""

    def __init__(self, x: Axis, y: Axis, *, width: int = WIDTH, height: int = HEIGHT) -> None:
        self.x, self.y, self.width, self.height = x, y, width, height
        self.parts: list[Markup] = []

    def at_x(self, value: float) -> float:
        """Return the place of a value of the x axis."""
        return round(LEFT + self.x.share(value) * (self.width - LEFT - RIGHT), 1)

    def at_y(self, value: float) -> float:
        """Return the place of a value of the y axis."""
        room = self.height - TOP - BOTTOM
        return round(TOP + (1 - min(1.0, max(0.0, self.y.share(value)))) * room, 1)

    def add(self, form: str, *values: object) -> None:
        """Add an element; `values` are escaped."""
        self.parts.append(Markup(form).format(*values))

    def line(self, points: Sequence[tuple[float, float]], mark: str) -> None:
        """Add a line through points."""
        path = " ".join(f"{self.at_x(x)},{self.at_y(y)}" for x, y in points)
        self.add('<polyline class="line {}" points="{}"/>', mark, path)

    def band(self, rows: Sequence[tuple[float, float, float]], mark: str) -> None:
        """Add an area between two lines; rows are (x, low, high)."""
        upper = [f"{self.at_x(x)},{self.at_y(high)}" for x, _, high in rows]
        lower = [f"{self.at_x(x)},{self.at_y(low)}" for x, low, _ in reversed(rows)]
        self.add('<polygon class="band {}" points="{}"/>', mark, " ".join(upper + lower))

    def point(self, x: float, y: float, mark: str, told: str, radius: float = 3.5) -> None:
        """Add a point that tells something under the pointer."""
        form = '<circle class="dot {}" cx="{}" cy="{}" r="{}"><title>{}</title></circle>'
        self.add(form, mark, self.at_x(x), self.at_y(y), radius, told)

    def whisker(self, x: float, low: float, high: float, mark: str) -> None:
        """Add an upright line: an interval."""
        place = self.at_x(x)
        form = '<line class="whisker {}" x1="{}" x2="{}" y1="{}" y2="{}"/>'
        self.add(form, mark, place, place, self.at_y(low), self.at_y(high))

    def column(self, left: float, right: float, high: float, mark: str, told: str) -> None:
        """Add an upright bar from the lower end of the axis."""
        x, end, top = self.at_x(left), self.at_x(right), self.at_y(high)
        form = '<rect class="bar {}" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>'
        depth = round(self.height - BOTTOM - top, 1)
        self.add(form, mark, x, top, round(max(0.5, end - x - 1), 1), depth, told)

    def level(self, value: float, mark: str) -> None:
        """Add a line from side to side."""
        form = '<line class="level {}" x1="{}" x2="{}" y1="{}" y2="{}"/>'
        place = self.at_y(value)
        self.add(form, mark, LEFT, self.width - RIGHT, place, place)

    def note(self, x: float, y: float, text: str, anchor: str = "start") -> None:
        """Add a few words within the plot."""
        form = '<text class="note" x="{}" y="{}" text-anchor="{}">{}</text>'
        self.add(form, self.at_x(x), self.at_y(y) - 5, anchor, text)

    def axes(self) -> Markup:
        """Return the grid, the ticks and the labels."""
        parts = []
        right, floor = self.width - RIGHT, self.height - BOTTOM
        tick = Markup('<text class="tick" x="{}" y="{}" text-anchor="{}">{}</text>')
        for value, name in self.y.marks():
            place = self.at_y(value)
            rule = Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>')
            parts.append(rule.format(LEFT, right, place, place))
            parts.append(tick.format(LEFT - 7, place + 4, "end", name))
        for value, name in self.x.marks():
            parts.append(tick.format(self.at_x(value), floor + 18, "middle", name))
        line = Markup('<line class="axis" x1="{}" x2="{}" y1="{}" y2="{}"/>')
        parts.append(line.format(LEFT, right, floor, floor))
        middle, centre = (LEFT + right) / 2, (TOP + floor) / 2
        label = Markup('<text class="label" x="{}" y="{}" text-anchor="middle">{}</text>')
        parts.append(label.format(middle, self.height - 8, self.x.label))
        turned = Markup(
            '<text class="label" transform="translate(13 {}) rotate(-90)" '
            'text-anchor="middle">{}</text>'
        )
        parts.append(turned.format(centre, self.y.label))
        return Markup("").join(parts)

    def markup(self, told: str) -> Markup:
        """Return the drawing; `told` says in words what it shows."""
        form = '<svg viewBox="0 0 {} {}" role="img" aria-label="{}" class="plot{}">{}{}</svg>'
        small = " small" if self.width < NARROW else ""
        drawn = Markup("").join(self.parts)
        return Markup(form).format(self.width, self.height, told, small, self.axes(), drawn)
