"""A wide LSTM layer in bfloat16 on one core: the weights' gradient is made once a window.

torch's kernel adds to it at every token. Of a wide layer it fits no cache, and moving it can take
longer than the products (tests/bench/LOG.md). Here the gates of a window are kept, and both
matrices get their gradient in one product each. What is left for every token, the recurrence, is a
product with weights that were laid out for it once a window, and a dozen calls on the streams' own
rows.

The gates are kept as sigmoids s, since tanh(x) = 2 sigmoid(2x) - 1 and torch's tanh takes seven
times as long; h, c and tanh(c) are kept as halves, which saves a call each. Doubling is exact.
Shapes: T tokens, B streams, X inputs, H units; gates in the order i, f, g, o.
"""

import warnings
from collections.abc import Callable
from functools import cache
from threading import Lock
from typing import Any

import torch
from torch import Tensor

from charrnn.onednn import lay_out

MIN_WEIGHTS = 1_200_000  # of a layer: with fewer, torch's kernel is faster
LOW = torch.bfloat16  # of the products


def is_wide(num_weights: int) -> bool:
    """Return whether a layer has more weights than fit a core's cache with their gradient."""
    return num_weights > MIN_WEIGHTS


def run_wide_lstm(
    inputs: Tensor, state: tuple[Tensor, ...], weights: list[Tensor]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Return the hidden vectors (T, B, H), bfloat16, and the state (h, c) after the last token.

    `inputs` is (T, B, X), each part of `state` (1, B, H), `weights` are weight_ih, weight_hh,
    bias_ih and bias_hh of nn.LSTM. All are float32; products are made in bfloat16, whatever
    torch's autocast says. Cannot be differentiated twice. Needs `onednn.is_possible`.
    """
    hidden, h, c = WideLstm.apply(inputs, state[0][0], state[1][0], *weights)  # type: ignore[no-untyped-call]
    return hidden, (h.unsqueeze(0), c.unsqueeze(0))


class WideLstm(torch.autograd.Function):
    """One layer over one window, and its gradients."""

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        h: Tensor,
        c: Tensor,
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias_ih: Tensor,
        bias_hh: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return (T, B, H), h and c, and keep what the way back needs."""
        (length, streams, _), size = inputs.shape, h.shape[-1]
        with torch.autocast("cpu", enabled=False):
            rows = inputs.to(LOW).flatten(0, 1)
            bias = double_g_(bias_ih + bias_hh)
            from_inputs = double_g_(weight_ih.to(LOW, copy=True))
            from_hidden = double_g_(weight_hh.to(LOW, copy=True)).mul_(2)  # reads halves
            projected = torch.addmm(bias.to(LOW), rows, from_inputs.t())
            hiddens = torch.empty(length + 1, streams, size, dtype=LOW)
            cells = torch.empty(length + 1, streams, size)
            hiddens[0], cells[0] = h * 0.5, c * 0.5
            gates, tanhs = torch.empty(length, streams, 4 * size), torch.empty_like(cells[1:])
            laid = lay_out(from_hidden, streams)
            forward_loop = scripted(run_forward)
            forward_loop(projected.view_as(gates), laid, hiddens, cells, gates, tanhs)
        ctx.save_for_backward(rows, from_inputs, from_hidden, hiddens, cells, gates, tanhs)
        return hiddens[1:] * 2, hiddens[-1].float() * 2, cells[-1] * 2

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(
        ctx: Any, d_outputs: Tensor, d_h: Tensor, d_c: Tensor
    ) -> tuple[Tensor | None, ...]:
        """Return the gradients of all that `forward` took, from those of what it returned."""
        rows, from_inputs, from_hidden, hiddens, cells, gates, tanhs = ctx.saved_tensors
        length, streams, _ = tanhs.shape
        with torch.autocast("cpu", enabled=False):
            d_cell, d_bias = d_c * 2, torch.zeros_like(gates[0])
            d_gates = torch.empty_like(gates, dtype=LOW)
            backward_loop = scripted(run_backward)
            d_hidden = backward_loop(
                d_outputs.float().mul_(2),
                (d_h * 2).to(LOW),
                lay_out(from_hidden.t().contiguous(), streams),
                cells,
                gates,
                tanhs,
                d_cell,
                d_gates,
                d_bias,
            )
            flat = d_gates.flatten(0, 1)
            d_inputs = (
                (flat @ from_inputs).view(length, streams, -1) if ctx.needs_input_grad[0] else None
            )
            d_weight_ih = double_g_((flat.t() @ rows).float())
            d_weight_hh = double_g_((flat.t() @ hiddens[:-1].flatten(0, 1)).float()).mul_(2)
            bias = double_g_(d_bias.sum(0))
        return d_inputs, d_hidden * 0.5, d_cell * 0.5, d_weight_ih, d_weight_hh, bias, bias.clone()


def double_g_(values: Tensor) -> Tensor:
    """Double, in place, the rows of `values` (4H, ...) that belong to gate g; return it."""
    size = len(values) // 4
    values[2 * size : 3 * size] *= 2
    return values


def run_forward(
    projected: Tensor, laid: Tensor, hiddens: Tensor, cells: Tensor, gates: Tensor, tanhs: Tensor
) -> None:
    """Fill `gates` (T, B, 4H), `tanhs` (T, B, H), `hiddens` and `cells` (T + 1, B, H) past row 0.

    `projected` (T, B, 4H) is what the inputs add to the gates, `laid` the recurrent weights (4H, H)
    from `lay_out`. The language is TorchScript's, in which onednn.product and product_and_sum must
    be spelled out.
    """
    for t in range(projected.size(0)):
        gate, tanh, cell = gates[t], tanhs[t], cells[t + 1]
        gate.copy_(torch.ops.mkldnn._linear_pointwise(hiddens[t], projected[t], laid, None, "add"))
        gate.sigmoid_()
        i, f, g, o = gate.chunk(4, 1)
        torch.mul(f, cells[t], out=cell)
        cell.addcmul_(i, g).add_(i, alpha=-0.5)
        torch.mul(cell, 4.0, out=tanh)
        tanh.sigmoid_().sub_(0.5)
        torch.mul(o, tanh, out=hiddens[t + 1])


def run_backward(
    d_outputs: Tensor,
    d_hidden: Tensor,
    laid: Tensor,
    cells: Tensor,
    gates: Tensor,
    tanhs: Tensor,
    d_cell: Tensor,
    d_gates: Tensor,
    d_bias: Tensor,
) -> Tensor:
    """Fill `d_gates` (T, B, 4H), add to `d_bias` (B, 4H) and return the gradient of the first h.

    `d_cell` (B, H) becomes the gradient of the first c. `d_outputs` (T, B, H), `d_hidden` and
    `d_cell` come from above, `laid` is the transposed recurrent weights (H, 4H), and the rest what
    `run_forward` left. The language is TorchScript's.
    """
    ones, d_h, part, d_gate = (
        torch.ones_like(d_cell),
        torch.empty_like(d_cell),
        torch.empty_like(d_cell),
        torch.empty_like(gates[0]),
    )
    d_i, d_f, d_g, d_o = d_gate.chunk(4, 1)
    d_ifg = d_gate.view(d_cell.size(0), 4, d_cell.size(1))[:, :3]
    for step in range(gates.size(0)):
        t = gates.size(0) - 1 - step
        gate, tanh = gates[t], tanhs[t]
        i, f, g, o = gate.chunk(4, 1)
        d_h.copy_(d_hidden).add_(d_outputs[t])
        torch.addcmul(ones, tanh, tanh, value=-4.0, out=part)  # the derivative of tanh
        d_cell.addcmul_(d_h, part.mul_(o))
        torch.addcmul(gate, gate, gate, value=-1.0, out=d_gate)  # that of each sigmoid
        d_i.mul_(torch.sub(g, 0.5, out=part))
        d_f.mul_(cells[t])
        d_g.mul_(i)
        d_o.mul_(tanh).mul_(d_h)
        d_ifg.mul_(d_cell.unsqueeze(1))
        d_bias.add_(d_gate)
        d_gates[t].copy_(d_gate)
        d_hidden = torch.ops.mkldnn._linear_pointwise(d_gates[t], laid, None, "none", [], "")
        d_cell.mul_(f)
    return d_hidden


Loop = Callable[..., Any]
SCRIPTING = Lock()  # threads that find a loop not compiled wait for each other


@cache
def scripted(loop: Loop) -> Loop:
    """Return `loop` compiled, so that threads need not take turns in the interpreter.

    As it is, where this torch or this Python cannot; then it is slower.
    """
    with SCRIPTING, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            return torch.jit.script(loop)
        except Exception:  # of many kinds, by version
            return loop
