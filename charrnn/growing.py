"""Samples that grow side by side, a token each at a time: one group of them, told in order.

Pieces come of the first that is not complete; the others wait. Knows nothing of files.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np

from charrnn.draft import Done, Draft, Piece
from charrnn.drawing import Chooser, uniforms
from charrnn.filters import Logits
from charrnn.stepper import Stepper

Event = Piece | Done
Turn = tuple[Stepper, int | None]  # who steps, and for how many tokens; None: to the end

SHRINK = 0.75  # share of samples still growing under which the group is packed together


def grow(
    drafts: list[Draft], stepper: Stepper, chooser: Chooser, logits: Logits
) -> Iterator[Event]:
    """Yield the events of `drafts`, which grow by a token each at a time, till all are complete."""
    if len(drafts) == 1:
        yield from grow_one(drafts[0], [(stepper, None)], chooser, logits)
        return
    chooser.start(len(drafts))
    numbers = [uniforms(draft.assignment.seed, draft.index) for draft in drafts]
    waiting, rows = deque(drafts), drafts  # not told yet; of each of the stepper's streams
    while True:
        uniform = [next(row) for row in numbers]
        tokens, logprobs = chooser.choose(logits, uniform, [draft.too_short for draft in rows])
        for draft, token, logprob in zip(rows, tokens, logprobs, strict=True):
            if draft.finish_reason is None:
                draft.add(token, logprob)
        yield from _tell(waiting)
        if not waiting:
            return
        growing = [row for row, draft in enumerate(rows) if draft.finish_reason is None]
        if len(growing) <= SHRINK * len(rows):
            stepper = _narrowed(stepper, growing)
            chooser.keep(growing)
            rows, numbers = [rows[row] for row in growing], [numbers[row] for row in growing]
            tokens = [tokens[row] for row in growing]
        logits = stepper.step(tokens[0] if len(tokens) == 1 else np.array(tokens))


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
