"""The terminal that a view is drawn on: its width, its colours, and text that is foreign to it."""

import os
import sys

from rich.cells import cell_len
from rich.color import Color
from rich.console import Console
from rich.style import Style
from rich.text import Text

from charrnn.display.foreign import visible

MARKS = {"\n": "⏎", "\t": "→", " ": "·", "\r": "␍"}
BLUE, WHITE, ORANGE = (70, 120, 200), (245, 245, 245), (240, 140, 40)
DIGITS = "0123456789"


def make_console(*, width: int | None = None) -> Console:
    """Return a console on stdout that adds nothing: no markup, no emoji, no highlighting.

    With NO_COLOR it has no attributes either: digits say what colours would.
    """
    return Console(
        file=sys.stdout,
        width=width,
        color_system=None if os.environ.get("NO_COLOR") else "auto",
        markup=False,
        emoji=False,
        highlight=False,
        soft_wrap=False,
    )


def shade(share: float) -> Style:
    """Return the style of a number from 0 (blue) through 0.5 (white) to 1 (orange)."""
    share = min(1.0, max(0.0, share))
    low, high = (BLUE, WHITE) if share < 0.5 else (WHITE, ORANGE)
    part = share * 2 if share < 0.5 else share * 2 - 1
    red, green, blue = (round(a + (b - a) * part) for a, b in zip(low, high, strict=True))
    return Style(color=Color.from_rgb(20, 20, 20), bgcolor=Color.from_rgb(red, green, blue))


def digit(share: float) -> str:
    """Return a number from 0 to 1 as a digit 0 to 9, for terminals without colours."""
    return DIGITS[min(9, max(0, int(share * 10)))]


def mark(symbol: str) -> str:
    """Return a symbol with white space as visible marks and nothing that a terminal obeys."""
    return "".join(MARKS.get(char, visible(char)) for char in symbol)


def one_column(symbol: str) -> str:
    """Return one character, one column wide, that stands for `symbol`."""
    shown = mark(symbol)
    return shown if cell_len(shown) == 1 else "□"


def legend(low: str, high: str, console: Console) -> Text:
    """Return the scale of colours, from `low` to `high`; of digits where there are none."""
    text = Text(f"{low} ", style="dim", overflow="fold")
    for step in range(10):
        if console.color_system is None:
            text.append(digit(step / 9.99))
        else:
            text.append("  ", shade(step / 9))
    return text.append(f" {high}", style="dim")
