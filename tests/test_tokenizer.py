"""Text to ids and back; and tokenizer.json read by the tokenizers library means the same."""

import json
import unicodedata

import numpy as np
import pytest
import tokenizers
from hypothesis import example, given
from hypothesis import strategies as st

from charrnn.errors import ModelError, TokenizerError
from charrnn.splitting import split_tokens, split_words
from charrnn.tokenizer import Tokenizer
from charrnn.tokenizer_json import BOS, EOL, EOS, UNK, byte_alphabet

SPECIAL = (UNK, BOS, EOS)
TRICKY = (
    unicodedata.normalize("NFD", "Việt Ωδή é ")
    + "שלום \u202eab العربية 👩‍👩‍👧‍👦 \u2028 \u2029\0\r\n\r"
    "\x0b\x0c\x1c\x85\xa0x\ufeff¡«»¶·ªµº×÷don't l’été 你好，世界。　\U0010ffff\uffff"
)
TEXTS = st.text(max_size=50) | st.text("ab'’ \n\t.é\u0085\u00a0\u3000«", max_size=50)
PLAIN = TEXTS.filter(lambda text: not any(symbol in text for symbol in (*SPECIAL, EOL)))


def char_level(text, *specials):
    return Tokenizer("char", (*specials, *sorted(set(text))))


def byte_level(*specials):
    return Tokenizer("byte", (*byte_alphabet(), *specials))


def word_level(words, pretokenized=False):
    return Tokenizer("word", (UNK, *sorted(set(words) - {UNK})), pretokenized)


def library(tokenizer):
    return tokenizers.Tokenizer.from_str(tokenizer.to_json().decode())


@given(PLAIN)
@example(TRICKY)
@example("a\n\n\n\r\n")
def test_the_library_agrees_on_characters(text):
    tokenizer = char_level(text, BOS, EOS)
    theirs = library(tokenizer)
    ids = tokenizer.encode(text).tolist()
    assert theirs.encode(text).ids == ids
    assert theirs.decode(ids) == tokenizer.decode(ids) == text


@given(PLAIN)
@example(TRICKY)
def test_the_library_agrees_on_bytes(text):
    tokenizer = byte_level(BOS, EOS)
    theirs = library(tokenizer)
    ids = tokenizer.encode(text).tolist()
    assert ids == list(text.encode())
    assert theirs.encode(text).ids == ids
    assert theirs.decode(ids) == tokenizer.decode(ids) == text


@given(PLAIN)
@example(TRICKY)
@example("a'" * 500 + "b" * 700 + " " * 700)
def test_the_library_agrees_on_words(text):
    tokenizer = word_level(split_words(text))
    theirs = library(tokenizer)
    ids = tokenizer.encode(text).tolist()
    assert theirs.encode(text).ids == ids
    assert theirs.decode(ids) == tokenizer.decode(ids) == text


@given(PLAIN, st.data())
def test_the_library_agrees_on_unknown_words(text, data):
    words = split_words(text)
    known = [word for word in words if data.draw(st.booleans())]
    tokenizer = word_level(known)
    ids, num_unknown = tokenizer.encode_counting(text)
    assert library(tokenizer).encode(text).ids == ids.tolist()
    assert num_unknown == sum(word not in known for word in words)


@given(PLAIN)
@example(TRICKY)
def test_the_library_agrees_on_pretokenized_words(text):
    tokenizer = word_level([EOL if w == "\n" else w for w in split_tokens(text)], True)
    ids = tokenizer.encode(text).tolist()
    assert library(tokenizer).encode(text).ids == ids
    assert tokenizer.encode(tokenizer.decode(ids)).tolist() == ids


def test_pretokenized_words_are_given_back_with_a_blank_behind_each():
    tokenizer = Tokenizer("word", (UNK, EOL, "the", "cat"), True)
    ids = tokenizer.encode(" the \t<unk> dog\ncat")
    assert ids.tolist() == [2, 0, 0, 1, 3]
    assert tokenizer.decode(ids) == "the <unk> <unk> \ncat "


def test_what_a_text_spells_like_a_border_is_none():
    tokenizer = Tokenizer("word", (UNK, BOS, EOS, EOL, "a"), True)
    assert tokenizer.encode("<s> a </s>").tolist() == [0, 4, 0]
    assert char_level("<s>/", BOS, EOS).decode(char_level("<s>/", BOS, EOS).encode("<s>")) == "<s>"


@given(st.text(max_size=30))
def test_bytes_are_lossless_for_every_text(text):
    assert byte_level().decode(byte_level().encode(text)) == text


@given(st.binary(max_size=20))
def test_bytes_that_python_kept_as_surrogates_are_these_bytes(data):
    text = data.decode("utf-8", "surrogateescape")
    assert byte_level().encode(text).tolist() == list(data)


