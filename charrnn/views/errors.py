"""errors: what would fix them? A cascade of oracles (Karpathy, Johnson & Li 2015).

An error is a target with p < 0.5. Each oracle in turn takes away those it would have got right:

    n-gram        some n-gram model, n = 1 .. 9, gives the target more than 0.5
    recent 100    the word stood in the last 100 characters, and its first letter is given away
    .. 500 1000   the same of the last 500 and 1000
    rare word     the word came five times or fewer in training
    word start    the first letter of a word
    punctuation   no letter and no digit: blanks, newlines and marks
    boost         p is 0.4 or more: a bit more of everything
    rest          none of them

The control is how many of the predictions that were right fall under the same rule.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.encoding import Ids
from charrnn.errors import ConfigError, CorpusError
from charrnn.modeldir import StoredModel
from charrnn.tokenizer import Tokenizer
from charrnn.views.compare import model_nats, training_ids
from charrnn.views.envelope import Inspected
from charrnn.views.intervals import BLOCK, Interval, mean_intervals, ratio_intervals, shown
from charrnn.views.ngram import NGram
from charrnn.views.telling import Told, untold

NAMES = (
    "n-gram",
    "recent 100",
    "recent 500",
    "recent 1000",
    "rare word",
    "word start",
    "punctuation",
    "boost",
    "rest",
)
ORDER = 9
RECENT = (100, 500, 1000)
RARE = 5
HALF, BOOST = 0.5, 0.4
MAX_TOKENS = 200_000
WORD = re.compile(r"[^\W\d_]+")
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class ErrorRow:
    """The errors that one oracle takes away."""

    name: str
    count: int
    share: Interval  # of all errors
    bits: float  # what they cost above one bit each
    bits_share: Interval  # of what all errors cost above one bit each
    control: float  # share of the right predictions that the same rule takes


@dataclass(frozen=True)
class Errors:
    """The whole cascade."""

    rows: list[ErrorRow]
    num_tokens: int
    error_rate: Interval
    warnings: list[str]


def measure_errors(
    stored: StoredModel, text: Inspected, corpus: Sequence[str] = (), *, told: Told = untold
) -> Errors:
    """Return what would fix the errors of `text`; of a long text its beginning is looked at.

    Raises ConfigError for words as tokens, and where the training text is not there.
    """
    if stored.tokenizer.level == "word":
        raise ConfigError("the tokens are words: this view needs a model of characters or bytes")
    train, warnings = training_ids(stored, corpus, text)
    if len(text.ids) > MAX_TOKENS:
        warnings = [
            *warnings,
            f"of {len(text.ids):,} tokens the first {MAX_TOKENS:,} are looked at",
        ]
        text = replace(text, ids=text.ids[:MAX_TOKENS])
    nats = model_nats(stored, text.ids, text.bos_id, told)
    rules = find_rules(stored.tokenizer, train, text.ids, nats)
    return cascade(rules, nats, warnings)


def letters_of(tokenizer: Tokenizer, ids: Ids) -> str:
    """Return one character for each token: bytes as Latin-1, symbols without text as newlines."""
    table = [piece[:1] or "\n" for piece in tokenizer.pieces]
    if tokenizer.level == "byte":
        table = [chr(i) if i < 256 else "\n" for i in range(len(tokenizer))]
    return "".join(table[int(i)] for i in ids)


def find_rules(tokenizer: Tokenizer, train: Ids, ids: Ids, nats: Floats) -> list[Flags]:
    """Return for each oracle which tokens it gets right, (N,) each; the last gets all."""
    text = letters_of(tokenizer, ids)
    counted = np.zeros(len(ids))
    for found in NGram(train, len(tokenizer), ORDER).probabilities(ids):
        counted = np.maximum(counted, found)
    recent, rare, start = word_rules(text, letters_of(tokenizer, train))
    marks = np.array([not char.isalnum() for char in text])
    rules = [counted > HALF, *(recent <= size for size in RECENT), rare, start, marks]
    return [*rules, np.exp(-nats) >= BOOST, np.ones(len(ids), bool)]


def word_rules(text: str, train: str) -> tuple[Floats, Flags, Flags]:
    """Return of each character how far back its word stood, whether it is rare, and a start.

    The distance is infinite at the first letter of a word and outside of words.
    """
    counts = Counter(match[0] for match in WORD.finditer(train))
    recent = np.full(len(text), np.inf)
    rare, start = np.zeros(len(text), bool), np.zeros(len(text), bool)
    last: dict[str, int] = {}
    for match in WORD.finditer(text):
        word, begin, end = match[0], match.start(), match.end()
        if word in last:
            recent[begin + 1 : end] = begin - last[word]
        last[word] = begin
        rare[begin:end] = counts[word] <= RARE
        start[begin] = True
    return recent, rare, start


def cascade(rules: Sequence[Flags], nats: Floats, warnings: list[str]) -> Errors:
    """Return the rows of the cascade. Raises CorpusError where there is no error at all."""
    known = np.isfinite(nats)
    wrong = known & (np.exp(-np.nan_to_num(nats)) < HALF)
    right = known & ~wrong
    if not wrong.any():
        raise CorpusError("every target has p >= 0.5: there is no error to explain")
    first = np.argmax(np.array(rules), axis=0)  # the first oracle that gets each token right
    places = np.flatnonzero(wrong)
    taken = (first[wrong][:, None] == np.arange(len(rules))).astype(np.float64)
    shares = mean_intervals(taken, places // BLOCK)
    cost = nats[wrong] / np.log(2) - 1
    bits = ratio_intervals(
        cost[:, None] * taken, np.tile(cost[:, None], len(rules)), places // BLOCK
    )
    rows = [
        ErrorRow(
            name,
            int(taken[:, index].sum()),
            shares[index],
            float(cost @ taken[:, index]),
            bits[index],
            float((first[right] == index).mean()) if right.any() else 0.0,
        )
        for index, name in enumerate(NAMES)
    ]
    rate = mean_intervals(wrong[known, None].astype(np.float64), np.flatnonzero(known) // BLOCK)[0]
    return Errors(rows, int(known.sum()), rate, warnings)


def sentence(found: Errors) -> str:
    """Return what the numbers say, in one sentence, and its caveat."""
    largest = max(found.rows, key=lambda row: row.count)
    costly = max(found.rows, key=lambda row: row.bits)
    text = f"Of the {found.error_rate.mean:.1%} of targets with p under a half, the largest part"
    text += f" ({shown(largest.share, '{:.0%}')}) falls to '{largest.name}'"
    if costly.name != largest.name:
        text += f", and of their bits ({shown(costly.bits_share, '{:.0%}')}) to '{costly.name}'"
    return f"{text}. An error falls to the first rule that fits: another order gives other numbers."


def to_result(found: Errors) -> dict[str, Any]:
    """Return the numbers as JSON holds them."""
    intervals = ("share", "bits_share")
    rows = [
        {**asdict(row), **{name: getattr(row, name)._asdict() for name in intervals}}
        for row in found.rows
    ]
    return {
        "rows": rows,
        "num_tokens": found.num_tokens,
        "error_rate": found.error_rate._asdict(),
        "sentence": sentence(found),
    }
