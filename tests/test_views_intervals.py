"""Intervals of numbers whose truth is known."""

import numpy as np
import pytest

from charrnn.views.calibration import calibration_error, error_interval
from charrnn.views.cell_numbers import numbers_of
from charrnn.views.intervals import (
    mean_interval,
    mean_intervals,
    ratio_intervals,
    student_quantile,
    widening,
)


@pytest.mark.parametrize(
    ("degrees", "quantile"), [(3, 3.182), (4, 2.776), (9, 2.262), (29, 2.045), (1000, 1.962)]
)
def test_the_quantile_of_student_is_that_of_the_tables(degrees, quantile):
    assert student_quantile(degrees) == pytest.approx(quantile, rel=0.02)


def test_many_blocks_widen_nothing_and_one_has_no_interval():
    assert widening(10_000) == pytest.approx(1, abs=1e-3)
    assert np.isnan(widening(1))
    assert widening(5) > 1.5
    found = mean_interval(np.arange(4.0), np.zeros(4, np.int64))
    assert found.mean == 1.5
    assert np.isnan(found.low)


@pytest.mark.slow
@pytest.mark.parametrize("num_blocks", [5, 40])
def test_nineteen_of_twenty_means_lie_within_also_of_few_blocks(num_blocks):
    rng = np.random.default_rng(2)
    held = 0
    for _ in range(200):
        shared = np.repeat(rng.normal(size=num_blocks), 30)
        values = shared + rng.normal(size=len(shared))
        low, high = mean_interval(values, np.arange(len(values)) // 30)[1:]
        held += low < 0 < high
    assert held >= 180


def test_an_interval_stays_where_its_numbers_are():
    rare = np.zeros(3000)
    rare[[5, 700]] = 1
    found = mean_interval(rare, np.arange(3000) // 500)
    assert found.low == 0 < found.mean < found.high < 1


def test_a_ratio_is_that_of_the_sums_and_a_mean_one_of_ones():
    rng = np.random.default_rng(3)
    values, weights = rng.random((4000, 2)), rng.integers(1, 4, (4000, 2)).astype(float)
    blocks = np.arange(4000) // 100
    for column, found in enumerate(ratio_intervals(values, weights, blocks)):
        ratio = values[:, column].sum() / weights[:, column].sum()
        assert found.mean == pytest.approx(ratio)
        assert found.low < ratio < found.high
        assert found.high - found.low < 0.02
    ones = ratio_intervals(values, np.ones_like(values), blocks)
    assert ones == mean_intervals(values, blocks)


def test_what_is_not_known_does_not_count():
    values = np.array([[1.0], [np.nan], [3.0], [np.nan]])
    (found,) = mean_intervals(values, np.arange(4))
    assert found.mean == 2


def test_the_numbers_of_a_unit_are_those_of_numpy_and_their_ends_hold_the_truth():
    rng = np.random.default_rng(4)
    decay, held = 0.9, {"mean": 0, "std": 0, "autocorrelation_time": 0}
    truth = {"mean": 3.0, "std": 1.0, "autocorrelation_time": (1 + decay) / (1 - decay)}
    for _ in range(30):
        noise = rng.normal(size=20_500) * np.sqrt(1 - decay**2)
        values = np.zeros(len(noise))
        for step in range(1, len(noise)):
            values[step] = decay * values[step - 1] + noise[step]
        values = values[500:] + 3
        found = numbers_of(values, None)
        assert found.mean.mean == pytest.approx(values.mean())
        assert found.std.mean == pytest.approx(values.std())
        assert found.time_constant is None
        for name, true in truth.items():
            interval = getattr(found, name)
            held[name] += interval.low < true < interval.high
    assert held["mean"] >= 26
    assert held["std"] >= 26
    assert held["autocorrelation_time"] >= 24


def test_the_time_constant_of_a_gate_that_wavers_has_ends():
    rng = np.random.default_rng(5)
    kept = rng.uniform(0.2, 0.9, 10_000)
    found = numbers_of(rng.normal(size=10_000), kept).time_constant
    assert found.mean == pytest.approx(-1 / np.log(kept).mean())
    assert found.low < found.mean < found.high


def test_a_short_text_gives_numbers_without_ends():
    found = numbers_of(np.random.default_rng(6).normal(size=600), None)
    assert np.isfinite([one.mean for one in found[:3]]).all()
    assert np.isnan([one.low for one in found[:3]]).all()


def test_the_interval_of_a_calibration_error_is_around_it_and_holds_nothing_where_chance_does():
    rng = np.random.default_rng(7)
    confidence = rng.uniform(0.3, 0.9, 20_000)
    correct = rng.random(20_000) < confidence - 0.05
    bins, blocks = (confidence * 10).astype(np.int64), np.arange(20_000) // 500
    error = calibration_error(confidence, correct, bins)
    found = error_interval(confidence - correct, bins, blocks, 0.01, 0)
    assert found.mean == pytest.approx(error)
    assert 0 < found.low < 0.05 < found.high < 0.07
    assert error_interval(confidence - correct, bins, blocks, 0.1, 0).low == 0
    one = error_interval(confidence - correct, bins, np.zeros(20_000, np.int64), 0.01, 0)
    assert np.isnan(one.low)
