"""Texts -> arrays of ids on disk, with a vocabulary that is given.

Each text is read once, in bounded memory, into a private file. With documents the ids hold
`<s> ... </s>` of each, one after the other.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from charrnn.config import Document
from charrnn.corpus import SourceRecord, TextReader
from charrnn.documents import split_documents
from charrnn.splitting import iter_words
from charrnn.store import ArraySpool
from charrnn.tokenizer import Tokenizer

Ids = NDArray[np.generic]  # (N,) of uint8, uint16 or int32


@dataclass(frozen=True)
class EncodedText:
    """A text as ids; symbols without an id are counted and left out."""

    ids: Ids
    num_unknown: int
    records: tuple[SourceRecord, ...] = ()


def id_dtype(vocab_size: int) -> np.dtype[np.generic]:
    """Return the smallest type for ids below `vocab_size`."""
    return np.dtype(
        np.uint8 if vocab_size <= 1 << 8 else np.uint16 if vocab_size <= 1 << 16 else np.int32
    )


def group_documents(pieces: Iterable[str | None]) -> Iterator[Iterator[str]]:
    """Yield, for each document that is not empty, its pieces; each is to be used up at once."""
    flow = iter(pieces)

    def rest(first: str) -> Iterator[str]:
        yield first
        for piece in flow:
            if piece is None:
                return
            yield piece

    for piece in flow:
        if piece:
            yield rest(piece)


def count_unknown(ids: Ids, tokenizer: Tokenizer) -> int:
    """Return how many of `ids` are <unk>."""
    return 0 if tokenizer.unk_id is None else int(np.count_nonzero(ids == tokenizer.unk_id))


def encode_sources(
    tokenizer: Tokenizer, sources: list[str], document: Document, encoding: str = "utf-8"
) -> EncodedText:
    """Return the ids of sources whose vocabulary is given; symbols it lacks are counted."""
    readers = [TextReader(source, encoding) for source in sources]
    encoded = encode_chunks(tokenizer, readers, document)
    records = tuple(r.record for r in readers if r.record is not None)
    return EncodedText(encoded.ids, encoded.num_unknown, records)


def encode_chunks(
    tokenizer: Tokenizer, texts: Sequence[Iterable[str]], document: Document
) -> EncodedText:
    """Return the ids of texts, each of which comes in chunks; in stream mode they are one."""
    spool, num_unknown = ArraySpool(id_dtype(len(tokenizer))), 0
    if document == "stream":
        flows: Iterable[Iterable[str]] = [chain.from_iterable(texts)]
    else:
        flows = chain.from_iterable(group_documents(split_documents(t, document)) for t in texts)
    for flow in flows:
        if document != "stream":
            spool.append(np.array([tokenizer.bos_id]))
        for ids, unknown in encode_flow(tokenizer, flow):
            spool.append(ids)
            num_unknown += unknown
        if document != "stream":
            spool.append(np.array([tokenizer.eos_id]))
    return EncodedText(spool.view(), num_unknown)


def encode_flow(
    tokenizer: Tokenizer, chunks: Iterable[str]
) -> Iterator[tuple[NDArray[np.int32], int]]:
    """Yield the ids of some text at a time, and how many symbols were unknown."""
    if tokenizer.level == "word":
        for words in iter_words(chunks, tokenizer.pretokenized):
            ids = tokenizer.encode_words(words)
            yield ids, count_unknown(ids, tokenizer)
    else:
        for chunk in chunks:
            yield tokenizer.encode_counting(chunk)


def encode_text(tokenizer: Tokenizer, text: str, document: Document = "stream") -> EncodedText:
    """Return the ids of a text in memory."""
    return encode_chunks(tokenizer, [[text]], document)
