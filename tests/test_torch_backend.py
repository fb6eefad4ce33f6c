"""Batches in bfloat16: a step is near that of float32, whether or not weights can be laid out."""

import numpy as np
import pytest
import torch

from charrnn import onednn, torch_backend
from charrnn.config import ModelConfig
from charrnn.model import LanguageModel
from charrnn.packing import pack
from charrnn.stepper import Stepper
from charrnn.torch_backend import Bfloat16Backend

CONFIG = ModelConfig(11, embedding_size=6, hidden_size=40, num_layers=2)


def logits_after(backend=None, num_samples=5, length=7):
    model = LanguageModel(CONFIG)
    model.reset(4)
    stepper = Stepper(pack(CONFIG, model.to_weights()), num_samples, backend)
    tokens = np.random.default_rng(1).integers(0, 11, (length, num_samples))
    for column in tokens:
        logits = stepper.step(column)
    return logits[:, :11].copy()


@pytest.mark.parametrize("possible", [True, False])
def test_logits_are_those_of_float32_but_for_rounding(possible, monkeypatch):
    if possible and not onednn.is_possible():
        pytest.skip("this CPU does not multiply bfloat16, or torch lacks oneDNN")
    monkeypatch.setattr(torch_backend.onednn, "is_possible", lambda: possible)
    exact, found = logits_after(), logits_after(Bfloat16Backend())
    assert 0 < np.abs(found - exact).max() < 0.02 * np.abs(exact).max()


@pytest.mark.skipif(not onednn.is_possible(), reason="needs bfloat16 units and oneDNN")
def test_a_product_of_laid_out_weights_is_the_product():
    generator = torch.Generator().manual_seed(2)
    rows, weights = (
        torch.randn(size, 96, generator=generator).to(torch.bfloat16) for size in (9, 50)
    )
    found = onednn.product(rows, onednn.lay_out(weights, 9))
    exact = rows.float() @ weights.float().t()
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), exact, rtol=0.01, atol=0.01)


def test_without_hardware_or_operators_it_is_not_possible(monkeypatch):
    onednn.is_possible.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(onednn, "cpu_multiplies_bf16", lambda: False)
        assert not onednn.is_possible()
    onednn.is_possible.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(onednn, "NEEDED", ("an_operator_that_no_torch_has",))
        assert not onednn.is_possible()
    onednn.is_possible.cache_clear()
