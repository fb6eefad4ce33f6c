"""Areas, shifts and intervals: each equal to its definition, and each error rate as promised."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.views.resampling import (
    MIN_BLOCK,
    accuracy_interval,
    auc_interval,
    block_size,
    correlation_interval,
    explained_interval,
)
from charrnn.views.statistics import (
    auc,
    autocorrelation_time,
    average_ranks,
    fast_length,
    guard_of,
    holm,
    shift_maxima,
    shift_p_value,
    standardize,
    token_means,
    without_token,
)


def slow_noise(rng, num, size, time):
    """Return (num, size) series that forget with a time constant."""
    keep = np.exp(-1 / time)
    noise = rng.normal(size=(num, size))
    out = np.zeros_like(noise)
    state = rng.normal(size=num)
    for step in range(size):
        state = keep * state + np.sqrt(1 - keep**2) * noise[:, step]
        out[:, step] = state
    return out


def toggled(rng, size, mean_run):
    """Return a feature like quotes: on and off in runs of random lengths."""
    return (np.cumsum(rng.random(size) < 1 / mean_run) % 2).astype(float)


@given(st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=1, max_size=30))
def test_the_area_is_the_share_of_pairs_in_order(rows):
    values, on = np.array([r[0] for r in rows], float), np.array([r[1] for r in rows])
    pairs = [(a > b) + (a == b) / 2 for a in values[on] for b in values[~on]]
    if pairs:
        assert auc(values, on) == pytest.approx(np.mean(pairs), abs=1e-12)
    else:
        assert np.isnan(auc(values, on))


def test_equal_values_share_their_ranks():
    assert average_ranks(np.array([5.0, 1, 5, 2])).tolist() == [3.5, 1, 3.5, 2]


def test_all_shifts_by_fft_are_those_of_the_slow_loop():
    rng = np.random.default_rng(3)
    units = standardize(rng.normal(size=(5, 90)))
    features = standardize(rng.normal(size=(3, 90)))
    slow = np.array([[np.abs(units @ np.roll(f, k)).max() for k in range(90)] for f in features])
    assert np.abs(shift_maxima(units, features) - slow).max() < 1e-6


def test_the_guard_leaves_out_the_neighbours_of_the_true_alignment_on_both_sides():
    maxima = np.array([9, 8, 8, 1, 2, 1, 1, 1, 8, 8], np.float32)
    assert shift_p_value(maxima, 9, guard=2) == 1 / 6
    assert shift_p_value(maxima, 2, guard=2) == 2 / 6
    assert shift_p_value(maxima, 8, guard=1) == 3 / 8
    assert guard_of([3.0, 7.1], 1000) == 36
    assert guard_of([900.0], 1000) == 250


def test_standardized_series_correlate_by_their_product_and_constants_with_nothing():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 50))
    product = float(standardize(a) @ standardize(b))
    assert product == pytest.approx(np.corrcoef(a, b)[0, 1], abs=1e-6)
    assert (standardize(np.full(50, 0.1)) == 0).all()


@pytest.mark.slow
def test_the_autocorrelation_time_of_a_leak_is_known():
    rng = np.random.default_rng(1)
    keep = np.exp(-1 / 20)
    (series,) = slow_noise(rng, 1, 200_000, 20)
    assert autocorrelation_time(series) == pytest.approx((1 + keep) / (1 - keep), rel=0.15)
    assert autocorrelation_time(rng.normal(size=20_000)) == pytest.approx(1, abs=0.2)
    assert autocorrelation_time(np.ones(30)) == 1


def test_fast_lengths_have_small_factors_only():
    for size in (1, 7, 97, 1000, 54_321):
        found = fast_length(size)
        assert found <= size < 1.07 * found + 1
        for factor in (2, 3, 5):
            while found % factor == 0:
                found //= factor
        assert found == 1


def test_holm_adjusts_step_by_step():
    assert holm([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_what_the_token_tells_is_taken_out():
    rng = np.random.default_rng(2)
    tokens = rng.integers(4, size=500)
    echo = tokens[None] * 0.3 + 1
    assert np.abs(without_token(echo.astype(np.float32), tokens, 9)).max() < 1e-5
    values = rng.normal(size=(3, 500)).astype(np.float32)
    means = token_means(values, tokens, 9)
    assert means[1, 2] == pytest.approx(values[1, tokens == 2].mean(), abs=1e-5)
    assert (means[:, 5] == 0).all()


def family_errors(num_runs, num_units, size, level=0.05):
    """Return how often the null finds something in noise, over `num_runs` families."""
    found = 0
    for seed in range(num_runs):
        rng = np.random.default_rng(seed)
        units = slow_noise(rng, num_units, size, 50)
        features = np.stack([toggled(rng, size, 40), toggled(rng, size, 15)])
        ranks = standardize(np.stack([average_ranks(u) for u in units]))
        maxima = shift_maxima(ranks, standardize(features))
        p = [
            shift_p_value(m, m[0], guard_of([autocorrelation_time(f), 100.0], size))
            for m, f in zip(maxima, features, strict=True)
        ]
        found += min(holm(p)) < level
    return found / num_runs


@pytest.mark.slow
def test_the_null_finds_in_noise_what_it_promises_and_not_more():
    assert family_errors(40, 16, 4000) <= 0.125


@pytest.mark.torture
def test_the_family_error_over_256_slow_cells_is_about_five_percent():
    assert 0.01 < family_errors(300, 256, 20_000) < 0.09


def test_the_naive_test_finds_most_noise_cells_significant():
    rng = np.random.default_rng(0)
    units, feature = slow_noise(rng, 64, 20_000, 50), toggled(rng, 20_000, 40)
    on = feature > 0
    deviation = np.sqrt((on.sum() + (~on).sum() + 1) / (12 * on.sum() * (~on).sum()))
    naive = [abs(auc(unit, on) - 0.5) > 1.96 * deviation for unit in units]
    assert np.mean(naive) > 0.6


def test_blocks_are_twice_the_longest_run_but_at_least_500():
    feature = np.zeros(5000)
    feature[100:500] = 1
    feature[700:720] = 1
    assert block_size(feature, True) == 800
    assert block_size(feature[600:], True) == MIN_BLOCK
    assert block_size(feature, False) == MIN_BLOCK


def test_a_perfect_unit_has_the_area_one_and_no_width():
    on = toggled(np.random.default_rng(1), 6000, 40) > 0
    found = auc_interval(0.9 * on, on, 500)
    assert found == (1.0, 1.0, 1.0)
    few = auc_interval(0.9 * on[:1000], on[:1000], 500)
    assert few.mean == 1
    assert np.isnan(few.low)


def test_the_draws_of_an_area_are_around_the_exact_one():
    rng = np.random.default_rng(4)
    on = toggled(rng, 20_000, 40) > 0
    values = slow_noise(rng, 1, 20_000, 5)[0] + on
    found = auc_interval(values, on, 500)
    assert found.low < found.mean < found.high
    assert 0.01 < found.high - found.low < 0.1
    assert abs((found.low + found.high) / 2 - found.mean) < 0.005


@pytest.mark.slow
def test_nineteen_of_twenty_intervals_hold_the_truth():
    held = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        shared, a, b = slow_noise(rng, 3, 8000, 8)
        found = correlation_interval(shared + a, shared + b, 500, 300, seed=seed)
        held += found.low < 0.5 < found.high
    assert held >= 50


def test_the_squared_correlation_is_that_of_numpy():
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=(2, 4000))
    b += 0.4 * a
    found = correlation_interval(a + 1000, b, 500, squared=True)
    assert found.mean == pytest.approx(np.corrcoef(a, b)[0, 1] ** 2, abs=1e-9)
    assert 0 < found.low < found.mean < found.high
    assert correlation_interval(np.ones(4000), b, 500).mean == 0


def test_the_balanced_accuracy_is_the_mean_of_both_shares_with_ends_around_it():
    rng = np.random.default_rng(8)
    on = rng.random(6000) < 0.1
    right = rng.random(6000) < np.where(on, 0.6, 0.9)
    found = accuracy_interval(right, on, 500)
    assert found.mean == pytest.approx((right[on].mean() + right[~on].mean()) / 2)
    assert found.low < 0.75 < found.high
    assert 0.02 < found.high - found.low < 0.1


def test_the_explained_share_is_one_less_what_is_left_with_ends_around_it():
    rng = np.random.default_rng(10)
    guesses = rng.normal(size=6000)
    values = guesses + rng.normal(size=6000)
    found = explained_interval(values, guesses, 500)
    assert found.mean == pytest.approx(1 - ((values - guesses) ** 2).mean() / values.var())
    assert found.low < 0.5 < found.high
    assert explained_interval(values, np.full(6000, values.mean()), 500).mean == pytest.approx(0)
