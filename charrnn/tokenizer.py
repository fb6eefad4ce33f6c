"""Text <-> token ids, at the level of characters, bytes or words.

char: lossless for every text whose characters are known. byte: lossless for every text. word:
lossless where every piece is in the vocabulary, the rest becomes <unk>; pretokenized words are
given back with one blank behind each. Does not choose a vocabulary: vocabulary.py does.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from charrnn.config import Level, OnUnknown
from charrnn.errors import TokenizerError
from charrnn.splitting import split_tokens, split_words
from charrnn.tokenizer_json import (
    BOS,
    EOL,
    EOS,
    SPECIALS,
    UNK,
    vocabulary_from_json,
    vocabulary_to_json,
)

TokenIds = NDArray[np.int32]


def code_points(text: str) -> NDArray[np.uint32]:
    """Return the code points of `text`, (N,)."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def utf8(text: str) -> bytes:
    """Return the bytes of `text`; those that Python kept as surrogates come back as they were."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def readable(text: str) -> str:
    """Return `text` with U+FFFD for the bytes that Python kept as surrogates."""
    return text if text.isascii() else utf8(text).decode("utf-8", "replace")


@dataclass(frozen=True)
class Tokenizer:
    """A level and a vocabulary: `vocabulary[id]` is a symbol.

    At byte level the first 256 ids are the bytes. A special symbol is one of <unk>, <s>, </s>.
    """

    level: Level
    vocabulary: tuple[str, ...]
    pretokenized: bool = False

    def __len__(self) -> int:
        return len(self.vocabulary)

    @cached_property
    def index(self) -> dict[str, int]:
        """The id of each symbol."""
        return {symbol: i for i, symbol in enumerate(self.vocabulary)}

    @property
    def unk_id(self) -> int | None:
        """The id of <unk>; None where the level has none."""
        return self.index.get(UNK)

    @property
    def bos_id(self) -> int | None:
        """The id of <s>; None where there are no documents."""
        return self.index.get(BOS)

    @property
    def eos_id(self) -> int | None:
        """The id of </s>; None where there are no documents."""
        return self.index.get(EOS)

    @property
    def special_ids(self) -> tuple[int, ...]:
        """The ids that stand for no text."""
        return tuple(self.index[symbol] for symbol in SPECIALS if symbol in self.index)

    @cached_property
    def _table(self) -> NDArray[np.int32]:
        """The id of each code point, -1 where it has none, one more at the end for those above."""
        symbols = {ord(s): i for s, i in self.index.items() if len(s) == 1}
        table = np.full(max(symbols, default=0) + 2, -1, dtype=np.int32)
        table[list(symbols)] = list(symbols.values())
        return table

    def encode(self, text: str, on_unknown: OnUnknown = "error") -> TokenIds:
        """Return the ids of `text`, (N,); an unknown word becomes <unk>.

        Raises TokenizerError for an unknown character, or drops it with `on_unknown` "skip".
        """
        ids, num_unknown = self.encode_counting(text)
        if num_unknown and on_unknown == "error" and self.level == "char":
            place = int(np.argmax(self._lookup(text) < 0))
            char = text[place]
            shown = char if char.isprintable() else repr(char)[1:-1]
            raise TokenizerError(
                f"character {place + 1} of the text, '{shown}' (U+{ord(char):04X}), is not in the "
                "vocabulary: leave it out, or drop such characters with --on-unknown skip"
            )
        return ids

    def encode_counting(self, text: str) -> tuple[TokenIds, int]:
        """Return the ids of `text` and how many symbols are unknown.

        Unknown characters are left out of the ids; unknown words are in them, as <unk>.
        """
        if self.level == "char":
            ids = self._lookup(text)
            known = ids[ids >= 0]
            return known, len(ids) - len(known)
        if self.level == "byte":
            data = utf8(text)
            return np.frombuffer(data, dtype=np.uint8).astype(np.int32), 0
        words = self.encode_words(split_tokens(text) if self.pretokenized else split_words(text))
        return words, int(np.count_nonzero(words == self.unk_id))

    def _lookup(self, text: str) -> TokenIds:
        return self._table[np.minimum(code_points(text), len(self._table) - 1)]

    def encode_words(self, words: Iterable[str]) -> TokenIds:
        """Return the ids of words that are split already."""
        index, unknown = self._word_index, self.index[UNK]
        return np.fromiter((index.get(word, unknown) for word in words), dtype=np.int32)

    def unknown_words(self, text: str) -> list[str]:
        """Return the words of `text` that are read as <unk>, each once; word level only."""
        words = dict.fromkeys(split_tokens(text) if self.pretokenized else split_words(text))
        index, unknown = self._word_index, self.unk_id
        return [word for word in words if word != UNK and index.get(word, unknown) == unknown]

    @cached_property
    def _word_index(self) -> dict[str, int]:
        """The id of each word as a text spells it; no text can spell <s> or </s>."""
        unknown = self.index[UNK]
        index = {**self.index, BOS: unknown, EOS: unknown}
        if self.pretokenized:
            index["\n"] = index.get(EOL, unknown)
        return index

    @cached_property
    def pieces(self) -> list[str]:
        """The text of each token; of a byte that is not ASCII, the replacement character."""
        if self.level == "byte":
            return [b.decode("utf-8", "replace") for b in self.piece_bytes]
        special = set(self.special_ids)
        texts = [symbol if i not in special else "" for i, symbol in enumerate(self.vocabulary)]
        if self.pretokenized:
            texts = [("\n" if t == EOL else f"{t} ") if t else "" for t in texts]
            if self.unk_id is not None:
                texts[self.unk_id] = f"{UNK} "
        elif self.unk_id is not None:
            texts[self.unk_id] = UNK
        return texts

    @cached_property
    def piece_bytes(self) -> list[bytes]:
        """The UTF-8 bytes of each token; at byte level just the byte."""
        if self.level == "byte":
            return [bytes([i]) if i < 256 else b"" for i in range(len(self))]
        return [text.encode("utf-8", "surrogatepass") for text in self.pieces]

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of `ids`; bytes that are not UTF-8 become U+FFFD."""
        if self.level == "byte":
            return b"".join(self.piece_bytes[i] for i in ids).decode("utf-8", "replace")
        return "".join(self.pieces[i] for i in ids)

    def token_chars(self) -> NDArray[np.int64]:
        """Return how many code points each token stands for, (V,).

        0 for special symbols, <unk> among them, and for the continuation bytes of UTF-8.
        """
        if self.level == "byte":
            continuation = [0x80 <= i < 0xC0 or i >= 256 for i in range(len(self))]
            return 1 - np.array(continuation, dtype=np.int64)
        sizes = np.array([len(piece) for piece in self.pieces], dtype=np.int64)
        sizes[list(self.special_ids)] = 0
        return sizes

    def token_bytes(self) -> NDArray[np.int64]:
        """Return how many UTF-8 bytes each token stands for, (V,); 0 for special symbols."""
        sizes = np.array([len(piece) for piece in self.piece_bytes], dtype=np.int64)
        sizes[list(self.special_ids)] = 0
        return sizes

    def to_json(self) -> bytes:
        """Return tokenizer.json, in the format of Hugging Face's tokenizers library."""
        return vocabulary_to_json(self.level, self.vocabulary, self.pretokenized)

    @staticmethod
    def from_json(data: bytes, name: str) -> "Tokenizer":
        """Return the tokenizer of tokenizer.json; raise ModelError, naming the file `name`."""
        return Tokenizer(*vocabulary_from_json(data, name))

    @cached_property
    def fingerprint(self) -> str:
        """The sha256 of tokenizer.json."""
        return hashlib.sha256(self.to_json()).hexdigest()
