"""How far a long view is, told to whoever asks."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

import numpy as np

from charrnn.encoding import Ids

if TYPE_CHECKING:
    from charrnn.evaluate import Block
    from charrnn.model import LanguageModel


class Told(Protocol):
    """Who is told: what is being done, and how much of how much is done."""

    def __call__(self, what: str, done: int, total: int) -> None: ...


def untold(what: str, done: int, total: int) -> None:
    """Tell nobody."""


def told_blocks(
    model: "LanguageModel", ids: Ids, bos_id: int | None, told: Told, *, exact: bool = False
) -> Iterator["Block"]:
    """Yield the blocks that score a text; tell how far they are, in a stream by steps of a row."""
    from charrnn.batches import IGNORED
    from charrnn.evaluate import score_blocks

    done = 0
    for block in score_blocks(model, ids, bos_id, exact=exact):
        yield block
        if bos_id is None:
            done = int(block.positions[-1, 0])
            told("reading", done, done + len(ids) - 1 - int(block.positions[-1, -1]))
        else:
            done += int(np.count_nonzero((block.targets != IGNORED).cpu().numpy()))
            told("reading", done, len(ids))
