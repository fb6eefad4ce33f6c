"""A network's weights, rearranged so that a token costs one table row and one product a layer.

Does not step: see stepper.py. With h the hidden vector of a layer and a 1 appended to it,

    [h, 1] @ product = [what the layer sees of h at the next token | what is above sees now]

where above is the next layer, or the logits. Biases are in the row of the 1. Two foldings, exact in
binary floating point, spare work at every token: sigmoid(x) = (1 + tanh(x / 2)) / 2, so the columns
of sigmoid gates are halved; and the LSTM's hidden vector is kept doubled, so the rows that it meets
are halved.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from charrnn.config import ModelConfig

Array = npt.NDArray[Any]

TABLE_MAX = 1 << 22  # numbers in layer 0's table; above, it is multiplied out token by token
WEIGHT_MAX = 1e15  # sums of larger products may leave float32
FLOAT16_MAX = 65504.0
GATES = {"lstm": 4, "peephole": 4, "gru": 3, "rnn": 1}
# rows of torch's matrices by gate: lstm i f g o, gru r z n; ours: lstm o i f g, so that three
# sigmoids are neighbours, and i f lie beside g c
ORDER = {"lstm": (3, 0, 1, 2), "peephole": (3, 0, 1, 2), "gru": (0, 1, 2), "rnn": (0,)}
SCALE = {
    "lstm": (0.5, 0.5, 0.5, 1),
    "peephole": (0.5, 0.5, 0.5, 1),
    "gru": (0.5, 0.5, 1),
    "rnn": (1,),
}


@dataclass(frozen=True)
class PackedWeights:
    """Weights for stepping. G gates, hidden size H, V symbols, all of one dtype.

    `table` (V, G*H): row v is all that layer 0 sees of symbol v. Where that would be too large it
    is None, and the row is [embedding[v], 1] @ entrance, (V, E) and (E + 1, G*H).
    `products[l]` (H + 1, G*H + N): N is G*H, for the last layer V; columns are padded with zeros.
    `peepholes[l]` (3, H): of the gates o, i, f; empty for other cells.
    """

    config: ModelConfig
    table: Array | None
    embedding: Array | None
    entrance: Array | None
    products: tuple[Array, ...]
    peepholes: tuple[Array, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of all numbers."""
        return self.products[0].dtype

    @cached_property
    def may_overflow(self) -> bool:
        """Whether logits may overflow: no network that was trained well does."""
        if self.config.nonlinearity == "relu":
            return True
        arrays = (self.table, self.embedding, *self.matrices, *self.peepholes)
        return not all(_within(array, WEIGHT_MAX) for array in arrays if array is not None)

    @property
    def fits_float16(self) -> bool:
        """Whether float16 has the matrices, but for rounding."""
        return all(
            part.dtype == np.float32 and _within(part, FLOAT16_MAX) for part in self.matrices
        )

    @property
    def matrices(self) -> tuple[Array, ...]:
        """What a token is multiplied with: all that is read of the weights at each."""
        return self.products if self.entrance is None else (self.entrance, *self.products)

    @property
    def num_read(self) -> int:
        """How many numbers a step reads, roughly."""
        return sum(part.size for part in self.matrices)

    @property
    def num_columns(self) -> int:
        """G*H: how many numbers a layer receives from below, and as many from itself."""
        return GATES[self.config.cell_type] * self.config.hidden_size

    @property
    def hidden_scale(self) -> float:
        """What the true hidden vector is multiplied with before a product reads it."""
        return 2.0 if self.config.cell_type in ("lstm", "peephole") else 1.0

    @property
    def hidden_bound(self) -> float | None:
        """The largest magnitude that a product may read of a hidden vector; None if unknown."""
        return None if self.may_overflow else self.hidden_scale


