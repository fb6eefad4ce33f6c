"""Many tokens a call, drawn on the device that holds the network: nothing is asked in between.

A block is K steps of B streams. On CUDA a step is captured as a graph, of which a block replays K:
one launch a token, and the host waits once a block. The first block is drawn as it is, so that the
libraries have their workspaces, and short samples need no graph. The uniform numbers come from the
host, so that a sample is drawn from the same ones as on a CPU. Streams that are complete within a
block are drawn on to its end; what comes of that is the caller's to leave.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any

import torch

from charrnn.devicedraws import DeviceDraws
from charrnn.packing import Array
from charrnn.stepper import Stepper

NUM_TOKENS = 32  # of each stream, at most


def block_size(length: int) -> int:
    """Return how many tokens a block has, so that few are drawn beyond `length` (0: no end)."""
    num_blocks = -(-length // NUM_TOKENS)
    return -(-length // num_blocks) if length else NUM_TOKENS


class Blocks:
    """Draws blocks, each from where the last has ended."""

    def __init__(
        self, stepper: Stepper, draws: DeviceDraws, num_tokens: int, stream: Any = None
    ) -> None:
        """Begin with the logits that `stepper` has for its state; it is stepped from now on here.

        Its backend is a TorchBackend. `stream` is a CUDA stream of its device; None makes one.
        """
        self._stepper, self._draws, self.num_tokens = stepper, draws, num_tokens
        self._device = draws.recent.device
        numbers = torch.zeros(num_tokens, stepper.batch_size, dtype=torch.float64)
        self._numbers = numbers.to(self._device)
        self._drawn = torch.stack([numbers, numbers]).to(self._device)  # tokens, ln p
        self._place = torch.zeros(1, dtype=torch.int64, device=self._device)  # in the block
        self._stream = stream or self._make_stream()
        self._steps: list[Callable[[], None]] = []  # the ways to make a step that were tried

    def draw(self, numbers: Array) -> tuple[Array, Array]:
        """Return tokens (K, B) and their ln p, drawn by uniform `numbers` (K, B).

        Where the logits were not finite ln p is NaN, and the rest of that stream is worthless.
        """
        with self._on_stream():
            self._numbers.copy_(torch.from_numpy(numbers))
            self._place.zero_()
            step = self._choose_step()
            for _ in range(self.num_tokens):
                step()
            tokens, logprobs = self._drawn.cpu().numpy()
        return tokens.astype(int), logprobs

    def narrowed(self, rows: Sequence[int]) -> "Blocks":
        """Return what goes on with these of the streams, in the place of this, which is over."""
        self._steps.clear()  # a graph keeps memory
        stepper = self._stepper.resized(len(rows))
        stepper.state = tuple(part[:, rows] for part in self._stepper.state)
        return Blocks(stepper, self._draws.keep(rows), self.num_tokens, self._stream)

    def _step(self) -> None:
        """Draw a token of each stream, and read it."""
        numbers = self._numbers.index_select(0, self._place)[0]
        tokens, logprobs = self._draws.draw(self._stepper.logits, numbers)
        drawn = torch.stack([tokens.double(), logprobs])[:, None]
        self._drawn.index_copy_(1, self._place, drawn)
        self._place.add_(1)
        self._stepper.advance(tokens)

    def _choose_step(self) -> Callable[[], None]:
        """Return what makes a step: itself in the first block, then a graph if there can be one."""
        if not self._steps:
            self._steps.append(self._step)
        elif len(self._steps) == 1:
            self._steps.append(self._captured() if self._device.type == "cuda" else self._step)
        return self._steps[-1]

    def _captured(self) -> Callable[[], None]:
        """Return a call that does what `_step` does, as a CUDA graph where it can be captured."""
        try:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
                self._step()
        except RuntimeError:
            return self._step
        return graph.replay

    def _make_stream(self) -> Any:
        if self._device.type != "cuda":
            return None
        with torch.cuda.device(self._device):
            return torch.cuda.Stream()  # type: ignore[no-untyped-call]

    def _on_stream(self) -> AbstractContextManager[Any]:
        """Return a context in which all is done on the stream, after what came before."""
        if self._stream is None:
            return nullcontext()
        contexts = ExitStack()
        contexts.enter_context(torch.cuda.device(self._device))
        self._stream.wait_stream(torch.cuda.current_stream())
        contexts.enter_context(torch.cuda.stream(self._stream))
        return contexts
