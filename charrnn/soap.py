"""SOAP: AdamW in the eigenbasis of a matrix's mean G'G.

Vyas et al. (2025), SOAP: improving and stabilizing Shampoo using Adam; one-sided. The gradients of
a layer's matrix W (R, K) are strongly correlated along K, what it is multiplied with, so that one
rate a weight suits no direction well. The mean of G'G (K, K) is followed; its eigenvectors, the
columns of a basis Q, are renewed every few steps by one power iteration and a QR decomposition.
The moments are those of G Q, and the update is turned back by Q'. Other than in the paper Q
starts from ten such iterations on the first gradient, which makes an update too, G'G is taken at
every second step, and the power iteration is shifted.
"""

from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import Executor
from functools import partial

import torch
from torch import Tensor

from charrnn.adamw import AdamW, Group, update
from charrnn.config import SOAP_COLUMNS
from charrnn.rows import SETTLED, State

RENEWAL, EARLY = 20, (2, 5, 10)  # steps between two bases; steps that have one besides
WATCH, MEMORY = 2, 0.95  # steps between two that G'G is taken at; share of the mean that stays
ROUNDS = 10  # of power iteration, at the start
SHIFT = 1e-4  # of the mean eigenvalue: what is far below it turns no more


class Soap(AdamW):
    """As AdamW, but for the matrices `turned`, which have a basis of their own.

    In `state` each of those has besides `gram`, the mean of G'G, and `basis`, both (K, K), and its
    moments are in that basis.
    """

    def __init__(
        self,
        groups: Iterable[tuple[Sequence[Tensor], float]],
        rate: float,
        turned: Collection[Tensor],
        dtype: torch.dtype = torch.float32,
        by_row: Collection[Tensor] = (),
    ) -> None:
        """Each group is parameters and their weight decay.

        Products with gradients are made in `dtype`, the renewal of a basis in float32.
        """
        super().__init__(groups, rate, by_row)
        self.turned = {matrix for matrix in turned if matrix.shape[1] <= SOAP_COLUMNS}
        self.dtype = dtype
        self.pool: Executor | None = None
        self.count = 1
        # Steps, by the tensor that has them, so that a GPU is not asked
        self._steps: dict[Tensor, int] = {}

    def deal(self, pool: Executor, count: int) -> None:
        """Let `count` threads of `pool` update a share of the rows each, from now on."""
        self.pool, self.count = pool, count

    def shapes(self, parameter: Tensor) -> dict[str, tuple[int, ...]]:
        found = super().shapes(parameter)
        if parameter in self.turned:
            square = (parameter.shape[1], parameter.shape[1])
            found |= {"gram": square, "basis": square}
        return found

    def _update(self, group: Group, parameters: list[Tensor]) -> None:
        super()._update(group, [p for p in parameters if p not in self.turned])
        turned = [p for p in parameters if p in self.turned]
        if not turned:
            return
        for matrix in turned:
            if not self.state[matrix]:
                self._begin(matrix)
        watched = {matrix: self._num_steps(self.state[matrix]) % WATCH == 0 for matrix in turned}
        calls = [partial(self._update_rows, group, watched, share) for share in range(self.count)]
        if self.pool is None:
            shares = [call() for call in calls]
        else:
            shares = [done.result() for done in [self.pool.submit(call) for call in calls]]
        for number, matrix in enumerate(turned):
            self._finish(self.state[matrix], [share[number] for share in shares])

    def _begin(self, matrix: Tensor) -> None:
        """Take a basis near the eigenvectors of the first G'G."""
        assert matrix.grad is not None
        state, gradient = self._state_of(matrix), matrix.grad.to(self.dtype)
        self._steps[state["step"]] = 0
        state["gram"] = (gradient.T @ gradient).float()
        state["basis"] = torch.eye(matrix.shape[1], device=matrix.device)
        for _ in range(ROUNDS):
            renew(state)

    @torch.no_grad()
    def _update_rows(
        self, group: Group, watched: dict[Tensor, bool], share: int
    ) -> list[Tensor | None]:
        """Change a share of the rows of the matrices in `watched` by AdamW in the basis.

        Return the G'G of those rows, (K, K) for each matrix, or None where it is not watched.
        """
        seen: list[Tensor | None] = []
        for matrix in watched:
            assert matrix.grad is not None
            state, size = self.state[matrix], len(matrix)
            rows = slice(size * share // self.count, size * (share + 1) // self.count)
            gradient = matrix.grad[rows].to(self.dtype)
            basis = state["basis"].to(self.dtype)
            part = {name: state[name][rows] for name in ("exp_avg", "exp_avg_sq")}
            part["step"] = state["step"].clone()
            change = torch.zeros_like(matrix[rows])
            update([change], [(gradient @ basis).float()], [part], group["lr"], 0.0)
            matrix[rows].mul_(1 - group["lr"] * group["weight_decay"])
            matrix[rows].add_(change.to(self.dtype) @ basis.T)
            seen.append((gradient.T @ gradient).float() if watched[matrix] else None)
        return seen

    def _num_steps(self, state: State) -> int:
        """Return how many steps a matrix has made; read once from a `state` that was put in."""
        count = state["step"]
        if count not in self._steps:
            known = {other.get("step") for other in self.state.values()}
            self._steps = {key: made for key, made in self._steps.items() if key in known}
            self._steps[count] = int(count)
        return self._steps[count]

    def _finish(self, state: State, seen: list[Tensor | None]) -> None:
        """Count the step, take in its G'G where there is one, and renew the basis where due."""
        parts = [part for part in seen if part is not None]
        if parts:
            state["gram"].lerp_(sum(parts[1:], parts[0]), 1 - MEMORY)
        step = self._num_steps(state) + 1
        state["step"] += 1
        if step == SETTLED:
            step -= RENEWAL
            state["step"] -= RENEWAL
        self._steps[state["step"]] = step
        if step % RENEWAL == 0 or step in EARLY:
            renew(state)


def renew(state: State) -> None:
    """Bring the basis (K, K) nearer to the eigenvectors of the mean G'G; the moments (R, K) follow.

    The variances are kept by rank: what they belonged to has turned only a little. Directions
    without gradients, which rounding alone would turn, stay: the shift is theirs.
    """
    old, gram = state["basis"], state["gram"]
    power = gram @ old + SHIFT * gram.diagonal().mean() * old
    order = (old * power).sum(dim=0).argsort(descending=True)
    state["basis"] = torch.linalg.qr(power[:, order])[0].contiguous()
    state["exp_avg"] = state["exp_avg"] @ (old.T @ state["basis"])
    state["exp_avg_sq"] = state["exp_avg_sq"][:, order].contiguous()
