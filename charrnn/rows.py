"""Matrices of which a step touches few rows: their gradients, and an update of those rows alone.

Where a sample stands for a vocabulary of tens of thousands, a window needs a few thousand rows of
the matrices that have one for each symbol. A gradient of all of them, its norm and moments would be
most of a step's memory traffic; so it is a sparse tensor of torch, (V, K) with R rows.
"""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

BETA, EPSILON = 0.99, 1e-8
RATE = 2.0  # times that of the other weights
DECAY_STEPS = 8  # between two decays of all rows, each for as many steps
SETTLED = 10**6  # steps, after which the count goes round: float32 counts to 2^24

State = dict[str, Tensor]


def values_of(gradient: Tensor) -> Tensor:
    """Return the numbers of a gradient that may be other than 0, in its own memory."""
    return gradient.values() if gradient.is_sparse else gradient


def replace_sparse(parameters: Iterable[Tensor], change: Callable[[Tensor], Tensor]) -> None:
    """Give each parameter whose gradient is sparse what `change` makes of it."""
    for parameter in parameters:
        if parameter.grad is not None and parameter.grad.is_sparse:
            parameter.grad = change(parameter.grad)


def add_gradients(parts: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """Return the sums of at least two parts' gradients, each of a tensor of its own.

    Two biases may share one gradient in a part: the first sum makes a tensor for each.
    """
    dense = [[each for each in part if not each.is_sparse] for part in parts]
    sums = torch._foreach_add(dense[0], dense[1])
    for more in dense[2:]:
        torch._foreach_add_(sums, more)
    summed = iter(sums)
    return [
        add_rows(each) if each[0].is_sparse else next(summed) for each in zip(*parts, strict=True)
    ]


def add_rows(gradients: Sequence[Tensor]) -> Tensor:
    """Return the sum (V, K) of sparse gradients (V, K), each of its rows once and in order."""
    every = torch.cat([gradient._indices()[0] for gradient in gradients])
    rows, places = torch.unique(every, return_inverse=True)
    values = [gradient._values() for gradient in gradients]
    sums = values[0].new_zeros(len(rows), values[0].shape[1])
    for part, place in zip(values, places.split([len(part) for part in values]), strict=True):
        sums.index_add_(0, place, part)
    return sparse(rows, sums, gradients[0].shape)


def sparse(rows: Tensor, values: Tensor, shape: torch.Size) -> Tensor:
    """Return a gradient (V, K) of `rows` (R,), each once and in order, with `values` (R, K)."""
    return torch.sparse_coo_tensor(
        rows[None], values, shape, is_coalesced=True, check_invariants=False
    )


@torch.no_grad()
def update_rows(matrix: Tensor, state: State, rate: float, weight_decay: float) -> None:
    """Change the rows of `matrix` (V, K) that its gradient has, and their `state`, in place.

    RMSprop (Tieleman & Hinton 2012): without momentum a row moves only when it is touched, and the
    mean square of a rare row is that of its own gradients, however long ago. It is corrected by the
    count of all steps, as AdamW's, so that a row that is touched late begins with steps up to ten
    times as long: better than by its own count (tests/bench/LOG.md). All rows decay, every
    DECAY_STEPS steps.
    """
    gradient = matrix.grad
    assert gradient is not None
    rows, values = gradient.indices()[0], gradient.values()
    state["step"] += 1
    step = int(state["step"])
    squares = state["exp_avg_sq"].index_select(0, rows)
    squares.mul_(BETA).addcmul_(values, values, value=1 - BETA)
    state["exp_avg_sq"].index_copy_(0, rows, squares)
    scale = squares.mul_(1 / (1 - BETA**step)).sqrt_().add_(EPSILON)
    matrix.index_add_(0, rows, torch.div(values, scale, out=scale), alpha=-RATE * rate)
    if weight_decay and step % DECAY_STEPS == 0:
        matrix.mul_((1 - rate * weight_decay) ** DECAY_STEPS)
    if step >= SETTLED:
        state["step"] -= DECAY_STEPS
