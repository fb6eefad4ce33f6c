"""surprisal, compare and saliency on the page: the text painted, and what stands out in it."""

import math
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from charrnn.display.report.bars import Row, lying_bars
from charrnn.display.report.blocks import (
    Block,
    Explorer,
    Figure,
    Listing,
    Number,
    Painted,
    Part,
    Table,
    number,
    shown,
    spans,
)
from charrnn.display.report.paint import embedded, marked, painted, painted_each, symbol
from charrnn.display.report.words import finding_of
from charrnn.modeldir import StoredModel
from charrnn.views import compare, saliency
from charrnn.views.envelope import Inspected
from charrnn.views.intervals import Interval
from charrnn.views.report_request import Scored
from charrnn.views.surprisal import Surprisal
from charrnn.views.surprisal import sentence as surprisal_sentence

FULL_BITS, FULL_SAVED = 8.0, 4.0  # painted deepest
EXCERPT = 1200  # tokens that are painted
NUM_PEAKS, CONTEXT = 8, 36
NUM_LARGEST = 8
LN2 = math.log(2)


def surprisal_part(stored: StoredModel, text: Inspected, both: Scored) -> Part:
    """Return the section of the surprisal."""
    found, guessed = both.whole, both.painted
    totals = found.totals
    default = "It is the surprise at this text; on a text it was trained on it is less."
    finding = surprisal_sentence(found)
    head, _, tail = finding.rpartition("; ")
    finding, caveat = (f"{head}.", tail[:1].upper() + tail[1:]) if head else (finding, default)
    ends = found.intervals
    bits = Interval(*(nats / LN2 for nats in ends["loss"]))
    blocks: list[Block] = [explorer(stored, text, guessed), peaks(stored, text, found)]
    rows = [
        ["nats per token", shown(ends["loss"], "{:.4f}")],
        ["bits per character", shown(ends["bits_per_char"])],
        ["bits per byte", shown(ends["bits_per_byte"])],
        ["perplexity per token", shown(ends["perplexity"])],
        ["the likeliest symbol was right", shown(ends["top1"], "{:.1%}")],
        ["nats it expected (mean entropy)", shown(ends["entropy"], "{:.4f}")],
        ["tokens scored", f"{totals.num_tokens:,}"],
        ["symbols it does not know", f"{totals.num_unknown:,}"],
    ]
    blocks.append(Table(("of the text", ""), rows, "The totals of the text, with 95% intervals."))
    uniform = math.log2(stored.config.vocab_size)
    main = Number(
        number(bits.mean), "bits per token", spans(bits), f"{uniform:.3f} bits: a blind guess"
    )
    return Part("surprisal", finding, main, caveat, blocks)


def explorer(stored: StoredModel, text: Inspected, guessed: Surprisal) -> Explorer:
    """Return the painted beginning of the text, and what each symbol tells."""
    symbols = [piece or "⟨s⟩" for piece in stored.tokenizer.pieces]
    size = len(guessed.nats)
    pieces = [symbols[int(i)] for i in text.ids[:size]]
    bits = guessed.nats / LN2
    html = painted_each(pieces, (bits / FULL_BITS).tolist(), text.skipped)
    used = sorted(
        {int(i) for i in guessed.guesses.ravel() if i >= 0} | set(map(int, text.ids[:size]))
    )
    places = {token: place for place, token in enumerate(used)}
    expected: list[list[list[float]]] = [[]]
    expected += [
        [
            [places[int(i)], round(100 * float(p), 1)]
            for i, p in zip(ids, shares, strict=True)
            if i >= 0
        ]
        for ids, shares in zip(guessed.guesses[:-1], guessed.guess_shares[:-1], strict=True)
    ]
    data = {
        "symbols": [symbol(symbols[i]) for i in used],
        "tokens": [places[int(i)] for i in text.ids[:size]],
        "bits": [None if b != b else round(b, 2) for b in bits.tolist()],
        "entropy": [None if h != h else round(h / LN2, 2) for h in guessed.entropy.tolist()],
        "rank": guessed.rank.tolist(),
        "guesses": expected,
    }
    caption = (
        f"The first {size:,} tokens. Each symbol bears its own surprise: blue was foreseen, orange "
        "was not. Point at a symbol, tap it, or walk with the arrow keys to see its bits, its rank "
        "and what was expected in its place."
    )
    if any(place < size for place, _ in text.skipped):
        caption += " What is crossed out is not in the vocabulary: the model never saw it."
    return Explorer(html, embedded(data), caption, "0 bits", f"{FULL_BITS:g} or more")


def peaks(stored: StoredModel, text: Inspected, found: Surprisal) -> Listing:
    """Return the greatest surprises of the text, each with what stands around it."""
    nats = np.nan_to_num(found.nats)
    pieces = stored.tokenizer.pieces
    items = []
    for index in np.argsort(-nats, kind="stable")[:NUM_PEAKS].tolist():
        if nats[index] > 0:
            ids = text.ids[max(0, index - CONTEXT) : index + 13].tolist()
            at = min(index, CONTEXT)
            parts = ("".join(pieces[i] for i in part) for part in (ids[:at], ids[at + 1 :]))
            before, after = parts
            head = f"{nats[index] / LN2:.1f} bits, rank {found.rank[index]}"
            items.append((head, marked(before, pieces[ids[at]] or "⟨s⟩", after)))
    return Listing("The greatest surprises", items, "", folded=True)


