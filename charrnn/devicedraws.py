"""Logits and uniform numbers -> the next tokens, on the device that holds both.

What filters.py and drawing.py do in NumPy, in the same order and in float64, but for rounding, as
operations of torch that a CUDA graph can hold: no shape depends on a value, and the host is told
nothing. Shapes: B samples, V symbols.
"""

from collections.abc import Sequence
from copy import copy

import torch
from torch import Tensor

from charrnn.config import REPETITION_WINDOW, SampleConfig
from charrnn.drawing import banned_ids
from charrnn.errors import ConfigError
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
        """`history` is what all samples begin with, as the penalty sees it.

        Raises ConfigError where there is no symbol that may be drawn.
        """
        self._config, self._vocab_size = config, len(tokenizer)
        banned = banned_ids(tokenizer)
        self._banned = torch.zeros(len(tokenizer), dtype=torch.bool, device=device)
        self._banned[banned] = True
        if len(banned) == len(tokenizer):
            raise ConfigError("every symbol of the vocabulary is banned: nothing can be drawn")
        window = [len(tokenizer)] * REPETITION_WINDOW + list(history)
        self.recent = torch.tensor(window[-REPETITION_WINDOW:], device=device)
        self.recent = self.recent.repeat(batch_size, 1)

    def draw(self, logits: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Return (B,) tokens and their ln p, from `logits` (B, >= V) and `numbers` (B,) of [0, 1).

        ln p is at temperature 1, nothing filtered; NaN where logits are not finite. `recent` is
        written.
        """
        logits = logits[:, : self._vocab_size].double()
        weights = self._allowed(logits)
        largest = weights.amax(dim=1, keepdim=True)
        if self._config.temperature:
            tokens = _drawn_by(self._filter(weights - largest), numbers)
        else:
            tokens = weights.argmax(dim=1)
        if self._config.repetition_penalty != 1:
            self.recent.copy_(torch.cat([self.recent[:, 1:], tokens[:, None]], dim=1))
        logprobs = logits.gather(1, tokens[:, None])[:, 0] - logits.logsumexp(dim=1)
        is_finite = logits.amax(dim=1).isfinite() & largest[:, 0].isfinite()
        return tokens, logprobs.where(is_finite, torch.nan)

    def keep(self, rows: Sequence[int]) -> "DeviceDraws":
        """Return what draws these of the samples."""
        kept = copy(self)
        kept.recent = self.recent[list(rows)]
        return kept

    def _allowed(self, logits: Tensor) -> Tensor:
        """Return `logits` with those of banned symbols -inf, and others penalized."""
        weights = logits.masked_fill(self._banned, -torch.inf)
        penalty = max(self._config.repetition_penalty, PENALTY_MIN)
        if penalty == 1:
            return weights
        penalized = torch.where(weights > 0, weights / penalty, weights * penalty)
        return torch.where(self._seen(), penalized, weights)

    def _filter(self, weights: Tensor) -> Tensor:
        """Return log weights (B, V) at the temperature, dropped ones -inf, of rows of largest 0."""
        config = self._config
        weights = weights / max(config.temperature, TEMPERATURE_MIN)
        if 0 < config.top_k < self._vocab_size or config.top_p < 1:
            weights = keep_head(weights, config.top_k, config.top_p)
        if config.min_p > 0:
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
        sums = summed(values.exp())
        sizes = 1 + (sums < sums[:, -1:] * (top_p - ROUNDING)).sum(dim=1, keepdim=True)
        values = values.masked_fill(rank >= sizes, -torch.inf)
    return torch.empty_like(weights).scatter_(1, order, values)


def summed(shares: Tensor) -> Tensor:
    """Return the sums of (B, V) up to each column; of one row made in the order of one of two."""
    return shares.expand(max(2, len(shares)), -1).cumsum(dim=1)[: len(shares)]


def _drawn_by(weights: Tensor, numbers: Tensor) -> Tensor:
    """Return a token (B,) for each row of log weights (B, V) and each uniform number (B,).

    Sums that are made in parallel may go down by a rounding: what has no weight is never drawn.
    """
    shares = weights.exp()
    sums = summed(shares)
    tokens = (sums <= sums[:, -1:] * numbers[:, None]).sum(dim=1, keepdim=True)
    tokens.clamp_(max=weights.shape[1] - 1)
    likeliest = shares.argmax(dim=1, keepdim=True)
    return torch.where(shares.gather(1, tokens) > 0, tokens, likeliest)[:, 0]
