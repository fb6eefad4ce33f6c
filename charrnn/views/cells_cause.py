"""Does the network need a unit where its feature is on? It is held still, and the bits are counted.

Mean ablation: the unit stays at its mean at every step of short stretches of text, from some way
before what is counted. The change in bits where the feature is on, less where it is off, stands
beside that of random units of the same layer that vary as much.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from charrnn.tokenizer import Tokenizer
from charrnn.views.activations import Activations
from charrnn.views.features import Feature
from charrnn.views.intervals import Interval, mean_interval
from charrnn.views.intervention import Hold, run_steps
from charrnn.views.resampling import draw_counts, ends_of

if TYPE_CHECKING:
    from torch import Tensor

    from charrnn.model import LanguageModel

NUM_RANDOM = 20
WINDOWS_AT_ONCE = 32
WARM_UP, BURN_IN, COUNTED = 256, 48, 64  # tokens: undisturbed, held, held and counted
NEAREST = 2  # times NUM_RANDOM units are nearest in variance: of these some are drawn
CLAMPED = 4  # each fourth window clamps random units: there are two ends of each
QUANTILES = (0.05, 0.95)
LN2 = float(np.log(2))
CLOSING = {
    "in_double_quotes": '"”',
    "in_single_quotes": "'’",
    "in_parens": ")",
    "in_brackets": "]",
    "in_braces": "}",
    "in_angles": ">",
    "in_comment": "\n",
    "in_string": "\"'",
    "in_if": ")",
    "bracket_depth": ")]",
    "line_position": "\n",
    "since_newline": "\n",
    "next_newline": "\n",
    "word_position": " ",
    "next_space": " ",
    "speaker_line": ":",
}

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Cause:
    """What holding a unit still does, in bits a token, where its feature is on less where off."""

    delta: Interval
    on: float
    off: float
    random: list[float]  # the same difference for each matched random unit
    clamp: Interval | None  # nats: ln p(closing) held at its high end less at its low end
    clamp_random: list[float]  # the same, without its sign, for each matched random unit

    @property
    def holds(self) -> bool:
        """Whether the difference is above 0, and above 95% of the random units."""
        above = np.mean([self.delta.mean > one for one in self.random]) if self.random else 0.0
        return self.delta.low > 0 and bool(above >= 0.95)


@dataclass(frozen=True)
class Variants:
    """Units of one layer and what each is held at; the first variant is undisturbed."""

    layer: int
    units: Ints  # (K,)
    values: Floats  # (K,)


@dataclass(frozen=True)
class Chosen:
    """What is held: the unit, with random ones at their means, and those at their ends."""

    means: Variants  # the unit at its mean, low and high end, then the random ones
    ends: Variants  # the random ones at their low ends, then at their high ends


def measure_cause(
    network: "LanguageModel",
    tokenizer: Tokenizer,
    ids: Ints,
    activations: Activations,
    signed: tuple[int, int],
    feature: Feature,
    part: slice,
    num_windows: int = 128,
    seed: int = 0,
) -> Generator[int, None, Cause]:
    """Yield how many windows are done; return what a unit causes over the tokens of `part`.

    `signed` are the unit, and 1 or -1: which end of it means that the feature is on.
    """
    rng = np.random.default_rng(seed)
    on = feature.values > (0 if feature.binary else np.median(feature.values[part]))
    starts = choose_windows(on, part, num_windows, rng)
    held = choose_variants(activations, *signed, network.config.hidden_size, part, rng)
    wanted = [i for i, p in enumerate(tokenizer.pieces) if p and p in CLOSING.get(feature.name, "")]
    nats, closing = [], []
    for first in range(0, len(starts), WINDOWS_AT_ONCE):
        chosen = starts[first : first + WINDOWS_AT_ONCE]
        found = run_variants(network, ids, tokenizer.bos_id, chosen, held.means, wanted)
        nats.append(found[0])
        closing.append(found[1])
        yield first + len(chosen)
    changes = np.concatenate(nats, axis=2) / LN2  # (1 + K, T, W)
    places = starts + np.arange(COUNTED)[:, None] + WARM_UP + BURN_IN + 1
    differences = [difference(change - changes[0], on[places - 1]) for change in changes[1:]]
    delta, on_mean, off_mean = differences[0]
    clamp, others = None, []
    if wanted:
        high, low = np.concatenate(closing, axis=2)[[3, 2]]
        clamp = mean_interval((high - low).mean(0))
        few = starts[::CLAMPED]
        ends = run_variants(network, ids, tokenizer.bos_id, few, held.ends, wanted)[1][1:]
        lows, highs = np.split(ends.mean((1, 2)), 2)
        others = np.abs(highs - lows).tolist()
    return Cause(delta, on_mean, off_mean, [d[0].mean for d in differences[3:]], clamp, others)


def choose_windows(on: NDArray[np.bool_], part: slice, num: int, rng: np.random.Generator) -> Ints:
    """Return where windows start: half of them around a token of `part` where the feature is on."""
    length = WARM_UP + BURN_IN + COUNTED + 1
    low, high = max(0, part.start - WARM_UP), part.stop - length
    anywhere = rng.integers(low, high, size=num // 2)
    there = np.flatnonzero(on[part]) + part.start
    around = rng.choice(there, size=num - len(anywhere))
    around = around - WARM_UP - BURN_IN - rng.integers(0, COUNTED, size=len(around))
    return np.sort(np.clip(np.concatenate([anywhere, around]), low, high))


def choose_variants(
    activations: Activations,
    unit: int,
    sign: int,
    layer_size: int,
    part: slice,
    rng: np.random.Generator,
) -> Chosen:
    """Return what is held: the unit and random ones that vary as much, at means and ends.

    The low end is where the feature is off: that depends on the sign of the unit.
    """
    layer, place = divmod(unit, layer_size)
    own = activations.unit(unit, part)
    rows = part.start + np.arange(0, part.stop - part.start, 8)
    values = activations.matrix(rows)[:, layer * layer_size : (layer + 1) * layer_size]
    gaps = np.abs(np.log(values.std(0) + 1e-9) - np.log(values[:, place].std() + 1e-9))
    gaps[place] = np.inf
    nearest = np.argsort(gaps)[: min(NEAREST * NUM_RANDOM, layer_size - 1)]
    others = np.sort(rng.permutation(nearest)[:NUM_RANDOM])
    low, high = np.quantile(own, QUANTILES)[:: 1 if sign > 0 else -1]
    units = np.concatenate([[place] * 3, others])
    held = np.concatenate([[own.mean(), low, high], values.mean(0)[others]])
    means = Variants(layer, units.astype(np.int64), held.astype(np.float64))
    ends = np.quantile(values[:, others], QUANTILES, axis=0).ravel().astype(np.float64)
    return Chosen(means, Variants(layer, np.tile(others, 2).astype(np.int64), ends))


def run_variants(
    network: "LanguageModel",
    ids: Ints,
    bos_id: int | None,
    starts: Ints,
    variants: Variants,
    wanted: list[int],
) -> tuple[Floats, Floats]:
    """Return the nats of the counted tokens and ln p of the `wanted`, each (1 + K, T, W)."""
    import torch

    num, held = len(starts), len(variants.units)
    index = starts + np.arange(WARM_UP + BURN_IN + COUNTED + 1)[:, None]
    tokens = torch.from_numpy(ids[index])
    keep = torch.ones(tokens.shape) if bos_id is None else (tokens != bos_id).float()
    rows = torch.arange(num, (1 + held) * num)
    units = torch.from_numpy(np.repeat(variants.units, num))
    values = torch.from_numpy(np.repeat(variants.values, num)).float()
    hold = Hold(variants.layer, rows, units, values)
    state = network.recurrent.zero_state(num)
    nats, closing = [], []
    with torch.no_grad():
        *_, (_, warm) = run_steps(network, tokens[:WARM_UP], state, keep[:WARM_UP])
        state = tuple(part.repeat(1, 1 + held, 1) for part in warm)
        many, kept = tokens[WARM_UP:-1].repeat(1, 1 + held), keep[WARM_UP:-1].repeat(1, 1 + held)
        steps = run_steps(network, many, state, kept, hold)
        for step, (hidden, _) in enumerate(steps):
            if step >= BURN_IN:
                log_p = network.output(hidden).log_softmax(-1)
                following = tokens[WARM_UP + step + 1].repeat(1 + held)
                nats.append(-log_p.gather(1, following[:, None])[:, 0])
                closing.append(closing_log_p(log_p, wanted))

    def shaped(parts: list["Tensor"]) -> Floats:
        return torch.stack(parts).view(COUNTED, 1 + held, num).transpose(0, 1).double().numpy()

    return shaped(nats), shaped(closing)


def closing_log_p(log_p: "Tensor", wanted: list[int]) -> "Tensor":
    """Return ln of the summed probability of the `wanted` tokens, (B,); 0 for none."""
    return log_p[:, wanted].logsumexp(-1) if wanted else log_p.new_zeros(len(log_p))


def difference(changes: Floats, on: NDArray[np.bool_]) -> tuple[Interval, float, float]:
    """Return the mean of `changes` (T, W) where on less where off, with both; windows are drawn."""
    sums = np.stack(
        [(changes * on).sum(0), on.sum(0), (changes * ~on).sum(0), (~on).sum(0)], axis=1
    ).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        total = sums.sum(0)
        on_mean, off_mean = float(total[0] / total[1]), float(total[2] / total[3])
        drawn = draw_counts(len(sums), 1000, 0) @ sums
        draws = drawn[:, 0] / drawn[:, 1] - drawn[:, 2] / drawn[:, 3]
    return ends_of(on_mean - off_mean, draws, len(sums)), on_mean, off_mean
