"""Features of small texts, written out by hand under each character."""

import numpy as np
import planted
import pytest
from model_directories import make_tokenizer

from charrnn.errors import ConfigError
from charrnn.tokenizer import Tokenizer
from charrnn.views.features import NAMES, make_features, parse_own, since


def values(text, name, own=None):
    tokenizer = Tokenizer("char", tuple(sorted(set(text))))
    found = {f.name: f for f in make_features(tokenizer, tokenizer.encode(text), own)}
    return "".join(f"{int(v):x}" for v in found[name].values)


CASES = [
    ("in_double_quotes", 'a "bc" d', "00111000"),
    ("in_double_quotes", "x“ab”y", "011100"),
    ("in_single_quotes", "o 'don't' x", "00111101000"),
    ("in_single_quotes", "don't we", "00000000"),
    ("in_parens", "a(b(c)d)e)(", "01111110001"),
    ("in_brackets", "a[b](c)", "0110000"),
    ("in_braces", "{a{b}c}d", "11111100"),
    ("in_angles", "<b>x < y", "11000100"),
    ("in_comment", "a # b\nc", "0011100"),
    ("in_comment", "x // y\nz", "00011100"),
    ("in_comment", "/*a*/b", "011100"),
    ("in_comment", "'#' #", "00001"),
    ("in_string", "a='b\\'c' d", "0011111000"),
    ("in_string", '"""a"b\n""" c', "101111111000"),
    ("in_if", "if (a(b)) c", "00011111000"),
    ("in_if", "iff (a) if(b)", "0000000000110"),
    ("bracket_depth", "([{(}])])", "122332110"),
    ("line_position", "ab\nc\n\nd", "1201001"),
    ("word_position", "ab, it's x", "1200123401"),
    ("sentence_position", 'a. "B!" c?', "1201234012"),
    ("indentation", "  a b\n c\nd", "12222" + "011" + "00"),
    ("is_upper", "aB C", "0101"),
    ("is_all_caps", "AB aB CDe", "010000010"),
    ("is_vowel", "aXeY", "1010"),
    ("is_digit", "a1 23", "01011"),
    ("speaker_line", "Ann B:\nx: y\n\nC: d", "11111" + "0" * 8 + "1000"),
    ("next_newline", "a\nb", "100"),
    ("next_space", "a b ", "1010"),
    ("next_closer", '(a) "', "01010"),
]


@pytest.mark.parametrize(("name", "text", "expected"), CASES)
def test_a_feature_has_the_values_written_under_the_text(name, text, expected):
    assert values(text, name) == expected


def test_every_feature_of_the_specification_is_there_once():
    text = planted.planted_text(300)
    tokenizer = Tokenizer("char", tuple(planted.SYMBOLS))
    found = make_features(tokenizer, tokenizer.encode(text))
    assert tuple(f.name for f in found) == NAMES
    assert len(set(NAMES)) == 23
    for feature in found:
        assert feature.values.shape == (300,)
        assert np.isfinite(feature.values).all()
        if feature.binary:
            assert set(np.unique(feature.values)) <= {0, 1}


@pytest.mark.parametrize("name", [n for n in NAMES if not n.startswith("next_")])
def test_no_feature_but_anticipation_knows_what_comes_next(name):
    text = "A b:\n\nIt's \"so\" (x[1]) {if (y)}. <a> # c\n  No!\n\nANN:\n'q' /* d */\n"
    tokenizer = Tokenizer("char", tuple(sorted(set(text))))

    def of(part):
        found = {f.name: f for f in make_features(tokenizer, tokenizer.encode(part))}
        return found[name].values

    whole = of(text)
    for size in range(1, len(text)):
        assert np.array_equal(of(text[:size]), whole[:size]), text[:size]


def test_a_stray_quote_does_not_turn_over_all_the_rest():
    text = 'a "' + "b" * 3000 + ' "c" d'
    assert values(text, "in_double_quotes")[-6:] == "011000"


def test_documents_do_not_know_each_other():
    tokenizer = Tokenizer("char", ("<s>", "</s>", "(", ")", "a"))
    ids = np.array([0, 2, 4, 1, 0, 4, 1])
    found = {f.name: f.values for f in make_features(tokenizer, ids)}
    assert found["bracket_depth"].tolist() == [0, 1, 1, 0, 0, 0, 0]
    assert found["line_position"].tolist() == [0, 1, 2, 0, 0, 1, 0]


def test_a_word_has_the_value_after_its_last_character():
    tokenizer = Tokenizer("word", ("<unk>", "(", "abc", " "))
    found = {f.name: f.values for f in make_features(tokenizer, np.array([1, 2, 3, 2]))}
    assert found["line_position"].tolist() == [1, 4, 5, 8]
    assert found["word_position"].tolist() == [0, 3, 0, 3]


def test_the_users_own_expression_is_on_within_its_matches():
    assert values("ab12 c3", "number", parse_own([r"number=\d+"])) == "0011001"


@pytest.mark.parametrize("wrong", ["x", "=a", "x=", "is_digit=a", "x=(", "a b=c"])
def test_what_is_no_expression_is_refused_in_one_line(wrong):
    with pytest.raises(ConfigError, match="--feature"):
        parse_own([wrong])


def test_distances_count_from_the_last_start():
    assert since(np.array([0, 1, 0, 0, 1], bool)).tolist() == [1, 0, 1, 2, 0]
    assert len(make_features(make_tokenizer(), np.array([1]))) == len(NAMES)
