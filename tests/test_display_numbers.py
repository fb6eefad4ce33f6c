"""Numbers as people read them, and the curve."""

import math

import pytest

from charrnn.display.numbers import show_count, show_duration, show_loss, show_rate
from charrnn.display.sparkline import averages, sparkline


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.4, "0s"), (59.4, "59s"), (59.6, "1m00s"), (187, "3m07s"), (7500, "2h05m"), (3e5, "3d11h")],
)
def test_durations_have_the_two_largest_units(seconds, shown):
    assert show_duration(seconds) == shown


def test_a_loss_shows_bits_only_where_they_are_known():
    assert show_loss(1.23456, 1.781) == "1.2346 (1.781 bits/char)"
    assert show_loss(1.23456) == show_loss(1.23456, math.nan) == "1.2346"
    assert show_loss(1.23456, 1.781, words=True) == "1.2346 (perplexity 3.437, 1.781 bits/char)"
    assert show_loss(math.log(104.6), words=True) == "4.6501 (perplexity 104.6)"
    assert show_loss(None) == show_loss(math.nan) == "-"


def test_large_numbers_are_short():
    assert [show_count(n) for n in (999_999, 1_234_567, 4.5e9)] == ["999,999", "1.23M", "4.5G"]
    assert [show_rate(n) for n in (850.4, 45_210, 1.31e6, math.inf)] == [
        "850",
        "45.2k",
        "1.31M",
        "-",
    ]


def test_the_curve_spans_lowest_to_highest_and_has_the_newest_at_the_right():
    assert sparkline([8, 1, 4.5], 10) == "█▁▅"
    assert sparkline([2, 2], 10) == "▁▁"
    assert sparkline([math.nan], 10) == ""


@pytest.mark.parametrize("count", [7, 8, 100, 1001])
def test_a_long_curve_is_averaged_to_the_width(count):
    parts = averages([float(i) for i in range(count)], 7)
    assert len(parts) == 7
    assert parts == sorted(parts)
    assert sum(parts) / 7 == pytest.approx((count - 1) / 2, rel=0.1)
