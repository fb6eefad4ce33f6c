"""The sizes and rates that a plan chooses from the text, the device and the vocabulary."""

import pytest

from charrnn.config import TrainConfig
from charrnn.costs import Facts
from charrnn.plan import make_plan

SHAKESPEARE = Facts(1_003_854, 65, "cpu")


def test_the_rate_falls_with_the_size_and_is_lower_for_plainer_cells():
    def rate(hidden_size, cell="lstm"):
        config = TrainConfig(max_steps=900, hidden_size=hidden_size, cell=cell)
        return make_plan(config, SHAKESPEARE).config.learning_rate

    assert rate(256) == pytest.approx(0.015)
    assert rate(1024) == pytest.approx(0.015 / 4**0.6, rel=0.05)
    assert [rate(256, cell) for cell in ("peephole", "gru", "rnn")] == pytest.approx(
        [0.015, 0.0075, 0.003]
    )


def test_a_small_text_has_a_small_network():
    def hidden(num_tokens):
        config = TrainConfig(max_time=3600.0)
        return make_plan(config, Facts(num_tokens, 65, "cpu")).config.hidden_size

    assert [hidden(n) for n in (10_000, 40_000, 60_000, 260_000)] == [128, 256, 512, 768]


def test_of_ten_minutes_a_long_text_makes_more_than_a_short_one():
    def hidden(num_tokens, seconds):
        config = TrainConfig(max_time=seconds)
        return make_plan(config, Facts(num_tokens, 65, "cpu")).config.hidden_size

    assert [hidden(n, 600.0) for n in (1_900_000, 2_100_000)] == [512, 768]
    assert [hidden(9_000_000, seconds) for seconds in (180.0, 399.0, 401.0)] == [512, 512, 768]


def test_of_three_minutes_a_short_text_makes_less():
    def hidden(num_tokens, seconds):
        config = TrainConfig(max_time=seconds)
        return make_plan(config, Facts(num_tokens, 65, "cpu")).config.hidden_size

    assert [hidden(n, 180.0) for n in (90_000, 250_000, 250_001)] == [384, 384, 512]
    assert [hidden(90_000, seconds) for seconds in (60.0, 399.0, 401.0)] == [256, 384, 512]
    assert [hidden(90_000, seconds) for seconds in (1800.0, 36_000.0)] == [512, 512]
    assert [hidden(250_001, seconds) for seconds in (1800.0, 36_000.0)] == [768, 1024]


def test_a_large_vocabulary_shares_one_matrix():
    def shape(vocab_size, **options):
        config = TrainConfig(max_time=3600.0, **options)
        config = make_plan(config, Facts(5_000_000, vocab_size, "cpu")).config
        return config.hidden_size, config.embedding_size, config.tie_weights

    assert shape(8003) == (512, 512, True)
    assert shape(65) == (768, 128, False)
    assert shape(8003, embedding_size=100) == (512, 100, False)
    assert shape(8003, tie_weights=False) == (512, 128, False)


def test_a_gpu_is_given_a_larger_network_in_the_same_time():
    config = TrainConfig(max_time=180.0)
    sizes = [
        make_plan(config, Facts(5_000_000, 65, device)).config.hidden_size
        for device in ("cpu", "cuda")
    ]
    assert sizes[0] < sizes[1]