def test_other_surrogates_become_some_bytes_and_no_error():
    assert len(byte_level().encode("\ud800\udcff")) == 6


def test_bytes_that_are_no_text_become_replacement_characters():
    assert byte_level().decode([0xE2, 0x82, 0x61, 0xFF]) == "\ufffda\ufffd"


@pytest.mark.parametrize(
    ("char", "shown"),
    [("é", "'é' (U+00E9)"), ("\x1b", r"'\x1b' (U+001B)"), ("\udcff", r"'\udcff' (U+DCFF)")],
)
def test_an_unknown_character_is_named_with_its_place(char, shown):
    tokenizer = char_level("abc")
    with pytest.raises(TokenizerError) as caught:
        tokenizer.encode(f"ab{char}ca{char}")
    assert str(caught.value).startswith(f"character 3 of the text, {shown}, is not in the")
    assert str(caught.value).isprintable()
    assert tokenizer.decode(tokenizer.encode(f"ab{char}ca{char}", "skip")) == "abca"
    assert tokenizer.encode_counting(f"ab{char}ca{char}")[1] == 2


def test_characters_above_all_known_ones_are_unknown_too():
    assert char_level("ab").encode_counting("a\U0010ffffb")[1] == 1
    assert Tokenizer("char", (BOS, EOS)).encode_counting("ab")[1] == 2


def test_tokens_count_their_characters_and_bytes():
    chars = char_level("aé👩", BOS, EOS)
    assert chars.token_chars().tolist() == [0, 0, 1, 1, 1]
    assert chars.token_bytes().tolist() == [0, 0, 1, 2, 4]
    words = Tokenizer("word", (UNK, EOL, "né"), True)
    assert words.token_chars().tolist() == [0, 1, 3]
    assert words.token_bytes().tolist() == [0, 1, 4]
    sizes = byte_level(BOS).token_chars()
    assert np.flatnonzero(sizes == 0).tolist() == [*range(0x80, 0xC0), 256]
    assert byte_level(BOS).token_bytes().tolist() == [1] * 256 + [0]


def test_special_symbols_have_ids_where_they_are_and_no_text():
    tokenizer = Tokenizer("word", (UNK, BOS, EOS, "a"))
    assert (tokenizer.unk_id, tokenizer.bos_id, tokenizer.eos_id) == (0, 1, 2)
    assert tokenizer.special_ids == (0, 1, 2)
    assert tokenizer.decode([1, 3, 0, 2]) == "a<unk>"
    assert char_level("a").special_ids == ()


@pytest.mark.parametrize(
    "tokenizer",
    [
        char_level(TRICKY, BOS, EOS),
        byte_level(BOS, EOS),
        word_level(split_words(TRICKY)),
        word_level(split_tokens(TRICKY), True),
        Tokenizer("char", ("b", "a", "\0", "ü")),  # ids as given, not sorted
    ],
    ids=lambda t: t.level,
)
def test_a_tokenizer_comes_back_from_its_file(tokenizer):
    data = tokenizer.to_json()
    again = Tokenizer.from_json(data, "tokenizer.json")
    assert again == tokenizer
    assert again.to_json() == data
    assert again.fingerprint == tokenizer.fingerprint
    assert np.array_equal(again.encode("ab", "skip"), tokenizer.encode("ab", "skip"))


def change(path, value):
    content = json.loads(char_level("abc").to_json())
    place = content
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return json.dumps(content).encode()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["added_tokens"], [{"id": 0, "content": "a"}]),
        (["normalizer"], {"type": "NFC"}),
        (["extra"], 1),
        (["pre_tokenizer"], {"type": "Whitespace"}),
        (["pre_tokenizer", "pattern"], {"Regex": "(a+)+$"}),
        (["model", "vocab"], {"a": 0, "b": 2}),
        (["model", "vocab"], {"a": 0, "b": 1.0}),
        (["model", "vocab"], {"a": False, "b": 1}),
        (["model", "vocab"], {"a": 0, "bc": 1}),
        (["model", "vocab"], {}),
        (["model", "vocab"], ["a"]),
        (["model", "vocab"], {"a": "0"}),
        (["model"], None),
        (["model", "unk_token"], "a"),
    ],
)
def test_a_file_that_we_did_not_write_is_refused(path, value):
    with pytest.raises(ModelError, match=r"^tokenizer\.json"):
        Tokenizer.from_json(change(path, value), "tokenizer.json")


def test_a_byte_or_word_vocabulary_must_be_whole():
    for wrong in (
        Tokenizer("byte", (*byte_alphabet()[::-1],)),
        Tokenizer("byte", (*byte_alphabet(), "abc")),
        Tokenizer("word", ("a", "b")),
    ):
        with pytest.raises(ModelError):
            Tokenizer.from_json(wrong.to_json(), "tokenizer.json")
