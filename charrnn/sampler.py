"""A stored model -> samples, as they are drawn: a generator of Piece and Done.

One sample streams. Many are drawn side by side, and told in order: pieces of the first that is not
complete, the others wait. Prints nothing, and on a CPU imports no torch unless that pays. Who
steps one sample, and when, depends on the model and the machine, not on how long it will be.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from charrnn.config import OnUnknown, Range, SampleConfig
from charrnn.cores import num_usable_cores
from charrnn.draft import Assignment, Draft
from charrnn.drawing import Chooser
from charrnn.errors import ConfigError
from charrnn.filters import Logits
from charrnn.growing import DrawsBlocks, Event, grow, grow_in_blocks, grow_one
from charrnn.halfsize import turns_of_one
from charrnn.modeldir import StoredModel
from charrnn.packing import pack
from charrnn.sidebyside import in_order
from charrnn.stepper import Backend, NumpyBackend, Stepper
from charrnn.stops import StopFilter
from charrnn.tokenizer import Tokenizer

SLOW_WORK = 6e10  # multiplications that NumPy needs a second for, as importing torch does
SOME_LENGTH = 100  # tokens, as a guess, of a document without a limit
SEEDS = Range(0, 2**64 - 1)
DEVICE_NUMBERS = (
    1 << 24
)  # weights of a batch, of which a device holds about ten copies, 8 bytes each
MIN_GROUP = 32  # samples: with fewer the products are too thin


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
    check_options(seed, num_samples, on_unknown)
    StopFilter(stops)  # raises where one is empty
    assignment = Assignment(stored.tokenizer, config, seed, prompt, tuple(stops), keep_text)
    tokens, history = opening(stored.tokenizer, prompt, on_unknown, stored.start_id)
    ends = stored.tokenizer.eos_id is not None or bool(stops)
    if config.length == 0 and not ends:
        num_samples = 1  # the first is without end
    packed = pack(stored.config, stored.weights)
    work = (config.length or SOME_LENGTH) * num_samples * packed.num_read
    is_bounded = packed.hidden_bound is not None
    first, others = choose_backends(device, 0 if num_samples == 1 else work, is_bounded)
    at_once = num_usable_cores() if work >= SLOW_WORK and others.on_cores else 1
    many = Many(others, at_once, group_size(others, len(stored.tokenizer)))
    stepper = Stepper(packed, 1, first)
    return _sample_groups(assignment, num_samples, history, stepper, many, tokens)


@dataclass(frozen=True)
class Many:
    """How many samples are drawn: by what, and on how many threads."""

    backend: Backend
    at_once: int  # groups, each on a thread of its own
    group_size: int  # samples that are stepped together, at most

    def groups(self, num_samples: int) -> Iterator[Sequence[int]]:
        """Yield the indexes of the samples that are stepped together."""
        fair = -(-num_samples // self.at_once)
        size = min(self.group_size, max(MIN_GROUP, fair))
        for start in range(0, num_samples, size):
            yield range(start, min(start + size, num_samples))


def group_size(backend: Backend, vocab_size: int) -> int:
    """Return how many samples are best stepped at once; on a device their weights need memory."""
    if not backend.draws_blocks:
        return backend.group_size
    return min(backend.group_size, max(1, DEVICE_NUMBERS // vocab_size))


def check_options(seed: int, num_samples: int, on_unknown: str) -> None:
    """Raise ConfigError for what is out of its range."""
    if seed not in SEEDS:
        raise ConfigError(f"seed is {seed!r}: needs {SEEDS}")
    if num_samples < 1:
        raise ConfigError(f"num_samples is {num_samples}: needs at least 1")
    if on_unknown not in ("error", "skip"):
        raise ConfigError(f"on_unknown is {on_unknown!r}: needs one of error, skip")


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


def choose_backends(device: str, work: float, is_bounded: bool) -> tuple[Backend, Backend]:
    """Return what steps one sample, and what steps many that cost `work` multiplications.

    `is_bounded` tells whether the hidden vectors are, as products in 8 bits ask.
    Raises ConfigError or DeviceError for a device that is not there.
    """
    if device == "auto" and work >= SLOW_WORK and _may_have_gpu():
        from charrnn.machine import choose_device
        from charrnn.torch_backend import TorchBackend

        found = choose_device("auto")
        if found != "cpu":
            return NumpyBackend(), TorchBackend(found)
    if device in ("auto", "cpu"):
        if work < SLOW_WORK or not _has_matrix_units(is_bounded):
            return NumpyBackend(), NumpyBackend()
        from charrnn.torch_backend import for_batches

        return NumpyBackend(), for_batches()
    from charrnn.machine import choose_device
    from charrnn.torch_backend import TorchBackend

    backend = TorchBackend(choose_device(device))
    return backend, backend


def _may_have_gpu() -> bool:
    """Return whether a driver of NVIDIA's is there, which costs no import of torch to know."""
    return any(Path(place).exists() for place in ("/dev/nvidiactl", "/dev/dxg"))


