"""Tokens come as often as their probabilities say, from numbers that anyone can make again."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.config import SampleConfig
from charrnn.drawing import (
    Chooser,
    draw,
    log_probabilities,
    quick_draw,
    quick_draws,
    uniforms,
)
from charrnn.errors import ModelError
from charrnn.filters import filter_logits
from charrnn.tokenizer import Tokenizer

SHARES = np.array([0.1, 0.4, 0.05, 0.2, 0.25])
CHARS = Tokenizer("char", tuple("abcde"))
WITH_DOCUMENTS = Tokenizer("char", ("<s>", "</s>", "a", "b", "c"))
ALMOST_ONE = math.nextafter(1, 0)


def take(numbers, count):
    return [next(numbers) for _ in range(count)]


def chi_square(tokens, shares):
    """Return the statistic of what was drawn; its mean is the degrees of freedom."""
    wanted = np.asarray(shares) * len(tokens)
    found = np.bincount(tokens, minlength=len(shares))
    assert not found[wanted == 0].any()
    return sum((found - wanted)[wanted > 0] ** 2 / wanted[wanted > 0])


def test_the_numbers_are_those_of_philox_keyed_by_seed_and_index():
    generator = np.random.Generator(np.random.Philox(key=[2**63 - 1, 3]))
    assert take(uniforms(2**63 - 1, 3), 600) == [generator.random() for _ in range(600)]


def test_each_seed_and_each_sample_has_numbers_of_its_own():
    streams = {tuple(take(uniforms(seed, i), 4)) for seed in range(5) for i in range(5)}
    assert len(streams) == 25


@pytest.mark.parametrize(
    ("number", "token"),
    [(0, 0), (0.09, 0), (0.11, 1), (0.49, 1), (0.51, 2), (0.56, 3), (0.76, 4), (ALMOST_ONE, 4)],
)
def test_a_token_is_where_the_summed_shares_pass_the_number(number, token):
    assert draw(np.log(SHARES)[None], [number]).tolist() == [token]
    assert quick_draw(1.0, 5, ())(np.log(SHARES) + 7, number)[0] == token


def test_dropped_tokens_at_both_ends_are_never_drawn():
    weights = np.array([[-np.inf, 0.0, -np.inf, -1.0, -np.inf]] * 2)
    assert draw(weights, [0.0, ALMOST_ONE]).tolist() == [1, 3]


@given(st.lists(st.floats(-745, 0), min_size=1, max_size=9), st.floats(0, ALMOST_ONE))
def test_every_number_finds_a_token_that_has_weight(weights, number):
    weights = np.array([weights]) - max(weights)
    token = draw(weights, [number])[0]
    assert 0 <= token < weights.shape[1]
    assert np.exp(weights[0, token]) > 0


def test_draws_are_as_frequent_as_their_shares():
    quick, numbers = quick_draw(1.0, 5, ()), uniforms(11, 4)
    logits = np.log(SHARES).astype(np.float32)
    tokens = [quick(logits, next(numbers))[0] for _ in range(50_000)]
    assert chi_square(tokens, SHARES) < 18.5  # 4 degrees of freedom: one in a thousand is above


@pytest.mark.parametrize(
    ("options", "shares"),
    [
        ({}, SHARES),
        ({"temperature": 0.5}, SHARES**2 / 0.275),
        ({"top_k": 2}, np.array([0, 0.4, 0, 0, 0.25]) / 0.65),
        ({"top_p": 0.8}, np.array([0, 0.4, 0, 0.2, 0.25]) / 0.85),
        ({"min_p": 0.3}, np.array([0, 0.4, 0, 0.2, 0.25]) / 0.85),
    ],
)
def test_a_batch_draws_by_what_its_filters_leave(options, shares):
    chooser, numbers = Chooser(SampleConfig(**options), CHARS), uniforms(12, 0)
    size = 20_000
    chooser.start(size)
    logits = np.tile(np.log(SHARES), (size, 1))
    tokens, _ = chooser.choose(logits, take(numbers, size), [False] * size)
    assert chi_square(tokens, shares) < 18.5


@given(
    logits=st.lists(st.floats(-80, 80, width=32), min_size=5, max_size=5),
    temperature=st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, 1e300)),
    banned=st.sets(st.integers(0, 4), max_size=4),
    number=st.floats(0, ALMOST_ONE),
)
def test_the_quick_way_draws_what_the_long_way_draws(logits, temperature, banned, number):
    row = np.array(logits, np.float32)
    mask = np.isin(np.arange(5), list(banned))
    weights = filter_logits(row[None], SampleConfig(temperature=temperature), mask)
    wanted = draw(weights, [number])
    token, logprob = quick_draw(temperature, 5, sorted(banned))(row, number)
    if token != wanted[0]:  # the number lies on a border, to rounding
        sums = np.cumsum(np.exp(weights[0])) / np.exp(weights[0]).sum()
        assert np.abs(sums - number).min() < 1e-12
    else:
        assert logprob == pytest.approx(log_probabilities(row[None], wanted)[0], abs=1e-9)


@given(
    logits=st.lists(st.lists(st.floats(-80, 80, width=32), min_size=5, max_size=5), min_size=2),
    temperature=st.one_of(st.just(1.0), st.floats(1e-300, 1e300)),
    banned=st.sets(st.integers(0, 4), max_size=4),
    number=st.floats(0, ALMOST_ONE),
)
def test_the_quick_way_draws_a_batch_as_it_draws_each_row(logits, temperature, banned, number):
    rows, alone = np.array(logits, np.float32), quick_draw(temperature, 5, sorted(banned))
    numbers = [number, *np.random.default_rng(3).random(len(rows) - 1)]
    wanted = [alone(row, number) for row, number in zip(rows, numbers, strict=True)]
    found = quick_draws(temperature, sorted(banned))(rows, numbers)
    if found is None:
        unlikely = np.isin(rows.argmax(axis=1), list(banned))
        assert unlikely.any()
        return
    tokens, logprobs = found
    assert tokens == [token for token, _ in wanted]
    assert logprobs == pytest.approx([logprob for _, logprob in wanted], abs=1e-9)


def test_a_batch_with_a_row_that_is_not_finite_is_an_error():
    logits = np.zeros((3, 5), np.float32)
    logits[1, 2] = np.nan
    with pytest.raises(ModelError, match="not finite"):
        quick_draws(0.7, ())(logits, [0.5] * 3)


def test_a_batch_of_what_little_a_ban_leaves_is_left_to_the_long_way():
    logits = np.array([[1000.0, -1, -1, -5, -5], [0, 0, 0, 0, 0]])
    assert quick_draws(1.0, (0,))(logits, [0.5, 0.5]) is None
    tokenizer = Tokenizer("char", ("<s>", *"abcd"))
    chooser = Chooser(SampleConfig(), tokenizer)
    chooser.start(2)
    tokens, logprobs = chooser.choose(logits, [0.7, 0.7], [False] * 2)
    assert tokens == [2, 3]
    assert logprobs == pytest.approx([-1001, -math.log(5)])


def test_the_likeliest_is_found_beside_a_banned_one_that_is_far_likelier():
    logits = np.array([0, 1, 0, 1e-30], np.float32)
    assert quick_draw(0.0, 4, (1,))(logits, 0.5)[0] == 3


def test_a_banned_first_symbol_is_not_drawn_by_the_number_0():
    assert quick_draw(1.0, 3, (0,))(np.zeros(3), 0.0)[0] == 1


@pytest.mark.parametrize(
    ("options", "wanted"),
    [({"top_k": 2}, {1, 4}), ({"top_p": 0.5}, {1, 4}), ({"min_p": 0.6}, {1, 4})],
)
def test_one_sample_too_is_filtered(options, wanted):
    chooser = Chooser(SampleConfig(**options), CHARS)
    logits = np.log(SHARES)[None]
    assert {chooser.choose(logits, [n / 50], [False])[0][0] for n in range(50)} == wanted


@pytest.mark.parametrize("too_short", [False, True])
@pytest.mark.parametrize("options", [{}, {"top_k": 2}, {"repetition_penalty": 3.0}])
def test_one_sample_is_chosen_as_one_of_two(options, too_short):
    logits = np.log([[0.1, 0.4, 0.2, 0.05, 0.25]])
    one, two = (Chooser(SampleConfig(**options), WITH_DOCUMENTS, [4]) for _ in range(2))
    two.start(2)
    for number in np.linspace(0.01, 0.99, 30):
        tokens, logprobs = two.choose(logits.repeat(2, 0), [number] * 2, [too_short] * 2)
        token, logprob = one.choose_one(logits, number, too_short)
        assert [token] * 2 == tokens
        assert [logprob] * 2 == pytest.approx(logprobs)


def test_what_little_a_ban_leaves_is_drawn_from_faithfully():
    logits = np.array([1000.0, -1.0, -1.0 + math.log(3)])
    quick = quick_draw(1.0, 3, (0,))
    assert [quick(logits, number)[0] for number in (0.24, 0.26)] == [1, 2]
    assert quick(logits, 0.1)[1] == pytest.approx(-1001)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_the_quick_way_too_finds_a_network_gone_wrong(value):
    with pytest.raises(ModelError, match="not finite"):
        quick_draw(1.0, 3, ())(np.array([1, value, 2], np.float32), 0.5)


@pytest.mark.parametrize("options", [{}, {"temperature": 0.3}, {"top_k": 1}, {"temperature": 0}])
def test_the_probability_told_is_that_of_the_plain_softmax(options):
    chooser = Chooser(SampleConfig(**options), WITH_DOCUMENTS)
    tokens, logprobs = chooser.choose(np.log([[0.4, 0.1, 0.2, 0.25, 0.05]]), [0.5], [True])
    assert tokens == [3]
    assert logprobs == pytest.approx([math.log(0.25)])


@pytest.mark.parametrize("options", [{}, {"top_k": 4}])
def test_the_end_is_not_drawn_while_a_sample_is_too_short(options):
    chooser = Chooser(SampleConfig(**options), WITH_DOCUMENTS)
    chooser.start(2)
    logits = np.log([[0.01, 0.96, 0.01, 0.01, 0.01]] * 2)
    assert chooser.choose(logits, [0.5, 0.5], [True, False])[0] == [3, 1]
    chooser.keep([1])
    assert chooser.choose(logits[:1], [0.5], [True])[0] == [3]
    assert chooser.choose(logits[:1], [0.5], [False])[0] == [1]


def test_unknown_and_start_are_never_drawn():
    words = Tokenizer("word", ("<unk>", "<s>", "</s>", "a", "b"))
    chooser = Chooser(SampleConfig(top_k=2), words)
    logits = np.log([[0.4, 0.4, 0.1, 0.06, 0.04]])
    drawn = {chooser.choose(logits, [n / 10], [False])[0][0] for n in range(10)}
    assert drawn == {2, 3}


def test_the_penalty_looks_back_on_64_tokens_the_prompt_included():
    config = SampleConfig(temperature=0, repetition_penalty=4)
    chooser = Chooser(config, CHARS, [0, 0, 1] + [2] * 63)
    logits = np.array([[1.0, 3.0, 3.5, 0, 0]])  # 1 and 2 are penalized to 0.75 and 0.875
    assert chooser.choose(logits, [0.5], [False])[0] == [0]  # now 1 is the 65th
    assert chooser.choose(logits, [0.5], [False])[0] == [1]


def test_a_penalty_under_one_favours_what_was_read():
    chooser = Chooser(SampleConfig(temperature=0, repetition_penalty=0.5), CHARS, [3])
    assert chooser.choose(np.array([[1.9, 0, 0, 1, 0]]), [0.5], [False])[0] == [3]


def test_each_sample_is_penalized_for_its_own_tokens():
    chooser = Chooser(SampleConfig(temperature=0, repetition_penalty=4), CHARS)
    chooser.start(3)
    chooser.choose(np.eye(5)[[0, 1, 2]], [0.5] * 3, [False] * 3)
    logits = np.array([3.0, 2.9, 2.8, 1, 1])
    assert chooser.choose(np.tile(logits, (3, 1)), [0.5] * 3, [False] * 3)[0] == [1, 0, 0]
    chooser.keep([0, 2])
    assert chooser.choose(np.tile(logits, (2, 1)), [0.5] * 2, [False] * 2)[0] == [2, 1]


def test_argmax_takes_the_lower_of_tied_ids():
    chooser = Chooser(SampleConfig(temperature=0), CHARS)
    for number in (0, 0.5, ALMOST_ONE):
        assert chooser.choose(np.array([[1.0, 2, 0, 2, 2]]), [number], [False])[0] == [1]
