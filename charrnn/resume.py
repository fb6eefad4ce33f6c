"""Going on with a run: its recorded options, texts and checksums against what is asked now."""

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from charrnn.config import BUDGETS, TrainConfig
from charrnn.dataset import Dataset
from charrnn.errors import ConfigError, CorpusError, ModelError
from charrnn.request import RunRequest

RAISED = {  # what may be larger than it was, and what to say then
    **dict.fromkeys(BUDGETS, ": schedule fitted anew"),
    "patience": "",
}


def resumes(request: RunRequest, directory: Path) -> bool:
    """Return whether there is a run in `directory` to go on with."""
    return request.resume and (directory / "train.json").is_file()


def resumed_config(request: RunRequest, record: Mapping[str, Any]) -> tuple[TrainConfig, list[str]]:
    """Return the recorded options, with a larger budget if one is asked for, and a note on it.

    Raises ConfigError that lists every option that contradicts the record.
    """
    try:
        recorded = TrainConfig(**record["options"])
    except (KeyError, TypeError) as error:
        raise ModelError(f"train.json is damaged: {error}") from error
    wrong, changes = [], {}
    for field in fields(TrainConfig):
        old, new = getattr(recorded, field.name), getattr(request.config, field.name)
        if field.name not in request.given or new == old:
            continue
        if field.name in RAISED and old is not None and new > old:
            changes[field.name] = new
        elif not same_machine_option(field.name, old, new):
            flag = "--" + field.name.replace("_", "-")
            wrong.append(f"{flag} {new} (the run has {old})")
    if request.encoding not in (None, record.get("encoding")):
        wrong.append(f"--encoding {request.encoding} (the run has {record.get('encoding')})")
    if request.init_from is not None and request.init_from != record.get("init_from"):
        wrong.append(f"--init-from {request.init_from}")
    if wrong:
        raise ConfigError(
            "a resumed run keeps its options, only a larger budget or patience may differ: "
            + ", ".join(wrong)
        )
    notes = [
        f"{name.replace('_', '-')} raised from {getattr(recorded, name)} to {value}{RAISED[name]}"
        for name, value in changes.items()
    ]
    return replace(recorded, **changes), notes


def same_machine_option(name: str, old: Any, new: Any) -> bool:
    """Return whether what is asked for leaves a choice, which the recorded one satisfies."""
    if name == "device" and new == "cuda":
        return bool(old == "cuda:0")
    return name in ("device", "precision", "optimizer") and new == "auto" and old is not None


def resumed_texts(
    request: RunRequest, record: Mapping[str, Any]
) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """Return the texts, held-out files and encoding that the run was started with."""
    try:
        texts = tuple(request.texts or record["texts"])
        valid = tuple(request.valid or record["valid"])
        return texts, valid, str(record["encoding"])
    except (KeyError, TypeError) as error:
        raise ModelError(f"train.json is damaged: {error}") from error


def check_same_texts(record: Mapping[str, Any], dataset: Dataset) -> None:
    """Raise CorpusError where the texts are not those that the run was started with."""
    now = [asdict(r) for r in (*dataset.records, *dataset.valid_records)]
    then = [*record.get("corpus", []), *record.get("valid_corpus", [])]
    for old, new in zip(then, now, strict=False):
        if old.get("sha256") != new["sha256"]:
            raise CorpusError(
                f"{new['path']} changed since the run began: its sha256 was "
                f"{old.get('sha256')}, it is {new['sha256']}"
            )
    if len(then) != len(now):
        raise CorpusError(f"the run was started with {len(then)} files, these are {len(now)}")
