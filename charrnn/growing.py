"""Samples that grow side by side, a token each at a time: one group of them, told in order.

Pieces come of the first that is not complete; the others wait. Knows nothing of files.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Protocol

import numpy as np

from charrnn.draft import Done, Draft, Piece
from charrnn.drawing import Chooser, uniforms
from charrnn.filters import Logits, check_finite
from charrnn.packing import Array
from charrnn.stepper import Stepper

Event = Piece | Done
Turn = tuple[Stepper, int | None]  # who steps, and for how many tokens; None: to the end

TOGETHER = 16  # tokens of each sample of a group that are spelled at once, at most
FEW = 8  # samples for which it costs little to spell each token as it is drawn
SHRINK = 0.75  # share of samples still growing under which the group is packed together
NARROW = 0.5  # likewise, where that costs a new graph


class DrawsBlocks(Protocol):
    """Draws K tokens of each of B streams at a time: blocks.py."""

    num_tokens: int

    def draw(self, numbers: Array) -> tuple[Array, Array]:
        """Return tokens (K, B) and their ln p, drawn by uniform `numbers` (K, B)."""

    def narrowed(self, rows: Sequence[int]) -> "DrawsBlocks":
        """Return what goes on with these of the streams."""


def grow(
    drafts: list[Draft], stepper: Stepper, chooser: Chooser, logits: Logits
) -> Iterator[Event]:
    """Yield the events of `drafts`, which grow by a token each at a time, till all are complete."""
    if len(drafts) == 1:
        yield from grow_one(drafts[0], [(stepper, None)], chooser, logits)
        return
    chooser.start(len(drafts))
    rows, waiting = Rows(drafts), deque(drafts)
    try:
        while True:
            tokens, logprobs = chooser.choose(logits, rows.numbers(), rows.too_short)
            if rows.take(tokens, logprobs):
                rows.hand_out()
                yield from _tell(waiting)
                if not waiting:
                    return
                if (kept := rows.pack()) is not None:
                    stepper = _narrowed(stepper, kept)
                    chooser.keep(kept)
                    tokens = [tokens[row] for row in kept]
            logits = stepper.step(tokens[0] if len(tokens) == 1 else np.array(tokens))
    except Exception:
        rows.hand_out()  # what was drawn before is told
        yield from _tell(waiting)
        raise


class Rows:
    """Drafts that are drawn side by side, a row each, with their numbers.

    A token of many is not handed to its draft at once, for that costs as much as to draw it: not
    before a draft may be complete, or has to see it, or some more have come.
    """

    def __init__(self, drafts: list[Draft]) -> None:
        """Take drafts of one assignment, all as long as each other."""
        self._drafts, self._end_id = drafts, drafts[0].assignment.tokenizer.eos_id
        self._sources = [uniforms(draft.assignment.seed, draft.index) for draft in drafts]
        self._numbers: deque[list[float]] = deque()  # by step
        self._tokens: list[list[int]] = []  # by step, not handed out
        self._logprobs: list[list[float]] = []
        self._ask()

    def numbers(self) -> list[float]:
        """Return the next uniform number of each row."""
        if not self._numbers:
            blocks = (islice(source, TOGETHER) for source in self._sources)
            self._numbers.extend(map(list, zip(*blocks, strict=True)))
        return self._numbers.popleft()

    def take(self, tokens: list[int], logprobs: list[float]) -> bool:
        """Keep a token of each row; return whether it is time to hand out what was kept."""
        self._tokens.append(tokens)
        self._logprobs.append(logprobs)
        return len(self._tokens) >= self._num_together or self._end_id in tokens

    def hand_out(self) -> None:
        """Give the drafts that still grow what was kept for them."""
        if self._tokens:
            columns = zip(*self._tokens, strict=True), zip(*self._logprobs, strict=True)
            for draft, tokens, logprobs in zip(self._drafts, *columns, strict=True):
                if draft.finish_reason is None:
                    draft.extend(tokens, logprobs)
        self._tokens.clear()
        self._logprobs.clear()
        self._ask()

    def pack(self) -> list[int] | None:
        """Leave rows out whose drafts are complete, if they are many; return which stay."""
        assert not self._tokens
        kept = [row for row, draft in enumerate(self._drafts) if draft.finish_reason is None]
        if len(kept) > SHRINK * len(self._drafts):
            return None
        self._drafts = [self._drafts[row] for row in kept]
        self._sources = [self._sources[row] for row in kept]
        self._numbers = deque([step[row] for row in kept] for step in self._numbers)
        self._ask()
        return kept

    def _ask(self) -> None:
        """Ask the drafts what they wait for."""
        growing = [draft for draft in self._drafts if draft.finish_reason is None]
        self.too_short = [draft.too_short for draft in self._drafts]
        self._num_together = 1.0
        if growing and not any(draft.is_watched for draft in growing):
            most = min(TOGETHER, len(self._drafts) // FEW)
            self._num_together = min(most, *(draft.num_left for draft in growing))


def grow_one(
    draft: Draft, turns: Iterable[Turn], chooser: Chooser, logits: Logits
) -> Iterator[Event]:
    """Yield the events of `draft`: what `grow` does for many, without lists, which cost a tenth.

    Each of `turns` goes on from where the one before it has stopped; the last has no end. `logits`
    are those before the first step.
    """
    chooser.start(1)
    choose, add, take = chooser.choose_one, draft.add, draft.take
    numbers = uniforms(draft.assignment.seed, draft.index)
    for stepper, num_tokens in turns:
        step = stepper.step
        for number in islice(numbers, num_tokens):
            token, logprob = choose(logits, number, draft.too_short)
            add(token, logprob)
            if text := take():
                yield Piece(draft.index, text)
            if draft.finish_reason is not None:
                yield draft.report()
                return
            logits = step(token)


def grow_in_blocks(drafts: list[Draft], blocks: DrawsBlocks) -> Iterator[Event]:
    """Yield the events of `drafts`, whose tokens come some at a time; none has a least length.

    Raises ModelError where a draft that still grows meets logits that are not finite.
    """
    rows, waiting = drafts, deque(drafts)
    sources = [uniforms(draft.assignment.seed, draft.index) for draft in drafts]
    while True:
        numbers = [list(islice(source, blocks.num_tokens)) for source in sources]
        tokens, logprobs = blocks.draw(np.ascontiguousarray(np.transpose(numbers)))
        finite = np.logical_and.accumulate(np.isfinite(logprobs)).sum(axis=0).tolist()
        for draft, size, *drawn in zip(
            rows, finite, tokens.T.tolist(), logprobs.T.tolist(), strict=True
        ):
            draft.extend_to_end(*(part[:size] for part in drawn))
        yield from _tell(waiting)
        if not waiting:
            return
        growing = [row for row, draft in enumerate(rows) if draft.finish_reason is None]
        if any(finite[row] < blocks.num_tokens for row in growing):
            check_finite(np.nan)
        if len(growing) <= NARROW * len(rows):
            blocks = blocks.narrowed(growing)
            rows, sources = [rows[row] for row in growing], [sources[row] for row in growing]


def _tell(waiting: deque[Draft]) -> Iterator[Event]:
    """Yield what is new of the first draft that waits, and of those after it if it is complete."""
    while waiting:
        draft = waiting[0]
        if text := draft.take():
            yield Piece(draft.index, text)
        if draft.finish_reason is None:
            return
        yield draft.report()
        waiting.popleft()


def _narrowed(stepper: Stepper, rows: list[int]) -> Stepper:
    """Return a stepper that goes on with these of the streams."""
    narrow = stepper.resized(len(rows))
    narrow.state = tuple(part[:, rows] for part in stepper.state)
    return narrow
