"""Steps on a GPU, or with smaller weights on a CPU: backends for stepper.py that need torch.

Importing this module imports torch; a stepper on NumPy alone does not need it.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from charrnn import fbgemm, int8, onednn
from charrnn.machine import cpu_multiplies_bf16
from charrnn.packing import Array
from charrnn.stepper import Backend, Call, NumpyBackend, Tokens

DEPTH = 64  # bfloat16 matrix units like inner sizes that are a multiple of this


class TorchMath:
    """What gates.py calls of numpy, done by torch: the result goes to the last argument."""

    maximum = staticmethod(torch.maximum)

    @staticmethod
    def add(first: Tensor, second: Tensor, out: Tensor) -> Tensor:
        return torch.add(first, second, out=out)

    @staticmethod
    def subtract(first: Tensor, second: Tensor, out: Tensor) -> Tensor:
        return torch.sub(first, second, out=out)

    @staticmethod
    def multiply(first: Tensor, second: Tensor, out: Tensor) -> Tensor:
        return torch.mul(first, second, out=out)

    @staticmethod
    def tanh(value: Tensor, out: Tensor) -> Tensor:
        return torch.tanh(value, out=out)


T = TypeVar("T")


class Placed(Generic[T]):
    """Weights that were brought into another form: once for each array, which is kept alive.

    Called with an array and what else the form depends on.
    """

    def __init__(self, make: Callable[..., T]) -> None:
        self._make = make
        self._made: dict[tuple[Any, ...], tuple[Array, T]] = {}

    def __call__(self, weights: Array, *options: Any) -> T:
        key = id(weights), *options
        if key not in self._made:
            self._made[key] = weights, self._make(weights, *options)
        return self._made[key][1]


class TorchBackend:
    """Buffers on `device`, always (B, size)."""

    xp: Any = TorchMath
    group_size = 1024
    on_cores = False

    def __init__(self, device: str, dtype: torch.dtype = torch.float32) -> None:
        self.device, self.dtype = torch.device(device), dtype
        self.draws_blocks = self.device.type == "cuda"
        self._placed = Placed(self.put)

    def use_one_core(self) -> None:
        torch.set_num_threads(1)

    def zeros(self, batch_size: int, size: int) -> Tensor:
        return torch.zeros(batch_size, size, device=self.device, dtype=self.dtype)

    def put(self, array: Array) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device, self.dtype)

    def place(self, weights: Array) -> Tensor:
        return self._placed(weights)

    def fetcher(self, buffer: Tensor) -> Callable[[], Array]:
        return lambda: buffer.cpu().numpy()

    def constant(self, value: float) -> Tensor:
        return torch.tensor(value, device=self.device, dtype=self.dtype)

    def product(self, inputs: Tensor, matrix: Tensor, outputs: Tensor, bound: float | None) -> Call:
        return partial(torch.mm, inputs, matrix, out=outputs)

    def rows(self, table: Tensor, tokens: Tokens | Tensor, outputs: Tensor) -> Tensor:
        if not isinstance(tokens, Tensor):
            tokens = torch.from_numpy(np.atleast_1d(np.asarray(tokens, np.int64))).to(self.device)
        return torch.index_select(table, 0, tokens, out=outputs)


class BatchBackend(NumpyBackend):
    """NumPy but for the products of batches, which torch makes with less precise weights."""

    group_size = 128

    def use_one_core(self) -> None:
        """Make torch compute on the calling thread alone."""
        torch.set_num_threads(1)


class Bfloat16Backend(BatchBackend):
    """Products in bfloat16, on CPUs with units for it."""

    def __init__(self) -> None:
        super().__init__(np.float32)
        self._laid_out = onednn.is_possible()
        self._low = Placed(self._lower)

    def _lower(self, matrix: Array) -> Tensor:
        low = lower(matrix[:-1])
        return onednn.lay_out(low.t().contiguous(), self.group_size) if self._laid_out else low

    def product(self, inputs: Array, matrix: Array, outputs: Array, bound: float | None) -> Call:
        """See Backend; the last of `inputs` is 1, so that the last row of `matrix` is a bias."""
        if inputs.ndim == 1:
            return super().product(inputs, matrix, outputs, bound)
        low_matrix, bias = self._low(matrix), torch.from_numpy(matrix[-1]).bfloat16()
        depth = inputs.shape[1] - 1  # without the 1, for good sizes have no room for it
        low_inputs = torch.zeros(len(inputs), padded(depth), dtype=torch.bfloat16)
        begin, source = low_inputs[:, :depth], torch.from_numpy(inputs[:, :depth])
        target = torch.from_numpy(outputs)
        if self._laid_out:
            times = partial(onednn.product, low_inputs, low_matrix, bias)
        else:
            times = partial(torch.addmm, bias, low_inputs, low_matrix)

        def multiply() -> None:
            begin.copy_(source)
            target.copy_(times())

        return multiply


class Int8Backend(BatchBackend):
    """Products in integers of 8 bits, where the inputs have a bound and the weights allow it."""

    def __init__(self, rest: Backend) -> None:
        """`rest` makes the other products, on buffers of NumPy."""
        super().__init__(np.float32)
        self._rest = rest
        self._laid = Placed(self._lay_out)

    def product(self, inputs: Array, matrix: Array, outputs: Array, bound: float | None) -> Call:
        """See Backend; the last of `inputs` is 1, so that the last row of `matrix` is a bias."""
        laid = None if inputs.ndim == 1 or bound is None else self._laid(matrix, bound)
        if laid is None or bound is None:
            return self._rest.product(inputs, matrix, outputs, bound)
        rows, unit = inputs[:, :-1], bound / int8.LARGEST
        scaled, integers = np.empty(rows.shape, np.float32), np.empty(rows.shape, np.uint8)
        low_rows, bias = torch.from_numpy(integers), torch.from_numpy(matrix[-1])
        per_unit, middle = np.float32(1 / unit), np.float32(int8.ZERO + 0.5)
        target = torch.from_numpy(outputs)

        def multiply() -> None:
            np.multiply(rows, per_unit, scaled)
            np.add(scaled, middle, scaled)
            np.copyto(integers, scaled, "unsafe")  # cuts off what is behind the point
            target.copy_(int8.product(low_rows, unit, laid, bias))

        return multiply

    def _lay_out(self, matrix: Array, bound: float) -> int8.Laid | None:
        return int8.lay_out(matrix[:-1], bound, self.group_size)


class Float16Backend(NumpyBackend):
    """NumPy but for the products, with weights in float16: for one stream of a large network."""

    def __init__(self) -> None:
        super().__init__(np.float32)
        self._half = Placed(lambda matrix: fbgemm.lay_out(matrix[:-1]))

    def product(self, inputs: Array, matrix: Array, outputs: Array, bound: float | None) -> Call:
        """See Backend; the last of `inputs` is 1, so that the last row of `matrix` is a bias."""
        laid, bias = self._half(matrix), matrix[-1]
        rows, sums = torch.from_numpy(np.atleast_2d(inputs)[:, :-1]), np.atleast_2d(outputs)
        return lambda: np.add(fbgemm.product(rows, laid).numpy(), bias, sums)


def for_batches() -> NumpyBackend:
    """Return what steps many samples at once best on this CPU."""
    rest = Bfloat16Backend() if cpu_multiplies_bf16() else NumpyBackend()
    return Int8Backend(rest) if int8.is_possible() else rest


def padded(depth: int) -> int:
    """Return the next good inner size."""
    return -(-depth // DEPTH) * DEPTH


def lower(matrix: Array) -> Tensor:
    """Return `matrix` in bfloat16, with rows of zeros up to a good inner size."""
    depth, width = matrix.shape
    low = torch.zeros(padded(depth), width, dtype=torch.bfloat16)
    low[:depth] = torch.from_numpy(matrix)
    return low
