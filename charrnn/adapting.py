"""Dynamic evaluation: the loss of a text under a model that goes on learning while it reads it.

Krause et al. (2018), Dynamic evaluation of neural sequence models: the text is read once, window by
window; each is scored first, and only then one step of gradient descent is made on it, divided by
the root mean square of the gradients so far, and a step back towards the weights as they were
trained. So no symbol is scored by weights that have seen it. Not comparable with a static loss.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from charrnn.batches import Ids
from charrnn.model import LanguageModel, detach


@dataclass(frozen=True)
class Adaptation:
    """How fast the weights follow the text; found by experiment (tests/bench/LOG.md)."""

    rate: float = 8e-4  # of a step, for a gradient of usual size; 0: the weights stay
    decay: float = 3e-3  # share of the way back to the trained weights, per step
    window: int = 32  # tokens between steps
    memory: float = 0.999  # of the running mean of squared gradients


class Span(NamedTuple):
    """Some tokens that are read in one go: `begin` to `end` (exclusive) are inputs."""

    begin: int
    end: int
    fresh: bool  # whether the state is zero before it


def adapted_nats(
    model: LanguageModel, ids: Ids, bos_id: int | None, how: Adaptation | None = None
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Yield, for each window, the positions of its targets and their -ln p, both (T,).

    Scores each token but the first, or with `bos_id` each document from its `<s>`. Changes the
    weights of `model`: load them anew afterwards.
    """
    how = how or Adaptation()
    model.eval()
    parameters = list(model.parameters())
    trained = [parameter.detach().clone() for parameter in parameters]
    squares = [torch.zeros_like(parameter) for parameter in parameters]
    device, state, step = model.output.bias.device, None, 0
    for span in spans(ids, bos_id, how.window):
        tokens = torch.from_numpy(np.asarray(ids[span.begin : span.end + 1], np.int64)).to(device)
        logits, state = model(tokens[:-1, None], None if span.fresh else state)
        state = detach(state)
        nats = torch.nn.functional.cross_entropy(logits[:, 0].float(), tokens[1:], reduction="none")
        yield np.arange(span.begin + 1, span.end + 1), nats.detach().double().cpu().numpy()
        if how.rate:
            step += 1
            gradients = torch.autograd.grad(nats.mean(), parameters)
            follow(parameters, gradients, squares, trained, how, step)


@torch.no_grad()
def follow(
    parameters: list[torch.nn.Parameter],
    gradients: tuple[torch.Tensor, ...],
    squares: list[torch.Tensor],
    trained: list[torch.Tensor],
    how: Adaptation,
    step: int,
) -> None:
    """Move the `parameters` in place: down the gradient, and back towards the `trained` ones.

    `squares` are the running means of squared gradients, still biased towards their start at zero,
    of which `step` (from 1 on) tells how much.
    """
    unbias = math.sqrt(1 - how.memory**step)
    for parameter, gradient, square, origin in zip(
        parameters, gradients, squares, trained, strict=True
    ):
        square.mul_(how.memory).addcmul_(gradient, gradient, value=1 - how.memory)
        usual = square.sqrt().div_(unbias).add_(1e-8)
        parameter.addcdiv_(gradient, usual, value=-how.rate)
        parameter.lerp_(origin, how.decay)


def spans(ids: Ids, bos_id: int | None, length: int) -> Iterator[Span]:
    """Yield spans of at most `length` inputs that score a text, or each of its documents."""
    borders = [0, len(ids)]
    if bos_id is not None:
        borders = [*np.flatnonzero(np.asarray(ids) == bos_id).tolist(), len(ids)]
    for start, stop in pairwise(borders):
        for begin in range(start, stop - 1, length):
            yield Span(begin, min(begin + length, stop - 1), begin == start)
