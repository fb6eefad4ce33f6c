"""What is dropped and decays follows how often a network reads what it could learn by heart."""

import math
from dataclasses import replace

import numpy as np
import pytest

from charrnn.config import ModelConfig, TrainConfig
from charrnn.costs import Facts, expected_passes, expected_steps, window_tokens
from charrnn.dataset import Dataset
from charrnn.model import LanguageModel, num_parameters
from charrnn.plan import make_plan
from charrnn.regularisers import DECAY_PASSES, choose_dropouts
from charrnn.session import make_setup
from charrnn.softmax import entropy_of
from charrnn.tokenizer import Tokenizer

NOTHING = {"dropout": 0.0, "weight_drop": 0.0, "input_dropout": 0.0}
LITTLE = {"dropout": 0.3, "weight_drop": 0.0, "input_dropout": 0.0}
MUCH = {"dropout": 0.3, "weight_drop": 0.0, "input_dropout": 0.4}
MOST = {"dropout": 0.4, "weight_drop": 0.0, "input_dropout": 0.5}


def words(num_tokens=400_000, vocab_size=8001, entropy=4.3, **facts):
    return Facts(num_tokens, vocab_size, "cpu", unigram_entropy=entropy, **facts)


def plan(facts, epochs, **options):
    return make_plan(TrainConfig(**{"hidden_size": 256, **options}, epochs=epochs), facts).config


def dropped(*asked, **options):
    config = plan(*asked, **options)
    return {name: getattr(config, name) for name in LITTLE}


def test_of_words_that_are_read_more_often_more_is_dropped():
    assert dropped(words(), 1) == NOTHING
    assert dropped(words(), 3) == LITTLE
    assert dropped(words(), 8) == MUCH
    assert dropped(words(), 60) == MOST
    assert dropped(words(), 10, input_dropout=0.2) == {**MUCH, "input_dropout": 0.2}


def test_what_counts_are_the_passes_and_the_weights_for_each_nat_of_the_text():
    assert dropped(words(1_600_000), 10) == LITTLE  # four times the text
    assert dropped(words(entropy=17.2), 10) == LITTLE  # words that say more
    assert dropped(words(vocab_size=1100), 10) == LITTLE  # fewer weights


@pytest.mark.parametrize(
    ("border", "below", "above"), [(2, NOTHING, LITTLE), (10, LITTLE, MUCH), (60, MUCH, MOST)]
)
@pytest.mark.parametrize("options", [{}, {"num_layers": 2}, {"tie_weights": False}])
def test_the_borders_are_in_passes_times_weights_for_each_nat(border, below, above, options):
    config = plan(words(), 1, **options)
    model = LanguageModel(
        ModelConfig(
            8001,
            hidden_size=config.hidden_size,
            embedding_size=config.embedding_size,
            num_layers=config.num_layers,
            tie_weights=config.tie_weights,
        )
    )
    passes = border * words().unigram_nats / num_parameters(model)
    found = [choose_dropouts(config, words(), passes * factor) for factor in (0.97, 1.03)]
    assert found == [below, above]


def test_words_of_a_small_text_are_read_with_fewer_units():
    def units(num_tokens):
        return make_plan(TrainConfig(max_time=3600.0), words(num_tokens)).config.hidden_size

    assert [units(n) for n in (50_000, 400_000, 600_000, 4_000_000)] == [128, 256, 384, 512]


def test_what_may_be_meant_to_be_learnt_by_heart_is_not_kept_from_it():
    facts = words(held_out=False)
    assert dropped(facts, 100) == LITTLE
    assert plan(facts, 100).weight_decay == 0.1
    assert make_plan(TrainConfig(max_time=3600.0), facts).config.hidden_size == 512


def test_what_an_earlier_model_knows_does_not_decay_faster():
    assert plan(words(is_pretrained=True), 100).weight_decay == 0.1


def test_each_document_fills_a_window_of_its_own():
    short = words(num_documents=40_000)  # of 10 tokens: in a pass as many windows as of 64
    assert plan(short, 1, batch_size=32).weight_decay == 0.1
    assert plan(words(num_documents=4), 1, batch_size=4, seq_length=512).weight_decay == 0.46
    config = plan(short, 3, batch_size=32)
    assert expected_steps(config, short) == pytest.approx(3 * 40_000 / 32)
    asked = replace(config, epochs=None, max_steps=5000)
    assert expected_passes(asked, short) == pytest.approx(4)


def test_a_text_of_one_word_is_a_text():
    assert dropped(words(entropy=0.0), 1) == MOST


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
    assert plan(words(20_000), 1).weight_decay == 1.0
    assert plan(words(20_000), 1, weight_decay=0.3).weight_decay == 0.3
    assert plan(Facts(20_000, 65, "cpu"), 1).weight_decay == 0.1  # characters


def test_another_decay_than_the_usual_one_is_told():
    facts = words()
    asked = TrainConfig(max_steps=1000)
    assert ", weight decay 0.46, 1024 softmax samples" in make_plan(asked, facts).reason
    asked = TrainConfig(max_steps=1000, weight_decay=0.0)
    assert ", weight decay 0, 1024" in make_plan(asked, facts).reason
    assert "decay" not in make_plan(TrainConfig(), Facts(10**6, 65, "cpu")).reason


def test_an_unknown_entropy_is_that_of_symbols_alike():
    assert words(entropy=None).unigram_nats == pytest.approx(400_000 * math.log(8001))


def test_the_entropy_is_that_of_the_shares():
    assert entropy_of(np.array([2, 0, 1, 1])) == pytest.approx(1.5 * math.log(2))
    assert entropy_of(np.array([7, 0])) == 0.0


def made(num_symbols, initial=None):
    """Return the whole configuration of a run over a text of as many of 1,100 symbols."""
    tokenizer = Tokenizer("char", tuple(chr(0x4E00 + i) for i in range(1100)))
    ids = np.arange(60_000, dtype=np.uint16) % num_symbols
    dataset = Dataset(tokenizer, ids, ids[:100], 0, (), (), ())
    asked = TrainConfig(hidden_size=64, epochs=9, device="cpu")
    return make_setup(asked, dataset, initial).config


def test_a_run_counts_the_entropy_of_its_text():
    assert [made(num).input_dropout for num in (1, 2, 1100)] == [0.5, 0.4, 0.0]


def test_a_run_that_begins_as_an_earlier_model_keeps_what_that_knows():
    assert made(1100).weight_decay > made(1100, initial=object()).weight_decay == 0.1
