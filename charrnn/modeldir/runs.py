"""Run directories: which one is meant, whose it is, and what train.json says of it."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from charrnn import strictjson
from charrnn.config import Document, TrainConfig
from charrnn.errors import ConfigError, ModelError, StoreError
from charrnn.modeldir.checkpoints import is_checkpoint_name, list_checkpoints
from charrnn.modeldir.files import (
    CARD,
    CHECKPOINTS,
    CONFIG,
    GENERATION,
    METRICS,
    OPTIONS_LIMIT,
    RECORD_LIMIT,
    TOKENIZER,
    TRAIN,
    WEIGHTS,
    read_part,
)
from charrnn.modeldir.model import StoredModel
from charrnn.modeldir.options import MODEL_TYPE, check_kind
from charrnn.seal import ZEROS, check_seal, seal
from charrnn.store import (
    LOCK_NAME,
    clean_temporaries,
    is_temporary,
    remove_file,
    write_file,
)

OUR_FILES = {CONFIG, TOKENIZER, WEIGHTS, GENERATION, TRAIN, METRICS, CARD, LOCK_NAME}
SEAL = "record_sha256"
_KINDS: dict[str, type | tuple[type, ...]] = {
    "options": dict,
    "texts": list,
    "valid": list,
    "encoding": str,
    "init_from": (str, type(None)),
    "corpus": list,
    "valid_corpus": list,
}
_FACTS: dict[str, type] = {  # an earlier charrnn may have left some out
    "num_parameters": int,
    "num_train_tokens": int,
    "num_valid_tokens": int,
    "num_valid_unknown": int,
    "vocab_size": int,
    "num_ranks": int,
    "reason": str,
    "versions": dict,
    "finished": bool,
}
EARLIER = {"optimizer": "adamw"}  # what was done before it was an option
_SOURCE = {"path": str, "num_bytes": int, "sha256": str}


def find_model(
    model: str | None, environ: Mapping[str, str] = os.environ, runs: Path = Path("runs")
) -> Path:
    """Return the path that `model` names, else $CHARRNN_MODEL, else the newest model under `runs`.

    The newest is the one whose model.safetensors was replaced last. Raises ConfigError.
    """
    named = model if model is not None else environ.get("CHARRNN_MODEL")
    if named:
        return Path(named)
    if model is not None:
        raise ConfigError("the model's name is empty: needs a directory")
    newest: tuple[int, Path] | None = None
    for directory in sorted(_subdirectories(runs)):
        try:
            changed = (directory / WEIGHTS).lstat().st_mtime_ns
        except OSError:
            continue
        newest = max(newest or (changed, directory), (changed, directory))
    if newest is None:
        raise ConfigError(f"no model under {runs}/: train one first, or name one with --model DIR")
    return newest[1]


def is_charrnn_run(directory: Path) -> bool:
    """Return whether `directory` holds a charrnn run and nothing else, so that it may go.

    Raises StoreError or ModelError where a read fails, for then nobody knows.
    """
    try:
        entries = list(os.scandir(directory))
        inner = list(os.scandir(directory / CHECKPOINTS)) if _has(entries, CHECKPOINTS) else []
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise StoreError(f"cannot read {directory}: {error.strerror}") from error
    ours = all(_is_ours(entry, OUR_FILES) for entry in entries if entry.name != CHECKPOINTS)
    inner_ours = all(_is_ours(e, set()) or is_checkpoint_name(e.name) for e in inner)
    linked = any(entry.is_symlink() for entry in (*entries, *inner))
    return ours and inner_ours and not linked and _says_charrnn(directory)


def clear_run(directory: Path) -> None:
    """Remove what would mix with a new run: record, checkpoints, log and sampling defaults.

    The old model stays until the new one replaces it.
    """
    remove_file(directory / TRAIN)
    for path in list_checkpoints(directory):
        remove_file(path)
    for name in (METRICS, GENERATION):
        remove_file(directory / name)
    clean_temporaries(directory / CHECKPOINTS)
    clean_temporaries(directory)


def write_train_record(directory: Path, record: Mapping[str, Any]) -> None:
    """Write train.json; raise ModelError if it could not be read back."""
    path = directory / TRAIN
    sealed = {**record, "model_type": MODEL_TYPE, SEAL: ZEROS}
    data = seal([strictjson.dumps(sealed)], SEAL)
    _parse_record(data, str(path))
    write_file(path, data, follow=False)


def read_train_record(path: Path) -> dict[str, Any]:
    """Return train.json of the model directory `path`, without its seal.

    Raises ModelError, naming the file, where it is missing, changed or incomplete.
    """
    file = Path(path) / TRAIN
    return _parse_record(read_part(file, RECORD_LIMIT), str(file), earlier=True)


def run_directory(stored: StoredModel) -> Path:
    """Return the model directory, also where the model is one of its checkpoints."""
    return stored.path.parent.parent if stored.path.is_file() else stored.path


def document_of(stored: StoredModel) -> Document:
    """Return what a document was in training; a whole file where that is not known."""
    if stored.tokenizer.bos_id is None:
        return "stream"
    if stored.config.document is not None:
        return stored.config.document
    try:
        kind: Document = read_train_record(run_directory(stored))["options"]["document"]
    except (ModelError, StoreError):
        return "file"
    return kind


def _parse_record(data: bytes, name: str, *, earlier: bool = False) -> dict[str, Any]:
    value = strictjson.loads(data, name)
    check_kind(value, name)
    check_seal(data, name, SEAL)
    known = {key: value[key] for key in (*_KINDS, *_FACTS) if key in value}
    strictjson.check_object(known, name, _KINDS, _FACTS)
    kinds = {field.name: _kinds(field.default) for field in fields(TrainConfig)}
    if earlier and isinstance(
        value["options"], dict
    ):  # an earlier charrnn may not have known an option
        value["options"] = (
            {f.name: f.default for f in fields(TrainConfig)} | EARLIER | value["options"]
        )
    strictjson.check_object(value["options"], f"{name}: options", kinds)
    for key in ("texts", "valid"):
        if not all(isinstance(text, str) for text in value[key]):
            raise ModelError(f"{name}: {key} needs strings")
    for source in (*value["corpus"], *value["valid_corpus"]):
        strictjson.check_object(source, f"{name}: corpus", _SOURCE)
    try:
        TrainConfig(**value["options"])
    except ConfigError as error:
        raise ModelError(f"{name}: {str(error)[:200]}") from None
    return {key: item for key, item in value.items() if key not in (SEAL, "model_type")}


def _kinds(default: Any) -> tuple[type, ...]:
    """Return the types of an option; the range of a number is TrainConfig's to check."""
    return (type(default),) if isinstance(default, bool | str) else (int, float, bool, type(None))


def _subdirectories(runs: Path) -> list[Path]:
    try:
        return [path for path in runs.iterdir() if path.is_dir()]
    except OSError:
        return []


def _has(entries: Iterable[os.DirEntry[str]], name: str) -> bool:
    return any(e.name == name and e.is_dir(follow_symlinks=False) for e in entries)


def _is_ours(entry: os.DirEntry[str], names: set[str]) -> bool:
    named = entry.name in names or is_temporary(entry.name)
    return named and entry.is_file(follow_symlinks=False)


def _says_charrnn(directory: Path) -> bool:
    """Return whether config.json or train.json is there and of our kind."""
    for name, limit in ((CONFIG, OPTIONS_LIMIT), (TRAIN, RECORD_LIMIT)):
        try:
            value = strictjson.loads(read_part(directory / name, limit), name)
        except ModelError as error:
            cause = error.__cause__
            if isinstance(cause, StoreError) and isinstance(cause.__cause__, OSError):
                raise  # it is there, and the disk or its rights refuse it
            continue
        if isinstance(value, dict) and value.get("model_type") == MODEL_TYPE:
            return True
    return False
