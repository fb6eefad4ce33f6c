"""A wide LSTM layer: as near to float32 as torch's kernel, and used where it pays."""

from functools import partial

import numpy as np
import pytest
import torch

from charrnn import onednn, wide
from charrnn.batches import Window
from charrnn.config import ModelConfig
from charrnn.losses import sum_losses
from charrnn.model import Dropouts, LanguageModel
from charrnn.shards import Shards

pytestmark = pytest.mark.skipif(
    not onednn.is_possible(), reason="this CPU does not multiply bfloat16, or torch lacks oneDNN"
)
T, B, X, H = 13, 5, 24, 40


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def layer(seed=1):
    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape, scale=1.0):
        return (torch.randn(shape, generator=generator) * scale).requires_grad_()

    state = drawn(1, B, H), drawn(1, B, H)
    weights = [drawn(4 * H, X, scale=0.2), drawn(4 * H, H, scale=0.2), drawn(4 * H), drawn(4 * H)]
    return drawn(T, B, X), state, weights


def torch_layer(inputs, state, weights):
    hidden, h, c = torch.lstm(inputs, list(state), weights, True, 1, 0.0, True, False, False)
    return hidden, (h, c)


def fused_layer(inputs, state, weights):
    with torch.autocast("cpu", dtype=torch.bfloat16, cache_enabled=False):
        return torch_layer(inputs, state, weights)


def run_and_go_back(run, seed=1):
    inputs, state, weights = layer(seed)
    hidden, (h, c) = run(inputs, state, weights)
    generator = torch.Generator().manual_seed(seed + 1)
    outputs = [hidden, h, c]
    above = [torch.randn(part.shape, generator=generator).to(part.dtype) for part in outputs]
    gradients = torch.autograd.grad(outputs, [inputs, *state, *weights], above)
    return [part.detach() for part in (*outputs, *gradients)]


def distance(found, exact):
    return float((found.float() - exact.float()).norm() / exact.float().norm())


@pytest.mark.parametrize("seed", [1, 2])
def test_outputs_and_all_gradients_are_as_near_to_float32_as_those_of_torch(seed):
    exact, found, fused = (
        run_and_go_back(run, seed) for run in (torch_layer, wide.run_wide_lstm, fused_layer)
    )
    for ours, theirs, true in zip(found, fused, exact, strict=True):
        assert distance(ours, true) < min(0.02, 1.3 * distance(theirs, true))


def test_a_window_in_two_halves_is_the_window():
    inputs, state, weights = layer()
    with torch.no_grad():
        hidden, (h, c) = wide.run_wide_lstm(inputs, state, weights)
        first, middle = wide.run_wide_lstm(inputs[:6], state, weights)
        second, (h_2, c_2) = wide.run_wide_lstm(inputs[6:], middle, weights)
    assert torch.equal(hidden, torch.cat([first, second]))
    assert torch.equal(h, h_2)
    torch.testing.assert_close(c, c_2)


@pytest.mark.parametrize(("needed", "products"), [(True, 3), (False, 2)])
def test_inputs_that_need_no_gradient_cost_none(needed, products):
    inputs, state, weights = layer()
    hidden, _ = wide.run_wide_lstm(inputs.requires_grad_(needed), state, weights)
    with torch.profiler.profile() as profile:
        hidden.float().sum().backward()
    counts = {event.key: event.count for event in profile.key_averages()}
    assert counts["aten::mm"] == products
    assert all(weight.grad.abs().sum() > 0 for weight in weights)


def test_the_biases_do_not_share_their_gradient_nor_change_their_weights():
    inputs, state, weights = layer()
    before = [weight.detach().clone() for weight in weights]
    hidden, _ = wide.run_wide_lstm(inputs, state, weights)
    first, second = torch.autograd.grad(hidden.float().sum(), weights[2:])
    assert torch.equal(first, second)
    assert first.data_ptr() != second.data_ptr()
    assert all(torch.equal(a, b) for a, b in zip(weights, before, strict=True))


def test_the_loops_uncompiled_give_the_same_bits_as_each_run_of_the_compiled_ones(monkeypatch):
    wide.scripted.cache_clear()
    compiled = [run_and_go_back(wide.run_wide_lstm) for _ in range(4)]
    monkeypatch.setattr(wide, "scripted", lambda loop: loop)
    plain = run_and_go_back(wide.run_wide_lstm)
    for found in compiled:
        assert all(torch.equal(a, b) for a, b in zip(found, plain, strict=True))


@pytest.mark.parametrize("error", [RuntimeError, torch.jit.frontend.FrontendError, TypeError])
def test_where_a_loop_cannot_be_compiled_it_runs_as_it_is(error, monkeypatch):
    def refuse(loop):
        raise error(None, "not in this Python")

    monkeypatch.setattr(torch.jit, "script", refuse)
    wide.scripted.cache_clear()
    try:
        assert wide.scripted(wide.run_forward) is wide.run_forward
    finally:
        wide.scripted.cache_clear()


def test_a_long_window_of_a_wide_layer_drifts_no_further_than_torchs():
    generator = torch.Generator().manual_seed(4)
    bound = 520**-0.5
    weights = [
        (torch.rand(shape, generator=generator) * 2 * bound - bound).requires_grad_()
        for shape in ((2080, 264), (2080, 520), (2080,), (2080,))
    ]
    inputs = torch.randn(64, 4, 264, generator=generator)
    state = torch.zeros(1, 4, 520), torch.zeros(1, 4, 520)
    above = torch.randn(64, 4, 520, generator=generator)

    def gradients(run):
        hidden, _ = run(inputs, state, weights)
        return torch.autograd.grad(hidden, weights, above.to(hidden.dtype))

    exact, ours, theirs = map(gradients, (torch_layer, wide.run_wide_lstm, fused_layer))
    for found, fused, true in zip(ours, theirs, exact, strict=True):
        assert distance(found, true) < min(0.02, 1.3 * distance(fused, true))


def test_shards_that_compile_at_the_same_time_have_the_gradients_of_torchs_kernel(monkeypatch):
    sizes = ModelConfig(7, embedding_size=6, hidden_size=12, num_layers=2)
    model = LanguageModel(sizes, Dropouts(0.1, 0.2, 0.4)).train()
    model.reset(3)
    tokens = np.random.default_rng(0).integers(0, 7, (2, 9, 11))
    window = Window(tokens[0], tokens[1], None, tokens[0].size)

    def gradients(min_weights):
        monkeypatch.setattr(wide, "MIN_WEIGHTS", min_weights)
        wide.scripted.cache_clear()
        forward = partial(sum_losses, precision="bf16")
        Shards(model, 2, 2).gradients(forward, window, None, torch.Generator().manual_seed(5))
        return [parameter.grad.clone() for parameter in model.parameters()]

    for found, expected in zip(gradients(0), gradients(10**9), strict=True):
        assert distance(found, expected) < 0.03
        assert not torch.equal(found, expected)