def _has_matrix_units(is_bounded: bool) -> bool:
    """Return whether this CPU says that it multiplies bfloat16, or 8 bits that serve; Linux only.

    torch tells of AVX-512 alone whether it can multiply 8 bits.
    """
    try:
        flags = Path("/proc/cpuinfo").read_bytes()
    except OSError:
        return False
    return b"_bf16" in flags or (is_bounded and b"avx512_vnni" in flags)


def _sample_groups(
    assignment: Assignment,
    num_samples: int,
    history: Sequence[int],
    stepper: Stepper,
    many: Many,
    tokens: Sequence[int],
) -> Iterator[Event]:
    """Yield the events of all samples; `stepper` reads what they begin with, `tokens`, once."""
    logits, state = stepper.read(tokens), stepper.state
    if num_samples == 1:
        yield from _sample_one(Draft(assignment, 0), history, stepper, logits)
        return
    ready = stepper.resized(2, many.backend)  # with weights that all groups share

    def run(indexes: Sequence[int]) -> Iterator[Event]:
        if many.at_once > 1:
            many.backend.use_one_core()
        drafts = [Draft(assignment, index) for index in indexes]
        own = ready.resized(len(drafts))
        own.state = state
        if _draws_blocks(own, assignment.config):
            yield from grow_in_blocks(drafts, _make_blocks(own, assignment, history))
            return
        chooser = Chooser(assignment.config, assignment.tokenizer, history)
        yield from grow(drafts, own, chooser, np.repeat(logits, len(drafts), axis=0))

    groups = many.groups(num_samples)
    yield from in_order((partial(run, indexes) for indexes in groups), many.at_once)


def _sample_one(
    draft: Draft, history: Sequence[int], stepper: Stepper, logits: Logits
) -> Iterator[Event]:
    """Yield the events of a single sample, which goes on from `logits`."""
    assignment = draft.assignment
    if _draws_blocks(stepper, assignment.config):
        yield from grow_in_blocks([draft], _make_blocks(stepper, assignment, history))
        return
    chooser = Chooser(assignment.config, assignment.tokenizer, history)
    yield from grow_one(draft, turns_of_one(stepper), chooser, logits)


def _draws_blocks(stepper: Stepper, config: SampleConfig) -> bool:
    """Return whether tokens are drawn on the device; a least length asks for each of them."""
    return stepper.backend.draws_blocks and config.min_length == 0


def _make_blocks(stepper: Stepper, assignment: Assignment, history: Sequence[int]) -> DrawsBlocks:
    from charrnn import blocks
    from charrnn.devicedraws import DeviceDraws

    device, size = stepper.logits.device, stepper.batch_size
    draws = DeviceDraws(assignment.config, assignment.tokenizer, history, size, device)
    return blocks.Blocks(stepper, draws, blocks.block_size(assignment.config.length))
