"""Sizes are all different, so that a swapped axis cannot hide."""

import numpy as np
import pytest
import reference
import torch

from charrnn import cells
from charrnn.cells import Recurrent
from charrnn.config import ModelConfig
from charrnn.model import Dropouts, LanguageModel, detach, dropout_mask

T, B, V, E, H, L = 7, 3, 5, 4, 6, 2
KINDS = [("lstm", "tanh"), ("gru", "tanh"), ("rnn", "tanh"), ("rnn", "relu"), ("peephole", "tanh")]


def make(kind, nonlinearity="tanh", **changes):
    sizes = {"vocab_size": V, "embedding_size": E, "hidden_size": H, "num_layers": L} | changes
    model = LanguageModel(ModelConfig(cell_type=kind, nonlinearity=nonlinearity, **sizes)).double()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.6, generator=generator)
    return model.eval()


def some_tokens(*shape):
    return torch.randint(V, shape, generator=torch.Generator().manual_seed(8))


def weights_of(model):
    return {name: p.detach().numpy() for name, p in model.named_parameters()}


@pytest.mark.parametrize("embedding_size", [E, 0])
@pytest.mark.parametrize(("kind", "nonlinearity"), KINDS)
def test_the_network_follows_its_equations(kind, nonlinearity, embedding_size):
    model = make(kind, nonlinearity, embedding_size=embedding_size)
    tokens = some_tokens(T, B)
    logits, state = model(tokens)
    for row in range(B):
        expected, states = reference.run(kind, tokens[:, row], weights_of(model), L, nonlinearity)
        np.testing.assert_allclose(logits[:, row].detach(), expected, atol=1e-10, rtol=0)
        for part, values in enumerate(zip(*states, strict=True)):
            if part < len(state):
                found = state[part][:, row].detach()
                np.testing.assert_allclose(found, np.array(values), atol=1e-10, rtol=0)


def test_tied_weights_use_the_embedding_at_both_ends():
    model = make("lstm", embedding_size=H, tie_weights=True)
    assert "output.weight" not in dict(model.named_parameters())
    tokens = some_tokens(T, 1)
    expected, _ = reference.run("lstm", tokens[:, 0], weights_of(model), L)
    np.testing.assert_allclose(model(tokens)[0][:, 0].detach(), expected, atol=1e-10, rtol=0)


@pytest.mark.parametrize(("kind", "nonlinearity"), KINDS)
def test_gradients_agree_with_finite_differences(kind, nonlinearity):
    model = make(kind, nonlinearity).train()
    tokens, targets = some_tokens(T, B), some_tokens(T, B).flip(0)
    state = tuple(torch.full((L, B, H), 0.1, dtype=torch.float64) for _ in model(tokens)[1])

    def loss():
        logits, _ = model(tokens, state)
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())

    loss().backward()
    generator = torch.Generator().manual_seed(1)
    for name, parameter in model.named_parameters():
        direction = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        with torch.no_grad():
            parameter += 1e-5 * direction
            above = loss()
            parameter -= 2e-5 * direction
            below = loss()
            parameter += 1e-5 * direction
        expected = float(above - below) / 2e-5
        assert float((parameter.grad * direction).sum()) == pytest.approx(expected, abs=1e-7), name


