"""The loss of a text under a model: one evaluator for training and for scoring.

A text is cut into parallel rows. Each row but the first is warmed up on the tokens before its
part, which are read but not counted, so that every token is scored once:

    row 0   [------- scored --------]
    row 1              [burn-in][---- scored ----]
    row 2                               [burn-in][---- scored ----]

Weights are used in float32 as they are, dropout is off, logits are never kept for a whole text.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from charrnn.batches import IGNORED, DocumentBatches, Ids
from charrnn.model import LanguageModel

BURN_IN = 1024  # tokens a row reads before the first one it scores
QUICK_BURN_IN = 256  # the same, for evaluations in mid-training
MAX_ROWS = 128
WINDOW_FLOATS = {"cpu": 1 << 22, "cuda": 1 << 26}  # held at a time: T * B * V of logits, T * B * H


@dataclass(frozen=True)
class Evaluation:
    """Exact sums over a text, so that means in any unit are exact."""

    nats: float  # total negative log-likelihood of the targets
    num_tokens: int  # targets
    num_chars: int  # code points in the targets
    num_bytes: int = 0  # UTF-8 bytes in the targets
    num_unknown: int = 0  # symbols the vocabulary lacks: skipped, in no other number

    @property
    def loss(self) -> float:
        """Nats per token: what training minimizes."""
        return self.nats / self.num_tokens

    @property
    def perplexity(self) -> float:
        """Return exp(nats per token); infinite where that overflows.

        1 is certainty, the vocabulary size a blind guess. Comparable only under one vocabulary.
        """
        try:
            return math.exp(self.loss)
        except OverflowError:
            return math.inf

    @property
    def bits_per_char(self) -> float:
        """Bits per code point: comparable between char and word models of the same text."""
        return self.nats / math.log(2) / self.num_chars if self.num_chars else math.nan

    @property
    def bits_per_byte(self) -> float:
        """Bits per UTF-8 byte: comparable between all models of the same text."""
        return self.nats / math.log(2) / self.num_bytes if self.num_bytes else math.nan


class Block(NamedTuple):
    """Some targets of a text with the logits that predict them."""

    positions: NDArray[np.int64]  # (T, B) index of each target in the ids
    targets: Tensor  # (T, B), IGNORED where the row scores nothing
    logits: Tensor  # (T, B, V) float32


def window_length(num_rows: int, size: int, model: LanguageModel) -> int:
    """Return how many tokens of each row to run at a time, where each makes `size` numbers."""
    most = WINDOW_FLOATS.get(model.output.bias.device.type, WINDOW_FLOATS["cpu"])
    return max(1, min(512, most // (num_rows * size)))


def output_blocks(
    model: LanguageModel, hidden: Tensor, positions: NDArray[np.int64], targets: Tensor
) -> Iterator[Block]:
    """Yield the logits of the layers' output `hidden` (T, B, H), some tokens at a time."""
    length = window_length(hidden.shape[1], model.config.vocab_size, model)
    for begin in range(0, len(hidden), length):
        part = slice(begin, begin + length)
        yield Block(positions[part], targets[part], model.output(hidden[part]).float())


