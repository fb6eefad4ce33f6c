"""AdamW, fused: torch's own calculation, without its optimizer class; but for rows of symbols.

Loshchilov & Hutter (2019), Decoupled weight decay regularization. The class loads torch's compiler
when it is first used, which a start of a second waits for another second.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.adamw import adamw

from charrnn.rows import BETA, EPSILON, State, update_rows

BETAS = (0.9, BETA)

Group = dict[str, Any]


class AdamW:
    """Changes parameters by their gradients; `param_groups` and `state` are laid out as torch's.

    Of each group `params`, `lr` and `weight_decay` count, of each parameter's state `step`,
    `exp_avg` and `exp_avg_sq`, from its first gradient on; those `by_row`, whose gradients are
    sparse, have no `exp_avg`.
    """

    def __init__(
        self,
        groups: Iterable[tuple[Sequence[Tensor], float]],
        rate: float,
        by_row: Collection[Tensor] = (),
    ) -> None:
        """Each group is parameters and their weight decay."""
        self.by_row = set(by_row)
        self.param_groups: list[Group] = [
            {"params": list(params), "lr": rate, "weight_decay": decay} for params, decay in groups
        ]
        self.state: defaultdict[Tensor, State] = defaultdict(dict)

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Make one update; parameters without a gradient stay."""
        for group in self.param_groups:
            self._update(group, [p for p in group["params"] if p.grad is not None])

    def shapes(self, parameter: Tensor) -> dict[str, tuple[int, ...]]:
        """Return the names and shapes of what `state` has of `parameter` after its first step."""
        shape = tuple(parameter.shape)
        found: dict[str, tuple[int, ...]] = {"exp_avg": shape, "exp_avg_sq": shape, "step": ()}
        if parameter in self.by_row:
            del found["exp_avg"]
        return found

    def _update(self, group: Group, parameters: list[Tensor]) -> None:
        """Change `parameters`, all of `group` and all with a gradient."""
        rate, decay = group["lr"], group["weight_decay"]
        whole = [parameter for parameter in parameters if parameter not in self.by_row]
        for matrix in parameters:
            if matrix in self.by_row:
                update_rows(matrix, self._state_of(matrix), rate, decay)
        gradients = [parameter.grad for parameter in whole if parameter.grad is not None]
        update(whole, gradients, [self._state_of(each) for each in whole], rate, decay)

    def _state_of(self, parameter: Tensor) -> State:
        state = self.state[parameter]
        if not state:
            for name, shape in AdamW.shapes(self, parameter).items():
                state[name] = parameter.new_zeros(shape)
        return state


def update(
    parameters: list[Tensor],
    gradients: list[Tensor],
    states: list[State],
    rate: float,
    weight_decay: float,
) -> None:
    """Change `parameters` and their `states` in place by one step of AdamW."""
    adamw(
        parameters,
        gradients,
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
        lr=rate,
        weight_decay=weight_decay,
    )
