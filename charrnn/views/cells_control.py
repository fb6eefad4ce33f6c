"""The control: how well do networks of the same shape do before any training?

A random network echoes and leaks, and the best of its many units match some features well. How well
differs from seed to seed more than any interval of one of them says, so there are several, and the
bound that a trained unit must pass is above them all. They read a part of the text only.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn.modeldir import StoredModel
from charrnn.views.cells_network import Sample, Steps, gap_of, judge_best, score_network
from charrnn.views.cells_score import Halves, Judged, usable
from charrnn.views.features import Feature
from charrnn.views.resampling import MIN_BLOCKS, block_size

NUM_CONTROLS = 6
NUM_TOKENS = 24_000  # that a control reads, or more where a feature is rare
DEVIATIONS = 4.0  # of the controls' scores above their mean: Student's t of 5, one in 200
LARGEST = 0.999999  # correlation that is told from 1


class Control(NamedTuple):
    """What a unit must pass to be more than a random network's: nan where that is not known."""

    score: float  # area of a binary feature, correlation of a real one
    memory: float  # memory-r2
    best: float  # the score itself, mean over the controls


def control_bounds(
    stored: StoredModel, sample: Sample, num_draws: int, seed: int
) -> Steps[list[Control]]:
    """Return the bound of each feature; the controls have the seeds from `seed` on."""
    part = control_part(sample)
    judged: list[list[Judged]] = [[] for _ in sample.features]
    for number in range(NUM_CONTROLS):
        what = f"control {number + 1} of {NUM_CONTROLS}"
        scored = yield from score_network(stored, part, seed + number, what)
        for index, found in enumerate(judged):
            found.append(judge_best(scored, part, index, num_draws)[1])
    return [bound_of(found) for found in judged]


def bound_of(judged: Sequence[Judged]) -> Control:
    """Return what is above every control's upper end, and above what another seed would reach.

    Deviations are taken of the inverse hyperbolic tangent of correlations (Fisher 1915), whose
    spread is the same near 1 as near 0.
    """
    area = judged[0].auc is not None
    scores = np.array([[one.score.mean, one.score.high] for one in judged])
    correlations = 2 * scores - 1 if area else scores
    score = upper_bound(correlations)
    memories = np.sqrt([[one.memory.mean, max(one.memory.high, 0)] for one in judged])
    best = float(scores[:, 0].mean())
    return Control((score + 1) / 2 if area else score, upper_bound(memories) ** 2, best)


def upper_bound(correlations: NDArray[np.float64]) -> float:
    """Return the bound of correlations with their upper ends, (K, 2)."""
    means = np.arctanh(np.clip(correlations[:, 0], -LARGEST, LARGEST))
    reach = np.tanh(means.mean() + DEVIATIONS * means.std(ddof=1))
    return float(np.maximum(correlations[:, 1].max(), reach))


def control_part(sample: Sample) -> Sample:
    """Return a stretch from the middle of a sample in which each feature is often enough."""
    total = len(sample.ids)
    size = min(NUM_TOKENS, total)
    while True:
        start = (total - size) // 2
        half = (size - gap_of(size)) // 2
        halves = Halves(slice(0, half), slice(size - half, size))
        features = [
            Feature(f.name, f.values[start : start + size], f.binary) for f in sample.features
        ]
        if size == total or all(enough(f, halves) for f in features):
            return Sample(sample.ids[start : start + size], sample.bos_id, halves, features)
        size = min(2 * size, total)


def enough(feature: Feature, halves: Halves) -> bool:
    """Return whether a control can be judged on a feature, with an interval."""
    values = feature.values[halves.b]
    blocks = len(values) / block_size(values, feature.binary)
    return usable(feature, halves) and blocks >= MIN_BLOCKS
