"""Products in 8-bit integers: weights with a scale for each column, inputs of a known range.

They are twice as quick as those in bfloat16, their sums are exact, and the results float32. What is
lost is a rounding of the inputs to 255 values, and of the weights to 255 of each column; a matrix
that loses too much by it is refused. What trained networks lose is in tests/bench/LOG.md. The
operators are torch's own for quantized inference; they are not part of its documented interface, so
they are tried before they are used.
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
# What rounding may add to a sum, were all inputs as large as can be: root mean square over the
# columns, and the most in one. Trained networks have 0.01 to 0.02 and 0.03 to 0.07; up to these
# limits, reached with fewer bits, their held-out loss changed by less than 0.001.
ROUNDING = 0.025
ROUNDING_MOST = 0.1


@cache
def is_possible() -> bool:
    """Return whether this CPU, and this torch, can make such products: one is tried.

    Without VNNI or AMX pairs of products would be cut off at 16 bits.
    """
    if not getattr(torch.cpu, "_is_vnni_supported", bool)():
        return False
    numbers = np.arange(3 * 67)
    rows = (37 * numbers % 256).astype(np.uint8).reshape(3, 67)
    rows[0] = 255  # with the largest weights: more than 16 bits
    matrix = np.sin(np.arange(67 * 5, dtype=np.float32)).reshape(67, 5)
    matrix[:, 0] = 1
    try:
        laid = lay_out(matrix, 0.01, 3)
        if laid is None:
            return False
        found = product(torch.from_numpy(rows), 0.1, laid, torch.ones(5)).numpy()
    except (RuntimeError, AttributeError, TypeError, ValueError, NotImplementedError):
        return False  # another signature, or none
    scales = np.abs(matrix).max(axis=0) / LARGEST
    wanted = (rows - float(ZERO)) * 0.1 @ (np.round(matrix / scales) * scales) + 1
    return np.allclose(found, wanted, rtol=1e-4, atol=1e-3)


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
    lost = rounded.mul_(scales).sub_(weights).square_().sum(dim=0)
    lost += weights.square().sum(dim=0) / (12 * LARGEST**2)  # by the rounding of the inputs
    mean, most = (math.sqrt(value.item()) * bound for value in (lost.mean(), lost.max()))
    if not (mean <= ROUNDING and most <= ROUNDING_MOST):  # NaN is not
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
