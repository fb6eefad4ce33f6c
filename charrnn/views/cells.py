"""cells: which units of a network track something, and is it real?

Each feature's best unit is chosen on the first half of the text and judged on the second. Three
questions stand between a picture and a claim: is it more than slow series match by chance (the null
of circular shifts), more than the network before training does (the control), and more than an echo
of the current token (memory-r2)? With `causal` a fourth: does the network need it there?
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import CorpusError
from charrnn.modeldir import StoredModel
from charrnn.views.activations import Activations
from charrnn.views.cells_cause import Cause, measure_cause
from charrnn.views.cells_control import Control, control_bounds
from charrnn.views.cells_network import (
    Sample,
    Scored,
    Steps,
    gap_of,
    judge_best,
    score_network,
    told,
)
from charrnn.views.cells_probe import Probe, probe_features
from charrnn.views.cells_score import Halves, Judged, p_value, usable
from charrnn.views.envelope import Inspected
from charrnn.views.features import Feature, make_features
from charrnn.views.memory import Progress
from charrnn.views.resampling import MIN_BLOCK, MIN_BLOCKS
from charrnn.views.statistics import fast_length, holm

Grade = Literal["A", "B", "C"]
MIN_TOKENS = 2000
MEMORY_BOUND = 0.02
WIDE = 20  # blocks of a half: with fewer the intervals are wide
STRICT, LOOSE = 0.01, 0.05  # of p, after Holm
CONTROL_SEED = 1


@dataclass(frozen=True)
class Budget:
    """How much is looked at."""

    tokens: int
    draws: int  # of a bootstrap
    windows: int  # of text in which a unit is held still


BUDGETS = {
    "fast": Budget(30_000, 400, 64),
    "normal": Budget(120_000, 1000, 128),
    "deep": Budget(1_000_000, 2000, 256),
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
    control: Control  # the same of networks before training
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


def split(size: int) -> Halves:
    """Return the two halves of a text; A has a length that transforms fast."""
    half = (size - gap_of(size)) // 2
    return Halves(slice(half - fast_length(half), half), slice(size - half, size))


def grade_of(p: float, judged: Judged, control: Control, cause: Cause | None) -> Grade | None:
    """Return A for held-out, memory and cause; B for the first two; C for a small p alone."""
    held_out = p < STRICT and judged.score.low > control.score
    memory = judged.memory.low > MEMORY_BOUND and judged.memory.low > control.memory
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
    """Yield how far it is; return the view. Raises CorpusError for a text under 2,000 tokens."""
    ids = np.asarray(text.ids[: budget.tokens]).astype(np.int64)
    if len(ids) < MIN_TOKENS:
        raise CorpusError(f"the text has {len(ids)} tokens: cells needs at least {MIN_TOKENS}")
    halves = split(len(ids))
    features = make_features(stored.tokenizer, ids, own)
    present = [feature for feature in features if usable(feature, halves)]
    absent = [feature.name for feature in features if feature not in present]
    warnings = warnings_of(text, len(ids), absent) + doubts_of(halves, len(present))
    if not present:
        raise CorpusError("the text has too little of every feature: needs another one")
    sample = Sample(ids, text.bos_id, halves, present)
    controls = yield from control_bounds(stored, sample, budget.draws, control_seed)
    trained = yield from score_network(stored, sample, None, "model")
    yield Progress("probe", 0, 1)
    probes = probe_features(trained.activations, present, halves)
    p = [p_of(trained, sample, index) for index in range(len(present))]
    rows = []
    for index, adjusted in enumerate(holm(p)):
        yield Progress("judging", index, len(present))
        unit, judged = judge_best(trained, sample, index, budget.draws)
        grade = grade_of(adjusted, judged, controls[index], None)
        cause = None
        if causal and grade == "B":
            cause = yield from find_cause(
                stored, trained, sample, (unit, judged.sign), index, budget.windows
            )
            grade = grade_of(adjusted, judged, controls[index], cause)
        name, bound = trained.activations.names[unit], controls[index]
        numbers = (p[index], adjusted, judged, bound, probes[index], cause, grade)
        rows.append(Row(present[index], name, unit, *numbers))
    return Cells(rows, absent, halves, ids, trained.activations, warnings)


def p_of(trained: Scored, sample: Sample, index: int) -> float:
    """Return the p value of a feature's best unit."""
    unit = trained.activations.unit(trained.scores.best(index), sample.halves.a)
    return p_value(trained.scores, index, sample.features[index], unit, sample.halves.a)


def find_cause(
    stored: StoredModel,
    trained: Scored,
    sample: Sample,
    signed: tuple[int, int],
    index: int,
    num_windows: int,
) -> Steps[Cause]:
    """Return what a unit, given with its sign, causes on B."""
    feature = sample.features[index]
    steps = measure_cause(
        trained.network,
        stored.tokenizer,
        sample.ids,
        trained.activations,
        signed,
        feature,
        sample.halves.b,
        num_windows,
    )
    return (yield from told(f"cause: {feature.name}", num_windows, steps))


def warnings_of(text: Inspected, num_tokens: int, absent: list[str]) -> list[str]:
    """Return what must be known before the table is believed."""
    found = []
    if num_tokens < len(text.ids):
        found.append(f"the first {num_tokens:,} of {len(text.ids):,} tokens were looked at")
    if absent:
        found.append(f"the text has too little of: {', '.join(absent)}")
    return found


def doubts_of(halves: Halves, num_features: int) -> list[str]:
    """Return what a short text cannot show."""
    size = halves.b.stop - halves.b.start
    blocks = -(-size // MIN_BLOCK)
    found = []
    if blocks < MIN_BLOCKS:
        found.append(
            f"the halves have {size:,} tokens: too few for intervals, so that no unit can have "
            "grade A or B"
        )
    elif blocks < WIDE:
        found.append(
            f"the halves have {size:,} tokens, {blocks} blocks of {MIN_BLOCK}: intervals are wide, "
            "and what is missed here a longer text may show"
        )
    smallest = num_features / (halves.a.stop - halves.a.start)
    if smallest > STRICT:
        found.append(
            f"there are few shifts of so short a text: no p after Holm under {smallest:.2g}"
        )
    return found
