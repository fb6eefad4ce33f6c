"""A wide LSTM layer: as near to float32 as torch's kernel, and used where it pays."""

import pytest
import torch

from charrnn import cells, onednn, wide
from charrnn.cells import Recurrent
from charrnn.config import ModelConfig

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


def test_inputs_that_need_no_gradient_cost_none():
    inputs, state, weights = layer()
    hidden, _ = wide.run_wide_lstm(inputs.detach(), state, weights)
    assert hidden.grad_fn.next_functions[0][0] is None
    hidden.float().sum().backward()
    assert inputs.grad is None
    assert all(weight.grad.abs().sum() > 0 for weight in weights)


def test_the_biases_do_not_share_their_gradient():
    inputs, state, weights = layer()
    wide.run_wide_lstm(inputs, state, weights)[0].float().sum().backward()
    assert torch.equal(weights[2].grad, weights[3].grad)
    assert weights[2].grad.data_ptr() != weights[3].grad.data_ptr()


def test_the_loops_uncompiled_give_the_same_bits(monkeypatch):
    compiled = run_and_go_back(wide.run_wide_lstm)
    assert isinstance(wide.scripted(wide.run_forward), torch.jit.ScriptFunction)
    monkeypatch.setattr(wide, "scripted", lambda loop: loop)
    found = run_and_go_back(wide.run_wide_lstm)
    assert all(torch.equal(a, b) for a, b in zip(found, compiled, strict=True))


def test_where_a_loop_cannot_be_compiled_it_runs_as_it_is(monkeypatch):
    def refuse(loop):
        raise RuntimeError("not in this Python")

    monkeypatch.setattr(torch.jit, "script", refuse)
    wide.scripted.cache_clear()
    assert wide.scripted(wide.run_forward) is wide.run_forward
    wide.scripted.cache_clear()


@pytest.mark.parametrize(
    ("hidden_size", "threads", "training", "autocast", "used"),
    [
        (520, 1, True, True, True),
        (520, 2, True, True, False),
        (520, 1, False, True, False),
        (520, 1, True, False, False),
        (64, 1, True, True, False),
    ],
)
def test_it_runs_wide_layers_in_bfloat16_on_one_core_while_training(
    hidden_size, threads, training, autocast, used, monkeypatch
):
    calls = []

    def noted(*arguments):
        calls.append(arguments)
        return wide.run_wide_lstm(*arguments)

    monkeypatch.setattr(cells, "run_wide_lstm", noted)
    torch.set_num_threads(threads)
    config = ModelConfig(9, "lstm", embedding_size=260, hidden_size=hidden_size)
    recurrent = Recurrent(config).train(training)
    state = recurrent.zero_state(2)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        recurrent(torch.randn(3, 2, 260), state)
    assert bool(calls) == used
