"""What a training run says once: how it begins, its evaluations, its result, what to type next.

A Line is one line where nobody folds it; on a terminal its text is folded between words, and its
command stays whole on a line of its own, so that it can be copied.
"""

from pathlib import Path
from typing import NamedTuple

from charrnn.display.foreign import one_line, shell_quote
from charrnn.display.numbers import show_duration, show_loss
from charrnn.reports import EndReport, EvalReport, StartReport


class Line(NamedTuple):
    """A text for people, and a command for their shell."""

    text: str
    command: str = ""

    def __str__(self) -> str:
        """Return both on one line."""
        return f"{self.text} {self.command}" if self.command else self.text


def start_lines(report: StartReport) -> list[Line]:
    """Return what a run says before its first step: sizes and options, with their reason."""
    config = report.config
    held_out = f"{report.num_valid_tokens:,} tokens held out"
    if not report.num_valid_tokens:
        held_out = "nothing held out"
    lines = [
        Line(report.reason),
        Line(
            f"{one_line(str(report.directory))}: {report.num_parameters:,} parameters, "
            f"{report.model.vocab_size:,} symbols, {held_out}, {report.device} {config.precision}, "
            f"{config.threads} {'thread' if config.threads == 1 else 'threads'}"
        ),
    ]
    if report.resumed_from is not None:
        lines.append(Line(f"going on from step {report.resumed_from:,}"))
    return lines


def end_line(report: EndReport, words: bool) -> Line:
    """Return the result: best loss, of `words` or not, directory, and how to sample from it."""
    path = str(report.directory)
    sample = f"charrnn sample -m {shell_quote(path)}"
    if report.best_loss is None:
        result = f"step {report.step:,}, nothing held out"
    else:
        loss = show_loss(report.best_loss, report.best_bits_per_char, words)
        result = f"best loss {loss} at step {report.best_step:,}"
    if report.stopped == "patience":
        result += ", out of --patience"
    took = show_duration(report.elapsed_seconds)
    return Line(f"{result}, {took} -> {one_line(path)}  ", sample)


def stop_line(report: EndReport) -> Line:
    """Return what was saved when the run was asked to stop, and the command that goes on."""
    return Line(f"saved at step {report.step:,}; to go on:", resume_command(report.directory))


def resume_command(directory: Path) -> str:
    """Return the command that goes on with the run in `directory`."""
    return f"charrnn train --resume -o {shell_quote(str(directory))}"


def eval_line(report: EvalReport, words: bool) -> str:
    """Return an evaluation, of `words` or not, in one line."""
    loss = show_loss(report.valid_loss, report.valid_bits_per_char, words)
    if report.final:
        return f"step {report.best_step:,}  final valid {loss}  (best weights, fully warmed up)"
    return f"step {report.step:,}  valid {loss}{'  best so far' if report.best else ''}"
