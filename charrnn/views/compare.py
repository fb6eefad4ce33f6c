"""compare: how many bits does A save against another model, or against counting n-grams?

Both predict the same tokens from the same text, so the difference is taken token by token, which
makes it far more precise than either loss. The control: what the mean difference would be if the
sign of each block of the text were a coin's, that is if neither were better.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.corpus import find_sources
from charrnn.encoding import Ids, encode_sources
from charrnn.errors import ConfigError
from charrnn.modeldir import StoredModel, document_of
from charrnn.views.envelope import Inspected, read_own_text
from charrnn.views.intervals import BLOCK, NUM_DRAWS, Interval, mean_interval, mean_intervals
from charrnn.views.ngram import MAX_ORDER, ngram_nats
from charrnn.views.telling import Told, told_blocks, untold

CLASSES = ("letter", "upper", "digit", "space", "newline", "punctuation", "other")
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ClassRow:
    """The tokens of one class."""

    name: str
    share: float  # of all tokens
    bits_a: float  # mean
    bits_b: float
    saved: Interval  # mean of b - a, bits
    of_total: float  # the class's part of all bits saved


@dataclass(frozen=True)
class Comparison:
    """Two predictors of one text; bits saved are those of B minus those of A."""

    name_b: str
    num_tokens: int
    bits_a: float  # mean per token
    bits_b: float
    saved: Interval  # mean of b - a, bits per token
    chance: float  # 97.5% of the means that coin signs give are below this
    classes: list[ClassRow]
    ids: Ids  # (N,) the tokens that both predict
    difference: Floats  # (N,) bits b - a, nan where nothing predicts the token
    warnings: list[str]


def is_model(path: str) -> bool:
    """Return whether an argument means a model, not a text."""
    place = Path(path)
    return (place / "config.json").is_file() or place.suffix == ".safetensors"


def split_arguments(
    arguments: Sequence[str], model: str | None
) -> tuple[str | None, str | None, list[str]]:
    """Return A, B or None, and the texts, of `A [B] [TEXT]`; with `-m` A is not among them."""
    rest = list(arguments)
    first = model if model is not None else (rest.pop(0) if rest and is_model(rest[0]) else None)
    second = rest.pop(0) if rest and is_model(rest[0]) else None
    return first, second, rest


def model_nats(stored: StoredModel, ids: Ids, bos_id: int | None, told: Told = untold) -> Floats:
    """Return -ln p of each token, (N,); nan where nothing predicts it."""
    from charrnn.batches import IGNORED
    from charrnn.evaluate import block_nats
    from charrnn.model import LanguageModel

    model = LanguageModel(stored.config)
    model.load_weights(stored.weights)
    result = np.full(len(ids), np.nan)
    for block in told_blocks(model, ids, bos_id, told):
        real = (block.targets != IGNORED).numpy()
        result[block.positions[real]] = block_nats(block).double().numpy()[real]
    return result


def compare_models(
    stored: StoredModel, other: StoredModel, text: Inspected, *, told: Told = untold
) -> Comparison:
    """Return how A and B differ on `text`. Raises ConfigError where their tokens do."""
    text, ids, warnings = common_tokens(stored, other, text)
    nats = model_nats(stored, text.ids, text.bos_id, told)
    theirs = model_nats(other, ids, other.tokenizer.bos_id, told)
    return compare(stored, text, (nats, theirs), str(other.path), warnings)


def common_tokens(
    stored: StoredModel, other: StoredModel, text: Inspected
) -> tuple[Inspected, Ids, list[str]]:
    """Return `text` without the characters that B does not know, and its ids for B."""
    ours, theirs = stored.tokenizer, other.tokenizer
    if ours.fingerprint == theirs.fingerprint:
        return text, text.ids, []
    streams = ours.bos_id is None and theirs.bos_id is None
    if (ours.level, theirs.level) != ("char", "char") or not streams:
        raise ConfigError(
            f"A and B read other tokens ({ours.level} and {theirs.level} level, {len(ours)} and "
            f"{len(theirs)} symbols): needs one vocabulary, or streams of characters"
        )
    table = np.array([theirs.index.get(symbol, -1) for symbol in ours.vocabulary])
    ids = table[np.asarray(text.ids)]
    kept = ids >= 0
    if kept.sum() < 2:
        raise ConfigError("A and B have no characters of this text in common: needs at least 2")
    warnings = []
    if not kept.all():
        warnings.append(f"{int((~kept).sum()):,} characters that B does not know are left out")
    return replace(text, ids=np.asarray(text.ids)[kept]), ids[kept], warnings


def compare_ngram(
    stored: StoredModel,
    text: Inspected,
    corpus: Sequence[str] = (),
    order: int = MAX_ORDER,
    *,
    told: Told = untold,
) -> Comparison:
    """Return how the model differs from an n-gram counted on `corpus`.

    Without `corpus` on the model's own training part; raises ConfigError where that is not there.
    """
    train, warnings = training_ids(stored, corpus, text)
    best, nats = ngram_nats(train, text.ids, len(stored.tokenizer), order, told)
    ours = model_nats(stored, text.ids, text.bos_id, told)
    name = f"{best}-gram (Witten-Bell; best of 1 to {order} on this text)"
    return compare(stored, text, (ours, nats), name, warnings)


def training_ids(
    stored: StoredModel, corpus: Sequence[str], text: Inspected
) -> tuple[Ids, list[str]]:
    """Return the ids to count, without `text` where they end with it."""
    if not corpus:
        try:
            return read_own_text(stored)[0].train, []
        except ConfigError as error:
            raise ConfigError(f"{error}; or --corpus FILE, the text it was trained on") from error
    document = document_of(stored)
    ids = encode_sources(stored.tokenizer, find_sources(corpus), document).ids
    size = len(text.ids)
    if len(ids) >= size and np.array_equal(ids[-size:], text.ids):
        if len(ids) < 2 * MAX_ORDER + size:
            raise ConfigError("--corpus is the text itself: needs text that the n-gram may know")
        return ids[:-size], ["the corpus ends with the text: that part is not counted"]
    return ids, []


def compare(
    stored: StoredModel,
    text: Inspected,
    nats: tuple[Floats, Floats],
    name_b: str,
    warnings: list[str],
) -> Comparison:
    """Return the paired differences of two columns of nats."""
    real = np.isfinite(nats[0])  # in a stream the first token has no prediction
    bits = [column[real] / np.log(2) for column in nats]
    saved = bits[1] - bits[0]
    blocks = np.flatnonzero(real) // BLOCK
    kinds = token_classes(stored.tokenizer.pieces)[np.asarray(text.ids)[real]]
    split = np.where(kinds[:, None] == np.arange(len(CLASSES)), saved[:, None], np.nan)
    rows = []
    for kind, interval in enumerate(mean_intervals(split, blocks)):
        at = kinds == kind
        if at.any():
            part = float(saved[at].sum() / saved.sum()) if saved.sum() else 0.0
            mean_a, mean_b = (float(column[at].mean()) for column in bits)
            rows.append(ClassRow(CLASSES[kind], float(at.mean()), mean_a, mean_b, interval, part))
    difference = np.full(len(real), np.nan)
    difference[real] = saved
    if len(np.unique(blocks)) < 10:
        warnings = [*warnings, f"the text has under {10 * BLOCK:,} tokens: intervals are rough"]
    return Comparison(
        name_b,
        int(real.sum()),
        float(bits[0].mean()),
        float(bits[1].mean()),
        mean_interval(saved, blocks),
        chance_bound(saved, blocks),
        rows,
        text.ids,
        difference,
        warnings,
    )


def chance_bound(saved: Floats, blocks: NDArray[np.int64], seed: int = 0) -> float:
    """Return how far the mean gets from 0 by chance, were the sign of each block a coin's."""
    members = np.unique(blocks, return_inverse=True)[1].reshape(-1)
    sums = np.bincount(members, saved)
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(NUM_DRAWS, len(sums)))
    return float(np.quantile(signs @ sums / len(saved), 0.975))


