"""Text in chunks -> ids in the order of first appearance, and then the vocabulary.

A text is read once, before its symbols are all known; so each gets the next free id when it first
comes, and `finish` says at the end which final id each provisional one has.
"""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from charrnn.config import TrainConfig
from charrnn.splitting import iter_words
from charrnn.tokenizer import Tokenizer, code_points
from charrnn.tokenizer_json import BOS, EOL, EOS, SPECIALS, UNK, byte_alphabet

NUM_CODE_POINTS = 0x110000
ProvisionalIds = NDArray[np.int32]
FIRST = len(SPECIALS)  # provisional ids below are those of the special symbols


class CharCollector:
    """Characters; a table of all code points makes it fast."""

    def __init__(self) -> None:
        self.table = np.full(NUM_CODE_POINTS, -1, dtype=np.int32)
        self.symbols: list[str] = list(SPECIALS)

    def encode(self, chunks: Iterable[str]) -> Iterator[ProvisionalIds]:
        """Yield the provisional ids of each chunk."""
        for chunk in chunks:
            if chunk.isascii():
                codes: NDArray[np.generic] = np.frombuffer(chunk.encode("ascii"), dtype=np.uint8)
            else:
                codes = code_points(chunk)
            ids = self.table[codes]
            if len(ids) and ids.min() < 0:
                new = np.unique(codes[ids < 0])
                self.table[new] = np.arange(len(self.symbols), len(self.symbols) + len(new))
                self.symbols += [chr(code) for code in new]
                ids = self.table[codes]
            yield ids


class ByteCollector:
    """Bytes: all are known from the start."""

    def __init__(self) -> None:
        self.symbols = [*SPECIALS, *byte_alphabet()]

    def encode(self, chunks: Iterable[str]) -> Iterator[ProvisionalIds]:
        """Yield the provisional ids of each chunk."""
        for chunk in chunks:
            data = np.frombuffer(chunk.encode("utf-8"), dtype=np.uint8)
            yield data.astype(np.int32) + FIRST


class WordCollector:
    """Words, or what stands between blanks."""

    def __init__(self, pretokenized: bool) -> None:
        self.pretokenized = pretokenized
        self.index = {symbol: i for i, symbol in enumerate(SPECIALS)}

    @property
    def symbols(self) -> list[str]:
        """The words by their provisional ids."""
        return list(self.index)

    def encode(self, chunks: Iterable[str]) -> Iterator[ProvisionalIds]:
        """Yield the provisional ids of some words at a time."""
        index = self.index
        for words in iter_words(chunks, self.pretokenized):
            named = (EOL if w == "\n" else w for w in words) if self.pretokenized else words
            ids = (index.setdefault(word, len(index)) for word in named)
            yield np.fromiter(ids, dtype=np.int32, count=len(words))


Collector = CharCollector | ByteCollector | WordCollector


def make_collector(config: TrainConfig) -> Collector:
    """Return the collector of the level that `config` asks for."""
    if config.level == "word":
        return WordCollector(config.pretokenized)
    return CharCollector() if config.level == "char" else ByteCollector()


def choose_vocabulary(
    collector: Collector, counts: NDArray[np.int64], config: TrainConfig, old: Tokenizer | None
) -> tuple[Tokenizer, NDArray[np.int32]]:
    """Return the tokenizer, and the final id of each provisional one (P,).

    `counts` (P,) says how often each symbol comes in the training part. Characters stand in the
    order of their code points, words by count, then by spelling: neither depends on the order of
    the text. The symbols of an `old` tokenizer come first and keep their ids.
    """
    specials = [BOS, EOS] if config.document != "stream" else []
    symbols = collector.symbols
    if config.level == "word":
        chosen = [UNK, *specials, *most_frequent(symbols, counts, config)]
    elif config.level == "byte":
        chosen = [*byte_alphabet(), *specials]
    else:
        chosen = specials + sorted(symbols[FIRST:])
    if old is not None:
        known = set(old.vocabulary)
        chosen = [*old.vocabulary, *(symbol for symbol in chosen if symbol not in known)]
    tokenizer = Tokenizer(config.level, tuple(chosen), config.pretokenized)
    unknown = -1 if tokenizer.unk_id is None else tokenizer.unk_id
    final = np.array([tokenizer.index.get(s, unknown) for s in symbols], dtype=np.int32)
    return tokenizer, final


def most_frequent(symbols: list[str], counts: NDArray[np.int64], config: TrainConfig) -> list[str]:
    """Return the words to keep, the most frequent first, ties by spelling."""
    words = [
        (-int(count), word)
        for word, count in zip(symbols[FIRST:], counts[FIRST:], strict=True)
        if count >= config.min_count
    ]
    kept = sorted(words)[: config.vocab_size or None]
    return [word for _, word in kept]
