"""Logits -> the weights that a token is drawn by: mask, penalty, temperature, top-k, top-p, min-p.

Always in this order, and everything in float64. Shapes: B samples, V symbols. Ties go to the lower
id. Does not draw: see drawing.py.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from charrnn.config import SampleConfig
from charrnn.errors import ConfigError, ModelError

Logits = npt.NDArray[np.floating[Any]]
Weights = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

# Below these a temperature or penalty acts as its limit, without overflow: logits are float32
TEMPERATURE_MIN = 1e-200
PENALTY_MIN = 1e-30
ROUNDING = 1e-12  # a sum or ratio this near to P has reached it
HEAD = 1024  # top-p sorts that many of the likeliest first; mostly they are enough


def filter_logits(
    logits: Logits, config: SampleConfig, banned: Mask | None = None, seen: Mask | None = None
) -> Weights:
    """Return log weights (B, V): the likeliest's is 0, a dropped one's -inf.

    `banned` (V,) or (B, V) is never drawn; `seen` (B, V) is what the repetition penalty meets.
    At temperature 0 all but the likeliest are dropped. Raises ModelError where the logits are NaN
    or infinite, ConfigError where everything is banned.
    """
    weights: Weights = logits.astype(np.float64)
    check_finite(weights.max(axis=1))
    if banned is not None:
        weights[np.broadcast_to(banned, weights.shape)] = -np.inf
    if seen is not None:
        penalize(weights, seen, config.repetition_penalty)
    largest = weights.max(axis=1, keepdims=True)
    if np.isneginf(largest).any():
        raise ConfigError("every symbol of the vocabulary is banned: nothing can be drawn")
    weights -= largest
    if config.temperature == 0:
        keep_top_k(weights, 1)
        return weights
    weights /= max(config.temperature, TEMPERATURE_MIN)
    if 0 < config.top_k < weights.shape[1]:
        keep_top_k(weights, config.top_k)
    if config.top_p < 1:
        keep_top_p(weights, config.top_p)
    if config.min_p > 0:
        weights[np.exp(weights) < config.min_p * (1 - ROUNDING)] = -np.inf
    return weights


def check_finite(largest: Weights | float) -> None:
    """Raise ModelError unless the largest logits, of which NaN is one, are finite."""
    if not np.isfinite(largest).all():
        raise ModelError("the network's output is not finite: its weights are damaged or diverged")


def penalize(weights: Weights, seen: Mask, penalty: float) -> None:
    """Make what was `seen` less likely, in place: positive logits / penalty, negative * penalty.

    Keskar et al. (2019), CTRL; for negative logits as it is understood since.
    """
    penalty = max(penalty, PENALTY_MIN)
    values = weights[seen]
    weights[seen] = np.where(values > 0, values / penalty, values * penalty)


def keep_top_k(weights: Weights, k: int) -> None:
    """Drop, in place, all but exactly the `k` largest of each row; `k` is at most V."""
    smallest = np.partition(weights, -k, axis=1)[:, -k, None]  # that is kept
    tied = weights == smallest
    places = k - np.count_nonzero(weights > smallest, axis=1, keepdims=True)
    excess = tied & (np.cumsum(tied, axis=1) > places)
    weights[(weights < smallest) | excess] = -np.inf


def keep_top_p(weights: Weights, p: float) -> None:
    """Drop, in place, all but the smallest set of the likeliest of each row that reaches `p`.

    Holtzman et al. (2020), The curious case of neural text degeneration.
    """
    for row in weights:
        dropped = np.ones(len(row), np.bool_)
        dropped[_nucleus(row, p)] = False
        row[dropped] = -np.inf


def _nucleus(row: Weights, p: float) -> npt.NDArray[np.intp]:
    """Return the ids of the smallest set that reaches `p`, the likeliest first."""
    shares = np.exp(row)
    shares /= shares.sum()
    candidates = np.arange(len(row))
    if len(row) > HEAD:
        head = np.flatnonzero(row >= np.partition(row, -HEAD)[-HEAD])
        if shares[head].sum() >= p:
            candidates = head
    order = candidates[np.argsort(-row[candidates], kind="stable")]
    size = np.searchsorted(np.cumsum(shares[order]), p - ROUNDING) + 1
    return order[:size]