def stream_blocks(model: LanguageModel, ids: Ids, num_rows: int, burn_in: int) -> Iterator[Block]:
    """Yield blocks that score each token of `ids` but the first once, on parallel rows."""
    num_targets = len(ids) - 1
    num_rows = max(1, min(num_rows, (num_targets - burn_in) // max(1, burn_in)))
    if num_rows == 1:
        burn_in = 0
    part = -(-(num_targets - burn_in) // num_rows)  # targets that one row scores
    starts = np.arange(num_rows, dtype=np.int64) * part  # the first token that each row reads
    length = window_length(num_rows, 4 * model.config.hidden_size, model)
    device, state = model.output.bias.device, None
    for begin in range(0, burn_in + part, length):
        steps = np.arange(begin, min(begin + length, burn_in + part))[:, None]
        index = starts + steps  # (T, B)
        scored = (index < num_targets) & ((steps >= burn_in) | (starts == 0))
        index = np.minimum(index, num_targets - 1)
        targets = np.where(scored, ids[index + 1].astype(np.int64), IGNORED)
        tokens = torch.from_numpy(ids[index].astype(np.int64)).to(device)
        hidden, state = model.run_layers(tokens, state)
        yield from output_blocks(model, hidden, index + 1, torch.from_numpy(targets).to(device))


def document_blocks(model: LanguageModel, ids: Ids, bos_id: int, num_rows: int) -> Iterator[Block]:
    """Yield blocks that score each document of `ids` from its `<s>`, each from a zero state."""
    length = window_length(num_rows, 4 * model.config.hidden_size, model)
    batches = DocumentBatches(ids, bos_id, num_rows, length, seed=0)
    device, state = model.output.bias.device, model.recurrent.zero_state(num_rows)
    while True:
        window, positions = batches.next_with_positions()
        if batches.pass_index:
            return
        if window.keep is not None:
            kept = torch.from_numpy(window.keep).to(device)
            state = tuple(part * kept[:, None] for part in state)
        hidden, state = model.run_layers(torch.from_numpy(window.inputs).to(device), state)
        targets = torch.from_numpy(window.targets).to(device)
        yield from output_blocks(model, hidden, positions + 1, targets)


@torch.no_grad()
def score_blocks(
    model: LanguageModel,
    ids: Ids,
    bos_id: int | None = None,
    *,
    exact: bool = False,
    burn_in: int = BURN_IN,
) -> Iterator[Block]:
    """Yield blocks of logits that together score `ids`, in eval mode, in float32.

    With `bos_id`, `ids` are documents; else one text, whose first token has no prediction. `exact`
    makes one single pass over it. The model's mode is put back at the end.
    """
    training = model.training
    model.eval()
    try:
        if bos_id is None:
            yield from stream_blocks(model, ids, 1 if exact else MAX_ROWS, burn_in)
        else:
            num_documents = int(np.count_nonzero(ids == bos_id))
            yield from document_blocks(model, ids, bos_id, min(MAX_ROWS, max(1, num_documents)))
    finally:
        model.train(training)


def block_nats(block: Block) -> Tensor:
    """Return -ln p of each target, (T, B) float32; 0 where there is none."""
    flat = cross_entropy(
        block.logits.flatten(0, 1), block.targets.flatten(), reduction="none", ignore_index=IGNORED
    )
    return flat.view(block.targets.shape)


class StoppedError(Exception):
    """The evaluation was asked to stop before its end."""


def evaluate(
    model: LanguageModel,
    ids: Ids,
    token_sizes: tuple[NDArray[np.int64], NDArray[np.int64]],
    bos_id: int | None = None,
    *,
    exact: bool = False,
    burn_in: int = BURN_IN,
    num_unknown: int = 0,
    stop: Callable[[], bool] | None = None,
) -> Evaluation:
    """Return the sums over `ids` (at least two tokens).

    `token_sizes` are the code points and the bytes of each symbol, each (V,). Agrees with a single
    pass (`exact`) within 1e-4 nats per token. Raises StoppedError as soon as `stop()` says so.
    """
    nats, counts = 0.0, np.zeros(model.config.vocab_size, dtype=np.int64)
    for block in score_blocks(model, ids, bos_id, exact=exact, burn_in=burn_in):
        if stop is not None and stop():
            raise StoppedError
        nats += float(block_nats(block).sum(dtype=torch.float64))
        targets = block.targets.cpu().numpy()
        counts += np.bincount(targets[targets != IGNORED], minlength=len(counts))
    chars, num_bytes = (int(counts @ size) for size in token_sizes)
    return Evaluation(nats, int(counts.sum()), chars, num_bytes, num_unknown)


def surprisals(
    model: LanguageModel, ids: Ids, bos_id: int | None = None, *, exact: bool = False
) -> NDArray[np.float64]:
    """Return -ln p(x_t | x_<t) for each token, (N,), in nats; nan where there is no prediction."""
    result = np.full(len(ids), np.nan)
    for block in score_blocks(model, ids, bos_id, exact=exact):
        real = (block.targets != IGNORED).cpu().numpy()
        result[block.positions[real]] = block_nats(block).double().cpu().numpy()[real]
    return result
