"""A window's streams dealt to threads: each makes the gradients of its part, side by side.

OpenMP divides every small product of a recurrence among the cores and makes them wait for each
other several times a token; where one core has other work to do, all wait for it. Here each thread
runs the whole window for its own streams on one core, and they meet once a window. The sums are
made in a fixed order, so the same number of shards gives the same bits.
"""

import copy
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from threading import Barrier

import torch
from torch import Tensor

from charrnn.batches import Window
from charrnn.cells import State
from charrnn.config import ModelConfig
from charrnn.model import LanguageModel
from charrnn.modeldir.shapes import weight_shapes
from charrnn.onednn import is_possible
from charrnn.rows import add_gradients
from charrnn.wide import is_wide

MIN_STREAMS = 8  # of a shard: with fewer the products are too thin
MAX_GRADIENT = 1_600_000  # weights of a layer whose gradient each thread can have for itself

Forward = Callable[[LanguageModel, Window, State | None], tuple[Tensor, State]]


def num_shards(
    model: ModelConfig, device: str, threads: int, batch_size: int, precision: str
) -> int:
    """Return into how many parts a batch is dealt: at most one a thread, 1 on a GPU.

    torch's kernels add to a layer's gradient at every token. Where that is large, threads that each
    have one of their own are slower than threads that divide one; wide.py adds once a window, and
    needs a thread a core.
    """
    count, largest = max(1, min(threads, batch_size // MIN_STREAMS)), largest_layer(model)
    own = model.cell_type == "lstm" and precision == "bf16" and is_possible()
    if own and is_wide(largest) and count == threads and device == "cpu":
        return count
    return 1 if device != "cpu" or largest > MAX_GRADIENT else count


def largest_layer(model: ModelConfig) -> int:
    """Return how many weights the largest layer has."""
    sizes = dict(weight_shapes(model))
    return max(
        sum(math.prod(shape) for name, shape in sizes.items() if name.endswith(f"_l{layer}"))
        for layer in range(model.num_layers)
    )


class Shards:
    """Threads that each hold the same weights and a random generator of their own."""

    def __init__(self, model: LanguageModel, count: int, threads: int) -> None:
        """Start `count` threads, at least 2, which share `threads` cores."""
        assert count > 1
        self.parameters = list(model.parameters())
        self.pool = ThreadPoolExecutor(count, thread_name_prefix="shard")
        self.replicas = [copy.copy(model) for _ in range(count)]  # the parameters are shared
        for replica in self.replicas:
            replica.generator = torch.Generator()
            replica.training = True
        limit_threads(self.pool, count, threads // count)
        torch.set_num_threads(threads)

    def gradients(
        self, forward: Forward, window: Window, state: State | None, generator: torch.Generator
    ) -> tuple[Tensor, State]:
        """Set the gradients of the mean loss of `window`; return the loss and the state after it.

        `forward` returns the sum of the losses of a window's targets, in nats, and the state after
        it. Draws one number from `generator`, on which all that is random in the shards depends.
        """
        seed = int(torch.randint(2**62, (1,), generator=generator))
        cuts = [window.inputs.shape[1] * i // len(self.replicas) for i in range(len(self.replicas))]
        borders = list(pairwise([*cuts, window.inputs.shape[1]]))
        parts = [
            self.pool.submit(self._part, index, seed, forward, deal(window, state, *border))
            for index, border in enumerate(borders)
        ]
        done = [part.result() for part in parts]
        total = add_gradients([gradients for gradients, _, _ in done])
        for parameter, gradient in zip(self.parameters, total, strict=True):
            parameter.grad = gradient
        loss = sum((loss for _, loss, _ in done), torch.zeros(()))
        states = zip(*(state for _, _, state in done), strict=True)
        return loss, tuple(torch.cat(parts, dim=1) for parts in states)

    def _part(
        self, index: int, seed: int, forward: Forward, dealt: tuple[Window, State | None]
    ) -> tuple[tuple[Tensor, ...], Tensor, State]:
        """Return one part's share of the gradients and of the mean loss, and its state."""
        replica = self.replicas[index]
        if replica.generator is not None:
            replica.generator.manual_seed(seed + index)
        total, state = forward(replica, *dealt)
        loss = total / dealt[0].num_targets
        return torch.autograd.grad(loss, self.parameters), loss.detach(), state


def deal(window: Window, state: State | None, begin: int, end: int) -> tuple[Window, State | None]:
    """Return the streams `begin` to `end` (exclusive) of a window, and their state."""
    part = Window(
        window.inputs[:, begin:end],
        window.targets[:, begin:end],
        None if window.keep is None else window.keep[begin:end],
        window.num_targets,
    )
    return part, None if state is None else tuple(each[:, begin:end] for each in state)


def limit_threads(pool: ThreadPoolExecutor, count: int, threads: int) -> None:
    """Make each of a pool's `count` threads run torch on `threads` cores."""
    met = Barrier(count)

    def limit() -> None:
        torch.set_num_threads(threads)
        assert torch.get_num_threads() == threads  # torch settles a thread's number at first use
        met.wait()

    for done in [pool.submit(limit) for _ in range(count)]:
        done.result()
