"""Which symbols get which ids: by the text alone, not by its order, chunks or hash seeds."""

import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.config import TrainConfig
from charrnn.splitting import split_tokens, split_words
from charrnn.tokenizer import Tokenizer
from charrnn.tokenizer_json import BOS, EOL, EOS, SPECIALS, UNK, byte_alphabet
from charrnn.vocabulary import CharCollector, choose_vocabulary, make_collector

TEXTS = st.text(max_size=30) | st.text("ab \n.é\0\x7f\x80", max_size=30)
LISTS = st.lists(st.lists(TEXTS, min_size=1, max_size=3), max_size=4)


def collected(collector, lists):
    """The symbols that the provisional ids stand for, and the lengths of all parts."""
    encoded = [collector.encode(parts) for parts in [*lists, ["", ""]]]
    ids = [i for found, _ in encoded for i in found.tolist()]
    assert all(len(found) == lengths.sum() for found, lengths in encoded)
    assert all(0 <= i < collector.num_symbols == len(collector.symbols) for i in ids)
    return [collector.symbols[i] for i in ids]


def vocabulary(text, old=None, cut=None, **options):
    config = TrainConfig(**options)
    collector = make_collector(config.level, config.pretokenized)
    chunks = [[text[i : i + 777]] for i in range(0, len(text), 777)]
    ids = np.concatenate([collector.encode(parts)[0] for parts in [*chunks, ["", ""]]])
    counts = np.bincount(ids[:cut], minlength=collector.num_symbols)
    return choose_vocabulary(collector.symbols, counts, config, old).vocabulary


@pytest.mark.slow
@given(LISTS)
def test_provisional_characters_are_the_text(lists):
    collector = CharCollector()
    text = "".join(part for parts in lists for part in parts)
    assert "".join(collected(collector, lists)) == text
    assert {symbol for symbol in collector.symbols[3:] if symbol} == set(text)


@given(LISTS)
def test_provisional_bytes_are_the_text(lists):
    alphabet = byte_alphabet()
    found = collected(make_collector("byte", False), lists)
    text = "".join(part for parts in lists for part in parts)
    assert bytes(alphabet.index(symbol) for symbol in found) == text.encode()


@given(TEXTS)
def test_provisional_words_are_the_text(text):
    chunks = [[char] for char in text]
    assert collected(make_collector("word", False), chunks) == split_words(text)
    named = [EOL if token == "\n" else token for token in split_tokens(text)]
    assert collected(make_collector("word", True), chunks) == named


@given(LISTS, st.sampled_from(["char", "byte"]))
def test_parts_are_as_long_as_their_symbols(lists, level):
    collector = make_collector(level, False)
    for parts in lists:
        sizes = [len(part if level == "char" else part.encode()) for part in parts]
        assert collector.encode(parts)[1].tolist() == sizes


def test_a_hundred_thousand_distinct_characters_have_ids_of_their_own():
    chars = [chr(code) for code in range(0x20000, 0x20000 + 100_000)]
    text = "".join(chars)
    collector = CharCollector()
    first = np.concatenate([collector.encode([text[i : i + 777]])[0] for i in range(0, 10**5, 777)])
    again = collector.encode([text + "a"])[0]
    assert len(set(first.tolist())) == 100_000
    assert np.array_equal(first, again[:-1])
    assert [s for s in collector.symbols[3:] if s] == ["a", *chars]
    assert vocabulary(text) == tuple(chars)


def test_characters_stand_in_the_order_of_their_code_points_behind_the_special_ones():
    assert vocabulary("bé\na👩b") == ("\n", "a", "b", "é", "👩")
    assert vocabulary("ba", document="line") == (BOS, EOS, "a", "b")
    assert vocabulary("👩" * 777 + "é" * 777 + "b" * 777 + "ü") == ("b", "é", "ü", "👩")


def test_characters_of_the_held_out_part_are_known_and_its_words_are_not():
    assert vocabulary("aab", cut=2) == ("a", "b")
    assert vocabulary("x x y", cut=3, level="word") == (UNK, "x", " ")


def test_all_bytes_are_known_whatever_the_text():
    assert vocabulary("a", level="byte") == tuple(byte_alphabet())
    assert vocabulary("a", level="byte", document="file")[256:] == (BOS, EOS)


@given(st.lists(st.sampled_from(["a", "b", "cc", "é", "A"]), min_size=1, max_size=30))
def test_words_stand_by_count_and_then_by_spelling(words):
    found = vocabulary(" ".join(words), level="word", pretokenized=True)
    counts = Counter(words)
    assert list(found[1:]) == sorted(counts, key=lambda word: (-counts[word], word))


def test_the_most_frequent_words_are_kept():
    text = "c b b a a a d d d"
    options = {"level": "word", "pretokenized": True}
    assert vocabulary(text, vocab_size=2, **options) == (UNK, "a", "d")
    assert vocabulary(text, min_count=3, **options) == (UNK, "a", "d")
    assert vocabulary(text, min_count=2, vocab_size=0, **options) == (UNK, "a", "d", "b")
    assert vocabulary(text, vocab_size=0, **options) == (UNK, "a", "d", "b", "c")
    assert vocabulary(text, min_count=99, **options) == (UNK,)


def test_a_literal_unknown_is_the_special_one_and_takes_no_second_id():
    options = {"level": "word", "pretokenized": True, "document": "line"}
    found = vocabulary("<unk> <unk> a <s> </s> <eos> \n", **options)
    assert found == (*SPECIALS, EOL, "a")


@pytest.mark.parametrize("level", ["char", "word"])
def test_the_symbols_of_an_older_vocabulary_keep_their_ids(level):
    old = Tokenizer(level, (UNK, "z", "b") if level == "word" else ("z", "b"))
    found = vocabulary("a b c", old=old, level=level)
    assert found[: len(old)] == old.vocabulary
    assert sorted(found[len(old) :]) == [" ", "a", "c"]


@pytest.mark.parametrize("level", ["char", "byte", "word"])
def test_an_older_vocabulary_of_documents_leaves_their_borders_out_of_a_stream(level):
    old = Tokenizer(level, vocabulary("z b", level=level, document="line"))
    assert old.bos_id is not None
    stream = vocabulary("b a", old=old, level=level)
    assert not {BOS, EOS} & set(stream)
    assert set(old.vocabulary) - {BOS, EOS} <= set(stream)
    documents = vocabulary("b a", old=old, level=level, document="file")
    assert documents[: len(old)] == old.vocabulary


@pytest.mark.slow
def test_ids_do_not_depend_on_the_hash_seed():
    code = (
        "import numpy as np; from charrnn.config import TrainConfig; from charrnn.vocabulary import"
        " *; c = make_collector('LEVEL', False); ids, _ = c.encode(['the cat, a dog éΩß and it '"
        " * 9]); print(choose_vocabulary(c.symbols, np.bincount(ids, minlength=c.num_symbols),"
        " TrainConfig(level='LEVEL'), None).vocabulary)"
    )
    for level in ("char", "word"):
        command = [sys.executable, "-c", code.replace("LEVEL", level)]
        found = {
            subprocess.run(
                command, env={"PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"},
                capture_output=True, check=True,
            ).stdout
            for seed in ("0", "1", "2")
        }  # fmt: skip
        assert len(found) == 1
