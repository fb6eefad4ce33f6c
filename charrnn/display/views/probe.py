"""probe on a terminal: the accuracies side by side, and texts painted by the top unit."""

from rich.table import Table
from rich.text import Text

from charrnn.display.foreign import clip, one_line
from charrnn.display.views.page import legend, make_console
from charrnn.display.views.painting import painted
from charrnn.views.intervals import shown
from charrnn.views.probe import Probe, sentence

MAX_TOKENS = 300  # of a painted text
FULL = 2.0  # standard deviations that are painted deepest


def show_probe(found: Probe, *, width: int | None = None) -> None:
    """Print the view."""
    console = make_console(width=width)
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("who guesses", overflow="fold")
    table.add_column("accuracy on test, 95%", overflow="fold")
    rows = [
        (f"the state ({found.num_used} units, C {found.strength:g})", found.accuracy),
        (f"unit {found.unit} alone", found.threshold),
        *((f"{count} units", interval) for count, interval in found.few.items() if count > 1),
        ("words and pairs, counted", found.words),
        ("the network untrained", found.untrained),
        ("shuffled labels", found.shuffled),
        ("the majority", found.majority),
    ]
    for name, interval in rows:
        table.add_row(Text(name), Text(shown(interval)))
    console.print(table)
    console.print()
    for text in found.painted:
        console.print(Text(f"label {clip(one_line(text.label), 20)}", style="dim"))
        shares = [0.5 + value / FULL / 2 for value in text.values[:MAX_TOKENS]]
        for line in painted(text.tokens[:MAX_TOKENS], shares, console):
            console.print(line, no_wrap=True, crop=True)
    console.print(legend(f"-{FULL:g}", f"+{FULL:g} sd of {found.unit} after each symbol", console))
    console.print()
    sizes = "{:,} train, {:,} dev, {:,} test".format(*found.sizes)
    console.print(Text(f"{sizes}; positive is {clip(one_line(found.positive), 20)}"))
    console.print(Text(sentence(found), style="bold"))
