"""How far back a network uses what it read, in bits (Khandelwal et al. 2018).

    delta(n) = mean over targets of S(x_t | last n tokens) - S(x_t | all of them)

for the same targets at each n, so that the differences are precise. What is older than n tokens is
either nothing (the state is zero) or swapped: text from elsewhere, read right before them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from charrnn.encoding import Ids
from charrnn.views.envelope import Inspected
from charrnn.views.intervals import BLOCK, Interval, mean_interval
from charrnn.views.places import Places

if TYPE_CHECKING:
    from torch import Tensor

    from charrnn.cells import State
    from charrnn.model import LanguageModel

Older = Literal["zeroed", "swapped"]
LENGTHS = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
FULL = 1024  # tokens that stand for all of them
SWAPPED = 128  # tokens read from elsewhere
ENOUGH = 0.01  # bits: less than this is nothing
ROWS, STEPS = 256, 64  # read at a time, so that memory stays bounded


@dataclass(frozen=True)
class Point:
    """What is lost by forgetting all but the last n tokens."""

    n: int
    delta: Interval  # bits per token


def measure_horizon(
    model: "LanguageModel", text: Inspected, places: Places, older: Older, seed: int = 0
) -> Iterator[Point]:
    """Yield delta(n) for n = 0, 1, 2, 4 .. 512, each as it is known."""
    elsewhere = None
    if older == "swapped":
        rng = np.random.default_rng(seed)
        last = max(1, len(text.ids) - SWAPPED)
        elsewhere = (
            places.targets + rng.integers(last // 4, max(2, 3 * last // 4), len(places.targets))
        ) % last
    full = nats_after(model, text.ids, places, FULL, None)
    for n in LENGTHS:
        lost = (nats_after(model, text.ids, places, n, elsewhere) - full) / np.log(2)
        yield Point(n, mean_interval(lost, places.targets // BLOCK))


def horizon_of(points: Sequence[Point], most: int = LENGTHS[-1]) -> int | None:
    """Return the first n, up to `most`, for which all that is older is surely worth < 0.01 bit."""
    known = (point.n for point in points if point.n <= most and point.delta.high < ENOUGH)
    return next(known, None)


def nats_after(
    model: "LanguageModel",
    ids: Ids,
    places: Places,
    n: int,
    elsewhere: NDArray[np.int64] | None,
) -> NDArray[np.float64]:
    """Return -ln p of each target after its last `n` tokens, or all of its document's if fewer."""
    import torch

    nats = np.empty(len(places.targets))
    with torch.no_grad():
        for begin in range(0, len(nats), ROWS):
            rows = slice(begin, begin + ROWS)
            ends, starts = places.targets[rows], places.starts[rows]
            firsts = np.maximum(starts, ends - n)
            state = model.recurrent.zero_state(len(ends))
            if elsewhere is not None:
                state = read_elsewhere(model, ids, elsewhere[rows], firsts > starts)
            hidden = read(model, ids, firsts, ends, state)
            targets = torch.from_numpy(np.asarray(ids[ends]).astype(np.int64))
            log_p = model.output(hidden).double().log_softmax(-1)
            nats[rows] = -log_p.gather(1, targets[:, None])[:, 0].numpy()
    return nats


def read_elsewhere(
    model: "LanguageModel", ids: Ids, begins: NDArray[np.int64], used: NDArray[np.bool_]
) -> "State":
    """Return the state after some text at `begins`; zero for rows in which it is not `used`."""
    import torch

    index = np.minimum(begins + np.arange(SWAPPED)[:, None], len(ids) - 1)
    _, state = model.run_layers(torch.from_numpy(np.asarray(ids[index]).astype(np.int64)))
    kept = torch.from_numpy(used.astype(np.float32))[:, None]
    return tuple(part * kept for part in state)


def read(
    model: "LanguageModel",
    ids: Ids,
    firsts: NDArray[np.int64],
    ends: NDArray[np.int64],
    state: "State",
) -> "Tensor":
    """Return what the output layer sees, (B, H), after ids[first:end] of each row."""
    import torch

    last = state[0][-1].clone()  # (B, H): right where a row reads nothing
    lengths = ends - firsts
    for begin in range(0, int(lengths.max(initial=0)), STEPS):
        steps = np.arange(begin, min(begin + STEPS, int(lengths.max())))[:, None]
        index = np.minimum(firsts + steps, len(ids) - 1)  # behind its end a row reads on, in vain
        tokens = torch.from_numpy(np.asarray(ids[index]).astype(np.int64))
        hidden, state = model.run_layers(tokens, state)
        done = np.flatnonzero((lengths > begin) & (lengths <= begin + len(steps)))
        last[done] = hidden[lengths[done] - 1 - begin, done]
    return last
