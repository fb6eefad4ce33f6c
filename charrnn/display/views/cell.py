"""cell on a terminal: the text painted with the unit, where it is high and low, and its numbers."""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from charrnn.display.views.page import legend, make_console, mark, shade
from charrnn.display.views.painting import painted
from charrnn.views.cell import Cell, Context, Effect, scale_of, sentence, shares_of
from charrnn.views.intervals import shown

SCREEN_LINES = 14
NUMBER_COLUMNS = 10  # before the text of a context
BARS = "▁▂▃▄▅▆▇█"


def show_cell(cell: Cell, *, everything: bool = False, width: int | None = None) -> None:
    """Print the view; `everything` paints all of the text."""
    console = make_console(width=width)
    console.print(Text(f"{cell.unit} over {len(cell.values):,} tokens", style="bold"))
    height = SCREEN_LINES * (1 if console.color_system is not None else 2)
    lines = painted(cell.pieces, shares_of(cell).tolist(), console)
    for number, line in enumerate(lines):
        if not everything and number >= height:
            console.print(Text("… (--all paints the rest)", style="dim"))
            break
        console.print(line, no_wrap=True, crop=True)
    what, low, high = scale_of(cell)
    console.print(legend(f"{what} = {low:.3g}", f"{high:.3g}, after each symbol", console))
    for title, contexts in (("highest", cell.highest), ("lowest", cell.lowest)):
        show_contexts(title, contexts, console)
    for quantile, contexts in cell.quantiles:
        show_contexts(f"around the {quantile:.0%} quantile", contexts, console)
    console.print()
    show_numbers(cell, console)
    for warning in cell.warnings:
        console.print(Text(f"warning: {warning}", style="yellow"))
    console.print(Text(sentence(cell), style="bold"))


def show_contexts(title: str, contexts: Sequence[Context], console: Console) -> None:
    """Print places, a line each, the symbol after which the unit has its value beneath the arrow.

    The text before is cut on its left, so that the symbols stand beneath each other.
    """
    room = max(4, (console.width - NUMBER_COLUMNS) * 3 // 4)
    console.print()
    arrow = " " * max(1, NUMBER_COLUMNS + room - len(title)) + "▼"
    console.print(Text(title, style="bold").append(arrow, "dim"), no_wrap=True, crop=True)
    for one in contexts:
        before = last_columns(mark(one.before), room)
        line = Text(f"{one.value:8.3f}  ").append(" " * (room - cell_len(before)))
        line.append(before, "dim").append(mark(one.symbol), shade(1.0)).append(
            mark(one.after), "dim"
        )
        console.print(line, no_wrap=True, crop=True)


def last_columns(text: str, columns: int) -> str:
    """Return the end of a text that fits so many columns."""
    start, used = len(text), 0
    while start and used + cell_len(text[start - 1]) <= columns:
        start -= 1
        used += cell_len(text[start])
    return text[start:]


def show_numbers(cell: Cell, console: Console) -> None:
    """Print the histogram, the times, and what the unit does to the output."""
    joined = 1 if console.width > len(cell.histogram) + 20 else 2
    counts = [sum(cell.histogram[i : i + joined]) for i in range(0, len(cell.histogram), joined)]
    largest = max(counts)
    bars = "".join(" " if not n else BARS[min(7, n * 8 // (largest + 1))] for n in counts)
    ends = f"{cell.edges[0]:.2f}", f"{cell.edges[-1]:.2f}"
    console.print(Text(f"{ends[0]} {bars} {ends[1]}"), no_wrap=True, crop=True)
    numbers = cell.numbers
    for interval, form, unit, meaning in (
        (numbers.mean, "{:+.3f}", "", "mean"),
        (numbers.std, "{:.3f}", "", "standard deviation"),
        (numbers.autocorrelation_time, "{:.1f}", " tokens", "autocorrelation time"),
        (numbers.time_constant, "{:.3g}", " tokens", "time constant of its keeping gate"),
    ):
        number = "-" if interval is None else shown(interval, form) + unit
        console.print(Text(number, style="bold").append(f"  {meaning}", "dim"))
    for title, effects in (("promotes", cell.promoted), ("suppresses", cell.suppressed)):
        if effects:
            console.print(effect_line(title, effects))


def effect_line(title: str, effects: Sequence[Effect]) -> Text:
    """Return the symbols that a unit makes more, or less, likely."""
    text = Text(f"{title} ", style="bold", overflow="fold")
    for one in effects:
        text.append(mark(one.symbol)).append(f" {one.logit:+.2f}  ", "dim")
    return text