def token_classes(pieces: Sequence[str]) -> NDArray[np.int64]:
    """Return the class of each symbol by its first character, (V,), as places in CLASSES."""
    return np.array([CLASSES.index(class_of(piece[:1])) for piece in pieces])


def class_of(char: str) -> str:
    """Return the class of one character; "other" for symbols that stand for no text."""
    if not char or char == "�":
        return "other"
    if char in "\n\r":
        return "newline"
    if char.isspace():
        return "space"
    if char.isalpha():
        return "upper" if char.isupper() else "letter"
    return "digit" if char.isnumeric() else "punctuation"


def sentence(found: Comparison) -> str:
    """Return what the numbers say, in one sentence, and its caveat."""
    gap, caveat = found.saved, "It holds for texts like this one."
    head, gram, _ = found.name_b.partition("-gram (")
    name = f"the {head}-gram" if gram else head
    start = f"Between A and {name}"
    if gap.low != gap.low:
        return f"{start} nothing is sure, for want of text ({gap.mean:+.4f} bits). {caveat}"
    span = f"95% interval {gap.low:+.4f} to {gap.high:+.4f}; by chance alone ±{found.chance:.4f}"
    if not (gap.low > 0 or gap.high < 0):
        return f"{start} there is no sure difference ({gap.mean:+.4f} bits; {span}). {caveat}"
    word = "saves" if gap.mean > 0 else "loses"
    return f"A {word} {abs(gap.mean):.4f} bits a token against {name} ({span}). {caveat}"


def to_result(found: Comparison) -> dict[str, Any]:
    """Return the numbers as JSON holds them."""
    rows = [{**vars(row), "saved": row.saved._asdict()} for row in found.classes]
    kept = ("name_b", "num_tokens", "bits_a", "bits_b", "chance")
    return {
        **{name: getattr(found, name) for name in kept},
        "saved": found.saved._asdict(),
        "classes": rows,
        "difference": found.difference.tolist(),
        "sentence": sentence(found),
    }
