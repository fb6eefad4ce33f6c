"""Texts -> a vocabulary, and ids on disk cut into a training and a held-out part."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from charrnn.cache import CollectedText
from charrnn.config import TrainConfig
from charrnn.corpus import STDIN, SourceRecord, find_sources, shown
from charrnn.encoding import (
    EncodedText,
    Ids,
    collect_sources,
    encode_sources,
    make_scheme,
    translate,
)
from charrnn.errors import CorpusError
from charrnn.store import ArraySpool
from charrnn.tokenizer import Tokenizer
from charrnn.tokenizer_json import NUM_BYTES
from charrnn.vocabulary import BOS_PLACE, EOS_PLACE, FIRST, choose_vocabulary

MIN_TOKENS = 2
CHUNK = 2**20  # tokens looked at in one go
NO_COUNTS = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class Dataset:
    """What a network is trained on and measured on."""

    tokenizer: Tokenizer
    train: Ids
    valid: Ids  # empty where nothing is held out
    valid_unknown: int  # symbols of the held-out text that have no id, or words that are <unk>
    records: tuple[SourceRecord, ...]
    valid_records: tuple[SourceRecord, ...]
    notes: tuple[str, ...]  # what the user should be told


def load_dataset(
    arguments: Sequence[str],
    config: TrainConfig,
    *,
    valid: Sequence[str] | None = None,
    encoding: str | None = None,
    tokenizer: Tokenizer | None = None,
    grow_from: Tokenizer | None = None,
) -> Dataset:
    """Return the encoded texts that TEXT arguments mean.

    With a `tokenizer` the vocabulary is given; else it is made from the text, with the symbols of
    `grow_from` kept. `valid` are the held-out files; else the last part of the text is held out.
    Raises CorpusError.
    """
    valid_sources = find_sources(valid) if valid else []
    sources = find_sources(arguments)
    if STDIN in sources and STDIN in valid_sources:
        raise CorpusError("standard input (-) is both TEXT and --valid: it can be read once")
    scheme = make_scheme(config.level, config.pretokenized, config.document, encoding)
    text = collect_sources(sources, scheme)
    check_size(sources, len(text.spool))
    cut, notes = (len(text.spool), ()) if valid_sources else find_cut(text.spool, config)
    is_new = tokenizer is None
    if tokenizer is None:
        notes = (*notes, *line_end_notes(text, config))
        counts = count_words(text, cut) if config.level == "word" else NO_COUNTS
        tokenizer = choose_vocabulary(text.symbols, counts, config, grow_from)
    encoded, cut = translate(text, tokenizer, cut)
    if is_new:
        notes = (*notes, *unknown_notes(tokenizer, encoded.ids[:cut]))
    train, held_out = encoded.ids[:cut], EncodedText(encoded.ids[cut:], encoded.num_unknown)
    if valid_sources:
        held_out = encode_sources(tokenizer, valid_sources, config.document, encoding)
    if len(held_out.ids) < MIN_TOKENS and (valid_sources or len(held_out.ids)):
        notes = (*notes, "the held-out part has under 2 tokens: nothing is held out")
        held_out = EncodedText(encoded.ids[:0], 0, held_out.records)
    return Dataset(
        tokenizer,
        train,
        held_out.ids,
        held_out.num_unknown,
        encoded.records,
        held_out.records,
        notes,
    )


def check_size(sources: Sequence[str], size: int) -> None:
    """Raise CorpusError for a text that nothing can be learnt from."""
    if size < MIN_TOKENS:
        names = ", ".join(shown(source) for source in sources[:3]) + ", .." * (len(sources) > 3)
        problem = "no text" if not size else f"{size} token"
        raise CorpusError(f"{names}: {problem} in it; needs at least {MIN_TOKENS} tokens")


def find_cut(spool: ArraySpool, config: TrainConfig) -> tuple[int, tuple[str, ...]]:
    """Return where the held-out part begins, and what to tell about it.

    After int(n * (1 - valid_frac)) tokens; with documents at the border before that.
    """
    size = len(spool)
    if not config.valid_frac:
        return size, ()
    cut = max(MIN_TOKENS, int(size * (1 - config.valid_frac)))
    if config.document == "stream":
        if size - cut < MIN_TOKENS:
            return size, ("the text is too short to hold a part out",)
        return cut, ()
    before, after = find_borders(spool, cut)
    if before or after:
        return before or after, ()
    return size, ("the text is one document: nothing is held out; give --valid FILE",)


def find_borders(spool: ArraySpool, cut: int) -> tuple[int, int]:
    """Return where the last document up to `cut` and the first one after it begin; 0: none."""
    before, seen = 0, 0
    for chunk in spool.chunks():
        starts = np.flatnonzero(chunk == BOS_PLACE) + seen
        earlier = starts[starts <= cut]
        if len(earlier):
            before = int(earlier[-1])
        if len(earlier) < len(starts):
            return before, int(starts[len(earlier)])
        seen += len(chunk)
    return before, 0


def line_end_notes(text: CollectedText, config: TrainConfig) -> tuple[str, ...]:
    """Return what to say of the newlines of Windows, which are kept as they are."""
    count = count_carriage_returns(text, config)
    if not count:
        return ()
    more = ", and such empty lines end no paragraph" if config.document == "paragraph" else ""
    return (
        f"the text has {count:,} carriage returns before newlines: they are symbols too{more}; "
        "without them: tr -d '\\r' < TEXT > NEW",
    )


def unknown_notes(tokenizer: Tokenizer, train: Ids) -> tuple[str, ...]:
    """Return what to say where <unk> stands in the vocabulary, and nowhere in the text."""
    if tokenizer.unk_id is None:
        return ()
    for start in range(0, len(train), CHUNK):
        if (train[start : start + CHUNK] == tokenizer.unk_id).any():
            return ()
    return (
        "every word of the text has a symbol of its own, so nothing is learnt about <unk>, and "
        "other texts with new words are judged badly: --min-count 2, or a smaller --vocab-size",
    )


def count_carriage_returns(text: CollectedText, config: TrainConfig) -> int:
    """Return how many newlines, the ends of documents that are lines too, have one before them."""
    symbols = text.symbols
    if config.level == "byte":
        symbols = [*symbols[:FIRST], *map(chr, range(NUM_BYTES))]
    returns = np.array([symbol.endswith("\r") for symbol in symbols])  # (P,)
    if not returns.any():
        return 0
    newlines = np.array([symbol == "\n" for symbol in symbols])  # (P,)
    newlines[EOS_PLACE] = config.document == "line"
    count, before = 0, False
    for chunk in text.spool.chunks():
        places = np.flatnonzero(returns[chunk]) + 1
        inside = places[places < len(chunk)]
        count += int(before and newlines[chunk[0]]) + int(newlines[chunk[inside]].sum())
        before = len(inside) < len(places)
    return count


def count_words(text: CollectedText, cut: int) -> NDArray[np.int64]:
    """Return how often each provisional id comes before `cut`, (P,)."""
    counts, seen = np.zeros(len(text.symbols), dtype=np.int64), 0
    for chunk in text.spool.chunks():
        part = chunk[: max(0, cut - seen)]
        counts += np.bincount(part, minlength=len(counts))
        seen += len(chunk)
    return counts
