"""ablate on a terminal: the units whose loss costs most, with a bar for each."""

import math

from rich.table import Table
from rich.text import Text

from charrnn.display.views.compare import signed
from charrnn.display.views.page import make_console
from charrnn.views.ablate import Ablation, sentence

NUM_ROWS = 20
WIDE = 64
BAR = 24


def show_ablation(found: Ablation, *, width: int | None = None) -> None:
    """Print the view."""
    console = make_console(width=width)
    wide = console.width >= WIDE
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("unit", no_wrap=True)
    table.add_column("bits more", overflow="fold")
    if wide:
        table.add_column("estimate", justify="right", no_wrap=True)
        table.add_column("", no_wrap=True)
    full = max((row.delta.mean for row in found.rows), default=1.0)
    for row in found.rows[:NUM_ROWS]:
        filled = round(BAR * max(0.0, row.delta.mean) / full) if full > 0 else 0
        bar = Text("█" * filled, style="dark_orange")
        cells = [Text(row.unit), Text(signed(row.delta))]
        table.add_row(*cells, *([Text(f"{row.estimate:+.3f}"), bar] if wide else []))
    console.print(table)
    console.print()
    if math.isfinite(found.chance):
        count = len(found.control)
        console.print(Text(f"random units ({count}): at most {found.chance:.3f} bits"))
    console.print(Text(f"all units at once: {signed(found.all_units)} bits"))
    console.print(Text(f"{found.num_targets:,} targets"))
    console.print(Text(sentence(found), style="bold"))
