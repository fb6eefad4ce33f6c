"""Dynamic evaluation: what it scores, its first step by hand, and that it learns from the text."""

import numpy as np
import pytest
import torch

from charrnn.adapting import Adaptation, Span, adapted_nats, spans
from charrnn.config import ModelConfig
from charrnn.evaluate import surprisals
from charrnn.model import LanguageModel

V = 9
FAST = Adaptation(rate=0.01)
RNG = np.random.default_rng(4)
DOCUMENTS = np.array([0, 3, 4, 5, 1, 0, 6, 1, 0, *RNG.integers(2, V, 40), 1])


def make(cell="lstm"):
    model = LanguageModel(ModelConfig(V, cell, embedding_size=4, hidden_size=13, num_layers=2))
    model.reset(5)
    return model


def scored(model, ids, how=None, bos_id=None):
    """-ln p of each token, (N,); nan where nothing scored it."""
    nats = np.full(len(ids), np.nan)
    for positions, found in adapted_nats(model, ids, bos_id, how):
        assert np.isnan(nats[positions]).all()
        nats[positions] = found
    return nats


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn", "peephole"])
@pytest.mark.parametrize(("ids", "bos_id"), [(RNG.integers(V, size=333), None), (DOCUMENTS, 0)])
def test_weights_that_stay_give_the_static_loss(cell, ids, bos_id):
    static = surprisals(make(cell), ids, bos_id, exact=True)
    found = scored(make(cell), ids, Adaptation(rate=0, window=7), bos_id)
    np.testing.assert_allclose(found, static, atol=1e-5)


def test_a_window_is_scored_before_anything_is_learnt_from_it():
    ids = RNG.integers(V, size=100)
    static = surprisals(make(), ids, exact=True)
    found = scored(make(), ids, Adaptation(rate=0.05, window=10))
    np.testing.assert_allclose(found[1:11], static[1:11], atol=1e-5)
    assert np.abs(found[11:] - static[11:]).max() > 0.01


def test_the_first_step_is_the_rate_against_the_sign_of_the_gradient_and_a_part_of_the_way_back():
    ids, model, origin = RNG.integers(V, size=30), make(), make()
    next(found := adapted_nats(model, ids, None, Adaptation(rate=0.01, decay=0.25, window=12)))
    next(found)  # the step after the first window
    logits, _ = origin(torch.from_numpy(ids[:12, None]))
    torch.nn.functional.cross_entropy(logits[:, 0], torch.from_numpy(ids[1:13])).backward()
    for name, parameter in origin.named_parameters():
        wanted = parameter - 0.75 * 0.01 * parameter.grad.sign()
        clear = parameter.grad.abs() > 1e-5
        moved = model.get_parameter(name)
        torch.testing.assert_close(moved[clear], wanted[clear], atol=1e-5, rtol=0)
        assert clear.float().mean() > 0.05


def test_later_steps_are_divided_by_the_mean_square_so_far():
    how = Adaptation(rate=0.01, decay=0.0, window=8, memory=0.9)
    ids, model, plain = RNG.integers(V, size=40), make(), make()
    steps = adapted_nats(model, ids, None, how)
    for _ in range(4):
        next(steps)
    squares, state = {name: 0.0 for name, _ in plain.named_parameters()}, None
    for step in (1, 2, 3):
        begin = 8 * (step - 1)
        logits, state = plain(torch.from_numpy(ids[begin : begin + 8, None]), state)
        state = tuple(part.detach() for part in state)
        targets = torch.from_numpy(ids[begin + 1 : begin + 9])
        plain.zero_grad()
        torch.nn.functional.cross_entropy(logits[:, 0], targets).backward()
        with torch.no_grad():
            for name, parameter in plain.named_parameters():
                squares[name] = 0.9 * squares[name] + 0.1 * parameter.grad**2
                mean = squares[name] / (1 - 0.9**step)
                parameter -= 0.01 * parameter.grad / (mean.sqrt() + 1e-8)
    for name, parameter in plain.named_parameters():
        seen = squares[name] > 1e-9
        torch.testing.assert_close(
            model.get_parameter(name)[seen], parameter[seen], atol=1e-4, rtol=0
        )


def test_a_text_that_repeats_itself_is_learnt_while_it_is_read():
    ids = np.tile(RNG.integers(V, size=20), 100)
    static, found = surprisals(make(), ids, exact=True), scored(make(), ids, FAST)
    assert np.nanmean(found) < 0.8 * np.nanmean(static)
    assert found[-100:].mean() < 0.5 * static[-100:].mean()


def test_spans_cover_each_text_and_begin_anew_with_each():
    assert list(spans(np.zeros(8), None, 3)) == [
        Span(0, 3, True),
        Span(3, 6, False),
        Span(6, 7, False),
    ]
    ids = np.array([0, 3, 4, 5, 1, 0, 6, 1])
    assert list(spans(ids, 0, 3)) == [Span(0, 3, True), Span(3, 4, False), Span(5, 7, True)]
