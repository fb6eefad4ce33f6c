"""Numbers over time -> one row of bars, the newest at the right."""

import math
from collections.abc import Sequence
from itertools import pairwise

BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], width: int) -> str:
    """Return at most `width` bars: the lowest value has the lowest bar, the highest the highest.

    More values than bars are averaged in equal parts; what is not finite is left out.
    """
    numbers = averages([value for value in values if math.isfinite(value)], width)
    if not numbers:
        return ""
    low, high = min(numbers), max(numbers)
    top = len(BARS) - 1
    scale = top / (high - low) if high > low else 0.0
    return "".join(BARS[min(top, round((value - low) * scale))] for value in numbers)


def averages(values: Sequence[float], parts: int) -> list[float]:
    """Return the means of `parts` equal slices of `values`; the values themselves if fewer."""
    if len(values) <= parts:
        return list(values)
    edges = [round(i * len(values) / parts) for i in range(parts + 1)]
    return [sum(values[low:high]) / (high - low) for low, high in pairwise(edges)]
