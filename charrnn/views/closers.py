"""Does a network remember what is open? p of each closing bracket or quote, by its distance."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from charrnn.views.intervals import BLOCK, Interval, mean_interval

PAIRS = {")": "(", "]": "[", "}": "{"}
QUOTES = '"'
EDGES = (1, 4, 8, 16, 32, 64, 128, 256)  # of the bins of distances; the last has no end
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Bin:
    """Closing tokens whose opener is between `low` and `high` tokens before them."""

    low: int
    high: int | None  # inclusive; None: no end
    count: int
    model: Interval  # mean p(true closer)
    ngram: Interval | None  # the same of an n-gram, which sees a few tokens only


def find_closers(pieces: Sequence[str]) -> list[tuple[int, int]]:
    """Return (opener, closer) as places in `pieces`.

    Brackets nest, and one that closes what is not open closes nothing; quotes take turns, and a
    blank line ends them.
    """
    found: list[tuple[int, int]] = []
    stack: list[tuple[str, int]] = []
    quote = newline = -1
    for place, piece in enumerate(pieces):
        symbol = piece.strip(" ")
        if symbol == "\n":
            quote = -1 if newline == place - 1 else quote
            newline = place
        elif symbol in QUOTES and symbol:
            if quote >= 0:
                found.append((quote, place))
            quote = place if quote < 0 else -1
        elif symbol in PAIRS.values():
            stack.append((symbol, place))
        elif symbol in PAIRS and stack and stack[-1][0] == PAIRS[symbol]:
            found.append((stack.pop()[1], place))
        elif symbol in PAIRS:
            stack.clear()
    return sorted(found, key=lambda pair: pair[1])


def measure_closers(pieces: Sequence[str], nats: Floats, ngram: Floats | None) -> list[Bin]:
    """Return the bins that have closers in them; `nats` are -ln p of each token, (N,)."""
    pairs = np.array(find_closers(pieces), dtype=np.int64).reshape(-1, 2)
    pairs = pairs[np.isfinite(nats[pairs[:, 1]])]
    distances = pairs[:, 1] - pairs[:, 0]
    bins = []
    for low, after in zip(EDGES, (*EDGES[1:], None), strict=True):
        at = pairs[(distances >= low) & ((distances < after) if after else True), 1]
        if len(at):
            means = [
                None if values is None else mean_interval(np.exp(-values[at]), at // BLOCK)
                for values in (nats, ngram)
            ]
            assert means[0] is not None
            bins.append(Bin(low, after - 1 if after else None, len(at), means[0], means[1]))
    return bins
