"""A request to train -> a locked directory, encoded text, and what an earlier sitting left.

Everything here happens before torch is imported. Nothing is created for a request that cannot be
carried out.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from charrnn.asked import check_given, check_request, useless
from charrnn.config import FORMAT_VERSION, TrainConfig
from charrnn.cores import num_ranks
from charrnn.dataset import Dataset, load_dataset
from charrnn.errors import ConfigError
from charrnn.modeldir import (
    StoredModel,
    document_of,
    find_model,
    is_charrnn_run,
    read_model,
    read_tokenizer,
    read_train_record,
)
from charrnn.reading import OPENERS, default_encoding
from charrnn.request import STDIN, RunRequest
from charrnn.resume import check_same_texts, resumed_config, resumed_texts, resumes
from charrnn.store import LOCK_NAME, RunLock, is_temporary
from charrnn.tokenizer import Tokenizer


@dataclass(frozen=True)
class Prepared:
    """A request that can be carried out; the lock is held."""

    request: RunRequest
    directory: Path
    config: TrainConfig  # with gaps where the run is new
    dataset: Dataset
    lock: RunLock
    record: dict[str, Any] | None  # train.json of the run that is resumed
    initial: StoredModel | None  # of --init-from
    notes: tuple[str, ...]


def prepare(request: RunRequest) -> Prepared:
    """Check `request`, lock its directory and encode its text.

    Raises CharRNNError where that is not possible; then nothing is left behind.
    """
    check_request(request)
    directory = output_directory(request)
    check_directory(directory, request)
    lock = RunLock.acquire(directory)
    try:
        check_directory(directory, request)
        return prepare_locked(request, directory, lock)
    except BaseException:
        lock.discard()
        raise


def prepare_locked(request: RunRequest, directory: Path, lock: RunLock) -> Prepared:
    """Do the part of `prepare` that needs the lock."""
    record = read_train_record(directory) if resumes(request, directory) else None
    notes: list[str] = []
    if num_ranks() > 1 and STDIN in (*request.texts, *request.valid):
        raise ConfigError("standard input cannot be read by several processes: give a file")
    initial = None
    tokenizer = None
    if record is None:
        config, texts, valid, encoding = (
            request.config,
            request.texts,
            request.valid,
            request.encoding,
        )
        if not texts:
            raise ConfigError("TEXT is missing: needs at least one file, or - for standard input")
        if request.init_from is not None:
            initial = read_model(find_model(request.init_from))
            config = inherit(config, initial, request.given)
        check_given(config, request.given)
    else:
        check_ranks(record)
        config, new = resumed_config(request, record)
        notes += new
        texts, valid, encoding = resumed_texts(request, record)
        tokenizer = read_tokenizer(directory)
    dataset = load_texts(texts, config, valid, encoding, tokenizer, initial)
    if record is not None:
        check_same_texts(record, dataset)
    notes += dataset.notes
    if record is None:
        notes += useless(config, len(dataset.tokenizer), len(dataset.valid))
    return Prepared(request, directory, config, dataset, lock, record, initial, tuple(notes))


def check_ranks(record: Mapping[str, Any]) -> None:
    """Raise ConfigError where a run is resumed by another number of processes."""
    before, now = record.get("num_ranks", 1), num_ranks()
    if before != now:
        raise ConfigError(
            f"the run was trained by {before} processes, not {now}: needs torchrun "
            f"--nproc-per-node {before}, or --init-from to start another run from it"
        )


def load_texts(
    texts: tuple[str, ...],
    config: TrainConfig,
    valid: tuple[str, ...],
    encoding: str | None,
    tokenizer: Tokenizer | None,
    initial: StoredModel | None,
) -> Dataset:
    """Return the encoded texts; an initial model's vocabulary is kept and grown."""
    return load_dataset(
        texts,
        config,
        valid=valid or None,
        encoding=encoding,
        tokenizer=tokenizer,
        grow_from=initial.tokenizer if initial is not None else None,
    )


