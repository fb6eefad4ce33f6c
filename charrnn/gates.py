"""The gates of one layer for one token, computed in place; the weights are packed as in packing.py.

Each function takes the buffers of a layer once, cuts its views, and returns `advance(above)`, which
moves the hidden vector one token on. `xp` is numpy, or has its functions (torch_backend.py): the
result goes to the last argument, by position, which is quicker than by name. Buffers end in the
axis named; before it there may be a batch axis:

    seen (..., G*H)   what the layer sees of its own last hidden vector, from its product
    hidden (..., H)   the hidden vector, times hidden_scale
    cell (..., H)     made here where there is one
"""

from collections.abc import Callable
from typing import Any

Buffer = Any  # an ndarray or a Tensor
Advance = Callable[[Buffer], None]
Empty = Callable[[int], Buffer]  # size of the last axis -> zeros


def lstm(
    xp: Any, seen: Buffer, hidden: Buffer, zeros: Empty, constant: Any, peephole: Buffer | None
) -> tuple[Advance, Buffer]:
    """Return `advance` and the cell buffer of an LSTM layer; `peephole` is (3, H) or None.

    All gates and the cell lie in one row, o i f g c, so that i f times g c is one call. A sigmoid
    is kept doubled, 1 + tanh: then the sum of both products is twice the cell.
    """
    size = hidden.shape[-1]
    row, pair, squashed = zeros(5 * size), zeros(2 * size), zeros(size)
    gates, sigmoids, inputs = row[..., : 4 * size], row[..., : 3 * size], row[..., size : 3 * size]
    values, cell, output = row[..., 3 * size :], row[..., 4 * size :], row[..., :size]
    first, second = pair[..., :size], pair[..., size:]
    one, half = constant(1.0), constant(0.5)
    add, multiply, tanh = xp.add, xp.multiply, xp.tanh

    def advance(above: Buffer) -> None:
        add(seen, above, gates)
        tanh(gates, gates)
        add(sigmoids, one, sigmoids)
        multiply(inputs, values, pair)
        add(first, second, cell)
        multiply(cell, half, cell)
        tanh(cell, squashed)
        multiply(output, squashed, hidden)

    if peephole is None:
        return advance, cell
    peek_o, peek_i, peek_f = peephole
    input_gate, forget_gate = row[..., size : 2 * size], row[..., 2 * size : 3 * size]
    squashing = row[..., size : 4 * size]

    def advance_peephole(above: Buffer) -> None:
        add(seen, above, gates)
        add(input_gate, multiply(cell, peek_i, first), input_gate)
        add(forget_gate, multiply(cell, peek_f, first), forget_gate)
        tanh(squashing, squashing)
        add(inputs, one, inputs)
        multiply(inputs, values, pair)
        add(first, second, cell)
        multiply(cell, half, cell)
        add(output, multiply(cell, peek_o, first), output)
        tanh(output, output)
        add(output, one, output)
        tanh(cell, squashed)
        multiply(output, squashed, hidden)

    return advance_peephole, cell


def gru(xp: Any, seen: Buffer, hidden: Buffer, zeros: Empty, constant: Any) -> Advance:
    """Return `advance` of a GRU layer, torch's: n = tanh(x + r (W h + b)), h = n + z (h - n)."""
    size = hidden.shape[-1]
    gates, new, change = zeros(2 * size), zeros(size), zeros(size)
    reset, update = gates[..., :size], gates[..., size:]
    seen_gates, seen_new = seen[..., : 2 * size], seen[..., 2 * size :]
    one, half = constant(1.0), constant(0.5)
    add, multiply, subtract, tanh = xp.add, xp.multiply, xp.subtract, xp.tanh

    def advance(above: Buffer) -> None:
        add(seen_gates, above[..., : 2 * size], gates)
        tanh(gates, gates)
        add(gates, one, gates)
        multiply(reset, seen_new, new)
        add(new, above[..., 2 * size :], new)
        tanh(new, new)
        subtract(hidden, new, change)
        multiply(change, update, change)
        multiply(change, half, change)
        add(new, change, hidden)

    return advance


def rnn(xp: Any, seen: Buffer, hidden: Buffer, constant: Any, nonlinearity: str) -> Advance:
    """Return `advance` of an Elman layer."""
    add, tanh, maximum = xp.add, xp.tanh, xp.maximum
    zero = constant(0.0)

    def advance(above: Buffer) -> None:
        add(seen, above, hidden)
        tanh(hidden, hidden)

    def advance_relu(above: Buffer) -> None:
        add(seen, above, hidden)
        maximum(hidden, zero, out=hidden)  # by position is deprecated here

    return advance_relu if nonlinearity == "relu" else advance
