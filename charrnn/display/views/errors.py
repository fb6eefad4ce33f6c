"""errors on a terminal: a row for each oracle, with the share of errors and bits it takes."""

from rich.table import Table
from rich.text import Text

from charrnn.display.views.page import make_console
from charrnn.views.errors import Errors, sentence
from charrnn.views.intervals import shown

WIDE = 70


def show_errors(found: Errors, *, width: int | None = None) -> None:
    """Print the view."""
    console = make_console(width=width)
    wide = console.width >= WIDE
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("would be fixed by", overflow="fold")
    table.add_column("errors", overflow="fold")
    if wide:
        table.add_column("count", justify="right", no_wrap=True)
    table.add_column("bits", justify="right", no_wrap=True)
    table.add_column("of right ones" if wide else "right", justify="right", no_wrap=True)
    for row in found.rows:
        share = shown(row.share) if wide else f"{row.share.mean:.1%}"
        cells = [row.name, share, *([f"{row.count:,}"] if wide else [])]
        table.add_row(*cells, f"{row.bits_share.mean:.1%}", f"{row.control:.1%}")
    console.print(table)
    console.print()
    rate = shown(found.error_rate)
    console.print(Text(f"errors: {rate} of {found.num_tokens:,} targets have p < 0.5"))
    for warning in found.warnings:
        console.print(Text(f"note: {warning}", style="yellow"))
    console.print(Text(sentence(found), style="bold"))
