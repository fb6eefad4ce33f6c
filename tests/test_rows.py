"""Rows of symbols: sparse gradients are the dense ones, and an update is that of plain formulas."""

from functools import partial

import numpy as np
import pytest
import torch
from training_runs import TEXT, ask, finish, run_until

from charrnn import trainer
from charrnn.adamw import AdamW
from charrnn.batches import IGNORED, StreamBatches, Window
from charrnn.config import ModelConfig, TrainConfig
from charrnn.losses import sum_losses
from charrnn.model import Dropouts, LanguageModel
from charrnn.modeldir import read_newest_checkpoint
from charrnn.ranks import Ranks
from charrnn.rows import (
    BETA,
    DECAY_STEPS,
    EPSILON,
    RATE,
    SETTLED,
    add_gradients,
    add_rows,
    sparse,
    update_rows,
    values_of,
)
from charrnn.session import goes_by_row
from charrnn.shards import Shards
from charrnn.tensors import encode_tensors
from charrnn.trainer import Session, update

V, K = 30, 5


def uncoalesced(rows, seed=1):
    values = torch.randn(len(rows), K, generator=torch.Generator().manual_seed(seed))
    return torch.sparse_coo_tensor(torch.tensor([rows]), values, (V, K), check_invariants=False)


def test_a_sum_has_each_row_once_and_in_order():
    parts = [uncoalesced([7, 3, 7]), uncoalesced([29, 3], 2), uncoalesced([7], 3)]
    found = add_rows(parts)
    assert found.is_coalesced()
    assert found.indices().tolist() == [[3, 7, 29]]
    torch.testing.assert_close(found.to_dense(), sum(part.to_dense() for part in parts))


def test_sums_of_parts_are_in_the_order_of_their_parameters():
    def part(seed):
        bias = torch.full((3,), float(seed))
        return (bias, uncoalesced([seed, 4], seed), bias, uncoalesced([seed], seed))

    parts = [part(seed) for seed in (1, 2, 3)]
    found = add_gradients(parts)
    assert [each.is_sparse for each in found] == [False, True, False, True]
    assert found[0].tolist() == found[2].tolist() == [6.0] * 3
    assert found[0].data_ptr() != found[2].data_ptr()
    for place in (1, 3):
        expected = sum(each[place].to_dense() for each in parts)
        torch.testing.assert_close(found[place].to_dense(), expected)