def output_directory(request: RunRequest) -> Path:
    """Return where the run is kept: --output, else runs/ and the stem of the first text.

    A resume without either takes the newest run that is not finished.
    """
    if request.output is not None:
        return request.output
    if request.texts:
        first = request.texts[0]
        return Path("runs") / stem_of(first)
    if not request.resume:
        raise ConfigError("TEXT is missing: needs at least one file, or - for standard input")
    runs = sorted(Path("runs").glob("*/train.json"), key=lambda p: p.stat().st_mtime_ns)
    for path in reversed(runs):
        if not (read_train_record(path.parent) or {}).get("finished"):
            return path.parent
    raise ConfigError("no unfinished run under runs/: give --output DIR or TEXT")


def stem_of(text: str) -> str:
    """Return the name of a text without its ending; of a glob that of the folder it looks in."""
    if text == STDIN:
        return "stdin"
    for part in reversed(Path(text).parts):
        ending = Path(part).suffix
        stem = Path(part.removesuffix(ending) if ending in OPENERS else part).stem.lstrip(".")
        if stem and stem != "/" and not set(part) & set("*?["):
            return stem
    return "text"


def check_directory(directory: Path, request: RunRequest) -> None:
    """Raise ConfigError where `directory` must not be written by this request."""
    try:
        entries = [path.name for path in directory.iterdir() if not is_leftover(path.name)]
    except FileNotFoundError:
        return
    except NotADirectoryError:
        raise ConfigError(f"output {directory} is not a directory: give another --output") from None
    if not entries or (request.resume and "train.json" in entries):
        return
    if not is_charrnn_run(directory):
        raise ConfigError(f"{directory} holds files that are not a charrnn run: give another -o")
    if not (request.force or request.resume):
        raise ConfigError(
            f"{directory} holds a run: --resume goes on with it, --force replaces it, "
            "--output names another directory"
        )


def is_leftover(name: str) -> bool:
    """Return whether a file is only what a killed process leaves behind."""
    return name == LOCK_NAME or is_temporary(name)


def inherit(config: TrainConfig, initial: StoredModel, given: frozenset[str]) -> TrainConfig:
    """Return `config` with the sizes and the token level of the model it starts from.

    What a document is comes from it too, where that is not said.
    """
    model, tokenizer = initial.config, initial.tokenizer
    inherited: dict[str, Any] = {
        "cell": model.cell_type,
        "nonlinearity": model.nonlinearity,
        "hidden_size": model.hidden_size,
        "num_layers": model.num_layers,
        "embedding_size": model.embedding_size,
        "tie_weights": model.tie_weights,
        "level": tokenizer.level,
        "pretokenized": tokenizer.pretokenized,
    }
    wrong = [
        f"--{name.replace('_', '-')} {getattr(config, name)} (the model has {value})"
        for name, value in inherited.items()
        if name in given and getattr(config, name) != value
    ]
    if wrong:
        raise ConfigError(f"--init-from keeps the model's sizes: {', '.join(wrong)}")
    if "document" not in given:
        inherited["document"] = document_of(initial)
    return replace(config, **inherited)


def train_record(
    prepared: Prepared, config: TrainConfig, facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the content of train.json: how to make this run again."""
    request, dataset = prepared.request, prepared.dataset
    old = prepared.record or {}
    return {
        "format_version": FORMAT_VERSION,
        "options": asdict(config),
        "texts": old.get("texts") or [absolute(text) for text in request.texts],
        "valid": old.get("valid") or [absolute(text) for text in request.valid],
        "encoding": old.get("encoding") or request.encoding or default_encoding(config.level),
        "init_from": old.get("init_from") or request.init_from,
        "corpus": [asdict(record) for record in dataset.records],
        "valid_corpus": [asdict(record) for record in dataset.valid_records],
        **facts,
    }


def absolute(text: str) -> str:
    """Return the absolute path of a TEXT argument; standard input stays as it is."""
    return text if text == STDIN else str(Path(text).absolute())
