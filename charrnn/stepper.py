"""One token at a time, fast: tokens -> logits, with a state that is carried.

A step costs a table row and one matrix product a layer (packing.py). For one stream that is a
vector times a matrix, bound by memory; all else is a few calls on buffers made once (gates.py).
Runs on NumPy, without torch; torch_backend.py lets the same steps run on a GPU or in bfloat16.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from charrnn.gates import Advance, Buffer, gru, lstm, rnn
from charrnn.packing import Array, PackedWeights, aligned_zeros

State = tuple[Array, ...]  # (h,) or (h, c), each (L, B, H), as in torch
Tokens = int | npt.NDArray[np.integer[Any]]
Call = Callable[[], Any]


class Backend(Protocol):
    """Where the buffers live, and who calculates."""

    xp: Any  # numpy or torch
    group_size: int  # streams that are best stepped at once, where there are many
    on_cores: bool  # whether several steppers are best run on a thread each
    draws_blocks: bool  # whether tokens are best drawn where the buffers live (blocks.py)

    def use_one_core(self) -> None:
        """Make products on the calling thread run on one core."""

    def zeros(self, batch_size: int, size: int) -> Buffer:
        """Return a buffer (B, size); that of one stream may be (size,)."""

    def put(self, array: Array) -> Buffer:
        """Return `array` where the buffers live."""

    def place(self, weights: Array) -> Buffer:
        """Return `weights` where the buffers live: made once, for all steppers."""

    def fetcher(self, buffer: Buffer) -> Callable[[], Array]:
        """Return a call that gives `buffer` as an array, perhaps the same memory."""

    def constant(self, value: float) -> Any:
        """Return a scalar that is quick to calculate with."""

    def product(self, inputs: Buffer, matrix: Buffer, outputs: Buffer, bound: float | None) -> Call:
        """Return a call that writes inputs @ matrix to `outputs`.

        The last of the inputs is 1, and the others lie in [-bound, bound] if that is known.
        """

    def rows(self, table: Buffer, tokens: Tokens, outputs: Buffer) -> Buffer:
        """Return the rows of `table` for `tokens`, perhaps in `outputs`."""


class NumpyBackend:
    """Buffers in main memory; one stream is a vector, which is quicker than a matrix of one row."""

    xp: Any = np
    group_size = 64  # more do not fit the caches
    on_cores = True
    draws_blocks = False

    def __init__(self, dtype: npt.DTypeLike = np.float32) -> None:
        self.dtype = np.dtype(dtype)

    def use_one_core(self) -> None:
        """Do nothing: NumPy's threads are set for the whole process."""

    def zeros(self, batch_size: int, size: int) -> Array:
        return aligned_zeros((size,) if batch_size == 1 else (batch_size, size), self.dtype)

    def put(self, array: Array) -> Array:
        return array

    def place(self, weights: Array) -> Array:
        return weights

    def fetcher(self, buffer: Array) -> Callable[[], Array]:
        rows = buffer[None] if buffer.ndim == 1 else buffer
        return lambda: rows

    def constant(self, value: float) -> Array:
        return np.array(value, self.dtype)  # quicker than a Python number

    def product(self, inputs: Array, matrix: Array, outputs: Array, bound: float | None) -> Call:
        return partial(np.dot, inputs, matrix, outputs)

    def rows(self, table: Array, tokens: Tokens, outputs: Array) -> Array:
        if outputs.ndim == 1:
            row: Array = table[tokens]
            return row if type(tokens) is int else row.reshape(-1)
        return np.take(table, tokens, axis=0, out=outputs, mode="clip")


