"""Several processes that train one network: what they say to each other.

Started by `torchrun --nproc-per-node N -m charrnn train ..`. Synchronous data parallelism: each
rank has its share of a window's streams; the gradients are summed over all ranks and each makes the
same update, so that their weights stay equal, which is checked at every save. Rank 0 leads: it
alone reads the clock, decides, speaks and writes; the others do as it says. Nothing that is sent
can run code: numbers and bytes only.
"""

import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from enum import IntEnum

import numpy as np
import torch
from torch import Tensor, distributed

from charrnn.batches import Window
from charrnn.cells import State
from charrnn.cores import num_ranks
from charrnn.errors import ConfigError, PeerError
from charrnn.model import LanguageModel
from charrnn.rows import add_rows, sparse
from charrnn.shards import deal

PATIENCE = timedelta(hours=2)  # the longest that a rank waits for another, in an evaluation say
SUM_PATIENCE = timedelta(minutes=5)  # the same on GPUs, for gradients that all have begun to sum


class Command(IntEnum):
    """What rank 0 wants all to do next."""

    STEP = 1  # one update, at a rate
    GATHER = 2  # send the parts of the training state that only you have
    SHARE = 3  # take over rank 0's whole training state
    END = 4


@dataclass(frozen=True)
class Ranks:
    """The group of processes, seen from one of them."""

    rank: int
    size: int
    # The group that gradients are summed in; None: that of all messages
    sums: distributed.ProcessGroup | None = field(default=None, compare=False)
    sent: list[Tensor] = field(default_factory=list, compare=False)  # by the last command

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def command(self, kind: Command = Command.END, rate: float = 0.0) -> tuple[Command, float]:
        """Return what rank 0 says, which on rank 0 are the arguments."""
        message = torch.tensor([float(kind), rate], dtype=torch.float64)
        self.sent[:] = [message]
        with peers():
            distributed.broadcast(message, 0)
        return Command(int(message[0])), float(message[1])

    def leave(self) -> None:
        """Leave the group, after Command.END: its threads end before the process does.

        Up to torch 2.7 this joins gloo's threads while it holds the GIL. A thread that drops the
        last reference to a tensor needs the GIL, so that both would wait for ever: `sent` keeps it.
        """
        with peers():
            distributed.destroy_process_group()

    def send(self, data: bytes = b"") -> bytes:
        """Return the bytes that rank 0 has."""
        size = torch.tensor([len(data)])
        with peers():
            distributed.broadcast(size, 0)
            content = np.frombuffer(data, np.uint8) if self.leads else np.empty(int(size), np.uint8)
            tensor = torch.from_numpy(content.copy())
            distributed.broadcast(tensor, 0)
        return tensor.numpy().tobytes()

    def add(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor, in place, by its sum over all ranks: one message for all of them."""
        flat = torch.cat([tensor.detach().float().flatten() for tensor in tensors])
        with peers():
            distributed.all_reduce(flat, group=self.sums)
        begin = 0
        for tensor in tensors:
            tensor.detach().copy_(flat[begin : begin + tensor.numel()].view_as(tensor))
            begin += tensor.numel()

    def sum_rows(self, gradient: Tensor) -> Tensor:
        """Return the sum of a sparse gradient over all ranks; each sends only rows that it has.

        All get the rows of all: up to 2 V / R ranks (V, K with R rows) less than the whole sums.
        """
        rows, values = self.gather(gradient.indices()[0], 0), self.gather(gradient.values(), 0)
        parts = [sparse(*part, gradient.shape) for part in zip(rows, values, strict=True)]
        return add_rows(parts).to(gradient.device)

    def gather(self, tensor: Tensor, dim: int = 1) -> list[Tensor]:
        """Return the tensor of each rank; they may differ in the size of dimension `dim` only."""
        widths = [torch.zeros(1, dtype=torch.int64) for _ in range(self.size)]
        with peers():
            distributed.all_gather(widths, torch.tensor([tensor.shape[dim]]))
            sizes = list(tensor.shape)
            sizes[dim] = max(int(width) for width in widths)
            padded = torch.zeros(sizes, dtype=tensor.dtype)
            padded.narrow(dim, 0, tensor.shape[dim]).copy_(tensor)
            found = [torch.empty_like(padded) for _ in range(self.size)]
            distributed.all_gather(found, padded)
        return [
            whole.narrow(dim, 0, int(width)) for whole, width in zip(found, widths, strict=True)
        ]

    def streams(self, batch_size: int) -> slice:
        """Return which of `batch_size` streams are this rank's."""
        return slice(batch_size * self.rank // self.size, batch_size * (self.rank + 1) // self.size)

    def own_window(self, window: Window) -> Window:
        """Return this rank's streams of a window; `num_targets` stays that of the whole."""
        mine = self.streams(window.inputs.shape[1])
        return deal(window, None, mine.start, mine.stop)[0]

    def whole_state(self, state: State | None) -> State | None:
        """Return the state of all streams, each part (L, B, H), on every rank."""
        if state is None:
            return None
        return tuple(torch.cat(self.gather(part), dim=1) for part in state)

    def whole_random(self, state: Tensor) -> Tensor:
        """Return the states of all ranks' random generators, (ranks, bytes)."""
        return torch.cat(self.gather(state[None, None]), dim=1)[0]

    def check_equal(self, model: LanguageModel) -> None:
        """Raise PeerError where the ranks' weights are not the same, bit for bit."""
        sums = torch.tensor([[checksum(model)]])
        found = {int(part) for part in self.gather(sums)}
        if len(found) > 1:
            raise PeerError(f"{self.size} ranks have {len(found)} different sets of weights")


def checksum(model: LanguageModel) -> int:
    """Return a number that equal weights share, and hardly any others."""
    value = 0
    for parameter in model.parameters():
        value = zlib.crc32(parameter.detach().cpu().numpy().tobytes(), value)
    return value


def join_ranks() -> Ranks | None:
    """Return the group that torchrun started this process in; None where it runs alone.

    What carries the messages is the same on all ranks of like machines: only rank 0 knows yet which
    device the run is on.
    """
    if num_ranks() == 1:
        return None
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    sums = None
    with peers():
        distributed.init_process_group(backend, timeout=PATIENCE)
        if backend != "gloo":
            sums = distributed.new_group(backend=backend, timeout=SUM_PATIENCE)
    return Ranks(distributed.get_rank(), distributed.get_world_size(), sums)


def check_streams(ranks: Ranks, batch_size: int) -> None:
    """Raise ConfigError where there are not enough streams for all."""
    if batch_size < ranks.size:
        raise ConfigError(f"batch size {batch_size} is too small for {ranks.size} processes")


@contextmanager
def peers() -> Iterator[None]:
    """Raise PeerError where another rank is gone."""
    try:
        yield
    except RuntimeError as error:
        raise PeerError(
            "another process of this run is gone: go on with --resume, on as many processes"
        ) from error
