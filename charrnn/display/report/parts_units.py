"""cells and cell on the page: what single units track, and what each does."""

import base64
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from charrnn.display.report.blocks import (
    Block,
    Card,
    Cards,
    Figure,
    Flip,
    Listing,
    Number,
    Part,
    Table,
    number,
    shown,
    spans,
)
from charrnn.display.report.paint import embedded, marked, painted, painted_each, symbol
from charrnn.display.report.svg import Axis, Plot
from charrnn.display.report.words import finding_of
from charrnn.tokenizer import Tokenizer
from charrnn.views import cell, cells, cells_result
from charrnn.views.report_units import FULL, Unit, Units

NUM_CARDS, NUM_CONTEXTS, NUM_CHIPS = 12, 8, 14
CAUSES = 3  # numbers of what a unit causes


def cells_part(tokenizer: Tokenizer, found: cells.Cells) -> Part:
    """Return the section of the features and their units."""
    finding, caveat = finding_of(
        cells_result.sentence(found), "A cause that holds on this text may be weaker on another."
    )
    rows = cells_result.best_first(found)
    good = [row for row in rows if row.grade in ("A", "B")]
    carded = (good or rows[:3])[:NUM_CARDS]
    blocks: list[Block] = []
    if carded:
        pairs = zip(carded, cells_result.excerpts_of(found, carded, tokenizer), strict=True)
        cards = [card_of(row, excerpt) for row, excerpt in pairs]
        blocks.append(Cards(cards, "low", "high: the 2% and 98% quantiles of the unit"))
    blocks += [cells_table(rows), interval_table(rows)]
    if found.absent:
        finding += f" The text has too little of {len(found.absent)} other features to judge them."
    main = None
    if rows:
        score, best = rows[0].judged.score, rows[0]
        unit = "area under the curve" if best.feature.binary else "correlation"
        beside = f"{best.control.score:.3f}, which untrained networks may reach"
        text = f"{unit} of {best.unit} with {best.feature.name}"
        main = Number(number(score.mean), text, spans(score), beside)
    how = (
        "Grade A: held out, more than an echo of the current symbol, and the network needs it. "
        "B: the first two. C: a small p alone."
    )
    return Part("cells", finding, main, caveat, blocks, how=how)


def cells_table(rows: Sequence[cells.Row]) -> Table:
    """Return a line a feature, with what its columns mean."""
    head = ["feature", "grade", "unit", "score", "95%", "untrained", "memory r²", "p", "n90"]
    caption = (
        "Each feature's best unit, chosen on the first half of the text and judged on the second. "
        "Score: area under the curve, or a correlation (r). Untrained: what it must pass. Memory "
        "r²: what the current symbol alone does not tell. p: of the null of circular shifts, after "
        "Holm. n90: how many units together have 90% of what all of them know."
    )
    causal = any(row.cause is not None for row in rows)
    if causal:
        head.append("Δ bits")
        caption += " Δ bits: what holding the unit still costs where the feature is on."
    return Table(head, [cells_row(row, causal) for row in rows], caption, text_columns=3)


def cells_row(row: cells.Row, causal: bool) -> list[str | Markup]:
    """Return the numbers of one feature."""
    score, cause = row.judged.score, row.cause
    name, grade = "" if row.feature.binary else "r ", row.grade or "–"
    line: list[str | Markup] = [
        row.feature.name,
        Markup('<b class="grade g{}">{}</b>').format(row.grade or "0", grade),
        row.unit,
        f"{name}{number(score.mean)}",
        spans(score).replace(" to ", "–"),
        number(row.control.score),
        number(row.judged.memory.mean),
        f"{row.holm_p:.1g}",
        "–" if row.probe.n90 is None else str(row.probe.n90),
    ]
    if causal:
        line.append("–" if cause is None else number(cause.delta.mean, "{:+.3f}"))
    return line


def interval_table(rows: Sequence[cells.Row]) -> Table:
    """Return all that is estimated of each feature's best unit, with its intervals."""
    lines = []
    for row in rows:
        judged, cause = row.judged, row.cause
        known = (judged.memory, judged.r2, judged.spearman, judged.accuracy, row.probe.score)
        line = [f"{row.feature.name} ({row.unit})", shown(judged.score)]
        line += ["–" if one is None else shown(one, "{:.2f}") for one in known]
        deltas = () if cause is None else (cause.delta, cause.clamp)
        line += ["–" if one is None else shown(one, "{:+.3f}") for one in deltas]
        if cause is not None and cause.clamp_random:
            line.append(number(max(cause.clamp_random), "{:.3f}"))
        lines.append(line + ["–"] * (len(known) + 2 + CAUSES - len(line)))
    head = ["feature (unit)", "score", "memory r²", "r²", "rank correlation", "right", "probe"]
    caption = (
        "With 95% intervals. r²: of a line fitted on the first half. Right: balanced accuracy of a "
        "threshold chosen there. Probe: what all units together know."
    )
    if any(row.cause is not None for row in rows):
        head += ["Δ bits", "Δ ln p of the closing symbol", "of random units, at most"]
        caption += " Δ ln p: from holding the unit at its low end to its high end, either way."
    lines = [line[: len(head)] for line in lines]
    return Table(head, lines, caption, folded=True, title="All intervals")


