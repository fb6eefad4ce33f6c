"""Token ids -> training windows for truncated back-propagation through time.

14 tokens a..n, laid out in 2 streams, read in windows of 3:

    stream 0   a b c d e f g    window 1 reads abc, hij and predicts bcd, ijk
    stream 1   h i j k l m n    window 2 reads def, klm and predicts efg, lmn

Each stream of a window goes on where the same stream of the window before it stopped, so that the
network's state can be carried from one to the next. With documents each stream reads one document
after the other, and its state starts anew with each. Windows are time-major: (T, B).
"""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.generic]  # (N,) of uint8, uint16 or int32, perhaps on disk
IGNORED = -100  # a target that does not count: the padding behind a short document


class Window(NamedTuple):
    """One truncated-BPTT step: `targets` are `inputs` one token later."""

    inputs: NDArray[np.int64]  # (T, B)
    targets: NDArray[np.int64]  # (T, B), IGNORED where there is none
    keep: NDArray[np.bool_] | None  # (B,) False where the state starts anew; None: all carried
    num_targets: int


class Batches(Protocol):
    """An endless source of windows that can say where it is, and go back there."""

    @property
    def epoch(self) -> float:
        """Passes over the text so far, with the fraction of the current one."""

    @property
    def steps_per_epoch(self) -> float:
        """Windows in one pass, on average."""

    def next_window(self) -> Window:
        """Return the next window and move on."""

    def cursor(self) -> dict[str, NDArray[np.int64]]:
        """Return all that `restore` needs to go on exactly here."""

    def restore(self, cursor: Mapping[str, NDArray[np.int64]]) -> None:
        """Go to where `cursor` was taken; raise ValueError where this text has no such place."""


def epoch_generator(seed: int, epoch: int) -> np.random.Generator:
    """Return the generator of one pass: a function of (seed, epoch), so that it needs no saving."""
    return np.random.Generator(np.random.Philox(key=np.array([seed, epoch], dtype=np.uint64)))


