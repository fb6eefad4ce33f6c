"""memory and copying on the page: how far back it looks, and what it repeats."""

import math

from charrnn.display.report.bars import Row, lying_bars
from charrnn.display.report.blocks import (
    Block,
    Figure,
    Key,
    Listing,
    Number,
    Part,
    Table,
    shown,
    spans,
)
from charrnn.display.report.paint import escape_flowing
from charrnn.display.report.svg import Axis, Plot, log_ticks
from charrnn.display.report.words import finding_of
from charrnn.views import copying, memory
from charrnn.views.horizon import ENOUGH, Point, horizon_of
from charrnn.views.lags import Lags, factor

LEAST_BITS = 0.001  # the lower end of the log axis
LEAST_GRADIENT = 1e-8  # of the largest


def memory_part(found: memory.Memory) -> Part:
    """Return the section of how far back the network looks."""
    finding, caveat = finding_of(memory.sentence(found), "")
    blocks: list[Block] = [horizon_figure(found)]
    if any(part.gradients for one in found.gradients for part in one.parts):
        blocks.append(gradient_figure(found))
    if found.bins:
        blocks.append(closer_table(found))
    first, horizon = found.points[0].delta, found.horizon
    value, unit = f"{horizon}", "tokens: all that is older is worth under 0.01 bit"
    if horizon is None and memory.looks_beyond(found):
        value, unit = f"> {found.points[-1].n}", "tokens: what is older is still worth something"
    elif horizon is None:
        value, unit = "–", "tokens: the text is too short to tell"
    control = horizon_of(found.control)
    beside = f"{control} untrained; " if control is not None and horizon is not None else ""
    beside += f"reading at all is worth {shown(first, '{:.2f}')} bits a token"
    near = next((point.n for point in found.points if point.delta.low < ENOUGH), None)
    interval = "" if near is None or horizon is None else f"{near} to {horizon}"
    main = Number(value, unit, interval, beside)
    return Part("memory", finding, main, caveat, blocks)


def horizon_figure(found: memory.Memory) -> Figure:
    """Return the bits lost by forgetting, on logarithmic axes."""
    top = max(point.delta.mean for point in [*found.points, *found.control])
    high = 10 ** math.ceil(math.log10(max(0.1, top)) + 0.02)
    names = [(0.5, "0"), *((float(p.n), str(p.n)) for p in found.points if p.n)]
    plot = Plot(
        Axis(0.5, found.points[-1].n, "tokens that are remembered (log)", True, names),
        Axis(LEAST_BITS, high, "bits lost a token (log)", True, log_ticks(LEAST_BITS, high)),
    )

    plot.level(ENOUGH, "ideal")
    plot.note(found.points[-1].n, ENOUGH, "0.01 bit: nothing", "end")
    for points, mark in ((found.control, "s3"), (found.points, "s1")):
        drawn = [drawn_point(point) for point in points]
        plot.band([(x, low, high) for x, _, low, high in drawn], mark)
        plot.line([(x, mean) for x, mean, _, _ in drawn], mark)
        for point, (x, mean, _, _) in zip(points, drawn, strict=True):
            told = f"last {point.n} tokens: {shown(point.delta, '{:+.3f}')} bits lost"
            plot.point(x, mean, mark, told, 3)
    keys = [Key("s1", "this model"), Key("s3", "the same network untrained")]
    caption = (
        "What is lost when all but the last n tokens are forgotten, with 95% intervals. "
        "Differences under 0.001 bit lie on the floor."
    )
    told = "; ".join(f"n={p.n}: {p.delta.mean:.3f} bits" for p in found.points)
    return Figure([plot.markup(told)], caption, keys)


def drawn_point(point: Point) -> tuple[float, float, float, float]:
    """Return where a point lies on logarithmic axes: its n, mean, low and high."""
    mean, low, high = point.delta
    ends = (mean, low if low == low else mean, high if high == high else mean)
    floored = [max(LEAST_BITS, value) for value in ends]
    return max(0.5, float(point.n)), floored[0], floored[1], floored[2]


