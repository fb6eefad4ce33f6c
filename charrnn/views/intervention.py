"""A network run step by step with some of its units held at a number: what would it say then?

The unit is set within the step, so that what it feeds at once (its own h, the layers above, the
output) sees it too. Rows may differ in what is held.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from charrnn.cells import State
    from charrnn.model import LanguageModel


@dataclass(frozen=True)
class Hold:
    """Keep unit `units[k]` of `layer` at `values[k]` in row `rows[k]`: c, or h where is no c."""

    layer: int
    rows: "Tensor"  # (K,)
    units: "Tensor"  # (K,)
    values: "Tensor"  # (K,)

    def apply(self, states: "Tensor") -> None:
        """Set the units of `states` (B, H) in place."""
        states[self.rows, self.units] = self.values


def run_steps(
    network: "LanguageModel",
    tokens: "Tensor",
    state: "State",
    keep: "Tensor",
    hold: Hold | None = None,
) -> Iterator[tuple["Tensor", "State"]]:
    """Yield the last layer's h (B, H) and the state after each of `tokens` (T, B).

    `state` has parts (L, B, H). Where `keep` (T, B) is 0 the state is zero before the token.
    """
    for row, kept in zip(tokens, keep, strict=True):
        inputs = network.embed(row[None])[0]
        before = tuple(part * kept[:, None] for part in state)
        after: list[State] = []
        for layer in range(network.config.num_layers):
            parts = tuple(part[layer] for part in before)
            one = hold if hold is not None and hold.layer == layer else None
            after.append(run_step(network, layer, inputs, parts, one))
            inputs = after[-1][0]
        state = tuple(_stack(parts) for parts in zip(*after, strict=True))
        yield inputs, state


def _stack(parts: tuple["Tensor", ...]) -> "Tensor":
    import torch

    return torch.stack(parts)


def run_step(
    network: "LanguageModel", layer: int, inputs: "Tensor", state: "State", hold: Hold | None
) -> "State":
    """Return the state of one layer, parts (B, H), after one token."""
    import torch
    from torch.nn.functional import linear

    recurrent = network.recurrent
    w_ih, w_hh, b_ih, b_hh, *peepholes = recurrent._weights(layer, None)
    seen, own = linear(inputs, w_ih, b_ih), linear(state[0], w_hh, b_hh)
    if recurrent.num_states == 1:
        if recurrent.cell_type == "gru":
            r, z = torch.sigmoid(seen + own).chunk(3, dim=-1)[:2]
            n = torch.tanh(seen.chunk(3, dim=-1)[2] + r * own.chunk(3, dim=-1)[2])
            h = n + z * (state[0] - n)
        else:
            h = torch.relu(seen + own) if recurrent.nonlinearity == "relu" else (seen + own).tanh()
        if hold is not None:
            hold.apply(h)
        return (h,)
    i, f, g, o = seen.add_(own).chunk(4, dim=-1)
    if peepholes:
        i, f = i + peepholes[0] * state[1], f + peepholes[1] * state[1]
    c = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
    if hold is not None:
        hold.apply(c)
    if peepholes:
        o = o + peepholes[2] * c
    return o.sigmoid() * c.tanh(), c
