"""gates on a terminal: the shares of shut and open gates, and where the units are among them."""

import math

from rich.console import Console
from rich.table import Table
from rich.text import Text

from charrnn.display.views.copying import shown
from charrnn.display.views.page import digit, make_console, shade
from charrnn.views.gates import CELLS, GateRow, Gates, sentence

CELL = 2  # columns of one cell of the density
PANEL = CELL * CELLS + 2


def show_gates(found: Gates, keeps: str, *, width: int | None = None) -> None:
    """Print the view."""
    console = make_console(width=width)
    console.print(gate_table(found.rows, console.width >= 70))
    console.print()
    title = "units by share of tokens: right is open (> 0.9), up is shut (< 0.1), in tenths"
    console.print(Text(title, style="bold"))
    across = max(1, console.width // PANEL)
    for begin in range(0, len(found.rows), across):
        for line in density_lines(found.rows[begin : begin + across], console):
            console.print(line, no_wrap=True, crop=True)
        console.print()
    for warning in found.warnings:
        console.print(Text(f"note: {warning}", style="yellow"))
    console.print(Text(sentence(found, keeps), style="bold"))


def gate_table(rows: list[GateRow], wide: bool) -> Table:
    """Return a row for each gate of each layer."""
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("gate", no_wrap=True)
    for name in ("shut", "open"):
        table.add_column(name, overflow="fold")
    if wide:
        table.add_column("untrained", no_wrap=True)
    table.add_column("keeps for tokens: 25 50 75%" if wide else "keeps", overflow="fold")
    for row in rows:
        form = "{:.0%}"
        left = shown(row.left, form) if wide else form.format(row.left.mean)
        right = shown(row.right, form) if wide else form.format(row.right.mean)
        cells = [f"{row.gate}:{row.layer}", left, right]
        if wide:
            cells.append(f"{row.control[0]:.0%} {row.control[1]:.0%}")
        cells.append(" ".join(tokens(value) for value in row.spread[1:4]))
        table.add_row(*cells)
    return table


def tokens(value: float) -> str:
    """Return a time constant with two digits."""
    return (
        "∞"
        if math.isinf(value) or value >= 1e5
        else f"{value:.1f}"
        if value < 10
        else f"{value:.0f}"
    )


def density_lines(rows: list[GateRow], console: Console) -> list[Text]:
    """Return the densities side by side: the more units, the warmer."""
    colored = console.color_system is not None
    lines = [Text("".join(f"{f'{row.gate}:{row.layer}':<{PANEL}}" for row in rows), style="bold")]
    for left in range(CELLS - 1, -1, -1):
        line = Text()
        for row in rows:
            most = max(max(cells) for cells in row.density)
            for right in range(CELLS):
                count = row.density[left][right]
                share = math.log1p(count) / math.log1p(most)
                mark = "··" if not count else "  " if colored else digit(share) * CELL
                line.append(mark, shade(0.5 + share / 2) if count and colored else "dim")
            line.append("  ")
        lines.append(line)
    return lines
