"""The sampled softmax: exact where all symbols take part, unbiased sums where not."""

import numpy as np
import pytest
import torch

from charrnn.batches import IGNORED
from charrnn.config import ModelConfig
from charrnn.model import LanguageModel
from charrnn.softmax import chances_of, count_symbols, full_loss, sampled_loss, unigram_bias

V, H = 40, 6


@pytest.fixture
def model():
    model = LanguageModel(ModelConfig(V, hidden_size=H, embedding_size=4))
    model.reset(2)
    with torch.no_grad():
        model.output.weight.mul_(4)
        model.output.bias.uniform_(-1, 1, generator=torch.Generator().manual_seed(1))
    model.generator = torch.Generator().manual_seed(5)
    return model


def some_vectors(num=7):
    generator = torch.Generator().manual_seed(3)
    hidden = torch.randn(num, 2, H, generator=generator, requires_grad=True)
    targets = torch.randint(V, (num, 2), generator=generator)
    targets[num // 3, 1] = targets[num * 2 // 3, 0] = IGNORED
    return hidden, targets


def test_with_all_chances_one_loss_and_gradients_are_the_full_ones(model):
    hidden, targets = some_vectors()
    wanted = [hidden, model.output.weight, model.output.bias]
    full = full_loss(model, hidden, targets)
    sampled = sampled_loss(model, hidden, targets, torch.ones(V))
    assert sampled.item() == pytest.approx(full.item(), rel=1e-6)
    for a, b in zip(
        torch.autograd.grad(full, wanted), torch.autograd.grad(sampled, wanted), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_the_sum_of_exponentials_is_right_in_expectation(model):
    hidden, _ = some_vectors(1)
    target = torch.tensor([[9, 9]])
    chances = torch.from_numpy(chances_of(np.full(V, 3), 15))
    logits = model.output(hidden).double()[0, 0].detach()
    expected = float(logits.exp().sum())
    with torch.no_grad():
        found = []
        for _ in range(4000):
            nats = sampled_loss(model, hidden[:, :1], target[:, :1], chances)
            found.append(float(torch.exp(nats.double() + logits[9])))
    error = np.std(found) / len(found) ** 0.5
    assert error < 0.02 * expected
    assert np.mean(found) == pytest.approx(expected, abs=4 * error)


def test_a_drawn_target_is_in_the_sum_once(model):
    hidden, _ = some_vectors(1)
    chances = torch.full((V,), 1e-9)
    chances[9] = 1.0  # only the target itself is drawn
    targets = torch.tensor([[9, IGNORED]])
    assert sampled_loss(model, hidden, targets, chances).item() == pytest.approx(0, abs=1e-6)


def test_nothing_drawn_and_no_target_are_no_error(model):
    hidden, targets = some_vectors()
    assert sampled_loss(model, hidden, targets, torch.full((V,), 1e-9)).item() == 0
    nothing = torch.full_like(targets, IGNORED)
    assert sampled_loss(model, hidden, nothing, torch.ones(V)).item() == 0


def test_chances_add_up_to_the_size_of_the_sample_and_frequent_symbols_are_sure():
    ids = np.repeat(np.arange(50), [2000, 1000, *[3] * 47, 0])
    chances = chances_of(count_symbols(ids, 50), 12)
    assert chances.sum() == pytest.approx(12, rel=1e-4)
    assert chances[0] == chances[1] == 1
    assert chances[2] == chances[40] < 1
    assert 0 < chances[49] < chances[48]
    assert chances[48] / chances[49] == pytest.approx(4**0.75, rel=1e-4)


def test_the_draw_depends_on_the_models_generator(model):
    hidden, targets = some_vectors()
    chances = torch.full((V,), 0.3)
    first, second = (sampled_loss(model, hidden, targets, chances).item() for _ in range(2))
    assert first != second
    model.generator.manual_seed(5)
    assert sampled_loss(model, hidden, targets, chances).item() == first


def test_the_first_bias_predicts_by_frequency():
    bias = unigram_bias(np.array([5, 0, 3]))
    assert np.exp(bias) == pytest.approx([6 / 11, 1 / 11, 4 / 11])
