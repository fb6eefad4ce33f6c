"""Where words end: losslessly, and the same however the text arrives."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn import splitting
from charrnn.splitting import WordSplitter, split_tokens, split_words

ANYTHING = st.text(max_size=60) | st.text("ab'’ \n\t.!\r\u2028é", max_size=60)
PIECES = st.lists(st.text("ab'’ \n\t.\u0085", max_size=8), max_size=8)


def pieces_in_chunks(chunks, pretokenized):
    splitter = WordSplitter(pretokenized)
    pieces = [piece for chunk in chunks for piece in splitter.feed([chunk])[0]]
    return pieces + splitter.feed(["", ""])[0]


@given(ANYTHING)
def test_words_joined_are_the_text(text):
    assert "".join(split_words(text)) == text


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Don't stop, it's 3.50!", "Don't| |stop|,| |it's| |3|.|50|!"),
        ("l’été 'quoted' dogs' o'er", "l’été| |'|quoted|'| |dogs|'| |o'er"),
        ("a''b a'b'c", "a|'|'|b| |a'b'c"),
        ("one\n\n two  three\t\r\n", "one|\n|\n| |two|  |three|\t\r|\n"),
        ("¿Qué?—«so»…", "¿|Qué|?|—|«|so|»|…"),
        ("你好，世界。", "你好|，|世界|。"),
        ("e\u0301a 👩‍👩‍👧 x_y a\u2028b\0", "e\u0301a| |👩‍👩‍👧| |x|_|y| |a|\u2028|b\0"),
    ],
)
def test_words_end_at_blanks_and_marks(text, pieces):
    assert split_words(text) == pieces.split("|")


@pytest.mark.slow
def test_blanks_are_what_python_splits_at():
    blank = re.compile(f"[{splitting.BLANKS}\n]")
    for code in range(0x110000):
        assert bool(blank.match(chr(code))) == (not chr(code).split()), hex(code)


def test_long_words_and_blanks_are_cut():
    assert list(map(len, split_words("a" * 600))) == [256, 256, 88]
    assert list(map(len, split_words(" " * 600))) == [256, 256, 88]
    assert split_words("a'b'c'd'e'f'g") == ["a'b'c'd'e", "'", "f'g"]
    assert list(map(len, split_words("a'" + "b" * 100))) == [66, 36]


@given(PIECES)
def test_words_do_not_depend_on_the_chunks(chunks):
    assert pieces_in_chunks(chunks, False) == split_words("".join(chunks))


@given(PIECES)
def test_tokens_do_not_depend_on_the_chunks(chunks):
    assert pieces_in_chunks(chunks, True) == split_tokens("".join(chunks))


@pytest.mark.parametrize("text", ["a" * 5000, " " * 5000, "a'" * 2500, "ab'b" * 1250])
@pytest.mark.parametrize("size", [1, 7, 255, 256, 257, 1000])
@pytest.mark.parametrize("pretokenized", [False, True])
def test_a_text_without_borders_is_split_alike_in_chunks_of_any_size(text, size, pretokenized):
    chunks = [text[i : i + size] for i in range(0, len(text), size)]
    split = split_tokens if pretokenized else split_words
    assert pieces_in_chunks(chunks, pretokenized) == split(text)


def test_a_long_token_is_cut_alike_in_chunks_and_nothing_grows(monkeypatch):
    size = splitting.LONGEST
    text = "x" * (2 * size + 5) + " y\n"
    assert list(map(len, split_tokens(text))) == [size, size, 5, 1, 1]
    chunks = [text[i : i + 9999] for i in range(0, len(text), 9999)]
    assert pieces_in_chunks(chunks, True) == split_tokens(text)
    splitter = WordSplitter(True)
    for _ in range(10):
        splitter.feed(["x" * size])
        assert len(splitter.rest) <= size


@given(ANYTHING)
def test_tokens_are_what_stands_between_blanks_and_the_newlines(text):
    expected = re.findall(rf"\n|[^\n{splitting.BLANKS}]+", text)
    assert split_tokens(text) == expected


@given(st.lists(PIECES.filter(bool), max_size=4), st.booleans())
def test_a_border_ends_a_word_and_pieces_are_counted_by_part(lists, pretokenized):
    splitter = WordSplitter(pretokenized)
    split = split_tokens if pretokenized else split_words
    parts, counted, pieces = [""], [0], []
    for chunk in [*lists, ["", ""]]:
        found, lengths = splitter.feed(chunk)
        assert len(lengths) == len(chunk)
        assert sum(lengths) == len(found)
        parts[-1] += chunk[0]
        parts += chunk[1:]
        counted[-1] += lengths[0]
        counted += lengths[1:]
        pieces += found
    expected = [split(part) for part in parts]
    assert pieces == [piece for part in expected for piece in part]
    assert counted == [len(part) for part in expected]
