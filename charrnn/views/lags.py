"""The gradient of a surprisal by lag: G_k = mean over targets of ||dS_t / ds_{t-k}||.

The state is s = (h, c); h and c are taken apart, all layers of each together. Where G falls like
rho^k the network cannot learn what lies far back: it vanishes (Bengio et al. 1994; Pascanu et al.
2013). One backward pass gives every lag. S_t sees c_{t-1} through h_{t-1} only, so that c begins
with lag 2.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from charrnn.views.envelope import Inspected
from charrnn.views.intervals import BLOCK, Interval, mean_intervals
from charrnn.views.places import Places, choose_places

if TYPE_CHECKING:
    from charrnn.cells import State
    from charrnn.model import LanguageModel

NUM_LAGS, NUM_TARGETS = 100, 128
WARM_UP = 128  # tokens read before the first lag
SMALL = 0.01  # of the largest gradient
PARTS = ("h", "c")


@dataclass(frozen=True)
class Lags:
    """The gradient of one part of a state by lag."""

    part: str  # h or c
    gradients: list[Interval]  # nats per unit of the state; the first is lag 1
    slope: float | None  # of ln G_k, per token, over the later half of the lags that can be seen
    reach: int | None  # the first lag from which G_k stays under 1% of its largest value


def measure_lags(
    model: "LanguageModel",
    text: Inspected,
    num_lags: int = NUM_LAGS,
    num_targets: int = NUM_TARGETS,
    seed: int = 0,
) -> list[Lags]:
    """Return the gradients by lag of each part of the state; shorter texts have fewer lags."""
    num_lags = min(num_lags, longest_past(text) - 1)
    places = choose_places(text, num_targets, num_lags, seed)
    norms = lag_norms(model, text, places, num_lags)
    blocks = places.targets // BLOCK
    return [
        summarize(part, mean_intervals(values, blocks))
        for part, values in zip(PARTS, norms, strict=False)
    ]


def longest_past(text: Inspected) -> int:
    """Return how many tokens the longest document of the text has."""
    if text.bos_id is None:
        return len(text.ids)
    starts = np.flatnonzero(np.asarray(text.ids) == text.bos_id)
    return int(np.diff(np.append(starts, len(text.ids))).max(initial=2))


def lag_norms(
    model: "LanguageModel", text: Inspected, places: Places, num_lags: int
) -> list[NDArray[np.float64]]:
    """Return the norms of dS_t / ds_{t-k}, (B, K) for each part of the state, k = 1 .. K."""
    import torch
    from torch.nn.functional import cross_entropy

    tokens = np.asarray(text.ids)
    first = places.targets - num_lags
    state = warm_state(model, tokens, places.starts, first)
    states: list[State] = []
    for step in range(num_lags):  # after step j the state is that of lag K - j
        inputs = torch.from_numpy(tokens[first + step].astype(np.int64))[None]
        _, state = model.run_layers(inputs, state)
        state = tuple(part if part.requires_grad else part.requires_grad_() for part in state)
        states.append(state)
    targets = torch.from_numpy(tokens[places.targets].astype(np.int64))
    loss = cross_entropy(model.output(state[0][-1]), targets, reduction="sum")
    flat = [part for parts in states for part in parts]
    found = torch.autograd.grad(loss, flat, allow_unused=True)
    norms = np.full((model.recurrent.num_states, len(targets), num_lags), np.nan)
    for place, gradient in enumerate(found):
        step, part = divmod(place, model.recurrent.num_states)
        if gradient is not None:
            norm = gradient.double().pow(2).sum((0, 2)).sqrt()
            norms[part, :, num_lags - 1 - step] = norm.numpy()
    return list(norms)


def warm_state(
    model: "LanguageModel",
    tokens: NDArray[np.generic],
    starts: NDArray[np.int64],
    first: NDArray[np.int64],
) -> "State":
    """Return the state before token `first` of each row, after up to 128 tokens of its document."""
    import torch

    state = model.recurrent.zero_state(len(first))
    with torch.no_grad():
        for step in range(WARM_UP, 0, -1):
            index = first - step
            inputs = torch.from_numpy(tokens[np.maximum(index, 0)].astype(np.int64))[None]
            _, state = model.run_layers(inputs, state)
            kept = torch.from_numpy((index >= starts).astype(np.float32))[:, None]
            state = tuple(part * kept for part in state)
    return state


def summarize(part: str, gradients: list[Interval]) -> Lags:
    """Return the gradients with their slope and reach."""
    means = np.array([gradient.mean for gradient in gradients])
    lags = np.arange(1, len(means) + 1)
    seen = np.flatnonzero(np.isfinite(means) & (means > 1e-30))
    if not len(seen):
        return Lags(part, gradients, None, None)
    later = seen[len(seen) // 2 :]
    slope = float(np.polyfit(lags[later], np.log(means[later]), 1)[0]) if len(later) > 1 else None
    large = np.flatnonzero(means >= SMALL * np.nanmax(means))
    reach = int(lags[large[-1]]) + 1
    return Lags(part, gradients, slope, reach if reach <= len(means) else None)
