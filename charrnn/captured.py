"""What a checkpoint must hold to be one of this session: its tensors and its numbers, exactly.

A checkpoint comes with a checksum, which anybody can compute: here is what is asked besides.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from charrnn import strictjson
from charrnn.config import COUNT_MAX, Range
from charrnn.errors import ModelError
from charrnn.tensors import Tensors
from charrnn.trainer import Session

COUNT, NUMBER = Range(0, COUNT_MAX), Range(-1e300, 1e300, integer=False)
COUNTERS = {
    "step": COUNT,
    "tokens": COUNT,
    "elapsed_seconds": Range(0, 1e12, integer=False),
    "rate_scale": Range(0, 1, integer=False, above=True),
    "num_divergences": COUNT,
    "loss_sum": NUMBER,
    "loss_count": COUNT,
    "evaluated_step": COUNT,
    "sampled_step": COUNT,
}
BEST = {"best_loss": NUMBER, "best_bits_per_char": NUMBER, "best_step": COUNT, "best_misses": COUNT}
NULLS = ("best_loss", "best_bits_per_char")
FLAGS = ("events_done", "finished")


def read_numbers(metadata: Mapping[str, str], name: str) -> dict[str, Any]:
    """Return the numbers in a checkpoint's `metadata`; raise ModelError where they are not."""
    if "session" not in metadata:
        raise ModelError(f"{name} is not a checkpoint: its metadata has no session")
    where = f"{name}: session"
    numbers = strictjson.loads(metadata["session"].encode(), where)
    ranges = {**COUNTERS, **BEST}
    kinds = dict.fromkeys(ranges, (int, float, type(None)))
    numbers = strictjson.check_object(numbers, where, {**kinds, "scaler": dict, "flags": dict})
    for key, allowed in ranges.items():
        value = numbers[key]
        if value not in allowed and not (value is None and key in NULLS):
            raise ModelError(f"{where}: {key} is {strictjson.shown(value)}: needs {allowed}")
    strictjson.check_object(numbers["flags"], where, {}, dict.fromkeys(FLAGS, bool))
    for key, value in numbers["scaler"].items():
        if value not in Range(0, 1e300, integer=False):
            raise ModelError(f"{where}: {strictjson.shown(key)} of the scaler is no number")
    if metadata.get("step", str(numbers["step"])) != str(numbers["step"]):
        raise ModelError(f"{where}: is of step {numbers['step']}, the file of {metadata['step']}")
    return numbers


def check_tensors(
    session: Session, tensors: Tensors, numbers: Mapping[str, Any], name: str
) -> None:
    """Raise ModelError unless `tensors` are just those that `session` needs beside `numbers`."""
    groups = {key.partition(".")[0] for key in tensors}
    if numbers["step"]:
        groups |= {"state"} if numbers["scaler"] else {"state", "optimizer"}
    parts = dict(parts_of(session, tensors, groups))
    for key in tensors:
        if key not in parts:
            shown = strictjson.shown(key)
            raise ModelError(f"{name} is not a checkpoint of this run: tensor {shown} is unknown")
    for key, (dtype, shape) in parts.items():
        if key not in tensors:
            raise ModelError(f"{name} is not a checkpoint of this run: tensor {key} is missing")
        found = tensors[key]
        if found.dtype != dtype or found.shape != shape:
            raise ModelError(
                f"{name} is not a checkpoint of this run: tensor {key} is {found.dtype} "
                f"{found.shape}: needs {np.dtype(dtype)} {shape}"
            )
        if key.startswith(("optimizer.exp_avg_sq.", "optimizer.step.")) and (found < 0).any():
            raise ModelError(f"{name} is not a checkpoint of this run: {key} is below 0")


def parts_of(
    session: Session, tensors: Tensors, groups: set[str]
) -> Iterator[tuple[str, tuple[str, tuple[int, ...]]]]:
    """Yield (name, (type, shape)) of each tensor of a checkpoint of `session`.

    The state, the moments and the best weights are there as a whole, or not at all: as `groups`
    says. A scaler that has found overflows only has left no moments.
    """
    for key, parameter in session.model.named_parameters():
        shape = tuple(parameter.shape)
        yield f"model.{key}", ("f4", shape)
        if "best" in groups:
            yield f"best.{key}", ("f4", shape)
        if "optimizer" in groups:
            for moment, size in session.optimizer.shapes(parameter).items():
                yield f"optimizer.{moment}.{key}", ("f4", size)
    for name, shape in earlier_moments(session).items():
        if name in tensors:
            yield name, ("f4", shape)
    if "state" in groups:
        sizes = session.model.config
        streams = (sizes.num_layers, session.config.batch_size or 0, sizes.hidden_size)
        for index in range(session.model.recurrent.num_states):
            yield f"state.{index}", ("f4", streams)
    random = np.shape(tensors.get("random.dropout", ()))
    yield "random.dropout", ("u1", (*random[:-1][:1], session.generator.get_state().numel()))
    for key, value in session.batches.cursor().items():
        yield f"cursor.{key}", (value.dtype.str, value.shape)


def earlier_moments(session: Session) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of what rows of symbols had while they were AdamW's."""
    return {
        f"optimizer.exp_avg.{key}": tuple(parameter.shape)
        for key, parameter in session.model.named_parameters()
        if parameter in session.optimizer.by_row
    }
