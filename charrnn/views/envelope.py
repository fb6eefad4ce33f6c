"""What all views have in common: the model and the text they look at, and the JSON around them."""

import math
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charrnn.config import TrainConfig
from charrnn.corpus import SourceRecord, find_sources, reason
from charrnn.dataset import Dataset, load_dataset
from charrnn.encoding import Ids, encode_sources
from charrnn.errors import ConfigError, CorpusError, ModelError, StoreError
from charrnn.modeldir import (
    StoredModel,
    document_of,
    find_model,
    read_model,
    read_train_record,
    run_directory,
)
from charrnn.reading import default_encoding
from charrnn.request import RunRequest
from charrnn.resume import check_same_texts, resumed_config, resumed_texts

SCHEMA = "charrnn.inspect/1"
MIN_TOKENS = 2


@dataclass(frozen=True)
class Inspected:
    """A text as the model reads it."""

    ids: Ids
    bos_id: int | None  # None: one stream, whose first token nothing predicts
    num_unknown: int
    path: str | None
    sha256: str | None
    part: str  # "text" that was given, or "validation"
    skipped: tuple[tuple[int, str], ...] = ()  # unknown symbols: before which token, and which


def open_model(model: str | None) -> StoredModel:
    """Return the model that `-m` names, as `sample` finds it."""
    return read_model(find_model(model))


def open_text(stored: StoredModel, texts: Sequence[str], encoding: str | None = None) -> Inspected:
    """Return the texts that are given, else the model's own validation part.

    Without `encoding` they are read as the model's own text was. Raises ConfigError where that part
    cannot be found as it was, CorpusError for a text that is too short.
    """
    if not texts:
        return validation_part(stored)
    encoding = encoding or encoding_of(stored)
    found = encode_sources(stored.tokenizer, find_sources(texts), document_of(stored), encoding)
    if len(found.ids) < MIN_TOKENS:
        raise CorpusError(
            f"{', '.join(texts)}: {len(found.ids)} known tokens: needs at least {MIN_TOKENS}"
        )
    record = found.records[0] if len(found.records) == 1 else None
    return Inspected(
        found.ids,
        stored.tokenizer.bos_id,
        found.num_unknown,
        None if record is None else record.path,
        None if record is None else record.sha256,
        "text",
        found.skipped,
    )


def encoding_of(stored: StoredModel) -> str:
    """Return what its own text was read in; the usual one of its level where that is not known."""
    try:
        return str(read_train_record(run_directory(stored))["encoding"])
    except (ModelError, StoreError, KeyError):
        return default_encoding(stored.tokenizer.level)


def read_own_text(stored: StoredModel) -> tuple[Dataset, TrainConfig]:
    """Return the text that the model was made from, as it was then, and the run's options.

    Raises ConfigError where it is not there any more, or not as it was.
    """
    remedy = "give the text: charrnn inspect VIEW TEXT"
    try:
        record = read_train_record(run_directory(stored))
    except (ModelError, StoreError) as error:
        raise ConfigError(f"the model's own text is not known ({error}): {remedy}") from error
    config, _ = resumed_config(RunRequest(), record)
    texts, valid, encoding = resumed_texts(RunRequest(), record)
    if "-" in (*texts, *valid):
        raise ConfigError(f"the model's own text came from standard input: {remedy}")
    try:
        texts, valid = (recorded_files(record[key]) for key in ("corpus", "valid_corpus"))
        dataset = load_dataset(
            texts, config, valid=valid or None, encoding=encoding, tokenizer=stored.tokenizer
        )
        check_same_texts(record, dataset)
    except CorpusError as error:
        raise ConfigError(f"{error}; {remedy}") from error
    return dataset, config


def recorded_files(sources: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the files that a record names, if they are as long as they were.

    A record may come from anywhere: no FIFO is waited for, and nothing is read but to be compared.
    Raises CorpusError.
    """
    for source in sources:
        path, size = Path(source["path"]), source["num_bytes"]
        try:
            status = path.stat()
        except (OSError, ValueError) as error:
            raise CorpusError(f"cannot read {path}: {reason(error)}") from error
        if not stat.S_ISREG(status.st_mode) or status.st_size != size:
            raise CorpusError(f"{path} changed since the run began: it was a file of {size} bytes")
    return tuple(source["path"] for source in sources)


def own_dataset(stored: StoredModel) -> Dataset | None:
    """Return the text that the model was made from; None where it cannot be found as it was."""
    try:
        return read_own_text(stored)[0]
    except ConfigError:
        return None


def validation_part(stored: StoredModel) -> Inspected:
    """Return the part of its own text that the model was not trained on."""
    dataset, config = read_own_text(stored)
    if len(dataset.valid) < MIN_TOKENS:
        raise ConfigError("the model has no validation part: give the text")
    source: SourceRecord = (*dataset.valid_records, *dataset.records)[0]
    bos_id = None if config.document == "stream" else stored.tokenizer.bos_id
    unknown = dataset.valid_unknown
    return Inspected(dataset.valid, bos_id, unknown, source.path, source.sha256, "validation")


def envelope(
    view: str,
    stored: StoredModel,
    text: Inspected | None,
    settings: Mapping[str, Any],
    units: Mapping[str, str],
    result: Mapping[str, Any],
    warnings: Sequence[str] = (),
) -> dict[str, Any]:
    """Return what `--json` writes: the result, and all that is needed to trust it.

    Numbers that are not finite become null.
    """
    data = None
    if text is not None:
        part = {"path": text.path, "sha256": text.sha256, "part": text.part}
        data = {**part, "n": len(text.ids), "unknown": text.num_unknown}
    config = stored.config
    return {
        "schema": SCHEMA,
        "view": view,
        "model": {
            "path": str(stored.path),
            "sha256": stored.sha256,
            "cell_type": config.cell_type,
            "num_layers": config.num_layers,
            "hidden_size": config.hidden_size,
            "vocab_size": config.vocab_size,
            "level": stored.tokenizer.level,
        },
        "data": data,
        "settings": dict(settings),
        "units": dict(units),
        "result": finite(result),
        "warnings": list(warnings),
    }


def finite(value: Any) -> Any:
    """Return `value` with null for each number in it that is NaN or infinite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [finite(item) for item in value]
    return value
