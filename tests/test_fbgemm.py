"""Products with float16 weights are those of the rounded weights, tried first, and say nothing."""

import subprocess
import sys

import pytest
import torch

from charrnn import fbgemm

needs_it = pytest.mark.skipif(not fbgemm.is_possible(), reason="torch has no FBGEMM here")


@pytest.fixture
def untried():
    fbgemm.is_possible.cache_clear()
    yield
    fbgemm.is_possible.cache_clear()


@needs_it
@pytest.mark.parametrize(("depth", "width"), [(1, 1), (37, 50), (512, 129)])
def test_the_weights_are_rounded_and_nothing_else(depth, width):
    generator = torch.Generator().manual_seed(3)
    rows = torch.randn(1, depth, generator=generator)
    weights = torch.randn(width, depth, generator=generator)
    bias = torch.randn(width, generator=generator)
    found = fbgemm.product(rows, fbgemm.lay_out(weights), bias)
    wanted = rows.double() @ weights.half().double().t() + bias
    assert found.shape == (1, width)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), wanted, atol=1e-5, rtol=1e-6)


@pytest.mark.parametrize("name", ["lay_out", "product"])
@pytest.mark.parametrize("error", [RuntimeError, AttributeError])
def test_a_torch_without_the_operators_is_found_out(untried, monkeypatch, name, error):
    def refuse(*arguments):
        raise error("not here")

    monkeypatch.setattr(fbgemm, name, refuse)
    assert not fbgemm.is_possible()


def test_another_result_is_found_out(untried, monkeypatch):
    monkeypatch.setattr(fbgemm, "lay_out", lambda weights: weights)
    monkeypatch.setattr(fbgemm, "product", lambda rows, laid, bias: rows @ laid.t())
    assert not fbgemm.is_possible()


@pytest.mark.parametrize("value", [2.0**15, -4e4, float("inf"), float("nan")])
def test_weights_beyond_float16_are_found_out(value):
    weights = torch.tensor([[0.1, -3e4], [1e-9, 0.0]])
    assert fbgemm.is_in_range(weights)
    weights[1, 0] = value
    assert not fbgemm.is_in_range(weights)


@needs_it
def test_trying_says_nothing():
    code = "from charrnn.fbgemm import *; assert is_possible(); lay_out(torch.ones(3, 2))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, check=True
    )
    assert done.stdout + done.stderr == b""
