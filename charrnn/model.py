"""The network: embedding -> recurrent layers -> linear.

Shapes: T tokens, B streams, V vocabulary, E embedding, H hidden, L layers.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import embedding

from charrnn.cells import Recurrent, State, initialize
from charrnn.config import ModelConfig


@dataclass(frozen=True)
class Dropouts:
    """Shares that are zeroed while training; the rest is scaled up by 1 / (1 - share)."""

    inputs: float = 0.0  # of the embedding's output
    hidden: float = 0.0  # of each layer's output, the last one's too (Zaremba et al. 2014)
    weights: float = 0.0  # of the recurrent matrices, per window (DropConnect; Merity et al. 2018)


class ZeroEmbedding(nn.Embedding):
    """An embedding of zeros: no random number is drawn for weights that are set anyway."""

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.weight)


class ZeroLinear(nn.Linear):
    """A linear layer of zeros."""

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)


class LanguageModel(nn.Module):
    """Predicts each next token from all the tokens before it."""

    def __init__(self, config: ModelConfig, dropouts: Dropouts | None = None) -> None:
        """Build the network with zero weights; `reset` or `load_weights` sets them."""
        super().__init__()
        self.config, self.dropouts = config, dropouts or Dropouts()
        self.generator: torch.Generator | None = None  # of dropout; None: torch's own
        self.by_row = False  # whether the gradients of symbols' rows are sparse
        if config.embedding_size:
            size = (config.vocab_size, config.embedding_size)
            self.embedding = ZeroEmbedding(*size)
        self.recurrent = Recurrent(config)
        sizes = (config.hidden_size, config.vocab_size)
        self.output = ZeroLinear(*sizes)
        if config.tie_weights:
            self.output.weight = self.embedding.weight

    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Return logits (T, B, V) and the state after the last token.

        `tokens` is (T, B); `state` is the one returned for the tokens just before them, or None at
        the start of a text.
        """
        hidden, state = self.run_layers(tokens, state)
        return self.output(hidden), state

    def run_layers(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Return what the output layer sees, (T, B, H), and the state after the last token."""
        if state is None:
            state = self.recurrent.zero_state(tokens.shape[1])
        embedded = self._drop(self.embed(tokens), self.dropouts.inputs)  # (T, B, E)
        drops = self.training
        hidden, state = self.recurrent(
            embedded,
            state,
            between=(lambda x: self._drop(x, self.dropouts.hidden)) if drops else None,
            drop_weights=(lambda w: self._drop(w, self.dropouts.weights)) if drops else None,
        )
        return self._drop(hidden, self.dropouts.hidden), state

    def embed(self, tokens: Tensor) -> Tensor:
        """Return the input vectors of `tokens` (T, B): embedded (T, B, E), or one-hot (T, B, V)."""
        if self.config.embedding_size:
            return embedding(tokens, self.embedding.weight, sparse=self.by_row)
        one_hot = nn.functional.one_hot(tokens, self.config.vocab_size)
        return one_hot.to(self.output.weight.dtype)

    def symbol_matrices(self) -> list[Tensor]:
        """Return the matrices with a row for each symbol, (V, E) and (V, H); tied ones are one."""
        read = [self.embedding.weight] if self.config.embedding_size else []
        return read if self.config.tie_weights else [*read, self.output.weight]

    def _drop(self, values: Tensor, share: float) -> Tensor:
        if not (self.training and share):
            return values
        return values * dropout_mask(values.shape, share, values, self.generator)

    @torch.no_grad()
    def reset(self, seed: int) -> None:
        """Set all weights anew, from `seed` alone: on any device to the same values."""
        if self.output.bias.device.type != "cpu":
            fresh = LanguageModel(self.config)
            fresh.reset(seed)
            for own, weights in zip(self.parameters(), fresh.parameters(), strict=True):
                own.copy_(weights)
            return
        generator = torch.Generator().manual_seed(seed)
        initialize(self.recurrent, generator)
        bound = self.config.hidden_size**-0.5
        if self.config.embedding_size and not self.config.tie_weights:
            self.embedding.weight.normal_(generator=generator)
        self.output.weight.uniform_(-bound, bound, generator=generator)
        self.output.bias.zero_()

    @torch.no_grad()
    def load_weights(self, weights: Mapping[str, NDArray[np.generic]]) -> None:
        """Copy `weights`, by the names of the model file, into the parameters."""
        for name, parameter in self.named_parameters():
            parameter.copy_(torch.from_numpy(np.array(weights[name])))

    def to_weights(self) -> dict[str, NDArray[np.float32]]:
        """Return a copy of the parameters by the names of the model file."""
        return {
            name: parameter.detach().float().cpu().numpy().copy()
            for name, parameter in self.named_parameters()
        }


def dropout_mask(
    shape: torch.Size, share: float, like: Tensor, generator: torch.Generator | None
) -> Tensor:
    """Return a mask of zeros and 1 / (1 - share), of `like`'s type and device.

    On a CPU each number costs one random byte, not one random float, so `share` is rounded to a
    multiple of 1/256 and the scale with it: the expectation stays exactly one.
    """
    if like.device.type != "cpu":
        kept = torch.empty(shape, device=like.device).bernoulli_(1 - share, generator=generator)
        return kept.to(like.dtype).div_(1 - share)
    level = min(255, max(1, round(256 * share)))
    words = torch.empty(-(-shape.numel() // 8), dtype=torch.int64)
    words.random_(-(2**63), None, generator=generator)
    kept = (words.view(torch.uint8)[: shape.numel()] >= level).view(shape)
    return kept.to(like.dtype).mul_(256 / (256 - level))


def detach(state: State) -> State:
    """Cut `state` off its history: this is what truncates the back-propagation."""
    return tuple(part.detach() for part in state)


def num_parameters(model: LanguageModel) -> int:
    """Return how many numbers are trained; tied ones count once."""
    return sum(parameter.numel() for parameter in model.parameters())
