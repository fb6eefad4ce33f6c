"""A network, trained or not, and the scores of its units: a stream of progress, then a result."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from charrnn.modeldir import StoredModel
from charrnn.views.activations import Activations, record
from charrnn.views.cells_score import Halves, Judged, Scores, judge, score_units
from charrnn.views.features import Feature
from charrnn.views.memory import Progress

if TYPE_CHECKING:
    from charrnn.model import LanguageModel

GAP = 500  # tokens between the halves, or a twelfth of a short text

Result = TypeVar("Result")
Steps = Generator[Progress, None, Result]


@dataclass(frozen=True)
class Sample:
    """A stretch of text with its features."""

    ids: NDArray[np.int64]
    bos_id: int | None
    halves: Halves
    features: Sequence[Feature]


@dataclass(frozen=True)
class Scored:
    """A network whose units have scores on A."""

    network: "LanguageModel"
    activations: Activations
    scores: Scores


def gap_of(size: int) -> int:
    """Return how many tokens of a text lie between its halves."""
    return min(GAP, size // 12)


def told(what: str, total: int, steps: Generator[int, None, Result]) -> Steps[Result]:
    """Yield the progress of steps that only count; return what they do."""
    while True:
        try:
            done = next(steps)
        except StopIteration as stop:
            result: Result = stop.value
            return result
        yield Progress(what, done, total)


def score_network(
    stored: StoredModel, sample: Sample, seed: int | None, what: str
) -> Steps[Scored]:
    """Return the scores of the model; with a `seed` of one before training, without a null."""
    from charrnn.model import LanguageModel

    network = LanguageModel(stored.config)
    if seed is None:
        network.load_weights(stored.weights)
    else:
        network.reset(seed)
    network.eval().requires_grad_(False)
    steps = record(network, sample.ids, sample.bos_id)
    activations = yield from told(f"{what}: reading", len(sample.ids), steps)
    scoring = score_units(activations, sample.features, sample.halves.a, null=seed is None)
    scores = yield from told(f"{what}: scoring", len(activations.names), scoring)
    return Scored(network, activations, scores)


def judge_best(scored: Scored, sample: Sample, index: int, num_draws: int) -> tuple[int, Judged]:
    """Return the best unit of a feature and how it does on B."""
    unit = scored.scores.best(index)
    sign = 1 if scored.scores.correlations[unit, index] >= 0 else -1
    feature = sample.features[index]
    activations, halves = scored.activations, sample.halves
    return unit, judge(activations, unit, sign, feature, halves, sample.ids, num_draws)
