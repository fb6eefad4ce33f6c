"""A prepared run -> reports: when to log, evaluate, sample and save, and how a run ends."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

from charrnn.checkpoint import restore
from charrnn.config import TRAINING_SAMPLE
from charrnn.draft import Piece
from charrnn.errors import DivergedError
from charrnn.evaluate import StoppedError
from charrnn.follow import share
from charrnn.modeldir import read_newest_checkpoint
from charrnn.recorder import Recorder
from charrnn.reports import (
    Ending,
    EvalReport,
    LogReport,
    NoteReport,
    Report,
    SampleReport,
    SaveReport,
    StepReport,
)
from charrnn.sampler import sample
from charrnn.schedule import KINDS, Schedule
from charrnn.session import Setup, start_session
from charrnn.steps import train_steps
from charrnn.trainer import RATE_CUT, Best, NotFiniteError, Session
from charrnn.validate import announce, expected_seconds, validate

MAX_DIVERGENCES = 3


class RunLoop:
    """Drives one session to the end of its budget, and records what happens."""

    def __init__(
        self, setup: Setup, recorder: Recorder, session: Session, stop: Callable[[], bool]
    ) -> None:
        self.setup, self.recorder, self.session, self.stop = setup, recorder, session, stop
        self.schedule = Schedule(session.config)
        self.schedule.start(session.elapsed_seconds)
        self.last_logged = (session.tokens, session.elapsed_seconds)
        self.last_step: StepReport | None = None
        self.saved_step = session.step  # of the newest checkpoint
        self.has_model = session.step > 0  # whether the directory can be sampled from

    def run(self, events_done: bool) -> Iterator[Report]:
        """Train on; `events_done` is False where the last sitting was stopped amid a step's events.

        Ends with an EndReport. Raises DivergedError when the loss stopped being finite too often.
        """
        if not events_done:
            yield from self._events(None)
        while not (self.stop() or self.session.out_of_patience()):
            try:
                for report in train_steps(self.session, self._nothing_is_due):
                    yield report
                    if report.step == self.session.step:  # else the session is further on
                        yield from self._events(report)
                        if self.stop() or self.session.out_of_patience():
                            break
                break
            except NotFiniteError as error:
                yield self._go_back(error)
        if self.stop():
            if self.saved_step != self.session.step:
                if self.session.progress() >= 1:
                    yield from self._log_rest()
                yield self._save(events_done=True)
            yield self.recorder.end(self.session, "signal")
            return
        yield from self._finish()

    def _events(self, report: StepReport | None) -> Iterator[Report]:
        """Do what is due after a step: log, evaluate, sample, save, in this order."""
        if not self.has_model:
            self.recorder.first_save(self.session.model.to_weights())
            self.has_model = True
        if report is not None and math.isfinite(report.grad_norm):
            self.last_step = report  # a step that the loss scaler left out has no line
            if self._is_due("log"):
                yield self._log(report)
        if self.session.progress() >= 1:
            return
        events_done = False
        try:
            if self._is_due("eval"):
                yield self._evaluate()
            if self._is_due("sample"):
                yield self._sample()
            events_done = True
        except StoppedError:
            pass
        if self.stop() or self._is_due("save"):
            yield self._save(events_done)

    def _nothing_is_due(self) -> bool:
        """Return whether there is nothing to do after this step."""
        return self.has_model and not (self.stop() or any(map(self._is_due, KINDS)))

    def _is_due(self, kind: str) -> bool:
        return self.schedule.is_due(kind, self.session.step, self.session.now())

    def _save(self, events_done: bool, finished: bool = False) -> SaveReport:
        flags = {"events_done": events_done, "finished": finished}
        report = self.recorder.save_checkpoint(self.session, flags)
        self.saved_step = self.session.step
        self.schedule.done("save", self.session.now())
        return report

    def _log(self, report: StepReport) -> LogReport:
        session = self.session
        tokens, then = self.last_logged
        seconds = max(1e-9, report.elapsed_seconds - then)
        log = LogReport(
            step=report.step,
            epoch=report.epoch,
            tokens=report.tokens,
            elapsed_seconds=report.elapsed_seconds,
            loss=session.loss_sum / max(1, session.loss_count),
            learning_rate=report.learning_rate,
            grad_norm=report.grad_norm,
            tokens_per_second=(report.tokens - tokens) / seconds,
        )
        session.loss_sum, session.loss_count = 0.0, 0
        self.last_logged = (report.tokens, report.elapsed_seconds)
        self.schedule.done("log", report.elapsed_seconds)
        if not session.evaluated_step:
            self.schedule.expect(expected_seconds(self.setup, log.tokens_per_second))
        self.recorder.append(log)
        return log

    def _log_rest(self) -> Iterator[LogReport]:
        """Log the last step of a run, even where no line is due: maybe behind its evaluation."""
        if self.last_step is not None and self.last_step.tokens > self.last_logged[0]:
            yield self._log(self.last_step)

    def _evaluate(self) -> EvalReport:
        """Evaluate the present weights, keep them where they are the best, and record it."""
        session, began = self.session, self.session.now()
        report = validate(session, self.setup, self.stop, quick=True)
        best = report.valid_loss is None or report.valid_loss < session.best.loss
        report = replace(report, best=best)
        if best:
            weights = session.model.to_weights()
            loss = math.inf if report.valid_loss is None else report.valid_loss
            bits = report.valid_bits_per_char
            session.best = Best(loss, math.nan if bits is None else bits, session.step, 0, weights)
            self.recorder.save_model(weights, report)
        else:
            session.best.misses += 1
        report = replace(report, best_step=session.best.step)
        session.evaluated_step = session.step
        self.schedule.done("eval", session.now(), session.now() - began)
        self.recorder.append(report)
        return report

    def _sample(self) -> SampleReport:
        session = self.session
        stored = self.recorder.stored(session.model.to_weights())
        seed = session.config.seed + session.step
        events = sample(stored, TRAINING_SAMPLE, seed=seed, keep_text=False)
        text = "".join(event.text for event in events if isinstance(event, Piece))
        report = SampleReport(session.step, text)
        session.sampled_step = session.step
        self.schedule.done("sample", session.now())
        self.recorder.append(report)
        return report

    def _go_back(self, error: NotFiniteError) -> NoteReport:
        """Return to the last checkpoint, or to step 0, with half the rate."""
        session = self.session
        count, scale = session.num_divergences + 1, session.rate_scale * RATE_CUT
        failed_at = session.step + 1
        if count > MAX_DIVERGENCES:
            raise DivergedError(
                f"training diverged {count} times, last at step {failed_at} ({error}): "
                "needs a lower --learning-rate or --grad-clip"
            )
        now = session.now()
        start_session(session, self.setup)
        found = read_newest_checkpoint(self.recorder.directory) if self.has_model else None
        if found is not None:
            restore(session, found.tensors, found.metadata, str(found.path))
        share(session, found)
        session.elapsed_seconds, session.clock_offset = now, None  # what was tried took its time
        session.num_divergences, session.rate_scale = count, scale
        self.last_logged, self.last_step = (session.tokens, now), None
        self.recorder.resume_at(session.step)
        return NoteReport(
            f"step {failed_at} is not finite ({error}): back to step {session.step}, "
            f"learning rate x {scale:g}"
        )

    def _finish(self) -> Iterator[Report]:
        """Evaluate the last and then the best weights, and write the finished run.

        Where the last ones are the only ones that could be the best, once is enough.
        """
        session = self.session
        why: Ending = "patience" if session.progress() < 1 else "budget"
        pending = session.best.weights is not None and session.evaluated_step != session.step
        yield from self._log_rest()
        try:
            yield from announce(session, self.setup, 2 if pending else 1)
            if pending:
                yield self._evaluate()
            if session.sampled_step != session.step:
                yield self._sample()
            yield self._final_evaluation()
        except StoppedError:
            yield self._save(events_done=True)
            yield self.recorder.end(self.session, "signal")
            return
        yield self._save(events_done=True, finished=True)
        self.recorder.save_record(finished=True)
        yield self.recorder.end(session, why)

    def _final_evaluation(self) -> EvalReport:
        """Measure the best weights with the full burn-in: the run's result."""
        session = self.session
        present = session.model.to_weights()
        best, best_step = session.best.weights or present, session.best.step
        if session.best.weights is None:
            best_step = session.step
        session.model.load_weights(best)
        try:
            report = validate(session, self.setup, self.stop, quick=False)
        finally:
            session.model.load_weights(present)
        report = replace(report, best_step=best_step, best=True, final=True)
        session.best = replace(session.best, step=best_step, weights=best)
        if report.valid_loss is not None:
            session.best.loss = report.valid_loss
            bits = report.valid_bits_per_char
            session.best.bits_per_char = math.nan if bits is None else bits
        self.recorder.save_model(best, report)
        self.recorder.append(report)
        return report
