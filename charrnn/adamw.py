"""AdamW, fused: torch's own calculation, without its optimizer class.

Loshchilov & Hutter (2019), Decoupled weight decay regularization. The class loads torch's compiler
when it is first used, which a start of a second waits for another second.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.adamw import adamw

BETAS, EPSILON = (0.9, 0.99), 1e-8


class AdamW:
    """Changes parameters by their gradients; `param_groups` and `state` are laid out as torch's.

    Of each group `params`, `lr` and `weight_decay` count, of each parameter's state `step`,
    `exp_avg` and `exp_avg_sq`, from its first gradient on.
    """

    def __init__(self, groups: Iterable[tuple[Sequence[Tensor], float]], rate: float) -> None:
        """Each group is parameters and their weight decay."""
        self.param_groups: list[dict[str, Any]] = [
            {"params": list(params), "lr": rate, "weight_decay": decay} for params, decay in groups
        ]
        self.state: defaultdict[Tensor, dict[str, Tensor]] = defaultdict(dict)

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Make one update; parameters without a gradient stay."""
        for group in self.param_groups:
            changed = [parameter for parameter in group["params"] if parameter.grad is not None]
            states = [self._state_of(parameter) for parameter in changed]
            adamw(
                changed,
                [parameter.grad for parameter in changed],
                [state["exp_avg"] for state in states],
                [state["exp_avg_sq"] for state in states],
                [],
                [state["step"] for state in states],
                fused=True,
                amsgrad=False,
                maximize=False,
                beta1=BETAS[0],
                beta2=BETAS[1],
                eps=EPSILON,
                lr=group["lr"],
                weight_decay=group["weight_decay"],
            )

    def _state_of(self, parameter: Tensor) -> dict[str, Tensor]:
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros((), device=parameter.device)
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
        return state
