"""probe and embed on the page: labels read from the state, symbols that are taken for alike."""

import math
from collections.abc import Sequence

from markupsafe import Markup

from charrnn.display.foreign import clip
from charrnn.display.report.bars import Row, lying_bars
from charrnn.display.report.blocks import Block, Figure, Number, Painted, Part, Table, number, spans
from charrnn.display.report.paint import painted, symbol
from charrnn.display.report.words import finding_of
from charrnn.views import embed, probe

FULL_SD, PAINTED = 2.0, 400  # of the probe's texts
NUM_ROWS, NUM_PAIRS, NUM_NEAR = 16, 10, 4


def probe_part(found: probe.Probe) -> Part:
    """Return the section of the label that nobody taught."""
    finding, caveat = finding_of(probe.sentence(found), "")
    named = [
        ("the state", found.accuracy, "s1"),
        (f"{clip(found.unit, 16)} alone", found.threshold, "s1"),
        *((f"{count} units", v, "s1") for count, v in found.few.items() if count > 1),
        ("words, counted", found.words, "s2"),
        ("untrained", found.untrained, "s3"),
        ("shuffled labels", found.shuffled, "s3"),
        ("the majority", found.majority, "s3"),
    ]
    bars = [Row(n, v.mean, v.low, v.high, f"{v.mean:.1%}", mark) for n, v, mark in named]
    told = "; ".join(f"{bar.name} {bar.text}" for bar in bars)
    blocks: list[Block] = [
        Figure(
            [lying_bars(bars, "accuracy on test texts", told, most=1.0, percent=True)],
            "Accuracy with Wilson intervals: the state (orange), and what it must beat.",
        )
    ]
    for text in found.painted:
        shares = [0.5 + value / FULL_SD / 2 for value in text.values[:PAINTED]]
        blocks.append(
            Painted(
                f"label {symbol(text.label)}",
                painted(text.tokens[:PAINTED], shares),
                f"−{FULL_SD:g}",
                f"+{FULL_SD:g} deviations of {found.unit}",
                "",
            )
        )
    own = found.accuracy
    main = Number(
        f"{own.mean:.1%}",
        "accuracy on test texts",
        spans(own, "{:.1%}"),
        f"{found.untrained.mean:.1%} untrained, {found.majority.mean:.1%} the majority",
    )
    how = "{:,} texts to train, {:,} to choose, {:,} to test.".format(*found.sizes)
    return Part("probe", finding, main, caveat, blocks, how=how)


def embed_part(found: embed.Embedding) -> Part:
    """Return the section of the symbols that are taken for alike."""
    finding, caveat = finding_of(embed.sentence(found), "")
    rows = sorted(found.rows, key=lambda row: -row.going_out[0].cosine)
    caption = (
        f"Cosines of the nearest directions. By chance alone they reach {found.chance_in:.2f} "
        f"going in and {found.chance_out:.2f} going out; those beneath are pale."
    )
    blocks: list[Block] = [pair_figure(found), neighbour_table(found, rows[:NUM_ROWS], caption)]
    if rows[NUM_ROWS:]:
        blocks.append(neighbour_table(found, rows[NUM_ROWS:], "The other symbols.", folded=True))
    unit = "of these symbols have a neighbour nearer than chance, going out"
    exact = "none: exact, read off the weights"
    main = Number(f"{found.above_out:.0%}", unit, exact, "5% by chance")
    return Part("embed", finding, main, caveat, blocks)


def pair_figure(found: embed.Embedding) -> Figure:
    """Return the pairs of symbols that are most alike going out, beside chance."""
    pairs = {
        tuple(sorted((row.symbol, one.symbol))): one.cosine
        for row in found.rows
        for one in row.going_out
    }
    best = sorted(pairs.items(), key=lambda item: (-item[1], item[0]))[:NUM_PAIRS]
    nan = math.nan
    bars = [
        Row(" and ".join(clip(symbol(s), 10) for s in pair), value, nan, nan, f"{value:.2f}")
        for pair, value in best
    ]
    bars.append(Row("by chance", found.chance_pair, nan, nan, f"{found.chance_pair:.2f}", "s3"))
    told = "; ".join(f"{bar.name} {bar.text}" for bar in bars)
    drawing = lying_bars(bars, "cosine going out", told, most=1.0)
    return Figure([drawing], "The pairs that are most alike in the weights of the output layer.")


def neighbour_table(
    found: embed.Embedding, rows: Sequence[embed.SymbolRow], caption: str, *, folded: bool = False
) -> Table:
    """Return a row for each symbol with its neighbours."""
    cells: list[list[str | Markup]] = []
    for row in rows:
        line: list[str | Markup] = [clip(symbol(row.symbol), 20)]
        if not found.tied:
            line.append(near(row.going_in, found.chance_in))
        cells.append([*line, near(row.going_out, found.chance_out)])
    head = ("symbol", "in and out") if found.tied else ("symbol", "going in", "going out")
    return Table(head, cells, caption, text_columns=3, folded=folded)


def near(neighbours: Sequence[embed.Neighbour], chance: float) -> Markup:
    """Return the neighbours with their cosines, pale where only chance."""
    parts = []
    for one in neighbours[:NUM_NEAR]:
        name = "near" if one.cosine > chance else "near chance"
        form = Markup('<span class="{}"><b>{}</b> {}</span>')
        text = number(one.cosine, "{:.2f}")
        parts.append(form.format(name, clip(symbol(one.symbol), 16), text))
    return Markup(" ").join(parts)
