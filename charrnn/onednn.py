"""Products in bfloat16 with weights that are laid out once, not at every call.

A product of few rows spends a third of its time on bringing the weights into the order that the
processor's units want. The operators are torch's own for inference; they are not part of its
documented interface, so each is asked for before it is used.
"""

from functools import cache

import torch
from torch import Tensor

from charrnn.machine import cpu_multiplies_bf16

NEEDED = ("_reorder_linear_weight", "_linear_pointwise")


@cache
def is_possible() -> bool:
    """Return whether this CPU, and this torch, can make such products."""
    here = cpu_multiplies_bf16() and bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]
    return here and all(hasattr(torch.ops.mkldnn, name) for name in NEEDED)


def lay_out(weights: Tensor, num_rows: int) -> Tensor:
    """Return `weights` (N, K), bfloat16, laid out for products with `num_rows` rows of K."""
    laid: Tensor = torch.ops.mkldnn._reorder_linear_weight(weights, num_rows)
    return laid


def product(rows: Tensor, laid: Tensor) -> Tensor:
    """Return `rows` (B, K) times the transposed weights (N, K) of `lay_out`: (B, N), bfloat16."""
    found: Tensor = torch.ops.mkldnn._linear_pointwise(rows, laid, None, "none", [], "")
    return found
