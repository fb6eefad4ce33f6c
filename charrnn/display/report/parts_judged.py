"""errors, calibration and ablate on the page: what mistakes and single units cost."""

import math

from charrnn.display.report.bars import Row, lying_bars
from charrnn.display.report.blocks import (
    Block,
    Figure,
    Key,
    Number,
    Part,
    Table,
    number,
    shown,
    spans,
)
from charrnn.display.report.svg import Axis, Plot
from charrnn.display.report.words import finding_of
from charrnn.views import ablate, calibration, errors

NUM_BARS = 15


def errors_part(found: errors.Errors) -> Part:
    """Return the section of what would fix the errors."""
    finding, caveat = finding_of(errors.sentence(found), "")
    bars = [Row(row.name, *row.share, f"{row.share.mean:.1%}") for row in found.rows]
    told = "; ".join(f"{bar.name} {bar.text}" for bar in bars)
    rows = [
        [
            row.name,
            f"{row.count:,}",
            shown(row.share, "{:.1%}"),
            shown(row.bits_share, "{:.1%}"),
            f"{row.control:.1%}",
        ]
        for row in found.rows
    ]
    caption = (
        "Each error falls to the first rule that fits, from above: an n-gram that knows it, a word "
        "seen not long ago, a rare word, the start of a word, a mark, a little more of everything."
    )
    blocks: list[Block] = [
        Figure([lying_bars(bars, "share of all errors", told, percent=True)], caption),
        Table(
            ("rule", "errors", "share", "of bits", "of right ones"),
            rows,
            "Of bits: of what errors cost above one bit each. Of right ones: how many right "
            "predictions fall under the same rule.",
            folded=True,
        ),
    ]
    most = max(found.rows, key=lambda row: row.count)
    main = Number(
        f"{most.share.mean:.1%}",
        f"of the errors fall to “{most.name}”",
        spans(most.share, "{:.1%}"),
        f"{most.control:.1%} of the right predictions do, too",
    )
    how = f"An error is a target with p under a half: {shown(found.error_rate, '{:.1%}')} of all."
    return Part("errors", finding, main, caveat, blocks, how=how)


def calibration_part(found: calibration.Calibration) -> Part:
    """Return the section of the confidence."""
    finding, caveat = finding_of(calibration.sentence(found), "")
    rows = [
        [
            f"{bar.low:.0%}–{bar.high:.0%}",
            f"{bar.count:,}",
            f"{bar.confidence:.1%}",
            shown(bar.accuracy, "{:.1%}"),
        ]
        for bar in found.bars
    ]
    head = ("confidence", "tokens", "says", "is right")
    blocks: list[Block] = [
        reliability_figure(found),
        Table(head, rows, "By tenths of the confidence.", folded=True),
    ]
    low, high = found.null
    beside = f"{low:.2%} to {high:.2%} for a calibrated network"
    ends = spans(found.ece, "{:.2%}")
    main = Number(f"{found.ece.mean:.2%}", "expected calibration error", ends, beside)
    how = (
        f"Overconfidence {shown(found.overconfidence, '{:+.2%}')}; fitted temperature "
        f"{shown(found.temperature, '{:.2f}')}, which saves {shown(found.saved, '{:+.4f}')} bits a "
        "token on the other half."
    )
    return Part("calibration", finding, main, caveat, blocks, how=how)


def reliability_figure(found: calibration.Calibration) -> Figure:
    """Return the accuracy by confidence, with its intervals."""
    tenths = [(x / 5, f"{20 * x}%") for x in range(6)]
    plot = Plot(
        Axis(0, 1, "it says (mean confidence)", ticks=tenths),
        Axis(0, 1, "it is right (accuracy)", ticks=tenths),
        height=330,
    )
    plot.line([(0, 0), (1, 1)], "ideal")
    most = max(bar.count for bar in found.bars)
    for bar in found.bars:
        accuracy = bar.accuracy
        right = shown(accuracy, "{:.1%}")
        told = f"says {bar.confidence:.1%}, is right {right}: {bar.count:,} tokens"
        if accuracy.low == accuracy.low:
            plot.whisker(bar.confidence, accuracy.low, accuracy.high, "s1")
        plot.point(bar.confidence, accuracy.mean, "s1", told, 3 + 5 * math.sqrt(bar.count / most))
    caption = (
        "On the diagonal, confidence can be believed; beneath it the model is too sure. Larger "
        "dots are more tokens."
    )
    keys = [Key("s1", "this model"), Key("ideal", "ideal")]
    return Figure([plot.markup("Accuracy by confidence, with 95% intervals")], caption, keys)


def ablate_part(found: ablate.Ablation) -> Part:
    """Return the section of what the text costs without each unit."""
    finding, caveat = finding_of(ablate.sentence(found), "")
    form = "{:+.4f}"
    rows = [
        [r.unit, number(r.delta.mean, form), spans(r.delta, form), number(r.estimate, form)]
        for r in found.rows
    ]
    head = ("unit", "bits more", "95%", "first-order estimate")
    caption = f"Exact, on {found.num_targets:,} targets."
    blocks: list[Block] = [ablation_figure(found), Table(head, rows, caption, folded=True)]
    main = None
    if found.rows:
        first = found.rows[0]
        beside = f"{found.chance:.3f}: the most of {len(found.control)} random others"
        main = Number(
            number(first.delta.mean, "{:+.3f}"),
            f"bits per token without {first.unit}",
            spans(first.delta, "{:+.3f}"),
            beside if math.isfinite(found.chance) else "",
        )
    every = shown(found.all_units, "{:+.2f}")
    how = f"With all units held at once it is {every} bits."
    return Part("ablate", finding, main, caveat, blocks, how=how)


def ablation_figure(found: ablate.Ablation) -> Figure:
    """Return the units that cost most, and the most of random ones."""
    bars = [
        Row(r.unit, r.delta.mean, r.delta.low, r.delta.high, number(r.delta.mean, "{:+.3f}"))
        for r in found.rows[:NUM_BARS]
    ]
    keys = [Key("s1", "the units that matter most")]
    if math.isfinite(found.chance):
        delta = max(found.control, key=lambda row: abs(row.delta.mean)).delta
        text = number(delta.mean, "{:+.3f}")
        bars.append(Row("a random one", delta.mean, delta.low, delta.high, text, "s3"))
        keys.append(Key("s3", f"the most of {len(found.control)} random ones"))
    told = "; ".join(f"{bar.name} {bar.text} bits" for bar in bars)
    drawing = lying_bars(bars, "bits per token that the text costs more", told)
    caption = "Each unit held at its mean, at every step, with 95% intervals."
    return Figure([drawing], caption, keys)
