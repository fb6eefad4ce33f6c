"""Checkpoints: named tensors by step, the newest two, the newest whole one to go on from.

It does not know what the tensors of a checkpoint mean.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from charrnn.errors import ModelError
from charrnn.modeldir.files import (
    CHECKPOINTS,
    CONFIG,
    OPTIONS_LIMIT,
    TOKENIZER,
    TOKENIZER_LIMIT,
    read_part,
)
from charrnn.modeldir.model import check_fingerprints, fingerprints
from charrnn.store import clean_temporaries, make_directory, remove_file, write_file
from charrnn.tensors import Tensors, decode_tensors, encode_tensors

NUM_KEPT = 2
_NAME = re.compile(r"step-(\d{8,15})\.safetensors", re.ASCII)
_LIMIT = 2**36  # bytes


class Checkpoint(NamedTuple):
    """A verified checkpoint, and a warning for each newer one that is not."""

    path: Path
    tensors: Tensors
    metadata: dict[str, str]
    warnings: list[str]


def list_checkpoints(directory: Path) -> list[Path]:
    """Return the checkpoints of the model directory, the newest step first.

    Raises ModelError where `checkpoints` is a symbolic link or cannot be read.
    """
    folder = directory / CHECKPOINTS
    try:
        if folder.is_symlink():
            raise ModelError(f"{folder} is a symbolic link: needs a directory")
        paths = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ModelError(f"cannot read {folder}: {error.strerror}") from error
    return sorted(paths, key=checkpoint_step, reverse=True)


def checkpoint_step(path: Path) -> int:
    """Return the step in the name of a checkpoint."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise ModelError(f"{path} is not named like a checkpoint: needs step-00001000.safetensors")
    return int(match[1])


def is_checkpoint_name(name: str) -> bool:
    """Return whether a checkpoint can be called `name`."""
    return _NAME.fullmatch(name) is not None


def write_checkpoint(
    directory: Path, step: int, tensors: Tensors, metadata: Mapping[str, str]
) -> Path:
    """Write a checkpoint beside the model in `directory` and return its path.

    Then removes what it supersedes. Raises StoreError; then there is an older one, or this one.
    """
    marks = {"step": str(step), **fingerprints(*_description(directory))}
    data = encode_tensors(tensors, {**metadata, **marks})
    path = directory / CHECKPOINTS / f"step-{step:08d}.safetensors"
    list_checkpoints(directory)  # refuses a linked folder
    make_directory(path.parent, parents=False)
    write_file(path, data, follow=False)
    prune_checkpoints(directory, step)
    return path


def prune_checkpoints(directory: Path, step: int) -> None:
    """Remove what the checkpoint of `step` supersedes, and what killed writers left.

    That is all but the newest two, and later steps, which a resumed run has left behind.
    """
    paths = list_checkpoints(directory)
    kept = [path for path in paths if checkpoint_step(path) <= step][:NUM_KEPT]
    for path in paths:
        if path not in kept:
            remove_file(path)
    clean_temporaries(directory / CHECKPOINTS)


def read_newest_checkpoint(directory: Path) -> Checkpoint | None:
    """Return the newest checkpoint that verifies, None where there is none at all.

    Raises ModelError where there are some and none is whole.
    """
    warnings: list[str] = []
    for path in list_checkpoints(directory):
        try:
            tensors, metadata = _read_checkpoint(directory, path)
        except ModelError as error:
            warnings.append(str(error))
        else:
            return Checkpoint(path, tensors, metadata, warnings)
    if warnings:
        raise ModelError(f"no checkpoint is whole: {'; '.join(warnings)}")
    return None


def _read_checkpoint(directory: Path, path: Path) -> tuple[Tensors, dict[str, str]]:
    tensors, metadata = decode_tensors(read_part(path, _LIMIT), str(path))
    check_fingerprints(directory, metadata, *_description(directory), path)
    if metadata.get("step") != str(checkpoint_step(path)):
        raise ModelError(f"{path}: its name is not of the step it was saved at")
    return tensors, metadata


def _description(directory: Path) -> tuple[bytes, bytes]:
    """Return config.json and tokenizer.json, which a checkpoint belongs to."""
    options = read_part(directory / CONFIG, OPTIONS_LIMIT)
    return options, read_part(directory / TOKENIZER, TOKENIZER_LIMIT)
