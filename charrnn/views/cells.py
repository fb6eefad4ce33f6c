"""cells: which units of a network track something, and is it real?

Each feature's best unit is chosen on the first half of the text and judged on the second. Three
questions stand between a picture and a claim: is it more than slow series match by chance (the null
of circular shifts), more than the network before training does (the control), and more than an echo
of the current token (memory-r2)? With `causal` a fourth: does the network need it there?
"""

import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import CorpusError
from charrnn.modeldir import StoredModel
from charrnn.views.activations import Activations, record
from charrnn.views.cells_cause import NUM_WINDOWS, Cause, measure_cause
from charrnn.views.cells_probe import Probe, probe_features
from charrnn.views.cells_score import Halves, Judged, Scores, judge, p_value, score_units, usable
from charrnn.views.envelope import Inspected
from charrnn.views.features import Feature, make_features
from charrnn.views.memory import Progress
from charrnn.views.statistics import fast_length, holm

if TYPE_CHECKING:
    from charrnn.model import LanguageModel

Grade = Literal["A", "B", "C"]
Result = TypeVar("Result")
GAP = 500  # tokens between the halves
MIN_TOKENS = 6000
MEMORY_BOUND = 0.02
STRICT, LOOSE = 0.01, 0.05  # of p, after Holm
CONTROL_SEED = 1


@dataclass(frozen=True)
class Budget:
    """How much is looked at."""

    tokens: int
    draws: int  # of a bootstrap


BUDGETS = {
    "fast": Budget(30_000, 400),
    "normal": Budget(120_000, 1000),
    "deep": Budget(1_000_000, 2000),
}


@dataclass(frozen=True)
class Row:
    """The best unit of a feature, and what speaks for it."""

    feature: Feature
    unit: str
    index: int  # of the unit among all
    p: float  # of the null of circular shifts, the maximum over units
    holm_p: float  # the same, for the family of features
    judged: Judged
    control: Judged  # the best unit of the network before training
    probe: Probe
    cause: Cause | None
    grade: Grade | None


@dataclass(frozen=True)
class Cells:
    """The whole view."""

    rows: list[Row]
    absent: list[str]  # features that the text has too little of
    halves: Halves
    ids: NDArray[np.int64]  # of the tokens that were looked at
    activations: Activations
    warnings: list[str]


@dataclass(frozen=True)
class Scored:
    """A network whose units have scores."""

    network: "LanguageModel"
    activations: Activations
    scores: Scores


@dataclass(frozen=True)
class Look:
    """What all features are looked at with."""

    stored: StoredModel
    ids: NDArray[np.int64]
    halves: Halves
    draws: int
    causal: bool


Steps = Generator[Progress, None, Result]


def split(size: int) -> Halves:
    """Return the two halves of a text; A has a length that transforms fast."""
    half = (size - GAP) // 2
    return Halves(slice(half - fast_length(half), half), slice(size - half, size))


def grade_of(p: float, judged: Judged, control: Judged, cause: Cause | None) -> Grade | None:
    """Return A for held-out, memory and cause; B for the first two; C for a small p alone."""
    held_out = p < STRICT and judged.score.low > control.score.high
    memory = judged.memory.low > max(MEMORY_BOUND, control.memory.high)
    if held_out and memory:
        return "A" if cause is not None and cause.holds else "B"
    return "C" if p < LOOSE else None


def measure_cells(
    stored: StoredModel,
    text: Inspected,
    own: Mapping[str, "re.Pattern[str]"] | None = None,
    *,
    budget: Budget = BUDGETS["normal"],
    causal: bool = False,
    control_seed: int = CONTROL_SEED,
) -> Steps[Cells]:
    """Yield how far it is; return the view. Raises CorpusError for a text under 6,000 tokens."""
    ids = np.asarray(text.ids[: budget.tokens])
    if len(ids) < MIN_TOKENS:
        raise CorpusError(f"the text has {len(ids)} tokens: cells needs at least {MIN_TOKENS}")
    halves = split(len(ids))
    look = Look(stored, ids.astype(np.int64), halves, budget.draws, causal)
    features = make_features(stored.tokenizer, ids, own)
    present = [f for f in features if usable(f, halves)]
    control = yield from score_network(look, text.bos_id, present, control_seed)
    trained = yield from score_network(look, text.bos_id, present, None)
    yield Progress("probe", 0, 1)
    probes = probe_features(trained.activations, present, halves)
    p = [
        p_value(trained.scores, i, f, trained.activations.unit(trained.scores.best(i), halves.a))
        for i, f in enumerate(present)
    ]
    rows = []
    for index, adjusted in enumerate(holm(p)):
        yield Progress("judging", index, len(present))
        row = judge_feature(look, present[index], index, trained, control, adjusted)
        unit, judged, other, cause = yield from row
        rows.append(
            Row(
                present[index],
                trained.activations.names[unit],
                unit,
                p[index],
                adjusted,
                judged,
                other,
                probes[index],
                cause,
                grade_of(adjusted, judged, other, cause),
            )
        )
    absent = [f.name for f in features if f not in present]
    warnings = warnings_of(text, len(ids), absent)
    return Cells(rows, absent, halves, look.ids, trained.activations, warnings)


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
    look: Look, bos_id: int | None, features: list[Feature], seed: int | None
) -> Steps[Scored]:
    """Return the scores of a network; with a `seed` of the one before training, without a null."""
    from charrnn.model import LanguageModel

    network = LanguageModel(look.stored.config)
    if seed is None:
        network.load_weights(look.stored.weights)
    else:
        network.reset(seed)
    network.eval().requires_grad_(False)
    name = "model" if seed is None else "control"
    steps = record(network, look.ids, bos_id)
    activations = yield from told(f"{name}: reading", len(look.ids), steps)
    scoring = score_units(activations, features, look.halves.a, null=seed is None)
    scores = yield from told(f"{name}: scoring", len(activations.names), scoring)
    return Scored(network, activations, scores)


def judge_feature(
    look: Look, feature: Feature, index: int, trained: Scored, control: Scored, p: float
) -> Steps[tuple[int, Judged, Judged, Cause | None]]:
    """Return the best unit, how it does on B, how the control's best does, and the cause."""
    judged = []
    for one in (trained, control):
        unit = one.scores.best(index)
        sign = 1 if one.scores.correlations[unit, index] >= 0 else -1
        judged.append(
            judge(one.activations, unit, sign, feature, look.halves, look.ids, look.draws)
        )
    unit, cause = trained.scores.best(index), None
    if look.causal and grade_of(p, judged[0], judged[1], None) == "B":
        steps = measure_cause(
            trained.network,
            look.stored.tokenizer,
            look.ids,
            trained.activations,
            unit,
            judged[0].sign,
            feature,
            look.halves.b,
        )
        cause = yield from told(f"cause: {feature.name}", NUM_WINDOWS, steps)
    return unit, judged[0], judged[1], cause


def warnings_of(text: Inspected, num_tokens: int, absent: list[str]) -> list[str]:
    """Return what must be known before the table is believed."""
    found = []
    if num_tokens < len(text.ids):
        found.append(f"the first {num_tokens:,} of {len(text.ids):,} tokens were looked at")
    if absent:
        found.append(f"the text has too little of: {', '.join(absent)}")
    return found
