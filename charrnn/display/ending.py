"""The last lines of a training run: its result, and the command to type next."""

from pathlib import Path

from charrnn.display.foreign import one_line, shell_quote
from charrnn.display.numbers import show_duration, show_loss
from charrnn.reports import EndReport, EvalReport, StartReport


def start_lines(report: StartReport) -> list[str]:
    """Return what a run says before its first step: sizes and options, with their reason."""
    config = report.config
    held_out = f"{report.num_valid_tokens:,} tokens held out"
    lines = [
        report.reason,
        f"{one_line(str(report.directory))}: {report.num_parameters:,} parameters, "
        f"{report.model.vocab_size:,} symbols, {held_out}, {report.device} {config.precision}, "
        f"{config.threads} {'thread' if config.threads == 1 else 'threads'}",
    ]
    if report.resumed_from is not None:
        lines.append(f"going on from step {report.resumed_from:,}")
    return lines


def end_line(report: EndReport) -> str:
    """Return the result in one line: best loss, directory, and how to sample from it."""
    path = str(report.directory)
    sample = f"charrnn sample -m {shell_quote(path)}"
    if report.best_loss is None:
        result = f"step {report.step:,}, nothing held out"
    else:
        loss = show_loss(report.best_loss, report.best_bits_per_char)
        result = f"best loss {loss} at step {report.best_step:,}"
    took = show_duration(report.elapsed_seconds)
    return f"{result}, {took} -> {one_line(path)}   {sample}"


def stop_line(report: EndReport) -> str:
    """Return what was saved when the run was asked to stop, and the command that goes on."""
    return f"saved at step {report.step:,}; to go on: {resume_command(report.directory)}"


def resume_command(directory: Path) -> str:
    """Return the command that goes on with the run in `directory`."""
    return f"charrnn train --resume -o {shell_quote(str(directory))}"


def eval_line(report: EvalReport) -> str:
    """Return an evaluation in one line."""
    loss = show_loss(report.valid_loss, report.valid_bits_per_char)
    if report.final:
        return f"step {report.best_step:,}  final valid {loss}  (best weights, fully warmed up)"
    return f"step {report.step:,}  valid {loss}{'  best so far' if report.best else ''}"
