"""gates on the page: the saturation figure of each gate (Karpathy, Johnson & Li 2015)."""

import math

from markupsafe import Markup

from charrnn.display.report.blocks import Block, Figure, Number, Part, Table, shown, spans
from charrnn.display.report.svg import Axis, Plot
from charrnn.display.report.words import finding_of
from charrnn.views.gates import GateRow, Gates, sentence
from charrnn.views.keeping import LONG, shown_interval, shown_tokens

NAMES = {
    "i": "input gate",
    "f": "forget gate",
    "o": "output gate",
    "r": "reset gate",
    "z": "update gate",
    "h": "state h",
}


def gates_part(found: Gates, keeps: str) -> Part:
    """Return the section of the gates."""
    finding, caveat = finding_of(sentence(found, keeps), "")
    ends = "the gate is open (> 0.9), upwards at which it is shut (< 0.1)"
    ends = ends if keeps else "h is over 0.9, upwards at which it is under −0.9"
    blocks: list[Block] = [
        Figure(
            [scatter(row) for row in found.rows],
            f"Each dot is a unit: to the right the share of tokens at which {ends}. On the "
            "diagonal it is never between.",
        )
    ]
    kept = [row for row in found.rows if row.time_constants]
    if kept:
        drawings = [times(row) for row in kept]
        caption = (
            "How long units keep what they hold: the time constant of their forgetting. Dashed: "
            "half of the units of the untrained network."
        )
        blocks.append(Figure(drawings, caption))
    blocks.append(gates_table(found))
    chosen = kept[-1] if kept else found.rows[-1]
    doing = "is open" if keeps else "is over 0.9"
    text = f"of the time the {NAMES[chosen.gate]} of layer {chosen.layer} {doing}"
    beside = f"{chosen.control.right:.1%} in an untrained network"
    main = Number(f"{chosen.right.mean:.1%}", text, spans(chosen.right, "{:.1%}"), beside)
    return Part("gates", finding, main, caveat, blocks)


def gates_table(found: Gates) -> Table:
    """Return the shares and the time constants of each gate beside those before training."""
    rows = []
    for row in found.rows:
        half, plain = row.spread[2:3], row.control.spread[2:3]
        rows.append(
            [
                f"{NAMES[row.gate]}, layer {row.layer}",
                shown(row.left, "{:.1%}"),
                f"{row.control.left:.1%}",
                shown(row.right, "{:.1%}"),
                f"{row.control.right:.1%}",
                shown_interval(half[0]) if half else "–",
                shown_tokens(plain[0]) if plain else "–",
            ]
        )
    head = ("gate", "shut", "untrained", "open", "untrained", "half keep", "untrained")
    caption = "Shares of all units and tokens, and the time constant in tokens that half exceed."
    return Table(head, rows, caption, folded=True)


def scatter(row: GateRow) -> Markup:
    """Return the units of one gate by how often it is open and shut."""
    percents = [(x / 4, f"{25 * x}%") for x in range(5)]
    right, left = ("open", "shut") if row.gate != "h" else ("near 1", "near −1")
    plot = Plot(
        Axis(0, 1, f"{right}, {NAMES[row.gate]}, layer {row.layer}", ticks=percents),
        Axis(0, 1, left, ticks=percents),
        width=330,
        height=300,
    )
    plot.line([(0, 1), (1, 0)], "ideal")
    for unit, (x, y) in enumerate(zip(row.unit_right, row.unit_left, strict=True)):
        told = f"{row.gate}:{row.layer}:{unit} {right} {x:.0%}, {left} {y:.0%}"
        plot.point(x, y, "s1 faint", told, 2.6)
    return plot.markup(f"{NAMES[row.gate]} of layer {row.layer}: one dot a unit")


def times(row: GateRow) -> Markup:
    """Return the time constants of a layer's units, the shortest first."""
    values = sorted(min(value, LONG) for value in row.time_constants)
    low, high = 10.0 ** math.floor(math.log10(max(1e-3, values[0]))), max(10.0, values[-1] * 1.2)
    plot = Plot(
        Axis(0, 100, f"% of the units of layer {row.layer}"),
        Axis(low, high, "tokens (log)", log=True),
        width=330,
        height=230,
    )
    count = len(values)
    points = [(100 * (i + 0.5) / count, value) for i, value in enumerate(values)]
    plot.line(points, "s1")
    half = row.control.spread[2]
    if low <= half <= high:
        plot.level(half, "ideal")
        plot.note(100, half, "untrained", "end")
    return plot.markup(
        f"Time constants of layer {row.layer}: half under {shown_tokens(row.spread[2].mean)} tokens"
    )
