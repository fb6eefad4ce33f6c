"""SOAP beside a slow plain version, AdamW, and what a basis of eigenvectors promises."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from charrnn import soap
from charrnn.adamw import BETAS, AdamW
from charrnn.rows import EPSILON, SETTLED
from charrnn.soap import MEMORY, RENEWAL, ROUNDS, SHIFT, WATCH, Soap

ROWS, COLUMNS = 6, 4


def gradients(count, seed=5):
    """Return correlated gradients (count, R, K): some directions are much longer than others."""
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(COLUMNS, COLUMNS)) * np.array([3.0, 1.0, 0.3, 0.1])
    return rng.normal(size=(count, ROWS, COLUMNS)) @ mix


def run(optimizer, parameters, given):
    """Make one step for each of the gradients `given`, by parameter."""
    for number in range(len(given[0])):
        for parameter, found in zip(parameters, given, strict=True):
            parameter.grad = torch.from_numpy(found[number].copy()).to(parameter.dtype)
        optimizer.step()


def plain_renewal(covariance, basis):
    order = np.argsort(-np.diag(basis.T @ covariance @ basis))
    shifted = covariance + SHIFT * np.trace(covariance) / COLUMNS * np.eye(COLUMNS)
    return np.linalg.qr(shifted @ basis[:, order])[0], order


def plain_soap(weights, given, rate, decay, renewals):
    """Return what the formulas make of `weights`, in float64."""
    first, second = np.zeros_like(weights), np.zeros_like(weights)
    covariance, basis = given[0].T @ given[0], np.eye(COLUMNS)
    for _ in range(ROUNDS):
        basis, _ = plain_renewal(covariance, basis)
    for step, gradient in enumerate(given, start=1):
        if (step - 1) % WATCH == 0:
            covariance = MEMORY * covariance + (1 - MEMORY) * gradient.T @ gradient
        first = BETAS[0] * first + (1 - BETAS[0]) * gradient  # as it is, not in the basis
        second = BETAS[1] * second + (1 - BETAS[1]) * (gradient @ basis) ** 2
        mean = first @ basis / (1 - BETAS[0] ** step)
        deviation = np.sqrt(second / (1 - BETAS[1] ** step)) + EPSILON
        weights = (1 - rate * decay) * weights - rate * (mean / deviation) @ basis.T
        if step in renewals:
            basis, order = plain_renewal(covariance, basis)
            second = second[:, order]
    return weights


def test_the_updates_are_those_of_the_formulas(monkeypatch):
    monkeypatch.setattr(soap, "RENEWAL", 4)
    weights, given = gradients(1, seed=9)[0], gradients(11)
    matrix = torch.nn.Parameter(torch.from_numpy(weights.copy()).float())
    run(Soap([([matrix], 0.3)], 0.05, [matrix]), [matrix], [given])
    expected = plain_soap(weights, given, 0.05, 0.3, {2, 4, 5, 8, 10})
    assert matrix.detach().numpy() == pytest.approx(expected, abs=2e-4)
    kept = plain_soap(weights, given, 0.05, 0.3, set())  # the renewals are felt
    assert np.abs(kept - expected).max() > 0.002


def test_in_the_unit_basis_it_is_adamw(monkeypatch):
    monkeypatch.setattr(soap, "renew", lambda state: None)
    ours, theirs = (torch.nn.Parameter(torch.ones(ROWS, COLUMNS)) for _ in range(2))
    run(Soap([([ours], 0.2)], 0.05, [ours]), [ours], [gradients(7)])
    run(AdamW([([theirs], 0.2)], 0.05), [theirs], [gradients(7)])
    assert ours.detach().numpy() == pytest.approx(theirs.detach().numpy(), abs=1e-6)


def test_vectors_and_matrices_that_are_not_turned_are_updated_by_adamw():
    shapes = [(ROWS, COLUMNS), (ROWS,), (ROWS, COLUMNS)]
    given = [gradients(9), gradients(9)[:, :, 0], gradients(9, seed=6)]
    found = []
    for kind in (AdamW, Soap):
        params = [torch.nn.Parameter(torch.ones(shape)) for shape in shapes]
        turned = {} if kind is AdamW else {"turned": [params[2]]}
        run(
            kind([([params[0], params[2]], 0.1), ([params[1]], 0.0)], 0.05, **turned), params, given
        )
        found.append([p.detach().clone() for p in params])
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])
    assert not torch.allclose(found[0][2], found[1][2], atol=1e-3)


def test_inputs_that_are_turned_turn_the_whole_way_which_adamw_does_not(monkeypatch):
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(COLUMNS, COLUMNS)))[0]

    def way(kind, given):
        matrix = torch.nn.Parameter(torch.zeros(ROWS, COLUMNS))
        extra = {} if kind is AdamW else {"turned": [matrix]}
        run(kind([([matrix], 0.1)], 0.05, **extra), [matrix], [given])
        return matrix.detach().numpy()

    given = gradients(45)
    monkeypatch.setattr(soap, "ROUNDS", 300)  # from the unit matrix to the eigenvectors
    assert way(Soap, given @ turn) == pytest.approx(way(Soap, given) @ turn, abs=2e-3)
    assert np.abs(way(AdamW, given @ turn) - way(AdamW, given) @ turn).max() > 0.1


def test_directions_without_gradients_are_not_turned_by_rounding():
    """Else two processes, whose sums are rounded another way, would train two networks."""
    found = []
    for noise in (0.0, 1e-7):
        matrix = torch.nn.Parameter(torch.zeros(ROWS, 12))
        optimizer = Soap([([matrix], 0.0)], 0.01, [matrix])
        rng = np.random.default_rng(1)
        given = rng.normal(size=(6, ROWS, 2)) @ rng.normal(size=(2, 12))  # of rank 2
        run(optimizer, [matrix], [given * (1 + noise * rng.normal(size=given.shape))])
        found.append(optimizer.state[matrix]["basis"])
    overlaps = (found[0].T @ found[1]).abs()  # in any order, and either way round
    assert overlaps.max(dim=0)[0].min() > 0.999


def test_the_basis_stays_orthonormal_and_nears_the_eigenvectors():
    matrix = torch.nn.Parameter(torch.zeros(ROWS, COLUMNS))
    optimizer = Soap([([matrix], 0.0)], 0.01, [matrix])
    run(optimizer, [matrix], [gradients(400)])
    state = optimizer.state[matrix]
    basis, covariance = state["basis"].double(), state["gram"].double()
    assert torch.allclose(basis.T @ basis, torch.eye(COLUMNS).double(), atol=1e-5)
    seen = basis.T @ covariance @ basis
    assert float((seen - seen.diag().diag()).norm() / seen.norm()) < 0.1
    assert list(seen.diag()) == sorted(seen.diag(), reverse=True)


def test_correlated_inputs_are_learnt_sooner_than_by_adamw():
    rng = torch.Generator().manual_seed(4)
    mix = torch.randn(32, 32, generator=rng) * torch.logspace(0, -2, 32)
    inputs = torch.randn(512, 32, generator=rng) @ mix @ torch.linalg.qr(mix)[0]
    wanted = inputs @ torch.randn(32, 16, generator=rng)

    def loss_by(kind):
        matrix = torch.nn.Parameter(torch.zeros(16, 32))
        optimizer = kind([([matrix], 0.0)], 0.05, **({} if kind is AdamW else {"turned": [matrix]}))
        for step in range(300):
            loss = ((inputs @ matrix.T - wanted) ** 2).mean()
            (matrix.grad,) = torch.autograd.grad(loss, [matrix])
            optimizer.param_groups[0]["lr"] = 0.05 * (1 - step / 300)
            optimizer.step()
        return float(loss.detach())

    assert loss_by(Soap) < loss_by(AdamW) / 100


def test_a_wide_matrix_is_left_to_adamw(monkeypatch):
    monkeypatch.setattr(soap, "SOAP_COLUMNS", COLUMNS - 1)
    matrix = torch.nn.Parameter(torch.zeros(ROWS, COLUMNS))
    optimizer = Soap([([matrix], 0.0)], 0.01, [matrix])
    run(optimizer, [matrix], [gradients(2)])
    assert (
        set(optimizer.state[matrix])
        == set(optimizer.shapes(matrix))
        == {
            *("step", "exp_avg", "exp_avg_sq"),
        }
    )


def test_the_shapes_are_those_of_the_state_also_in_bfloat16():
    matrix = torch.nn.Parameter(torch.zeros(ROWS, COLUMNS))
    optimizer = Soap([([matrix], 0.0)], 0.01, [matrix], torch.bfloat16)
    run(optimizer, [matrix], [gradients(25)])
    state = optimizer.state[matrix]
    assert {name: tuple(value.shape) for name, value in state.items()} == optimizer.shapes(matrix)
    assert all(value.dtype == torch.float32 for value in state.values())
    assert all(value.is_contiguous() for value in state.values())  # as a resume reads them


class CountingPool(ThreadPoolExecutor):
    num_calls = 0

    def submit(self, *args):
        self.num_calls += 1
        return super().submit(*args)


def test_rows_that_are_dealt_to_threads_are_updated_alike():
    ways = []
    for count in (None, 2, 3):
        matrix = torch.nn.Parameter(torch.zeros(ROWS + 1, COLUMNS))
        optimizer = Soap([([matrix], 0.1)], 0.05, [matrix])
        given = np.concatenate([gradients(30), gradients(30, seed=8)[:, :1]], axis=1)
        with CountingPool(count) as pool:
            if count:
                optimizer.deal(pool, count)
            run(optimizer, [matrix], [given])
        assert pool.num_calls == 30 * (count or 0)
        ways.append(matrix.detach())
        assert float(optimizer.state[matrix]["step"]) == 30
    assert torch.allclose(ways[1], ways[0], atol=1e-4)
    assert torch.allclose(ways[2], ways[0], atol=1e-4)


@pytest.mark.parametrize("shape", [(1, 3), (3, 1), (1, 1)])
def test_the_smallest_matrices_and_zero_gradients_are_borne(shape):
    matrix = torch.nn.Parameter(torch.ones(shape))
    optimizer = Soap([([matrix], 0.0)], 0.01, [matrix])
    with ThreadPoolExecutor(2) as pool:
        optimizer.deal(pool, 2)
        run(optimizer, [matrix], [np.zeros((6, *shape))])
        assert torch.equal(matrix, torch.ones(shape))
        run(optimizer, [matrix], [np.ones((6, *shape))])
    assert float(matrix.detach().max()) < 1.0
    assert all(bool(value.isfinite().all()) for value in optimizer.state[matrix].values())


def test_the_count_goes_round_before_float32_can_count_no_further(monkeypatch):
    monkeypatch.setattr(soap, "SETTLED", 60)
    matrix = torch.nn.Parameter(torch.zeros(ROWS, COLUMNS))
    optimizer = Soap([([matrix], 0.0)], 0.01, [matrix])
    run(optimizer, [matrix], [gradients(75)])
    assert float(optimizer.state[matrix]["step"]) == 55
    assert SETTLED % RENEWAL == RENEWAL % WATCH == 0
    assert BETAS[1] ** (SETTLED - RENEWAL) == 0


def test_the_number_of_steps_is_asked_of_the_device_once_for_a_state_that_is_put_in(monkeypatch):
    asked, to_int = [], torch.Tensor.__int__
    monkeypatch.setattr(torch.Tensor, "__int__", lambda self: (asked.append(self), to_int(self))[1])
    matrix = torch.nn.Parameter(torch.zeros(ROWS, COLUMNS))
    other = torch.nn.Parameter(torch.zeros(ROWS, COLUMNS))
    optimizer = Soap([([matrix, other], 0.0)], 0.01, [matrix, other])
    run(optimizer, [matrix, other], [gradients(7), gradients(7, seed=9)])
    assert not asked
    put_in = {name: value.clone() for name, value in optimizer.state[matrix].items()}
    put_in["step"] += 4  # as of a checkpoint of later
    optimizer.state[matrix] = put_in
    run(optimizer, [matrix, other], [gradients(2), gradients(2, seed=9)])
    assert len(asked) == 1
    assert [int(optimizer.state[part]["step"]) for part in (matrix, other)] == [13, 9]
    assert sorted(optimizer._steps.values()) == [9, 13]


def test_a_renewal_sorts_the_directions_and_their_moments_follow():
    ranks, columns = [3.0, 1.0, 4.0, 2.0], [2, 0, 3, 1]  # the longest first
    moments = torch.arange(8.0).reshape(2, 4)
    state = {"gram": torch.tensor(ranks).diag(), "basis": torch.eye(4)}
    state |= {"exp_avg": moments.clone(), "exp_avg_sq": moments.clone()}
    soap.renew(state)
    assert torch.allclose(state["basis"].abs(), torch.eye(4)[:, columns], atol=1e-6)
    assert torch.equal(state["exp_avg_sq"], moments[:, columns])
    assert torch.allclose(state["exp_avg"] @ state["basis"].T, moments, atol=1e-5)
