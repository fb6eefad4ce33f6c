"""What is dropped and decays follows how often a network reads what it could learn by heart."""

import math

import numpy as np
import pytest

from charrnn.config import TrainConfig
from charrnn.costs import Facts, num_weights, window_tokens
from charrnn.dataset import Dataset
from charrnn.plan import make_plan
from charrnn.regularisers import DECAY_PASSES, choose_shares
from charrnn.session import make_setup
from charrnn.softmax import entropy_of
from charrnn.tokenizer import Tokenizer

NOTHING = {"dropout": 0.0, "weight_drop": 0.0, "input_dropout": 0.0}
LITTLE = {"dropout": 0.3, "weight_drop": 0.0, "input_dropout": 0.0}
MORE = {"dropout": 0.3, "weight_drop": 0.0, "input_dropout": 0.2}
MUCH = {"dropout": 0.3, "weight_drop": 0.0, "input_dropout": 0.4}
MOST = {"dropout": 0.4, "weight_drop": 0.0, "input_dropout": 0.5}


def words(num_tokens=400_000, vocab_size=8001, entropy=4.3, **facts):
    return Facts(num_tokens, vocab_size, "cpu", entropy=entropy, **facts)


def plan(facts, epochs, **options):
    return make_plan(TrainConfig(**{"hidden_size": 256, **options}, epochs=epochs), facts).config


def dropped(*asked, **options):
    config = plan(*asked, **options)
    return {name: getattr(config, name) for name in LITTLE}


def test_of_words_that_are_read_more_often_more_is_dropped():
    assert dropped(words(), 1) == NOTHING
    assert dropped(words(), 3) == LITTLE
    assert dropped(words(), 6) == MORE
    assert dropped(words(), 10) == MUCH
    assert dropped(words(), 60) == MOST
    assert dropped(words(), 10, input_dropout=0.2) == {**MUCH, "input_dropout": 0.2}


def test_what_counts_are_the_passes_and_the_weights_for_each_nat_of_the_text():
    assert dropped(words(1_600_000), 10) == LITTLE  # four times the text
    assert dropped(words(entropy=17.2), 10) == LITTLE  # words that say more
    assert dropped(words(vocab_size=1100), 10) == LITTLE  # fewer weights
    for hidden_size in (100, 300):
        asked = TrainConfig(hidden_size=hidden_size, num_layers=1, embedding_size=hidden_size)
        border = 5 * words().nats / num_weights(asked, words())
        found = [choose_shares(asked, words(), border * factor) for factor in (0.99, 1.01)]
        assert found == [LITTLE, MORE]


def test_words_of_a_small_text_are_read_with_fewer_units():
    def units(num_tokens):
        return make_plan(TrainConfig(max_time=3600.0), words(num_tokens)).config.hidden_size

    assert [units(n) for n in (50_000, 400_000, 600_000, 4_000_000)] == [128, 256, 384, 512]


def test_what_may_be_meant_to_be_learnt_by_heart_is_not_kept_from_it():
    assert dropped(words(held_out=False), 100) == LITTLE


def test_one_hot_words_are_not_dropped():
    assert dropped(words(), 100, embedding_size=0)["input_dropout"] == 0.0


@pytest.mark.parametrize("options", [{}, {"hidden_size": 400}, {"learning_rate": 0.01}])
def test_what_a_weight_learnt_of_words_lasts_as_many_passes(options):
    passes = 60
    config = plan(words(700_000), passes, **options)
    steps = round(passes * 700_000 / window_tokens(config))
    rates = config.learning_rate * (1 + np.cos(np.linspace(0, np.pi, steps))) / 2
    left = np.prod(1 - rates * config.weight_decay)  # of a weight without gradient
    assert np.log(left) == pytest.approx(-passes / DECAY_PASSES, rel=0.05)  # two digits


def test_a_huge_and_a_tiny_text_of_words_decay_within_bounds():
    assert plan(words(10**9), 1).weight_decay == 0.1
    assert plan(words(20_000), 1).weight_decay == 0.5
    assert plan(words(20_000), 1, weight_decay=0.3).weight_decay == 0.3
    assert plan(Facts(20_000, 65, "cpu"), 1).weight_decay == 0.1  # characters


def test_another_decay_than_the_usual_one_is_told():
    facts = words(400_000)
    asked = TrainConfig(max_steps=1000)
    assert ", weight decay 0.46, 1024 softmax samples" in make_plan(asked, facts).reason
    asked = TrainConfig(max_steps=1000, weight_decay=0.0)
    assert ", weight decay 0, 1024" in make_plan(asked, facts).reason
    assert "decay" not in make_plan(TrainConfig(), Facts(10**6, 65, "cpu")).reason


def test_an_unknown_entropy_is_that_of_symbols_alike():
    assert words(entropy=None).nats == pytest.approx(400_000 * math.log(8001))


def test_the_entropy_is_that_of_the_shares():
    assert entropy_of(np.array([2, 0, 1, 1])) == pytest.approx(1.5 * math.log(2))
    assert entropy_of(np.array([7, 0])) == 0.0


def test_a_run_counts_the_entropy_of_its_text():
    tokenizer = Tokenizer("char", tuple(chr(0x4E00 + i) for i in range(1100)))
    config = TrainConfig(hidden_size=64, epochs=4, device="cpu")
    found = []
    for num_symbols in (2, 1100):
        ids = np.arange(60_000, dtype=np.uint16) % num_symbols
        dataset = Dataset(tokenizer, ids, ids[:100], 0, (), (), ())
        found.append(make_setup(config, dataset, None).config.input_dropout)
    assert found == [0.2, 0.0]
