"""What a section of the page is made of: numbers, figures, tables and painted text.

Strings in them are plain text, which the templates escape; Markup is ready for the page.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from charrnn.views.intervals import Interval


@dataclass(frozen=True)
class Number:
    """The main number of a section."""

    value: str
    unit: str
    interval: str  # empty where it is no estimate
    beside: str  # what it would be if there were nothing to see


@dataclass(frozen=True)
class Key:
    """One entry of a legend: the CSS class of the mark, and what it stands for."""

    mark: str
    label: str


@dataclass(frozen=True)
class Figure:
    """A drawing, or several side by side."""

    drawings: Sequence[Markup]
    caption: str
    keys: Sequence[Key] = ()
    kind: str = "figure"


@dataclass(frozen=True)
class Table:
    """Rows of cells; the columns from `text_columns` on are numbers."""

    head: Sequence[str]
    rows: Sequence[Sequence[str | Markup]]
    caption: str
    text_columns: int = 1
    folded: bool = False  # behind a disclosure
    title: str = "The numbers"  # of that
    kind: str = "table"


@dataclass(frozen=True)
class Painted:
    """A text painted token by token."""

    title: str
    html: Markup
    low: str
    high: str
    caption: str
    kind: str = "painted"


@dataclass(frozen=True)
class Card:
    """A unit with the text painted by it."""

    name: str
    title: str
    grade: str
    facts: Sequence[tuple[str, str]]  # number, meaning
    html: Markup
    turned: bool  # whether the sign is turned


@dataclass(frozen=True)
class Cards:
    """Units side by side."""

    cards: Sequence[Card]
    low: str
    high: str
    kind: str = "cards"


@dataclass(frozen=True)
class Listing:
    """Texts one under the other, each with a short head."""

    title: str
    items: Sequence[tuple[str, Markup]]
    caption: str
    folded: bool = False
    kind: str = "listing"


@dataclass(frozen=True)
class Flip:
    """Units to flip through; `first` is on the page, the data hold the rest."""

    first: str
    html: Markup
    tracks: str
    scale: tuple[str, str]
    facts: Sequence[tuple[str, str]]
    data: Markup  # JSON, safe within a script element
    chips: Sequence[tuple[int, str, str]]  # place, unit, what it tracks
    layers: Sequence[tuple[int, str]]  # place of its first unit, name
    caption: str
    kind: str = "flip"


@dataclass(frozen=True)
class Explorer:
    """Painted text whose symbols tell more under the pointer."""

    html: Markup
    data: Markup
    caption: str
    low: str
    high: str
    kind: str = "explorer"


Block = Figure | Table | Painted | Cards | Listing | Flip | Explorer


@dataclass(frozen=True)
class Part:
    """A section of the page."""

    view: str
    finding: str
    number: Number | None
    caveat: str
    blocks: Sequence[Block] = ()
    warnings: Sequence[str] = ()
    how: str = ""  # to read it
    missing: str | None = None
    title: str = ""  # the question


def spans(interval: Interval, form: str = "{:.3f}") -> str:
    """Return the ends of an interval; empty where they are not known."""
    if interval.low != interval.low:
        return ""
    return f"{form.format(interval.low)} to {form.format(interval.high)}".replace("-", "−")


def number(value: float, form: str = "{:.3f}") -> str:
    """Return a number with a true minus sign; "–" where there is none."""
    if value != value:
        return "–"
    text = form.format(value)
    if not any(digit in text for digit in "123456789"):  # no sign before nothing
        text = text.lstrip("+-")
    return text.replace("-", "−")


def shown(interval: Interval, form: str = "{:.3f}") -> str:
    """Return a mean with the ends of its interval."""
    ends = spans(interval, form)
    return number(interval.mean, form) + (f" [{ends}]" if ends else "")
