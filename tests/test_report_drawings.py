"""The drawings, the painted text and the words of the report, one by one."""

import json
import re

import pytest

from charrnn.display.report.bars import Row, lying_bars
from charrnn.display.report.blocks import number, shown, spans
from charrnn.display.report.paint import embedded, flowing, level, painted, painted_each, symbol
from charrnn.display.report.svg import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Axis,
    Plot,
    log_ticks,
    nice_ticks,
)
from charrnn.display.report.words import finding_of
from charrnn.views.intervals import Interval

NAN = float("nan")


@pytest.mark.parametrize(
    ("low", "high", "names"),
    [
        (0, 10, ["0", "2", "4", "6", "8", "10"]),
        (1.23, 1.41, ["1.25", "1.30", "1.35", "1.40"]),
        (-1, 1, ["−1.0", "−0.5", "0.0", "0.5", "1.0"]),
        (0, 12_000, ["0", "2,500", "5,000", "7,500", "10,000"]),
        (3, 3, ["3"]),
    ],
)
def test_ticks_are_round_numbers_within_the_axis(low, high, names):
    ticks = nice_ticks(low, high)
    assert [name for _, name in ticks] == names
    assert all(low <= value <= high * (1 + 1e-9) for value, _ in ticks)


def test_ticks_of_a_logarithmic_axis_are_powers_of_ten_and_few():
    assert [name for _, name in log_ticks(0.001, 10)] == ["0.001", "0.01", "0.1", "1", "10"]
    ticks = log_ticks(1e-9, 1e9)
    assert len(ticks) <= 7
    assert ticks[0][1] == "10⁻⁹"


def test_the_ends_of_an_axis_are_the_ends_of_the_plot():
    plot = Plot(Axis(1, 1000, "x", log=True), Axis(-2, 2, "y"))
    assert (plot.at_x(1), plot.at_x(1000)) == (LEFT, WIDTH - RIGHT)
    assert plot.at_x(10**1.5) == (LEFT + WIDTH - RIGHT) / 2
    assert (plot.at_y(2), plot.at_y(-2)) == (TOP, HEIGHT - BOTTOM)
    assert plot.at_y(99) == TOP


def test_a_plot_names_its_axes_and_escapes_every_word():
    plot = Plot(Axis(0, 1, "<x>"), Axis(0, 1, "a & b"))
    plot.point(0.5, 0.5, "s1", "<script>")
    text = plot.markup('"told"')
    assert "&lt;x&gt;" in text
    assert "a &amp; b" in text
    assert "<title>&lt;script&gt;</title>" in text
    assert 'aria-label="&#34;told&#34;"' in text


def test_bars_are_as_long_as_their_numbers():
    rows = [
        Row("a<b", 1.0, NAN, NAN, "1"),
        Row("b", 4.0, 3.0, 5.0, "4"),
        Row("c", -1.0, NAN, NAN, "-1"),
    ]
    text = lying_bars(rows, "bits", "told")
    bars = re.findall(r'<rect[^>]* x="([\d.]+)" y="\d+" width="([\d.]+)"', text)
    (zero, one), (_, four), (left, back) = [(float(x), float(w)) for x, w in bars]
    assert four == pytest.approx(4 * one, abs=0.3)
    assert left + back == pytest.approx(zero, abs=0.1)
    assert text.count("whisker") == 1
    assert "a&lt;b" in text


def test_levels_go_from_blue_to_orange_and_nan_is_not_painted():
    assert [level(share) for share in (-3.0, 0.0, 0.5, 1.0, 7.0)] == [0, 0, 10, 20, 20]
    assert level(NAN) is None
    html = painted(["a", "b", "<", "\n"], [0.0, 0.0, 1.0, NAN])
    assert html == '<i class="q0">ab</i><i class="q20">&lt;</i>⏎\n'
    assert painted_each(["<script>"], [1.0]) == '<i class="q20">&lt;script&gt;</i>'
    assert painted_each(["&", "b"], [NAN, 0.5]) == '<i>&amp;</i><i class="q10">b</i>'


def test_no_control_character_reaches_the_page():
    hostile = "\x00\x1b\x7f\x9b\u202e\u2028\ud800\r\t"
    for text in (symbol(hostile), flowing(hostile)):
        assert text.encode("utf-8")
        assert not re.search("[\x00-\x1f\x7f-\x9f\u202e\u2028\ud800]", text)
    assert symbol(" ") == "␣"
    assert symbol("") == "∅"


def test_embedded_json_is_the_value_and_ends_no_element():
    value = {"</script><!--": ["\u2028", "&", 1.5, None]}
    text = embedded(value)
    assert json.loads(text) == value
    assert not set("<>&\u2028") & set(text)
    with pytest.raises(ValueError, match="not JSON compliant"):
        embedded([NAN])


def test_numbers_have_a_true_minus_and_nothing_has_no_sign():
    assert number(-1.5, "{:+.1f}") == "−1.5"
    assert number(-0.0001, "{:+.2f}") == "0.00"
    assert number(NAN) == "–"
    assert spans(Interval(1.0, -2.0, 3.0), "{:.0f}") == "−2 to 3"
    assert spans(Interval(1.0, NAN, NAN)) == ""
    assert shown(Interval(0.5, NAN, NAN), "{:.0%}") == "50%"


def test_the_last_of_several_sentences_is_the_caveat():
    assert finding_of("It is -0.5. Or not.", "x") == ("It is −0.5.", "Or not.")
    assert finding_of("It is 0.5 in c:0:-x.", "Mind.") == ("It is 0.5 in c:0:-x.", "Mind.")


def test_unknown_symbols_are_crossed_out_within_the_span_of_the_next_one():
    html = painted_each(["a", "b"], [0.0, 1.0], [(1, "é"), (1, "<"), (2, "z")])
    assert html == '<i class="q0">a</i><i class="q20"><s>é&lt;</s>b</i>'