def gradient_figure(found: memory.Memory) -> Figure:
    """Return the gradient by lag, as shares of the largest, on a logarithmic axis."""
    marks = (("s1", "s1 dash"), ("s3", "s3 dash"), ("s2", "s2 dash"))
    curves = []
    for index, one in enumerate(found.gradients):
        for part, mark in zip(one.parts, marks[min(index, 2)], strict=False):
            name = "this model" if index == 0 else one.name
            slope = "" if part.slope is None else f", × {shown(factor(part.slope))} a token"
            if points := gradient_points(part):
                curves.append((points, mark, f"{part.part} of {name}{slope}"))
    every = [point for points, _, _ in curves for point in points]
    lowest = min((mean for _, mean, _, _ in every), default=0.1)
    last = max((lag for lag, _, _, _ in every), default=1.0)
    low = 10.0 ** math.floor(math.log10(max(LEAST_GRADIENT, lowest)))
    plot = Plot(
        Axis(1, last, "lag, tokens"),
        Axis(min(low, 0.1), 1, "share of the largest (log)", True),
    )
    for points, mark, _ in curves:
        plot.band([(lag, end, top) for lag, _, end, top in points], mark.split()[0])
        plot.line([(lag, mean) for lag, mean, _, _ in points], mark)
    keys = [Key(mark, name) for _, mark, name in curves]
    caption = (
        "The gradient of a token's loss by the state so many tokens before it, with 95% intervals."
    )
    return Figure([plot.markup("; ".join(name for _, _, name in curves))], caption, keys)


def gradient_points(part: Lags) -> list[tuple[float, float, float, float]]:
    """Return lag, mean, low and high of each gradient that is known, as shares of the largest."""
    known = [
        (float(lag), value)
        for lag, value in enumerate(part.gradients, 1)
        if math.isfinite(value.mean) and value.mean > 0
    ]
    most = max((value.mean for _, value in known), default=1.0)

    def share(end: float, mean: float) -> float:
        return max(LEAST_GRADIENT, (end if end == end else mean) / most)

    return [
        (lag, share(mean, mean), share(low, mean), share(high, mean))
        for lag, (mean, low, high) in known
    ]


def closer_table(found: memory.Memory) -> Table:
    """Return p of the true closing bracket by distance."""
    rows = []
    for one in found.bins:
        span = f"{one.low}–{one.high}" if one.high is not None else f"{one.low} and more"
        beside = "–" if one.ngram is None else shown(one.ngram, "{:.1%}")
        rows.append([span, f"{one.count:,}", shown(one.model, "{:.1%}"), beside])
    name = "n-gram" if found.ngram is None else f"{found.ngram}-gram"
    caption = "Mean p of the true closing bracket or quote, by its distance from the opening one."
    return Table(("tokens since it opened", "count", "model", name), rows, caption)


def copying_part(found: copying.Copying) -> Part:
    """Return the section of what samples take from the corpus."""
    finding, caveat = finding_of(copying.sentence(found), "Without held-out text no control.")
    longest = max(found.samples.passages, key=lambda passage: passage.longest)
    rows = [
        [
            str(index),
            f"{one.longest:,}",
            *(f"{one.covered[x]:.0%}" for x in copying.LEAST),
            f"{one.line:,}",
        ]
        for index, one in enumerate(found.samples.passages, 1)
    ]
    head = ("sample", "longest", *(f"≥ {least}" for least in copying.LEAST), "line")
    caption = "Each sample: its longest match, the shares in matches, and the line it is from."
    blocks: list[Block] = [
        copying_figure(found),
        Listing(
            "The longest match",
            [(f"{longest.longest:,} characters", escape_flowing(longest.match))],
            f"It begins in line {longest.line:,} of the training text.",
        ),
        Table(head, rows, caption, folded=True),
    ]
    mean, control = found.samples.longest, found.control
    beside = "" if control is None else f"{control.longest.mean:.0f} in held-out text"
    unit = "characters: the longest match of a sample, on average"
    main = Number(f"{mean.mean:.0f}", unit, spans(mean, "{:.0f}"), beside)
    return Part("copying", finding, main, caveat, blocks)


def copying_figure(found: copying.Copying) -> Figure:
    """Return the shares that stand in the training text, of samples and of held-out text."""
    groups = [("samples", found.samples, "s1")]
    if found.control is not None:
        groups.append(("held out", found.control, "s3"))
    bars = [
        Row(f"{name}, ≥ {least}", v.mean, v.low, v.high, f"{v.mean:.1%}", mark)
        for least in copying.LEAST
        for name, group, mark in groups
        for v in [group.covered[least]]
    ]
    told = "; ".join(f"{bar.name} characters: {bar.text}" for bar in bars)
    drawing = lying_bars(
        bars, "share in verbatim matches of so many characters", told, percent=True
    )
    caption = "How much stands verbatim in the training text, with 95% intervals."
    return Figure([drawing], caption, [Key(mark, name) for name, _, mark in groups])
