"""A stored model -> samples, as they are drawn: a generator of Piece and Done.

One sample streams. Many are drawn side by side, and told in order: pieces of the first that is not
complete, the others wait. Prints nothing, and on a CPU imports no torch unless that pays.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from charrnn.config import OnUnknown, SampleConfig
from charrnn.draft import Assignment, Done, Draft, Piece
from charrnn.drawing import Chooser, uniforms
from charrnn.errors import ConfigError
from charrnn.filters import Logits
from charrnn.modeldir import StoredModel
from charrnn.packing import pack
from charrnn.stepper import Backend, NumpyBackend, Stepper
from charrnn.stops import StopFilter
from charrnn.tokenizer import Tokenizer

Event = Piece | Done

SHRINK = 0.75  # share of samples still growing under which the group is packed together
SLOW_WORK = 6e10  # multiplications that NumPy needs a second for, as importing torch does
SOME_LENGTH = 100  # tokens, as a guess, of a document without a limit


def sample(
    stored: StoredModel,
    config: SampleConfig | None = None,
    *,
    prompt: str = "",
    seed: int = 0,
    num_samples: int = 1,
    stops: Sequence[str] = (),
    on_unknown: OnUnknown = "error",
    device: str = "auto",
    keep_text: bool = True,
) -> Iterator[Event]:
    """Return samples as they are drawn: for each some Pieces and then its Done, in order.

    Sample i draws from a generator made from (seed, i). A sample without end is the only one.
    Without `keep_text` the texts in Done are empty, and a stream without end needs no more memory
    than a short one. Raises TokenizerError for a prompt that cannot be read, ConfigError and
    DeviceError; while drawing, ModelError where the network's output is not finite.
    """
    config = config or stored.generation
    if num_samples < 1:
        raise ConfigError(f"num_samples is {num_samples}: needs at least 1")
    StopFilter(stops)  # raises where one is empty
    assignment = Assignment(stored.tokenizer, config, seed, prompt, tuple(stops), keep_text)
    tokens, history = opening(stored.tokenizer, prompt, on_unknown, stored.start_id)
    ends = stored.tokenizer.eos_id is not None or bool(stops)
    if config.length == 0 and not ends:
        num_samples = 1  # the first is without end
    packed = pack(stored.config, stored.weights)
    work = (config.length or SOME_LENGTH) * num_samples * sum(part.size for part in packed.products)
    first, others = choose_backends(device, 0 if num_samples == 1 else work)
    chooser = Chooser(config, stored.tokenizer, history)
    stepper = Stepper(packed, 1, first)
    return _sample_groups(assignment, num_samples, chooser, stepper, others, tokens)


def opening(
    tokenizer: Tokenizer, prompt: str, on_unknown: OnUnknown, start_id: int | None
) -> tuple[list[int], list[int]]:
    """Return the tokens that the network reads first, and those of the prompt alone.

    With documents they begin with <s>; else an empty prompt is a newline, or where that is not
    known `start_id`, or the lowest id that stands for text.
    """
    history: list[int] = tokenizer.encode(prompt, on_unknown).tolist()
    if tokenizer.bos_id is not None:
        return [tokenizer.bos_id, *history], history
    if history:
        return history, history
    newline, num_unknown = tokenizer.encode_counting("\n")
    if len(newline) and not num_unknown:
        return newline.tolist(), []
    if start_id is None:
        start_id = next(i for i in range(len(tokenizer)) if i not in tokenizer.special_ids)
    return [start_id], []


def choose_backends(device: str, work: float) -> tuple[Backend, Backend]:
    """Return what steps one sample, and what steps many that cost `work` multiplications.

    Raises ConfigError or DeviceError for a device that is not there.
    """
    if device in ("auto", "cpu"):
        if work < SLOW_WORK or not _has_bfloat16_units():
            return NumpyBackend(), NumpyBackend()
        from charrnn.torch_backend import Bfloat16Backend

        return NumpyBackend(), Bfloat16Backend()
    from charrnn.machine import choose_device
    from charrnn.torch_backend import TorchBackend

    backend = TorchBackend(choose_device(device))
    return backend, backend


def _has_bfloat16_units() -> bool:
    """Return whether this CPU says that it multiplies bfloat16; Linux only."""
    try:
        return b"_bf16" in Path("/proc/cpuinfo").read_bytes()
    except OSError:
        return False


def _sample_groups(
    assignment: Assignment,
    num_samples: int,
    chooser: Chooser,
    stepper: Stepper,
    backend: Backend,
    tokens: Sequence[int],
) -> Iterator[Event]:
    """Yield the events of all samples; `stepper` reads what they begin with, `tokens`, once."""
    logits, state = stepper.read(tokens), stepper.state
    for start in range(0, num_samples, backend.group_size):
        indexes = range(start, min(start + backend.group_size, num_samples))
        drafts = [Draft(assignment, index) for index in indexes]
        if num_samples > 1:
            stepper = stepper.resized(len(drafts), backend)
            stepper.state = state
        yield from _grow(drafts, stepper, chooser, np.repeat(logits, len(drafts), axis=0))


def _grow(
    drafts: list[Draft], stepper: Stepper, chooser: Chooser, logits: Logits
) -> Iterator[Event]:
    """Yield the events of `drafts`, which grow by a token each at a time, till all are complete."""
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
