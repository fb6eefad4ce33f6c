"""95% intervals of means of numbers that hang together within blocks.

Neighbouring tokens of a text are not independent: whole blocks of it are drawn anew, with
replacement (Kuensch 1989), not single tokens. Few blocks spread less among themselves than texts
do: the ends are moved apart as Student's t is wider than a normal curve.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

NUM_DRAWS = 2000
LEVEL = 0.95
BLOCK = 500  # tokens
NORMAL = 1.959964  # the 97.5% quantile

Floats = NDArray[np.float64]


class Interval(NamedTuple):
    """A mean and the ends of its 95% interval; nan where there is nothing, or one block only."""

    mean: float
    low: float
    high: float


def student_quantile(degrees: int) -> float:
    """Return the 97.5% quantile of Student's t (Cornish & Fisher); 2.77, not 2.78, at 4."""
    z, n = NORMAL, degrees
    first = (z**3 + z) / (4 * n)
    second = (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2)
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * n**3)
    return z + first + second + third


def widening(num_blocks: int) -> float:
    """Return by how much the ends of a bootstrap of so many blocks lie too near; 1.02 at 100."""
    if num_blocks < 2:
        return math.nan
    return student_quantile(num_blocks - 1) / NORMAL * math.sqrt(num_blocks / (num_blocks - 1))


def spread_ends(mean: float, draws: Floats, num_blocks: int, low: float, high: float) -> Interval:
    """Return the interval of `draws` around `mean`, widened for few blocks, within low .. high."""
    ends = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    ends = np.clip(mean + widening(num_blocks) * (ends - mean), min(low, mean), max(high, mean))
    return Interval(float(mean), float(ends[0]), float(ends[1]))


def ratio_intervals(
    values: Floats, weights: Floats, blocks: NDArray[np.int64], seed: int = 0
) -> list[Interval]:
    """Return sum(values) / sum(weights) of each column, both (N, K), and its interval.

    `blocks` (N,) says to which block each row belongs: a whole number from 0 on. Where a weight is
    0 the value must be too.
    """
    if not len(values):
        return [Interval(np.nan, np.nan, np.nan)] * values.shape[1]
    members = np.unique(blocks, return_inverse=True)[1].reshape(-1)
    num_blocks = int(members.max()) + 1
    sums, counts = (np.zeros((num_blocks, values.shape[1])) for _ in range(2))
    np.add.at(sums, members, values)
    np.add.at(counts, members, weights)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(num_blocks, np.full(num_blocks, 1 / num_blocks), size=NUM_DRAWS)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = sums.sum(0) / counts.sum(0)
        draws = (drawn @ sums) / (drawn @ counts)  # (draws, K)
        single = np.where(weights > 0, values / weights, np.nan)
    result = []
    for column, mean in enumerate(means):
        known = draws[np.isfinite(draws[:, column]), column]
        if num_blocks < 2 or not len(known):
            result.append(Interval(float(mean), np.nan, np.nan))
            continue
        one = single[np.isfinite(single[:, column]), column]
        result.append(spread_ends(float(mean), known, num_blocks, one.min(), one.max()))
    return result


def mean_intervals(values: Floats, blocks: NDArray[np.int64], seed: int = 0) -> list[Interval]:
    """Return the mean of each column of `values` (N, K) and its interval; nan values do not count.

    `blocks` (N,) says to which block each row belongs: a whole number from 0 on.
    """
    known = np.isfinite(values)
    return ratio_intervals(np.where(known, values, 0.0), known.astype(np.float64), blocks, seed)


def mean_interval(
    values: Floats, blocks: NDArray[np.int64] | None = None, seed: int = 0
) -> Interval:
    """Return the mean of `values` (N,) and its interval; without `blocks` each is its own."""
    blocks = np.arange(len(values)) if blocks is None else blocks
    return mean_intervals(values[:, None], blocks, seed)[0]


def shown(interval: Interval, form: str = "{:.1%}") -> str:
    """Return "mean [low, high]", each in its form; the mean alone where the ends are not known."""
    mean = form.format(interval.mean)
    if interval.low != interval.low:
        return mean
    return f"{mean} [{form.format(interval.low)}, {form.format(interval.high)}]"
