"""What the network's last vectors cost: the loss over all symbols, or over a sample of them.

With a large vocabulary nearly all of a training step is the output product. A sample of the symbols
stands for the others: each symbol i is in it with a probability chance_i of its own (1 for the
frequent ones, which therefore are never left to luck) and counts 1 / chance_i times, so that the
expectation of the sum of exp(logit) is exact (Horvitz & Thompson 1952). After Bengio & Senecal
(2003) and Jean et al. (2015). For training only: evaluation and sampling use all symbols.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy, embedding

from charrnn.batches import IGNORED, Ids
from charrnn.model import LanguageModel

POWER = 0.75  # of a symbol's count: rare symbols are drawn more often than they occur
COUNTED = 20_000_000  # tokens from the beginning of the text whose symbols are counted


def full_loss(model: LanguageModel, hidden: Tensor, targets: Tensor) -> Tensor:
    """Return the sum of -ln p(target), in nats; `hidden` is (T, B, H), `targets` (T, B)."""
    logits = model.output(hidden).float().flatten(0, 1)
    return cross_entropy(logits, targets.flatten(), ignore_index=IGNORED, reduction="sum")


def sampled_loss(model: LanguageModel, hidden: Tensor, targets: Tensor, chances: Tensor) -> Tensor:
    """Return an estimate of `full_loss` from the symbols drawn by `chances` (V,) and the targets.

    The draw is one for the whole window, by the model's generator. Slightly too low in expectation
    (by Jensen's inequality), exact where all chances are 1.
    """
    flat = targets.flatten()
    vectors = hidden.flatten(0, 1)  # (N, H)
    real = flat != IGNORED
    if not real.all():
        flat, vectors = flat[real], vectors[real]
    draws = torch.empty_like(chances).uniform_(generator=model.generator)
    drawn = torch.nonzero(draws < chances).flatten()  # (K,)
    place = torch.full_like(chances, -1, dtype=torch.long)
    place[drawn] = torch.arange(len(drawn), device=drawn.device)
    wanted = torch.cat([drawn, flat])  # one gather: one gradient
    rows = embedding(wanted, model.output.weight, sparse=model.by_row)
    bias = model.output.bias
    offsets = bias[drawn] - chances[drawn].log()
    logits = torch.nn.functional.linear(vectors, rows[: len(drawn)]).float() + offsets
    own = (vectors * rows[len(drawn) :]).float().sum(dim=1) + bias[flat]  # (N,)
    hits = place[flat]
    found = torch.nonzero(hits >= 0).flatten()
    blocked = torch.zeros_like(logits, dtype=torch.bool)
    blocked[found, hits[found]] = True  # the target is in the sum once, as itself
    others = logits.masked_fill(blocked, -torch.inf).logsumexp(dim=1)
    loss: Tensor = torch.logaddexp(own, others) - own
    return loss.sum()


def count_symbols(ids: Ids, vocab_size: int) -> NDArray[np.int64]:
    """Return how often each symbol occurs, (V,), in the beginning of a text."""
    return np.bincount(np.asarray(ids[:COUNTED]), minlength=vocab_size)


def entropy_of(counts: NDArray[np.int64]) -> float:
    """Return the entropy of a symbol by its share of `counts` (V,), in nats."""
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def unigram_bias(counts: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the output bias with which an untrained network predicts by frequency alone, (V,)."""
    bias: NDArray[np.float32] = np.log((counts + 1.0) / (counts + 1.0).sum()).astype(np.float32)
    return bias


def chances_of(counts: NDArray[np.int64], num_samples: int) -> NDArray[np.float32]:
    """Return each symbol's chance to be drawn, (V,), so that about `num_samples` are."""
    weights = (counts + 1.0) ** POWER
    low, high = 0.0, num_samples / weights.min()
    for _ in range(60):  # bisection: the sum of the chances grows with the scale
        scale = (low + high) / 2
        total = np.minimum(1.0, scale * weights).sum()
        low, high = (scale, high) if total < num_samples else (low, scale)
    chances: NDArray[np.float32] = np.minimum(1.0, high * weights).astype(np.float32)
    return chances
