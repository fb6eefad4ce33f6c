import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from charrnn.config import ModelConfig
from charrnn.evaluate import (
    Evaluation,
    StoppedError,
    evaluate,
    score_blocks,
    surprisals,
    window_length,
)
from charrnn.model import Dropouts, LanguageModel

V = 7
SIZES = (np.full(V, 2), np.full(V, 3))
GPU = torch.device("cuda")
RNG = np.random.default_rng(0)


def make(kind="lstm", scale=1.0):
    model = LanguageModel(ModelConfig(V, kind, embedding_size=5, hidden_size=11, num_layers=2))
    model.reset(3)
    with torch.no_grad():
        model.output.weight.mul_(scale)
    return model.eval()


def single_pass(model, ids):
    """-ln p of each token but the first, one window over the whole text."""
    with torch.no_grad():
        logits, _ = model(torch.from_numpy(ids[:-1, None].astype(np.int64)))
    log_p = logits[:, 0].double().log_softmax(-1).numpy()
    return -log_p[np.arange(len(ids) - 1), ids[1:]]


def test_a_uniform_model_scores_log_vocab_size_in_every_unit():
    model = make()
    torch.nn.init.zeros_(model.output.weight)
    result = evaluate(model, RNG.integers(V, size=501), SIZES, num_unknown=4)
    assert result.num_tokens == 500
    assert result.loss == pytest.approx(math.log(V))
    assert result.perplexity == pytest.approx(V)
    assert result.bits_per_char == pytest.approx(math.log2(V) / 2)
    assert result.bits_per_byte == pytest.approx(math.log2(V) / 3)
    assert result.num_unknown == 4


@pytest.mark.parametrize("length", [2, 3, 50, 101, 1000, 5003])
@pytest.mark.parametrize("exact", [True, False])
def test_every_token_but_the_first_is_scored_once(length, exact):
    ids = RNG.integers(V, size=length)
    seen = np.zeros(length, dtype=int)
    for block in score_blocks(make(), ids, exact=exact, burn_in=100):
        real = (block.targets >= 0).numpy()
        np.add.at(seen, block.positions[real], 1)
        assert (ids[block.positions[real]] == block.targets.numpy()[real]).all()
    assert seen.tolist() == [0] + [1] * (length - 1)


def test_the_exact_evaluation_is_the_single_pass():
    model, ids = make(scale=4), RNG.integers(V, size=1500)
    expected = single_pass(model, ids)
    np.testing.assert_allclose(surprisals(model, ids, exact=True)[1:], expected, atol=1e-5)
    assert np.isnan(surprisals(model, ids)[0])
    result = evaluate(model, ids, SIZES, exact=True)
    assert result.loss == pytest.approx(expected.mean(), abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_parallel_rows_agree_with_one_pass_within_a_ten_thousandth(kind):
    model, ids = make(kind, scale=4), RNG.integers(V, size=20_000).astype(np.uint8)
    exact = evaluate(model, ids, SIZES, exact=True)
    rows = evaluate(model, ids, SIZES)
    assert rows.num_tokens == exact.num_tokens == 19_999
    assert rows.loss == pytest.approx(exact.loss, abs=1e-4)
    assert evaluate(model, ids, SIZES, burn_in=256).loss == pytest.approx(exact.loss, abs=1e-3)


def test_a_quick_evaluation_in_bfloat16_agrees_within_a_thousandth():
    model, ids = make(scale=4), RNG.integers(V, size=20_000).astype(np.uint8)
    exact = evaluate(model, ids, SIZES, exact=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        quick = evaluate(model, ids, SIZES, burn_in=256)
    assert quick.loss == pytest.approx(exact.loss, abs=1e-3)
    assert quick.loss != exact.loss


def test_burn_in_is_read_but_not_scored():
    """With a burn-in of one token each row forgets: the loss then differs from the one pass."""
    model, ids = make(scale=8), RNG.integers(V, size=3000)
    exact = evaluate(model, ids, SIZES, exact=True).loss
    assert abs(evaluate(model, ids, SIZES, burn_in=1).loss - exact) > 1e-6
    assert abs(evaluate(model, ids, SIZES, burn_in=400).loss - exact) < 1e-6


def test_documents_are_scored_one_by_one_from_a_zero_state():
    model, bos, expected, ids = make(scale=4), 0, 0.0, []
    for length in [4, 1, 30, 700, 2, 2]:
        document = np.array([bos, *RNG.integers(2, V, size=length), 1])
        expected += single_pass(model, document).sum()
        ids += document.tolist()
    result = evaluate(model, np.array(ids, dtype=np.uint8), SIZES, bos_id=bos)
    assert result.num_tokens == len(ids) - 6
    assert result.nats == pytest.approx(expected, rel=1e-6)


def test_dropout_is_off_and_the_mode_is_put_back():
    model = LanguageModel(ModelConfig(V), Dropouts(hidden=0.5))
    model.reset(0)
    model.train()
    ids = RNG.integers(V, size=90)
    assert evaluate(model, ids, SIZES) == evaluate(model, ids, SIZES)
    assert model.training


def test_an_evaluation_stops_when_it_is_asked_to():
    model = make()
    with pytest.raises(StoppedError):
        evaluate(model, RNG.integers(V, size=90), SIZES, stop=lambda: True)


def test_logits_held_at_a_time_are_bounded_whatever_the_vocabulary():
    model = make()
    for rows, vocab in [(128, 65), (128, 33_278), (1, 10**6)]:
        assert 1 <= window_length(rows, vocab, model) * rows * vocab <= max(1 << 22, rows * vocab)


def test_a_gpu_is_given_longer_windows():
    """It is launches that cost there."""
    on_gpu = SimpleNamespace(output=SimpleNamespace(bias=SimpleNamespace(device=GPU)))
    assert window_length(128, 4096, on_gpu) == 16 * window_length(128, 4096, make()) == 128
    assert window_length(1, 65, on_gpu) == 512


def test_numbers_that_overflow_or_are_not_there_are_said_honestly():
    assert Evaluation(1e6, 10, 10).perplexity == math.inf
    assert math.isnan(Evaluation(1.0, 1, 0).bits_per_char)
