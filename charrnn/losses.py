"""A window of a text -> the sum of its losses, in the precision that was asked for."""

import math
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from charrnn.batches import Window
from charrnn.cells import State
from charrnn.model import LanguageModel, detach
from charrnn.softmax import full_loss, sampled_loss

HALF_TOKENS = 16  # a 16th of a sum of losses: as far from the largest float16 as from the smallest
HALF_MOST = 10  # powers of 2: of many tokens the gradient of a weight is a sum
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Return the context in which matrix products run in `precision` (fp32, bf16 or fp16)."""
    if precision not in DTYPES:
        return nullcontext()
    return torch.autocast(device.type, dtype=DTYPES[precision], cache_enabled=False)


def scale_of_half(device_type: str, precision: str, num_targets: int) -> float:
    """Return how much larger the loss is made on its way back through float16: a power of 2.

    torch's autocast runs cuDNN's recurrent layers in float16 also where it is asked for bfloat16,
    and the gradient of a mean over thousands of tokens, at one of them, is too small for that.
    Precision fp16 has a scaler (Micikevicius et al. 2018) that finds its scale.
    """
    if device_type != "cuda" or precision != "bf16":
        return 1.0
    return 2.0 ** min(HALF_MOST, max(0, math.floor(math.log2(num_targets / HALF_TOKENS))))


def on_device(array: NDArray[Any], device: torch.device) -> Tensor:
    """Return `array` on `device`; the copy to a GPU is only begun."""
    tensor = torch.from_numpy(array)
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def sum_losses(
    model: LanguageModel,
    window: Window,
    state: State | None,
    precision: str,
    chances: Tensor | None = None,
) -> tuple[Tensor, State]:
    """Return the sum of the losses of the targets of `window`, in nats, and the state after it."""
    device = model.output.bias.device
    inputs, targets = on_device(window.inputs, device), on_device(window.targets, device)
    if state is None:
        state = model.recurrent.zero_state(inputs.shape[1])
    elif window.keep is not None:
        kept = on_device(window.keep, device)
        state = tuple(torch.where(kept[:, None], part, 0.0) for part in state)
    with autocast(device, precision):
        hidden, state = model.run_layers(inputs, state)
        if chances is None:
            loss = full_loss(model, hidden, targets)
        else:
            loss = sampled_loss(model, hidden, targets, chances)
    return loss, tuple(part.float() for part in detach(state))
