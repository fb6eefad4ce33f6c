"""What strictjson lets in, and what it must not."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.errors import ModelError
from charrnn.strictjson import MAX_DEPTH, check_object, dumps, loads, shown

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NUMBERS = st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(JSON, st.sampled_from([None, 2]))
def test_what_is_written_is_read_back(value, indent):
    assert loads(dumps(value, indent=indent), "f") == value


@given(st.dictionaries(TEXT, NUMBERS))
def test_the_order_of_keys_does_not_change_the_bytes(value):
    assert dumps(dict(reversed(value.items()))) == dumps(value)


@given(st.binary(max_size=40) | TEXT.map(str.encode))
def test_any_bytes_are_read_as_python_reads_them_or_refused_with_the_name(data):
    try:
        value = loads(data, "dir/f.json")
    except ModelError:
        with pytest.raises(ModelError, match=r"^dir/f\.json: "):
            loads(data, "dir/f.json")
    else:
        assert value == json.loads(data)


def test_what_is_written_is_ascii_and_ends_with_a_newline_only_when_indented():
    assert dumps({"é": "\U0001f600"}) == b'{\n  "\\u00e9": "\\ud83d\\ude00"\n}\n'
    assert dumps({"b": 1, "a": 2}, indent=None) == b'{"a": 2, "b": 1}'
    assert dumps({"b": 1, "a": 2}, indent=None, sort_keys=False) == b'{"b": 1, "a": 2}'


@pytest.mark.parametrize("value", [math.nan, math.inf, [-math.inf]])
def test_no_number_is_written_that_could_not_be_read(value):
    with pytest.raises(ValueError, match="JSON compliant"):
        dumps(value)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not JSON"),
        (b'{"a": 1} x', "not JSON"),
        (b'{"a": 1,}', "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b'"\xff"', "not UTF-8 at byte 1"),
        (b'"\xed\xa0\x80"', "not UTF-8 at byte 1"),
        (b"NaN", "NaN is no finite number"),
        (b'{"a": [-Infinity]}', "-Infinity is no finite number"),
        (b"1e999", "1e999 is no finite number"),
        (b"-1e999", "-1e999 is no finite number"),
        (b'{"a": 1, "b": 2, "a": 1}', "key 'a' is there twice"),
        (b'{"x": {"a": 1, "\\u0061": 1}}', "key 'a' is there twice"),
        (b'"\\ud800"', "a lone surrogate is no character"),
        (b'{"\\udc00\\ud800": 1}', "a lone surrogate is no character"),
        (b"9" * 5000, "f: Exceeds the limit"),
        (b'"\n"', "not JSON"),
        (b"\x80\x04K\x01.", "not UTF-8"),
    ],
)
def test_what_is_not_strict_json_is_refused(data, reason):
    with pytest.raises(ModelError, match=reason):
        loads(data, "f")


def test_a_surrogate_pair_is_one_character():
    assert loads(b'"\\ud83d\\ude00"', "f") == "\U0001f600"


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_nesting_ends_at_the_limit(opening):
    closing = b"]" if opening == b"[" else b"}"

    def nested(depth):
        return opening * depth + b"1" + closing * depth

    loads(nested(MAX_DEPTH), "f")
    for depth in (MAX_DEPTH + 1, 900, 100_000):
        with pytest.raises(ModelError, match=f"nested deeper than {MAX_DEPTH} levels"):
            loads(nested(depth), "f")


def test_an_object_has_just_the_keys_asked_for_each_of_its_type():
    required, optional = {"n": int, "x": (float, str)}, {"b": bool}
    for good in ({"n": 3, "x": 2.5}, {"n": 3, "x": 2, "b": True}, {"n": 0, "x": "2"}):
        assert check_object(good, "f", required, optional) == good
    bad = {
        "n is missing": {"x": 1.0},
        "unknown key 'y'": {"n": 3, "x": 2.5, "y": 1},
        "n has the wrong type: True": {"n": True, "x": 2.5},
        "x has the wrong type: False": {"n": 1, "x": False},
        "n has the wrong type: 3.0": {"n": 3.0, "x": 2.5},
        "b has the wrong type: 1": {"n": 3, "x": 2.5, "b": 1},
        "needs an object, got a list": [1],
    }
    for reason, value in bad.items():
        with pytest.raises(ModelError, match=f"^f: {reason}$"):
            check_object(value, "f", required, optional)


def test_a_foreign_value_is_shown_short_and_without_control_characters():
    for value in ("\x1b]52;c;x\x07" * 50, 10**4000, "\u202e\ud800", {"a": 1}, [2], None, 1.5):
        text = shown(value)
        assert text.isascii()
        assert text.isprintable()
        assert len(text) < 400