class Stepper:
    """A network that reads one token of each of B streams and says what may come next."""

    def __init__(
        self, packed: PackedWeights, batch_size: int = 1, backend: Backend | None = None
    ) -> None:
        """Start from the zero state; the weights are shared, not copied."""
        self.packed, self.batch_size = packed, batch_size
        self.backend = backend or NumpyBackend(packed.dtype)
        self._may_overflow = packed.may_overflow
        self._hiddens: list[Buffer] = []
        self._cells: list[Buffer] = []
        self._layers: list[tuple[Advance, Call, Buffer]] = []  # the last: what is above sees
        for layer in range(packed.config.num_layers):
            self._add_layer(layer)
        self._fetch_logits = self.backend.fetcher(self._layers[-1][2])
        self._find_rows = self._make_entrance()
        self.reset()

    def step(self, tokens: Tokens) -> Array:
        """Read `tokens`, an id or (B,) ids, and return the logits (B, V) of what follows.

        The next step may write over them. Logits that overflow are inf or NaN.
        """
        self.advance(tokens)
        return self._fetch_logits()

    def advance(self, tokens: Tokens | Buffer) -> None:
        """Read `tokens`, which may be where the buffers are; the logits stay there, in `logits`."""
        above = self._find_rows(tokens)
        for advance, product, next_above in self._layers:
            advance(above)
            product()
            above = next_above

    @property
    def logits(self) -> Buffer:
        """What follows, (B, V) or of one stream (V,), where the buffers live: always the same."""
        return self._layers[-1][2]

    def read(self, tokens: Sequence[int]) -> Array:
        """Read `tokens`, at least one, of one stream, and return the logits (1, V) after the last.

        Before it the output layer is left out, which pays where V is large.
        """
        layers = self._layers
        advance, _, logits = layers[-1]
        inner = self._quieted(self.backend.product(*self._inner, self.packed.hidden_bound))
        self._layers = [*layers[:-1], (advance, inner, logits)]
        for token in tokens[:-1]:
            self.advance(token)
        self._layers = layers
        return self.step(tokens[-1])

    def resized(self, batch_size: int, backend: Backend | None = None) -> "Stepper":
        """Return a stepper of the same weights for another number of streams, from zero."""
        return Stepper(self.packed, batch_size, backend or self.backend)

    def reset(self) -> None:
        """Go back to the zero state."""
        for buffer in (*self._hiddens, *self._cells):
            buffer[...] = 0
        self._refresh()

    @property
    def state(self) -> State:
        """A copy of the state, (h,) or (h, c), each (L, B, H); setting broadcasts over B."""
        hiddens = np.stack([self.backend.fetcher(part)() for part in self._hiddens])
        hiddens *= hiddens.dtype.type(1 / self.packed.hidden_scale)
        if not self._cells:
            return (hiddens,)
        return hiddens, np.stack([self.backend.fetcher(part)() for part in self._cells])

    @state.setter
    def state(self, state: State) -> None:
        for buffers, values, scale in zip(
            (self._hiddens, self._cells), state, (self.packed.hidden_scale, 1), strict=False
        ):
            for buffer, value in zip(buffers, values, strict=True):
                rows = value * value.dtype.type(scale)
                buffer[...] = self.backend.put(rows.reshape(-1) if buffer.ndim == 1 else rows)
        self._refresh()

    def _refresh(self) -> None:
        """Make each layer see its own hidden vector anew."""
        for _, product, _ in self._layers:
            product()

    def _add_layer(self, layer: int) -> None:
        """Make the buffers of `layer` and the calls that move it one token on."""
        packed, backend, config = self.packed, self.backend, self.packed.config
        matrix, columns = backend.place(packed.products[layer]), packed.num_columns
        inputs = backend.zeros(self.batch_size, config.hidden_size + 1)
        inputs[..., -1] = 1
        outputs = backend.zeros(self.batch_size, matrix.shape[1])
        hidden, seen = inputs[..., :-1], outputs[..., :columns]
        width = columns if layer + 1 < config.num_layers else config.vocab_size
        above = outputs[..., columns : columns + width]
        advance = self._quieted(self._make_advance(layer, seen, hidden))
        product = self._quieted(backend.product(inputs, matrix, outputs, packed.hidden_bound))
        self._layers.append((advance, product, above))
        self._hiddens.append(hidden)
        self._inner = inputs, matrix[:, :columns], seen  # of the top layer: all but the logits

    def _quieted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return `call`, without NumPy's warnings where the network may overflow."""
        if not self._may_overflow:
            return call
        return np.errstate(over="ignore", invalid="ignore")(call)

    def _make_advance(self, layer: int, seen: Buffer, hidden: Buffer) -> Advance:
        config, xp, constant = self.packed.config, self.backend.xp, self.backend.constant
        zeros = partial(self.backend.zeros, self.batch_size)
        if config.cell_type == "gru":
            return gru(xp, seen, hidden, zeros, constant)
        if config.cell_type == "rnn":
            return rnn(xp, seen, hidden, constant, config.nonlinearity)
        peepholes = self.packed.peepholes
        peephole = self.backend.place(peepholes[layer]) if peepholes else None
        advance, cell = lstm(xp, seen, hidden, zeros, constant, peephole)
        self._cells.append(cell)
        return advance

    def _make_entrance(self) -> Callable[[Tokens | Buffer], Buffer]:
        """Return a call that gives what layer 0 sees of tokens: (B, G*H), or (G*H,) of one."""
        packed, backend = self.packed, self.backend
        outputs = backend.zeros(self.batch_size, packed.num_columns)
        if packed.table is not None:
            table, rows = backend.place(packed.table), backend.rows
            return lambda tokens: rows(table, tokens, outputs)
        assert packed.embedding is not None
        assert packed.entrance is not None
        embedding, entrance = backend.place(packed.embedding), backend.place(packed.entrance)
        inputs = backend.zeros(self.batch_size, len(entrance))
        inputs[..., -1] = 1
        vectors = backend.zeros(self.batch_size, len(entrance) - 1)
        product = backend.product(inputs, entrance, outputs, None)

        def embed(tokens: Tokens | Buffer) -> Buffer:
            inputs[..., :-1] = backend.rows(embedding, tokens, vectors)
            product()
            return outputs

        return embed
