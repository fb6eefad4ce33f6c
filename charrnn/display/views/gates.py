"""gates on a terminal: the shares of shut and open gates, and where the units are among them."""

import math

from rich.console import Console
from rich.table import Table
from rich.text import Text

from charrnn.display.views.page import digit, make_console, shade
from charrnn.views.gates import CELLS, GateRow, Gates, sentence
from charrnn.views.intervals import shown
from charrnn.views.keeping import shown_interval, shown_tokens

CELL = 2  # columns of one cell of the density
PANEL = CELL * CELLS + 2
KEPT = (2, 4)  # quantiles that are shown: what half of the units exceed, and what 5% do


def show_gates(found: Gates, keeps: str, *, width: int | None = None) -> None:
    """Print the view."""
    console = make_console(width=width)
    console.print(gate_table(found.rows, console.width >= 70))
    console.print()
    ends = ("open (> 0.9)", "shut (< 0.1)") if keeps else ("over 0.9", "under -0.9")
    title = f"units by share of tokens: right is {ends[0]}, up is {ends[1]}, in tenths"
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
    """Return a row for each gate of each layer, beneath it that of the untrained network."""
    table = Table(box=None, padding=(0, 1, 0, 0))
    for name in ("gate", "shut", "open", "keeps for tokens: half, 5%" if wide else "keeps"):
        table.add_column(name, overflow="fold")
    for row in rows:
        form = "{:.0%}"
        cells = [f"{row.gate}:{row.layer}", shown(row.left, form), shown(row.right, form)]
        cells.append(", ".join(shown_interval(row.spread[i]) for i in KEPT if row.spread))
        table.add_row(*cells)
        plain = [shown_tokens(row.control.spread[i]) for i in KEPT if row.control.spread]
        beside = [form.format(row.control.left), form.format(row.control.right)]
        table.add_row("untrained", *beside, ", ".join(plain), style="dim")
    return table


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
