"""Logits and uniform numbers -> the next tokens, on the device that holds both.

What filters.py and drawing.py do in NumPy, in the same order and in float64, as operations of torch
that a CUDA graph can hold: no shape depends on a value, and the host is told nothing. Shapes: B
samples, V symbols.
"""

from collections.abc import Sequence
from copy import copy

import torch
from torch import Tensor

from charrnn.config import REPETITION_WINDOW, SampleConfig
from charrnn.filters import PENALTY_MIN, ROUNDING, TEMPERATURE_MIN
from charrnn.tokenizer import Tokenizer


class DeviceDraws:
    """Draws tokens of B samples; `recent` (B, 64) is what the repetition penalty looks back on."""

    def __init__(
        self,
        config: SampleConfig,
        tokenizer: Tokenizer,
        history: Sequence[int],
        batch_size: int,
        device: torch.device,
    ) -> None:
        """`history` is what all samples begin with, as the penalty sees it."""
        self._config, self._vocab_size = config, len(tokenizer)
        banned = [i for i in (tokenizer.unk_id, tokenizer.bos_id) if i is not None]
        self._banned = torch.zeros(len(tokenizer), dtype=torch.bool, device=device)
        self._banned[banned] = True
        window = [len(tokenizer)] * REPETITION_WINDOW + list(history)
        self.recent = torch.tensor(window[-REPETITION_WINDOW:], device=device)
        self.recent = self.recent.repeat(batch_size, 1)
        self.all_finite = torch.ones((), dtype=torch.bool, device=device)  # logits, up to now

    def draw(self, logits: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Return (B,) tokens and their ln p, from `logits` (B, >= V) and `numbers` (B,) of [0, 1).

        ln p is at temperature 1, nothing filtered. `recent` and `all_finite` are written.
        """
        logits = logits[:, : self._vocab_size].double()
        self.all_finite.logical_and_(logits.amax(dim=1).isfinite().all())
        weights = self._filter(logits)
        sums = weights.exp().cumsum(dim=1)
        tokens = (sums <= sums[:, -1:] * numbers[:, None]).sum(dim=1)
        tokens.clamp_(max=self._vocab_size - 1)  # what was not finite is told of later
        if self._config.repetition_penalty != 1:
            self.recent.copy_(torch.cat([self.recent[:, 1:], tokens[:, None]], dim=1))
        return tokens, logits.log_softmax(dim=1).gather(1, tokens[:, None])[:, 0]

    def keep(self, rows: Sequence[int]) -> "DeviceDraws":
        """Return what draws these of the samples."""
        kept = copy(self)
        kept.recent = self.recent[list(rows)]
        return kept

    def _filter(self, logits: Tensor) -> Tensor:
        """Return log weights (B, V): the likeliest's is 0, a dropped one's -inf."""
        config = self._config
        weights = logits.masked_fill(self._banned, -torch.inf)
        if config.repetition_penalty != 1:
            weights = torch.where(self._seen(), _penalized(weights, config), weights)
        weights = weights - weights.amax(dim=1, keepdim=True)
        if config.temperature:
            weights = weights / max(config.temperature, TEMPERATURE_MIN)
        top_k = config.top_k if config.temperature else 1
        top_p = config.top_p if config.temperature else 1.0
        if 0 < top_k < self._vocab_size or top_p < 1:
            weights = keep_head(weights, top_k, top_p)
        if config.min_p > 0 and config.temperature:
            unlikely = weights.exp() < config.min_p * (1 - ROUNDING)
            weights = weights.masked_fill(unlikely, -torch.inf)
        return weights

    def _seen(self) -> Tensor:
        """Return (B, V), true where a token is among the recent ones."""
        shape = len(self.recent), self._vocab_size + 1
        seen = torch.zeros(shape, dtype=torch.bool, device=self.recent.device)
        return seen.scatter_(1, self.recent, True)[:, :-1]


def keep_head(weights: Tensor, top_k: int, top_p: float) -> Tensor:
    """Return `weights` (B, V) with all but the likeliest dropped, ties going to the lower id.

    The `top_k` likeliest are kept (0: all), and of them as many as reach `top_p` of their sum.
    """
    values, order = weights.sort(dim=1, descending=True, stable=True)
    rank = torch.arange(weights.shape[1], device=weights.device)
    if top_k:
        values = values.masked_fill(rank >= top_k, -torch.inf)
    if top_p < 1:
        sums = values.exp().cumsum(dim=1)
        sizes = 1 + (sums < sums[:, -1:] * (top_p - ROUNDING)).sum(dim=1, keepdim=True)
        values = values.masked_fill(rank >= sizes, -torch.inf)
    return torch.empty_like(weights).scatter_(1, order, values)


def _penalized(weights: Tensor, config: SampleConfig) -> Tensor:
    penalty = max(config.repetition_penalty, PENALTY_MIN)
    return torch.where(weights > 0, weights / penalty, weights * penalty)
