"""summary and curve on the page: losses beside their floors, and how they fell."""

import math

from charrnn.display.foreign import clip, one_line, visible
from charrnn.display.numbers import show_count, show_duration
from charrnn.display.report.bars import Row, lying_bars
from charrnn.display.report.blocks import (
    Block,
    Figure,
    Key,
    Listing,
    Number,
    Part,
    Table,
    number,
    spans,
)
from charrnn.display.report.paint import escape_flowing
from charrnn.display.report.svg import Axis, Plot
from charrnn.display.report.words import finding_of
from charrnn.modeldir import StoredModel
from charrnn.views.curve import Curve
from charrnn.views.curve import sentence as curve_sentence
from charrnn.views.intervals import Interval
from charrnn.views.summary import Summary, options_of, sentence

FLOORS = {
    "uniform": "all symbols alike",
    "unigram": "symbol frequencies",
    "bigram": "the symbol before",
    "ngram": "the best n-gram",
    "lzma": "lzma compressor",
}
LN2 = math.log(2)
NUM_SAMPLES, SAMPLE_CHARS = 6, 280


def summary_part(stored: StoredModel, found: Summary) -> Part:
    """Return the section of the summary."""
    finding, caveat = finding_of(sentence(found), "The floors need no network at all.")
    blocks: list[Block] = []
    rows = [
        Row(FLOORS[n], v / LN2, math.nan, math.nan, f"{v / LN2:.3f}", "s3")
        for n, v in found.floors.items()
    ]
    for name, value in (("this model", found.valid_loss), ("in training", found.train_loss)):
        if value is not None:
            mark = "s1" if name == "this model" else "s2"
            low = high = math.nan
            if name == "this model" and found.valid is not None:
                low, high = found.valid.low / LN2, found.valid.high / LN2
            rows.append(Row(name, value / LN2, low, high, f"{value / LN2:.3f}", mark))
    if rows:
        rows.sort(key=lambda row: -row.value)
        told = "; ".join(f"{row.name} {row.text} bits" for row in rows)
        caption = (
            "Bits per token on the held-out part, shorter is better: what needs no network (grey), "
            "this model (orange), and the model on what it was trained on, dropout on (blue)."
        )
        blocks.append(Figure([lying_bars(rows, "bits per token", told)], caption))
    blocks += [parameter_table(stored, found), health_table(found)]
    if found.record:
        blocks.append(options_table(found))
    main = None
    if found.valid_loss is not None:
        best = min(found.floors.items(), key=lambda item: item[1], default=None)
        beside = "" if best is None else f"{best[1] / LN2:.3f} bits: {FLOORS[best[0]]}, no network"
        valid = found.valid or Interval(math.nan, math.nan, math.nan)
        ends = spans(Interval(*(nats / LN2 for nats in valid)))
        main = Number(f"{found.valid_loss / LN2:.3f}", "bits per token, held out", ends, beside)
    return Part("summary", finding, main, caveat, blocks)


def parameter_table(stored: StoredModel, found: Summary) -> Table:
    """Return what the model is made of."""
    config = stored.config
    rows: list[list[str]] = [
        [block, f"{count:,}", f"{count / found.num_parameters:.1%}"]
        for block, count in sorted(found.parameters.items())
    ]
    rows.append(["all parameters", f"{found.num_parameters:,}", ""])
    rows.append([f"vocabulary, {stored.tokenizer.level} level", f"{config.vocab_size:,}", ""])
    for name, key in (("training tokens", "num_train_tokens"), ("held out", "num_valid_tokens")):
        if key in found.record:
            rows.append([name, f"{int(found.record[key]):,}", ""])
    return Table(("block", "count", "share"), rows, "Its parameters, its symbols and its text.")


def health_table(found: Summary) -> Table:
    """Return the spectra of the recurrent blocks and the units that do not move."""
    rows = []
    for name, values in found.spectra.items():
        gate, layer = name.split(":")
        rows.append(
            [f"gate {gate}, layer {layer}", f"{values['norm']:.2f}", f"{values['radius']:.2f}"]
        )
    dead = found.dead_units or {}
    said = ", ".join(f"{count} in layer {layer}" for layer, count in dead.items())
    caption = (
        "Recurrent weights of each gate: the largest factor by which they stretch a state (norm) "
        "and that of their largest eigenvalue (radius)."
    )
    caption += f" Units that hardly move (std of h under 0.001): {said}." if dead else ""
    return Table(("block", "norm", "radius"), rows, caption, folded=True)


