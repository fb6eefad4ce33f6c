"""Text of unknown origin as HTML: escaped, its control characters visible, painted by classes.

A number from 0 to 1 becomes one of 21 classes q0 (blue) .. q10 (white) .. q20 (orange).
"""

import json
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from markupsafe import Markup, escape

from charrnn.display.foreign import visible

STEPS = 20
MARKS = {"\n": "⏎", "\t": "→", "\r": "␍"}


def level(share: float) -> int | None:
    """Return the class of a share, 0 to 20; None for nan."""
    return None if share != share else round(min(1.0, max(0.0, share)) * STEPS)


def symbol(text: str) -> str:
    """Return a symbol with all its white space as visible marks, for use within a line."""
    return "".join("␣" if c == " " else MARKS.get(c, visible(c)) for c in text) or "∅"


def flowing(text: str) -> str:
    """Return a text in which blanks stay, and a newline is a mark with a break behind it."""
    parts = []
    for char in text:
        mark = MARKS.get(char, visible(char))
        parts.append(f"{mark}\n" if char == "\n" else mark)
    return "".join(parts)


def painted(pieces: Iterable[str], shares: Iterable[float]) -> Markup:
    """Return a text, neighbours of one class in one span."""
    pairs = [(level(share), piece) for piece, share in zip(pieces, shares, strict=True)]
    parts = []
    for shade, group in groupby(pairs, key=lambda pair: pair[0]):
        text = escape(flowing("".join(piece for _, piece in group)))
        parts.append(text if shade is None else Markup('<i class="q{}">{}</i>').format(shade, text))
    return Markup("").join(parts)


def painted_each(
    pieces: Sequence[str], shares: Iterable[float], skipped: Sequence[tuple[int, str]] = ()
) -> Markup:
    """Return a text, every token in a span of its own.

    `skipped` symbols, each with the token that it stands before, are crossed out within its span.
    """
    before: dict[int, str] = {}
    for place, symbol_text in skipped:
        before[place] = before.get(place, "") + symbol_text
    parts = []
    for index, (piece, share) in enumerate(zip(pieces, shares, strict=True)):
        shade = level(share)
        name = "" if shade is None else f' class="q{shade}"'
        lost = f"<s>{escape(flowing(before[index]))}</s>" if index in before else ""
        parts.append(f"<i{name}>{lost}{escape(flowing(piece))}</i>")
    return Markup("".join(parts))


def marked(before: str, symbol_text: str, after: str) -> Markup:
    """Return a stretch on one line with a symbol in it marked."""
    one = [escape(symbol(part) if part else "") for part in (before, symbol_text, after)]
    plain = [Markup(text.replace("␣", " ")) for text in one]
    return Markup("<span class=ctx><bdi>{}</bdi><b>{}</b><bdi>{}</bdi></span>").format(
        plain[0], one[1], plain[2]
    )


def embedded(value: Any) -> Markup:
    """Return JSON that may stand in a script element: ASCII, and nothing in it ends the element."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for char in "<>&":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return Markup(text)


def escape_flowing(text: str) -> Markup:
    """Return a text that is plain, escaped; its lines stay."""
    return escape(visible(text))
