"""Texts -> a vocabulary, and ids on disk cut into a training and a held-out part."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from charrnn.config import Document, TrainConfig
from charrnn.corpus import SourceRecord, TextReader, find_sources
from charrnn.documents import split_documents
from charrnn.encoding import (
    EncodedText,
    Ids,
    count_unknown,
    encode_sources,
    group_documents,
    id_dtype,
)
from charrnn.errors import CorpusError
from charrnn.store import ArraySpool
from charrnn.tokenizer import Tokenizer
from charrnn.tokenizer_json import BOS, EOS, SPECIALS
from charrnn.vocabulary import Collector, choose_vocabulary, make_collector

MIN_TOKENS = 2
BOS_PLACE, EOS_PLACE = SPECIALS.index(BOS), SPECIALS.index(EOS)  # provisional ids


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
    encoding: str = "utf-8",
    tokenizer: Tokenizer | None = None,
    grow_from: Tokenizer | None = None,
) -> Dataset:
    """Return the encoded texts that TEXT arguments mean.

    With a `tokenizer` the vocabulary is given; else it is made from the text, with the symbols of
    `grow_from` kept. `valid` are the held-out files; else the last part of the text is held out.
    Raises CorpusError.
    """
    valid_sources = find_sources(valid) if valid else []
    spool, collector, records = spool_text(find_sources(arguments), config, encoding)
    with_valid = not valid_sources
    cut, notes = find_cut(spool, config) if with_valid else (len(spool), ())
    if tokenizer is None:
        counts = count_symbols(spool, len(collector.symbols), cut)
        tokenizer, final = choose_vocabulary(collector, counts, config, grow_from)
    else:
        unknown = -1 if tokenizer.unk_id is None else tokenizer.unk_id
        final = np.array([tokenizer.index.get(s, unknown) for s in collector.symbols], np.int32)
    ids = translate(spool, final, len(tokenizer))
    held_out = EncodedText(ids[cut:], count_unknown(ids[cut:], tokenizer))
    if not with_valid:
        held_out = encode_sources(tokenizer, valid_sources, config.document, encoding)
    if len(held_out.ids) < MIN_TOKENS and (not with_valid or cut < len(ids)):
        notes = (*notes, "the held-out part has under 2 tokens: nothing is held out")
        held_out = EncodedText(ids[:0], 0, held_out.records)
    return Dataset(
        tokenizer, ids[:cut], held_out.ids, held_out.num_unknown, records, held_out.records, notes
    )


def spool_text(
    sources: list[str], config: TrainConfig, encoding: str
) -> tuple[ArraySpool, Collector, tuple[SourceRecord, ...]]:
    """Return the provisional ids of all sources, on disk, and which files they were."""
    collector = make_collector(config)
    readers = [TextReader(source, encoding) for source in sources]
    spool = ArraySpool(np.uint8)
    for ids in encode_readers(collector, readers, config.document):
        if len(ids):
            spool = widened(spool, int(ids.max()))
            spool.append(ids)
    if len(spool) < MIN_TOKENS:
        names = ", ".join(sources)
        shown = "is empty" if not len(spool) else f"has {len(spool)} token"
        raise CorpusError(f"{names} {shown}: needs at least {MIN_TOKENS} tokens")
    return spool, collector, tuple(r.record for r in readers if r.record is not None)


def encode_readers(
    collector: Collector, readers: list[TextReader], document: Document
) -> Iterator[NDArray[np.int32]]:
    """Yield provisional ids; in stream mode all sources are one text."""
    if document == "stream":
        yield from collector.encode(chain.from_iterable(readers))
        return
    for reader in readers:
        for piece in group_documents(split_documents(reader, document)):
            yield from wrap(collector, piece)


def wrap(collector: Collector, pieces: Iterator[str]) -> Iterator[NDArray[np.int32]]:
    """Yield the provisional ids of one document with `<s>` before and `</s>` behind."""
    yield np.array([BOS_PLACE], dtype=np.int32)
    yield from collector.encode(pieces)
    yield np.array([EOS_PLACE], dtype=np.int32)


def widened(spool: ArraySpool, largest: int) -> ArraySpool:
    """Return `spool`, or a copy of it with a type that holds `largest`."""
    if largest <= np.iinfo(spool.dtype).max:
        return spool
    wider = ArraySpool(id_dtype(largest + 1), spool.directory)
    for chunk in spool.chunks():
        wider.append(chunk)
    spool.close()
    return wider


def find_cut(spool: ArraySpool, config: TrainConfig) -> tuple[int, tuple[str, ...]]:
    """Return where the held-out part begins, and what to tell about it.

    After int(n * (1 - valid_frac)) tokens; with documents at the border before that.
    """
    size = len(spool)
    cut = max(1, int(size * (1 - config.valid_frac))) if config.valid_frac else size
    if config.document == "stream" or cut == size:
        if size - cut < MIN_TOKENS:
            notes = () if cut == size else ("the text is too short to hold a part out",)
            return size, notes
        return cut, ()
    starts = np.flatnonzero(spool.view() == BOS_PLACE)
    before = starts[(starts > 0) & (starts <= cut)]
    if len(before):
        return int(before[-1]), ()
    if len(starts) > 1:
        return int(starts[1]), ()
    return size, ("the text is one document: nothing is held out; give --valid FILE",)


def count_symbols(spool: ArraySpool, num_symbols: int, cut: int) -> NDArray[np.int64]:
    """Return how often each provisional id comes before `cut`."""
    counts, seen = np.zeros(num_symbols, dtype=np.int64), 0
    for chunk in spool.chunks():
        part = chunk[: max(0, cut - seen)]
        counts += np.bincount(part, minlength=num_symbols)
        seen += len(chunk)
    return counts


def translate(spool: ArraySpool, final: NDArray[np.int32], vocab_size: int) -> Ids:
    """Return the final ids, on disk; those that are -1 are left out."""
    dtype = id_dtype(vocab_size)
    if dtype == spool.dtype and final.min(initial=0) >= 0:
        table = final.astype(dtype)
        spool.apply(lambda chunk: table[chunk])
        return spool.view()
    out = ArraySpool(dtype, spool.directory)
    for chunk in spool.chunks():
        ids = final[chunk]
        out.append(ids[ids >= 0])
    spool.close()
    return out.view()
