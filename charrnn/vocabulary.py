"""Text in parts -> ids in the order of first appearance, and then the vocabulary.

A text is read once, before its symbols are all known; so each gets the next free id when it first
comes, and at the end the vocabulary says which final id each provisional one has.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from charrnn.config import Level, TrainConfig
from charrnn.splitting import WordSplitter
from charrnn.tokenizer import Tokenizer, utf8
from charrnn.tokenizer_json import BOS, EOL, EOS, SPECIALS, UNK, byte_alphabet

NUM_CODE_POINTS = 0x110000
NUM_ASCII = 128
FIRST = len(SPECIALS)  # provisional ids below are those of the special symbols
BOS_PLACE, EOS_PLACE = SPECIALS.index(BOS), SPECIALS.index(EOS)  # provisional ids
Lengths = NDArray[np.int64]
Encoded = tuple[NDArray[np.integer], Lengths]  # provisional ids (N,), how many of each part (P,)


class CharCollector:
    """Characters: ASCII ones have fixed provisional ids, the others the next free one."""

    def __init__(self) -> None:
        self.num_symbols = FIRST + NUM_ASCII
        self._others: list[str] = []
        self._ascii = bytearray()  # those that came
        self._shift = bytes(min(FIRST + code, 255) for code in range(256))
        self._table = np.zeros(NUM_CODE_POINTS, dtype=np.uint16)  # 0: did not come yet
        self._table[:NUM_ASCII] = np.arange(FIRST, FIRST + NUM_ASCII)

    @property
    def symbols(self) -> list[str]:
        """The characters by their provisional ids; "" for one that did not come."""
        came = set(self._ascii)
        known = [chr(code) if code in came else "" for code in range(NUM_ASCII)]
        return [*SPECIALS, *known, *self._others]

    def encode(self, parts: Sequence[str]) -> Encoded:
        """Return the provisional ids of all parts in a row, and how many are of each."""
        text = parts[0] if len(parts) == 1 else "".join(parts)
        lengths = np.fromiter(map(len, parts), dtype=np.int64, count=len(parts))
        if text.isascii():
            data = text.encode("ascii")
            self._note_ascii(data)
            return np.frombuffer(data.translate(self._shift), dtype=np.uint8), lengths
        codes: NDArray[np.integer] = np.frombuffer(text.encode("utf-16-le"), dtype="<u2")
        if len(codes) > len(text):  # has characters beyond U+FFFF
            codes = np.frombuffer(text.encode("utf-32-le"), dtype="<u4")
        self._note_ascii(text.encode("ascii", "ignore"))
        ids = self._table.take(codes)
        if not ids.all():
            self._learn(np.unique(codes[ids == 0]))
            ids = self._table.take(codes)
        return ids, lengths

    def _note_ascii(self, data: bytes) -> None:
        self._ascii += bytes(set(data.translate(None, self._ascii)))

    def _learn(self, codes: NDArray[np.integer]) -> None:
        self._others += [chr(code) for code in codes]
        first, self.num_symbols = self.num_symbols, self.num_symbols + len(codes)
        if self.num_symbols > np.iinfo(self._table.dtype).max:
            self._table = self._table.astype(np.int32)
        self._table[codes] = np.arange(first, self.num_symbols)


class ByteCollector:
    """Bytes: all are known from the start."""

    def __init__(self) -> None:
        self.symbols = [*SPECIALS, *byte_alphabet()]
        self.num_symbols = len(self.symbols)

    def encode(self, parts: Sequence[str]) -> Encoded:
        """Return the provisional ids of all parts in a row, and how many are of each."""
        coded = [utf8(part) for part in parts]
        lengths = np.fromiter(map(len, coded), dtype=np.int64, count=len(parts))
        data = np.frombuffer(b"".join(coded), dtype=np.uint8)
        return np.add(data, FIRST, dtype=np.uint16), lengths


class WordIndex(dict[str, int]):
    """The id of each word; a new one gets the next."""

    def __init__(self) -> None:
        super().__init__({UNK: 0})
        self.symbols = list(SPECIALS)

    def __missing__(self, word: str) -> int:
        number = self[word] = len(self.symbols)
        self.symbols.append(word)
        return number


class WordCollector:
    """Words, or what stands between blanks; a newline is then <eos>.

    What a text spells `<s>` or `</s>` between blanks is no border of a document: it is <unk>.
    """

    def __init__(self, pretokenized: bool) -> None:
        self._splitter = WordSplitter(pretokenized)
        self._index = WordIndex()
        if pretokenized:
            self._index.update({BOS: 0, EOS: 0})
            self._index["\n"] = self._index[EOL]

    @property
    def symbols(self) -> list[str]:
        """The words by their provisional ids."""
        return self._index.symbols

    @property
    def num_symbols(self) -> int:
        """How many provisional ids there are."""
        return len(self._index.symbols)

    def encode(self, parts: Sequence[str]) -> Encoded:
        """Return the provisional ids of all parts in a row, and how many are of each.

        The last pieces of the last part come with the next call.
        """
        words, lengths = self._splitter.feed(parts)
        ids = np.fromiter(map(self._index.__getitem__, words), dtype=np.int32, count=len(words))
        return ids, np.array(lengths, dtype=np.int64)


Collector = CharCollector | ByteCollector | WordCollector


def make_collector(level: Level, pretokenized: bool) -> Collector:
    """Return the collector of a level."""
    if level == "word":
        return WordCollector(pretokenized)
    return CharCollector() if level == "char" else ByteCollector()


def choose_vocabulary(
    symbols: list[str], counts: NDArray[np.int64], config: TrainConfig, old: Tokenizer | None
) -> Tokenizer:
    """Return the tokenizer for the collected `symbols`.

    `counts` (P,) says how often each word comes in the training part. Characters stand in the order
    of their code points, words by count, then by spelling: neither depends on the order of the
    text. The symbols of an `old` tokenizer come first, in their order; a stream has no use for its
    <s> and </s>.
    """
    specials = [BOS, EOS] if config.document != "stream" else []
    if config.level == "word":
        chosen = [UNK, *specials, *most_frequent(symbols, counts, config)]
    elif config.level == "byte":
        chosen = [*byte_alphabet(), *specials]
    else:
        chosen = specials + sorted(filter(None, symbols[FIRST:]))
    if old is not None:
        kept = [s for s in old.vocabulary if specials or s not in (BOS, EOS)]
        known = set(kept)
        chosen = [*kept, *(symbol for symbol in chosen if symbol not in known)]
    return Tokenizer(config.level, tuple(chosen), config.pretokenized)


def most_frequent(symbols: list[str], counts: NDArray[np.int64], config: TrainConfig) -> list[str]:
    """Return the words to keep, the most frequent first, ties by spelling."""
    words = [
        (-count, word)
        for word, count in zip(symbols[FIRST:], counts[FIRST:].tolist(), strict=True)
        if count >= config.min_count
    ]
    kept = sorted(words)[: config.vocab_size or None]
    return [word for _, word in kept]
