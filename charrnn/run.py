"""A training run from request to finished model: what the command line and Python both call.

Torch is imported only after the directory is locked and the text is read.
"""

import platform
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from charrnn import __version__
from charrnn.config import BUDGETS
from charrnn.cores import num_ranks, own_rank
from charrnn.errors import ModelError
from charrnn.prepare import Prepared, prepare, train_record
from charrnn.reports import EndReport, Report, StartReport
from charrnn.request import RunRequest

if TYPE_CHECKING:
    from charrnn.modeldir import Checkpoint
    from charrnn.recorder import Recorder
    from charrnn.session import Setup
    from charrnn.trainer import Session


def run_training(request: RunRequest, stop: Callable[[], bool] = lambda: False) -> Iterator[Report]:
    """Train as `request` says; yield what happens, a StartReport first and an EndReport last.

    As soon as `stop()` is true the step is finished and saved, and the run ends. The directory is
    locked from the first report to the last. Raises CharRNNError.
    """
    if own_rank() > 0:
        from charrnn.follow import follow

        follow()
        return
    prepared = prepare(request)
    started = False
    try:
        for report in train_prepared(prepared, stop):
            started = True
            yield report
    finally:
        if started:
            prepared.lock.release()
        else:
            prepared.lock.discard()


def train_prepared(prepared: Prepared, stop: Callable[[], bool]) -> Iterator[Report]:
    """Yield the reports of a run whose directory is locked."""
    from charrnn.checkpoint import restore
    from charrnn.follow import dismiss, lead, share
    from charrnn.loop import RunLoop
    from charrnn.model import num_parameters
    from charrnn.ranks import join_ranks
    from charrnn.recorder import Recorder
    from charrnn.session import build_session, make_setup

    found = newest_checkpoint(prepared)
    setup = make_setup(prepared.config, prepared.dataset, prepared.initial)
    session = build_session(setup, join_ranks())
    record = train_record(prepared, setup.config, run_facts(setup, num_parameters(session.model)))
    lead(prepared, setup, session, record)
    first, tokenizer = int(setup.dataset.train[0]), setup.dataset.tokenizer
    recorder = Recorder(prepared.lock, setup.model, tokenizer, first, record)
    notes = [*prepared.notes, *setup.notes, *(notes_of(session, found) if found else ())]
    flags: dict[str, bool] = {"events_done": True}
    if found is not None:
        flags = restore(session, found.tensors, found.metadata, str(found.path))
        if budget_raised(prepared, setup):
            session.best.misses = 0
        if flags.get("finished") and (session.progress() >= 1 or session.out_of_patience()):
            if not (problem := why_lost(prepared.directory)):
                dismiss(session)
                yield finished_report(prepared, session, recorder)
                return
            notes.append(f"{problem}: the result of the run is written again")
            flags = {"events_done": True}
    yield start_report(prepared, setup, session, notes, found is not None)
    if found is not None:
        recorder.resume_at(session.step, made_again(session, flags))
        recorder.save_record(finished=False)
    try:
        share(session, found)
        yield from RunLoop(setup, recorder, session, stop).run(flags.get("events_done", True))
    finally:
        recorder.close()
        dismiss(session)


def notes_of(session: "Session", found: "Checkpoint") -> list[str]:
    """Return what the user should be told of a checkpoint that the run goes on from."""
    from charrnn.captured import earlier_moments

    if earlier_moments(session).keys().isdisjoint(found.tensors):
        return [*found.warnings]
    return [
        *found.warnings,
        "the run began when rows of symbols had a momentum: from here on they have none",
    ]


def newest_checkpoint(prepared: Prepared) -> "Checkpoint | None":
    """Return the checkpoint that the run goes on from; None where it begins.

    Raises ModelError where a finished model would be replaced by a new beginning.
    """
    from charrnn.modeldir import read_newest_checkpoint

    if prepared.record is None:
        return None
    found = read_newest_checkpoint(prepared.directory)
    if found is None and prepared.record.get("finished") and not why_lost(prepared.directory):
        raise ModelError(
            f"{prepared.directory} holds a finished model and no checkpoint to go on from: "
            "--init-from begins another run with its weights, --force replaces it"
        )
    return found


def why_lost(directory: Path) -> str:
    """Return why the model in `directory` cannot be read; "" where it can.

    The sampling defaults do not count: they are the user's.
    """
    from charrnn.modeldir import read_model
    from charrnn.modeldir.files import GENERATION

    try:
        read_model(directory)
    except ModelError as error:
        return "" if str(directory / GENERATION) in str(error) else str(error)
    return ""


def made_again(session: "Session", flags: Mapping[str, bool]) -> set[str]:
    """Return which records of the checkpoint's own step the run will make once more.

    A sitting that went on from it may have made them, and its later checkpoints are gone.
    """
    again = set() if flags.get("finished") else {"final"}
    done = {"eval": session.evaluated_step, "sample": session.sampled_step}
    return again | {kind for kind, step in done.items() if step != session.step}


def budget_raised(prepared: Prepared, setup: "Setup") -> bool:
    """Return whether a resumed run has been given more than it was begun with."""
    options = (prepared.record or {}).get("options", {})
    return any(options.get(name) != getattr(setup.config, name) for name in BUDGETS)


def start_report(
    prepared: Prepared, setup: "Setup", session: "Session", notes: list[str], resumed: bool
) -> StartReport:
    """Return the first report of a run."""
    from charrnn.model import num_parameters

    if prepared.request.resume and not resumed:
        notes = [f"no checkpoint in {prepared.directory}: starting from step 0", *notes]
    return StartReport(
        directory=prepared.directory,
        model=setup.model,
        config=setup.config,
        reason=setup.reason,
        num_parameters=num_parameters(session.model),
        num_train_tokens=len(setup.dataset.train),
        num_valid_tokens=len(setup.dataset.valid),
        device=setup.config.device,
        resumed_from=session.step if resumed else None,
        notes=tuple(notes),
    )


def finished_report(prepared: Prepared, session: "Session", recorder: "Recorder") -> EndReport:
    """Return the report of a run that was finished before, which changes no byte of it.

    One that was killed at its very last write is first put in order.
    """
    if not (prepared.record or {}).get("finished"):
        recorder.settle(session.step)
    return recorder.end(session, "patience" if session.progress() < 1 else "budget")


def run_facts(setup: "Setup", num_parameters: int) -> dict[str, Any]:
    """Return what train.json says beside the options: sizes, versions, the reason."""
    import torch

    return {
        "num_parameters": num_parameters,
        "num_train_tokens": len(setup.dataset.train),
        "num_valid_tokens": len(setup.dataset.valid),
        "num_valid_unknown": setup.dataset.valid_unknown,
        "vocab_size": setup.model.vocab_size,
        "num_ranks": num_ranks(),
        "reason": setup.reason,
        "versions": {
            "charrnn": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "machine": platform.machine(),
        },
    }