@np.errstate(over="ignore", invalid="ignore")
def pack(
    config: ModelConfig, weights: Mapping[str, Array], dtype: npt.DTypeLike = np.float32
) -> PackedWeights:
    """Return `weights` (names and shapes of modeldir.weight_shapes) made ready for stepping."""
    named = {name: np.asarray(value, dtype) for name, value in weights.items()}
    embedding = named.get("embedding.weight")
    matrix, bias = _from_below(config, named, 0)
    table = entrance = None
    if embedding is None:
        table = np.ascontiguousarray(matrix + bias)
    elif len(embedding) * matrix.shape[1] <= TABLE_MAX:
        table = embedding @ matrix + bias
    else:
        entrance = np.vstack([matrix, bias])
    layers = range(config.num_layers)
    return PackedWeights(
        config=config,
        table=table,
        embedding=None if entrance is None else embedding,
        entrance=entrance,
        products=tuple(_product(config, named, layer) for layer in layers),
        peepholes=tuple(_peepholes(named, layer) for layer in layers)
        if config.cell_type == "peephole"
        else (),
    )


def _within(array: Array, limit: float) -> bool:
    """Return whether all of `array` is a number of less than `limit`, whatever its sign."""
    return bool(-limit < array.min() <= array.max() < limit)


def aligned_zeros(shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
    """Return zeros that begin on a cache line: BLAS is 10% faster on them."""
    size = np.dtype(dtype).itemsize * int(np.prod(shape))
    memory = np.zeros(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size].view(dtype).reshape(shape)


def _gates(config: ModelConfig, value: Array) -> Array:
    """Return `value` (G*H, ...) with the gates in our order and sigmoid gates halved."""
    blocks = np.split(value, GATES[config.cell_type])
    order, scale = ORDER[config.cell_type], SCALE[config.cell_type]
    return np.concatenate(
        [blocks[gate] * value.dtype.type(factor) for gate, factor in zip(order, scale, strict=True)]
    )


def _from_below(config: ModelConfig, named: Mapping[str, Array], layer: int) -> tuple[Array, Array]:
    """Return the matrix (inputs, G*H) and the bias (G*H,) of what `layer` sees of its input.

    The GRU multiplies b_hn by its reset gate, so b_hn is left to the layer's own product.
    """
    matrix = named[f"recurrent.weight_ih_l{layer}"]
    bias = named[f"recurrent.bias_ih_l{layer}"].copy()
    size = 2 * config.hidden_size if config.cell_type == "gru" else len(bias)
    bias[:size] += named[f"recurrent.bias_hh_l{layer}"][:size]
    return _gates(config, matrix).T, _gates(config, bias)


def _from_itself(
    config: ModelConfig, named: Mapping[str, Array], layer: int
) -> tuple[Array, Array]:
    """Return the matrix (H, G*H) and the bias (G*H,) of what `layer` sees of its own past.

    What the GRU's reset gate multiplies is halved: the gate is kept doubled, 1 + tanh.
    """
    matrix = _gates(config, named[f"recurrent.weight_hh_l{layer}"])
    bias = np.zeros(len(matrix), matrix.dtype)
    if config.cell_type == "gru":
        reset = slice(2 * config.hidden_size, None)
        matrix[reset] *= matrix.dtype.type(0.5)
        bias[reset] = named[f"recurrent.bias_hh_l{layer}"][reset] * matrix.dtype.type(0.5)
    return matrix.T, bias


def _product(config: ModelConfig, named: Mapping[str, Array], layer: int) -> Array:
    """Return the product of `layer`, see PackedWeights."""
    size = config.hidden_size
    own, own_bias = _from_itself(config, named, layer)
    if layer + 1 < config.num_layers:
        above, bias = _from_below(config, named, layer + 1)
    else:
        above = named["embedding.weight" if config.tie_weights else "output.weight"].T
        bias = named["output.bias"]
    width = own.shape[1] + above.shape[1]
    per_line = 64 // own.dtype.itemsize
    product = aligned_zeros((size + 1, -(-width // per_line) * per_line), own.dtype)
    half = own.dtype.type(0.5 if config.cell_type in ("lstm", "peephole") else 1)
    product[:size, : own.shape[1]] = own * half
    product[:size, own.shape[1] : width] = above * half
    product[size, : own.shape[1]] = own_bias
    product[size, own.shape[1] : width] = bias
    return product


def _peepholes(named: Mapping[str, Array], layer: int) -> Array:
    """Return what o, i and f see of the cell of `layer`, halved: (3, H)."""
    rows = [named[f"recurrent.weight_c{gate}_l{layer}"] for gate in "oif"]
    half: Array = np.stack(rows) * rows[0].dtype.type(0.5)
    return half
