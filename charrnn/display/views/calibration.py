"""calibration on a terminal: a bar for each tenth of confidence, and the errors."""

from rich.table import Table
from rich.text import Text

from charrnn.display.views.compare import signed
from charrnn.display.views.page import make_console
from charrnn.views.calibration import Bar, Calibration, sentence
from charrnn.views.intervals import shown

MAX_BAR = 40


def show_calibration(found: Calibration, *, width: int | None = None) -> None:
    """Print the view."""
    console = make_console(width=width)
    room = max(0, min(MAX_BAR, console.width - 42))
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("says", justify="right", no_wrap=True)
    table.add_column("is right", overflow="fold")
    table.add_column("tokens", justify="right", no_wrap=True)
    if room >= 10:
        table.add_column("accuracy, and | where it says it is", no_wrap=True)
    for bar in found.bars:
        cells = [Text(f"{bar.confidence:.1%}"), Text(shown(bar.accuracy)), Text(f"{bar.count:,}")]
        table.add_row(*cells, *([drawn_bar(bar, room)] if room >= 10 else []))
    console.print(table)
    console.print()
    low, high = found.null
    console.print(
        Text(f"ECE            {shown(found.ece, '{:.2%}')}, by chance {low:.2%} to {high:.2%}")
    )
    console.print(Text(f"overconfidence {shown(found.overconfidence, '{:+.2%}')}"))
    console.print(Text(f"temperature    {shown(found.temperature, '{:.2f}')}"))
    console.print(Text(f"bits saved     {signed(found.saved)} on the second half"))
    for warning in found.warnings:
        console.print(Text(f"note: {warning}", style="yellow"))
    console.print(Text(sentence(found), style="bold"))


def drawn_bar(bar: Bar, room: int) -> Text:
    """Return the accuracy as a bar, with a mark where the confidence is."""
    filled = round(bar.accuracy.mean * (room - 1))
    cells = ["█" if place < filled else "·" for place in range(room)]
    cells[round(bar.confidence * (room - 1))] = "|"
    return Text("".join(cells))
