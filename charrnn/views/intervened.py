"""A network run step by step while units are pulled towards a value: cause, not correlation.

After each step the state a of a unit (c of an LSTM, h of the others) becomes a + alpha (value - a):
alpha 0 leaves it alone, alpha 1 replaces it. The hidden vector and the layers above see what it has
become. The derivative by alpha at 0 says to first order what replacing each unit would change.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from charrnn.cells import State
    from charrnn.model import LanguageModel

Pulls = Sequence["Tensor"]  # for each layer alpha (B or 1, H)


def intervened_nats(
    network: "LanguageModel",
    tokens: "Tensor",
    targets: "Tensor",
    state: "State",
    alphas: Pulls,
    values: Pulls,
) -> "Tensor":
    """Return -ln p of `targets` (T, B) after `tokens` (T, B), from `state` with parts (L, B, H).

    Units are pulled after every step, from the first on; `values` are (H,) or (B, H) by layer.
    """
    import torch
    from torch.nn.functional import cross_entropy

    layers = [tuple(part[layer] for part in state) for layer in range(len(alphas))]
    nats = []
    for step in range(len(tokens)):
        inputs = network.embed(tokens[step : step + 1])[0]
        for layer, parts in enumerate(layers):
            layers[layer] = cell_step(network, layer, inputs, parts, alphas[layer], values[layer])
            inputs = layers[layer][0]
        nats.append(cross_entropy(network.output(inputs), targets[step], reduction="none"))
    return torch.stack(nats)


def cell_step(
    network: "LanguageModel",
    layer: int,
    inputs: "Tensor",
    state: "State",
    alpha: "Tensor",
    value: "Tensor",
) -> "State":
    """Return the state (B, H) of one layer after `inputs` (B, X), its units pulled."""
    import torch
    from torch.nn.functional import linear

    recurrent = network.recurrent
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    w_ih, w_hh, b_ih, b_hh = (recurrent.get_parameter(f"{name}_l{layer}") for name in names)
    seen, own = linear(inputs, w_ih, b_ih), linear(state[0], w_hh, b_hh)
    kind = recurrent.cell_type
    if kind == "rnn":
        squash = torch.relu if recurrent.nonlinearity == "relu" else torch.tanh
        hidden = squash(seen + own)
        return (hidden + alpha * (value - hidden),)
    if kind == "gru":
        (seen_r, seen_z, seen_n), (own_r, own_z, own_n) = seen.chunk(3, -1), own.chunk(3, -1)
        z = torch.sigmoid(seen_z + own_z)
        n = torch.tanh(seen_n + torch.sigmoid(seen_r + own_r) * own_n)
        hidden = n + z * (state[0] - n)
        return (hidden + alpha * (value - hidden),)
    i, f, g, o = (seen + own).chunk(4, -1)
    cell = state[1]
    if kind == "peephole":
        i = i + recurrent.get_parameter(f"weight_ci_l{layer}") * cell
        f = f + recurrent.get_parameter(f"weight_cf_l{layer}") * cell
    cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
    cell = cell + alpha * (value - cell)
    if kind == "peephole":
        o = o + recurrent.get_parameter(f"weight_co_l{layer}") * cell
    return torch.sigmoid(o) * torch.tanh(cell), cell
