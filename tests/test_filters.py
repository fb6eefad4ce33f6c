"""Each filter keeps the set of tokens that was worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.config import SampleConfig
from charrnn.errors import ConfigError, ModelError
from charrnn.filters import HEAD, filter_logits

SHARES = [0.1, 0.4, 0.05, 0.2, 0.25]  # from the likeliest: ids 1, 4, 3, 0, 2


def shares(probabilities, banned=None, seen=None, **options):
    """Return the shares (V,) that tokens with these `probabilities` are drawn by."""
    weights = filter_logits(np.log([probabilities]), SampleConfig(**options), banned, seen)
    return np.exp(weights[0]) / np.exp(weights[0]).sum()


def kept(probabilities, **options):
    return set(np.flatnonzero(shares(probabilities, **options)).tolist())


def test_by_default_nothing_is_filtered():
    assert shares(SHARES) == pytest.approx(SHARES, rel=1e-12)


def test_temperature_raises_the_shares_to_its_inverse():
    wanted = np.array(SHARES) ** (1 / 0.7)
    assert shares(SHARES, temperature=0.7) == pytest.approx(wanted / wanted.sum(), rel=1e-12)


@pytest.mark.parametrize("temperature", [5e-324, 1e-45, 1e-12, 0])
def test_a_tiny_temperature_leaves_the_likeliest(temperature):
    logits = np.array([[1.5, 2.5, -3e38, 2.4999998]], np.float32)
    weights = filter_logits(logits, SampleConfig(temperature=temperature))
    assert np.exp(weights[0]).tolist() == [0, 1, 0, 0]


@pytest.mark.parametrize("temperature", [1e30, 1.7e308])
def test_a_huge_temperature_makes_all_tokens_alike(temperature):
    assert shares(SHARES, temperature=temperature) == pytest.approx([0.2] * 5)


@pytest.mark.parametrize(
    ("k", "wanted"),
    [(1, {1}), (2, {1, 4}), (4, {0, 1, 3, 4}), (5, {0, 1, 2, 3, 4}), (10**15, {0, 1, 2, 3, 4})],
)
def test_top_k_keeps_the_k_likeliest(k, wanted):
    assert kept(SHARES, top_k=k) == wanted


def test_what_is_kept_shares_everything():
    assert shares(SHARES, top_k=2) == pytest.approx([0, 0.4 / 0.65, 0, 0, 0.25 / 0.65])


@pytest.mark.parametrize(
    ("k", "wanted"), [(1, {3}), (2, {1, 3}), (3, {1, 2, 3}), (4, {1, 2, 3, 4})]
)
def test_top_k_keeps_exactly_k_of_tied_tokens_the_lower_ids_first(k, wanted):
    assert kept([0.05, 0.2, 0.2, 0.3, 0.2, 0.05], top_k=k) == wanted


@given(st.lists(st.integers(0, 4), min_size=2, max_size=12), st.integers(1, 12))
def test_top_k_is_the_beginning_of_a_stable_sort(levels, k):
    k = min(k, len(levels))
    wanted = sorted(range(len(levels)), key=lambda i: -levels[i])[:k]
    weights = filter_logits(np.array([levels], float), SampleConfig(top_k=k))
    assert set(np.flatnonzero(np.isfinite(weights[0]))) == set(wanted)


@pytest.mark.parametrize(
    ("p", "wanted"),
    [
        (1e-9, {1}),
        (0.4, {1}),
        (0.41, {1, 4}),
        (0.65, {1, 4}),
        (0.85, {1, 3, 4}),
        (0.9, {0, 1, 3, 4}),
    ],
)
def test_top_p_keeps_the_smallest_set_that_reaches_p(p, wanted):
    assert kept(SHARES, top_p=p) == wanted


def test_top_p_takes_the_lower_ids_of_tied_tokens():
    assert kept([0.2] * 5, top_p=0.5) == {0, 1, 2}


@pytest.mark.parametrize("p", [0.3, 0.9999])
def test_top_p_of_a_large_vocabulary_is_that_of_a_full_sort(p):
    logits = np.random.default_rng(1).normal(0, 2, 5 * HEAD).round(1)  # with many ties
    share = np.exp(logits) / np.exp(logits).sum()
    order = sorted(range(len(share)), key=lambda i: -share[i])
    size = 1 + next(i for i in range(len(order)) if share[order[: i + 1]].sum() >= p)
    weights = filter_logits(logits[None], SampleConfig(top_p=p))
    assert set(np.flatnonzero(np.isfinite(weights[0]))) == set(order[:size])
    assert (size > HEAD) == (p > 0.5)


@pytest.mark.parametrize(
    ("p", "wanted"), [(0.1, {0, 1, 2, 3, 4}), (0.25, {0, 1, 3, 4}), (0.51, {1, 4}), (1, {1})]
)
def test_min_p_drops_what_is_under_its_share_of_the_likeliest(p, wanted):
    assert kept(SHARES, min_p=p) == wanted


def test_the_filters_come_in_order():
    # temperature 0.5 squares: 0.01 0.16 0.0025 0.04 0.0625 of 0.275; top-k leaves 1, 4, 3
    # (0.2625); top-p 0.8 of these needs 1 and 4 (0.2225), of all it would need 3 too
    assert kept(SHARES, temperature=0.5, top_k=3, top_p=0.84) == {1, 4}
    assert kept(SHARES, temperature=0.5, top_p=0.84) == {1, 3, 4}
    assert kept(SHARES, temperature=0.5, min_p=0.3) == {1, 4}  # 0.0625 / 0.16 = 0.39, 0.04 / 0.16
    assert kept(SHARES, min_p=0.3) == {1, 3, 4}


def test_banned_tokens_are_left_out_before_all_else():
    banned = np.array([False, True, False, False, False])
    assert shares(SHARES, banned) == pytest.approx([1 / 6, 0, 0.5 / 6, 2 / 6, 2.5 / 6])
    assert shares(SHARES, banned, top_k=2) == pytest.approx([0, 0, 0, 2 / 4.5, 2.5 / 4.5])


def test_each_sample_can_have_its_own_bans():
    banned = np.array([[True, False], [False, True]])
    weights = filter_logits(np.zeros((2, 2)), SampleConfig(), banned)
    assert weights.tolist() == [[-np.inf, 0], [0, -np.inf]]


def test_the_repetition_penalty_divides_positive_and_multiplies_negative_logits():
    logits = np.array([[2.0, -1.0, 0.5, 1.0]])
    seen = np.array([[True, True, False, False]])
    config = SampleConfig(repetition_penalty=1.6, temperature=0.8)
    weights = filter_logits(logits, config, None, seen)[0]
    wanted = np.array([2 / 1.6, -1.6, 0.5, 1.0]) / 0.8
    assert weights - weights[3] == pytest.approx(wanted - wanted[3])


def test_the_penalty_comes_after_the_ban():
    seen = banned = np.array([[True, False]])
    config = SampleConfig(repetition_penalty=5e-324)
    assert filter_logits(np.array([[9.0, 1.0]]), config, banned, seen)[0, 0] == -np.inf


def test_the_logits_are_not_changed():
    logits = np.array([[1.0, 2.0, 3.0]])
    filter_logits(logits, SampleConfig(top_k=1, repetition_penalty=2), None, np.ones((1, 3), bool))
    assert logits.tolist() == [[1, 2, 3]]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_network_gone_wrong_is_an_error(value):
    with pytest.raises(ModelError, match="not finite"):
        filter_logits(np.array([[1.0, value]]), SampleConfig())


def test_a_ban_on_everything_is_an_error():
    with pytest.raises(ConfigError, match="nothing can be drawn"):
        filter_logits(np.zeros((1, 2)), SampleConfig(), np.array([True, True]))


@pytest.mark.slow
@given(
    logits=st.lists(
        st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=8
    ),
    temperature=st.one_of(st.just(0.0), st.floats(0, 1.7e308)),
    top_k=st.integers(0, 9),
    top_p=st.floats(0, 1, exclude_min=True),
    min_p=st.floats(0, 1),
    penalty=st.floats(0, 1e6, exclude_min=True),
)
def test_whatever_is_asked_for_something_can_be_drawn(
    logits, temperature, top_k, top_p, min_p, penalty
):
    config = SampleConfig(
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        min_p=min_p,
        repetition_penalty=penalty,
    )
    seen = np.arange(len(logits))[None] % 2 == 0
    weights = filter_logits(np.array([logits], np.float32), config, None, seen)
    assert weights.max() == 0
    assert not np.isnan(weights).any()
