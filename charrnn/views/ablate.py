"""ablate: which units matter? Each is held at its mean, and the paired change in bits is measured.

The unit is replaced at every step, so that nothing later can use it. All units are screened to
first order, by one backward pass; those with the largest estimates are then ablated exactly. The
control are units drawn at random from all the others. Needs no labels and no features: it says that
a unit matters, not what for.
"""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from charrnn.modeldir import StoredModel
from charrnn.views.envelope import Inspected
from charrnn.views.intervals import Interval, mean_intervals
from charrnn.views.intervened import intervened_nats
from charrnn.views.lags import longest_past, warm_state
from charrnn.views.memory import Progress, load_network
from charrnn.views.places import choose_places
from charrnn.views.states import run_states

if TYPE_CHECKING:
    from torch import Tensor

    from charrnn.cells import State
    from charrnn.model import LanguageModel

NUM_UNITS, NUM_RANDOM = 50, 20
NUM_STREAMS, STEPS = 24, 128
GROUP = 16  # units that are ablated side by side
MEAN_TOKENS = 20_000  # over which the means are taken
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class UnitRow:
    """What the text costs more without one unit."""

    unit: str  # c:layer:unit, or h:
    estimate: float  # bits per token, to first order
    delta: Interval  # bits per token, exactly


@dataclass(frozen=True)
class Ablation:
    """The units with the largest estimates, the largest change first, and the control."""

    rows: list[UnitRow]
    control: list[UnitRow]
    chance: float  # the largest change among the control's units
    all_units: Interval  # bits per token when all units are held at their means
    num_targets: int


@dataclass(frozen=True)
class Streams:
    """Pieces of a text side by side, and the states before them."""

    tokens: "Tensor"  # (T, B)
    targets: "Tensor"  # (T, B)
    state: "State"  # parts (L, B, H)


def measure_ablation(
    stored: StoredModel, text: Inspected, num_units: int = NUM_UNITS, seed: int = 0
) -> Iterator[Progress | Ablation]:
    """Yield how far it is, then the result."""
    import torch

    network = load_network(stored)
    means = state_means(network, text)
    streams = make_streams(network, text, seed)
    estimates = screen(network, streams, means)
    order = np.argsort(-np.abs(estimates.ravel()), kind="stable")
    chosen, others = order[:num_units], order[num_units:]
    rng = np.random.default_rng(seed)
    drawn = rng.choice(others, min(NUM_RANDOM, len(others)), replace=False)
    wanted = np.concatenate([chosen, drawn]).astype(np.int64)
    base = ablated_nats(network, streams, means, [])[0]
    found: list[Floats] = []
    for begin in range(0, len(wanted), GROUP):
        group = wanted[begin : begin + GROUP].tolist()
        found += list(ablated_nats(network, streams, means, group) - base)
        yield Progress("units", min(begin + GROUP, len(wanted)), len(wanted))
    with torch.no_grad():
        ones = [torch.ones_like(mean)[None] for mean in means]
        total = intervened_nats(
            network, streams.tokens, streams.targets, streams.state, ones, means
        )
    rows = unit_rows(network, wanted, estimates.ravel(), [*found, total.double().numpy() - base])
    whole = rows.pop()
    first, rest = rows[: len(chosen)], rows[len(chosen) :]
    yield Ablation(
        sorted(first, key=lambda row: -row.delta.mean),
        rest,
        max((abs(row.delta.mean) for row in rest), default=float("nan")),
        whole.delta,
        streams.targets.numel(),
    )


def state_means(network: "LanguageModel", text: Inspected) -> "list[Tensor]":
    """Return the mean of c (of h where there is none) of each unit by layer, (H,)."""
    import torch

    name = "c" if network.recurrent.num_states == 2 else "h"
    sums = np.zeros((network.config.num_layers, network.config.hidden_size))
    ids = text.ids[:MEAN_TOKENS]
    for section in run_states(network, ids, text.bos_id):
        sums += [signals[name].sum(0, dtype=np.float64) for signals in section.layers]
    like = network.output.weight.dtype
    return [torch.from_numpy(row / len(ids)).to(like) for row in sums]


