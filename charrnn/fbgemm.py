"""Products of one float32 row with weights of half the size, float16, summed in float32.

One stream is bound by reading its weights, so half the bytes are nearly twice the speed, and 11
bits of a weight are enough. The operators are torch's own, which may leave it some day, so they are
tried before they are used. They run on the calling thread.
"""

import warnings
from functools import cache

import numpy as np
import torch
from torch import Tensor

from charrnn.packing import Array


@cache
def is_possible() -> bool:
    """Return whether this CPU, and this torch, can make such products: one is tried."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that they are deprecated, said at the first call
            found = product(torch.ones(1, 3), lay_out(np.full((3, 2), 0.5, np.float32)))
    except (RuntimeError, AttributeError, TypeError, ValueError, NotImplementedError):
        return False
    return found.tolist() == [[1.5, 1.5]]


def lay_out(matrix: Array) -> Tensor:
    """Return `matrix` (K, N), float32, as float16, laid out for `product`.

    Raises MemoryError where there is no room: torch itself would not ask.
    """
    transposed = np.ascontiguousarray(matrix.T)
    np.empty(2 * matrix.size, np.float16)
    laid: Tensor = torch.fbgemm_pack_gemm_matrix_fp16(torch.from_numpy(transposed))
    return laid


def product(rows: Tensor, laid: Tensor) -> Tensor:
    """Return `rows` (B, K) times the matrix of `lay_out`: (B, N), float32."""
    found: Tensor = torch.fbgemm_linear_fp16_weight_fp32_activation(rows, laid, None)
    return found
