"""Streams dealt to threads: the same gradients as in one piece, and the same bits each time."""

from functools import partial

import numpy as np
import pytest
import torch

from charrnn.batches import IGNORED, Window
from charrnn.config import ModelConfig
from charrnn.losses import sum_losses
from charrnn.model import Dropouts, LanguageModel
from charrnn.shards import Shards, deal, num_shards

FORWARD = partial(sum_losses, precision="fp32")


@pytest.fixture(autouse=True)
def threads_as_before():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def network(kind="lstm", dropout=0.0, layers=2):
    sizes = ModelConfig(7, kind, embedding_size=6, hidden_size=12, num_layers=layers)
    model = LanguageModel(sizes, Dropouts(dropout, dropout, dropout))
    model.reset(3)
    return model.train()


def random_window(streams=11, length=9, seed=0):
    rng = np.random.default_rng(seed)
    inputs, targets = rng.integers(0, 7, (2, length, streams))
    targets[rng.random(targets.shape) < 0.2] = IGNORED
    keep = rng.random(streams) < 0.7
    return Window(inputs, targets, keep, int((targets != IGNORED).sum()))


def random_state(streams=11, layers=2, parts=2):
    generator = torch.Generator().manual_seed(5)
    return tuple(torch.randn(layers, streams, 12, generator=generator) for _ in range(parts))


@pytest.mark.parametrize(("kind", "parts"), [("lstm", 2), ("gru", 1), ("rnn", 1), ("peephole", 2)])
@pytest.mark.parametrize("count", [2, 3])
def test_gradients_loss_and_state_are_those_of_the_batch_in_one_piece(kind, parts, count):
    model, window, state = network(kind), random_window(), random_state(parts=parts)
    total, expected_state = FORWARD(model, window, state)
    loss = total / window.num_targets
    expected = torch.autograd.grad(loss, list(model.parameters()))
    shards = Shards(model, count, count)
    found, after = shards.gradients(FORWARD, window, state, torch.Generator())
    assert float(found) == pytest.approx(loss.item(), rel=1e-6)
    for parameter, gradient in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-5, atol=1e-7)
    for part, whole in zip(after, expected_state, strict=True):
        torch.testing.assert_close(part, whole, rtol=1e-5, atol=1e-6)


def test_no_two_parameters_share_a_gradient():
    model = network("lstm")
    Shards(model, 2, 2).gradients(FORWARD, random_window(), random_state(), torch.Generator())
    places = {parameter.grad.data_ptr() for parameter in model.parameters()}
    assert len(places) == len(list(model.parameters()))


def dropped(seed, count=2):
    model = network(dropout=0.4)
    generator = torch.Generator().manual_seed(seed)
    shards = Shards(model, count, count)
    for number in range(3):
        shards.gradients(FORWARD, random_window(seed=number), random_state(), generator)
    return [parameter.grad.tolist() for parameter in model.parameters()]


def test_dropout_depends_on_the_generator_alone():
    assert dropped(1) == dropped(1)
    assert dropped(1) != dropped(2)


def test_each_shard_and_each_step_drops_other_units():
    model = network(dropout=0.5)
    shards = Shards(model, 2, 2)
    column = np.tile(np.random.default_rng(1).integers(0, 7, (9, 1)), 16)
    window = Window(column, column, None, column.size)
    halves = []
    shards.pool.submit(lambda: None).result()
    run = shards._part
    shards._part = lambda *a: halves.append(run(*a)[1].item()) or run(*a)
    generator = torch.Generator().manual_seed(0)
    for _ in range(2):
        shards.gradients(FORWARD, window, None, generator)
    assert len(set(halves)) == 4


def test_new_weights_are_seen_by_every_shard():
    model, window = network(), random_window()
    shards = Shards(model, 2, 2)
    before, _ = shards.gradients(FORWARD, window, None, torch.Generator())
    model.reset(99)
    after, _ = shards.gradients(FORWARD, window, None, torch.Generator())
    expected, _ = FORWARD(model, window, None)
    assert float(before) != float(after)
    assert float(after) == pytest.approx(expected.item() / window.num_targets, rel=1e-6)


def test_threads_of_shards_run_on_their_own_cores_and_the_caller_on_all():
    shards = Shards(network(), 2, 6)
    assert [f.result() for f in [shards.pool.submit(torch.get_num_threads) for _ in range(4)]] == [
        3
    ] * 4
    assert torch.get_num_threads() == 6


def test_every_stream_is_dealt_once():
    window, state = random_window(streams=13), random_state(streams=13)
    parts = [deal(window, state, begin, end) for begin, end in ((0, 4), (4, 8), (8, 13))]
    assert np.concatenate([p.inputs for p, _ in parts], axis=1).tolist() == window.inputs.tolist()
    assert np.concatenate([p.targets for p, _ in parts], axis=1).tolist() == window.targets.tolist()
    assert np.concatenate([p.keep for p, _ in parts]).tolist() == window.keep.tolist()
    assert torch.equal(torch.cat([s[1] for _, s in parts], dim=1), state[1])


@pytest.mark.parametrize(
    ("device", "threads", "batch", "count"),
    [
        ("cpu", 2, 32, 2),
        ("cpu", 1, 32, 1),
        ("cpu", 16, 32, 4),
        ("cpu", 4, 7, 1),
        ("cuda", 8, 64, 1),
    ],
)
def test_a_shard_has_at_least_eight_streams_and_a_gpu_has_one(device, threads, batch, count):
    model = ModelConfig(65, hidden_size=512, embedding_size=128)
    assert num_shards(model, device, threads, batch, "fp32") == count


@pytest.mark.parametrize(("hidden", "layers", "count"), [(512, 1, 2), (512, 2, 1), (384, 2, 2)])
def test_a_wide_layer_is_not_dealt_to_threads_in_float32(hidden, layers, count):
    model = ModelConfig(65, hidden_size=hidden, embedding_size=128, num_layers=layers)
    assert num_shards(model, "cpu", 2, 32, "fp32") == count


@pytest.mark.parametrize(
    ("kind", "threads", "batch", "possible", "count"),
    [
        ("lstm", 2, 32, True, 2),
        ("lstm", 4, 32, True, 4),
        ("lstm", 8, 32, True, 1),  # cores would be idle
        ("gru", 2, 32, True, 1),
        ("lstm", 2, 32, False, 1),
    ],
)
def test_a_wide_lstm_in_bfloat16_is_dealt_a_thread_a_core(
    kind, threads, batch, possible, count, monkeypatch
):
    monkeypatch.setattr("charrnn.shards.is_possible", lambda: possible)
    model = ModelConfig(65, kind, hidden_size=768, embedding_size=128)
    assert num_shards(model, "cpu", threads, batch, "bf16") == count
    assert num_shards(model, "cuda", threads, batch, "bf16") == 1


def test_an_error_in_a_shard_is_raised():
    shards = Shards(network(), 2, 2)

    def broken(model, window, state):
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        shards.gradients(broken, random_window(), None, torch.Generator())
