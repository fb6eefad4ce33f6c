"""calibration: when the network says 70%, is it right in 70 of 100 cases?

The confidence is the p of the likeliest symbol. ECE, the expected calibration error, is the mean
over tokens of |confidence - accuracy| of their bin (Guo et al. 2017). It is above zero by chance
alone: the null band is the ECE of outcomes drawn from the network's own confidences. The
temperature that would suit the text best is fitted on its first half and judged on its second.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import CorpusError
from charrnn.modeldir import StoredModel
from charrnn.views.envelope import Inspected
from charrnn.views.intervals import BLOCK, LEVEL, Interval, mean_interval, shown, spread_ends
from charrnn.views.telling import Told, told_blocks, untold

NUM_BINS = 10
NUM_NULLS = 500
MAX_TOKENS = 200_000
TEMPERATURES = np.exp(np.linspace(np.log(0.5), np.log(2.0), 61))
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Outcomes:
    """What was predicted and what came, for each target in order."""

    confidence: Floats  # (N,)
    correct: NDArray[np.bool_]  # (N,)
    nats: Floats  # (N, temperatures)


@dataclass(frozen=True)
class Bar:
    """The tokens whose confidence lies in one tenth."""

    low: float
    high: float
    count: int
    confidence: float  # mean
    accuracy: Interval


@dataclass(frozen=True)
class Calibration:
    """The bars, the error beside its null band, and the fitted temperature."""

    bars: list[Bar]
    ece: Interval
    null: tuple[float, float]  # 95% of the errors of a calibrated network
    overconfidence: Interval  # mean confidence - accuracy
    temperature: Interval  # fitted on the first half
    saved: Interval  # bits per token that it saves on the second half
    num_tokens: int
    warnings: list[str]


def measure_calibration(
    stored: StoredModel, text: Inspected, seed: int = 0, *, told: Told = untold
) -> Calibration:
    """Return how far the confidences can be believed; of a long text its beginning."""
    warnings = []
    if len(text.ids) > MAX_TOKENS:
        warnings.append(f"of {len(text.ids):,} tokens the first {MAX_TOKENS:,} are looked at")
        text = replace(text, ids=text.ids[:MAX_TOKENS])
    return calibrate(read_outcomes(stored, text, told), warnings, seed)


def read_outcomes(stored: StoredModel, text: Inspected, told: Told = untold) -> Outcomes:
    """Return the outcome of each prediction of `text`."""
    import torch

    from charrnn.batches import IGNORED
    from charrnn.views.memory import load_network

    size = len(text.ids)
    confidence, correct = np.full(size, np.nan), np.zeros(size, bool)
    nats = np.zeros((size, len(TEMPERATURES)))
    for block in told_blocks(load_network(stored), text.ids, text.bos_id, told):
        real = block.targets != IGNORED
        at = block.positions[real.numpy()]
        logits, targets = block.logits[real], block.targets[real]
        best = logits.softmax(-1).max(-1)
        confidence[at] = best.values.double().numpy()
        correct[at] = (best.indices == targets).numpy()
        true = logits.gather(1, targets[:, None])[:, 0]
        for column, temperature in enumerate(TEMPERATURES):
            norm = torch.logsumexp(logits / temperature, -1)
            nats[at, column] = (norm - true / temperature).double().numpy()
    known = np.isfinite(confidence)
    return Outcomes(confidence[known], correct[known], nats[known])


def calibrate(outcomes: Outcomes, warnings: Sequence[str] = (), seed: int = 0) -> Calibration:
    """Return the numbers of the view. Raises CorpusError for fewer than four tokens."""
    confidence, correct = outcomes.confidence, outcomes.correct
    if len(confidence) < 4:
        raise CorpusError(f"{len(confidence)} predictions are too few: needs at least 4")
    blocks = np.arange(len(confidence)) // BLOCK
    bins = np.minimum((confidence * NUM_BINS).astype(np.int64), NUM_BINS - 1)
    bars = []
    for index in np.unique(bins):
        at = bins == index
        accuracy = mean_interval(correct[at].astype(np.float64), blocks[at])
        low, high = index / NUM_BINS, (index + 1) / NUM_BINS
        bars.append(Bar(low, high, int(at.sum()), float(confidence[at].mean()), accuracy))
    rng = np.random.default_rng(seed)
    drawn = [
        calibration_error(confidence, rng.random(len(confidence)) < confidence, bins)
        for _ in range(NUM_NULLS)
    ]
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    half = len(confidence) // 2
    temperature = fit_temperature(outcomes.nats[:half], blocks[:half], seed)
    column = int(np.argmin(np.abs(TEMPERATURES - temperature.mean)))
    one = int(np.argmin(np.abs(TEMPERATURES - 1)))
    later = outcomes.nats[half:]
    saved = (later[:, one] - later[:, column]) / np.log(2)
    return Calibration(
        bars,
        error_interval(confidence - correct, bins, blocks, float(high), seed),
        (float(low), float(high)),
        mean_interval(confidence - correct, blocks),
        temperature,
        mean_interval(saved, blocks[half:]),
        len(confidence),
        list(warnings),
    )


def calibration_error(
    confidence: Floats, correct: NDArray[np.bool_], bins: NDArray[np.int64]
) -> float:
    """Return the ECE: the mean over tokens of |confidence - accuracy| of their bin."""
    gaps = np.bincount(bins, confidence - correct, NUM_BINS)
    return float(np.abs(gaps).sum() / len(bins))


def error_interval(
    gaps: Floats, bins: NDArray[np.int64], blocks: NDArray[np.int64], chance: float, seed: int
) -> Interval:
    """Return the ECE with its interval; `gaps` (N,) are confidence - correct.

    Blocks of text that are drawn anew add to an error, as chance does: what they go above it on the
    one side, the interval goes on both. Where chance alone may reach the error, it holds 0.
    """
    members = np.unique(blocks, return_inverse=True)[1].reshape(-1)
    num = int(members.max()) + 1
    sums = np.zeros((num, NUM_BINS))
    np.add.at(sums, (members, bins), gaps)
    sizes = np.bincount(members, minlength=num)
    error = float(np.abs(sums.sum(0)).sum() / len(gaps))
    if num < 2:
        return Interval(error, np.nan, np.nan)
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(num, np.full(num, 1 / num), size=NUM_NULLS)
    drawn = np.abs(weights @ sums).sum(1) / (weights @ sizes)
    high = spread_ends(error, drawn, num, 0.0, 1.0).high
    low = 0.0 if error <= chance else max(0.0, 2 * error - high)
    return Interval(error, low, high)


def fit_temperature(nats: Floats, blocks: NDArray[np.int64], seed: int) -> Interval:
    """Return the temperature of the least nats (N, temperatures), with its interval."""
    members = np.unique(blocks, return_inverse=True)[1].reshape(-1)
    count = int(members.max()) + 1
    sums = np.zeros((count, nats.shape[1]))
    np.add.at(sums, members, nats)
    best = float(TEMPERATURES[np.argmin(sums.sum(0))])
    if count < 2:
        return Interval(best, np.nan, np.nan)
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(count, np.full(count, 1 / count), size=NUM_NULLS)
    drawn = TEMPERATURES[np.argmin(weights @ sums, axis=1)]
    ends = float(TEMPERATURES[0]), float(TEMPERATURES[-1])
    return spread_ends(best, drawn, count, *ends)


def sentence(found: Calibration) -> str:
    """Return what the numbers say, in one sentence, and its caveat."""
    band = f"a calibrated network has {found.null[0]:.2%} to {found.null[1]:.2%}"
    ends = f" [{found.ece.low:.2%}, {found.ece.high:.2%}]"
    ends = "" if found.ece.low != found.ece.low else ends
    error = f"its error is {found.ece.mean:.2%}{ends}, where {band}"
    gap = found.overconfidence
    if found.ece.mean <= found.null[1]:
        text = f"Nothing speaks against its confidence: {error}"
    elif gap.low > 0 or gap.high < 0:
        text = (
            f"It is {'over' if gap.mean > 0 else 'under'}confident by {abs(gap.mean):.2%}: {error}"
        )
    else:
        text = f"Its confidence is a little off, here too high and there too low: {error}"
    cure = "no other temperature is sure to help"
    if found.saved.low > 0:
        cure = f"temperature {shown(found.temperature, '{:.2f}')} would save "
        cure += f"{shown(found.saved, '{:.4f}')} bits a token"
    return f"{text}; {cure}. Only of the likeliest symbol, and on texts like this one."


def to_result(found: Calibration) -> dict[str, Any]:
    """Return the numbers as JSON holds them."""
    bars = [{**asdict(bar), "accuracy": bar.accuracy._asdict()} for bar in found.bars]
    named = {
        name: getattr(found, name)._asdict() for name in ("overconfidence", "temperature", "saved")
    }
    return {
        "bars": bars,
        "ece": found.ece._asdict(),
        "null": {"low": found.null[0], "high": found.null[1]},
        **named,
        "num_tokens": found.num_tokens,
        "sentence": sentence(found),
    }
