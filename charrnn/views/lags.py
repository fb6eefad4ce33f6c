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
from charrnn.views.intervals import BLOCK, LEVEL, Interval, mean_intervals, spread_ends
from charrnn.views.places import Places, choose_places

if TYPE_CHECKING:
    from charrnn.cells import State
    from charrnn.model import LanguageModel

NUM_LAGS, NUM_TARGETS = 100, 128
WARM_UP = 128  # tokens read before the first lag
SMALL = 0.01  # of the largest gradient
TINY = 1e-30  # a gradient that cannot be told from none
NUM_DRAWS = 500
PARTS = ("h", "c")

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Lags:
    """The gradient of one part of a state by lag."""

    part: str  # h or c
    gradients: list[Interval]  # nats per unit of the state; the first is lag 1
    slope: Interval | None  # of ln G_k, per token, over the later half of the lags that are seen
    reach: int | None  # the first lag from which G_k stays under 1% of its largest value
    reach_ends: tuple[int, int | None] | None  # its 95% interval; None: further than was seen


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
    return [summarize(part, values, blocks) for part, values in zip(PARTS, norms, strict=False)]


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


def summarize(part: str, norms: Floats, blocks: NDArray[np.int64], seed: int = 0) -> Lags:
    """Return the mean of `norms` (B, K) by lag, with slope and reach; blocks are drawn anew."""
    gradients = mean_intervals(norms, blocks, seed)
    means = np.array([gradient.mean for gradient in gradients])
    seen = np.flatnonzero(np.isfinite(means) & (means > TINY))
    if not len(seen):
        return Lags(part, gradients, None, None, None)
    later, draws = seen[len(seen) // 2 :], drawn_means(norms, blocks, seed)
    slope = None
    if len(later) > 1:
        value = slopes_of(means[None], later)[0]
        slope = Interval(value, np.nan, np.nan)
        if len(draws):
            num = len(np.unique(blocks))
            slope = spread_ends(value, slopes_of(draws, later), num, -np.inf, np.inf)
    reach, last = int(reaches_of(means[None])[0]), len(means)
    ends = None
    if len(draws):
        low, high = np.quantile(reaches_of(draws), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        ends = int(low), None if high > last else int(high)
    return Lags(part, gradients, slope, reach if reach <= last else None, ends)


def drawn_means(norms: Floats, blocks: NDArray[np.int64], seed: int) -> Floats:
    """Return the means by lag of blocks that are drawn anew, (draws, K); of one block none."""
    members = np.unique(blocks, return_inverse=True)[1].reshape(-1)
    num = int(members.max()) + 1
    sums, counts = np.zeros((num, norms.shape[1])), np.bincount(members, minlength=num)
    np.add.at(sums, members, norms)
    if num < 2:
        return sums[:0]
    drawn = np.random.default_rng(seed).multinomial(num, np.full(num, 1 / num), size=NUM_DRAWS)
    return np.asarray((drawn @ sums) / (drawn @ counts)[:, None])


def slopes_of(curves: Floats, lags: NDArray[np.int64]) -> Floats:
    """Return the slope of ln G over `lags` of each of `curves` (draws, K), by least squares."""
    centred = lags - lags.mean()
    logs = np.log(np.maximum(curves[:, lags], TINY))
    return np.asarray(logs @ centred / (centred @ centred))


def reaches_of(curves: Floats) -> NDArray[np.int64]:
    """Return for each of `curves` (draws, K) the lag from which it stays under 1% of its largest.

    K + 1 is further than the lags that were seen.
    """
    large = curves >= SMALL * np.nanmax(curves, axis=1, keepdims=True)
    return np.asarray(curves.shape[1] - np.argmax(large[:, ::-1], axis=1) + 1, np.int64)


def factor(slope: Interval) -> Interval:
    """Return by what a gradient is multiplied from one lag to the next; 1 keeps it."""
    return Interval(*(float(np.exp(value)) for value in slope))
