"""Batches in bfloat16: a step is near that of float32, whether or not weights can be laid out."""

import numpy as np
import pytest

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
@pytest.mark.parametrize("num_rows", [2, 33, 127, 128])
def test_weights_laid_out_for_a_group_serve_smaller_ones(num_rows):
    rng = np.random.default_rng(num_rows)
    matrix = rng.standard_normal((513, 600), np.float32)
    rows = rng.standard_normal((num_rows, 513), np.float32)
    found = np.empty((num_rows, 600), np.float32)
    Bfloat16Backend().product(rows, matrix, found)()
    np.testing.assert_allclose(found, rows @ matrix, atol=0.5)
    assert np.abs(found - rows @ matrix).mean() < 0.1
