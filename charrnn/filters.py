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
        np.copyto(weights, -np.inf, where=banned)
    if seen is not None:
        penalize(weights, seen, config.repetition_penalty)
    largest = weights.max(axis=1, keepdims=True)
    if largest.min() == -np.inf:
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
        np.copyto(weights, -np.inf, where=np.exp(weights) < config.min_p * (1 - ROUNDING))
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
    dropped = weights < smallest
    if weights.size - np.count_nonzero(dropped) > k * len(weights):  # more are tied than fit
        tied = weights == smallest
        places = k - np.count_nonzero(weights > smallest, axis=1, keepdims=True)
        dropped |= tied & (np.cumsum(tied, axis=1) > places)
    np.copyto(weights, -np.inf, where=dropped)


def keep_top_p(weights: Weights, p: float) -> None:
    """Drop, in place, all but the smallest set of the likeliest of each row that reaches `p`.

    Holtzman et al. (2020), The curious case of neural text degeneration.
    """
    targets = np.exp(weights).sum(axis=1, keepdims=True) * (p - ROUNDING)
    if weights.shape[1] <= HEAD:
        _keep_first(weights, targets)
        return
    for row, target in zip(weights, targets, strict=True):
        head = np.flatnonzero(row >= np.partition(row, -HEAD)[-HEAD])
        if np.exp(row[head]).sum() < target:
            _keep_first(row[None], target[None])
            continue
        likeliest = row[None, head]
        _keep_first(likeliest, target[None])
        row[:] = -np.inf
        row[head] = likeliest


def _keep_first(weights: Weights, targets: Weights) -> None:
    """Drop, in place, what comes after the likeliest of each row add up to `targets` (B, 1)."""
    order = np.argsort(-weights, axis=1, kind="stable")
    sums = np.cumsum(np.exp(np.take_along_axis(weights, order, axis=1)), axis=1)
    sizes = 1 + np.count_nonzero(sums < targets, axis=1, keepdims=True)
    dropped = np.empty(weights.shape, np.bool_)
    np.put_along_axis(dropped, order, np.arange(weights.shape[1]) >= sizes, axis=1)
    np.copyto(weights, -np.inf, where=dropped)