@pytest.mark.parametrize(("kind", "nonlinearity"), KINDS)
def test_two_carried_windows_and_single_tokens_equal_the_whole(kind, nonlinearity):
    model = make(kind, nonlinearity)
    tokens = some_tokens(T, B)
    whole, end = model(tokens)
    first, state = model(tokens[:3])
    second, state = model(tokens[3:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole, atol=1e-12, rtol=0)
    for part, expected in zip(state, end, strict=True):
        torch.testing.assert_close(part, expected, atol=1e-12, rtol=0)
    state, single = None, []
    for token in tokens:
        logits, state = model(token[None], state)
        single.append(logits)
    torch.testing.assert_close(torch.cat(single), whole, atol=1e-12, rtol=0)


def test_no_logit_sees_a_later_token():
    model = make("peephole")
    tokens = some_tokens(T, B)
    changed = tokens.clone()
    changed[4] = (changed[4] + 1) % V
    assert torch.equal(model(tokens)[0][:4], model(changed)[0][:4])
    assert not torch.equal(model(tokens)[0][4], model(changed)[0][4])


def test_weights_start_orthogonal_with_the_forget_gate_open():
    model = LanguageModel(ModelConfig(V, hidden_size=8, embedding_size=3))
    model.reset(4)
    weights = dict(model.recurrent.named_parameters())
    hidden = weights["weight_hh_l0"].detach()
    torch.testing.assert_close(hidden.T @ hidden, torch.eye(8), atol=1e-5, rtol=0)
    bias = (weights["bias_ih_l0"] + weights["bias_hh_l0"]).detach()
    assert bias.tolist() == [0.0] * 8 + [1.0] * 8 + [0.0] * 16
    again, other = LanguageModel(model.config), LanguageModel(model.config)
    again.reset(4)
    other.reset(5)
    assert torch.equal(again.output.weight, model.output.weight)
    assert not torch.equal(other.output.weight, model.output.weight)


@pytest.mark.parametrize("where", ["inputs", "hidden", "weights"])
@pytest.mark.parametrize("layers", [1, 3])
def test_each_dropout_acts_in_training_only(where, layers):
    config = ModelConfig(V, embedding_size=E, hidden_size=H, num_layers=layers)
    model = LanguageModel(config, Dropouts(**{where: 0.5}))
    model.reset(0)
    tokens = some_tokens(T, B)
    model.train()
    assert not torch.equal(model(tokens)[0], model(tokens)[0])
    model.eval()
    assert torch.equal(model(tokens)[0], model(tokens)[0])


def test_dropout_between_layers_is_there():
    config = ModelConfig(V, embedding_size=E, hidden_size=H, num_layers=2)
    model = LanguageModel(config, Dropouts(hidden=0.5))
    model.reset(0)
    model.train()
    tokens = some_tokens(T, B)
    _, (first, _) = model(tokens)
    _, (second, _) = model(tokens)
    assert torch.equal(first[0], second[0])  # below the dropout
    assert not torch.equal(first[1], second[1])  # above it


@pytest.mark.parametrize("share", [0.1, 0.3, 0.77])
def test_a_dropout_mask_has_mean_one_and_zeros_at_its_share(share):
    generator = torch.Generator().manual_seed(6)
    mask = dropout_mask(torch.Size((300, 1001)), share, torch.zeros(1), generator)
    assert float((mask == 0).float().mean()) == pytest.approx(share, abs=0.005)
    assert float(mask.mean()) == pytest.approx(1, abs=0.01)
    columns = (mask == 0).float().mean(0)
    assert float(columns.std()) < 3 * (share * (1 - share) / 300) ** 0.5


def test_dropout_draws_from_its_own_generator():
    model = LanguageModel(ModelConfig(V), Dropouts(hidden=0.5))
    model.reset(0)
    model.train()
    tokens, results = some_tokens(T, B), []
    for _ in range(2):
        model.generator = torch.Generator().manual_seed(12)
        results.append(model(tokens)[0])
        torch.rand(3)
    assert torch.equal(*results)


def test_a_detached_state_has_the_values_and_no_history():
    model = make("lstm").train()
    _, state = model(some_tokens(T, B))
    cut = detach(state)
    assert all(torch.equal(a, b) for a, b in zip(cut, state, strict=True))
    assert all(part.requires_grad for part in state)
    assert not any(part.requires_grad for part in cut)


@pytest.mark.parametrize(
    ("kind", "hidden_size", "threads", "training", "autocast", "possible", "used"),
    [
        ("lstm", 520, 1, True, True, True, True),
        ("lstm", 520, 2, True, True, True, False),
        ("lstm", 520, 1, False, True, True, False),
        ("lstm", 520, 1, True, False, True, False),
        ("lstm", 520, 1, True, True, False, False),
        ("lstm", 64, 1, True, True, True, False),
        ("gru", 600, 1, True, True, True, False),
    ],
)
def test_wide_lstm_layers_in_bfloat16_on_one_core_have_a_kernel_of_their_own_in_training(
    kind, hidden_size, threads, training, autocast, possible, used, monkeypatch
):
    calls = []
    monkeypatch.setattr(cells, "is_possible", lambda: possible)
    monkeypatch.setattr(
        cells,
        "run_wide_lstm",
        lambda inputs, state, weights: calls.append(1) or (torch.ones(3, 2, hidden_size), state),
    )
    recurrent = Recurrent(ModelConfig(9, kind, embedding_size=260, hidden_size=hidden_size))
    state = recurrent.train(training).zero_state(2)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        recurrent(torch.randn(3, 2, 260), state)
    torch.set_num_threads(before)
    assert bool(calls) == used