def options_table(found: Summary) -> Table:
    """Return what the run was asked for, and of which texts."""
    rows = [[name, clip(one_line(value), 60)] for name, value in options_of(found.record)]
    for source in found.record.get("corpus", []):
        rows.append(["text", clip(one_line(str(source["path"])), 60)])
        rows.append(["its sha256", str(source["sha256"])[:16]])
    caption = "The options of the run, and the texts that it read."
    head = ("option", "value")
    return Table(head, rows, caption, text_columns=2, folded=True, title="The options")


def curve_part(found: Curve) -> Part:
    """Return the section of the curve."""
    finding, caveat = finding_of(curve_sentence(found), "")
    blocks: list[Block] = [loss_figure(found)]
    blocks += rate_figures(found)
    if found.samples:
        blocks.append(sample_listing(found))
    main = None
    if found.best_loss is not None:
        gain = "" if found.gain is None else f"{found.gain:.3f} nats came in the last fifth"
        unit = f"nats per token at step {found.best_step:,}, the best"
        main = Number(f"{found.best_loss:.4f}", unit, "none: as the run recorded it", gain)
    return Part("curve", finding, main, caveat, blocks)


def loss_figure(found: Curve) -> Figure:
    """Return the losses by step."""
    train = [(float(line["step"]), float(line["loss"])) for line in found.log]
    valid = [(float(line["step"]), float(line["valid_loss"])) for line in found.evaluations]
    points = [p for p in train + valid if math.isfinite(p[1])]
    values = sorted(p[1] for p in points)
    top = values[min(len(values) - 1, int(0.99 * len(values)))]
    low = values[0] - 0.04 * (top - values[0] or 1)
    last = max(p[0] for p in points)
    plot = Plot(Axis(0, last, "optimizer step"), Axis(low, top, "loss, nats per token"))
    keys = []
    if train:
        plot.line([p for p in train if p[1] <= top], "s2")
        keys.append(Key("s2", "training, dropout on"))
    if valid:
        plot.line(valid, "s1")
        for step, loss in valid:
            plot.point(step, loss, "s1", f"step {step:,.0f}: {loss:.4f} nats held out", 2.5)
        keys.append(Key("s1", "held out"))
    told = f"Losses from step {points[0][0]:,.0f} to {last:,.0f}, down to {values[0]:.3f} nats"
    seconds = float(found.log[-1]["elapsed_seconds"]) if found.log else 0.0
    took = f" It took {show_duration(seconds)}." if seconds else ""
    count = int(found.log[-1].get("tokens", 0)) if found.log else 0
    read = f" {show_count(count)} tokens were read." if count else ""
    return Figure([plot.markup(told)], f"The loss by step.{took}{read}", keys)


def rate_figures(found: Curve) -> list[Block]:
    """Return the learning rate and the gradient norm, side by side."""
    drawings = []
    for key, label in (("learning_rate", "learning rate"), ("grad_norm", "gradient norm")):
        points = [(float(line["step"]), float(line[key])) for line in found.log if key in line]
        points = [p for p in points if math.isfinite(p[1])]
        if len(points) > 1:
            top = max(p[1] for p in points) * 1.05 or 1.0
            axes = Axis(0, points[-1][0], "optimizer step"), Axis(0, top, label)
            plot = Plot(*axes, width=330, height=210)
            plot.line(points, "s3")
            drawings.append(plot.markup(f"{label} by step, at the end {points[-1][1]:.3g}"))
    if not drawings:
        return []
    caption = "The learning rate, and the norm of the gradient before clipping."
    if found.clipped is not None:
        caption += f" {number(found.clipped, '{:.0%}')} of the logged steps were clipped."
    return [Figure(drawings, caption)]


def sample_listing(found: Curve) -> Listing:
    """Return some samples that were drawn while training, the first and the last among them."""
    count = len(found.samples)
    chosen = sorted({round(i * (count - 1) / max(1, NUM_SAMPLES - 1)) for i in range(NUM_SAMPLES)})
    items = []
    for index in chosen:
        sample = found.samples[index]
        text = clip(visible(str(sample["text"]).strip("\n")), SAMPLE_CHARS)
        items.append((f"step {int(sample['step']):,}", escape_flowing(text)))
    return Listing("What it wrote on the way", items, "The first and the last, and some between.")
