"""95% intervals of means of numbers that hang together within blocks.

Neighbouring tokens of a text are not independent: whole blocks of it are drawn anew, with
replacement (Kuensch 1989), not single tokens.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

NUM_DRAWS = 2000
LEVEL = 0.95
BLOCK = 500  # tokens

Floats = NDArray[np.float64]


class Interval(NamedTuple):
    """A mean and the ends of its 95% interval; nan where there is nothing, or one block only."""

    mean: float
    low: float
    high: float


def mean_intervals(values: Floats, blocks: NDArray[np.int64], seed: int = 0) -> list[Interval]:
    """Return the mean of each column of `values` (N, K) and its interval; nan values do not count.

    `blocks` (N,) says to which block each row belongs: a whole number from 0 on.
    """
    if not len(values):
        return [Interval(np.nan, np.nan, np.nan)] * values.shape[1]
    known = np.isfinite(values)
    members = np.unique(blocks, return_inverse=True)[1].reshape(-1)
    num_blocks = int(members.max()) + 1
    sums, counts = (np.zeros((num_blocks, values.shape[1])) for _ in range(2))
    np.add.at(sums, members, np.where(known, values, 0.0))
    np.add.at(counts, members, known)
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(num_blocks, np.full(num_blocks, 1 / num_blocks), size=NUM_DRAWS)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = sums.sum(0) / counts.sum(0)
        draws = (weights @ sums) / (weights @ counts)  # (draws, K)
    result = []
    for column, mean in enumerate(means):
        drawn = draws[:, column]
        drawn = drawn[np.isfinite(drawn)]
        low = high = np.nan
        if num_blocks > 1 and len(drawn):
            low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        result.append(Interval(float(mean), float(low), float(high)))
    return result


def mean_interval(
    values: Floats, blocks: NDArray[np.int64] | None = None, seed: int = 0
) -> Interval:
    """Return the mean of `values` (N,) and its interval; without `blocks` each is its own."""
    blocks = np.arange(len(values)) if blocks is None else blocks
    return mean_intervals(values[:, None], blocks, seed)[0]
