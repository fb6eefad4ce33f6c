"""saliency on a terminal: the text painted by what each token did, and the largest in numbers."""

import numpy as np
from rich.table import Table
from rich.text import Text

from charrnn.display.views.compare import signed
from charrnn.display.views.page import legend, make_console, mark
from charrnn.display.views.painting import painted
from charrnn.views.saliency import Saliency, sentence

NUM_ROWS = 8


def show_saliency(
    found: Saliency, pieces: list[str], target: str, *, width: int | None = None
) -> None:
    """Print the view; `pieces` are the inputs that are judged."""
    console = make_console(width=width)
    swap = np.array([interval.mean for interval in found.swap])
    full = max(1e-9, float(np.abs(swap).max()))
    for line in painted(pieces, (0.5 + swap / full / 2).tolist(), console):
        console.print(line, no_wrap=True, crop=True)
    log_p = f"{mark(target)}  ln p {found.log_p:.3f}  (after inputs of zero {found.baseline:.3f})"
    console.print(Text(f"target {log_p}", style="bold", overflow="fold"))
    console.print(legend("-", f"+ {full:.2f} nats that the token adds to ln p", console))
    console.print()
    console.print(largest_table(found, pieces, swap))
    console.print()
    console.print(Text(sentence(found, pieces), style="bold"))


def largest_table(found: Saliency, pieces: list[str], swap: np.ndarray) -> Table:
    """Return the tokens that mattered most, by their swap."""
    table = Table(box=None, padding=(0, 1, 0, 0))
    for name in ("lag", "", "swap", "ig", "g*in", "grad"):
        table.add_column(name, overflow="fold")
    for place in np.argsort(-np.abs(swap), kind="stable")[:NUM_ROWS]:
        table.add_row(
            str(len(swap) - place),
            Text(mark(pieces[place])),
            signed(found.swap[place]),
            f"{found.integrated[place]:+.2f}",
            f"{found.grad_input[place]:+.2f}",
            f"{found.grad[place]:.2f}",
        )
    return table
