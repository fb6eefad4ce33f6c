"""surprisal on a terminal: the painted text, the guesses beneath it, and the totals."""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len
from rich.console import Console
from rich.style import Style
from rich.table import Table
from rich.text import Text

from charrnn.display.views.page import digit, legend, make_console, mark, one_column, shade
from charrnn.views.intervals import Interval
from charrnn.views.surprisal import Surprisal, group_by, sentence

FULL_BITS = 8.0  # the surprisal that is painted deepest
SCREEN_LINES = 12  # of the painted text, unless all is asked for
NUM_PEAKS = 8
UNKNOWN = Style(color="red", strike=True, bold=True)
CONTEXT = 24  # tokens before a peak


def show_surprisal(
    found: Surprisal,
    pieces: list[str],
    symbols: list[str],
    warnings: list[str],
    *,
    unit: str = "char",
    everything: bool = False,
    totals: bool = False,
    adapted: str | None = None,
    skipped: NDArray[np.bool_] | None = None,
    width: int | None = None,
) -> None:
    """Print the view: `pieces` are the texts of the tokens, `symbols` those of the vocabulary.

    `adapted` is what dynamic evaluation found; `skipped` (N,) says what the model does not know.
    With `totals` the text is left out.
    """
    console = make_console(width=width)
    if not totals:
        flags = np.zeros(len(pieces), bool) if skipped is None else skipped
        show_text(found, pieces, symbols, warnings, unit, everything, flags, console)
    console.print(totals_table(found))
    for warning in warnings:
        console.print(Text(f"warning: {warning}", style="yellow"))
    for said in (sentence(found), adapted):
        if said:
            console.print(Text(said, style="bold"))


def show_text(
    found: Surprisal,
    pieces: list[str],
    symbols: list[str],
    warnings: list[str],
    unit: str,
    everything: bool,
    flags: NDArray[np.bool_],
    console: Console,
) -> None:
    """Print the painted text, and the places that surprised most."""
    for warning in warnings if flags.any() else []:
        console.print(Text(f"warning: {warning}", style="yellow"))
    lines = painted_lines(found, pieces, symbols, unit, console, flags)
    for shown, line in enumerate(lines):
        if not everything and shown >= SCREEN_LINES * (2 + found.guesses.shape[1]):
            console.print(Text("… (--all paints the rest)", style="dim"))
            break
        console.print(line, no_wrap=True, crop=True)
    console.print(legend("0", f"{FULL_BITS:g} bits or more; each symbol bears its own", console))
    console.print()
    if not everything:
        for line in peak_lines(found, pieces, console.color_system is not None):
            console.print(line, no_wrap=True, crop=True)
        console.print()


def painted_lines(
    found: Surprisal,
    pieces: list[str],
    symbols: list[str],
    unit: str,
    console: Console,
    skipped: NDArray[np.bool_],
) -> Iterator[Text]:
    """Yield the text painted by bits, in lines; beneath each line its guesses.

    A symbol that the model does not know is crossed out, and ? stands beneath it.
    """
    texts, sums, starts = group_by(pieces, found.nats, unit)
    sizes = np.diff(np.append(starts, len(pieces)))
    colored = console.color_system is not None
    guesses = found.guesses if unit == "char" else found.guesses[:, :0]
    rows = [Text() for _ in range(2 + guesses.shape[1])]
    used = 0
    for text, nats, start, size in zip(texts, sums, starts, sizes, strict=True):
        share = nats / math.log(2) / FULL_BITS / (1 if unit == "char" else size)
        style = UNKNOWN if skipped[start : start + size].all() else shade(share)
        sign = "?" if skipped[start : start + size].any() else digit(share)
        for part in wrapped(mark(text), console.width):
            columns = cell_len(part)
            if used and used + columns > console.width:
                yield from finished(rows, colored)
                rows, used = [Text() for _ in rows], 0
            rows[0].append(part, style if colored else "")
            rows[1].append(sign + " " * (columns - 1))
            for row, guess in zip(rows[2:], guesses[start], strict=True):
                shown = one_column(symbols[guess]) if guess >= 0 else " "
                row.append(shown + " " * (columns - 1), "dim")
            used += columns
        if text.endswith("\n") and used:
            yield from finished(rows, colored)
            rows, used = [Text() for _ in rows], 0
    if used:
        yield from finished(rows, colored)


def wrapped(text: str, width: int) -> Iterator[str]:
    """Yield `text` in parts of at most `width` columns."""
    part, used = "", 0
    for char in text:
        columns = cell_len(char)
        if used + columns > width and part:
            yield part
            part, used = "", 0
        part, used = part + char, used + columns
    yield part


def finished(rows: list[Text], colored: bool) -> Iterator[Text]:
    """Yield the rows of one line: the digits stand in for colours."""
    yield rows[0]
    if not colored:
        yield rows[1]
    yield from rows[2:]
    if len(rows) > 2:
        yield Text()


def peak_lines(found: Surprisal, pieces: list[str], colored: bool) -> Iterator[Text]:
    """Yield the most surprising tokens with what stood before them; arrows stand in for colour."""
    nats = np.nan_to_num(found.nats)
    order = np.argsort(-nats, kind="stable")[:NUM_PEAKS]
    yield Text("most surprising", style="bold")
    for index in order:
        if not nats[index]:
            return
        before = mark("".join(pieces[max(0, index - CONTEXT) : index]))
        line = Text(f"{nats[index] / math.log(2):5.1f} bits  rank {found.rank[index]:<4} ")
        line.append(before, "dim").append("" if colored else " → ")
        line.append(mark(pieces[index]), shade(1.0))
        yield line


def totals_table(found: Surprisal) -> Table:
    """Return the totals of the text; those that are means with their intervals."""
    totals = found.totals
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(justify="right", overflow="fold")
    table.add_column(overflow="fold")
    rows = [
        (totals.loss, "loss", "{:.4f}", "nats per token"),
        (totals.bits_per_char, "bits_per_char", "{:.4f}", "bits per character"),
        (totals.bits_per_byte, "bits_per_byte", "{:.4f}", "bits per byte"),
        (totals.perplexity, "perplexity", "{:.3f}", "perplexity per token"),
        (totals.top1, "top1", "{:.1%}", "of the tokens were the likeliest"),
        (totals.entropy, "entropy", "{:.4f}", "nats expected: the mean entropy"),
    ]
    for value, name, form, meaning in rows:
        table.add_row(form.format(value), f"{meaning}{ends_of(found.intervals[name], form)}")
    table.add_row(f"{totals.num_tokens:,}", "tokens scored")
    table.add_row(f"{totals.num_unknown:,}", "symbols unknown")
    return table


def ends_of(interval: Interval, form: str) -> str:
    """Return the ends of a 95% interval, a blank before; empty where they are not known."""
    if interval.low != interval.low:
        return ""
    return f" [{form.format(interval.low)}, {form.format(interval.high)}]"
