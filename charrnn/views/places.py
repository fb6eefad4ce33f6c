"""Places of a text at which a network is looked at, and the text before each of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import CorpusError
from charrnn.views.envelope import Inspected

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Places:
    """Targets x_t in ascending order."""

    targets: Ints  # (B,) t
    starts: Ints  # (B,) the first token that the network has read for each: of its document


def choose_places(text: Inspected, num: int, before: int, seed: int = 0) -> Places:
    """Return up to `num` targets that have `before` tokens before them, spread over the text.

    Each lies at random in its own stretch. Raises CorpusError where there is none.
    """
    ids = np.asarray(text.ids)
    targets, starts = np.arange(len(ids)), np.zeros(len(ids), np.int64)
    if text.bos_id is not None:
        starts = np.maximum.accumulate(np.where(ids == text.bos_id, targets, 0))
    fit = np.flatnonzero(targets - starts >= max(1, before))
    if not len(fit):
        raise CorpusError(f"no token of the text has {before} tokens before it: needs a longer one")
    rng = np.random.default_rng(seed)
    edges = np.linspace(0, len(fit), min(num, len(fit)) + 1)
    inside = edges[:-1] + rng.random(len(edges) - 1) * np.diff(edges)
    chosen = fit[np.unique(inside.astype(np.int64))]
    return Places(chosen, starts[chosen])
