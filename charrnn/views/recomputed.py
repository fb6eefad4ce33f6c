"""One layer's gates and cells, computed once more from what the fused kernel gives: the h_t.

The gates of all t are one matrix product of (x_t, h_{t-1}); c_t = f c_{t-1} + i g is a scan. It
starts every so often from the kernel's own c, as the rounding of a c that only grows adds up. The
identities h = o tanh(c), and h = (1 - z) n + z h_{t-1} of a GRU, are asserted.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from charrnn.cells import State
    from charrnn.model import LanguageModel

TOLERANCE = 1e-4  # of the identities
SCANNED = 64  # tokens from one known c

Found = dict[str, "Tensor"]  # each (T, B, H)


def run_layer(network: "LanguageModel", layer: int, inputs: "Tensor", state: "State") -> Found:
    """Return the signals of a layer that reads `inputs` (T, B, X); `state` has parts (B, H)."""
    import torch
    from torch.nn.functional import linear

    recurrent = network.recurrent
    weights = recurrent._weights(layer, None)
    known, parts = [tuple(part[None] for part in state)], []
    for section in torch.split(inputs, SCANNED):
        part, last = recurrent._run_layer(section, known[-1], weights)
        parts.append(part)
        known.append(last)
    hidden = torch.cat(parts)
    kind = recurrent.cell_type
    if kind == "rnn":
        return {"h": hidden}
    before = torch.cat([state[0][None], hidden[:-1]])  # h_{t-1}
    w_ih, w_hh, b_ih, b_hh = weights[:4]
    seen, own = linear(inputs, w_ih, b_ih), linear(before, w_hh, b_hh)
    if kind == "gru":
        return gru_signals(seen, own, before, hidden)
    cells = [state[1][0] for state in known]
    return lstm_signals(seen.add_(own), cells, hidden, weights[4:])


def gru_signals(seen: "Tensor", own: "Tensor", before: "Tensor", hidden: "Tensor") -> Found:
    """Return h, r, z and n of a GRU; z keeps: h = (1 - z) n + z h_{t-1}."""
    import torch

    size = hidden.shape[-1]
    gates = torch.sigmoid(seen[..., : 2 * size] + own[..., : 2 * size])
    r, z = gates.chunk(2, dim=-1)
    n = torch.tanh(seen[..., 2 * size :] + r * own[..., 2 * size :])
    check(n + z * (before - n), hidden)
    return {"h": hidden, "r": r, "z": z, "n": n}


def lstm_signals(
    gates: "Tensor", known: list["Tensor"], hidden: "Tensor", peepholes: list["Tensor"]
) -> Found:
    """Return h, c, i, f, g and o of an LSTM; `gates` (T, B, 4H) are overwritten.

    `known` are the cells before each SCANNED tokens.
    """
    import torch

    i, f, g, o = gates.chunk(4, dim=-1)
    g.tanh_()
    if not peepholes:
        for gate in (i, f, o):
            gate.sigmoid_()
    cells = []
    for step in range(len(gates)):
        if step % SCANNED == 0:
            cell = known[step // SCANNED]
        if peepholes:
            i[step].addcmul_(peepholes[0], cell).sigmoid_()
            f[step].addcmul_(peepholes[1], cell).sigmoid_()
        cell = f[step] * cell + i[step] * g[step]
        cells.append(cell)
    c = torch.stack(cells)
    if peepholes:
        o.addcmul_(peepholes[2], c).sigmoid_()
    check(o * torch.tanh(c), hidden)
    return {"h": hidden, "c": c, "i": i, "f": f, "g": g, "o": o}


def check(recomputed: "Tensor", hidden: "Tensor") -> None:
    """Assert that the gates explain the hidden vectors."""
    gap = float((recomputed - hidden).abs().max()) if hidden.numel() else 0.0
    assert gap < TOLERANCE, f"gates and hidden vectors disagree by {gap:.2g}"
