"""A training run on a terminal: a panel of numbers, a curve and the newest sample.

Everything is drawn from `Progress`; text of the model is made visible and is never markup.
"""

import os
import time
from collections.abc import Callable, Iterator
from typing import TextIO

from rich.cells import cell_len, chop_cells
from rich.console import Console, Group, RenderableType
from rich.text import Text

from charrnn.display.ending import Line
from charrnn.display.foreign import visible
from charrnn.display.numbers import show_duration, show_loss, show_rate
from charrnn.display.output import Messages
from charrnn.display.paint import Paint
from charrnn.display.plain import PlainLog
from charrnn.display.progress import Progress
from charrnn.display.region import Region
from charrnn.display.sparkline import sparkline
from charrnn.reports import (
    EndReport,
    EvalReport,
    LogReport,
    NoteReport,
    Report,
    SampleReport,
    StartReport,
)

REFRESH_SECONDS = 0.2
SAMPLE_LINES = 6
MAX_WIDTH = 120  # cells; a wider terminal is not used up

Clock = Callable[[], float]


class LiveDisplay(PlainLog):
    """Keeps a panel up to date; what must stay (warnings, the end) is written above it."""

    def __init__(
        self,
        messages: Messages,
        paint: Paint,
        console: Console,
        verbose: bool = False,
        clock: Clock = time.monotonic,
    ) -> None:
        super().__init__(messages, paint, verbose)
        self.region, self.console, self.clock = Region(messages, console), console, clock
        self.next_paint = 0.0

    def show(self, report: Report) -> None:
        """Paint what `report` changes; steps only a few times a second."""
        self.progress.update(report)
        for line in self.lasting_lines(report):
            self.region.print_above(line)
        if isinstance(report, EndReport):
            return
        due = isinstance(report, LogReport | EvalReport | SampleReport | NoteReport)
        if due or self.clock() >= self.next_paint:
            self.repaint()

    def lasting_lines(self, report: Report) -> Iterator[str]:
        """Yield the lines for `report` that stay on the screen."""
        match report:
            case StartReport():
                yield from self.start(report)
            case NoteReport():
                yield from self.warning(report.text)
            case EndReport():
                self.repaint()
                self.region.forget()
                yield from self.end(report)

    def folded(self, line: Line, *styles: str) -> Iterator[str]:
        """Yield `line` folded between words; a command that does not fit gets a line of its own."""
        width = max(1, self.console.width - 1)
        lines = [str(line)]
        if cell_len(lines[0]) > width:
            lines = [*fold(line.text, width), line.command]
        yield from (self.paint(part, *styles) for part in lines if part)

    def repaint(self) -> None:
        """Paint the panel as it is now."""
        if self.progress.step is None:
            return
        width = min(MAX_WIDTH, self.console.width - 1)  # the last column may wrap
        self.region.paint(panel(self.progress, max(1, width)))
        self.next_paint = self.clock() + REFRESH_SECONDS

    def resumed(self) -> None:
        """Start anew below what the shell has written while the process was stopped."""
        self.region.forget()


def fold(text: str, width: int) -> list[str]:
    """Return the words of `text` in lines of at most `width` cells; a longer word stays whole."""
    lines = [""]
    for word in text.split():
        if not lines[-1]:
            lines[-1] = word
        elif cell_len(lines[-1]) + 1 + cell_len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def panel(progress: Progress, width: int) -> RenderableType:
    """Return all that is known of a run, in lines of at most `width` cells."""
    rows: list[RenderableType] = [
        bar(progress.share, width),
        *flow(list(fields(progress)), width),
    ]
    curve = sparkline(progress.losses, width - 6)
    if curve:
        rows.append(Text.assemble(("loss  ", "dim"), (curve, "cyan"), no_wrap=True))
    if progress.sample is not None:
        rows += sample_rows(progress.sample, width)
    return Group(*rows)


def bar(share: float, width: int) -> Text:
    """Return a bar of `width` cells, of which `share` is done; it can be read without colours."""
    done = round(share * width)
    return Text.assemble(("━" * done, "green"), ("─" * (width - done), "dim"), no_wrap=True)


def fields(progress: Progress) -> Iterator[tuple[str, str]]:
    """Yield the names and values of the panel's numbers."""
    step, evaluation = progress.step, progress.eval
    assert step is not None
    eta = progress.eta_seconds
    yield "step", f"{step.step:,}"
    yield "done", f"{progress.share:.1%}"
    yield "ETA", "-" if eta is None else show_duration(eta)
    yield "epoch", f"{step.epoch:.2f}"
    loss = progress.train_loss
    bits = None if progress.words else progress.bits(loss)
    yield "train", show_loss(loss, bits, progress.words)
    if evaluation is not None and evaluation.valid_loss is not None:
        bits = None if progress.words else evaluation.valid_bits_per_char
        yield "valid", show_loss(evaluation.valid_loss, bits, progress.words)
    rate = step.tokens_per_second if progress.log is None else progress.log.tokens_per_second
    yield "tokens/s", show_rate(rate)
    yield "lr", f"{step.learning_rate:.3g}"
    yield "|grad|", f"{step.grad_norm:.3g}"


def flow(pairs: list[tuple[str, str]], width: int) -> Iterator[Text]:
    """Yield lines that hold the names and values, as many as fit in `width` cells each."""
    line = Text(no_wrap=True, overflow="crop")
    for name, value in pairs:
        item = Text.assemble((f"{name} ", "dim"), (value, "bold"))
        gap = 3 if line else 0
        if line and line.cell_len + gap + item.cell_len > width:
            yield line
            line, gap = Text(no_wrap=True, overflow="crop"), 0
        line.append(" " * gap).append_text(item)
    yield line


def sample_rows(report: SampleReport, width: int) -> Iterator[Text]:
    """Yield the newest sample, folded and cut to a few lines, under a heading."""
    yield Text(f"sample at step {report.step:,}", style="dim", no_wrap=True)
    lines = visible(report.text).expandtabs(4).strip("\n").split("\n")
    folded = [part for line in lines for part in chop_cells(line, max(2, width - 2)) or [""]]
    for line in folded[:SAMPLE_LINES]:
        yield Text("  " + line, no_wrap=True)


def make_console(stream: TextIO, color: bool) -> Console:
    """Return a console that knows the terminal behind `stream`; sizes of 0 or no number are not
    taken from the environment."""
    environ = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
    for name in ("COLUMNS", "LINES"):
        value = os.environ.get(name, "")
        if value.isdecimal() and int(value) > 1:
            environ[name] = value
    system = "auto" if color else None
    return Console(
        file=stream,
        force_terminal=True,
        no_color=not color,
        color_system=system,  # type: ignore[arg-type]
        legacy_windows=False,
        markup=False,
        highlight=False,
        emoji=False,
        _environ=environ,
    )
