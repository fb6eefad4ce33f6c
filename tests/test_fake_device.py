"""Training and evaluation on another device than the CPU, as far as one without values shows it."""

import numpy as np
import pytest
import torch
from fake_device import Watch

from charrnn.batches import DocumentBatches, StreamBatches
from charrnn.config import ModelConfig, TrainConfig
from charrnn.evaluate import score_blocks
from charrnn.model import Dropouts, LanguageModel
from charrnn.trainer import Session, make_optimizer, update

IDS = np.array([0, 1, 2, 3, 4] * 40, dtype=np.uint8)
CELLS = ["lstm", "gru", "rnn", "peephole"]


def network(cell="lstm", dropout=0.0, **sizes):
    config = ModelConfig(5, cell, **{"embedding_size": 8, "hidden_size": 16, **sizes})
    model = LanguageModel(config, Dropouts(dropout, dropout, dropout)).to("meta")
    if config.tie_weights:
        model.output.weight = model.embedding.weight  # which moving to "meta" alone parts
    with Watch(uploads=True):
        model.reset(3)
    return model


def session_on_meta(model, batches, **options):
    config = TrainConfig(
        max_steps=30, learning_rate=0.03, weight_decay=0.1, precision="fp32", **options
    )
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    optimizer = make_optimizer(model, config)
    return Session(model, optimizer, scaler, batches, config, None, steps_ahead=8)


@pytest.mark.parametrize("optimizer", ["adamw", "soap"])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 3])
def test_no_step_asks_for_a_value_or_mixes_devices(cell, dropout, optimizer, layers):
    model = network(cell, dropout, num_layers=layers)
    session = session_on_meta(model, StreamBatches(IDS, 4, 10, seed=3), optimizer=optimizer)
    for _ in range(12):
        with Watch(uploads=True) as watch:
            values = update(session, session.batches.next_window(), 0.01)
        session.step += 1
        assert values.device.type == "meta"
        assert "aten::_local_scalar_dense" not in watch.names


@pytest.mark.parametrize("changes", [{"embedding_size": 0}, {"embedding_size": 16}])
def test_no_step_with_one_hot_or_tied_inputs_asks_for_a_value(changes):
    model = network(tie_weights=changes["embedding_size"] == 16, **changes)
    session = session_on_meta(model, StreamBatches(IDS, 4, 10, seed=3), optimizer="adamw")
    with Watch(uploads=True):
        for _ in range(4):
            update(session, session.batches.next_window(), 0.01)


def test_no_step_over_documents_asks_for_a_value():
    session = session_on_meta(network(), DocumentBatches(IDS, 0, 4, 10, 3), optimizer="adamw")
    windows = [session.batches.next_window() for _ in range(6)]
    assert any(window.keep is not None and not window.keep.all() for window in windows)
    with Watch(uploads=True):
        for window in windows:
            update(session, window, 0.01)


@pytest.mark.parametrize("bos_id", [None, 0])
@pytest.mark.parametrize("cell", CELLS)
def test_an_evaluation_mixes_no_devices(cell, bos_id):
    with Watch(uploads=True):
        blocks = list(score_blocks(network(cell), IDS, bos_id, burn_in=7))
    num_targets = len(IDS) - (1 if bos_id is None else 40)
    assert sum(block.targets.numel() for block in blocks) >= num_targets
    assert all(block.logits.device.type == "meta" for block in blocks)


def test_weights_are_reset_to_the_same_values_on_any_device(monkeypatch):
    """A GPU refuses a generator of the CPU, whose numbers the weights are made from."""
    model, on_cpu = network("peephole"), LanguageModel(network("peephole").config)
    copy, made = torch.Tensor.copy_, []

    def watched(self, other):
        if self.device.type == "meta":
            made.append(other)
        return copy(self, other)

    monkeypatch.setattr(torch.Tensor, "copy_", watched)
    model.reset(9)
    on_cpu.reset(9)
    assert len(made) == len(list(model.parameters()))
    assert all(map(torch.equal, made, on_cpu.parameters()))
