"""Curves in braille dots: two by four of them in each character cell."""

import math
from collections.abc import Sequence
from itertools import pairwise

from rich.console import Console
from rich.text import Text

MARKS = ("", "o", "x", "+", "*", "#", "@")  # of series where there are no colours; "": dots
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # [row][column] of a cell
Series = Sequence[tuple[float, float]]  # (x, y)


def marks_of(count: int, console: Console) -> list[str]:
    """Return how each of `count` series is drawn where colours do not tell: dots, then signs."""
    if console.color_system is not None:
        return [""] * count
    return [MARKS[index % len(MARKS)] for index in range(count)]


def braille_plot(
    series: Sequence[tuple[str, Series]],
    width: int,
    height: int,
    styles: Sequence[str],
    marks: Sequence[str] = (),
) -> list[Text]:
    """Return `height` lines of `width` columns with each series, and the scale of y at the left.

    Points are joined by straight lines; a cell has the style of the last series that meets it, and
    that series' mark in place of dots if it has one.
    """
    points = [p for _, values in series for p in values if math.isfinite(p[1])]
    low_x, high_x = min(p[0] for p in points), max(p[0] for p in points)
    low_y, high_y = min(p[1] for p in points), max(p[1] for p in points)
    margin = 8
    columns, rows = 2 * max(1, width - margin), 4 * height
    cells: dict[tuple[int, int], tuple[int, str, str]] = {}
    for (_, values), style, sign in zip(series, styles, marks or [""] * len(series), strict=True):
        dots = [
            (
                scale(x, low_x, high_x, columns - 1),
                rows - 1 - scale(y, low_y, high_y, rows - 1),
            )
            for x, y in values
            if math.isfinite(y)
        ]
        for x, y in join(dots):
            place = (y // 4, x // 2)
            bits, _, before = cells.get(place, (0, "", ""))
            cells[place] = (bits | DOTS[y % 4][x % 2], style, sign or before)
    lines = []
    for row in range(height):
        value = high_y - (high_y - low_y) * row / max(1, height - 1)
        line = Text(f"{value:7.3f} ", style="dim")
        for column in range(columns // 2):
            bits, style, sign = cells.get((row, column), (0, "", ""))
            line.append(sign or chr(0x2800 + bits), style)
        lines.append(line)
    return lines


def scale(value: float, low: float, high: float, steps: int) -> int:
    """Return the place of `value` among 0..steps."""
    return round((value - low) / (high - low) * steps) if high > low else 0


def join(dots: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the dots of the straight lines from each point to the next."""
    joined = dots[:1]
    for (x0, y0), (x1, y1) in pairwise(dots):
        steps = max(abs(x1 - x0), abs(y1 - y0), 1)
        joined += [
            (round(x0 + (x1 - x0) * i / steps), round(y0 + (y1 - y0) * i / steps))
            for i in range(1, steps + 1)
        ]
    return joined
