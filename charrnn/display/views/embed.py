"""embed on a terminal: a row for each symbol, its neighbours going in and going out."""

from rich.table import Table
from rich.text import Text

from charrnn.display.foreign import clip
from charrnn.display.views.page import make_console, mark
from charrnn.views.embed import Embedding, Neighbour, sentence


def show_embedding(found: Embedding, *, width: int | None = None) -> None:
    """Print the view; neighbours that are not nearer than chance are dim."""
    console = make_console(width=width)
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("", no_wrap=True)
    if not found.tied:
        table.add_column("going in", overflow="fold")
    table.add_column("going out" if not found.tied else "in and out", overflow="fold")
    for row in found.rows:
        cells = [Text(clip(mark(row.symbol), 20), style="bold")]
        if not found.tied:
            cells.append(neighbours(row.going_in, found.chance_in))
        table.add_row(*cells, neighbours(row.going_out, found.chance_out))
    console.print(table)
    console.print()
    for line in (
        "cosines in hundredths, exact: read off the weights",
        f"by chance: {found.chance_in:.2f} going in, {found.chance_out:.2f} going out",
    ):
        console.print(Text(line))
    console.print(Text(sentence(found), style="bold"))


def neighbours(near: list[Neighbour], chance: float) -> Text:
    """Return the neighbours with their cosines in hundredths, in brackets where only chance."""
    text = Text()
    for one in near:
        known = one.cosine > chance
        shown = f"{clip(mark(one.symbol), 16)} {100 * one.cosine:.0f}"
        text.append(shown if known else f"({shown})", "" if known else "dim").append("  ")
    return text
