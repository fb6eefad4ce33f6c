"""A model: options, vocabulary and weights, written as one and refused unless they are one."""

import hashlib
import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from charrnn.config import ModelConfig, SampleConfig
from charrnn.errors import ModelError
from charrnn.modeldir.files import (
    CHECKPOINTS,
    CONFIG,
    GENERATION,
    OPTIONS_LIMIT,
    TOKENIZER,
    TOKENIZER_LIMIT,
    WEIGHTS,
    read_part,
)
from charrnn.modeldir.options import (
    config_from_json,
    config_to_json,
    generation_from_json,
    generation_to_json,
)
from charrnn.modeldir.shapes import check_weights, file_limit, weights_size
from charrnn.store import LOCK_NAME, clean_temporaries, write_files
from charrnn.tensors import Tensors, decode_tensors, encode_tensors
from charrnn.tokenizer import Tokenizer

_RETRY_SECONDS = 0.5  # a trainer replaces its files within this time
_PAUSE = 0.01
_CHECKPOINT_SLACK = 2**31  # bytes beside weights, moments and bases


@dataclass(frozen=True)
class StoredModel:
    """A model as read: verified, in float32, without a network made of it."""

    path: Path
    config: ModelConfig
    tokenizer: Tokenizer
    weights: Tensors
    generation: SampleConfig
    sha256: str  # of the file that the weights were read from, its own digits as zeros
    step: int | None
    start_id: int | None = None  # the corpus's first token, where it has one


def read_model(path: Path) -> StoredModel:
    """Return the model in the directory `path`, or in a checkpoint file of such a directory.

    All of it was written together, or ModelError names the file that is wrong. A trainer may
    replace the files meanwhile.
    """
    path = Path(path)
    directory, file = _locate(path)
    deadline = time.monotonic() + _RETRY_SECONDS
    while True:
        before = _snapshot(directory, file)
        try:
            return _read(path, directory, file)
        except ModelError:
            changed = _snapshot(directory, file) != before
            written = changed or os.path.lexists(directory / LOCK_NAME)
            if not written or time.monotonic() > deadline:
                raise
            time.sleep(0 if changed else _PAUSE)


def write_model(
    directory: Path,
    config: ModelConfig,
    tokenizer: Tokenizer,
    weights: Tensors,
    generation: SampleConfig | None = None,
    *,
    step: int | None = None,
    start_id: int | None = None,
) -> None:
    """Write a model into `directory`, whose lock the caller holds; the weights come last.

    An existing generation_config.json stays: it is the user's. Raises StoreError.
    """
    check_weights(weights, config, WEIGHTS)
    options, vocabulary = config_to_json(config), tokenizer.to_json()
    metadata = {"format": "pt", **fingerprints(options, vocabulary)}
    numbers = {"step": step, "start_id": start_id}
    metadata |= {key: str(number) for key, number in numbers.items() if number is not None}
    files = {CONFIG: options, TOKENIZER: vocabulary}
    if not os.path.lexists(directory / GENERATION):
        files[GENERATION] = generation_to_json(generation or SampleConfig())
    write_files(directory, {**files, WEIGHTS: encode_tensors(weights, metadata)})
    clean_temporaries(directory)


def read_tokenizer(directory: Path) -> Tokenizer:
    """Return the vocabulary of the model in `directory`; raise ModelError, naming the file."""
    path = directory / TOKENIZER
    return Tokenizer.from_json(read_part(path, TOKENIZER_LIMIT), str(path))


def fingerprints(options: bytes, vocabulary: bytes) -> dict[str, str]:
    """Return what weights keep of the config.json and tokenizer.json they belong to."""
    return {
        "config_sha256": hashlib.sha256(options).hexdigest(),
        "tokenizer_sha256": hashlib.sha256(vocabulary).hexdigest(),
    }


def check_fingerprints(
    directory: Path, metadata: dict[str, str], options: bytes, vocabulary: bytes, file: Path
) -> None:
    """Raise ModelError, naming the file, where `metadata` was made beside other files."""
    for key, value in fingerprints(options, vocabulary).items():
        if metadata.get(key) != value:
            other = directory / (CONFIG if key == "config_sha256" else TOKENIZER)
            raise ModelError(f"{other}: damaged, or not the one {file.name} was written with")


def _locate(path: Path) -> tuple[Path, Path]:
    """Return the model directory and the file with the weights that `path` means."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise ModelError(
            f"{path} does not exist: needs a model's directory or a checkpoint"
        ) from None
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from error
    if stat.S_ISDIR(status.st_mode):
        return path, path / WEIGHTS
    if len(path.parts) < 3:
        path = path.absolute()
    parent = path.parent
    directory = parent.parent if parent.name == CHECKPOINTS else parent
    if not os.path.lexists(directory / CONFIG):
        raise ModelError(
            f"{path} is no checkpoint of a model: needs a model's directory, or a file in its "
            f"{CHECKPOINTS}/"
        )
    return directory, path


def _snapshot(directory: Path, file: Path) -> list[tuple[int, int, int] | None]:
    """Return what changes when one of the files is replaced."""
    snapshot: list[tuple[int, int, int] | None] = []
    for path in (directory / CONFIG, directory / TOKENIZER, directory / GENERATION, file):
        try:
            status = path.lstat()
        except OSError:
            snapshot.append(None)
        else:
            snapshot.append((status.st_ino, status.st_mtime_ns, status.st_size))
    return snapshot


def _read(path: Path, directory: Path, file: Path) -> StoredModel:
    options = read_part(directory / CONFIG, OPTIONS_LIMIT)
    config = config_from_json(options, str(directory / CONFIG))
    vocabulary = read_part(directory / TOKENIZER, TOKENIZER_LIMIT)
    limit = file_limit(config)
    if file.name != WEIGHTS:
        limit = 6 * weights_size(config) + _CHECKPOINT_SLACK
    weights, metadata = decode_tensors(read_part(file, limit), str(file))
    check_fingerprints(directory, metadata, options, vocabulary, file)
    if file.name != WEIGHTS:
        prefix = "model."
        weights = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
    check_weights(weights, config, str(file))
    tokenizer = Tokenizer.from_json(vocabulary, str(directory / TOKENIZER))
    if len(tokenizer) != config.vocab_size:
        raise ModelError(
            f"{directory / TOKENIZER} has {len(tokenizer)} symbols: needs {config.vocab_size}"
        )
    return StoredModel(
        path=path,
        config=config,
        tokenizer=tokenizer,
        weights=weights,
        generation=_read_generation(directory / GENERATION),
        sha256=metadata["sha256"],
        step=_number(metadata, "step", 10**18, str(file)),
        start_id=_number(metadata, "start_id", config.vocab_size, str(file)),
    )


def _read_generation(path: Path) -> SampleConfig:
    """Return the sampling defaults; the file may be missing."""
    if not os.path.lexists(path):
        return SampleConfig()
    return generation_from_json(read_part(path, OPTIONS_LIMIT), str(path))


def _number(metadata: dict[str, str], key: str, limit: int, name: str) -> int | None:
    """Return an integer of the metadata below `limit`; None where there is none."""
    text = metadata.get(key)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18 and int(text) < limit):
        raise ModelError(f"{name}: {key} {text[:40]!r}: needs an integer below {limit}")
    return int(text)
