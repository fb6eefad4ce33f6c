"""The common pass: the states and gates of a text, of every cell type, layer by layer, in order.

A text is cut into pieces that run side by side. Each starts from a guess, the state after a short
warm-up; where the piece before it ends in another state it runs again from that one, until all fit
together. So the result is that of one single pass, also for cells that never forget; where no guess
fits at all, the pieces after that run one by one.

    piece 0   [----------->|
    piece 1      [warm-up] [----------->|      again, if | and [ differ
    piece 2                   [warm-up] [----------->|

torch's fused kernels give the hidden vectors of a layer; its gates are then one matrix product, and
the cells a scan over time (charrnn.views.recomputed). One section is in memory at a time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from charrnn.encoding import Ids

if TYPE_CHECKING:
    from torch import Tensor

    from charrnn.cells import State
    from charrnn.model import LanguageModel

MAX_PIECES = 64  # that run side by side
PIECE_TOKENS = 1024  # at most, of one piece
SECTION_NUMBERS = 1 << 22  # of one signal of one layer, at most
WARM_UP = 256  # tokens read before a piece for the first guess
SAME = 2e-5  # states that differ by less are the same

Signals = dict[str, NDArray[np.float32]]  # h, and where there are: c, i, f, g, o, r, z, n; (n, H)


@dataclass(frozen=True)
class Section:
    """Tokens start .. stop of a text with the signals of each layer after each of them."""

    start: int
    stop: int
    layers: list[Signals]


@dataclass(frozen=True)
class Piece:
    """Tokens start .. stop; `fresh` begins a document, from the zero state."""

    start: int
    stop: int
    fresh: bool


def unit_signals(cell_type: str) -> tuple[str, ...]:
    """Return the letters of the signals that each unit of a cell type has."""
    if cell_type in ("lstm", "peephole"):
        return ("c", "h", "i", "f", "g", "o")
    return ("h", "r", "z", "n") if cell_type == "gru" else ("h",)


def run_states(
    network: "LanguageModel", ids: Ids, bos_id: int | None = None, *, exact: bool = False
) -> Iterator[Section]:
    """Yield the states of all of `ids`, in order and whole, on the CPU, in float32.

    With `bos_id` each document starts from zero. `exact` makes one single pass, which agrees within
    1e-4. Asserts that gates and cells give the hidden vectors that the network has computed.
    """
    import torch

    size = 1 if exact else MAX_PIECES
    budget = max(256, SECTION_NUMBERS // network.config.hidden_size)
    length = min(PIECE_TOKENS, budget) if not exact else budget
    with torch.no_grad():
        before: State = network.recurrent.zero_state(1)
        pieces, done = list(cut(ids, bos_id, length)), 0
        while done < len(pieces):
            group = next(group_pieces(iter(pieces[done : done + size]), size, budget))
            section, before, rounds = run_section(network, ids, group, before)
            yield section
            done += len(group)
            size = 1 if rounds == len(group) > 2 else size


def cut(ids: Ids, bos_id: int | None, length: int) -> Iterator[Piece]:
    """Yield the pieces of a text, none longer than `length`, each within its document."""
    starts = [0]
    if bos_id is not None:
        starts += [int(i) for i in np.flatnonzero(np.asarray(ids) == bos_id) if i]
    for start, stop in zip(starts, [*starts[1:], len(ids)], strict=True):
        num = -(-(stop - start) // length)
        edges = np.linspace(start, stop, num + 1).astype(int).tolist()
        for index in range(num):
            yield Piece(edges[index], edges[index + 1], index == 0)


def group_pieces(pieces: Iterator[Piece], size: int, budget: int) -> Iterator[list[Piece]]:
    """Yield runs of pieces: at most `size`, and padded to the longest at most `budget` tokens."""
    group: list[Piece] = []
    longest = 0
    for piece in pieces:
        longest = max(longest, piece.stop - piece.start)
        if group and (len(group) == size or longest * (len(group) + 1) > budget):
            yield group
            group, longest = [], piece.stop - piece.start
        group.append(piece)
    if group:
        yield group


def run_section(
    network: "LanguageModel", ids: Ids, pieces: list[Piece], before: "State"
) -> tuple[Section, "State", int]:
    """Return the signals of all pieces, the state (L, 1, H) after the last, and how many runs."""
    import torch

    starts = first_guess(network, ids, pieces, before)
    results: list[list[Signals]] = [[] for _ in pieces]
    ends = tuple(part.clone() for part in starts)
    todo, rounds = np.arange(len(pieces)), 0
    while len(todo):
        rounds += 1
        chosen = torch.from_numpy(todo)
        run = run_pieces(
            network, ids, [pieces[i] for i in todo], tuple(p[:, chosen] for p in starts)
        )
        for place, index in enumerate(todo):
            results[index] = run[0][place]
        for end, new in zip(ends, run[1], strict=True):
            end[:, chosen] = new
        todo = unfit(pieces, starts, ends)
        for start, end in zip(starts, ends, strict=True):
            start[:, todo] = end[:, todo - 1]
    layers = [
        {name: np.concatenate([result[layer][name] for result in results]) for name in signals}
        for layer, signals in enumerate(results[0])
    ]
    last = tuple(end[:, -1:].clone() for end in ends)
    return Section(pieces[0].start, pieces[-1].stop, layers), last, rounds


def unfit(pieces: list[Piece], starts: "State", ends: "State") -> NDArray[np.int64]:
    """Return which pieces did not start in the state that the one before them ends in."""
    found = []
    for index in range(1, len(pieces)):
        if not pieces[index].fresh:
            gaps = [
                float((start[:, index] - end[:, index - 1]).abs().max())
                for start, end in zip(starts, ends, strict=True)
            ]
            if not max(gaps) < SAME:
                found.append(index)
    return np.array(found, dtype=np.int64)


def first_guess(
    network: "LanguageModel", ids: Ids, pieces: list[Piece], before: "State"
) -> "State":
    """Return a state for each piece, (L, B, H): after a warm-up, zero, or known."""
    import torch

    state = network.recurrent.zero_state(len(pieces))
    after = [i for i, piece in enumerate(pieces) if i and not piece.fresh]
    if after:
        first = pieces[0].start
        length = min(WARM_UP, min(pieces[i].start - first for i in after))
        index = np.array([[pieces[i].start - length] for i in after]) + np.arange(length)
        tokens = torch.from_numpy(np.asarray(ids[index]).astype(np.int64)).t()
        _, warm = network.run_layers(tokens)
        for part, new in zip(state, warm, strict=True):
            part[:, after] = new
    if not pieces[0].fresh:
        for part, known in zip(state, before, strict=True):
            part[:, :1] = known
    return state


def run_pieces(
    network: "LanguageModel", ids: Ids, pieces: list[Piece], state: "State"
) -> tuple[list[list[Signals]], "State"]:
    """Return the signals of each piece by layer, and the states (L, B, H) after their ends."""
    import torch

    from charrnn.views.recomputed import run_layer

    sizes = np.array([piece.stop - piece.start for piece in pieces])
    index = np.array([piece.start for piece in pieces]) + np.arange(sizes.max())[:, None]
    tokens = torch.from_numpy(np.asarray(ids[np.minimum(index, len(ids) - 1)]).astype(np.int64))
    inputs: Tensor = network.embed(tokens)
    found: list[list[Signals]] = [[] for _ in pieces]
    ends: list[list[Tensor]] = [[] for _ in state]
    for layer in range(network.config.num_layers):
        signals = run_layer(network, layer, inputs, tuple(part[layer] for part in state))
        inputs = signals["h"]
        arrays = {name: values.numpy() for name, values in signals.items()}
        for place, size in enumerate(sizes):
            found[place].append({name: a[:size, place].copy() for name, a in arrays.items()})
        last = torch.from_numpy(sizes - 1)
        for part, name in zip(ends, ("h", "c"), strict=False):
            part.append(signals[name][last, torch.arange(len(pieces))])
    return found, tuple(torch.stack(part) for part in ends)
