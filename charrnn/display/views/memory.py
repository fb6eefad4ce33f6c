"""memory on a terminal: the bits lost by forgetting, the brackets, the gradients on one plot."""

import math

from rich.console import Console
from rich.table import Table
from rich.text import Text

from charrnn.display.foreign import clip, one_line
from charrnn.display.views.compare import signed
from charrnn.display.views.page import make_console
from charrnn.display.views.plot import braille_plot, marks_of
from charrnn.views.closers import Bin
from charrnn.views.intervals import shown
from charrnn.views.lags import factor
from charrnn.views.memory import Gradients, Memory, sentence

HEIGHT, MAX_WIDTH = 14, 110
STYLES = ("dark_orange", "blue", "green", "magenta", "cyan", "red", "yellow")
LOWEST = -12  # powers of ten under the largest gradient that are drawn


def show_memory(found: Memory, *, width: int | None = None) -> None:
    """Print the view."""
    console = make_console(width=width)
    console.print(Text("bits a token lost by forgetting all but the last n", style="bold"))
    console.print(horizon_table(found, console))
    console.print()
    if found.bins:
        beside = "" if found.ngram is None else f", beside a {found.ngram}-gram's"
        console.print(Text(f"p of the closing bracket or quote{beside}", style="bold"))
        console.print(closer_table(found.bins))
        console.print()
    show_gradients(found.gradients, console)
    for warning in found.warnings:
        console.print(Text(f"note: {warning}", style="yellow"))
    console.print(Text(sentence(found), style="bold"))


def horizon_table(found: Memory, console: Console) -> Table:
    """Return delta(n) of the network, and of the one that was not trained."""
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("n", justify="right", no_wrap=True)
    table.add_column("bits", overflow="fold")
    table.add_column("untrained", overflow="fold")
    for point, control in zip(found.points, found.control, strict=True):
        style = "bold" if point.n == found.horizon else ""
        wide = console.width >= 60
        beside = signed(control.delta) if wide else f"{control.delta.mean:+.3f}"
        table.add_row(str(point.n), signed(point.delta), beside, style=style)
    return table


def closer_table(bins: list[Bin]) -> Table:
    """Return p of the true closer by distance."""
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("distance", no_wrap=True)
    table.add_column("count", justify="right", no_wrap=True)
    table.add_column("model", overflow="fold")
    table.add_column("n-gram", overflow="fold")
    for one in bins:
        span = f"{one.low}-{one.high}" if one.high is not None else f"{one.low}-"
        beside = "-" if one.ngram is None else shown(one.ngram)
        table.add_row(span, str(one.count), shown(one.model), beside)
    return table


def show_gradients(gradients: list[Gradients], console: Console) -> None:
    """Print the gradients of all models on one logarithmic plot, each from its largest on."""
    series: list[tuple[str, list[tuple[float, float]]]] = []
    styles: list[str] = []
    for one in gradients:
        for part in one.parts:
            means = [value.mean for value in part.gradients]
            known = [mean for mean in means if math.isfinite(mean) and mean > 0]
            if not known:
                continue
            points = [
                (float(lag), max(LOWEST, math.log10(mean / max(known))))
                for lag, mean in enumerate(means, 1)
                if math.isfinite(mean) and mean > 0
            ]
            style = STYLES[len(series) % len(STYLES)]
            slope = ""
            if part.slope is not None:
                slope = f"  x {shown(factor(part.slope), '{:.3f}')} a token"
            name = f"{part.part} of {clip(one_line(one.name), 24)} ({one.cell_type}){slope}"
            series.append((name, points))
            styles.append(style)
    if not series:
        return
    console.print(Text("gradient by lag, log10 of its share of the largest", style="bold"))
    marks = marks_of(len(series), console)
    for line in braille_plot(series, min(console.width, MAX_WIDTH), HEIGHT, styles, marks):
        console.print(line, no_wrap=True, crop=True)
    last = max(x for _, points in series for x, _ in points)
    console.print(Text(f"{'':8}lags 1 to {last:.0f}"))
    for (name, _), style, sign in zip(series, styles, marks, strict=True):
        console.print(Text(f"{sign or '━'} ", style).append(name, ""))
    console.print()
