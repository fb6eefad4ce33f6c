"""Every unit on every feature: chosen on the first half of a text, judged on the second.

Scores are rank correlations: of a binary feature that is the area under its curve, in other units,
of a real one Spearman's. So one product gives all scores, and one FFT those of all shifts.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from charrnn.views.activations import Activations
from charrnn.views.features import Feature
from charrnn.views.intervals import Interval
from charrnn.views.resampling import (
    accuracy_interval,
    auc_interval,
    block_size,
    correlation_interval,
    explained_interval,
)
from charrnn.views.statistics import (
    autocorrelation_time,
    average_ranks,
    guard_of,
    shift_maxima,
    shift_p_value,
    standardize,
    without_token,
)

MIN_COUNT = 30  # tokens of a half on which a binary feature is on, and off
UNITS_AT_ONCE = 16  # in the transforms: few fit the processor's cache

Array = NDArray[np.float32]
Tokens = NDArray[np.int64]


@dataclass(frozen=True)
class Halves:
    """A text in two, with a gap between: choose on A, judge on B."""

    a: slice
    b: slice


@dataclass(frozen=True)
class Scores:
    """The rank correlation of each unit with each feature on A, and the maxima of all shifts."""

    correlations: Array  # (D, F)
    maxima: Array | None  # (F, n) over units, by shift; None where there was no need

    def best(self, feature: int) -> int:
        """Return the unit that scores best on a feature."""
        return int(np.argmax(np.abs(self.correlations[:, feature])))


@dataclass(frozen=True)
class Judged:
    """One unit on one feature, on B; its sign is that of A."""

    sign: int
    score: Interval  # area of a binary feature, correlation of a real one
    auc: float | None  # of a binary feature
    r2: Interval  # of the linear fit made on A; below 0 where it is worse than the mean
    spearman: Interval
    memory: Interval  # memory-r2: what the current token does not tell
    threshold: float | None  # of a binary feature, chosen on A
    accuracy: Interval | None  # balanced, of that threshold


def usable(feature: Feature, halves: Halves) -> bool:
    """Return whether both halves hold enough of a feature to say something."""
    for part in (halves.a, halves.b):
        values = feature.values[part]
        if feature.binary:
            num_on = int(np.count_nonzero(values))
            if min(num_on, len(values) - num_on) < MIN_COUNT:
                return False
        elif np.ptp(values) == 0 or np.count_nonzero(values != np.median(values)) < MIN_COUNT:
            return False
    return True


def ranks_of(values: Array) -> Array:
    """Return the standardized ranks of each row."""
    return standardize(np.stack([average_ranks(row) for row in values]))


def score_units(
    activations: Activations, features: Sequence[Feature], part: slice, *, null: bool
) -> Generator[int, None, Scores]:
    """Yield how many units are done; return their scores over the tokens of `part`.

    `null` makes the maxima of all circular shifts too; `part` should have a fast length then.
    """
    wanted = ranks_of(np.stack([f.values[part] for f in features]))
    rows = []
    maxima = np.zeros_like(wanted) if null else None
    for first, values in activations.blocks(part):
        units = ranks_of(values)
        rows.append(units @ wanted.T)
        for start in range(0, len(units) if maxima is not None else 0, UNITS_AT_ONCE):
            assert maxima is not None
            found = shift_maxima(units[start : start + UNITS_AT_ONCE], wanted)
            np.maximum(maxima, found, out=maxima)
            yield first + start
        yield first + len(units)
    return Scores(np.concatenate(rows), maxima)


def p_value(scores: Scores, index: int, feature: Feature, unit: Array, part: slice) -> float:
    """Return the p value of the best unit on a feature; `unit` are its numbers over `part`."""
    assert scores.maxima is not None
    size = scores.maxima.shape[1]
    times = [autocorrelation_time(feature.values[part]), autocorrelation_time(unit)]
    # the maximum at shift 0 as the transforms give it, so that equal is equal
    observed = float(scores.maxima[index, 0])
    return shift_p_value(scores.maxima[index], observed, guard_of(times, size))


def best_threshold(values: Array, on: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the threshold with the largest balanced accuracy of `values` > it, and that."""
    order = np.argsort(values, kind="stable")
    ordered, hits = values[order], on[order]
    kept = 1 - np.cumsum(hits) / max(1, hits.sum())  # share of on above each value
    passed = np.cumsum(~hits) / max(1, (~hits).sum())  # share of off up to it
    balanced = (kept + passed) / 2
    balanced[:-1][ordered[1:] == ordered[:-1]] = 0  # a threshold lies between two values
    place = int(np.argmax(balanced))
    after = ordered[min(place + 1, len(ordered) - 1)]
    return float((ordered[place] + after) / 2), float(balanced[place])


def judge(
    activations: Activations,
    unit: int,
    sign: int,
    feature: Feature,
    halves: Halves,
    tokens: Tokens,
    num_draws: int,
) -> Judged:
    """Return how a unit does on B on a feature; `tokens` are the ids of the whole text."""
    on_a, on_b = feature.values[halves.a], feature.values[halves.b]
    values_a = sign * activations.unit(unit, halves.a)
    values_b = sign * activations.unit(unit, halves.b)
    size = block_size(on_b, feature.binary)
    threshold = accuracy = None
    if feature.binary:
        score = auc_interval(values_b, on_b > 0, size, num_draws)
        threshold, _ = best_threshold(values_a, on_a > 0)
        right = (values_b > threshold) == (on_b > 0)
        accuracy = accuracy_interval(right, on_b > 0, size, num_draws)
    else:
        score = correlation_interval(values_b, on_b, size, num_draws)
    pair = np.stack([values_b, on_b])
    ranks, num_tokens = ranks_of(pair), int(tokens.max()) + 1
    rest = without_token(pair, tokens[halves.b], num_tokens)
    return Judged(
        sign=sign,
        score=score,
        auc=score.mean if feature.binary else None,
        r2=explained_interval(on_b, line_of(values_a, on_a, values_b), size, num_draws),
        spearman=correlation_interval(ranks[0], ranks[1], size, num_draws),
        memory=correlation_interval(rest[0], rest[1], size, num_draws, squared=True),
        threshold=None if threshold is None else sign * threshold,
        accuracy=accuracy,
    )


def line_of(x_a: Array, y_a: Array, x_b: Array) -> NDArray[np.float64]:
    """Return what the line fitted to y by x on A says of B, (N,)."""
    x, y = (np.asarray(v, np.float64) for v in (x_a, y_a))
    variance = float(x.var())
    slope = float(((x - x.mean()) * (y - y.mean())).mean()) / variance if variance > 0 else 0.0
    return np.asarray(y.mean() + slope * (np.asarray(x_b, np.float64) - x.mean()))
