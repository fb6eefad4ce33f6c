"""Whether and how plain lines are coloured: ANSI attributes around text, or nothing at all."""

import os
from collections.abc import Mapping
from typing import Literal, TextIO

Color = Literal["auto", "always", "never"]
CODES = {"bold": "1", "dim": "2", "green": "32", "yellow": "33"}


def is_terminal(stream: TextIO) -> bool:
    """Return whether a person looks at `stream`."""
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


def has_color(color: Color, stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether text for `stream` may be coloured.

    "auto" is a terminal, unless NO_COLOR is set (https://no-color.org) or TERM is "dumb".
    """
    if color != "auto":
        return color == "always"
    plain = bool(environ.get("NO_COLOR")) or environ.get("TERM") == "dumb"
    return not plain and is_terminal(stream)


class Paint:
    """Colours text, where `enabled`."""

    def __init__(self, enabled: bool) -> None:
        self.enabled = enabled

    def __call__(self, text: str, *styles: str) -> str:
        """Return `text` in the named `styles` (see CODES)."""
        if not self.enabled or not styles:
            return text
        return f"\x1b[{';'.join(CODES[style] for style in styles)}m{text}\x1b[0m"
