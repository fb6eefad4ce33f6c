"""A training session as named tensors and a few numbers, and back: nothing of it is lost.

Names: `model.*`, `optimizer.exp_avg.*` (not of matrices that are updated by row),
`optimizer.exp_avg_sq.*`, `optimizer.step.*`, with SOAP `optimizer.gram.*` and `optimizer.basis.*`,
`state.*`, `random.dropout`, `cursor.*`, and `best.*` where the best weights are not the present
ones. The numbers travel as JSON in the metadata. Reads and writes no files: store.py and
modeldir.py do.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from charrnn import strictjson
from charrnn.captured import COUNTERS, check_tensors, read_numbers
from charrnn.cells import State
from charrnn.errors import ModelError
from charrnn.ranks import Command
from charrnn.tensors import Tensors
from charrnn.trainer import Best, Session


def capture(session: Session, **flags: bool) -> tuple[Tensors, dict[str, str]]:
    """Return the tensors and the metadata that `restore` needs; `flags` go into the metadata.

    Of several ranks, rank 0 calls it, and the others send what only they have.
    """
    state, random = session.state, session.generator.get_state()
    if session.ranks is not None:
        session.ranks.command(Command.GATHER)
        state, random = gather_parts(session)
    return snapshot(session, state, random, flags)


def snapshot(
    session: Session, state: State | None, random: torch.Tensor, flags: Mapping[str, bool]
) -> tuple[Tensors, dict[str, str]]:
    """Return what `capture` does, with the state of all streams and the random states given."""
    tensors: Tensors = {f"model.{k}": v for k, v in session.model.to_weights().items()}
    for name, parameter in session.model.named_parameters():
        for moment, value in session.optimizer.state[parameter].items():
            tensors[f"optimizer.{moment}.{name}"] = value.detach().cpu().numpy().copy()
    for index, part in enumerate(state or ()):
        tensors[f"state.{index}"] = part.detach().float().cpu().numpy().copy()
    tensors["random.dropout"] = random.numpy().copy()
    tensors |= {f"cursor.{k}": v for k, v in session.batches.cursor().items()}
    best = session.best
    if best.weights is not None and best.step != session.step:
        tensors |= {f"best.{k}": v for k, v in best.weights.items()}
    numbers: dict[str, Any] = {name: getattr(session, name) for name in COUNTERS}
    numbers["best_loss"] = best.loss if math.isfinite(best.loss) else None
    numbers["best_bits_per_char"] = (
        best.bits_per_char if math.isfinite(best.bits_per_char) else None
    )
    numbers |= {"best_step": best.step, "best_misses": best.misses}
    numbers["scaler"] = session.scaler.state_dict()
    numbers["flags"] = dict(flags)
    return tensors, {"session": strictjson.dumps(numbers, indent=None).decode("ascii")}


def gather_parts(session: Session) -> tuple[State | None, torch.Tensor]:
    """Return the state of all streams and the random states of all ranks; check their weights."""
    assert session.ranks is not None
    session.ranks.check_equal(session.model)
    random = session.ranks.whole_random(session.generator.get_state())
    return session.ranks.whole_state(session.state), random


def restore_random(session: Session, states: NDArray[np.generic]) -> None:
    """Put the generator of dropout where it was: that of one process, or one of each rank."""
    rank = 0 if session.ranks is None else session.ranks.rank
    states = np.atleast_2d(states)
    if rank < len(states):
        session.generator.set_state(torch.from_numpy(states[rank].copy()))
    else:
        session.generator.manual_seed(session.config.seed + 1 + rank)


@torch.no_grad()
def restore(
    session: Session, tensors: Tensors, metadata: Mapping[str, str], name: str
) -> dict[str, bool]:
    """Put `session` where the checkpoint was captured; return the flags it was captured with.

    Raises ModelError, naming the file `name`, where a part is missing or of another session.
    """
    numbers = read_numbers(metadata, name)
    check_tensors(session, tensors, numbers, name)
    try:
        session.batches.restore(strip(tensors, "cursor."))
        restore_random(session, tensors["random.dropout"])
        session.scaler.load_state_dict(numbers["scaler"])
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise ModelError(f"{name} is not a checkpoint of this run: {error}") from error
    session.model.load_weights(strip(tensors, "model."))
    for key, parameter in session.model.named_parameters():
        session.optimizer.state[parameter] = {
            moment: torch.tensor(tensors[f"optimizer.{moment}.{key}"], device=parameter.device)
            for moment in session.optimizer.shapes(parameter)
            if f"optimizer.{moment}.{key}" in tensors
        }
    device = session.model.output.bias.device
    parts = strip(tensors, "state.")
    state = [torch.from_numpy(parts[str(i)].copy()).to(device) for i in range(len(parts))]
    if session.ranks is not None:
        state = [part[:, session.ranks.streams(part.shape[1])] for part in state]
    session.state = tuple(state) or None
    for counter in COUNTERS:
        setattr(session, counter, numbers[counter])
    session.clock_offset = None
    session.best = restore_best(numbers, tensors)
    return dict(numbers["flags"])


def restore_best(numbers: Mapping[str, Any], tensors: Tensors) -> Best:
    """Return the best evaluation that the checkpoint knows."""
    loss = numbers["best_loss"]
    if loss is None:
        return Best(misses=numbers["best_misses"])
    weights = strip(tensors, "best.") or strip(tensors, "model.")
    bits = numbers["best_bits_per_char"]
    bits = math.nan if bits is None else bits
    return Best(loss, bits, numbers["best_step"], numbers["best_misses"], weights)


def strip(tensors: Tensors, prefix: str) -> Tensors:
    """Return the tensors whose names start with `prefix`, without it."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
