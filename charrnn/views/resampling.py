"""95% intervals of areas and correlations on one stretch of text: whole blocks are drawn anew.

Everything is a sum over blocks, so that a draw is a product of counts with those sums.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from charrnn.views.intervals import Interval, spread_ends
from charrnn.views.statistics import auc

MIN_BLOCK = 500  # tokens
MIN_BLOCKS = 5  # fewer give no interval
NUM_BINS = 400  # of the values, for the area of a draw

Floats = NDArray[np.float64]
Values = NDArray[np.floating]


def block_size(feature: Values, binary: bool) -> int:
    """Return max(500, twice the longest run of a binary feature), in tokens."""
    if not binary or not len(feature):
        return MIN_BLOCK
    on = np.concatenate([[0], (feature > 0).astype(np.int8), [0]])
    edges = np.flatnonzero(np.diff(on))
    runs = edges[1::2] - edges[::2]
    return max(MIN_BLOCK, 2 * int(runs.max(initial=0)))


@lru_cache(maxsize=4)
def draw_counts(num_blocks: int, num_draws: int, seed: int) -> Floats:
    """Return how often each block is in each draw, (draws, blocks)."""
    rng = np.random.default_rng(seed)
    shares = np.full(num_blocks, 1 / num_blocks)
    drawn = rng.multinomial(num_blocks, shares, size=num_draws).astype(np.float64)
    drawn.setflags(write=False)  # it is kept for the next who asks
    return drawn


def block_sums(columns: Floats, size: int) -> Floats:
    """Return the sums (blocks, K) of `columns` (N, K) over blocks; the last may be shorter."""
    return np.asarray(np.add.reduceat(columns, np.arange(0, len(columns), size), axis=0))


def ends_of(
    mean: float, draws: Floats, num_blocks: int, low: float = -np.inf, high: float = np.inf
) -> Interval:
    """Return the interval of the draws around `mean`; without ends where there are few blocks."""
    draws = draws[np.isfinite(draws)]
    if num_blocks < MIN_BLOCKS or not len(draws):
        return Interval(mean, float("nan"), float("nan"))
    return spread_ends(mean, draws, num_blocks, low, high)


def auc_interval(
    values: Values, on: NDArray[np.bool_], size: int, num_draws: int = 1000, seed: int = 0
) -> Interval:
    """Return the area of `values` for `on` and its interval; blocks have `size` tokens.

    The area itself is exact; the draws put the values into bins of equal counts.
    """
    edges = np.unique(np.quantile(values, np.linspace(0, 1, NUM_BINS + 1)[1:-1]))
    # bins of their own for the edges: where few values occur, each is a bin
    bins = np.searchsorted(edges, values, "left") + np.searchsorted(edges, values, "right")
    num_bins, num_blocks = 2 * len(edges) + 1, -(-len(values) // size)
    place = (np.arange(len(values)) // size) * num_bins + bins
    shape = (num_blocks, num_bins)
    positive = np.bincount(place[on], minlength=num_blocks * num_bins).reshape(shape)
    negative = np.bincount(place[~on], minlength=num_blocks * num_bins).reshape(shape)
    counts = draw_counts(num_blocks, num_draws, seed)
    pos, neg = counts @ positive, counts @ negative
    below = np.cumsum(neg, axis=1) - neg / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        draws = (pos * below).sum(1) / (pos.sum(1) * neg.sum(1))
    return ends_of(auc(values, on), draws, num_blocks, 0.0, 1.0)


def correlation_interval(
    first: Values,
    second: Values,
    size: int,
    num_draws: int = 1000,
    seed: int = 0,
    *,
    squared: bool = False,
) -> Interval:
    """Return the correlation of two series (N,), or its square, and its interval."""
    x, y = (np.asarray(v, np.float64) - np.mean(v, dtype=np.float64) for v in (first, second))
    sums = block_sums(np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=1), size)
    counts = draw_counts(len(sums), num_draws, seed)
    whole = float(correlations(sums.sum(0)[None])[0])
    draws = correlations(counts @ sums)
    if squared:
        return ends_of(whole**2, draws**2, len(sums), 0.0, 1.0)
    return ends_of(whole, draws, len(sums), -1.0, 1.0)


def correlations(sums: Floats) -> Floats:
    """Return the correlation of each row of sums: n, x, y, xx, yy, xy; 0 for a constant."""
    n, x, y, xx, yy, xy = sums.T
    var_x, var_y = xx - x * x / n, yy - y * y / n
    scale = np.sqrt(np.maximum(var_x * var_y, 0))
    known = (var_x > 1e-12 * xx) & (var_y > 1e-12 * yy) & (scale > 0)
    return np.where(known, (xy - x * y / n) / np.where(known, scale, 1), 0.0)


def accuracy_interval(
    right: NDArray[np.bool_],
    on: NDArray[np.bool_],
    size: int,
    num_draws: int = 1000,
    seed: int = 0,
) -> Interval:
    """Return the balanced accuracy of guesses that are `right` or not, (N,), and its interval."""
    columns = np.stack([right & on, on, right & ~on, ~on], axis=1).astype(np.float64)
    sums = block_sums(columns, size)

    def balanced(rows: Floats) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((rows[:, 0] / rows[:, 1] + rows[:, 2] / rows[:, 3]) / 2)

    draws = balanced(draw_counts(len(sums), num_draws, seed) @ sums)
    return ends_of(float(balanced(sums.sum(0)[None])[0]), draws, len(sums), 0.0, 1.0)


def explained_interval(
    values: Values, guesses: Values, size: int, num_draws: int = 1000, seed: int = 0
) -> Interval:
    """Return 1 - the share of the variance of `values` that `guesses` leave, and its interval."""
    y = np.asarray(values, np.float64) - np.mean(values, dtype=np.float64)
    left = (np.asarray(values, np.float64) - guesses) ** 2
    sums = block_sums(np.stack([np.ones_like(y), y, y * y, left], axis=1), size)

    def explained(rows: Floats) -> Floats:
        n, total, squares, rest = rows.T
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(1 - rest / (squares - total * total / n))

    draws = explained(draw_counts(len(sums), num_draws, seed) @ sums)
    return ends_of(float(explained(sums.sum(0)[None])[0]), draws, len(sums), -np.inf, 1.0)
