"""Products in bfloat16 with weights that are laid out once, not at every call.

A product of few rows spends a third of its time on bringing the weights into the order that the
processor's units want. The operators are torch's own for inference; they are not part of its
documented interface, so they are tried before they are used.
"""

from functools import cache

import torch
from torch import Tensor

from charrnn.machine import cpu_multiplies_bf16


@cache
def is_possible() -> bool:
    """Return whether this CPU, and this torch, can make such products: two are tried."""
    if not cpu_multiplies_bf16():
        return False
    ones = torch.ones(2, 16, dtype=torch.bfloat16)
    try:
        laid = lay_out(ones, len(ones))
        found = product(ones, laid, ones[0, :2]) + product_and_sum(ones, laid, ones[:, :2])
    except (RuntimeError, AttributeError, TypeError, ValueError, NotImplementedError):
        return False  # another signature, or none
    return found.tolist() == [[34.0, 34.0]] * 2


def lay_out(weights: Tensor, num_rows: int) -> Tensor:
    """Return `weights` (N, K), bfloat16, laid out for products with `num_rows` rows of K."""
    laid: Tensor = torch.ops.mkldnn._reorder_linear_weight(weights, num_rows)
    return laid


def product(rows: Tensor, laid: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return `rows` (B, K) times the transposed weights (N, K) of `lay_out`, plus `bias` (N,).

    All are bfloat16, as is the result (B, N).
    """
    found: Tensor = torch.ops.mkldnn._linear_pointwise(rows, laid, bias, "none", [], "")
    return found


def product_and_sum(rows: Tensor, laid: Tensor, summand: Tensor) -> Tensor:
    """Return what `product` does, plus `summand` (B, N)."""
    found: Tensor = torch.ops.mkldnn._linear_pointwise(rows, summand, laid, None, "add")
    return found
