"""A training run as plain lines, for pipes, files and simple terminals: one line each report.

No carriage return and no cursor movement; text of the model is escaped and kept on one line.
"""

from collections.abc import Iterator

from charrnn.display.ending import Line, end_line, eval_line, start_lines, stop_line
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

LOG_SHARE = 0.02  # of the budget, between two log lines


class PlainLog:
    """Writes a line for each report that is worth one; with `verbose` also for each save.

    Of the log reports some are left out, unless `every_log` is wanted.
    """

    def __init__(
        self, messages: Messages, paint: Paint, verbose: bool = False, every_log: bool = False
    ) -> None:
        self.messages, self.paint, self.verbose = messages, paint, verbose
        self.every_log, self.logged_share = every_log, -LOG_SHARE
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
                yield from self.start(report)
            case LogReport() if self.takes_log():
                yield log_line(report, self.progress)
            case EvalReport() if report.valid_loss is not None:
                styles = ("bold", "green") if report.best else ("bold",)
                yield self.paint(eval_line(report, self.progress.words), *styles)
            case SampleReport():
                yield self.paint(f"step {report.step:,}  sample  {one_line(report.text)}", "dim")
            case SaveReport() if self.verbose:
                yield f"step {report.step:,}  saved {one_line(str(report.path))}"
            case NoteReport():
                yield from self.warning(report.text)
            case EndReport():
                yield from self.end(report)

    def takes_log(self) -> bool:
        """Return whether the newest log report gets a line."""
        share, shown = self.progress.share, self.logged_share
        if not self.every_log and shown <= share < min(1.0, shown + LOG_SHARE):
            return False
        self.logged_share = share
        return True

    def start(self, report: StartReport) -> Iterator[str]:
        """Yield the lines that begin a run."""
        for line in start_lines(report):
            yield from self.folded(line)
        for note in report.notes:
            yield from self.warning(note)

    def warning(self, note: str) -> Iterator[str]:
        """Yield a warning."""
        yield from self.folded(Line(f"charrnn: warning: {one_line(note)}"), "yellow")

    def end(self, report: EndReport) -> Iterator[str]:
        """Yield the end of a run; one that was stopped says how to go on."""
        if report.stopped == "signal":
            yield from self.folded(stop_line(report))
        else:
            yield from self.folded(end_line(report, self.progress.words), "bold")

    def folded(self, line: Line, *styles: str) -> Iterator[str]:
        """Yield `line` as lines for the stream: a pipe or file gets one."""
        yield self.paint(str(line), *styles)

    def resumed(self) -> None:
        """Do nothing: what is written stays."""


class QuietLog(PlainLog):
    """Writes warnings, and how to go on with a run that was stopped."""

    def lines(self, report: Report) -> Iterator[str]:
        """Yield the lines for `report`."""
        match report:
            case StartReport():
                for note in report.notes:
                    yield from self.warning(note)
            case NoteReport():
                yield from self.warning(report.text)
            case EndReport() if report.stopped == "signal":
                yield from self.end(report)


def log_line(report: LogReport, progress: Progress) -> str:
    """Return a log line: what was trained, how well and how fast."""
    eta = progress.eta_seconds
    return (
        f"step {report.step:,}  {progress.share:.1%}  epoch {report.epoch:.2f}  "
        f"loss {show_loss(report.loss, progress.bits(report.loss), progress.words)}  "
        f"lr {report.learning_rate:.3g}  |grad| {report.grad_norm:.3g}  "
        f"{show_rate(report.tokens_per_second)} tokens/s  "
        f"eta {'-' if eta is None else show_duration(eta)}"
    )
