"""A run's files: what is written when, through store.py.

The first save writes everything that describes the run, then the model; so a directory that has a
train.json can be resumed, and one that has a model.safetensors can be sampled from.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from charrnn import strictjson
from charrnn.card import model_card
from charrnn.checkpoint import capture
from charrnn.config import ModelConfig, SampleConfig
from charrnn.modeldir import StoredModel, clear_run, write_checkpoint, write_model
from charrnn.reports import EvalReport, LogReport, SampleReport, SaveReport
from charrnn.store import Journal, clean_temporaries, make_directory, write_file
from charrnn.tensors import Tensors
from charrnn.tokenizer import Tokenizer
from charrnn.trainer import Session


class Recorder:
    """Writes one run directory, whose lock the caller holds."""

    def __init__(
        self, directory: Path, model: ModelConfig, tokenizer: Tokenizer, record: dict[str, Any]
    ) -> None:
        self.directory, self.model, self.tokenizer = directory, model, tokenizer
        self.record = record
        self.journal: Journal | None = None

    def replace_run(self) -> None:
        """Remove an earlier run's checkpoints and metrics; its other files are replaced later."""
        clear_run(self.directory)

    def resume_at(self, step: int) -> None:
        """Drop what was recorded after `step`, and the litter of a killed process."""
        clean_temporaries(self.directory)
        Journal.trim(self.directory / "metrics.jsonl", lambda line: line.get("step", 0) <= step)

    def first_save(self, weights: Tensors) -> None:
        """Describe the run and write the model as it is, so that it can be sampled from."""
        make_directory(self.directory)
        self.save_record()
        self.save_model(weights, None)

    def save_record(self) -> None:
        """Write train.json."""
        write_file(self.directory / "train.json", strictjson.dumps(self.record))

    def save_model(self, weights: Tensors, evaluation: EvalReport | None) -> None:
        """Write the model directory's own files: the model card first, the weights last."""
        card = model_card(self.directory, self.model, self.tokenizer, self.record, evaluation)
        write_file(self.directory / "README.md", card.encode("utf-8"))
        write_model(self.directory, self.model, self.tokenizer, weights, SampleConfig())

    def append(self, report: LogReport | EvalReport | SampleReport) -> None:
        """Add a line to metrics.jsonl."""
        if self.journal is None:
            self.journal = Journal(self.directory / "metrics.jsonl")
        self.journal.append(report.record())

    def save_checkpoint(self, session: Session, flags: Mapping[str, bool]) -> SaveReport:
        """Write the whole training state, after all lines of the log."""
        if self.journal is not None:
            self.journal.sync()
        tensors, metadata = capture(session, **flags)
        path = write_checkpoint(self.directory, session.step, tensors, metadata)
        return SaveReport(session.step, path)

    def stored(self, weights: Tensors) -> StoredModel:
        """Return `weights` as a model to sample from, without a file."""
        return StoredModel(
            path=self.directory,
            config=self.model,
            tokenizer=self.tokenizer,
            weights=weights,
            generation=SampleConfig(),
            sha256="",
            step=None,
        )

    def close(self) -> None:
        """Close the log."""
        if self.journal is not None:
            self.journal.close()