def make_streams(network: "LanguageModel", text: Inspected, seed: int) -> Streams:
    """Return up to 24 pieces of 128 tokens, each with the state before it."""
    import torch

    steps = min(STEPS, longest_past(text) - 1)
    places = choose_places(text, NUM_STREAMS, steps, seed)
    ids, first = np.asarray(text.ids).astype(np.int64), places.targets - steps
    index = first + np.arange(steps)[:, None]
    state = warm_state(network, ids, places.starts, first)
    tokens, targets = (torch.from_numpy(ids[at]) for at in (index, index + 1))
    return Streams(tokens, targets, state)


def screen(network: "LanguageModel", streams: Streams, means: "list[Tensor]") -> Floats:
    """Return the first-order change of the mean bits when each unit is held, (L, H)."""
    import torch

    alphas = [torch.zeros_like(mean)[None].requires_grad_() for mean in means]
    nats = intervened_nats(
        network, streams.tokens, streams.targets, streams.state, alphas, means
    ).mean()
    gradients = torch.autograd.grad(nats, alphas)
    changes: Floats = np.stack([g[0].double().numpy() for g in gradients]) / np.log(2)
    return changes


def ablated_nats(
    network: "LanguageModel", streams: Streams, means: "list[Tensor]", units: list[int]
) -> Floats:
    """Return -ln p of each target without each of `units`, (units, T, B); none: as it is."""
    import torch

    num, (steps, size) = max(1, len(units)), streams.tokens.shape
    alphas = torch.zeros(len(means), num, len(means[0]))
    for row, unit in enumerate(units):
        alphas[unit // len(means[0]), row, unit % len(means[0])] = 1
    wide = alphas.repeat_interleave(size, dim=1).to(means[0].dtype)  # (L, units * B, H)
    tokens, targets = streams.tokens.repeat(1, num), streams.targets.repeat(1, num)
    state = tuple(part.repeat(1, num, 1) for part in streams.state)
    with torch.no_grad():
        nats = intervened_nats(network, tokens, targets, state, list(wide), means)
    return nats.double().view(steps, num, size).transpose(0, 1).numpy()


def unit_rows(
    network: "LanguageModel",
    units: NDArray[np.int64],
    estimates: Floats,
    changes: list[Floats],
) -> list[UnitRow]:
    """Return a row for each change (T, B) in nats; one more change than units is that of all."""
    name = "c" if network.recurrent.num_states == 2 else "h"
    size = network.config.hidden_size
    columns = np.stack([change.T.ravel() for change in changes], axis=1) / np.log(2)
    streams = np.repeat(np.arange(changes[0].shape[1]), changes[0].shape[0])
    intervals = mean_intervals(columns, streams)
    labels = [f"{name}:{unit // size}:{unit % size}" for unit in units.tolist()]
    known = [*estimates[units].tolist(), float("nan")]
    return [
        UnitRow(label, estimate, interval)
        for label, estimate, interval in zip([*labels, "all"], known, intervals, strict=True)
    ]


def sentence(found: Ablation) -> str:
    """Return what the numbers say, in one sentence, and its caveat."""
    caveat = "What another unit can stand in for does not show; the largest of many is too large."
    if not any(math.isfinite(row.delta.low) for row in found.rows):
        return f"The text is too short to say which units matter. {caveat}"
    chance = found.chance if found.control else 0.0
    sure = [row for row in found.rows if row.delta.low > max(0.0, chance)]
    if not sure:
        return f"No single unit is seen to matter more than random ones do. {caveat}"
    best, least = sure[0], f"the most of {len(found.control)} random others: {chance:.3f}"
    text = f"Without {best.unit} the text costs {best.delta.mean:.3f} bits a token more"
    span = f"95% interval {best.delta.low:.3f} to {best.delta.high:.3f}"
    more = f"{len(sure)} of {len(found.rows)} units matter"
    if not found.control:
        return f"{text} ({span}); {more}, and none is left to be a control. {caveat}"
    return f"{text} ({span}; {least}); {more} more than these. {caveat}"


def to_result(found: Ablation) -> dict[str, Any]:
    """Return the numbers as JSON holds them."""

    def rows(units: list[UnitRow]) -> list[dict[str, Any]]:
        return [{**asdict(row), "delta": row.delta._asdict()} for row in units]

    return {
        "rows": rows(found.rows),
        "control": rows(found.control),
        "chance": found.chance,
        "all_units": found.all_units._asdict(),
        "num_targets": found.num_targets,
        "sentence": sentence(found),
    }
