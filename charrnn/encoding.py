"""Texts -> arrays of ids on disk.

Each text is read once, in bounded memory, into a private file of provisional ids (collect), which
the vocabulary then makes final (translate). With documents the ids hold `<s> ... </s>` of each, one
after the other.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from charrnn.cache import CollectedText, Scheme, find_slot, spool_directory
from charrnn.config import Document, Level
from charrnn.corpus import SourceRecord
from charrnn.documents import split_documents
from charrnn.errors import ConfigError
from charrnn.reading import BYTES, TextReader, default_encoding
from charrnn.store import ArraySpool
from charrnn.tokenizer import Tokenizer
from charrnn.tokenizer_json import SPECIALS, UNK
from charrnn.vocabulary import BOS_PLACE, EOS_PLACE, Collector, Encoded, make_collector

MAX_SKIPPED = 10_000  # symbols that are left out and whose places are known
UNK_PLACE = SPECIALS.index(UNK)  # a provisional id
Ids = NDArray[np.generic]  # (N,) of uint8, uint16 or int32


@dataclass(frozen=True)
class EncodedText:
    """A text as ids; symbols without an id are counted and left out."""

    ids: Ids
    num_unknown: int  # these, and the words that are <unk>
    records: tuple[SourceRecord, ...] = ()
    skipped: tuple[tuple[int, str], ...] = ()  # the first left out: before which token, the symbol


def id_dtype(vocab_size: int) -> np.dtype[np.generic]:
    """Return the smallest type for ids below `vocab_size`."""
    return np.dtype(
        np.uint8 if vocab_size <= 1 << 8 else np.uint16 if vocab_size <= 1 << 16 else np.int32
    )


class Framer:
    """Puts `<s>` before each document that is not empty, and `</s>` behind it."""

    def __init__(self) -> None:
        self.owed = False  # a document has begun, and its </s> is not written yet
        self.open = False  # the first part of the next list goes on with it

    def frame(self, encoded: Encoded) -> NDArray[np.integer]:
        """Return the ids of a list of parts, with the borders that are known by now."""
        ids, lengths = encoded
        begins = lengths > 0
        begins[0] &= not self.open
        self.open = bool(lengths[-1]) or (len(lengths) == 1 and self.open)
        places = (np.cumsum(lengths) - lengths)[begins]
        if not len(places):
            return ids
        marks = np.tile([EOS_PLACE, BOS_PLACE], len(places))
        places = np.repeat(places, 2)
        skipped = 0 if self.owed else 1  # the very first document has none before it
        self.owed = True
        return np.insert(ids, places[skipped:], marks[skipped:])


def encode_parts(
    collector: Collector, texts: Iterable[Iterable[str]], document: Document
) -> Iterator[NDArray[np.integer]]:
    """Yield the provisional ids of texts that come in chunks; in stream mode they are one."""
    if document == "stream":
        for parts in split_documents(chain.from_iterable(texts), document):
            yield collector.encode(parts)[0]
        return
    framer = Framer()
    for text in texts:
        for parts in split_documents(text, document):
            yield framer.frame(collector.encode(parts))
    if framer.owed:
        yield np.array([EOS_PLACE])


def collect(
    texts: Iterable[Iterable[str]], scheme: Scheme, spool: ArraySpool
) -> tuple[ArraySpool, list[str]]:
    """Return the provisional ids of `texts`, appended to `spool`, and the symbols."""
    collector = make_collector(scheme.level, scheme.pretokenized)
    for ids in encode_parts(collector, texts, scheme.document):
        spool = widened(spool, collector.num_symbols)
        spool.append(ids)
    return spool, collector.symbols


def widened(spool: ArraySpool, num_symbols: int) -> ArraySpool:
    """Return `spool`, or a copy of it with a type that holds ids below `num_symbols`."""
    dtype = id_dtype(num_symbols)
    if dtype.itemsize <= spool.dtype.itemsize:
        return spool
    wider = ArraySpool(dtype, spool.directory)
    for chunk in spool.chunks():
        wider.append(chunk)
    spool.close()
    return wider


def collect_sources(sources: Sequence[str], scheme: Scheme) -> CollectedText:
    """Return the provisional ids of sources, from the cache where they are in it."""
    slot = find_slot(sources, scheme)
    found = slot.load() if slot is not None else None
    if found is not None:
        return found
    readers = [TextReader(source, scheme.encoding) for source in sources]
    spool = ArraySpool(np.uint8, spool_directory(sources))
    spool, symbols = collect(readers, scheme, spool)
    records = tuple(reader.record for reader in readers if reader.record is not None)
    text = CollectedText(spool, symbols, records)
    if slot is not None:
        slot.keep(text)
    return text


def make_scheme(
    level: Level, pretokenized: bool, document: Document, encoding: str | None
) -> Scheme:
    """Return how sources are read; without an encoding as is usual for the level.

    Raises ConfigError for undecoded bytes where tokens are not bytes.
    """
    if encoding == BYTES and level != "byte":
        raise ConfigError(f"--encoding {BYTES} needs --level byte, got {level}")
    return Scheme(
        level, pretokenized, document, default_encoding(level) if encoding is None else encoding
    )


class Translator:
    """Makes provisional ids final, a chunk after the other; counts symbols that are unknown."""

    def __init__(self, symbols: list[str], tokenizer: Tokenizer, cut: int) -> None:
        missing = -1 if tokenizer.unk_id is None else tokenizer.unk_id
        found = [tokenizer.index.get(symbol, missing) for symbol in symbols]
        final = np.array(found, dtype=np.int32)
        came = np.array([symbol != "" for symbol in symbols])
        came[[BOS_PLACE, EOS_PLACE]] = False
        self.unknown = came & (final == missing)  # (P,)
        self.unknown[UNK_PLACE] = tokenizer.unk_id is not None
        self.lossy = tokenizer.unk_id is None and bool(self.unknown.any())
        self.table = final.astype(id_dtype(len(tokenizer)))  # (P,)
        self.cut = cut  # tokens before the held-out part; less, once some of them were left out
        self.num_unknown = 0  # from the cut on
        self.skipped: list[tuple[int, str]] = []
        self._symbols, self._num_kept = symbols, 0
        self._before = cut  # provisional ids before the cut that have not come yet

    def __call__(self, chunk: NDArray[np.integer]) -> Ids:
        """Return the final ids of the next chunk."""
        before, self._before = self._before, max(0, self._before - len(chunk))
        if self.unknown.any():
            unknown = self.unknown[chunk]
            self.num_unknown += int(np.count_nonzero(unknown[before:]))
            if self.lossy:
                self.cut -= int(np.count_nonzero(unknown[:before]))
                self._skip(chunk, unknown)
                chunk = chunk[~unknown]
        if chunk.dtype == self.table.dtype == np.uint8:  # twice as fast
            return np.frombuffer(chunk.tobytes().translate(self._bytes), dtype=np.uint8)
        return self.table.take(chunk)

    def _skip(self, chunk: NDArray[np.integer], unknown: NDArray[np.bool_]) -> None:
        """Keep the places of the symbols that are left out, as long as there are not too many."""
        at = np.flatnonzero(unknown)[: MAX_SKIPPED - len(self.skipped)]
        before = np.cumsum(~unknown)[at] + self._num_kept
        symbols = (self._symbols[i] for i in chunk[at].tolist())
        self.skipped += zip(before.tolist(), symbols, strict=True)
        self._num_kept += int(np.count_nonzero(~unknown))

    @cached_property
    def _bytes(self) -> bytes:
        return self.table.tobytes().ljust(256, b"\0")


def translate(text: CollectedText, tokenizer: Tokenizer, cut: int = 0) -> tuple[EncodedText, int]:
    """Return the final ids of `text`, and where the token number `cut` is among them.

    Symbols without an id are left out; the unknown ones from `cut` on are counted. The provisional
    ids are used up.
    """
    translator, spool = Translator(text.symbols, tokenizer, cut), text.spool
    if spool.dtype == translator.table.dtype and not translator.lossy:
        spool.apply(translator)
    else:
        spool = ArraySpool(translator.table.dtype, spool.directory)
        for chunk in text.spool.chunks():
            spool.append(translator(chunk))
        text.spool.close()
    skipped = tuple(translator.skipped)
    found = EncodedText(spool.view(), translator.num_unknown, text.records, skipped)
    return found, translator.cut


def encode_sources(
    tokenizer: Tokenizer, sources: Sequence[str], document: Document, encoding: str | None = None
) -> EncodedText:
    """Return the ids of sources whose vocabulary is given; symbols it lacks are counted."""
    scheme = make_scheme(tokenizer.level, tokenizer.pretokenized, document, encoding)
    return translate(collect_sources(sources, scheme), tokenizer)[0]


def encode_text(tokenizer: Tokenizer, text: str, document: Document = "stream") -> EncodedText:
    """Return the ids of a text in memory."""
    scheme = Scheme(tokenizer.level, tokenizer.pretokenized, document, "utf-8")
    spool, symbols = collect([[text]], scheme, ArraySpool(np.uint8))
    return translate(CollectedText(spool, symbols, ()), tokenizer)[0]