class StreamBatches:
    """Contiguous streams of one endless text.

    Every pass but the first starts at a random offset below T, so that the borders of the windows,
    where the gradient is cut, move. At each window a stream's state starts anew with probability
    `reset_share`: else the network would meet the empty state, from which every sample and every
    score begins, only once a pass, and may never find its way out of where that leads.
    """

    def __init__(
        self, ids: Ids, batch_size: int, seq_length: int, seed: int, reset_share: float = 0.0
    ) -> None:
        """Lay out `ids` (N >= 2) as `batch_size` streams; B * 2 <= N, or streams would be empty."""
        self.ids, self.seq_length, self.seed = ids, seq_length, seed
        self.reset_share = reset_share
        self.stream_length = (len(ids) - 1) // batch_size  # targets in a stream
        self.starts = np.arange(batch_size, dtype=np.int64) * self.stream_length
        self.pass_index, self.position = 0, 0

    @property
    def epoch(self) -> float:
        return self.pass_index + self.position / self.stream_length

    @property
    def steps_per_epoch(self) -> float:
        return -(-self.stream_length // self.seq_length)

    def next_window(self) -> Window:
        restart = self.pass_index == 0 and self.position == 0
        if self.position >= self.stream_length:
            self._start_pass()
            restart = True
        length = min(self.seq_length, self.stream_length - self.position)
        index = self.starts + np.arange(self.position, self.position + length + 1)[:, None]
        block = self.ids[index].astype(np.int64)  # (T + 1, B)
        self.position += length
        keep = np.zeros(len(self.starts), dtype=np.bool_) if restart else self._keep()
        return Window(block[:-1], block[1:], keep, length * len(self.starts))

    def _keep(self) -> NDArray[np.bool_] | None:
        """Return which streams keep their state: drawn anew for each place in the text."""
        if not self.reset_share:
            return None
        key = np.array([self.seed, self.pass_index], dtype=np.uint64)
        rng = np.random.Generator(np.random.Philox(key=key, counter=self.position))
        return rng.random(len(self.starts)) >= self.reset_share

    def _start_pass(self) -> None:
        self.pass_index += 1
        slack = min(self.seq_length, self.stream_length)
        self.position = int(epoch_generator(self.seed, self.pass_index).integers(slack))

    def cursor(self) -> dict[str, NDArray[np.int64]]:
        return {"stream": np.array([self.pass_index, self.position], dtype=np.int64)}

    def restore(self, cursor: Mapping[str, NDArray[np.int64]]) -> None:
        pass_index, position = (int(value) for value in cursor["stream"])
        if pass_index < 0 or not 0 <= position <= self.stream_length:
            raise ValueError(f"its place is {position} of {self.stream_length}")
        self.pass_index, self.position = pass_index, position


class DocumentBatches:
    """Documents `<s> ... </s>` in random order, one after the other in each stream.

    Documents of like length are read at the same time (sorted within pools of 32 rounds), so that
    few windows end in padding; the pools, and the order in which they are read, change each pass.
    """

    POOL_ROUNDS = 32

    def __init__(self, ids: Ids, bos_id: int, batch_size: int, seq_length: int, seed: int) -> None:
        """Find the documents in `ids`, each of which starts with `bos_id`."""
        self.ids, self.batch_size, self.seq_length, self.seed = ids, batch_size, seq_length, seed
        self.starts = np.flatnonzero(np.asarray(ids) == bos_id).astype(np.int64)
        self.ends = np.append(self.starts[1:], len(ids))
        self.pass_index = 0
        self._start_pass()

    def _start_pass(self) -> None:
        rng = epoch_generator(self.seed, self.pass_index)
        order = rng.permutation(len(self.starts))
        lengths = self.ends - self.starts
        pool = self.batch_size * self.POOL_ROUNDS
        pools = [order[i : i + pool] for i in range(0, len(order), pool)]
        self.order = np.concatenate([p[np.argsort(lengths[p], kind="stable")] for p in pools])
        self.next_document = 0
        self.position = np.zeros(self.batch_size, dtype=np.int64)  # the next input of each stream
        self.last = np.zeros(self.batch_size, dtype=np.int64)  # the last token of its document

    @property
    def epoch(self) -> float:
        unread = int((self.last - self.position).sum())
        mean = max(1.0, len(self.ids) / len(self.starts))
        done = max(0.0, self.next_document - unread / mean)
        return self.pass_index + done / len(self.order)

    @property
    def steps_per_epoch(self) -> float:
        lengths = np.sort(self.ends - self.starts - 1)
        longest = lengths[:: -self.batch_size]
        return float(np.maximum(1, -(-longest // self.seq_length)).sum())

    def next_window(self) -> Window:
        return self.next_with_positions()[0]

    def next_with_positions(self) -> tuple[Window, NDArray[np.int64]]:
        """Return the next window, and where in the ids each of its inputs stands, (T, B)."""
        fresh = self._deal()
        if not (self.position < self.last).any():
            self.pass_index += 1
            self._start_pass()
            fresh = self._deal()
        length = min(self.seq_length, int((self.last - self.position).max()))
        index = self.position + np.arange(length)[:, None]  # (T, B)
        real = index < self.last
        index = np.minimum(index, np.maximum(self.last - 1, 0))
        inputs = self.ids[index].astype(np.int64)
        targets = np.where(real, self.ids[index + 1].astype(np.int64), IGNORED)
        self.position = np.minimum(self.position + length, self.last)
        return Window(inputs, targets, ~fresh, int(real.sum())), index

    def _deal(self) -> NDArray[np.bool_]:
        """Give each idle stream its next document; return which streams got one, (B,)."""
        idle = np.flatnonzero(self.position >= self.last)
        documents = self.order[self.next_document : self.next_document + len(idle)]
        self.next_document += len(documents)
        idle = idle[: len(documents)]
        self.position[idle] = self.starts[documents]
        self.last[idle] = self.ends[documents] - 1
        fresh = np.zeros(self.batch_size, dtype=np.bool_)
        fresh[idle] = True
        return fresh

    def cursor(self) -> dict[str, NDArray[np.int64]]:
        place = np.array([self.pass_index, self.next_document], dtype=np.int64)
        return {"place": place, "position": self.position.copy(), "last": self.last.copy()}

    def restore(self, cursor: Mapping[str, NDArray[np.int64]]) -> None:
        pass_index, next_document = (int(value) for value in cursor["place"])
        position, last = cursor["position"].copy(), cursor["last"].copy()
        if pass_index < 0 or not 0 <= next_document <= len(self.starts):
            raise ValueError(f"its place is document {next_document} of {len(self.starts)}")
        if not ((position >= 0) & (position <= last) & (last < len(self.ids))).all():
            raise ValueError("its place is outside the text")
        self.pass_index = pass_index
        self._start_pass()
        self.next_document = next_document
        self.position, self.last = position, last
