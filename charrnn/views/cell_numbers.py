"""The numbers of one unit over a text, each with the interval that another text like it might give.

Blocks of the text are drawn anew, of twice the time over which the unit stays alike, or 500 tokens.
That time itself is taken anew on each of ten stretches: how it differs there gives its interval.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.views.intervals import BLOCK, Interval, student_quantile
from charrnn.views.resampling import block_sums, draw_counts, ends_of
from charrnn.views.statistics import autocorrelation_time

NUM_DRAWS = 1000
STRETCHES = 10
LEAST = 20  # times the autocorrelation time: a shorter stretch tells nothing of it

Values = NDArray[np.floating]


class Numbers(NamedTuple):
    """What is known of a unit's values; ends are nan where the text is too short for them."""

    mean: Interval
    std: Interval
    autocorrelation_time: Interval  # tokens
    time_constant: Interval | None  # tokens: -1 / E[ln f]; None: no gate keeps, or none leaks


def numbers_of(values: Values, kept: Values | None) -> Numbers:
    """Return the numbers of a unit; `kept` (N,) is the gate that keeps it, if it has one."""
    alike = time_interval(values)
    size = max(BLOCK, int(2 * alike.mean))
    wide = np.asarray(values, np.float64)
    shift = float(wide.mean())
    centred = wide - shift  # squares of small numbers lose nothing
    sums = block_sums(np.stack([np.ones_like(wide), centred, centred**2], axis=1), size)
    counts = draw_counts(len(sums), NUM_DRAWS, 0)
    n, first, second = (counts @ sums).T
    spread = np.sqrt(np.maximum(second / n - (first / n) ** 2, 0))
    low, high = float(wide.min()), float(wide.max())
    mean = ends_of(shift, shift + first / n, len(sums), low, high)
    std = ends_of(float(wide.std()), spread, len(sums), 0.0, (high - low) / 2)
    return Numbers(mean, std, alike, None if kept is None else time_constant(kept, size))


def time_interval(values: Values) -> Interval:
    """Return the autocorrelation time with its interval, on a logarithmic scale."""
    whole = autocorrelation_time(values)
    if len(values) < STRETCHES * max(BLOCK, LEAST * whole):
        return Interval(whole, float("nan"), float("nan"))
    logs = np.log([autocorrelation_time(part) for part in np.array_split(values, STRETCHES)])
    reach = student_quantile(STRETCHES - 1) * float(logs.std(ddof=1)) / np.sqrt(STRETCHES)
    return Interval(whole, float(whole * np.exp(-reach)), float(whole * np.exp(reach)))


def time_constant(kept: Values, size: int = BLOCK) -> Interval | None:
    """Return -1 / E[ln f] in tokens, by blocks of `size`; None for a gate that never leaks."""
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(np.asarray(kept, np.float64))
        sums = block_sums(np.stack([np.ones_like(logs), logs], axis=1), size)
        if not sums[:, 1].sum() < 0:
            return None
        n, total = (draw_counts(len(sums), NUM_DRAWS, 0) @ sums).T
        times = -n / total
        return ends_of(float(-len(logs) / sums[:, 1].sum()), times, len(sums), 0.0)
