"""The full linear probe of a feature, and how few units do nearly as well: is it one cell, or many?

Least squares on the first half, judged on the second. Units are taken in the order of forward
selection: next is always the one that explains most of what is left.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.views.activations import Activations
from charrnn.views.cells_score import Halves
from charrnn.views.features import Feature
from charrnn.views.intervals import Interval
from charrnn.views.resampling import MIN_BLOCK, auc_interval, block_size, correlation_interval
from charrnn.views.statistics import auc

MAX_ROWS = 20_000  # tokens of a half
MAX_UNITS = 256  # that forward selection takes; all of them if there are fewer
SHARE = 0.9  # n90
RIDGE = 1e-3  # times the variance of a unit

Floats = NDArray[np.float64]


class Probe(NamedTuple):
    """What all units know of a feature together."""

    score: Interval  # area of a binary feature on B, correlation of a real one
    n90: int | None  # units for 90% of its area - 0.5 (correlation); None: over 256, or none do


def spread(part: slice, limit: int) -> NDArray[np.int64]:
    """Return at most `limit` places of `part`, evenly."""
    size = part.stop - part.start
    return np.arange(part.start, part.stop, -(-size // limit), dtype=np.int64)


def probe_features(
    activations: Activations, features: Sequence[Feature], halves: Halves
) -> list[Probe]:
    """Return the probe of each feature."""
    rows_a, rows_b = spread(halves.a, MAX_ROWS), spread(halves.b, MAX_ROWS)
    step = int(rows_b[1] - rows_b[0])  # tokens from row to row
    units_a, units_b = activations.matrix(rows_a), activations.matrix(rows_b)
    mean, scale = units_a.mean(0), units_a.std(0)
    scale = np.where(scale > 1e-6, scale, np.float32(np.inf))
    units_a, units_b = (units_a - mean) / scale, (units_b - mean) / scale
    gram = (units_a.T @ units_a).astype(np.float64) / len(units_a)
    gram[np.diag_indices(len(gram))] += RIDGE
    found = []
    for feature in features:
        wanted = feature.values[rows_a] - feature.values[rows_a].mean()
        shared = (units_a.T @ wanted).astype(np.float64) / len(units_a)
        block = max(1, block_size(feature.values[halves.b], feature.binary) // step)
        values = feature.values[rows_b]
        found.append(probe_one(gram, shared, units_b, values, feature.binary, block))
    return found


def probe_one(
    gram: Floats,
    shared: Floats,
    units: NDArray[np.float32],
    values: NDArray[np.float32],
    binary: bool,
    block: int = MIN_BLOCK,
) -> Probe:
    """Return the probe of one feature; `shared` (D,) are its covariances with the units on A.

    Blocks of `block` rows are drawn anew for the interval.
    """

    def guess(chosen: NDArray[np.int64]) -> NDArray[np.float32]:
        weights = np.linalg.solve(gram[np.ix_(chosen, chosen)], shared[chosen])
        return np.asarray(units[:, chosen] @ weights.astype(np.float32))

    def score(chosen: NDArray[np.int64]) -> float:
        guessed = guess(chosen)
        if binary:
            return auc(guessed, values > 0)
        spread_of = float(guessed.std()) * float(values.std())
        return float(np.cov(guessed, values, bias=True)[0, 1]) / spread_of if spread_of else 0.0

    everything = guess(np.arange(len(gram)))
    if binary:
        whole = auc_interval(everything, values > 0, block)
    else:
        whole = correlation_interval(everything, values, block)
    return Probe(whole, count_units(score, whole.mean, 0.5 if binary else 0.0, gram, shared))


def count_units(
    score: Callable[[NDArray[np.int64]], float],
    whole: float,
    chance: float,
    gram: Floats,
    shared: Floats,
) -> int | None:
    """Return how many units, the best first, have 90% of what all have above chance."""
    order = forward_order(gram, shared, min(len(gram), MAX_UNITS))
    wanted = chance + SHARE * (whole - chance)
    if not whole > chance:
        return None
    low, high = 0, 1  # `low` units are too few
    while high < len(order) and score(order[:high]) < wanted:
        low, high = high, min(2 * high, len(order))
    if score(order[:high]) < wanted:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if score(order[:middle]) >= wanted else (middle, high)
    return high


def forward_order(gram: Floats, shared: Floats, num: int) -> NDArray[np.int64]:
    """Return the first `num` units in the order of forward selection, by pivoted Cholesky."""
    left, variance = shared.copy(), np.diag(gram).copy()
    columns = np.zeros((num, len(gram)))
    order = np.zeros(num, np.int64)
    free = np.ones(len(gram), bool)
    for step in range(num):
        gain = np.where(free & (variance > 1e-9), left**2 / np.maximum(variance, 1e-9), -1.0)
        best = int(np.argmax(gain))
        order[step], free[best] = best, False
        rest = gram[best] - columns[:step].T @ columns[:step, best]
        column = rest / np.sqrt(max(variance[best], 1e-9))
        left -= column * left[best] / np.sqrt(max(variance[best], 1e-9))
        variance = variance - column**2
        columns[step] = column
    return order