def test_an_update_is_rmsprop_of_the_rows_that_the_gradient_has():
    rng = np.random.default_rng(3)
    weights = rng.normal(size=(V, K))
    matrix = torch.nn.Parameter(torch.from_numpy(weights.copy()).float())
    optimizer = AdamW([([matrix], 0.7)], 0.5, by_row=[matrix])
    squares, rate = np.zeros((V, K)), 0.02
    optimizer.param_groups[0]["lr"] = rate
    for step in range(1, 2 * DECAY_STEPS + 2):
        rows = np.sort(rng.choice(V // 2, 4, replace=False))
        values = rng.normal(size=(4, K))
        matrix.grad = sparse(torch.from_numpy(rows), torch.from_numpy(values).float(), matrix.shape)
        optimizer.step()
        squares[rows] = BETA * squares[rows] + (1 - BETA) * values**2
        scale = np.sqrt(squares[rows] / (1 - BETA**step)) + EPSILON
        weights[rows] -= RATE * rate * values / scale
        if step % DECAY_STEPS == 0:
            weights *= (1 - rate * 0.7) ** DECAY_STEPS
        np.testing.assert_allclose(matrix.detach().numpy(), weights, rtol=1e-4, atol=1e-5)
    state = optimizer.state[matrix]
    assert state.keys() == optimizer.shapes(matrix).keys() == {"exp_avg_sq", "step"}
    np.testing.assert_allclose(state["exp_avg_sq"].numpy(), squares, rtol=1e-4, atol=1e-6)
    assert float(state["step"]) == 2 * DECAY_STEPS + 1


def test_a_row_that_is_touched_late_begins_with_steps_ten_times_as_long():
    matrix = torch.zeros(V, K)
    matrix.grad = sparse(torch.tensor([2]), torch.full((1, K), 0.03), matrix.shape)
    state = {"step": torch.tensor(5000.0), "exp_avg_sq": torch.zeros(V, K)}
    update_rows(matrix, state, 1e-3, 0.0)
    torch.testing.assert_close(matrix[2], torch.full((K,), -10 * RATE * 1e-3), rtol=1e-4, atol=0)
    assert not matrix[[1, 3]].any()


def test_the_count_goes_round_before_it_can_grow_no_more():
    matrix = torch.zeros(V, K)
    matrix.grad = sparse(torch.tensor([2]), torch.ones(1, K), matrix.shape)
    state = {"step": torch.tensor(float(SETTLED - 1)), "exp_avg_sq": torch.ones(V, K)}
    update_rows(matrix, state, 0.1, 0.0)
    assert float(state["step"]) == SETTLED - DECAY_STEPS


def network(by_row, tied):
    sizes = ModelConfig(V, embedding_size=6, hidden_size=6, tie_weights=tied)
    model = LanguageModel(sizes, Dropouts(0.2, 0.2, 0.0))
    model.reset(3)
    model.by_row = by_row
    model.generator = torch.Generator().manual_seed(5)
    return model.train()


def window(streams=11, length=9):
    inputs, targets = np.random.default_rng(4).integers(0, 20, (2, length, streams))
    targets[np.random.default_rng(5).random(targets.shape) < 0.2] = IGNORED
    return Window(inputs, targets, None, int((targets != IGNORED).sum()))


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("count", [1, 2])
def test_sparse_gradients_of_a_window_are_the_dense_ones(tied, count):
    chances = torch.full((V,), 0.3)
    forward = partial(sum_losses, precision="fp32", chances=chances)
    gradients = {}
    for by_row in (False, True):
        model = network(by_row, tied)
        names = [name for name, _ in model.named_parameters()]
        if count > 1:
            shards = Shards(model, count, count)
            shards.gradients(forward, window(), None, torch.Generator().manual_seed(8))
            found = [parameter.grad for parameter in model.parameters()]
        else:
            loss = forward(model, window(), None)[0] / window().num_targets
            found = torch.autograd.grad(loss, list(model.parameters()))
        gradients[by_row] = dict(zip(names, found, strict=True))
    rows = {"embedding.weight"} if tied else {"embedding.weight", "output.weight"}
    assert {name for name, each in gradients[True].items() if each.is_sparse} == rows
    assert len(network(True, tied).symbol_matrices()) == len(rows)
    for name, each in gradients[True].items():
        if count > 1 and name in rows:
            assert len(values_of(each)) < V  # some symbols are in no part
        found = each.to_dense() if each.is_sparse else each
        torch.testing.assert_close(found, gradients[False][name], rtol=1e-5, atol=1e-7)


def test_a_checkpoint_from_when_rows_had_a_momentum_is_gone_on_from(tmp_path):
    corpus = tmp_path / "corpus.txt"
    corpus.write_text(TEXT)
    request = partial(ask, corpus, softmax_samples=9, tie_weights=False)
    run_until(request(), 7)
    found = read_newest_checkpoint(tmp_path / "run")
    for name in ("embedding.weight", "output.weight"):
        assert f"optimizer.exp_avg.{name}" not in found.tensors
        found.tensors[f"optimizer.exp_avg.{name}"] = np.zeros_like(found.tensors[f"model.{name}"])
    found.path.write_bytes(encode_tensors(found.tensors, found.metadata))
    start, *_, end = finish(request(resume=True))
    assert (start.resumed_from, end.step) == (7, 40)
    assert [note for note in start.notes if "momentum" in note]
    start, *_, end = finish(request(resume=True, max_steps=45))
    assert not [note for note in start.notes if "momentum" in note]


def test_rows_go_by_themselves_on_a_cpu_with_a_sampled_softmax():
    cpu, chances = torch.device("cpu"), torch.ones(V)
    assert goes_by_row(cpu, chances)
    assert not goes_by_row(cpu, None)
    assert not goes_by_row(torch.device("cuda:0"), chances)


def session(by_row, tied, **options):
    """A session at step 0 whose updates are the gradients themselves; no state, no dropout."""
    model = network(by_row, tied)
    model.dropouts = Dropouts()
    config = TrainConfig(max_steps=9, precision="fp32", **options)
    return Session(
        model=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=1.0),
        scaler=torch.amp.GradScaler("cpu", enabled=False),
        batches=StreamBatches(np.arange(99) % 20, 2, 9, seed=3),
        config=config,
        generator=model.generator,
        chances=torch.full((V,), 0.3),
    )


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize(("limit", "scale"), [(0.0, 1.0), (1e-3, 1.0), (1e-3, 8.0)])
def test_norm_clipping_and_scale_are_those_of_dense_gradients(tied, limit, scale, monkeypatch):
    monkeypatch.setattr(trainer, "scale_of_half", lambda *about: scale)
    after, values = {}, {}
    for by_row in (False, True):
        made = session(by_row, tied, grad_clip=limit)
        values[by_row] = update(made, window(), 0.5)
        grads = [p.grad for p in made.model.symbol_matrices()]
        assert all(each.is_sparse == by_row for each in grads)
        after[by_row] = made.model.to_weights()
    torch.testing.assert_close(values[True], values[False])
    for name, expected in after[False].items():
        np.testing.assert_allclose(after[True][name], expected, rtol=1e-5, atol=1e-7)


def test_ranks_add_the_rows_of_all_of_them(monkeypatch):
    parts = [add_rows([uncoalesced([7, 3, 29])]), add_rows([uncoalesced([3, 11], 2)])]

    def all_gather(found, own):
        """What gloo does: all have the largest one's size, the others' ends are not theirs."""
        for place, part in zip(found, parts, strict=True):
            if own.shape == (1,):
                place[0] = len(part.values())
            else:
                given = part.indices()[0] if own.dim() == 1 else part.values()
                place[: len(given)] = given
                place[len(given) :] = 5

    monkeypatch.setattr("torch.distributed.all_gather", all_gather)
    for rank in range(2):
        found = Ranks(rank, 2).sum_rows(parts[rank])
        assert found.indices().tolist() == [[3, 7, 11, 29]]
        torch.testing.assert_close(found.to_dense(), parts[0].to_dense() + parts[1].to_dense())


@pytest.mark.parametrize("part", ["optimizer.exp_avg_sq.embedding", "optimizer.step.embedding"])
def test_what_rows_have_of_the_optimizer_is_needed_to_go_on(part, tmp_path):
    corpus = tmp_path / "corpus.txt"
    corpus.write_text(TEXT)
    weights = []
    for number in range(2):
        request = partial(ask, corpus, softmax_samples=9, output=tmp_path / str(number))
        run_until(request(), 20)
        if number:
            found = read_newest_checkpoint(tmp_path / "1")
            name = next(key for key in found.tensors if key.startswith(part))
            found.tensors[name] = found.tensors[name] * 0.5
            found.path.write_bytes(encode_tensors(found.tensors, found.metadata))
        finish(request(resume=True))
        weights.append((tmp_path / str(number) / "model.safetensors").read_bytes())
    assert weights[0] != weights[1]
