"""Many tokens a call, drawn on the device that holds the network: nothing is asked in between.

A block is K steps of B streams. On CUDA it is captured as a graph when it is made, and each call
replays it: one launch for all kernels of all steps, and the host waits once. The uniform numbers
come from the host, so that a sample is drawn from the same ones as on a CPU. Streams that are
complete within a block are drawn on to its end, which the others do not notice.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from charrnn.devicedraws import DeviceDraws
from charrnn.filters import check_finite
from charrnn.packing import Array
from charrnn.stepper import Stepper

NUM_TOKENS = 32  # of each stream, at most


def block_size(length: int) -> int:
    """Return how many tokens a block has, so that few are drawn beyond `length` (0: no end)."""
    num_blocks = -(-length // NUM_TOKENS)
    return -(-length // num_blocks) if length else NUM_TOKENS


class Blocks:
    """Draws blocks, each from where the last has ended."""

    def __init__(self, stepper: Stepper, draws: DeviceDraws, num_tokens: int) -> None:
        """Begin with the logits that `stepper` has for its state; it is stepped from now on here.

        Its backend is a TorchBackend.
        """
        self._stepper, self._draws, self.num_tokens = stepper, draws, num_tokens
        device, shape = draws.recent.device, (num_tokens, stepper.batch_size)
        self._numbers = torch.zeros(shape, dtype=torch.float64, device=device)
        self._tokens = torch.zeros(shape, dtype=torch.int64, device=device)
        self._logprobs = torch.zeros(shape, dtype=torch.float64, device=device)
        self._draw_block = self._captured(device) if device.type == "cuda" else self._run

    def draw(self, numbers: Array) -> tuple[Array, Array]:
        """Return tokens (K, B) and their ln p, drawn by uniform `numbers` (K, B).

        Raises ModelError where logits are not finite.
        """
        self._numbers.copy_(torch.from_numpy(numbers))
        self._draw_block()
        tokens, logprobs = self._tokens.cpu().numpy(), self._logprobs.cpu().numpy()
        check_finite(0.0 if self._draws.all_finite.item() else np.nan)
        return tokens, logprobs

    def narrowed(self, rows: Sequence[int]) -> "Blocks":
        """Return what goes on with these of the streams."""
        stepper = self._stepper.resized(len(rows))
        stepper.state = tuple(part[:, rows] for part in self._stepper.state)
        return Blocks(stepper, self._draws.keep(rows), self.num_tokens)

    def _run(self) -> None:
        """Draw a block, one operation after the other."""
        for step in range(self.num_tokens):
            tokens, logprobs = self._draws.draw(self._stepper.logits, self._numbers[step])
            self._tokens[step] = tokens
            self._logprobs[step] = logprobs
            self._stepper.advance(tokens)

    def _captured(self, device: torch.device) -> Callable[[], None]:
        """Return a call that does what `_run` does, as a CUDA graph.

        It is run once before, so that libraries have their workspaces; what that changed is put
        back.
        """
        state, recent = self._stepper.state, self._draws.recent.clone()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(device):
            stream: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                self._run()
            torch.cuda.current_stream().wait_stream(stream)
            with torch.cuda.graph(graph):
                self._run()
        self._draws.recent.copy_(recent)
        self._stepper.state = state

        def replay() -> None:
            with torch.cuda.device(device):
                graph.replay()

        return replay
