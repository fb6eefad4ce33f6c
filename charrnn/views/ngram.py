"""An interpolated n-gram model of token ids: what counting alone can predict.

Witten & Bell (1991): with c the counts, T the number of different tokens seen behind a context h,
and h' the context without its first token,

    p(w | h) = (c(h w) + T(h) p(w | h')) / (c(h) + T(h)),    below it all the uniform 1 / V

Contexts are numbered, not kept: that of k tokens before t is the pair (that of k - 1 before t - 1,
x_{t-1}), so that the pairs of one order are the contexts of the next.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from charrnn.encoding import Ids
from charrnn.views.telling import Told, untold

MAX_ORDER = 10
MAX_TRAIN = 20_000_000  # tokens; of a longer text the last ones are counted
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Order:
    """The counts behind contexts of one length."""

    keys: Ints  # (K,) context * V + token, ascending
    counts: Ints  # (K,)
    totals: Ints  # (C,) tokens behind each context
    types: Ints  # (C,) different ones

    def find(self, keys: Ints) -> Ints:
        """Return the place of each key, -1 where it was never seen."""
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[at] == keys, at, -1)


class NGram:
    """Contexts of 0 .. order - 1 tokens, counted in `ids`."""

    def __init__(self, ids: Ids, vocab_size: int, order: int = MAX_ORDER) -> None:
        """Count; `ids` (N,) need at least `order` tokens."""
        tokens = np.asarray(ids[-MAX_TRAIN:]).astype(np.int64)
        self.vocab_size = vocab_size
        self.orders: list[Order] = []
        contexts = np.zeros(len(tokens), np.int64)
        for _ in range(min(order, len(tokens))):
            keys, places, counts = np.unique(
                contexts * vocab_size + tokens, return_inverse=True, return_counts=True
            )
            of_context = keys // vocab_size
            size = len(self.orders[-1].keys) if self.orders else 1  # contexts; some end the text
            totals = np.bincount(of_context, counts, size).astype(np.int64)
            self.orders.append(Order(keys, counts, totals, np.bincount(of_context, minlength=size)))
            contexts, tokens = places.reshape(-1)[:-1], tokens[1:]

    def probabilities(self, ids: Ids) -> Iterator[Floats]:
        """Yield p(x_t | the k tokens before it), (N,), for k = 0, 1, .. order - 1.

        Where fewer than k tokens stand before x_t, all of them are used.
        """
        tokens = np.asarray(ids).astype(np.int64)
        result = np.full(len(tokens), 1 / self.vocab_size)
        contexts = np.zeros(len(tokens), np.int64)  # -1: never seen, nor any that contains it
        for order in self.orders:
            result = result.copy()
            known = np.flatnonzero(contexts >= 0)
            places = order.find(contexts[known] * self.vocab_size + tokens[known])
            seen = np.where(places >= 0, order.counts[places], 0)
            mine = contexts[known]
            types, totals = order.types[mine], order.totals[mine]
            mixed = (seen + types * result[known]) / np.maximum(totals + types, 1)
            result[known] = np.where(totals > 0, mixed, result[known])  # 0: only at the text's end
            yield result
            following = np.full(len(tokens), -1, np.int64)
            following[known[known + 1 < len(tokens)] + 1] = places[known + 1 < len(tokens)]
            contexts = following

    def distribution(self, context: Ids) -> Floats:
        """Return p(w | context) for every token w, (V,)."""
        before = np.asarray(context).astype(np.int64)
        result = np.empty(self.vocab_size)
        for token in range(self.vocab_size):
            for found in self.probabilities(np.append(before, token)):
                result[token] = found[-1]
        return result


def ngram_nats(
    train: Ids, ids: Ids, vocab_size: int, order: int = MAX_ORDER, told: Told = untold
) -> tuple[int, Floats]:
    """Return the best n of 1 .. order and -ln p of each token of `ids` under it, (N,).

    The n is the one that suits `ids` best, so that the n-gram is rather better than it should be.
    """
    best, best_n = np.full(len(ids), np.inf), 0
    for n, found in enumerate(NGram(train, vocab_size, order).probabilities(ids), 1):
        nats = -np.log(found)
        if nats.sum() < best.sum():
            best, best_n = nats, n
        told("n-grams", n, order)
    return best_n, best
