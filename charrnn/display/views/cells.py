"""cells on a terminal: the table of features, and the text painted with each unit that counts."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from charrnn.display.views.page import legend, make_console
from charrnn.display.views.painting import painted
from charrnn.tokenizer import Tokenizer
from charrnn.views.cells import Cells, Row
from charrnn.views.cells_result import Excerpt, best_first, excerpts_of, sentence
from charrnn.views.intervals import Interval, shown

GRADE_STYLES = {"A": "bold green", "B": "green", "C": "dim", None: "dim"}
MEDIUM, USUAL, WIDE, WIDEST = 64, 76, 100, 140  # columns from which the table shows more
NUM_OTHERS = 3  # excerpts where nothing has a grade A or B
EXCERPT_LINES = 6


def show_cells(found: Cells, tokenizer: Tokenizer, *, width: int | None = None) -> None:
    """Print the view."""
    console = make_console(width=width)
    console.print(cells_table(found, console.width))
    for line in (
        "score: area under the curve, or r where it is marked; judged on the second half",
        "untrained: what it must pass; memory: r² beyond what the current token tells",
        "probe: all units together, n90: how many of them have 90% of that (from 100 columns on)",
    ):
        console.print(Text(line, style="dim"))
    good = [row for row in best_first(found) if row.grade in ("A", "B")]
    shown = good or best_first(found)[:NUM_OTHERS]
    for row, excerpt in zip(shown, excerpts_of(found, shown, tokenizer), strict=True):
        console.print()
        show_excerpt(row, excerpt, console)
    console.print()
    for warning in found.warnings:
        console.print(Text(f"warning: {warning}", style="yellow"))
    console.print(Text(sentence(found), style="bold"))


def columns_of(width: int) -> list[str]:
    """Return the names of the numbers that a table of this width has room for."""
    if width < MEDIUM:
        return ["score"]
    if width < WIDE:
        return ["score", *(["95%"] if width >= USUAL else []), "memory", "p", "Δbits"]
    return ["score", "95%", "untrained", "memory", "p", "probe", "n90", "Δbits"]


def cells_table(found: Cells, width: int) -> Table:
    """Return a line a feature, the best first; narrow terminals have fewer columns."""
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column("feature", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    names = columns_of(width)
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for row in best_first(found):
        cells = cells_of(row, ends=width >= WIDEST)
        style = GRADE_STYLES[row.grade]
        grade = Text(row.grade or "-", style)
        table.add_row(row.feature.name, row.unit, *(cells[name] for name in names), grade)
    return table


def cells_of(row: Row, *, ends: bool) -> dict[str, str]:
    """Return the numbers of a row as they are shown; with `ends` all have their intervals."""
    score, cause = row.judged.score, row.cause
    mark = "" if row.feature.binary else "r "

    def told(interval: Interval, form: str) -> str:
        return shown(interval, form) if ends else form.format(interval.mean)

    return {
        "score": f"{mark}{score.mean:.3f}",
        "95%": f"{score.low:.3f}-{score.high:.3f}",
        "untrained": f"{row.control.score:.3f}",
        "memory": told(row.judged.memory, "{:.3f}"),
        "p": f"{row.holm_p:.1g}",
        "probe": told(row.probe.score, "{:.3f}"),
        "n90": "-" if row.probe.n90 is None else str(row.probe.n90),
        "Δbits": "-" if cause is None else told(cause.delta, "{:+.3f}"),
    }


def show_excerpt(row: Row, excerpt: Excerpt, console: Console) -> None:
    """Print a stretch of the text painted with the unit of a row."""
    grade = f"grade {row.grade}" if row.grade else "no grade"
    title = Text(f"{row.unit} ", style="bold").append(f"{row.feature.name}, {grade}")
    if row.judged.sign < 0:
        title.append(" (the sign is turned)", "dim")
    console.print(title, no_wrap=True, overflow="ellipsis")
    lines = painted(excerpt.pieces, excerpt.shares, console)
    height = EXCERPT_LINES * (1 if console.color_system is not None else 2)
    for number, line in enumerate(lines):
        if number >= height:
            break
        console.print(line, no_wrap=True, crop=True)
    console.print(legend("low", "high", console))
