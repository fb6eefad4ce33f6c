"""A run's files: what is written when, through store.py.

The first save comes after the first step: then a directory that has a train.json can be resumed,
and one that has a model.safetensors can be sampled from.
"""

import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from charrnn.card import model_card
from charrnn.checkpoint import capture
from charrnn.config import ModelConfig, SampleConfig
from charrnn.modeldir import (
    StoredModel,
    clear_run,
    prune_checkpoints,
    trim_metrics,
    write_checkpoint,
    write_model,
    write_train_record,
)
from charrnn.modeldir.files import CARD, METRICS
from charrnn.reports import Ending, EndReport, EvalReport, LogReport, SampleReport, SaveReport
from charrnn.store import Journal, RunLock, clean_temporaries, write_file
from charrnn.tensors import Tensors
from charrnn.tokenizer import Tokenizer
from charrnn.trainer import Session


class Recorder:
    """Writes the run directory that `lock` is held on.

    Raises StoreError, also where the directory was removed meanwhile: it is not made anew.
    """

    def __init__(
        self,
        lock: RunLock,
        model: ModelConfig,
        tokenizer: Tokenizer,
        start_id: int,
        record: dict[str, Any],
    ) -> None:
        self.lock, self.model, self.tokenizer = lock, model, tokenizer
        self.start_id = start_id  # the corpus's first token
        self.directory: Path = lock.directory
        self.record = {**record, "finished": False}
        self.journal: Journal | None = None

    def resume_at(self, step: int, again: Collection[str] = ()) -> None:
        """Drop what was recorded after `step`, and the litter of a killed process.

        Of `step` itself drop what will be recorded `again`: see `trim_metrics`.
        """
        self.close()
        clean_temporaries(self.directory)
        trim_metrics(self.directory / METRICS, step, again)

    def first_save(self, weights: Tensors) -> None:
        """Replace an earlier run, if there is one, by this one: the model as it is, and its record.

        The record comes last: a directory that has one has all that a resume reads.
        """
        self.lock.check()
        clear_run(self.directory)
        self.save_model(weights, None)
        write_train_record(self.directory, self.record)

    def settle(self, step: int) -> None:
        """Do what was left undone after the last checkpoint of a finished run."""
        self.resume_at(step)
        prune_checkpoints(self.directory, step)
        self.save_record(finished=True)

    def save_record(self, *, finished: bool) -> None:
        """Write train.json anew."""
        self.lock.check()
        self.record["finished"] = finished
        write_train_record(self.directory, self.record)

    def save_model(self, weights: Tensors, evaluation: EvalReport | None) -> None:
        """Write the weights with all that is needed to sample from them, and the model card."""
        self.lock.check()
        step = None if evaluation is None else evaluation.best_step
        write_model(
            self.directory,
            self.model,
            self.tokenizer,
            weights,
            step=step,
            start_id=self.start_id,
        )
        card = model_card(self.directory, self.model, self.tokenizer, self.record, evaluation)
        write_file(self.directory / CARD, card.encode("utf-8"), follow=False)

    def append(self, report: LogReport | EvalReport | SampleReport) -> None:
        """Add a line to metrics.jsonl."""
        if self.journal is None:
            self.journal = Journal(self.directory / METRICS)
        self.journal.append(report.record())

    def save_checkpoint(self, session: Session, flags: Mapping[str, bool]) -> SaveReport:
        """Write the whole training state, after all lines of the log.

        Before the first evaluation its weights are also those that are sampled from.
        """
        if session.best.weights is None:
            self.save_model(session.model.to_weights(), None)
        self.lock.check()
        if self.journal is not None:
            self.journal.sync()
        tensors, metadata = capture(session, **flags)
        metadata["start_id"] = str(self.start_id)
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
            start_id=self.start_id,
        )

    def end(self, session: Session, why: Ending) -> EndReport:
        """Return what there is to say of a run that ends as `session` is."""
        best = session.best
        known = math.isfinite(best.loss)
        return EndReport(
            step=session.step,
            directory=self.directory,
            elapsed_seconds=session.elapsed_seconds,
            best_loss=best.loss if known else None,
            best_bits_per_char=best.bits_per_char if math.isfinite(best.bits_per_char) else None,
            best_step=best.step,
            stopped=why,
        )

    def close(self) -> None:
        """Close the log; the next line opens it again."""
        if self.journal is not None:
            self.journal.close()
            self.journal = None
