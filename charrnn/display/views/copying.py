"""copying on a terminal: a row for each sample, the control beneath, and the longest match."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from charrnn.display.foreign import clip
from charrnn.display.views.page import make_console, mark, shade
from charrnn.views.copying import LEAST, Copying, Group, sentence
from charrnn.views.intervals import shown

WIDE = 64  # columns from which on each sample's match is shown beside its numbers


def show_copying(found: Copying, *, width: int | None = None) -> None:
    """Print the view."""
    console = make_console(width=width)
    console.print(sample_table(found.samples, console))
    console.print()
    console.print(mean_table(found))
    console.print()
    longest = max(found.samples.passages, key=lambda passage: passage.longest)
    console.print(Text(f"longest match, line {longest.line:,} of the corpus", style="bold"))
    console.print(Text(mark(longest.match), shade(1.0), overflow="fold"))
    console.print()
    for warning in found.warnings:
        console.print(Text(f"note: {warning}", style="yellow"))
    console.print(Text(sentence(found), style="bold"))


def sample_table(group: Group, console: Console) -> Table:
    """Return a row for each sample."""
    wide = console.width >= WIDE
    table = Table(box=None, padding=(0, 1, 0, 0))
    for name in ("#", "longest", *(f"≥{least}" for least in LEAST), "offset"):
        table.add_column(name, justify="right", no_wrap=True)
    if wide:
        table.add_column("match", no_wrap=True, overflow="ellipsis")
    for index, passage in enumerate(group.passages, 1):
        row = [str(index), f"{passage.longest:,}"]
        row += [f"{passage.covered[least]:.0%}" for least in LEAST]
        row.append(str(passage.offset))
        cells = [Text(cell) for cell in row]
        if wide:
            cells.append(Text(clip(mark(passage.match), console.width), style="dim"))
        table.add_row(*cells)
    return table


def mean_table(found: Copying) -> Table:
    """Return the means of the samples and of the control, with their intervals."""
    table = Table(box=None, padding=(0, 1, 0, 0))
    for name in ("mean", "samples", "held out"):
        table.add_column(name, overflow="fold")
    control = found.control
    none = "-"
    table.add_row(
        "longest",
        shown(found.samples.longest, "{:.0f}"),
        none if control is None else shown(control.longest, "{:.0f}"),
    )
    for least in LEAST:
        table.add_row(
            f"in ≥{least}",
            shown(found.samples.covered[least]),
            none if control is None else shown(control.covered[least]),
        )
    return table
