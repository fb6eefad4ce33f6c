"""Texts to ids on disk: documents framed, unknown symbols counted, nothing else changed."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.cache import CollectedText, Scheme
from charrnn.encoding import (
    Translator,
    collect,
    encode_sources,
    encode_text,
    id_dtype,
    translate,
)
from charrnn.splitting import split_tokens, split_words
from charrnn.store import ArraySpool
from charrnn.tokenizer import Tokenizer
from charrnn.tokenizer_json import BOS, EOS, UNK, byte_alphabet

TEXTS = st.text("ab \n.'é\0", max_size=30)
LEVELS = [("char", False), ("byte", False), ("word", False), ("word", True)]


def tokenizer_of(level, pretokenized, text, specials=(BOS, EOS)):
    if level == "byte":
        return Tokenizer("byte", (*byte_alphabet(), *specials))
    if level == "char":
        return Tokenizer("char", (*specials, *sorted(set(text))))
    words = set(split_words(text))
    if pretokenized:
        words = {"<eos>" if token == "\n" else token for token in split_tokens(text)}
    return Tokenizer("word", (UNK, *specials, *sorted(words)), pretokenized)


def plain_documents(text, document):
    if document == "line":
        return [part for part in text.split("\n") if part]
    if document == "paragraph":
        return [part for part in re.split("\n\n+", text.strip("\n")) if part]
    return [text] if text else []


@given(st.lists(TEXTS, max_size=4), st.sampled_from(LEVELS), st.data())
def test_documents_are_framed_as_if_each_was_encoded_alone(texts, level, data):
    document = data.draw(st.sampled_from(["line", "paragraph", "file"]))
    tokenizer = tokenizer_of(*level, "".join(texts) + "\n")
    expected = []
    for part in [part for text in texts for part in plain_documents(text, document)]:
        ids = tokenizer.encode(part).tolist()
        expected += [tokenizer.bos_id, *ids, tokenizer.eos_id] if ids else []
    chunks = [re.findall(r"(?s).{1,3}", text) for text in texts]
    spool, symbols = collect(chunks, Scheme(*level, document, "utf-8"), ArraySpool("u1"))
    encoded, _ = translate(CollectedText(spool, symbols, ()), tokenizer)
    assert encoded.ids.tolist() == expected
    assert encoded.num_unknown == expected.count(tokenizer.unk_id)


@given(TEXTS, st.sampled_from(LEVELS))
def test_a_stream_is_the_text(text, level):
    tokenizer = tokenizer_of(*level, text, ())
    encoded = encode_text(tokenizer, text)
    assert encoded.ids.tolist() == tokenizer.encode(text).tolist()
    assert encoded.ids.dtype == id_dtype(len(tokenizer))
    assert encoded.num_unknown == 0


@given(TEXTS, TEXTS, st.sampled_from(LEVELS), st.integers(0, 40))
def test_symbols_that_are_not_known_are_counted_from_the_cut_on(known, text, level, cut):
    tokenizer = tokenizer_of(*level, known, ())
    collected = collect([[text]], Scheme(*level, "stream", "utf-8"), ArraySpool("u1"))
    cut = min(cut, len(collected[0]))
    whole = tokenizer_of(*level, text, ())
    symbols = [whole.vocabulary[i] for i in whole.encode(text)]
    encoded, moved = translate(CollectedText(*collected, ()), tokenizer, cut)
    ids, num_unknown = tokenizer.encode_counting(text)
    assert encoded.ids.tolist() == ids.tolist()
    strange = [symbol not in tokenizer.index for symbol in symbols]
    assert encoded.num_unknown == sum(strange[cut:])
    assert num_unknown == sum(strange)
    lost = sum(strange[:cut]) if level[0] == "char" else 0
    assert moved == cut - lost


def test_a_text_whose_symbols_are_all_known_is_translated_in_place():
    collected = collect([["ba"]], Scheme("char", False, "stream", "utf-8"), ArraySpool("u1"))
    for specials in ((), (BOS, EOS)):
        tokenizer = Tokenizer("char", (*specials, "a", "b"))
        assert not Translator(collected[1], tokenizer, 0).lossy
    assert Translator(collected[1], Tokenizer("char", ("a",)), 0).lossy


@given(st.lists(TEXTS.filter(bool), min_size=1, max_size=5), st.integers(0, 60))
def test_the_cut_falls_alike_whatever_the_chunks(chunks, cut):
    text = "".join(chunks)
    cut = min(cut, len(text))
    spool, symbols = collect([chunks], Scheme("char", False, "stream", "utf-8"), ArraySpool("u1"))
    translator = Translator(symbols, Tokenizer("char", ("a", "é")), cut)
    ids = np.concatenate([translator(np.array([place])) for place in spool.view()])
    known = [char in "aé" for char in text]
    assert ids.tolist() == ["aé".index(char) for char in text if char in "aé"]
    assert translator.cut == sum(known[:cut])
    assert translator.num_unknown == len(text) - cut - sum(known[cut:])


def test_a_literal_unknown_counts_as_unknown():
    tokenizer = Tokenizer("word", (UNK, BOS, EOS, "a"), True)
    encoded = encode_text(tokenizer, "a <unk> <s> b </s> a", "file")
    assert encoded.ids.tolist() == [1, 3, 0, 0, 0, 0, 3, 2]
    assert encoded.num_unknown == 4


@pytest.mark.parametrize("num_symbols", [200, 300, 70_000])
def test_ids_have_the_smallest_type_that_holds_them(num_symbols):
    text = "".join(chr(0x20000 + i) for i in range(num_symbols)) * 2
    tokenizer = Tokenizer("char", tuple(sorted(set(text))))
    chunks = [text[i : i + 1000] for i in range(0, len(text), 1000)]
    spool, symbols = collect([chunks], Scheme("char", False, "stream", "utf-8"), ArraySpool("u1"))
    encoded, _ = translate(CollectedText(spool, symbols, ()), tokenizer)
    assert encoded.ids.dtype == {200: np.uint8, 300: np.uint16, 70_000: np.int32}[num_symbols]
    assert encoded.ids.tolist() == list(range(num_symbols)) * 2


def test_the_types_of_ids_have_exact_ends():
    sizes = [1, 256, 257, 65_536, 65_537, 10**7]
    assert [id_dtype(size).itemsize for size in sizes] == [1, 1, 2, 2, 4, 4]


def test_words_across_two_files_of_a_stream_are_one(tmp_path):
    (tmp_path / "a").write_text("one tw")
    (tmp_path / "b").write_text("o two")
    tokenizer = Tokenizer("word", (UNK, BOS, EOS, "one", "two", " "))
    names = [str(tmp_path / "a"), str(tmp_path / "b")]
    assert encode_sources(tokenizer, names, "stream").ids.tolist() == [3, 5, 4, 5, 4]
    assert encode_sources(tokenizer, names, "file").ids.tolist() == [1, 3, 5, 0, 2, 1, 0, 5, 4, 2]


def test_nothing_is_no_ids():
    for document in ("stream", "file", "line", "paragraph"):
        encoded = encode_text(Tokenizer("char", (BOS, EOS, "a")), "\n" * 3, document)
        assert encoded.ids.tolist() == ([0, 1] if document == "file" else [])
