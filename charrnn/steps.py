"""A training session -> its steps, as a generator of reports.

On a GPU the host would wait at each step for its loss, and the GPU then for the host: so several
steps are begun before the losses of all are read, where nothing has to be done between them.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from charrnn.ranks import Command
from charrnn.reports import StepReport
from charrnn.trainer import NotFiniteError, Session, is_finite, update

AHEAD_SECONDS = 0.1  # so soon a signal and the clock are seen


class Begun(NamedTuple):
    """A step that was begun."""

    since: float  # seconds, as in its report
    num_targets: int
    values: Tensor  # (2,): loss, norm of the gradient
    report: StepReport  # without these, and without its time


def train_steps(
    session: Session, nothing_is_due: Callable[[], bool] = lambda: False
) -> Iterator[StepReport]:
    """Train until the budget is used; yield a report of each step.

    Changes `session` in place. Up to `session.steps_ahead` steps are begun, but no more than take
    AHEAD_SECONDS, as long as `nothing_is_due` after each; then their reports come together, and
    only at the last of them the session is where the report is. Raises NotFiniteError: before the
    update that would spoil the weights where `steps_ahead` is 1, else after it.
    """
    session.model.train()
    begun: list[Begun] = []
    most = session.steps_ahead
    while session.progress() < 1:
        begun.append(begin_step(session))
        if len(begun) >= most or not nothing_is_due():
            yield from read_steps(session, begun)
            seconds = (session.elapsed_seconds - begun[0].since) / len(begun)
            most = min(session.steps_ahead, max(1, int(AHEAD_SECONDS / max(1e-9, seconds))))
            begun = []
    if begun:
        yield from read_steps(session, begun)


def begin_step(session: Session) -> Begun:
    """Make one step, without asking what its loss is."""
    since, rate = session.now(), session.learning_rate()
    window = session.batches.next_window()
    if session.ranks is not None:
        session.ranks.command(Command.STEP, rate)
    values = update(session, window, rate)
    session.step += 1
    session.tokens += window.num_targets
    if session.steps_ahead == 1:
        session.elapsed_seconds = session.now()
    report = StepReport(
        step=session.step,
        epoch=session.batches.epoch,
        tokens=session.tokens,
        elapsed_seconds=math.nan,
        loss=math.nan,
        learning_rate=rate,
        grad_norm=math.nan,
        tokens_per_second=math.nan,
        progress=session.progress(),
    )
    return Begun(since, window.num_targets, values, report)


def read_steps(session: Session, begun: list[Begun]) -> Iterator[StepReport]:
    """Wait for the steps that were begun, and yield their reports.

    Raises NotFiniteError; the session's step is then the one before.
    """
    values = torch.stack([step.values for step in begun]).tolist()
    since = begun[0].since
    if session.steps_ahead > 1:
        session.elapsed_seconds = session.now()
    seconds = (session.elapsed_seconds - since) / len(begun)  # each: they overlap
    for place, (step, (loss, norm)) in enumerate(zip(begun, values, strict=True), 1):
        is_last = place == len(begun)
        if not is_finite(session, loss, norm):
            session.step = step.report.step - 1
            raise NotFiniteError(loss, norm)
        session.loss_sum += loss
        session.loss_count += 1
        yield replace(
            step.report,
            elapsed_seconds=session.elapsed_seconds if is_last else since + place * seconds,
            loss=loss,
            grad_norm=norm,
            tokens_per_second=step.num_targets / max(1e-9, seconds),
        )
