"""A text painted token by token, in lines that fit; digits beneath where there are no colours."""

from collections.abc import Iterable, Iterator

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from charrnn.display.views.page import digit, mark, shade
from charrnn.display.views.surprisal import wrapped


def painted(pieces: Iterable[str], shares: Iterable[float], console: Console) -> Iterator[Text]:
    """Yield the lines of a text; `shares` are 0 (blue) to 1 (orange), nan is not painted."""
    colored = console.color_system is not None
    line, digits = Text(), Text(style="dim")
    used = 0

    def finish() -> Iterator[Text]:
        yield line
        if not colored:
            yield digits

    for piece, share in zip(pieces, shares, strict=True):
        known = share == share
        for part in wrapped(mark(piece), console.width):
            columns = cell_len(part)
            if used + columns > console.width:
                yield from finish()
                line, digits, used = Text(), Text(style="dim"), 0
            line.append(part, shade(share) if colored and known else "")
            digits.append((digit(share) if known else " ") + " " * (columns - 1))
            used += columns
        if piece.endswith("\n"):
            yield from finish()
            line, digits, used = Text(), Text(style="dim"), 0
    if used:
        yield from finish()
