"""Products in 8-bit integers: weights with a scale for each column, inputs of a known range.

They are twice as quick as those in bfloat16, their sums are exact, and the results float32. What is
lost is a rounding of the inputs to 255 values, and of the weights to 255 of each column: of a
trained network about what bfloat16 loses (LOG.md in tests/bench). A matrix of which more would be
lost is refused. The operators are torch's own for quantized inference; they are not part of its
documented interface, so they are tried before they are used.
"""

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from charrnn.packing import Array

LARGEST = 127
ZERO = 128  # what stands for 0 in inputs, which are unsigned
SMALLEST = 1e-30  # of the largest weights: a column may be all zeros
# what rounding may add to a sum, root mean square over the columns, were all inputs as large as can
# be: 0.01 to 0.02 in trained networks; surprisals change by as much, their mean by half its square
ROUNDING = 0.04


@cache
def is_possible() -> bool:
    """Return whether this CPU, and this torch, can make such products: one is tried.

    Without VNNI or AMX pairs of products would be cut off at 16 bits.
    """
    if not getattr(torch.cpu, "_is_vnni_supported", bool)():
        return False
    matrix = np.full((70, 2), [0.5, 64], np.float32)
    try:
        laid = lay_out(matrix, 0.1, 3)
        if laid is None:
            return False
        found = product(torch.full((3, 70), 255, dtype=torch.uint8), 0.1, laid, torch.ones(2))
    except (RuntimeError, AttributeError, TypeError, ValueError, NotImplementedError):
        return False  # another signature, or none
    return np.allclose(found, matrix.sum(axis=0) * 12.7 + 1, rtol=1e-5)


@dataclass(frozen=True)
class Laid:
    """A matrix (K, N) for `product`, and what its integers stand for."""

    weights: Tensor
    scales: Tensor  # (N,): what a 1 stands for
    zeros: Tensor  # (N,): what stands for 0, which is 0


def lay_out(matrix: Array, bound: float, num_rows: int) -> Laid | None:
    """Return `matrix` (K, N), float32, rounded, laid out for `num_rows` inputs (K,) within `bound`.

    None where the rounding would be felt, or not all are finite.
    """
    weights = torch.from_numpy(np.ascontiguousarray(matrix))
    scales = weights.abs().amax(dim=0).clamp_min(SMALLEST) / LARGEST
    rounded = (weights / scales).round_()
    columns = rounded.to(torch.int8).t().contiguous()  # other strides would be mistaken
    squares = rounded.mul_(scales).sub_(weights).square_().sum().item() / len(scales)
    if not math.sqrt(squares) * bound <= ROUNDING:  # NaN is not
        return None
    laid = torch.ops.onednn.qlinear_prepack(columns, [num_rows, len(matrix)])
    return Laid(laid, scales, torch.zeros(len(scales), dtype=torch.int32))


def product(rows: Tensor, unit: float, laid: Laid, bias: Tensor) -> Tensor:
    """Return `rows` (B, K) times the matrix, plus `bias` (N,): (B, N), float32.

    The rows are unsigned: ZERO stands for 0, a step for `unit`.
    """
    options: tuple[Any, ...] = (bias, 1.0, 0, torch.float32, "none", [], "")
    weights = laid.weights, laid.scales, laid.zeros
    found: Tensor = torch.ops.onednn.qlinear_pointwise(rows, unit, ZERO, *weights, *options)
    return found
