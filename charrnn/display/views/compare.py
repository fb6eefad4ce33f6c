"""compare on a terminal: the text painted by bits saved, the classes, the means."""

from itertools import islice

import numpy as np
from rich.table import Table
from rich.text import Text

from charrnn.display.views.page import legend, make_console
from charrnn.display.views.painting import painted
from charrnn.views.compare import Comparison, sentence
from charrnn.views.intervals import Interval

FULL_BITS = 4.0  # the difference that is painted deepest
SCREEN_LINES = 24
WIDE = 60  # columns from which on the classes are shown with all their numbers


def show_compare(
    found: Comparison,
    pieces: list[str],
    *,
    everything: bool = False,
    width: int | None = None,
) -> None:
    """Print the view; `pieces` are the texts of the tokens."""
    console = make_console(width=width)
    shares = 0.5 + found.difference / FULL_BITS / 2
    lines = painted(pieces, np.clip(shares, 0, 1).tolist(), console)
    for line in lines if everything else islice(lines, SCREEN_LINES):
        console.print(line, no_wrap=True, crop=True)
    if not everything and next(lines, None) is not None:
        console.print(Text("… (--all paints the rest)", style="dim"))
    console.print(legend(f"-{FULL_BITS:g}", f"+{FULL_BITS:g} bits that A saves", console))
    console.print()
    console.print(class_table(found, console.width >= WIDE))
    console.print()
    console.print(Text(f"A {found.bits_a:.4f} bits a token"))
    console.print(Text(f"B {found.bits_b:.4f} bits a token: {found.name_b}", overflow="fold"))
    for warning in found.warnings:
        console.print(Text(f"note: {warning}", style="yellow"))
    console.print(Text(sentence(found), style="bold"))


def class_table(found: Comparison, wide: bool) -> Table:
    """Return a row for each class of tokens, those that save most first."""
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("class", no_wrap=True)
    for name in ("share", "A", "B") if wide else ("share",):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("bits saved" if not wide else "bits saved, 95% interval", overflow="fold")
    if wide:
        table.add_column("of all", justify="right", no_wrap=True)
    for row in sorted(found.classes, key=lambda row: -abs(row.of_total)):
        cells = [row.name, f"{row.share:.1%}"]
        if wide:
            cells += [f"{row.bits_a:.3f}", f"{row.bits_b:.3f}"]
        cells.append(signed(row.saved))
        if wide:
            cells.append(f"{row.of_total:.0%}")
        table.add_row(*cells)
    return table


def signed(interval: Interval) -> str:
    """Return a difference with its 95% interval."""
    if interval.low != interval.low:
        return f"{interval.mean:+.3f}"
    return f"{interval.mean:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]"
