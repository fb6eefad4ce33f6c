"""probe and embed on the page: labels read from the state, symbols that are taken for alike."""

from markupsafe import Markup, escape

from charrnn.display.foreign import clip
from charrnn.display.report.bars import Row, lying_bars
from charrnn.display.report.blocks import Block, Figure, Number, Painted, Part, Table, spans
from charrnn.display.report.paint import painted, symbol
from charrnn.display.report.words import finding_of
from charrnn.views import embed, probe

FULL_SD, PAINTED = 2.0, 400  # of the probe's texts


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
            [lying_bars(bars, "accuracy on test texts", told, most=1.0)],
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

    def near(neighbours: list[embed.Neighbour], chance: float) -> Markup:
        parts = []
        for one in neighbours:
            name = "near" if one.cosine > chance else "near chance"
            form = Markup('<span class="{}"><b>{}</b> .{:02.0f}</span>')
            share = min(99, max(0, round(100 * one.cosine)))
            parts.append(form.format(name, clip(symbol(one.symbol), 16), share))
        return Markup(" ").join(parts)

    rows: list[list[str | Markup]] = []
    for row in found.rows:
        cells: list[str | Markup] = [escape(clip(symbol(row.symbol), 20))]
        if not found.tied:
            cells.append(near(row.going_in, found.chance_in))
        rows.append([*cells, near(row.going_out, found.chance_out)])
    head = ("symbol", "in and out") if found.tied else ("symbol", "going in", "going out")
    caption = (
        f"Cosines of the nearest directions. By chance alone they reach {found.chance_in:.2f} "
        f"going in and {found.chance_out:.2f} going out; those beneath are pale."
    )
    main = Number(
        f"{found.above_out:.0%}",
        "of these symbols have a neighbour nearer than chance",
        "",
        "5% by chance",
    )
    blocks: list[Block] = [Table(head, rows, caption, text_columns=3)]
    return Part("embed", finding, main, caveat, blocks)
