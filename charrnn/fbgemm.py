"""Products of one float32 row with weights of half the size, float16, summed in float32.

One stream is bound by reading its weights, so half the bytes are nearly twice the speed, and 11
bits of a weight are enough. The operators are torch's own, which may leave it some day, so they are
tried before they are used. They run on the calling thread.
"""

import warnings
from functools import cache

import torch
from torch import Tensor

WEIGHT_LIMIT = 2.0**15  # float16 ends at 65,504


@cache
def is_possible() -> bool:
    """Return whether this CPU, and this torch, can make such products: one is tried."""
    rows, weights = torch.ones(1, 3), torch.full((2, 3), 0.5)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that they are deprecated, said at the first call
            found = product(rows, lay_out(weights), torch.ones(2))
    except (RuntimeError, AttributeError, TypeError, ValueError, NotImplementedError):
        return False
    return found.tolist() == [[2.5, 2.5]]


def is_in_range(weights: Tensor) -> bool:
    """Return whether float16 has all `weights`, but for rounding."""
    return bool((weights.abs() < WEIGHT_LIMIT).all())


def lay_out(weights: Tensor) -> Tensor:
    """Return `weights` (N, K), float32, as float16, laid out for `product`."""
    laid: Tensor = torch.fbgemm_pack_gemm_matrix_fp16(weights)
    return laid


def product(rows: Tensor, laid: Tensor, bias: Tensor) -> Tensor:
    """Return `rows` (B, K) times the transposed weights (N, K) of `lay_out`, plus `bias` (N,)."""
    found: Tensor = torch.fbgemm_linear_fp16_weight_fp32_activation(rows, laid, bias)
    return found
