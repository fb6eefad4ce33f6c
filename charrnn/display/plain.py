"""A training run as plain lines, for pipes, files and simple terminals: one line each report.

No carriage return and no cursor movement; text of the model is escaped and kept on one line.
"""

from collections.abc import Iterator

from charrnn.display.ending import end_line, eval_line, start_lines, stop_line
from charrnn.display.foreign import one_line
from charrnn.display.numbers import show_duration, show_loss, show_rate
from charrnn.display.output import Messages
from charrnn.display.paint import Paint
from charrnn.display.progress import Progress
from charrnn.reports import (
    EndReport,
    EvalReport,
    LogReport,
    NoteReport,
    Report,
    SampleReport,
    SaveReport,
    StartReport,
)


class PlainLog:
    """Writes a line for each report that is worth one; with `verbose` also for each save."""

    def __init__(self, messages: Messages, paint: Paint, verbose: bool = False) -> None:
        self.messages, self.paint, self.verbose = messages, paint, verbose
        self.progress = Progress()

    def show(self, report: Report) -> None:
        """Write what `report` says."""
        self.progress.update(report)
        for line in self.lines(report):
            self.messages.line(line)

    def lines(self, report: Report) -> Iterator[str]:
        """Yield the lines for `report`."""
        match report:
            case StartReport():
                yield from start_lines(report)
                yield from (self.warning(note) for note in report.notes)
            case LogReport():
                yield log_line(report, self.progress)
            case EvalReport():
                styles = ("bold", "green") if report.best else ("bold",)
                yield self.paint(eval_line(report), *styles)
            case SampleReport():
                yield self.paint(f"step {report.step:,}  sample  {one_line(report.text)}", "dim")
            case SaveReport() if self.verbose:
                yield f"step {report.step:,}  saved {one_line(str(report.path))}"
            case NoteReport():
                yield self.warning(report.text)
            case EndReport():
                yield from last_lines(report, self.paint)

    def warning(self, note: str) -> str:
        """Return a warning as a line."""
        return self.paint(f"charrnn: warning: {one_line(note)}", "yellow")

    def resumed(self) -> None:
        """Do nothing: what is written stays."""


class QuietLog(PlainLog):
    """Writes warnings, and how to go on with a run that was stopped."""

    def lines(self, report: Report) -> Iterator[str]:
        """Yield the lines for `report`."""
        match report:
            case StartReport():
                yield from (self.warning(note) for note in report.notes)
            case NoteReport():
                yield self.warning(report.text)
            case EndReport() if report.stopped == "signal":
                yield stop_line(report)


def log_line(report: LogReport, progress: Progress) -> str:
    """Return a log line: what was trained, how well and how fast."""
    eta = progress.eta_seconds
    return (
        f"step {report.step:,}  {progress.share:.1%}  epoch {report.epoch:.2f}  "
        f"loss {show_loss(report.loss, progress.bits(report.loss))}  "
        f"lr {report.learning_rate:.3g}  |grad| {report.grad_norm:.3g}  "
        f"{show_rate(report.tokens_per_second)} tokens/s  "
        f"eta {'-' if eta is None else show_duration(eta)}"
    )


def last_lines(report: EndReport, paint: Paint) -> Iterator[str]:
    """Yield the end of a run; one that was stopped says how to go on."""
    if report.stopped == "signal":
        yield stop_line(report)
    else:
        yield paint(end_line(report), "bold")
