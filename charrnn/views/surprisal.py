"""surprisal: where is the model surprised, and what did it expect? Also the scorer of any text.

S_t = -ln p(x_t | x_<t), in nats, on each token x_t; the entropy H_t of the same prediction; its
rank, 1 + the number of symbols that were likelier; and the likeliest symbols for x_{t+1}. The
totals are the loss that training reports, of the same function of the same logits.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.modeldir import StoredModel
from charrnn.views.envelope import Inspected
from charrnn.views.intervals import BLOCK, Interval, ratio_intervals
from charrnn.views.telling import Told, told_blocks, untold

LN2 = math.log(2)
UNITS = {
    "nats": "nats",
    "entropy": "nats",
    "excess": "nats",
    "loss": "nats per token",
    "rank": "1 + the number of likelier symbols, exact",
    "ratio": "p / p of the likeliest, exact",
}
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Totals:
    """The sums of a text and what they mean."""

    nats: float
    loss: float  # nats per token
    bits_per_char: float
    bits_per_byte: float
    perplexity: float  # per token
    num_tokens: int  # targets: in a stream all tokens but the first
    num_chars: int
    num_bytes: int
    num_unknown: int
    top1: float  # share of tokens that were the likeliest
    entropy: float  # mean of H_t, nats
    unknown_rate: float  # of tokens that are no blanks and no newlines


@dataclass(frozen=True)
class Surprisal:
    """Numbers for each token of a text; nan and 0 where nothing predicts it."""

    totals: Totals
    intervals: dict[str, Interval]  # of the totals that are means, were the text another like it
    nats: Floats  # (N,) S_t
    entropy: Floats  # (N,) H_t of the prediction of x_t
    rank: NDArray[np.int64]  # (N,) 1 is the likeliest, 0 where there is none
    ratio: Floats  # (N,) p / p of the likeliest
    guesses: NDArray[np.int32]  # (N, k) likeliest symbols for x_{t+1}, -1 where unknown
    guess_shares: NDArray[np.float32]  # (N, k) their probabilities


def measure_surprisal(
    stored: StoredModel,
    text: Inspected,
    *,
    top_k: int = 0,
    exact: bool = False,
    told: Told = untold,
) -> Surprisal:
    """Return the surprisal of every token of `text`; `exact` makes one single pass.

    Memory is bounded by the text's length times (5 + 2 k) numbers: logits are not kept.
    """
    import torch

    from charrnn.batches import IGNORED
    from charrnn.evaluate import block_nats
    from charrnn.model import LanguageModel

    model = LanguageModel(stored.config)
    model.load_weights(stored.weights)
    size, top_k = len(text.ids), min(top_k, stored.config.vocab_size)
    nats, entropy, ratio = (np.full(size, np.nan) for _ in range(3))
    rank = np.zeros(size, np.int64)
    guesses = np.full((size, top_k), -1, np.int32)
    shares = np.zeros((size, top_k), np.float32)
    with torch.no_grad():
        for block in told_blocks(model, text.ids, text.bos_id, told, exact=exact):
            real = block.targets != IGNORED
            at = block.positions[real.cpu().numpy()]
            nats[at] = block_nats(block)[real].double().cpu().numpy()
            log_p = block.logits[real].log_softmax(-1)  # (n, V)
            true = log_p.gather(1, block.targets[real][:, None])
            entropy[at] = -(log_p.exp() * log_p).sum(1).double().cpu().numpy()
            rank[at] = 1 + (log_p > true).sum(1).cpu().numpy()
            ratio[at] = (true[:, 0] - log_p.max(1).values).exp().double().cpu().numpy()
            if top_k:
                best, ids = log_p.topk(top_k, dim=1)
                guesses[at - 1] = ids.cpu().numpy()
                shares[at - 1] = best.exp().cpu().numpy()
    totals = total(stored, text, nats, entropy, rank)
    intervals = intervals_of(stored, text, nats, entropy, rank)
    return Surprisal(totals, intervals, nats, entropy, rank, ratio, guesses, shares)


def total(
    stored: StoredModel,
    text: Inspected,
    nats: Floats,
    entropy: Floats,
    rank: NDArray[np.int64],
) -> Totals:
    """Return the sums over the tokens that are predicted."""
    from charrnn.evaluate import Evaluation

    tokenizer, real = stored.tokenizer, rank > 0
    counts = np.bincount(np.asarray(text.ids)[real], minlength=len(tokenizer))
    chars, num_bytes = (
        int(counts @ sizes) for sizes in (tokenizer.token_chars(), tokenizer.token_bytes())
    )
    num = int(real.sum())
    sums = Evaluation(float(nats[real].sum()), num, chars, num_bytes, text.num_unknown)
    unknown = 0 if tokenizer.unk_id is None else int(counts[tokenizer.unk_id])
    num_words = int(counts[[not piece.isspace() for piece in tokenizer.pieces]].sum())
    return Totals(
        nats=sums.nats,
        loss=sums.loss,
        bits_per_char=sums.bits_per_char,
        bits_per_byte=sums.bits_per_byte,
        perplexity=sums.perplexity,
        num_tokens=num,
        num_chars=chars,
        num_bytes=num_bytes,
        num_unknown=text.num_unknown,
        top1=float((rank[real] == 1).mean()),
        entropy=float(entropy[real].mean()),
        unknown_rate=unknown / max(1, num_words),
    )


def intervals_of(
    stored: StoredModel,
    text: Inspected,
    nats: Floats,
    entropy: Floats,
    rank: NDArray[np.int64],
) -> dict[str, Interval]:
    """Return the 95% intervals of the means of a text, by blocks of 500 tokens drawn anew."""
    at = np.flatnonzero(rank > 0)
    ids, one = np.asarray(text.ids)[at], np.ones(len(at))
    chars, num_bytes = (
        sizes[ids].astype(np.float64)
        for sizes in (stored.tokenizer.token_chars(), stored.tokenizer.token_bytes())
    )
    # symbols of no length cost bits too: those are part of the sum, as in the totals
    columns = {
        "loss": (nats[at], one),
        "bits_per_char": (nats[at] / LN2, chars),
        "bits_per_byte": (nats[at] / LN2, num_bytes),
        "top1": ((rank[at] == 1).astype(np.float64), one),
        "entropy": (entropy[at], one),
        "excess": (nats[at] - entropy[at], one),
    }
    values, weights = (np.stack(part, axis=1) for part in zip(*columns.values(), strict=True))
    found = dict(zip(columns, ratio_intervals(values, weights, at // BLOCK), strict=True))
    loss = found["loss"]
    found["perplexity"] = Interval(*(float(np.exp(nats)) for nats in loss))
    return found


def to_result(found: Surprisal, pieces: list[str], limit: int | None = None) -> dict[str, Any]:
    """Return the numbers as JSON holds them: `pieces` are the texts of the tokens.

    With `limit` the lists hold the first tokens only; totals are always of all.
    """
    lists: dict[str, NDArray[Any]] = {
        "nats": found.nats,
        "entropy": found.entropy,
        "excess": found.nats - found.entropy,
        "rank": found.rank,
        "ratio": found.ratio,
        "guesses": found.guesses,
        "guess_probabilities": found.guess_shares,
    }
    return {
        "totals": asdict(found.totals),
        "intervals": {name: one._asdict() for name, one in found.intervals.items()},
        "tokens": pieces[:limit],
        **{name: values[:limit].tolist() for name, values in lists.items()},
        "adapted": None,  # adapted.py has it where it was asked for
        "sentence": sentence(found),
    }


def sentence(found: Surprisal) -> str:
    """Return what the numbers say, in one sentence, with its caveat."""
    totals, loss = found.totals, found.intervals["loss"]
    excess = (totals.loss - totals.entropy) / LN2
    if abs(excess) < 0.02:
        judged = "as it expected"
    else:
        judged = f"{abs(excess):.2f} bits a token {'more' if excess > 0 else 'less'} than expected"
    ends = "" if loss.low != loss.low else f" [{loss.low / LN2:.3f}, {loss.high / LN2:.3f}]"
    text = f"The text costs {totals.loss / LN2:.3f} bits a token{ends}, {judged}"
    return f"{text}; on a text it was trained on it is less."


def warnings_of(stored: StoredModel, totals: Totals) -> list[str]:
    """Return what must be known before the totals are compared with another model's."""
    found = []
    if stored.tokenizer.level == "word" and totals.unknown_rate:
        found.append(
            f"{totals.unknown_rate:.1%} of the words are <unk>: bits per character and per byte "
            "are not comparable with those of other models"
        )
    if stored.tokenizer.level != "word" and totals.num_unknown:
        found.append(
            f"{totals.num_unknown:,} characters are not in the vocabulary: they are skipped "
            "(marked with ?), and are in no total"
        )
    return found


def group_by(
    pieces: list[str], nats: Floats, unit: str
) -> tuple[list[str], Floats, NDArray[np.int64]]:
    """Return the texts, the summed surprisal and the first token of each char, word or line.

    A word is a run without blanks, with the blanks behind it; a line ends with its newline.
    """
    starts = [0]
    for index in range(1, len(pieces)):
        before, now = pieces[index - 1], pieces[index]
        if (
            unit == "char"
            or (unit == "line" and before.endswith("\n"))
            or (unit == "word" and before[-1:].isspace() and not now[:1].isspace())
        ):
            starts.append(index)
    sums = np.add.reduceat(np.nan_to_num(nats), starts) if pieces else np.zeros(0)
    ends = [*starts[1:], len(pieces)]
    texts = ["".join(pieces[a:b]) for a, b in zip(starts, ends, strict=True)]
    return texts, sums, np.array(starts, np.int64)
