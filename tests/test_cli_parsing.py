"""Numbers, times and choices are taken at their word, or refused in one line."""

import math
from dataclasses import fields

import pytest
from commands import refusal
from hypothesis import given
from hypothesis import strategies as st

from charrnn.cli.options import DURATIONS, flag_of, items_of, parser_of
from charrnn.cli.parsing import parse_choice, parse_duration, parse_number
from charrnn.cli.sampleoptions import TextOptions
from charrnn.config import Range, SampleConfig, TrainConfig
from charrnn.errors import ConfigError

COUNT = Range(1, 40)
SHARE = Range(0, 1, integer=False, below=True)
NONSENSE = [
    "nan",
    "inf",
    "-inf",
    "1e400",
    "-1",
    "1_000",
    "9" * 20,
    "9" * 5000,
    "",
    " 1",
    "1 ",
    "0x1",
]
NONSENSE += ["٣", "1,5", "+", "e3", "1e", "--1", "NaN", "1\n", "½"]
NUMBERS = [
    (command, item.name)
    for command, kind in (("train", TrainConfig), ("sample", SampleConfig), ("sample", TextOptions))
    for item in fields(kind)
    if item.metadata["range"] is not None
]


@pytest.mark.parametrize(("text", "value"), [("7", 7), ("+7", 7), ("007", 7), ("40", 40)])
def test_integers_are_digits(text, value):
    assert parse_number(text, COUNT, "--n") == value
    assert type(parse_number(text, COUNT, "--n")) is int


@pytest.mark.parametrize(
    ("text", "value"), [("0", 0), (".5", 0.5), ("0.25", 0.25), ("2e-3", 0.002), ("1e-400", 0)]
)
def test_decimals_are_digits_a_point_and_an_exponent(text, value):
    assert parse_number(text, SHARE, "--x") == value


def test_minus_zero_is_zero():
    assert math.copysign(1, parse_number("-0", SHARE, "--x")) == 1


@pytest.mark.parametrize("text", [*NONSENSE, "0", "41", "1.0", "1e1"])
def test_what_is_no_integer_of_the_range_is_refused(text):
    with pytest.raises(ConfigError, match=r"--n is .*: needs an integer from 1 to 40$"):
        parse_number(text, COUNT, "--n")


@pytest.mark.parametrize("text", [*NONSENSE, "1", "1.0"])
def test_what_is_no_number_of_the_range_is_refused(text):
    with pytest.raises(ConfigError, match=r"--x is .*: needs a number from 0 below 1$"):
        parse_number(text, SHARE, "--x")


def test_large_numbers_are_written_with_an_exponent():
    allowed = Range(0, 1e300, integer=False)
    assert parse_number("1e30", allowed, "--x") == 1e30
    with pytest.raises(ConfigError):
        parse_number("1" + "0" * 20, allowed, "--x")


@given(st.floats(0, 1, exclude_max=True))
def test_every_number_of_the_range_is_read_as_python_writes_it(value):
    assert parse_number(repr(value), SHARE, "--x") == value


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("3m", 180), ("1.5h", 5400), ("0.5m", 30), ("1e2s", 100)]
)
def test_a_time_is_a_number_and_a_unit(text, seconds):
    assert parse_duration(text, Range(0, 1e6, integer=False, above=True), "--t") == seconds


@pytest.mark.parametrize("text", [*NONSENSE, "60", "s", "0s", "nans", "3 m", "3d", "1m30s", "1e9h"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ConfigError, match=r"--t is .*: needs a number with s, m or h"):
        parse_duration(text, Range(0, 1e6, integer=False, above=True), "--t")


def test_a_choice_is_one_of_its_words():
    assert parse_choice("b", ("a", "b"), "--c") == "b"
    with pytest.raises(ConfigError, match="--c is 'B': needs one of a, b"):
        parse_choice("B", ("a", "b"), "--c")


def test_a_long_wrong_value_is_cut():
    with pytest.raises(ConfigError) as caught:
        parse_number("9" * 5000, COUNT, "--n")
    assert len(str(caught.value)) < 120


@pytest.mark.slow
@pytest.mark.parametrize(("command", "name"), NUMBERS)
def test_each_number_option_refuses_nonsense_with_its_name_and_range(command, name):
    flag = flag_of(name)
    for value in NONSENSE:
        code, message = refusal(command, flag, value)
        assert code == 2
        assert message.startswith(f"{flag} is ")
        assert "needs a" in message
        assert "\n" not in message


@pytest.mark.parametrize(("command", "name"), NUMBERS)
def test_each_number_option_refuses_just_outside_its_range(command, name):
    item = items_of(TrainConfig, SampleConfig, TextOptions)[name]
    allowed = item.metadata["range"]
    unit = "s" if name in DURATIONS else ""
    outside = [allowed.high * 2]
    if allowed.above:
        outside.append(allowed.low)
    elif allowed.low > 0:
        outside.append(allowed.low - 1)
    if allowed.below:
        outside.append(allowed.high)
    for value in outside:
        text = str(int(value)) if allowed.integer else repr(float(value))
        with pytest.raises(ConfigError, match=flag_of(name)):
            parser_of(item)(text + unit)
    inside = allowed.low + 1 if allowed.above else allowed.low
    text = str(int(inside)) if allowed.integer else repr(float(inside))
    assert parser_of(item)(text + unit) == inside