def compare_part(stored: StoredModel, found: compare.Comparison) -> Part:
    """Return the section of the comparison with n-grams."""
    finding, caveat = finding_of(compare.sentence(found), "")
    finding = finding.replace("A saves", "The model saves").replace("A loses", "The model loses")
    finding = finding.replace("Between A and", "Between the model and")
    name = found.name_b.split(" (")[0]
    table = [
        [
            row.name,
            f"{row.share:.1%}",
            number(row.bits_a),
            number(row.bits_b),
            number(row.of_total, "{:.0%}"),
        ]
        for row in by_weight(found)
    ]
    head = ("class", "share", "model", name, "of all bits saved")
    size = min(EXCERPT, len(found.ids))
    pieces = [stored.tokenizer.pieces[int(i)] or "⟨s⟩" for i in found.ids[:size]]
    shares = 0.5 + found.difference[:size] / FULL_SAVED / 2
    blocks: list[Block] = [
        class_figure(found, name),
        Table(head, table, "Mean bits per token of both, by class of symbol.", folded=True),
        Painted(
            "Where it saves",
            painted(pieces, shares.tolist()),
            f"−{FULL_SAVED:g}",
            f"+{FULL_SAVED:g} bits saved",
            f"Orange: the model knew better; blue: the {name} did.",
        ),
    ]
    main = Number(
        number(found.saved.mean, "{:+.3f}"),
        "bits saved per token",
        spans(found.saved, "{:+.3f}"),
        f"±{found.chance:.3f} by chance alone",
    )
    how = f"It is held against the {found.name_b}."
    return Part("compare", finding, main, caveat, blocks, how=how)


def by_weight(found: compare.Comparison) -> list[compare.ClassRow]:
    """Return the classes, those that save most of all bits first."""
    return sorted(found.classes, key=lambda row: -abs(row.of_total))


def class_figure(found: compare.Comparison, name: str) -> Figure:
    """Return the bits saved by class of symbol."""
    bars = []
    for row in by_weight(found):
        text = number(row.saved.mean, "{:+.3f}")
        bars.append(Row(row.name, row.saved.mean, row.saved.low, row.saved.high, text))
    told = "; ".join(f"{bar.name} {bar.text} bits" for bar in bars)
    drawing = lying_bars(bars, f"bits saved per token against the {name}", told)
    return Figure([drawing], "Bits saved by class of symbol, with 95% intervals.")


def saliency_part(stored: StoredModel, text: Inspected, found: saliency.Saliency) -> Part:
    """Return the section of the inputs that mattered for one prediction."""
    names = [piece or "⟨s⟩" for piece in stored.tokenizer.pieces]
    pieces = [names[int(i)] for i in text.ids[found.first : found.target]]
    target = symbol(names[int(text.ids[found.target])])
    finding, caveat = finding_of(saliency.sentence(found, [symbol(p) for p in pieces]), "")
    swap = np.array([interval.mean for interval in found.swap])
    full = max(1e-9, float(np.abs(swap).max()))
    html = painted(pieces, (0.5 + swap / full / 2).tolist())
    html += Markup('<b class="target">{}</b>').format(target)
    best = found.swap[int(np.argmax(swap))]
    blocks: list[Block] = [
        Painted(
            f"What spoke for {target}",
            html,
            f"−{full:.2f}",
            f"+{full:.2f} nats that the symbol adds to ln p",
            "The framed symbol at the end is predicted. It was chosen, of up to 256, as the "
            "likely one that suffers most when only the 12 tokens before it are read.",
        ),
        largest_table(found, pieces, swap),
    ]
    main = Number(
        number(best.mean, "{:.2f}"),
        "nats lost without the strongest input",
        spans(best, "{:.2f}"),
        f"{found.control:.2f} in an untrained network",
    )
    how = (
        f"p of the target is {math.exp(found.log_p):.0%}; after inputs of zero "
        f"{math.exp(found.baseline):.1%}."
    )
    return Part("saliency", finding, main, caveat, blocks, how=how)


def largest_table(
    found: saliency.Saliency, pieces: Sequence[str], swap: NDArray[np.float64]
) -> Table:
    """Return the inputs that mattered most, by four measures."""
    rows = [
        [
            symbol(pieces[place]),
            str(len(swap) - place),
            shown(found.swap[place], "{:+.2f}"),
            number(found.integrated[place], "{:+.2f}"),
            number(found.grad_input[place], "{:+.2f}"),
            number(found.grad[place], "{:.2f}"),
        ]
        for place in np.argsort(-np.abs(swap), kind="stable")[:NUM_LARGEST].tolist()
    ]
    head = ("symbol", "lag", "swap, nats", "integrated", "grad × input", "gradient")
    caption = (
        "The inputs that mattered most, by four measures. Lag: how many tokens back. Swap: ln p "
        "lost when the symbol is redrawn; believe it first."
    )
    return Table(head, rows, caption)