def card_of(row: cells.Row, excerpt: cells_result.Excerpt) -> Card:
    """Return the card of a unit with the stretch of text in which its feature is best seen."""
    score = row.judged.score
    facts = [
        (number(score.mean), "AUC" if row.feature.binary else "correlation"),
        (spans(score), "95% interval"),
        (shown(row.judged.memory, "{:.2f}"), "memory r²"),
    ]
    html = painted([piece or "⟨s⟩" for piece in excerpt.pieces], excerpt.shares)
    title = row.feature.name.replace("_", " ")
    return Card(row.unit, title, row.grade or "", facts, html, row.judged.sign < 0)


def cell_part(found: Units) -> Part:
    """Return the section of all units over one excerpt, with the best one in full."""
    best = found.cell
    finding, caveat = finding_of(cell.sentence(best), "")
    if not caveat:
        head, _, tail = finding.rpartition("; ")
        finding, caveat = f"{head}.", tail[:1].upper() + tail[1:]
    blocks: list[Block] = [flip_of(found), histogram(best)]
    for title, contexts in (("Where it is highest", best.highest), ("lowest", best.lowest)):
        items = [
            (number(one.value, "{:+.3f}"), marked(one.before, one.symbol, one.after))
            for one in contexts[:NUM_CONTEXTS]
        ]
        name = title if title != "lowest" else "Where it is lowest"
        blocks.append(Listing(f"{name}: {best.unit}", items, "", folded=title == "lowest"))
    if best.promoted or best.suppressed:
        items = [
            (name, Markup(", ").join(f"{symbol(e.symbol)} {e.logit:+.2f}" for e in effects))
            for name, effects in (("promotes", best.promoted), ("suppresses", best.suppressed))
        ]
        blocks.append(Listing("What it does to the next symbol, in logits", items, ""))
    alike = best.numbers.autocorrelation_time
    main = Number(
        f"{alike.mean:.1f}",
        f"tokens: the autocorrelation time of {best.unit}",
        spans(alike, "{:.1f}"),
        "1 for noise",
    )
    how = f"Shown in full: {best.unit}, the best unit of the section before."
    return Part("cell", finding, main, caveat, blocks, how=how)


def flip_of(found: Units) -> Flip:
    """Return the first unit painted, and the data of all the others."""
    unit = found.units[found.best]
    shares = (found.levels[found.best].astype(np.float64) / FULL + 1) / 2
    data = {
        "units": [unit_record(one) for one in found.units],
        "size": len(found.pieces),
        "levels": base64.b64encode(found.levels.tobytes()).decode("ascii"),
        "full": FULL,
        "first": found.best,
    }
    places = {one.name: index for index, one in enumerate(found.units)}
    chips = [
        (places[name], name, tracks) for name, tracks in found.tracked.items() if name in places
    ]
    layers: dict[str, int] = {}
    for index, one in enumerate(found.units):
        layers.setdefault(one.name.split(":")[1], index)
    caption = f"{len(found.pieces):,} tokens; each symbol bears the unit's value after it was read."
    if found.left_out:
        caption += f" There was no room for {found.left_out:,} more units."
    return Flip(
        unit.name,
        painted_each(found.pieces, shares.tolist()),
        unit.tracks,
        (f"{unit.scale} = {number(unit.low, '{:.2g}')}", number(unit.high, "{:.2g}")),
        facts_of(unit),
        embedded(data),
        chips[:NUM_CHIPS],
        [(place, f"layer {layer}") for layer, place in layers.items()],
        caption,
    )


def unit_record(one: Unit) -> list[str]:
    """Return what the page says of a unit, as words."""
    low, high = number(one.low, "{:.2g}"), number(one.high, "{:.2g}")
    return [
        one.name,
        f"{one.scale} = {low}",
        high,
        *(text for text, _ in facts_of(one)),
        one.tracks,
    ]


def facts_of(one: Unit) -> list[tuple[str, str]]:
    """Return the numbers of a unit with what they mean."""
    return [
        (number(one.mean, "{:+.3f}"), "mean"),
        (number(one.std), "standard deviation"),
        (f"{one.time:.1f}", "tokens: autocorrelation time"),
    ]


def histogram(found: cell.Cell) -> Figure:
    """Return the values of a unit over the text."""
    total, most = sum(found.histogram), max(found.histogram)
    edges = found.edges
    plot = Plot(
        Axis(edges[0], edges[-1], f"{found.unit} after a token"),
        Axis(0, 100 * most / total * 1.05, "% of tokens"),
        height=210,
    )
    for low, high, count in zip(edges[:-1], edges[1:], found.histogram, strict=True):
        plot.column(low, high, 100 * count / total, "s1", f"{low:.2f} to {high:.2f}: {count:,}")
    mean, std = found.numbers.mean.mean, found.numbers.std.mean
    told = f"Histogram of {found.unit}: mean {mean:.3f}, deviation {std:.3f}"
    return Figure([plot.markup(told)], f"The values of {found.unit} over {total:,} tokens.")
